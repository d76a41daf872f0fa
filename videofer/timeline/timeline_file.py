"""A timeline as one file: Parquet, which any reader takes as a plain table of the rows.

What else a timeline knows (persons, video, model, settings, provenance) is JSON in the metadata of the
schema, under `videofer`. Pages carry checksums. A file is the old one or the new one at any time.
"""

from __future__ import annotations

import json
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
from pydantic import BaseModel, ConfigDict, ValidationError

from cache.atomic import atomic_write
from videofer.timeline.settings import TimelineSettings
from videofer.timeline.timeline import (
    ModelFacts,
    Person,
    Timeline,
    TimelineError,
    VideoFacts,
    affect_columns,
    probability_columns,
    row_columns,
)

if TYPE_CHECKING:
    import pyarrow as pa

METADATA_KEY = b"videofer"
FORMAT = "videofer timeline"
VERSION = 1
TEXT_COLUMNS = ("state", "face_state", "body_state", "label")


class _Document(BaseModel):
    """The metadata but for format and version."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    classes: tuple[str, ...]
    persons: tuple[Person, ...]
    video: VideoFacts
    model: ModelFacts
    settings: TimelineSettings
    step_seconds: float | None
    provenance: dict[str, Any]


def save_timeline(timeline: Timeline, path: Path) -> None:
    """Write the file, whole or not at all. Folders that lack are made."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    document = {
        "format": FORMAT,
        "version": VERSION,
        "classes": timeline.classes,
        "persons": [asdict(person) for person in timeline.persons],
        "video": asdict(timeline.video),
        "model": asdict(timeline.model),
        "settings": timeline.settings.model_dump(),
        "step_seconds": timeline.step_seconds,
        "provenance": dict(timeline.provenance),
    }
    # ASCII, so that also the names of files that are no UTF-8 survive.
    text = json.dumps(document, allow_nan=False).encode("ascii")
    schema = _schema(timeline.classes, timeline.model)
    table = pa.Table.from_pandas(timeline.rows, schema=schema, preserve_index=False)
    metadata = {**(table.schema.metadata or {}), METADATA_KEY: text}
    path.parent.mkdir(parents=True, exist_ok=True)
    with atomic_write(path) as file:
        pq.write_table(
            table.replace_schema_metadata(metadata), file, compression="zstd", write_page_checksum=True
        )


def load_timeline(path: Path) -> Timeline:
    """Open the file. TimelineError in one line where there is none, or it is foreign, newer or damaged."""
    if not path.is_file():
        raise TimelineError(f"no timeline at {path}: it is a Parquet file that `videofer timeline` wrote")
    document, table = _read(path)
    try:
        timeline = _timeline(document, table)
        _check(timeline)
    except (ValueError, KeyError, TypeError, RecursionError) as error:
        raise TimelineError(f"{path} cannot be used as a timeline: {_reason(error)}") from error
    return timeline


def _read(path: Path) -> tuple[dict[str, Any], pa.Table]:
    """The metadata and the rows as they are in the file."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    try:
        with pq.ParquetFile(path, page_checksum_verification=True) as file:
            text = (file.schema_arrow.metadata or {}).get(METADATA_KEY)
            if text is None:
                raise TimelineError(f"{path} is no timeline: a Parquet file that videofer has not written")
            document = json.loads(text)
            if not isinstance(document, dict) or document.pop("format", None) != FORMAT:
                raise TimelineError(f"{path} is no timeline, but something else of videofer's")
            version = document.pop("version", None)
            if version != VERSION:
                raise TimelineError(
                    f"{path} is a timeline of version {version}, this videofer reads version {VERSION}"
                )
            return document, file.read()
    except TimelineError:
        raise
    except (pa.ArrowException, OSError, ValueError, RecursionError, MemoryError) as error:
        raise TimelineError(f"{path} is no timeline, or damaged: {_reason(error)}") from error


def _timeline(document: dict[str, Any], table: pa.Table) -> Timeline:
    """Raises ValueError where the rows are not what the metadata says."""
    import pyarrow as pa

    facts = _Document.model_validate(document)
    schema = _schema(facts.classes, facts.model)
    if not table.schema.remove_metadata().equals(schema):
        raise ValueError("its columns are not those of its classes and modalities")
    rows = table.replace_schema_metadata().to_pandas(types_mapper={pa.int64(): pd.Int64Dtype()}.get)
    return Timeline(
        rows=rows,
        classes=facts.classes,
        persons=facts.persons,
        video=facts.video,
        model=facts.model,
        settings=facts.settings,
        step_seconds=facts.step_seconds,
        provenance=facts.provenance,
    )


def _check(timeline: Timeline) -> None:
    """ValueError where the rows contradict themselves or the persons."""
    rows = timeline.rows
    t_start, t_end = rows["t_start"].to_numpy(), rows["t_end"].to_numpy()
    if not (np.isfinite(t_start) & np.isfinite(t_end) & (t_start < t_end)).all():
        raise ValueError("a row does not end after it starts")
    if (np.diff(t_start) < 0).any():
        raise ValueError("its rows are not in order of time")
    strangers = set(rows["person"].dropna().tolist()) - {person.id for person in timeline.persons}
    if strangers:
        raise ValueError(f"its rows speak of person {min(strangers)}, its list of persons does not")
    if rows[list(TEXT_COLUMNS)].isna().any(axis=None):
        raise ValueError("a row has no state or no label")


def _schema(classes: tuple[str, ...], model: ModelFacts) -> pa.Schema:
    """The columns of the file."""
    import pyarrow as pa

    types = {
        "person": pa.int64(),
        **dict.fromkeys(TEXT_COLUMNS, pa.string()),
        **dict.fromkeys(("t_start", "t_end", "confidence", *affect_columns(model.dimensions)), pa.float64()),
        **dict.fromkeys(probability_columns(classes), pa.float64()),
    }
    return pa.schema(
        [
            (name, types.get(name, pa.float32()))
            for name in row_columns(classes, model.modalities, model.dimensions)
        ]
    )


def _reason(error: BaseException) -> str:
    """One short line; what pydantic says of the first thing that is wrong."""
    if isinstance(error, ValidationError):
        first = error.errors()[0]
        return f"{'.'.join(map(str, first['loc']))}: {first['msg']}"
    return " ".join((str(error) or type(error).__name__).split())[:200]
