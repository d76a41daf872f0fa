"""Numbers of one sheet of an .xlsx workbook: what tables of joints need, and no more of the format.

A workbook is a zip of XML files (ECMA-376): `xl/workbook.xml` lists the sheets in their order, a relation
leads to each one's file. Formulas count by their stored values; dates are numbers.
"""

from __future__ import annotations

import re
import zipfile
import zlib
from pathlib import Path
from xml.etree import ElementTree as ET

from cache.errors import UserError

MAX_BYTES = 1 << 30  # unpacked, of one file inside
_SHEET = "{http://schemas.openxmlformats.org/spreadsheetml/2006/main}"
_RELATION = "{http://schemas.openxmlformats.org/officeDocument/2006/relationships}id"
_CELL = re.compile(r"([A-Z]{1,3})[0-9]+")


# What zipfile, zlib and the parser raise for broken, encrypted or exotic archives.
_BROKEN = (
    *(zipfile.BadZipFile, zlib.error, ET.ParseError, LookupError, ValueError),
    *(OSError, EOFError, NotImplementedError, RuntimeError),
)


class WorkbookError(UserError, ValueError):
    """Not a workbook, or not with such a sheet. One line that names the file."""


def read_sheet(path: Path, index: int) -> list[list[float]]:
    """Rows of numbers of the sheet at that place, counted from 0. NaN: an empty cell or a word."""
    if not path.is_file():  # a pipe would be waited for
        raise WorkbookError(f"{path}: no file to be read")
    try:
        with zipfile.ZipFile(path) as archive:
            book = _parse(archive, "xl/workbook.xml", path)
            sheets = book.findall(f"{_SHEET}sheets/{_SHEET}sheet")
            if not 0 <= index < len(sheets):
                names = ", ".join(sheet.get("name", "") for sheet in sheets)
                raise WorkbookError(f"{path}: expected at least {index + 1} sheets; there are {names}")
            relations = _parse(archive, "xl/_rels/workbook.xml.rels", path)
            targets = {each.get("Id"): each.get("Target", "") for each in relations}
            target = targets.get(sheets[index].get(_RELATION), "")
            name = target.removeprefix("/") if target.startswith("/") else f"xl/{target}"
            return [_numbers(row) for row in _parse(archive, name, path).iter(f"{_SHEET}row")]
    except WorkbookError:
        raise
    except _BROKEN as error:
        hint = "; save an old .xls workbook as .xlsx" if path.suffix.lower() == ".xls" else ""
        raise WorkbookError(f"{path}: not an .xlsx workbook: {error}{hint}") from None


def _parse(archive: zipfile.ZipFile, name: str, path: Path) -> ET.Element:
    if archive.getinfo(name).file_size > MAX_BYTES:
        raise WorkbookError(f"{path}: {name} in it has more than {MAX_BYTES:,} bytes")
    content = archive.read(name)
    # No writer makes one, and its entities could grow without end. Zeros: of UTF-16.
    if b"<!DOCTYPE" in content[:4096].replace(b"\0", b""):
        raise WorkbookError(f"{path}: {name} in it declares a document type")
    return ET.fromstring(content)  # noqa: S314  # entities are refused above


def _numbers(row: ET.Element) -> list[float]:
    values: dict[int, float] = {}
    for place, cell in enumerate(row.iter(f"{_SHEET}c")):
        named = _CELL.fullmatch(cell.get("r", ""))
        column = _column(named[1]) if named else place
        if cell.get("t", "n") == "n":
            try:
                values[column] = float(cell.findtext(f"{_SHEET}v", ""))
            except ValueError:
                continue
    return [values.get(column, float("nan")) for column in range(max(values, default=-1) + 1)]


def _column(letters: str) -> int:
    """A -> 0, Z -> 25, AA -> 26."""
    number = 0
    for letter in letters:
        number = 26 * number + ord(letter) - ord("A") + 1
    return number - 1
