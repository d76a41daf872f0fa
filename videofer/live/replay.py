"""From the events of a stream to the rows of its timeline: what was emitted, with what turned out later."""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Iterable
from typing import Any

import pandas as pd

from cache.errors import UserError
from videofer.live.engine import FORMAT
from videofer.timeline.timeline import row_columns


def replay(events: Iterable[dict[str, Any]]) -> pd.DataFrame:
    """The rows as in `videofer.timeline.timeline`, persons numbered as an offline run numbers them.

    events: all of a stream, from `start` on; where `end` is missing, persons keep the numbers of the stream.
    Raises UserError for events of another format.
    """
    events = iter(events)
    start = next(events, {})
    if start.get("event") != "start" or start.get("format") != FORMAT:
        begin = str(start)[:80]
        raise UserError(f"these are no events of a stream of format {FORMAT}: they begin with {begin}")
    rows: list[dict[str, Any]] = []
    for event in events:
        match event["event"]:
            case "row":
                rows.append(event)
            case "merge":
                rows = _merged(rows, event["person"], event["into"], start["hop_seconds"])
            case "revise":
                rows = [row for row in rows if not _is_replaced(row, event)] + event["rows"]
            case "end":
                names = {one["number"]: one["person"] for one in event["persons"]}
                rows = [{**row, "person": names.get(row["person"], row["person"])} for row in rows]
    columns = row_columns(start["classes"], start["modalities"])
    table = pd.DataFrame(rows, columns=columns)
    table["person"] = table["person"].astype("Int64")
    return table.sort_values(["t_start", "person"], kind="stable", ignore_index=True)


def _merged(rows: list[dict[str, Any]], gone: int, into: int, hop_seconds: float) -> list[dict[str, Any]]:
    """Rows of one person as those of another. Where both have some, those stay that cover more of the hop."""
    covered: dict[tuple[int, int], float] = defaultdict(float)
    for row in rows:
        if row["person"] in (gone, into):
            covered[_cell(row, hop_seconds), row["person"]] += row["t_end"] - row["t_start"]
    merged = []
    for row in rows:
        if row["person"] in (gone, into):
            cell = _cell(row, hop_seconds)
            wins = covered[cell, gone] > covered[cell, into] + 1e-6
            if wins != (row["person"] == gone):
                continue
            row = {**row, "person": into}
        merged.append(row)
    return merged


def _cell(row: dict[str, Any], hop_seconds: float) -> int:
    return math.floor(_centre(row) / hop_seconds)


def _is_replaced(row: dict[str, Any], event: dict[str, Any]) -> bool:
    return bool(row["person"] == event["person"] and event["t_start"] <= _centre(row) < event["t_end"])


def _centre(row: dict[str, Any]) -> float:
    return float(row["t_start"] + row["t_end"]) / 2
