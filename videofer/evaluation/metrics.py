"""Figures of a classifier: WAR, UAR, macro-F1, support, confusion, calibration error, bootstrap intervals.

Letters in shapes: N samples, n classes. WAR (weighted average recall) is accuracy; UAR (unweighted average
recall) and macro-F1 are means over the classes that occur in the target, so that a class without a single
sample neither helps nor hurts.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

MIN_GROUPS = 10
"""Below this many groups (subjects) a bootstrap over groups says nothing: no interval is given."""


@dataclass(frozen=True, kw_only=True)
class Metrics:
    """The figures of one modality on one set of samples. Undefined figures (no samples) are NaN."""

    labels: tuple[str, ...]
    num_samples: int
    num_groups: int
    """Distinct groups (subjects); 0 where groups are not known."""
    war: float
    uar: float
    macro_f1: float
    ece: float
    nll: float
    """Mean negative log-probability of the true class, natural logarithm."""
    support: tuple[int, ...]
    recall: tuple[float, ...]
    """Per class; NaN where a class has no sample."""
    confusion: np.ndarray
    """(n, n) int64: rows are the truth, columns the prediction."""
    intervals: dict[str, tuple[float, float]] | None
    """95 % intervals of "war", "uar" and "macro_f1" by a bootstrap over groups, or None."""
    intervals_note: str
    """How the intervals were made, or why there are none."""

    @property
    def chance(self) -> float:
        """UAR and accuracy of guessing evenly among all classes of the model."""
        return 1.0 / len(self.labels)

    def to_json(self) -> dict[str, Any]:
        """A dict that `json.dumps(..., allow_nan=False)` takes: NaN becomes None."""
        return {
            "num_samples": self.num_samples,
            "num_groups": self.num_groups,
            "chance": self.chance,
            "war": _finite(self.war),
            "uar": _finite(self.uar),
            "macro_f1": _finite(self.macro_f1),
            "ece": _finite(self.ece),
            "nll": _finite(self.nll),
            "support": dict(zip(self.labels, self.support, strict=True)),
            "recall": {name: _finite(r) for name, r in zip(self.labels, self.recall, strict=True)},
            "confusion": self.confusion.tolist(),
            "intervals": {name: list(ends) for name, ends in self.intervals.items()}
            if self.intervals
            else None,
            "intervals_note": self.intervals_note,
        }


def measure(
    probs: np.ndarray,
    target: np.ndarray,
    labels: Sequence[str],
    *,
    groups: Sequence[str] | None = None,
    num_bootstrap: int = 1000,
    seed: int = 0,
) -> Metrics:
    """All figures for probs (N, n) float, each row summing to 1, against target (N,) int class indices.

    `groups` (N,) names the subject of each sample; intervals resample whole subjects. An empty name means
    "not known" and counts as a group of its own kind only if nobody is known, in which case there are none.
    Raises ValueError where shapes disagree or a target is outside [0, n).
    """
    probs, target = np.asarray(probs, dtype=np.float64), np.asarray(target)
    num_classes = len(labels)
    if probs.shape != (len(target), num_classes):
        raise ValueError(
            f"probs {probs.shape} do not fit {len(target)} targets and {num_classes} labels: expected (N, n)"
        )
    if not np.issubdtype(target.dtype, np.integer):
        raise ValueError(f"target must hold class indices, not {target.dtype}")
    if len(target) and (target.min() < 0 or target.max() >= num_classes):
        raise ValueError(f"target classes {target.min()}..{target.max()} are outside 0..{num_classes - 1}")
    if groups is not None and len(groups) != len(target):
        raise ValueError(f"{len(groups)} groups do not fit {len(target)} targets")

    predicted = probs.argmax(axis=1)
    confusion = confusion_matrix(target, predicted, num_classes)
    war, uar, macro_f1 = scores_of(confusion)
    support = confusion.sum(axis=1)
    with np.errstate(invalid="ignore"):
        recall = np.diag(confusion) / np.where(support > 0, support, np.nan)
    likelihood = probs[np.arange(len(target)), target]
    nll = float(-np.log(np.maximum(likelihood, 1e-12)).mean()) if len(target) else float("nan")
    known = groups is not None and any(groups)
    num_groups = len(set(groups)) if known and groups is not None else 0
    intervals, note = _bootstrap(
        target, predicted, num_classes, groups if known else None, num_bootstrap, seed
    )
    return Metrics(
        labels=tuple(labels),
        num_samples=len(target),
        num_groups=num_groups,
        war=war,
        uar=uar,
        macro_f1=macro_f1,
        ece=expected_calibration_error(probs, target),
        nll=nll,
        support=tuple(int(s) for s in support),
        recall=tuple(float(r) for r in recall),
        confusion=confusion,
        intervals=intervals,
        intervals_note=note,
    )


def confusion_matrix(target: np.ndarray, predicted: np.ndarray, num_classes: int) -> np.ndarray:
    """(n, n) int64 counts, rows the truth, columns the prediction, from two (N,) arrays of class indices."""
    flat = np.bincount(target * num_classes + predicted, minlength=num_classes * num_classes)
    return flat.reshape(num_classes, num_classes)


def scores_of(confusion: np.ndarray) -> tuple[float, float, float]:
    """(WAR, UAR, macro-F1) of a confusion matrix (n, n); all NaN where it is empty."""
    support = confusion.sum(axis=1)
    if not support.sum():
        return float("nan"), float("nan"), float("nan")
    hits = np.diag(confusion)
    present = support > 0
    recall = hits[present] / support[present]
    f1 = 2 * hits[present] / (support[present] + confusion.sum(axis=0)[present])
    return float(hits.sum() / support.sum()), float(recall.mean()), float(f1.mean())


def expected_calibration_error(probs: np.ndarray, target: np.ndarray, num_bins: int = 15) -> float:
    """Mean gap between confidence and accuracy over equal-width bins of the confidence, weighted by count.

    probs (N, n), target (N,) class indices; NaN for N = 0. Bins are (low, high].
    """
    if not len(target):
        return float("nan")
    confidence = probs.max(axis=1)
    right = probs.argmax(axis=1) == target
    bins = np.clip(np.ceil(confidence * num_bins).astype(np.int64) - 1, 0, num_bins - 1)
    gap = np.bincount(bins, weights=confidence - right, minlength=num_bins)
    return float(np.abs(gap).sum() / len(target))


def _bootstrap(
    target: np.ndarray,
    predicted: np.ndarray,
    num_classes: int,
    groups: Sequence[str] | None,
    num_bootstrap: int,
    seed: int,
) -> tuple[dict[str, tuple[float, float]] | None, str]:
    """95 % percentile intervals by drawing whole groups with replacement."""
    if groups is None:
        return None, "no intervals: the subjects of the samples are not known"
    names, member = np.unique(np.asarray(groups, dtype=str), return_inverse=True)
    if len(names) < MIN_GROUPS:
        return None, f"no intervals: at least {MIN_GROUPS} subjects are needed, here are {len(names)}"
    # One confusion matrix per group: a resample is then a sum of matrices, not a pass over the samples.
    per_group = np.stack(
        [
            confusion_matrix(target[member == g], predicted[member == g], num_classes)
            for g in range(len(names))
        ]
    )
    rng = np.random.default_rng(seed)
    draws = rng.integers(len(names), size=(num_bootstrap, len(names)))
    scores = np.array([scores_of(per_group[draw].sum(axis=0)) for draw in draws])
    low, high = np.percentile(scores, [2.5, 97.5], axis=0)
    intervals = {name: (float(low[i]), float(high[i])) for i, name in enumerate(("war", "uar", "macro_f1"))}
    return intervals, f"95 % percentile intervals, {num_bootstrap} bootstrap draws of {len(names)} subjects"


def _finite(value: float) -> float | None:
    return float(value) if np.isfinite(value) else None
