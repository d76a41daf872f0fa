"""What is known of the videos besides their pictures: participant, condition, wave, ... one value a video.

It comes from a table with a column of paths (`path`, `video`, `name`, ...), in any form that a manifest has.
A manifest itself will do: columns that differ within a video, such as the label, are left out.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath

import pandas as pd

from cache.errors import UserError
from videofer.datasets.manifest import match_names, read_table

FOLDER = "folder"
"""The column that every study has whose videos lie in folders: the folder of each."""

Value = str | float | None

_PATHS = ("path", "name", "video", "file", "filename", "clip")
_INTERVALS = ("start", "end", "t_start", "t_end", "onset", "offset")


@dataclass(frozen=True, kw_only=True)
class Metadata:
    """Columns, and a row for each path of the table."""

    columns: tuple[str, ...] = ()
    rows: Mapping[str, tuple[Value, ...]] = field(default_factory=dict)
    group_by: str | None = None
    left_out: tuple[str, ...] = ()  # columns with several values for one video


@dataclass(frozen=True, kw_only=True)
class Described:
    """The same for the videos of a study."""

    columns: tuple[str, ...]
    rows: tuple[tuple[Value, ...], ...]  # a video each
    unknown: tuple[str, ...]  # paths of the table that are no video of the study
    without: tuple[str, ...]  # names of videos that the table does not have


def read_metadata(path: Path | None, group_by: str | None = None) -> Metadata:
    """The table, checked; without one, nothing but the column to group by. UserError names file and row."""
    if path is None:
        if group_by not in (None, FOLDER):
            raise UserError(f"--group-by {group_by}: there is no --metadata with such a column")
        return Metadata(group_by=group_by)
    table = read_table(path)
    table.columns = pd.Index([str(column).strip() for column in table.columns])
    found = next((c for name in _PATHS for c in table.columns if c.lower() == name), None)
    if found is None:
        raise UserError(
            f"{path}: no column path, name, video, file or clip (columns: {', '.join(table.columns)})"
        )
    names = [_text(value) for value in table[found]]
    others = [column for column in table.columns if column != found]
    values = {column: _typed([_text(value) for value in table[column]]) for column in others}
    first: dict[str, int] = {}
    varying = {column for column in others if column.lower() in _INTERVALS}
    for place, name in enumerate(names):
        if name is None:
            if any(values[column][place] is not None for column in others):
                raise UserError(f"{path}: a row without a {found}: row {place + 2} of the file")
            continue
        name = name.replace("\\", "/")
        before = first.setdefault(name, place)
        varying |= {column for column in others if values[column][place] != values[column][before]}
    if group_by in varying:
        raise UserError(f"--group-by {group_by}: {path} has several values of it for one video")
    columns = tuple(column for column in others if column not in varying)
    _check_group(group_by, (*columns, FOLDER), str(path))
    return Metadata(
        columns=columns,
        rows={name: tuple(values[column][place] for column in columns) for name, place in first.items()},
        group_by=group_by,
        left_out=tuple(column for column in others if column in varying),
    )


def describe(metadata: Metadata, names: Sequence[str]) -> Described:
    """The rows of the videos of these names. Names fit as those of a manifest and a store do.

    A column `folder` is added where there is none and the videos lie in folders. UserError where a path fits
    several videos, or the column to group by is not there.
    """
    keys = match_names(metadata.rows, [(name, name) for name in names])
    found: dict[str, tuple[Value, ...]] = {}
    for path, key in keys.items():
        if key is not None and found.setdefault(key, metadata.rows[path]) != metadata.rows[path]:
            raise UserError(f"the metadata has several rows for {key}, one of them as {path}")
    nothing: tuple[Value, ...] = (None,) * len(metadata.columns)
    columns, rows = metadata.columns, [found.get(name, nothing) for name in names]
    folders = [str(PurePosixPath(name).parent) for name in names]
    if any(folder != "." for folder in folders) and FOLDER not in (column.lower() for column in columns):
        columns = (*columns, FOLDER)
        rows = [(*row, None if folder == "." else folder) for row, folder in zip(rows, folders, strict=True)]
    _check_group(metadata.group_by, columns, "the study")
    return Described(
        columns=columns,
        rows=tuple(rows),
        unknown=tuple(path for path, key in keys.items() if key is None),
        without=tuple(name for name in names if name not in found) if metadata.rows else (),
    )


def _check_group(group_by: str | None, columns: Sequence[str], where: str) -> None:
    if group_by is not None and group_by not in columns:
        there = f"but {', '.join(columns)}" if columns else "nor another: no --metadata, no folders"
        raise UserError(f"--group-by {group_by}: {where} has no such column, {there}")


def _typed(texts: Sequence[str | None]) -> list[Value]:
    """Numbers where all are numbers that are written as such: 007 and 1e3 stay the names that they are."""
    known = [text for text in texts if text is not None]
    if not known or not all(_is_number(text) for text in known):
        return list(texts)
    return [None if text is None else float(text) for text in texts]


def _is_number(text: str) -> bool:
    digits = text.removeprefix("-")
    whole, point, rest = digits.partition(".")
    if not (whole.isascii() and whole.isdecimal() and len(digits) <= 15):
        return False
    return (whole == "0" or whole[0] != "0") and (not point or (rest.isascii() and rest.isdecimal()))


def _text(value: object) -> str | None:
    if value is None or value is pd.NA or (isinstance(value, float) and math.isnan(value)):
        return None
    if isinstance(value, float) and value.is_integer():
        value = int(value)
    return str(value).strip() or None
