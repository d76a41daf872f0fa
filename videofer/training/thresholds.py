"""From which probability on a class is said to be there, where several may hold at once.

Rare classes seldom reach one half, and a model that never says them has no F1. Each class gets the threshold
with the largest F1 on intervals of subjects who were not trained on. Thresholds lie half-way between
probabilities that occur; of equally good ones that nearest to one half is taken, and a class that nobody
shows keeps one half.
"""

from __future__ import annotations

import numpy as np

from videofer.data.targets import POSITIVE

DEFAULT = 0.5


def fit_thresholds(probs: np.ndarray, truth: np.ndarray) -> tuple[float, ...]:
    """probs (N, n) in [0, 1], truth (N, n) shares of the raters -> a threshold in (0, 1] per class."""
    return tuple(_best(p, share >= POSITIVE) for p, share in zip(probs.T, truth.T, strict=True))


def _best(probs: np.ndarray, holds: np.ndarray) -> float:
    """(N,), (N,) bool -> the threshold of one class."""
    if not holds.any():
        return DEFAULT
    order = np.argsort(-probs, kind="stable")
    ordered, hits = probs[order], np.cumsum(holds[order])
    last = np.append(np.flatnonzero(np.diff(ordered)), len(ordered) - 1)  # of each run of equal ones
    f1 = 2 * hits[last] / (holds.sum() + last + 1)
    # Half-way to the next lower one: a new interval will not have the very same number.
    limits = (ordered[last] + np.append(ordered[last][1:], 0.0)) / 2
    best = np.flatnonzero(f1 >= f1.max() - 1e-12)
    chosen = best[np.abs(limits[best] - DEFAULT).argmin()]
    return float(np.clip(limits[chosen], 1e-6, 1.0))
