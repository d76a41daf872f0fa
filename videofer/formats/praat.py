"""Segments as a Praat TextGrid: interval tiers of persons, each tiling the whole video."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import BinaryIO

import pandas as pd

from videofer.formats.text import one_line
from videofer.formats.tiers import Tier, tiers_of

Intervals = list[tuple[float, float, str]]


def write_textgrid(
    segments: pd.DataFrame,
    names: Mapping[int, str],
    duration_seconds: float,
    file: BinaryIO,
    *,
    annotator: str,
    classes: Sequence[str] = (),
) -> None:
    """Praat's long text format in UTF-8. Intervals without a segment have an empty label.

    names: of the persons, tiers in their order. Praat makes no TextGrid without a tier: where there are no
    persons, one is there that is empty. annotator: who watched, a comment at the end (Praat skips what
    follows an exclamation mark). classes: those with tiers of their own, where several may hold at once, see
    `tiers_of`.
    """
    shown = set(zip(segments["person"].tolist(), segments["label"].tolist(), strict=True))
    tiers = {
        tier.name: tiled(segments[_is_in(segments, tier)], duration_seconds)
        for tier in tiers_of(names or {-1: "nobody"}, classes, shown)
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


def _is_in(segments: pd.DataFrame, tier: Tier) -> pd.Series:
    mine = segments["person"] == tier.person
    return mine if tier.label is None else mine & (segments["label"] == tier.label)


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
