"""Write a timeline as files: CSV, JSON lines, Parquet, and the PNG plot.

A file that is replaced is the old one or the new one at any time, never a half.
"""

from __future__ import annotations

import hashlib
import json
import re
import unicodedata
from collections import Counter
from collections.abc import Sequence
from pathlib import Path, PurePosixPath
from typing import BinaryIO

import pandas as pd

from cache.atomic import atomic_write
from videofer.timeline.faces import FaceStrips
from videofer.timeline.plot import plot_timeline
from videofer.timeline.timeline import Timeline

FORMATS = ("csv", "jsonl", "parquet", "png")
DECIMALS = 6  # microseconds, and probabilities far below their own uncertainty
MAX_STEM_BYTES = 120

_RESERVED = {"con", "prn", "aux", "nul"} | {f"{name}{i}" for name in ("com", "lpt") for i in range(1, 10)}


def check_formats(formats: Sequence[str]) -> tuple[str, ...]:
    """The formats in the order of FORMATS; "all" stands for all of them, "json" for "jsonl"."""
    wanted = {"jsonl" if name == "json" else name for name in formats}
    if "all" in wanted:
        return FORMATS
    for name in wanted:
        if name not in FORMATS:
            raise ValueError(f"format {name!r} is unknown, must be of {', '.join(FORMATS)} or all")
    if not wanted:
        raise ValueError(f"no format given, must be of {', '.join(FORMATS)} or all")
    return tuple(name for name in FORMATS if name in wanted)


def write_timeline(
    timeline: Timeline,
    out_dir: Path,
    stem: str,
    formats: Sequence[str] = FORMATS,
    *,
    faces: FaceStrips | None = None,
    truth: pd.DataFrame | None = None,
    title: str | None = None,
) -> list[Path]:
    """Write `out_dir/stem.FORMAT` for each format and return the paths.

    faces, truth and title are for the plot (`plot_timeline`).
    Raises ValueError for an unknown format or an unsafe stem.
    """
    chosen = check_formats(formats)
    if safe_stem(stem) != stem:
        raise ValueError(f"file name {stem!r} is not safe, use safe_stems(): {safe_stem(stem)!r}")
    out_dir.mkdir(parents=True, exist_ok=True)
    paths = []
    for name in chosen:
        path = out_dir / f"{stem}.{name}"
        with atomic_write(path) as file:
            if name == "csv":
                write_csv(timeline.rows, file)
            elif name == "jsonl":
                write_jsonl(timeline.rows, file)
            elif name == "parquet":
                timeline.rows.to_parquet(file, index=False)
            else:
                plot_timeline(timeline, file, faces=faces, truth=truth, title=title)
        paths.append(path)
    return paths


def write_csv(timeline: pd.DataFrame, file: BinaryIO) -> None:
    """UTF-8 CSV with fixed decimals; empty where there is no value.

    Text that a spreadsheet would run as a formula gets a leading apostrophe; numbers are never touched.
    """
    table = timeline.copy()
    for column in table.columns:
        if pd.api.types.is_string_dtype(table[column]) or table[column].dtype == object:
            table[column] = table[column].map(_defuse, na_action="ignore")
    text = table.to_csv(index=False, float_format=f"%.{DECIMALS}f", lineterminator="\n")
    file.write(text.encode("utf-8"))


def write_jsonl(timeline: pd.DataFrame, file: BinaryIO) -> None:
    """One JSON object a row; null where there is no value."""
    for record in timeline.to_dict(orient="records"):
        row = {str(name): _json_value(value) for name, value in record.items()}
        file.write((json.dumps(row, ensure_ascii=False, allow_nan=False) + "\n").encode("utf-8"))


def _json_value(value: object) -> object:
    if isinstance(value, float):
        return None if value != value else round(value, DECIMALS)
    if value is pd.NA or value is None:
        return None
    return int(value) if isinstance(value, int) else str(value)


def _defuse(text: object) -> object:
    if isinstance(text, str) and text[:1] in ("=", "+", "-", "@", "\t", "\r"):
        return "'" + text
    return text


def safe_stems(names: Sequence[str]) -> list[str]:
    """A distinct, safe file name (without suffix) for each video name.

    `interview.mp4` becomes `interview`; where that would be taken twice (also if only upper and lower
    case differ), the folders and the suffix stay in: `monday__interview.mp4`.
    """
    short = [safe_stem(PurePosixPath(name).stem) for name in names]
    taken = Counter(stem.casefold() for stem in short)
    full = [safe_stem(name.replace("/", "__")) for name in names]
    chosen = [one if taken[one.casefold()] == 1 else other for one, other in zip(short, full, strict=True)]
    taken = Counter(stem.casefold() for stem in chosen)
    return [
        stem if taken[stem.casefold()] == 1 else _with_digest(stem, name)
        for stem, name in zip(chosen, names, strict=True)
    ]


def safe_stem(text: str) -> str:
    """A file name without suffix that every file system takes: letters of any script, digits, " ._-()"."""
    stem = re.sub(r"[^\w .()\-]", "_", unicodedata.normalize("NFC", text)).strip(" .")
    if stem.startswith("-"):
        stem = "_" + stem[1:]  # a command line would take it for an option
    if not stem or stem.split(".")[0].casefold() in _RESERVED:
        stem = "_" + stem
    return stem if len(stem.encode()) <= MAX_STEM_BYTES else _with_digest(stem, text)


def _with_digest(stem: str, text: str) -> str:
    digest = hashlib.sha256(text.encode()).hexdigest()[:8]
    kept = stem.encode()[: MAX_STEM_BYTES - 9].decode(errors="ignore").rstrip(" .")
    return f"{kept}-{digest}"
