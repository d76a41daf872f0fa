"""CSV tables of data sets, row by row; whatever is wrong with one is said in a line that names the file."""

from __future__ import annotations

import csv
from collections.abc import Iterator, Sequence
from pathlib import Path

from videofer.datasets.adapter import DatasetError
from videofer.datasets.walk import is_file

_MARK = "\ufffd"  # for what is no text; a zero byte would be one that no path may have


def csv_rows(file: Path) -> Iterator[tuple[str, list[str]]]:
    """Where ("file, line 3") and the cells of each row that is not empty. What is no UTF-8 becomes marks."""
    _require_file(file)
    try:
        with file.open(encoding="utf-8-sig", errors="replace", newline="") as lines:
            reader = csv.reader(line.replace("\0", _MARK) for line in lines)
            for cells in reader:
                if cells:
                    yield f"{file}, line {reader.line_num}", cells
    except OSError as error:
        raise DatasetError(f"{file}: cannot be read: {error.strerror or error}") from None
    except csv.Error as error:
        raise DatasetError(f"{file}: not a CSV table: {error}") from None


def csv_columns(file: Path, columns: Sequence[str]) -> Iterator[tuple[str, dict[str, str]]]:
    """The same of a table with a header that must have these columns; every column by its name."""
    rows = csv_rows(file)
    _, header = next(rows, ("", []))
    names = [name.strip() for name in header]
    lacking = [column for column in columns if column not in names]
    if lacking:
        raise DatasetError(f"{file}: no column {lacking[0]!r} (columns: {', '.join(names)[:200]})")
    for where, cells in rows:
        if len(cells) != len(names):
            raise DatasetError(f"{where}: {len(cells)} cells, but {len(names)} columns")
        yield where, dict(zip(names, cells, strict=True))


def text_lines(file: Path) -> Iterator[tuple[str, str]]:
    """Where and the line, of each that is not empty."""
    _require_file(file)
    try:
        content = file.read_text(encoding="utf-8-sig", errors="replace").replace("\0", _MARK)
    except OSError as error:
        raise DatasetError(f"{file}: cannot be read: {error.strerror or error}") from None
    for number, line in enumerate(content.splitlines(), start=1):
        if line.strip():
            yield f"{file}, line {number}", line.strip()


def _require_file(file: Path) -> None:
    """DatasetError for a folder, and for a pipe: a reader of one would wait for ever."""
    if not is_file(file):
        raise DatasetError(f"{file}: no file to be read")
