"""What is written beside a fetched file, as `NAME.json`: where it comes from, its hash, its licence.

For a file whose hash is published nowhere this is the only thing that it can be held to: what came first is
recorded, and what lies there later must be the same.
"""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path

from cache.atomic import atomic_write_text
from preprocessing.weights.registry import Weight, WeightsError


@dataclass(frozen=True)
class Record:
    """Of one file on this machine."""

    file: str
    sha256: str
    num_bytes: int
    url: str | None
    licence: str
    commercial: bool
    citation: str
    fetched: str  # when, in UTC


def record_of(weight: Weight, sha256: str, num_bytes: int) -> Record:
    """What is known of a file that has just come."""
    return Record(
        file=weight.file,
        sha256=sha256,
        num_bytes=num_bytes,
        url=weight.url,
        licence=weight.licence,
        commercial=weight.commercial,
        citation=weight.citation,
        fetched=datetime.now(UTC).isoformat(timespec="seconds"),
    )


def record_path(path: Path) -> Path:
    """Where the record of the file at `path` lies."""
    return path.with_name(path.name + ".json")


def read_record(path: Path) -> Record | None:
    """The record beside the file at `path`; None if there is none. WeightsError if it is not readable."""
    beside = record_path(path)
    try:
        return Record(**json.loads(beside.read_text(encoding="utf-8")))
    except FileNotFoundError:
        return None
    except (OSError, ValueError, TypeError) as error:
        raise WeightsError(f"{beside} is no record of weights: remove it and the file") from error


def write_record(path: Path, record: Record) -> None:
    """Writes it beside the file at `path`, whole or not at all."""
    atomic_write_text(record_path(path), json.dumps(asdict(record), indent=2) + "\n")
