"""Segments in whole milliseconds, for the formats that count so: ELAN and subtitles."""

from __future__ import annotations

from dataclasses import dataclass

import pandas as pd


@dataclass(frozen=True)
class Mark:
    """Somebody shows something for a while."""

    person: int
    label: str
    start_ms: int  # media time, half-open
    end_ms: int
    probability: float  # mean of the label's over the time


def marks_of(segments: pd.DataFrame, *, by_class: bool = False) -> list[Mark]:
    """The segments (see `videofer.timeline.segments`) in order of time, those of one person without overlap;
    by_class: those of one person and class, where several may hold at once.

    Times are rounded to the nearest millisecond; a mark lasts at least one, later ones give way to it.
    """
    marks = []
    until: dict[tuple[int, str], int] = {}  # person, class -> end of the last mark
    ordered = segments.sort_values(["onset", "person"], kind="stable")
    columns = ("person", "label", "onset", "offset", "mean_probability")
    for person, label, onset, offset, probability in zip(
        *(ordered[name].tolist() for name in columns), strict=True
    ):
        place = person, label if by_class else ""
        start = max(round(onset * 1000), until.get(place, 0))
        end = max(round(offset * 1000), start + 1)
        until[place] = end
        marks.append(Mark(person, label, start, end, probability))
    return marks
