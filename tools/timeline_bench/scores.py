"""How right timelines are: by time, by segments, at onsets, and whether they are as sure as they are right.

Counted over all films together. Neutral is a label like any other by time; the segments that are looked for
are those of emotions.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from videofer.timeline.compare import match_segments, onset_errors
from videofer.timeline.segments import as_intervals, find_segments
from videofer.timeline.timeline import Timeline, probability_columns

NUM_BINS = 15  # of the calibration error
NEAR_SECONDS = 0.2  # of a change in the truth, where the demo does not count
LEAST_PROBABILITY = 1e-6  # in the log-likelihood

Case = tuple[Timeline, pd.DataFrame]
"""A timeline of one person, and its truth."""


@dataclass(frozen=True)
class FilmScores:
    """What is counted in one film; sums, so that films can be added up."""

    right: NDArray[np.float64]  # (P,) of pieces of time in which neither label changes: 1 or 0
    near: NDArray[np.bool_]  # (P,) nearer than NEAR_SECONDS to a change in the truth
    confidence: NDArray[np.float64]  # (P,) NaN without a prediction
    surprise: NDArray[np.float64]  # (P,) -log of the true label's probability, NaN without a prediction
    seconds: NDArray[np.float64]  # (P,)
    num_matched: int
    num_truth: int
    num_said: int
    onset_errors: NDArray[np.float64]  # seconds, said - truth


@dataclass(frozen=True)
class Scores:
    """Of all films together."""

    accuracy: float  # share of all time
    accuracy_inside: float  # of the time that is not near a change
    f1: float  # of segments, at an IoU of 0.5
    precision: float
    recall: float
    onset_median_ms: float
    onset_absolute_ms: float  # median of the absolute error
    num_onsets: int
    ece: float  # of the rows, by time
    mean_confidence: float
    log_loss: float
    accuracy_spread: float  # 95 % half-width, films drawn with replacement
    f1_spread: float


def score_film(timeline: Timeline, truth: pd.DataFrame) -> FilmScores:
    """Compare one film's timeline (one person) with its truth."""
    rows = timeline.rows
    starts, ends = rows["t_start"].to_numpy(float), rows["t_end"].to_numpy(float)
    true_starts, true_ends = truth["t_start"].to_numpy(float), truth["t_end"].to_numpy(float)
    around = np.concatenate([true_starts[1:] - NEAR_SECONDS, true_starts[1:] + NEAR_SECONDS])
    edges = np.unique(np.concatenate([starts, ends, true_starts, true_ends, around]))
    centres, seconds = (edges[:-1] + edges[1:]) / 2, np.diff(edges)
    true_row = np.clip(np.searchsorted(true_starts, centres, side="right") - 1, 0, None)
    known = (centres >= true_starts[0]) & (centres < true_ends[true_row])
    centres, seconds, true_row = centres[known], seconds[known], true_row[known]
    row = np.clip(np.searchsorted(starts, centres, side="right") - 1, 0, None)
    there = (centres >= starts[0]) & (centres < ends[row])

    true = truth["label"].to_numpy(object)[true_row]
    said = np.where(there, rows["label"].to_numpy(object)[row], "")
    classes = {name: index for index, name in enumerate(timeline.classes)}
    p = rows[probability_columns(timeline.classes)].to_numpy(float)[row]
    p_true = p[np.arange(len(row)), [classes[name] for name in true]]
    changes = np.concatenate([[-np.inf], true_starts[1:], [np.inf]])
    after = np.searchsorted(changes, centres)
    near = np.minimum(changes[after] - centres, centres - changes[after - 1]) < NEAR_SECONDS

    shown = truth[truth["label"] != "neutral"]
    found = as_intervals(find_segments(timeline)).drop(columns="person")
    found = found[found["label"] != "neutral"]
    return FilmScores(
        right=(said == true).astype(float),
        near=near,
        confidence=np.where(there, rows["confidence"].to_numpy(float)[row], np.nan),
        surprise=np.where(there, -np.log(np.maximum(p_true, LEAST_PROBABILITY)), np.nan),
        seconds=seconds,
        num_matched=len(match_segments(shown, found, 0.5)),
        num_truth=len(shown),
        num_said=len(found),
        onset_errors=onset_errors(shown, found)["error_seconds"].to_numpy(float),
    )


