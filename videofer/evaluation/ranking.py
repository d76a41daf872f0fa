"""How well a score ranks those with a property before those without: average precision and ROC area.

Both take weights, so that thousands of bootstrap draws are one pass over scores that are sorted once: a draw
that holds a subject twice gives its samples the weight 2.

Letters in shapes: N samples, W weightings (draws).
"""

from __future__ import annotations

import numpy as np


def rank_figures(score: np.ndarray, holds: np.ndarray, weights: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """score (N,), holds (N,) bool, weights (N, W) -> average precision (W,), area under the ROC curve (W,).

    Average precision is the sum over recall steps of the precision there, without interpolation, equal scores
    being one step. The area is the probability that one with the property scores higher than one without;
    equal scores count half. Both as in scikit-learn. NaN where there are not both, with and without.
    """
    order = np.argsort(-score, kind="stable")
    ordered, has = score[order], holds[order]
    first = np.append(0, np.flatnonzero(np.diff(ordered)) + 1)  # of each run of equal scores
    rows = weights[order].astype(np.float64)  # a draw's numbers lie apart, so that rows are copied whole
    gained = np.add.reduceat(np.where(has[:, None], rows, 0.0), first, axis=0)
    lost = np.add.reduceat(np.where(has[:, None], 0.0, rows), first, axis=0)
    found, wrong = np.cumsum(gained, axis=0), np.cumsum(lost, axis=0)
    both = (found[-1] > 0) & (wrong[-1] > 0)
    with np.errstate(invalid="ignore", divide="ignore"):
        precision = found / (found + wrong)
        # Before the first sample that a draw holds nothing was said, and nothing was gained.
        area_of_precision = np.where(gained > 0, gained * precision, 0.0).sum(axis=0) / found[-1]
        area = (lost * (found - gained / 2)).sum(axis=0) / (found[-1] * wrong[-1])
    return np.where(both, area_of_precision, np.nan), np.where(both, area, np.nan)
