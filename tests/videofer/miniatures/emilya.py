"""Emilya as FER_BGER reads it: a workbook a take, joints on the third sheet."""

from __future__ import annotations

import zipfile
from collections.abc import Sequence
from pathlib import Path

import numpy as np

WORDS = ("Anger", "Anxiety", "Joy", "Neutral", "Panic Fear", "Pride", "Sadness", "Shame")
_MAIN = "http://schemas.openxmlformats.org/spreadsheetml/2006/main"
_OFFICE = "http://schemas.openxmlformats.org/officeDocument/2006/relationships"
_PACKAGE = "http://schemas.openxmlformats.org/package/2006"
_TYPES = "application/vnd.openxmlformats-officedocument.spreadsheetml"


def truth(number: int, num_frames: int = 4) -> np.ndarray:
    """(T, 84) of a take."""
    return np.round(np.random.default_rng(number).normal(0, 100, (num_frames, 84)), 3)


def build(root: Path, actions: Sequence[str] = ("BS", "KD"), takes: int = 1) -> Path:
    number = 0
    for action in actions:
        for word in WORDS:
            for take in range(takes):
                number += 1
                path = root / action / word / f"take{take + 1}.xlsx"
                path.parent.mkdir(parents=True, exist_ok=True)
                write_workbook(path, truth(number))
    return root


def write_workbook(path: Path, rows: np.ndarray, num_sheets: int = 3) -> None:
    """A workbook whose last sheet has a header of words and these rows."""
    names = [f"Sheet{number}" for number in range(1, num_sheets + 1)]
    sheets = "".join(
        f'<sheet name="{name}" sheetId="{n}" r:id="rId{n}"/>' for n, name in enumerate(names, start=1)
    )
    relations = "".join(
        f'<Relationship Id="rId{n}" Type="{_OFFICE}/worksheet" Target="worksheets/sheet{n}.xml"/>'
        for n in range(1, num_sheets + 1)
    )
    overrides = "".join(
        f'<Override PartName="/xl/worksheets/sheet{n}.xml" ContentType="{_TYPES}.worksheet+xml"/>'
        for n in range(1, num_sheets + 1)
    )
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr(
            "[Content_Types].xml",
            f'<Types xmlns="{_PACKAGE}/content-types"><Default Extension="rels" ContentType="application/'
            'vnd.openxmlformats-package.relationships+xml"/><Override PartName="/xl/workbook.xml" '
            f'ContentType="{_TYPES}.sheet.main+xml"/>{overrides}</Types>',
        )
        archive.writestr(
            "_rels/.rels",
            f'<Relationships xmlns="{_PACKAGE}/relationships"><Relationship Id="rId1" '
            f'Type="{_OFFICE}/officeDocument" Target="xl/workbook.xml"/></Relationships>',
        )
        archive.writestr(
            "xl/workbook.xml",
            f'<workbook xmlns="{_MAIN}" xmlns:r="{_OFFICE}"><sheets>{sheets}</sheets></workbook>',
        )
        archive.writestr(
            "xl/_rels/workbook.xml.rels",
            f'<Relationships xmlns="{_PACKAGE}/relationships">{relations}</Relationships>',
        )
        for n in range(1, num_sheets + 1):
            data = _rows(rows) if n == num_sheets else ""
            archive.writestr(
                f"xl/worksheets/sheet{n}.xml",
                f'<worksheet xmlns="{_MAIN}"><sheetData>{data}</sheetData></worksheet>',
            )


def _rows(rows: np.ndarray) -> str:
    columns = [_letters(place) for place in range(rows.shape[1])]
    header = "".join(
        f'<c r="{column}1" t="inlineStr"><is><t>c{n}</t></is></c>' for n, column in enumerate(columns)
    )
    lines = [f'<row r="1">{header}</row>']
    for number, row in enumerate(rows.tolist(), start=2):
        cells = "".join(
            f'<c r="{c}{number}"><v>{v}</v></c>' for c, v in zip(columns, row, strict=True) if v == v
        )
        lines.append(f'<row r="{number}">{cells}</row>')
    return "".join(lines)


def _letters(place: int) -> str:
    first, second = divmod(place, 26)
    return ("" if first == 0 else chr(64 + first)) + chr(65 + second)
