"""All figures of a classifier on one set of samples: WAR, UAR, F1, calibration, per class, with intervals.

Letters in shapes: N samples, n classes. WAR (weighted average recall) is accuracy; UAR (unweighted average
recall) and macro-F1 are means over the classes that occur in the target, so that a class without a single
sample neither helps nor hurts.

Where the same samples were predicted by models of several seeds, figures are means over the seeds.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from videofer.evaluation.bootstrap import (
    NUM_DRAWS,
    draw_groups,
    drawn_figures,
    interval,
    number_groups,
    why_no_interval,
)
from videofer.evaluation.figures import (
    FIGURES,
    class_figures,
    confusion_of,
    figures_of,
    sums_of_seeds,
    sums_per_group,
)

Interval = tuple[float, float]


@dataclass(frozen=True, kw_only=True)
class Metrics:
    """The figures of one head on one set of samples. Undefined figures (no samples) are NaN."""

    labels: tuple[str, ...]
    num_samples: int
    """Labelled intervals, each counted once however many seeds there are."""
    num_groups: int
    """Distinct groups (subjects); 0 where groups are not known."""
    num_seeds: int
    war: float
    uar: float
    macro_f1: float
    weighted_f1: float
    """Mean F1 over the classes, each weighted by its samples."""
    ece: float
    nll: float
    """Mean negative log-probability of the true class, natural logarithm."""
    brier: float
    """Mean over samples of the squared distance between probabilities and truth, in [0, 2]."""
    support: tuple[int, ...]
    recall: tuple[float, ...]
    """Per class; NaN where a class has no sample, as F1."""
    precision: tuple[float, ...]
    """Per class; NaN where a class was never predicted."""
    f1: tuple[float, ...]
    confusion: np.ndarray
    """(n, n) int64: rows are the truth, columns the prediction. The sum over the seeds."""
    intervals: dict[str, Interval] | None
    """95 % intervals of FIGURES by a bootstrap over groups, or None."""
    recall_intervals: tuple[Interval, ...] | None
    seed_sd: dict[str, float] | None
    """Standard deviation (n - 1) of FIGURES between the seeds; None with one seed."""
    intervals_note: str
    """How the intervals were made, or why there are none."""

    @property
    def chance(self) -> float:
        """UAR and accuracy of guessing evenly among all classes of the model."""
        return 1.0 / len(self.labels)

    @property
    def majority(self) -> float:
        """Accuracy of always saying the most frequent class."""
        return max(self.support) / self.num_samples if self.num_samples else float("nan")

    @property
    def num_present(self) -> int:
        """Classes that occur in the truth: UAR and macro-F1 are means over these."""
        return sum(count > 0 for count in self.support)

    def to_json(self) -> dict[str, Any]:
        """A dict that `json.dumps(..., allow_nan=False)` takes: NaN becomes None."""
        per_class = {"recall": self.recall, "precision": self.precision, "f1": self.f1}
        return {
            "num_samples": self.num_samples,
            "num_groups": self.num_groups,
            "num_seeds": self.num_seeds,
            "num_classes_present": self.num_present,
            "chance": self.chance,
            "majority": finite(self.majority),
            **{name: finite(getattr(self, name)) for name in FIGURES},
            "support": dict(zip(self.labels, self.support, strict=True)),
            **{
                name: {label: finite(value) for label, value in zip(self.labels, values, strict=True)}
                for name, values in per_class.items()
            },
            "confusion": self.confusion.tolist(),
            "intervals": self.intervals and {name: list(ends) for name, ends in self.intervals.items()},
            "recall_intervals": self.recall_intervals
            and {
                label: None if np.isnan(ends[0]) else list(ends)
                for label, ends in zip(self.labels, self.recall_intervals, strict=True)
            },
            "seed_sd": self.seed_sd and {name: finite(value) for name, value in self.seed_sd.items()},
            "intervals_note": self.intervals_note,
        }


def measure(
    probs: np.ndarray,
    target: np.ndarray,
    labels: Sequence[str],
    *,
    groups: Sequence[str] | None = None,
    seeds: Sequence[int] | np.ndarray | None = None,
    num_bootstrap: int = NUM_DRAWS,
    seed: int = 0,
) -> Metrics:
    """All figures for probs (N, n) float, each row summing to 1, against target (N,) int class indices.

    `groups` (N,) names the subject of each sample; intervals resample whole subjects. Where every name is
    empty the subjects are not known, and there are none. `seeds` (N,): of the model that predicted the row;
    each seed must hold the same samples. Raises ValueError where shapes disagree, a target is outside [0, n)
    or a seed lacks samples that another has.
    """
    probs, target = np.asarray(probs, dtype=np.float64), np.asarray(target)
    _check_shapes(probs, target, labels, groups, seeds)
    known = groups is not None and any(groups)
    names, group = number_groups(groups if known and groups is not None else [""] * len(target))
    sums = sums_of_seeds(probs, target, group, len(names), None if seeds is None else np.asarray(seeds))
    num_classes = len(labels)
    totals = np.stack([one_seed.sum(axis=0) for one_seed in sums])  # (S, M)
    figures = figures_of(totals, num_classes)  # each (S,)
    per_class = [mean_known(values) for values in class_figures(confusion_of(totals, num_classes))]
    recall, precision, f1 = ([float(value) for value in values] for values in per_class)
    confusion = confusion_of(totals, num_classes).astype(np.int64)

    num_groups = len(names) if known else 0
    note = why_no_interval(num_groups)
    intervals, recall_intervals = None, None
    if note is None:
        drawn, drawn_recall = drawn_figures(sums, draw_groups(num_groups, num_bootstrap, seed), num_classes)
        intervals = {name: interval(drawn[name]) for name in FIGURES}
        recall_intervals = tuple(interval(column) for column in drawn_recall.T)
        note = f"95 % percentile intervals, {num_bootstrap} bootstrap draws of {num_groups} subjects"
    return Metrics(
        labels=tuple(labels),
        num_samples=len(target) // len(sums),
        num_groups=num_groups,
        num_seeds=len(sums),
        **{name: float(values.mean()) for name, values in figures.items()},
        support=tuple(int(count) for count in confusion[0].sum(axis=1)),
        recall=tuple(recall),
        precision=tuple(precision),
        f1=tuple(f1),
        confusion=confusion.sum(axis=0),
        intervals=intervals,
        recall_intervals=recall_intervals,
        seed_sd=None if len(sums) < 2 else {k: float(v.std(ddof=1)) for k, v in figures.items()},
        intervals_note=note,
    )


def expected_calibration_error(probs: np.ndarray, target: np.ndarray) -> float:
    """Mean gap between confidence and accuracy over equal-width bins of the confidence, weighted by count.

    probs (N, n), target (N,) class indices; NaN for N = 0.
    """
    probs = np.asarray(probs, dtype=np.float64)
    sums = sums_per_group(probs, np.asarray(target), np.zeros(len(probs), dtype=np.int64), 1)
    return float(figures_of(sums[0], probs.shape[1])["ece"])


def finite(value: float) -> float | None:
    """None for NaN and infinities, which JSON lacks."""
    return float(value) if np.isfinite(value) else None


def mean_known(values: np.ndarray) -> np.ndarray:
    """(S, ...) -> (...): the mean of what is defined, over the seeds say; NaN where nothing is."""
    known = np.isfinite(values)
    with np.errstate(invalid="ignore"):
        mean: np.ndarray = np.where(known, values, 0).sum(axis=0) / known.sum(axis=0)
    return mean


def _check_shapes(
    probs: np.ndarray,
    target: np.ndarray,
    labels: Sequence[str],
    groups: Sequence[str] | None,
    seeds: Sequence[int] | np.ndarray | None,
) -> None:
    num_classes = len(labels)
    if probs.shape != (len(target), num_classes):
        raise ValueError(
            f"probs {probs.shape} do not fit {len(target)} targets and {num_classes} labels: expected (N, n)"
        )
    if not np.issubdtype(target.dtype, np.integer):
        raise ValueError(f"target must hold class indices, not {target.dtype}")
    if len(target) and (target.min() < 0 or target.max() >= num_classes):
        raise ValueError(f"target classes {target.min()}..{target.max()} are outside 0..{num_classes - 1}")
    for name, values in (("groups", groups), ("seeds", seeds)):
        if values is not None and len(values) != len(target):
            raise ValueError(f"{len(values)} {name} do not fit {len(target)} targets")