def score(cases: Iterable[Case], *, num_draws: int = 500) -> Scores:
    """All films together; the spread from num_draws draws of as many films."""
    films = [score_film(timeline, truth) for timeline, truth in cases]
    seconds = np.concatenate([film.seconds for film in films])
    right = np.concatenate([film.right for film in films])
    inside = ~np.concatenate([film.near for film in films])
    confidence = np.concatenate([film.confidence for film in films])
    surprise = np.concatenate([film.surprise for film in films])
    onsets = np.concatenate([film.onset_errors for film in films])
    known = np.isfinite(confidence)
    counts = np.array([(film.num_matched, film.num_truth, film.num_said) for film in films], dtype=float)
    time = np.array([(film.right @ film.seconds, film.seconds.sum()) for film in films])
    draws = np.random.default_rng(0).integers(len(films), size=(num_draws, len(films)))
    matched, num_truth, num_said = counts.sum(axis=0)
    return Scores(
        accuracy=float(right @ seconds / seconds.sum()),
        accuracy_inside=float(right[inside] @ seconds[inside] / seconds[inside].sum()),
        f1=float(_f1(counts.sum(axis=0))),
        precision=float(matched / max(1.0, num_said)),
        recall=float(matched / max(1.0, num_truth)),
        onset_median_ms=float(1000 * np.median(onsets)) if len(onsets) else float("nan"),
        onset_absolute_ms=float(1000 * np.median(np.abs(onsets))) if len(onsets) else float("nan"),
        num_onsets=len(onsets),
        ece=calibration_error(confidence[known], right[known], seconds[known]),
        mean_confidence=float(confidence[known] @ seconds[known] / seconds[known].sum()),
        log_loss=float(surprise[known] @ seconds[known] / seconds[known].sum()),
        accuracy_spread=_spread(time[draws].sum(axis=1)[..., 0] / time[draws].sum(axis=1)[..., 1]),
        f1_spread=_spread(_f1(counts[draws].sum(axis=1))),
    )


def calibration_error(
    confidence: NDArray[np.float64], right: NDArray[np.float64], seconds: NDArray[np.float64]
) -> float:
    """Expected calibration error over NUM_BINS bins of equal width, every piece (P,) by its seconds."""
    bins = np.minimum((confidence * NUM_BINS).astype(int), NUM_BINS - 1)
    excess = np.bincount(bins, weights=(confidence - right) * seconds, minlength=NUM_BINS)
    return float(np.abs(excess).sum() / seconds.sum())


def coverage(cases: Sequence[Case], thresholds: Sequence[float]) -> list[tuple[float, float, float]]:
    """(threshold, share of predicted time at least so sure, accuracy in it) for each threshold."""
    films = [score_film(timeline, truth) for timeline, truth in cases]
    confidence = np.concatenate([film.confidence for film in films])
    right = np.concatenate([film.right for film in films])
    seconds = np.where(np.isfinite(confidence), np.concatenate([film.seconds for film in films]), 0.0)
    lines = []
    for threshold in thresholds:
        kept = seconds * (np.nan_to_num(confidence) >= threshold)
        accuracy = float(right @ kept / kept.sum()) if kept.sum() else float("nan")
        lines.append((threshold, float(kept.sum() / seconds.sum()), accuracy))
    return lines


def _f1(counts: NDArray[np.float64]) -> NDArray[np.float64]:
    """Of (..., 3) matched, in the truth, said."""
    scores: NDArray[np.float64] = 2 * counts[..., 0] / np.maximum(1.0, counts[..., 1] + counts[..., 2])
    return scores


def _spread(values: NDArray[np.float64]) -> float:
    low, high = np.quantile(values, [0.025, 0.975])
    return float(high - low) / 2
