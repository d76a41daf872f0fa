"""Reads text tables as spreadsheets and annotation tools write them: whatever separates their cells.

Commas, semicolons (where a comma is the decimal point) and tabs; UTF-8 with or without a mark, UTF-16; a
first line `sep=;`; lines of different length.
"""

from __future__ import annotations

import codecs
import csv
import math
import re
from pathlib import Path

from videofer.annotations.intervals import AnnotationError

MISSING = ("", "n/a", "na", "nan", "none")
"""Cells that say nothing, in lower case."""

_CLOCK = re.compile(r"(?:(\d+):)?([0-5]?\d):([0-5]?\d(?:\.\d*)?)")


def read_cells(path: Path) -> list[list[str]]:
    """The cells of every line, stripped; an empty line is []. AnnotationError where it is no text table."""
    data = path.read_bytes()
    utf16 = data.startswith((codecs.BOM_UTF16_BE, codecs.BOM_UTF16_LE))
    try:
        text = data.decode("utf-16" if utf16 else "utf-8-sig")
    except UnicodeDecodeError:
        raise AnnotationError(f"{path}: not UTF-8; a spreadsheet offers 'CSV UTF-8' when it saves") from None
    lines = text.splitlines(keepends=True)
    separator = _separator(lines, path)
    if lines and lines[0].strip().lower().startswith("sep="):
        lines = lines[1:]
    try:
        return [[cell.strip() for cell in row] for row in csv.reader(lines, delimiter=separator)]
    except csv.Error as error:
        raise AnnotationError(f"{path}: not a table: {error}") from None


def _separator(lines: list[str], path: Path) -> str:
    """The one that splits the first line with anything in it most often; commas where none does."""
    first = next((line for line in lines if line.strip()), "")
    if first.strip().lower().startswith("sep="):
        return first.strip()[4:5] or ","
    if path.suffix.lower() == ".tsv":
        return "\t"
    return max((",", ";", "\t"), key=first.count)


def seconds(cell: str, what: str) -> float:
    """A time: seconds (`1.5`, `1,5`) or a clock (`1:02:03.5`, `02:03`). NaN where the cell says nothing.

    ValueError names `what` where it is neither.
    """
    if cell.lower() in MISSING:
        return math.nan
    plain = cell.replace(",", ".")
    clock = _CLOCK.fullmatch(plain)
    if clock:
        hours, minutes, rest = clock.groups()
        return int(hours or 0) * 3600 + int(minutes) * 60 + float(rest)
    try:
        return float(plain)
    except ValueError:
        raise ValueError(f"{what} must be seconds or a clock like 0:01:02.5, not {cell!r}") from None


def text(cell: str) -> str | None:
    """The cell, None where it says nothing; without the apostrophe that keeps it from being a formula."""
    plain = cell[1:] if cell[:1] == "'" and cell[1:2] in ("=", "+", "-", "@") else cell
    return None if plain.lower() in MISSING else plain
