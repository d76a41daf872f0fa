"""Reads what BORIS exports as CSV or TSV: aggregated events (a row a state), tabular events (a row an event).

The columns changed over the years: the file of an event is `Media file name`, `Media file` or
`Media file path`; all files stand in `Source` or `Media file(s)` as `player #1:a.mp4;b.mp4|player #2:c.mp4`.
Older tabular exports begin with lines about the observation, before the header.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from videofer.annotations.boris_events import Event, Observation, pair_states, placed
from videofer.annotations.cells import seconds, text
from videofer.annotations.intervals import AnnotationError, Annotations, Interval, make_table

Row = Mapping[str, str]

AGGREGATED = {"behavior", "behavior type", "start (s)", "stop (s)"}
TABULAR = {"behavior", "subject", "time"}
STATUS = ("behavior type", "status")  # columns of START, STOP, POINT in tabular exports
FILES = ("source", "media file(s)")
FILE = ("media file name", "media file", "media file path")


def is_boris_table(rows: Sequence[Sequence[str]]) -> bool:
    """Whether these are cells of an export of BORIS."""
    return _header(rows) is not None


def read_boris_table(path: Path, rows: Sequence[Sequence[str]]) -> Annotations:
    """Intervals of an export; the observation is the tier. AnnotationError names the row that is wrong."""
    place = _header(rows)
    assert place is not None
    header = [cell.lower() for cell in rows[place]]
    lines = [(row[0].lower(), row[1]) for row in rows[:place] if len(row) > 1 and row[0]]
    preamble = dict(lines) | {"media file(s)": ";".join(file for name, file in lines if name == "player #1")}
    table: list[tuple[int, Row]] = []
    for number, row in enumerate(rows[place + 1 :], start=place + 2):
        if any(row):
            whole = [*row, *[""] * (len(header) - len(row))]  # empty cells at the end may have been cut off
            table.append((number, dict(zip(header, whole, strict=False))))
    convert = _aggregated if set(header) >= AGGREGATED else _tabular
    try:
        if not preamble["media file(s)"]:
            _check_files(table)
        intervals, notes = convert(table, preamble)
        return Annotations(path, make_table(intervals), tuple(notes))
    except ValueError as error:
        raise AnnotationError(f"{path}: {error}") from None


def _header(rows: Sequence[Sequence[str]]) -> int | None:
    for place, row in enumerate(rows):
        cells = {cell.lower() for cell in row}
        if cells >= AGGREGATED or (cells >= TABULAR and cells & set(STATUS)):
            return place
    return None


def _aggregated(table: Sequence[tuple[int, Row]], preamble: Row) -> tuple[list[Interval], list[str]]:
    intervals = []
    for number, row in table:
        start = _in_row(number, lambda row=row: seconds(row["start (s)"], "Start (s)"))  # type: ignore[misc]
        stop = _in_row(number, lambda row=row: seconds(row.get("stop (s)", ""), "Stop (s)"))  # type: ignore[misc]
        if math.isnan(start):
            raise ValueError(f"row {number}: Start (s) is empty: events of pictures have no time")
        point = row["behavior type"].upper() == "POINT"
        if math.isnan(stop) and not point:
            raise ValueError(f"row {number}: the state {row['behavior']!r} has no Stop (s)")
        event = Event(start, row.get("subject", ""), row["behavior"], _modifiers(row), "START")
        intervals += placed(event, start if point else stop, _observation(row, preamble))
    return intervals, []


def _tabular(table: Sequence[tuple[int, Row]], preamble: Row) -> tuple[list[Interval], list[str]]:
    events: dict[Observation, list[Event]] = {}
    for number, row in table:
        status = next(row[name] for name in STATUS if name in row).upper()
        if status not in ("START", "STOP", "POINT"):
            raise ValueError(f"row {number}: the status must be START, STOP or POINT, not {status!r}")
        time = _in_row(number, lambda row=row: seconds(row["time"], "Time"))  # type: ignore[misc]
        if math.isnan(time):
            raise ValueError(f"row {number}: Time is empty: events of pictures have no time")
        events.setdefault(_observation(row, preamble), []).append(
            Event(time, row["subject"], row["behavior"], _modifiers(row), status)  # type: ignore[arg-type]
        )
    intervals: list[Interval] = []
    notes: list[str] = []
    for observation, of_it in events.items():
        found, unpaired = pair_states(of_it, observation)
        intervals += found
        notes += unpaired
    return intervals, notes


def _check_files(table: Sequence[tuple[int, Row]]) -> None:
    """Times run on from one file of an observation to the next: the list of files is needed."""
    files: dict[str, str] = {}
    for number, row in table:
        if any(text(row.get(key, "")) for key in FILES):
            continue
        name = row.get("observation id", "")
        file = next((row[key] for key in FILE if text(row.get(key, ""))), "")
        if files.setdefault(name, file) != file:
            raise ValueError(
                f"row {number}: observation {name!r} runs through several videos, and this export does not"
                " say how long each is: give the .boris project"
            )


def _modifiers(row: Row) -> str:
    """Of the column `Modifiers`, or `Modifier #1`, `Modifier #2`, ..."""
    return "|".join(cell for name, cell in row.items() if name.startswith("modifier"))


def _in_row(number: int, read: Callable[[], float]) -> float:
    try:
        return read()
    except ValueError as error:
        raise ValueError(f"row {number}: {error}") from None


def _observation(row: Row, preamble: Row) -> Observation:
    """What a row, or the lines above the header, say of the clock."""
    about = {**preamble, **row}
    name = about.get("observation id", "")
    offset = seconds(about.get("time offset (s)", ""), "Time offset (s)")
    everything = next((text(about[key]) for key in FILES if text(about.get(key, ""))), None)
    if everything is not None:
        files = _first_player(everything)
    else:
        files = tuple(about[key] for key in FILE if text(about.get(key, "")))[:1]
    durations = about.get("media duration (s)", "").split("|")[0]
    lengths = tuple(seconds(cell, "Media duration (s)") for cell in durations.split(";") if cell)
    return Observation(
        name,
        tuple(file.strip().replace("\\", "/") for file in files if text(file.strip())),
        lengths or None,
        0.0 if math.isnan(offset) else offset,
    )


def _first_player(source: str) -> tuple[str, ...]:
    """`player #1:a.mp4;b.mp4|player #2:c.mp4` -> the files of the first player."""
    first = source.split("|")[0].strip()
    if first.lower().startswith("player #1:"):
        first = first[len("player #1:") :]
    return tuple(first.split(";"))
