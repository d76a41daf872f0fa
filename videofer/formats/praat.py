"""Segments as a Praat TextGrid: an interval tier for each person, each tiling the whole video."""

from __future__ import annotations

from collections.abc import Mapping
from typing import BinaryIO

import pandas as pd

from videofer.formats.text import one_line

Intervals = list[tuple[float, float, str]]


def write_textgrid(
    segments: pd.DataFrame,
    names: Mapping[int, str],
    duration_seconds: float,
    file: BinaryIO,
    *,
    annotator: str,
) -> None:
    """Praat's long text format in UTF-8. Intervals without a segment have an empty label.

    names: of the persons, tiers in their order. Praat makes no TextGrid without a tier: where there are no
    persons, one is there that is empty. annotator: who watched, a comment at the end (Praat skips what
    follows an exclamation mark).
    """
    tiers = {
        name: tiled(segments[segments["person"] == person], duration_seconds)
        for person, name in (names or {-1: "nobody"}).items()
    }
    lines = [
        'File type = "ooTextFile"',
        'Object class = "TextGrid"',
        "",
        "xmin = 0",
        f"xmax = {_number(duration_seconds)}",
        "tiers? <exists>",
        f"size = {len(tiers)}",
        "item []:",
    ]
    for number, (name, intervals) in enumerate(tiers.items(), 1):
        lines += [
            f"    item [{number}]:",
            '        class = "IntervalTier"',
            f"        name = {_quoted(name)}",
            "        xmin = 0",
            f"        xmax = {_number(duration_seconds)}",
            f"        intervals: size = {len(intervals)}",
        ]
        for place, (start, end, label) in enumerate(intervals, 1):
            lines += [
                f"        intervals [{place}]:",
                f"            xmin = {_number(start)}",
                f"            xmax = {_number(end)}",
                f"            text = {_quoted(label)}",
            ]
    lines.append(f"! {one_line(annotator)}")
    file.write(("\n".join(lines) + "\n").encode("utf-8"))


def tiled(segments: pd.DataFrame, duration_seconds: float) -> Intervals:
    """One person's segments with the gaps between them: (start, end, label) that tile [0, duration)."""
    intervals: Intervals = []
    at = 0.0
    ordered = segments.sort_values("onset")
    for onset, offset, label in zip(ordered["onset"], ordered["offset"], ordered["label"], strict=True):
        if onset > at:
            intervals.append((at, float(onset), ""))
        intervals.append((float(onset), float(offset), one_line(str(label))))
        at = float(offset)
    if duration_seconds > at or not intervals:
        intervals.append((at, duration_seconds, ""))
    return intervals


def _number(seconds: float) -> str:
    return repr(round(seconds, 9))


def _quoted(text: str) -> str:
    return '"' + text.replace('"', '""') + '"'
