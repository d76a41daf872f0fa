"""Rows and segments as CSV and JSON lines."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, BinaryIO

import pandas as pd

from videofer.formats.text import defused, person_names

if TYPE_CHECKING:
    from videofer.timeline.timeline import Timeline

DECIMALS = 6  # microseconds, and probabilities far below their own uncertainty


def write_rows_csv(timeline: Timeline, file: BinaryIO) -> None:
    """The rows of the timeline, as `with_names` completes them; see `write_csv`."""
    write_csv(with_names(timeline, timeline.rows), file)


def write_segments_csv(timeline: Timeline, segments: pd.DataFrame, file: BinaryIO) -> None:
    """The segments of the timeline, as `with_names` completes them; see `write_csv`."""
    write_csv(with_names(timeline, segments), file)


def write_jsonl(timeline: Timeline, file: BinaryIO) -> None:
    """The rows of the timeline, as `with_names` completes them, one JSON object each; null where there is no
    value.
    """
    table = with_names(timeline, timeline.rows)
    columns = [_json_values(table[name]) for name in table.columns]
    for values in zip(*columns, strict=True):
        row = dict(zip(table.columns, values, strict=True))
        line = json.dumps(row, ensure_ascii=False, allow_nan=False) + "\n"
        file.write(line.encode("utf-8", errors="replace"))


def write_csv(table: pd.DataFrame, file: BinaryIO, *, separator: str = ",", missing: str = "") -> None:
    """UTF-8 with fixed decimals; `missing` where there is no value.

    Text that a spreadsheet would run as a formula gets a leading apostrophe; numbers are never touched.
    """
    safe = table.copy()
    for name in safe.columns:
        if not pd.api.types.is_numeric_dtype(safe[name]):
            texts = {text: defused(str(text)) for text in safe[name].dropna().unique()}
            safe[name] = safe[name].map(texts)
    safe.columns = pd.Index([defused(str(name)) for name in safe.columns])
    text = safe.to_csv(
        index=False, sep=separator, na_rep=missing, float_format=f"%.{DECIMALS}f", lineterminator="\n"
    )
    file.write(text.encode("utf-8"))


def with_names(timeline: Timeline, table: pd.DataFrame) -> pd.DataFrame:
    """The table with columns `person_name` after `person` and, last, `model`: which model says so, and that
    it is perceived expression. These files have no other place for either.
    """
    names = person_names(timeline)
    column = [None if pd.isna(person) else names[person] for person in table["person"].tolist()]
    named = table.copy()
    named.insert(
        list(table.columns).index("person") + 1, "person_name", pd.Series(column, table.index, object)
    )
    named["model"] = pd.Series(timeline.model.credit, table.index, object)
    return named


def _json_values(column: pd.Series) -> list[object]:
    """Plain Python values, None where there is none."""
    if pd.api.types.is_float_dtype(column):
        return [None if value != value else round(value, DECIMALS) for value in column.tolist()]
    return [None if pd.isna(value) else value for value in column.tolist()]
