"""Reads intervals from CSV and TSV: one row an interval, whatever the columns are called.

Among them are BIDS `_events.tsv`, our own segments, and what ELAN and Praat write as tables. What BORIS
exports has columns of its own and is handed to its reader.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from pathlib import Path

from videofer.annotations.boris_tables import is_boris_table, read_boris_table
from videofer.annotations.cells import read_cells, seconds, text
from videofer.annotations.intervals import AnnotationError, Annotations, Interval, make_table

SHOWN_LETTERS = 200  # of a header

# Column -> what it may be called, in lower case with `_` for spaces and hyphens. The first found is taken.
_NAMES = {
    "t_start": "t_start, start, onset, begin, begin_time, start_time, tmin, xmin, start_(s), begin_(s)",
    "t_end": "t_end, end, offset, stop, end_time, stop_time, tmax, xmax, stop_(s), end_(s)",
    "duration": "duration, duration_seconds, duration_(s)",
    "label": "label, emotion, expression, trial_type, behavior, behaviour, code, class, text",
    "person": "person_name, person, participant, subject, speaker, face",
    "rater": "rater, annotator, coder, observer, rater_id, annotator_id",
    "tier": "tier, tier_name",
    "media": "video, path, file, filename, media, clip, name",
}
NAMES = {column: tuple(names.split(", ")) for column, names in _NAMES.items()}


def read_delimited(path: Path) -> Annotations:
    """Intervals of a .csv, .tsv or .txt table with a header.

    Needs a start, an end or a duration, and a label (see NAMES). Rows without a label say nothing.
    AnnotationError names the row, as an editor counts lines.
    """
    rows = read_cells(path)
    if is_boris_table(rows):
        return read_boris_table(path, rows)
    header = next((row for row in rows if any(row)), [])
    columns = _columns(header, path)
    intervals = []
    first = rows.index(header) + 1
    for number, row in enumerate(rows[first:], start=first + 1):
        if not any(row):
            continue
        try:
            intervals.append(_interval(row, header, columns))
        except ValueError as error:
            raise AnnotationError(f"{path}, row {number}: {error}") from None
    try:
        return Annotations(path, make_table(intervals))
    except ValueError as error:
        raise AnnotationError(f"{path}: {error}") from None


def _columns(header: Sequence[str], path: Path) -> dict[str, int]:
    """Which cell of a row is what."""
    given = [cell.lower().replace(" ", "_").replace("-", "_") for cell in header]
    columns = {}
    there = ", ".join(header)
    there = there if len(there) <= SHOWN_LETTERS else there[:SHOWN_LETTERS] + " ..."
    for name, aliases in NAMES.items():
        place = next((given.index(alias) for alias in aliases if alias in given), None)
        if place is not None:
            columns[name] = place
    for need in ("t_start", "label"):
        if need not in columns:
            raise AnnotationError(f"{path}: no column for {need}: {', '.join(NAMES[need])} (there: {there})")
    if not {"t_end", "duration"} & set(columns):
        raise AnnotationError(f"{path}: no column for t_end or duration (there: {there})")
    return columns


def _interval(row: Sequence[str], header: Sequence[str], columns: dict[str, int]) -> Interval:
    if len(row) != len(header):
        raise ValueError(f"{len(row)} cells, but {len(header)} columns")
    cells = {name: row[place] for name, place in columns.items()}
    start = seconds(cells["t_start"], header[columns["t_start"]])
    end = math.nan
    if "t_end" in cells:
        end = seconds(cells["t_end"], header[columns["t_end"]])
    if math.isnan(end) and "duration" in cells:
        end = start + seconds(cells["duration"], header[columns["duration"]])
    label = text(cells["label"]) if cells["label"].lower() != "none" else cells["label"]  # none: no emotion
    if label is not None and (math.isnan(start) or math.isnan(end)):
        raise ValueError(f"{label!r} has no {'start' if math.isnan(start) else 'end'}")
    others = {name: text(cells.get(name, "")) for name in ("person", "rater", "tier", "media")}
    media = others.pop("media")
    return Interval(
        label or "", start, end, **others, media=None if media is None else media.replace("\\", "/")
    )
