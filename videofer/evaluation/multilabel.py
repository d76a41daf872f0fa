"""Figures where several classes may hold at once: each class is a question that is answered yes or no.

    mAP    mean over the classes of the average precision
    mRA    mean over the classes of the area under the ROC curve, as BoLD's authors call it
    F1     at the model's thresholds (see `training.thresholds`), mean over the classes
    WAR    share of all questions that are answered rightly, at the thresholds
    UAR    mean over the classes of the mean of the recalls of yes and no; guessing has one half
    ECE, NLL, Brier   of the probabilities, over all questions

The truth is yes where at least POSITIVE of the raters saw the class. Classes that nobody or everybody shows
have no average precision, ROC area or UAR, and count in no mean.

**ERS**, the emotion recognition score of BoLD (Luo et al., IJCV 128, 2020), for models with dimensions:
ERS = 1/2 (mR2 + 1/2 (mAP + mRA)), mR2 the mean R2 of valence, arousal and dominance.

Letters in shapes: N samples, n classes, W weightings of the samples (draws).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from videofer.data.targets import POSITIVE
from videofer.evaluation.bootstrap import NUM_DRAWS, draw_groups, interval, number_groups, why_no_interval
from videofer.evaluation.figures import NUM_BINS, bin_of
from videofer.evaluation.metrics import Interval, finite, mean_known
from videofer.evaluation.ranking import rank_figures

FIGURES = ("map", "mra", "macro_f1", "war", "uar", "ece", "nll", "brier")
PER_CLASS = ("average_precision", "roc_area", "f1", "precision", "recall")
_LEAST = 1e-12  # of a probability whose logarithm is taken


@dataclass(frozen=True, kw_only=True)
class MultilabelMetrics:
    """The figures of one head on one set of samples. Undefined ones are NaN."""

    labels: tuple[str, ...]
    num_samples: int
    num_groups: int
    """Distinct subjects; 0 where they are not known."""
    num_seeds: int
    figures: dict[str, float]
    """FIGURES; means over the seeds."""
    support: tuple[int, ...]
    """Samples in which the class holds."""
    per_class: dict[str, tuple[float, ...]]
    """PER_CLASS, each in the order of the labels."""
    intervals: dict[str, Interval] | None
    """95 % intervals of FIGURES, by drawing subjects."""
    intervals_note: str
    chance: float = 0.5
    """Of UAR and of each ROC area."""

    @property
    def war(self) -> float:
        return self.figures["war"]

    @property
    def uar(self) -> float:
        return self.figures["uar"]

    @property
    def macro_f1(self) -> float:
        return self.figures["macro_f1"]

    @property
    def ece(self) -> float:
        return self.figures["ece"]

    @property
    def nll(self) -> float:
        return self.figures["nll"]

    @property
    def recall(self) -> tuple[float, ...]:
        return self.per_class["recall"]

    @property
    def num_present(self) -> int:
        """Classes of which there are both: samples that show them and others."""
        return sum(0 < count < self.num_samples for count in self.support)

    @property
    def prevalence(self) -> float:
        """mAP of guessing: the mean share of samples that show a class."""
        shown = [count for count in self.support if 0 < count < self.num_samples]
        return float(np.mean(shown)) / self.num_samples if shown else float("nan")

    def to_json(self) -> dict[str, Any]:
        """A dict without NaN."""
        return {
            "targets": "multi",
            "num_samples": self.num_samples,
            "num_groups": self.num_groups,
            "num_seeds": self.num_seeds,
            "num_classes_present": self.num_present,
            "chance": self.chance,
            "prevalence": finite(self.prevalence),
            **{name: finite(value) for name, value in self.figures.items()},
            "support": dict(zip(self.labels, self.support, strict=True)),
            **{
                name: {label: finite(value) for label, value in zip(self.labels, values, strict=True)}
                for name, values in self.per_class.items()
            },
            "intervals": self.intervals and {name: list(ends) for name, ends in self.intervals.items()},
            "intervals_note": self.intervals_note,
        }


def measure_multilabel(
    probs: np.ndarray,
    truth: np.ndarray,
    labels: Sequence[str],
    *,
    says: np.ndarray | None = None,
    groups: Sequence[str] | None = None,
    seeds: np.ndarray | None = None,
    num_bootstrap: int = NUM_DRAWS,
    seed: int = 0,
) -> MultilabelMetrics:
    """probs (N, n) in [0, 1] against truth (N, n), shares of the raters.

    says (N, n) bool: the answers; None: yes from one half on. groups (N,): subjects, where they are known.
    seeds (N,): of the model that predicted the row. ValueError where shapes disagree.
    """
    if probs.shape != truth.shape or probs.shape[1:] != (len(labels),):
        raise ValueError(f"probs {probs.shape} and truth {truth.shape} must be (N, {len(labels)})")
    says = probs >= 0.5 if says is None else says
    holds = truth >= POSITIVE
    parts = [np.arange(len(probs))]
    if seeds is not None and len(seeds):
        parts = [np.flatnonzero(seeds == value) for value in np.unique(seeds)]
    by_seed = [_figures(probs[rows], holds[rows], says[rows], np.ones((1, len(rows)))) for rows in parts]
    per_class = {
        name: tuple(mean_known(np.stack([one[name][0] for one in by_seed])).tolist()) for name in PER_CLASS
    }
    known = groups is not None and any(groups)
    names, group = number_groups(groups if known and groups is not None else [""] * len(probs))
    num_groups = len(names) if known else 0
    note, intervals = why_no_interval(num_groups), None
    if note is None:
        drawn = drawn_figures(probs, holds, says, group, parts, draw_groups(num_groups, num_bootstrap, seed))
        intervals = {name: interval(drawn[name]) for name in FIGURES}
        note = f"95 % percentile intervals, {num_bootstrap} bootstrap draws of {num_groups} subjects"
    return MultilabelMetrics(
        labels=tuple(labels),
        num_samples=len(parts[0]),
        num_groups=num_groups,
        num_seeds=len(parts),
        figures={name: float(np.mean([one[name][0] for one in by_seed])) for name in FIGURES},
        support=tuple(int(count) for count in holds[parts[0]].sum(axis=0)),
        per_class=per_class,
        intervals=intervals,
        intervals_note=note,
    )


def drawn_figures(
    probs: np.ndarray,
    holds: np.ndarray,
    says: np.ndarray,
    group: np.ndarray,
    parts: Sequence[np.ndarray],
    weights: np.ndarray,
) -> dict[str, np.ndarray]:
    """FIGURES of each draw, each (D,). group: (N,) int; parts: rows of each seed; weights: (D, G)."""
    by_seed = [_figures(probs[rows], holds[rows], says[rows], weights[:, group[rows]]) for rows in parts]
    return {name: np.mean([one[name] for one in by_seed], axis=0) for name in FIGURES}


def as_questions(probs: np.ndarray, truth: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """probs, truth (N, n) -> as questions with two answers, no and yes: (N * n, 2), (N * n,) int64."""
    yes = probs.reshape(-1)
    return np.stack([1 - yes, yes], axis=1), (truth >= POSITIVE).reshape(-1).astype(np.int64)


def emotion_recognition_score(r2: np.ndarray, mean_ap: np.ndarray, mean_area: np.ndarray) -> np.ndarray:
    """BoLD's ERS of the mean R2, mAP and mRA, any shape."""
    score: np.ndarray = 0.5 * (r2 + 0.5 * (mean_ap + mean_area))
    return score


