"""From rows to segments: stretches of time in which a person shows one expression.

    segments = find_segments(timeline)

Every class, neutral too, can be a segment. By hysteresis (`Segmentation`): one begins where its class is at
least `enter`, and ends where its class is less than `leave`, or where another one that is at least `enter` is
likelier. With Viterbi smoothing the path has decided already: segments are its stretches.

Then segments of one class with no more than `merge_seconds` between them, and no other segment there, become
one; those shorter than `min_seconds` are none; and what they lay between is merged once more.

Of a model that says several classes at once (`several`) each class has segments of its own, which may
overlap: one begins where the class is at least at the model's threshold for it, and ends below that times
leave / enter.

A row without a prediction, one in which the person is hidden and one labelled `uncertain` end a segment, and
nothing is merged across them. Segments begin and end at edges of rows; those of one person (and class, where
several are said at once) never overlap.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from videofer.timeline.settings import Segmentation
from videofer.timeline.several import segmentation_at
from videofer.timeline.timeline import UNCERTAIN, Timeline, probability_columns

SEGMENT_COLUMNS = (
    "person", "label", "onset", "apex", "offset", "duration", "mean_probability", "apex_probability",
)  # fmt: skip
SEEN = ("ok", "no_face")
"""States of rows in which the person is seen."""
TOUCHING_SECONDS = 1e-6  # rows closer than this follow each other

Floats = NDArray[np.float64]


@dataclass(frozen=True)
class _Run:
    """Rows [first, end) of one person in one class."""

    state: int
    first: int
    end: int


def find_segments(timeline: Timeline) -> pd.DataFrame:
    """SEGMENT_COLUMNS, a row for each segment, by onset, then person.

    onset, offset: media seconds, half-open; apex: the middle of the row in which the class is likeliest, the
    first of several; duration: seconds. mean_probability (over time) and apex_probability: of the class.
    """
    found = [
        _person_segments(timeline, person.id, timeline.rows_of(person.id)) for person in timeline.persons
    ]
    table = pd.DataFrame(
        [segment for segments in found for segment in segments], columns=list(SEGMENT_COLUMNS)
    )
    for column in SEGMENT_COLUMNS:
        table[column] = table[column].astype(
            "int64" if column == "person" else "object" if column == "label" else "float64"
        )
    return table.sort_values(["onset", "person"], kind="stable", ignore_index=True)


def as_intervals(segments: pd.DataFrame) -> pd.DataFrame:
    """Segments as a table of person, label, t_start, t_end, as comparisons take it."""
    renamed = segments.rename(columns={"onset": "t_start", "offset": "t_end"})
    return renamed[["person", "label", "t_start", "t_end"]]


def _person_segments(timeline: Timeline, person: int, rows: pd.DataFrame) -> list[tuple[object, ...]]:
    p = rows[probability_columns(timeline.classes)].to_numpy(dtype=np.float64)
    start, end = rows["t_start"].to_numpy(dtype=np.float64), rows["t_end"].to_numpy(dtype=np.float64)
    label = rows["label"].to_numpy(dtype=object)
    usable = usable_rows(rows, timeline.classes)
    settings = timeline.settings.segmentation
    thresholds = timeline.thresholds
    if thresholds is not None:
        return [
            segment
            for place, threshold in enumerate(thresholds.tolist())
            for segment in _of_class(person, timeline, p, place, start, end, usable, threshold)
        ]
    usable &= label != UNCERTAIN
    if timeline.settings.smoothing.method == "viterbi":
        place = {name: index for index, name in enumerate(timeline.classes)}
        states = np.array([place.get(name, -1) for name in label], dtype=np.int64)
    else:
        states = None
    found: list[tuple[object, ...]] = []
    for first, last in stretches_of(start, end, usable):
        inside = slice(first, last)
        chosen = hysteresis(p[inside], settings) if states is None else states[inside]
        for run in _tidied(chosen, start[inside], end[inside], settings):
            name, own = timeline.classes[run.state], p[:, run.state]
            found.append(_segment(person, name, own, start, end, first + run.first, first + run.end))
    return found


def usable_rows(rows: pd.DataFrame, classes: Sequence[str]) -> NDArray[np.bool_]:
    """(R,): rows with a prediction in which the person is seen."""
    p = rows[probability_columns(classes)].to_numpy(dtype=np.float64)
    usable: NDArray[np.bool_] = np.isfinite(p).all(axis=1) & rows["state"].isin(SEEN).to_numpy()
    return usable


def _of_class(
    person: int,
    timeline: Timeline,
    p: Floats,
    place: int,
    start: Floats,
    end: Floats,
    usable: NDArray[np.bool_],
    threshold: float,
) -> Iterator[tuple[object, ...]]:
    """Segments of one class by itself."""
    settings = segmentation_at(timeline.settings.segmentation, threshold)
    for first, last in stretches_of(start, end, usable):
        inside = slice(first, last)
        chosen = hysteresis(p[inside, place : place + 1], settings)
        for run in _tidied(chosen, start[inside], end[inside], settings):
            a, b = first + run.first, first + run.end
            yield _segment(person, timeline.classes[place], p[:, place], start, end, a, b)


def _segment(
    person: int, label: str, p: Floats, start: Floats, end: Floats, a: int, b: int
) -> tuple[object, ...]:
    """SEGMENT_COLUMNS of the rows [a, b), whose class has the probabilities p (R,)."""
    own, seconds = p[a:b], end[a:b] - start[a:b]
    apex = a + int(own.argmax())
    return (
        person, label, float(start[a]), float(start[apex] + end[apex]) / 2, float(end[b - 1]),
        float(end[b - 1] - start[a]), float(own @ seconds / seconds.sum()), float(p[apex]),
    )  # fmt: skip


def stretches_of(start: Floats, end: Floats, usable: NDArray[np.bool_]) -> Iterator[tuple[int, int]]:
    """Rows [first, last) that are usable and follow each other without a gap."""
    if not usable.any():
        return
    breaks = np.flatnonzero(
        (usable[1:] != usable[:-1]) | (start[1:] - end[:-1] > TOUCHING_SECONDS)
    ) + 1  # fmt: skip
    for first, last in pairwise([0, *breaks.tolist(), len(usable)]):
        if usable[first]:
            yield first, last


def hysteresis(probabilities: Floats, settings: Segmentation) -> NDArray[np.int64]:
    """probabilities (R, n) of rows that follow each other -> the class each row is in, -1: in none."""
    states = np.full(len(probabilities), -1, dtype=np.int64)
    state = -1
    likeliest = probabilities.argmax(axis=1).tolist()
    for row, (values, best) in enumerate(zip(probabilities.tolist(), likeliest, strict=True)):
        own = values[state] if state >= 0 else -1.0
        if own < settings.leave:
            state, own = -1, -1.0
        if values[best] >= settings.enter and values[best] > own:
            state = best
        states[row] = state
    return states


def _tidied(states: NDArray[np.int64], start: Floats, end: Floats, settings: Segmentation) -> list[_Run]:
    """Runs of one state each, merged over short gaps, without short ones."""
    edges = [0, *(np.flatnonzero(np.diff(states)) + 1).tolist(), len(states)]
    runs = [_Run(int(states[a]), a, b) for a, b in pairwise(edges) if states[a] >= 0]
    runs = _merged(runs, start, end, settings.merge_seconds)
    shortest = settings.min_seconds - TOUCHING_SECONDS
    runs = [run for run in runs if end[run.end - 1] - start[run.first] >= shortest]
    return _merged(runs, start, end, settings.merge_seconds)


def _merged(runs: Sequence[_Run], start: Floats, end: Floats, merge_seconds: float) -> list[_Run]:
    """Neighbours of one state with a short gap between them as one."""
    merged: list[_Run] = []
    for run in runs:
        before = merged[-1] if merged else None
        if (
            before is not None
            and before.state == run.state
            and start[run.first] - end[before.end - 1] <= merge_seconds + TOUCHING_SECONDS
        ):
            merged[-1] = _Run(run.state, before.first, run.end)
        else:
            merged.append(run)
    return merged
