"""Two timelines of one video, side by side: by two models, two settings, two versions."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from videofer.emotions import in_order
from videofer.timeline.compare import (
    SegmentScore,
    cohen_kappa,
    confusion_seconds,
    onset_errors,
    segment_f1,
)
from videofer.timeline.plain import without_nan
from videofer.timeline.segments import as_intervals, find_segments
from videofer.timeline.timeline import BOX_COLUMNS, Timeline, TimelineError, probability_columns

SAME_PLACE_IOU = 0.3
"""Tracks whose face boxes overlap less than this, on average, are not one person."""


@dataclass(frozen=True, kw_only=True)
class PersonComparison:
    """One person, as two timelines see them. Shares are of the time for which both have a prediction."""

    person: int  # in the first timeline
    other_person: int  # in the second
    seconds: float  # of that time
    share_same_label: float
    kappa: float  # over time; NaN where both say one label only
    probability_distance: float
    """Mean over time of half the sum of |p - q| over the classes, in [0, 1]; of a model that says several at
    once of their mean. NaN: other classes."""
    segments: SegmentScore  # at an IoU of 0.5, the first timeline as the truth
    onset_lag_seconds: float  # median of second - first, over segments of both; NaN without any
    num_onsets: int


@dataclass(frozen=True, kw_only=True)
class TimelineComparison:
    """Two timelines. Figures of the whole are those of all matched persons together."""

    persons: tuple[PersonComparison, ...]
    only_first: tuple[int, ...]  # persons of the first timeline whom the second does not have
    only_second: tuple[int, ...]
    seconds: float
    share_same_label: float
    kappa: float

    def to_json(self) -> dict[str, Any]:
        """As JSON takes it: None in place of NaN."""
        values: dict[str, Any] = without_nan(asdict(self))
        return values


def compare_timelines(first: Timeline, second: Timeline) -> TimelineComparison:
    """Compare two timelines of one video. Raises TimelineError where they are of two (by content hash).

    Persons are matched by where and when their faces are (`match_persons`).
    """
    if first.video.key != second.video.key:
        raise TimelineError(
            f"the timelines are of two videos: {first.video.name!r} ({first.video.key[:12]}) and "
            f"{second.video.name!r} ({second.video.key[:12]})"
        )
    matched = match_persons(first, second)
    segments = [as_intervals(find_segments(one)).set_index("person") for one in (first, second)]
    persons, confusions = [], []
    for a, b in matched:
        rows = [one[_predicted(one)] for one in (first.rows_of(a), second.rows_of(b))]
        confusion = confusion_seconds(rows[0], rows[1])
        said = [table.loc[table.index == person] for table, person in zip(segments, (a, b), strict=True)]
        lags = onset_errors(said[0], said[1])["error_seconds"]
        confusions.append(confusion)
        persons.append(
            PersonComparison(
                person=a,
                other_person=b,
                seconds=float(confusion.to_numpy().sum()),
                share_same_label=_share_same(confusion),
                kappa=cohen_kappa(confusion),
                probability_distance=_probability_distance(first, second, rows[0], rows[1]),
                segments=segment_f1(said[0], said[1]),
                onset_lag_seconds=float(lags.median()) if len(lags) else float("nan"),
                num_onsets=len(lags),
            )
        )
    labels = in_order(label for confusion in confusions for label in confusion.index)
    total = pd.DataFrame(0.0, index=labels, columns=labels)
    for confusion in confusions:
        total = total.add(confusion.reindex(index=labels, columns=labels, fill_value=0.0))
    return TimelineComparison(
        persons=tuple(persons),
        only_first=tuple(p.id for p in first.persons if p.id not in {a for a, _ in matched}),
        only_second=tuple(p.id for p in second.persons if p.id not in {b for _, b in matched}),
        seconds=float(total.to_numpy().sum()),
        share_same_label=_share_same(total),
        kappa=cohen_kappa(total),
    )


def match_persons(first: Timeline, second: Timeline) -> list[tuple[int, int]]:
    """Pairs (person of the first, person of the second), in order of the first.

    The pairs share as much time as can be, weighted by how far their face boxes overlap. Persons without
    boxes on one side (bodies only) are matched by time alone.
    """
    from scipy.optimize import linear_sum_assignment

    shared = np.array(
        [
            [_shared_seconds(first.rows_of(a.id), second.rows_of(b.id)) for b in second.persons]
            for a in first.persons
        ]
    ).reshape(len(first.persons), len(second.persons))
    chosen = linear_sum_assignment(shared, maximize=True)
    return [
        (first.persons[i].id, second.persons[j].id) for i, j in zip(*chosen, strict=True) if shared[i, j] > 0
    ]


def _shared_seconds(first: pd.DataFrame, second: pd.DataFrame) -> float:
    """Seconds that both persons are there, times the mean overlap of their boxes; 0 if that is too small."""
    a, b, seconds = _side_by_side(first, second)
    if not len(seconds):
        return 0.0
    boxes = [rows[list(BOX_COLUMNS)].to_numpy(dtype=np.float64)[at] for rows, at in ((first, a), (second, b))]
    known = np.isfinite(boxes[0]).all(axis=1) & np.isfinite(boxes[1]).all(axis=1)
    if not known.any():
        return float(seconds.sum())
    overlap = float(_box_iou(boxes[0][known], boxes[1][known]) @ seconds[known] / seconds[known].sum())
    return overlap * float(seconds.sum()) if overlap >= SAME_PLACE_IOU else 0.0


def _box_iou(a: NDArray[np.float64], b: NDArray[np.float64]) -> NDArray[np.float64]:
    """(N,) intersection over union of boxes (N, 4) x0, y0, x1, y1."""
    sides = np.maximum(0.0, np.minimum(a[:, 2:], b[:, 2:]) - np.maximum(a[:, :2], b[:, :2]))
    common = sides.prod(axis=1)
    areas = [(box[:, 2:] - box[:, :2]).prod(axis=1) for box in (a, b)]
    union = areas[0] + areas[1] - common
    shares: NDArray[np.float64] = np.divide(common, union, out=np.zeros_like(common), where=union > 0)
    return shares


def _probability_distance(a: Timeline, b: Timeline, first: pd.DataFrame, second: pd.DataFrame) -> float:
    if set(a.classes) != set(b.classes):
        return float("nan")
    at_first, at_second, seconds = _side_by_side(first, second)
    if not len(seconds):
        return float("nan")
    columns = probability_columns(a.classes)
    p, q = first[columns].to_numpy()[at_first], second[columns].to_numpy()[at_second]
    apart = np.abs(p - q)
    overlap = any(one.thresholds is not None for one in (a, b))
    distance = apart.mean(axis=1) if overlap else apart.sum(axis=1) / 2
    return float(distance @ seconds / seconds.sum())


def _predicted(rows: pd.DataFrame) -> NDArray[np.bool_]:
    return rows["confidence"].notna().to_numpy(dtype=bool)


def _side_by_side(
    first: pd.DataFrame, second: pd.DataFrame
) -> tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.float64]]:
    """Rows of the first and of the second (positions, (P,)) that hold at one time, and for how long."""
    tables = [
        (rows["t_start"].to_numpy(dtype=np.float64), rows["t_end"].to_numpy(dtype=np.float64))
        for rows in (first, second)
    ]
    edges = np.unique(np.concatenate([times for table in tables for times in table]))
    centres, lengths = (edges[:-1] + edges[1:]) / 2, np.diff(edges)
    at, held = [], np.ones(len(centres), dtype=bool)
    for start, end in tables:
        row = np.searchsorted(start, centres, side="right") - 1
        held &= (row >= 0) & (centres < end[np.maximum(row, 0)]) if len(start) else False
        at.append(row)
    return at[0][held], at[1][held], lengths[held]


def _share_same(confusion: pd.DataFrame) -> float:
    seconds = confusion.to_numpy()
    return float(np.trace(seconds) / seconds.sum()) if seconds.sum() > 0 else float("nan")
