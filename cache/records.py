"""Commit records as JSON files, each guarded by its own checksum."""

from __future__ import annotations

import json
from dataclasses import asdict
from pathlib import Path
from typing import Any

import google_crc32c
import numpy as np

from cache.errors import CorruptError, StoreError
from cache.schema import SCHEMA_VERSION, LocalTrack, PersonRecord, SegmentRecord, VideoRecord


def canonical_json(value: Any) -> str:
    """The one JSON text of a value: sorted keys, no spaces, ASCII, NumPy values as plain numbers."""
    return json.dumps(value, sort_keys=True, separators=(",", ":"), allow_nan=False, default=_plain)


def record_to_bytes(record: VideoRecord) -> bytes:
    """Content of the commit file."""
    text = canonical_json(asdict(record))
    crc = google_crc32c.value(text.encode())
    return f'{{"schema_version":{SCHEMA_VERSION},"crc32c":{crc},"record":{text}}}\n'.encode()


def read_record(path: Path) -> VideoRecord:
    """Raises FileNotFoundError; CorruptError when damaged; StoreError for another schema version."""
    content = path.read_bytes()
    try:
        document = json.loads(content)
        version, crc, record = document["schema_version"], document["crc32c"], document["record"]
    except (ValueError, KeyError, TypeError) as error:
        raise CorruptError(f"commit record {path} is unreadable: {error!r}") from error
    if version != SCHEMA_VERSION:
        raise StoreError(f"{path} has schema version {version}, this program reads version {SCHEMA_VERSION}")
    if google_crc32c.value(canonical_json(record).encode()) != crc:
        raise CorruptError(f"commit record {path} is damaged: wrong checksum")
    try:
        return record_from_dict(record)
    except (KeyError, TypeError) as error:
        raise CorruptError(f"commit record {path} is unreadable: {error!r}") from error


def record_from_dict(data: dict[str, Any]) -> VideoRecord:
    """The inverse of `dataclasses.asdict`, after JSON made lists of the tuples."""
    segments = [segment_from_dict(segment) for segment in data["segments"]]
    persons = [
        PersonRecord(
            **{**person, "faces": _pairs(person["faces"]), "bodies": _pairs(person["bodies"])},
        )
        for person in data["persons"]
    ]
    numerator, denominator = data["time_base"]
    start_numerator, start_denominator = data["presentation_start"]
    changed = {
        "segments": segments,
        "persons": persons,
        "time_base": (numerator, denominator),
        "presentation_start": (start_numerator, start_denominator),
        "not_decoded": _pairs(data.get("not_decoded", [])),
    }
    return VideoRecord(**{**data, **changed})


def segment_from_dict(data: dict[str, Any]) -> SegmentRecord:
    """The inverse of `dataclasses.asdict`."""
    return SegmentRecord(**{**data, "tracks": [LocalTrack(**track) for track in data["tracks"]]})


def _pairs(items: list[list[int]]) -> list[tuple[int, int]]:
    return [(first, second) for first, second in items]


def _plain(value: Any) -> Any:
    if isinstance(value, np.generic | np.ndarray):
        return value.tolist()
    if isinstance(value, Path):
        return str(value)
    raise TypeError(f"{type(value).__name__} cannot be stored as JSON: {value!r}")
