"""Reads BORIS projects (.boris, .boris.gz): JSON with the ethogram and the events of every observation.

behaviors_conf  {"0": {"code": "smile", "type": "State event", ...}}
observations    {id: {"type": "MEDIA", "time offset": 0.0, "file": {"1": [path, ...], "2": []},
                 "media_info": {"length": {path: seconds}}, "events": [[time, subject, code, modifiers,
                 comment, ...], ...]}}
"""

from __future__ import annotations

import gzip
import io
import json
import math
import zlib
from collections import Counter
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from videofer.annotations.boris_events import Event, Observation, pair_states
from videofer.annotations.intervals import AnnotationError, Annotations, Interval, make_table

MAX_BYTES = 1 << 28  # of an unpacked project: a small file may unpack to terabytes


def read_boris_project(path: Path) -> Annotations:
    """Events of all observations of videos and of live ones; the observation is the tier.

    Left out with a note: observations of pictures (their events have no time) and states that do not end.
    AnnotationError where the file is no project.
    """
    try:
        project = json.loads(_content(path))
        if not isinstance(project, dict) or not {"observations", "behaviors_conf"} <= project.keys():
            raise ValueError("not a BORIS project: no observations and behaviors_conf in it")
        intervals: list[Interval] = []
        notes: list[str] = []
        states = _states(project["behaviors_conf"])
        for name, record in project["observations"].items():
            if record["type"] == "IMAGES":
                notes.append(f"observation {name!r} is of pictures: its events have no time; left out")
                continue
            observation = _observation(name, record)
            found, unpaired = pair_states(_events(record["events"], states), observation)
            intervals += found
            notes += unpaired
        return Annotations(path, make_table(intervals), tuple(notes))
    except (KeyError, TypeError, AttributeError, IndexError, OverflowError, RecursionError) as error:
        what = f"{type(error).__name__} {error}"
        raise AnnotationError(f"{path}: not a BORIS project as known: {what}") from None
    except ValueError as error:
        raise AnnotationError(f"{path}: {error}") from None


def _content(path: Path) -> str:
    data = path.read_bytes()
    if data.startswith(b"\x1f\x8b"):
        try:
            with gzip.GzipFile(fileobj=io.BytesIO(data)) as file:
                data = file.read(MAX_BYTES + 1)
        except (EOFError, OSError, zlib.error) as error:
            raise ValueError(f"not a whole gzip file: {error}") from None
        if len(data) > MAX_BYTES:
            raise ValueError(f"it holds more than {MAX_BYTES} bytes")
    return data.decode("utf-8-sig")


def _states(ethogram: Mapping[str, Any]) -> set[str]:
    """Codes of the behaviours that have a length."""
    return {one["code"] for one in ethogram.values() if str(one["type"]).startswith("State event")}


def _observation(name: str, record: Mapping[str, Any]) -> Observation:
    players = record["file"] or {}  # a live observation has an empty list
    files = tuple(players.get("1", ())) if isinstance(players, dict) else ()
    info = record.get("media_info") or {}
    known = info.get("length") or {}
    lengths = tuple(float(known[file]) for file in files) if all(file in known for file in files) else None
    offset = float(record.get("time offset") or 0)
    if record.get("media_creation_date_as_offset"):
        created = info.get("media_creation_time") or {}
        if len(files) != 1 or files[0] not in created:
            raise ValueError(
                f"observation {name!r} counts from the creation date of its media, which must be one file"
            )
        offset += float(created[files[0]])
    return Observation(name, tuple(file.replace("\\", "/") for file in files), lengths, offset)


def _events(events: list[list[Any]], states: set[str]) -> list[Event]:
    """The first event of a state starts it, the next one of the same subject and modifiers stops it."""
    found = []
    seen: Counter[tuple[str, str, str]] = Counter()
    for time, subject, behavior, modifiers, *_ in sorted(events, key=lambda event: float(event[0])):
        if not math.isfinite(float(time)):
            raise ValueError(f"{behavior!r} has the time {time!r}")
        what = (str(subject), str(behavior), str(modifiers))
        seen[what] += 1
        status = "POINT" if behavior not in states else "START" if seen[what] % 2 else "STOP"
        found.append(Event(float(time), *what, status))  # type: ignore[arg-type]
    return found