def _figures(
    probs: np.ndarray, holds: np.ndarray, says: np.ndarray, weights: np.ndarray
) -> dict[str, np.ndarray]:
    """FIGURES (W,) and PER_CLASS (W, n) of N samples, which count weights (W, N)."""
    by_sample = np.ascontiguousarray(weights.T)
    ranked = [rank_figures(p, h, by_sample) for p, h in zip(probs.T, holds.T, strict=True)]
    precision_area, area = (np.stack(part, axis=1) for part in zip(*ranked, strict=True))
    total = weights.sum(axis=1)[:, None]
    hits, yes, said = (weights @ part.astype(np.float64) for part in (holds & says, holds, says))  # (W, n)
    with np.errstate(invalid="ignore", divide="ignore"):
        recall, precision, f1 = hits / yes, hits / said, 2 * hits / (yes + said)
        recall_of_no = (total - yes - said + hits) / (total - yes)
        right = (total - yes - said + 2 * hits).mean(axis=1) / total[:, 0]
        f1 = np.where(yes > 0, f1, np.nan)
    clipped = np.clip(probs, _LEAST, 1 - _LEAST)
    nll = -(holds * np.log(clipped) + ~holds * np.log(1 - clipped)).mean(axis=1)
    brier = np.square(probs - holds).mean(axis=1)
    return {
        "average_precision": precision_area,
        "roc_area": area,
        "f1": f1,
        "precision": precision,
        "recall": recall,
        "map": _mean_of_classes(precision_area),
        "mra": _mean_of_classes(area),
        "macro_f1": _mean_of_classes(f1),
        "war": right,
        "uar": _mean_of_classes((recall + recall_of_no) / 2),
        "ece": _calibration_error(probs, holds, weights),
        "nll": weights @ nll / total[:, 0],
        "brier": weights @ brier / total[:, 0],
    }


def _calibration_error(probs: np.ndarray, holds: np.ndarray, weights: np.ndarray) -> np.ndarray:
    """(W,): gap between what is said of yes and how often it is so, over bins of the probability of yes."""
    place = bin_of(probs.reshape(-1)).reshape(probs.shape)
    gap = np.zeros((len(probs), NUM_BINS))
    rows = np.broadcast_to(np.arange(len(probs))[:, None], probs.shape)
    np.add.at(gap, (rows, place), probs - holds)
    error: np.ndarray = np.abs(weights @ gap).sum(axis=1) / (weights.sum(axis=1) * probs.shape[1])
    return error


def _mean_of_classes(values: np.ndarray) -> np.ndarray:
    """(W, n) -> (W,): over the classes in which the figure is defined, NaN where it is in none."""
    return mean_known(values.T)
