"""FER2013 as it is found on disks, read into arrays: the official CSV, packed files, folders of pictures.

The data set (Goodfellow et al., "Challenges in representation learning", ICONIP 2013) has 35,887 grey
pictures of 48x48 pixels in three lists, which the official file has one after the other: Training,
PublicTest, PrivateTest. A picture is known by its row in that file. FER+ votes (`datasets.ferplus`) belong
to the same rows.

Letters in shapes: N pictures.
"""

from __future__ import annotations

import csv
import re
import warnings
import zipfile
import zlib
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Literal, get_args

import numpy as np

from cache.errors import UserError
from videofer.datasets.ferplus import ANSWERS

Usage = Literal["training", "publictest", "privatetest"]
USAGES: tuple[Usage, ...] = get_args(Usage)

LABELS = ("anger", "disgust", "fear", "happiness", "sadness", "surprise", "neutral")
"""What the numbers 0 to 6 of the file mean."""

SIDE = 48  # pixels
FIRST_ROWS = (0, 28_709, 32_298, 35_887)  # of the three lists in the official file, and its end
CSV_NAMES = ("fer2013.csv", "icml_face_data.csv")
VOTES_NAME = "fer2013new.csv"
MAX_CELL = 1 << 20  # characters; a row has about 8,000


# What numpy and zipfile raise for files that are broken, encrypted, or of another kind.
_BROKEN = (
    *(OSError, ValueError, EOFError, TypeError, MemoryError, NotImplementedError, RuntimeError),
    *(zipfile.BadZipFile, zlib.error, SyntaxError),
)


class Fer2013Error(UserError, ValueError):
    """Something is not FER2013 as it should be. The message is one line that names the file and the row."""


@dataclass(frozen=True, eq=False)
class Fer2013:
    """Pictures in the order in which they were found."""

    images: np.ndarray  # (N, 48, 48) uint8, grey
    label: np.ndarray  # (N,) int64, index into LABELS
    usage: np.ndarray  # (N,) int64, index into USAGES
    row: np.ndarray  # (N,) int64 in the official file, from 0; -1: not known, as in folders of pictures
    names: list[str]  # "fer2013/<usage>/<row>", or with the file's path where the row is not known
    votes: np.ndarray | None = None  # (N, 10) int64, columns as ferplus.ANSWERS

    def __len__(self) -> int:
        return len(self.images)

    def of(self, *usages: Usage) -> Fer2013:
        """Only the pictures of these lists."""
        chosen = np.flatnonzero(np.isin(self.usage, [USAGES.index(usage) for usage in usages]))
        return replace(
            self,
            images=self.images[chosen],
            label=self.label[chosen],
            usage=self.usage[chosen],
            row=self.row[chosen],
            names=[self.names[place] for place in chosen.tolist()],
            votes=None if self.votes is None else self.votes[chosen],
        )


def read_fer2013(path: Path, votes: Path | None = None) -> Fer2013:
    """Reads FER2013 in any of its forms, with votes where they are at hand.

    path: the CSV file, a packed file (.npz), or a folder: with a CSV file, with packed files, or with
    pictures as `datasets.fer2013_folder` says. votes: `fer2013new.csv`; None: the one beside the CSV file;
    packed files have them inside. Fer2013Error in one line where something is wrong.
    """
    path = Path(path)
    if not path.exists():
        raise Fer2013Error(f"{path}: no such file or folder")
    found = next((path / name for name in CSV_NAMES if path.is_dir() and (path / name).is_file()), None)
    if path.suffix.lower() == ".csv" or found is not None:
        file = found or path
        data = _read_csv(file)
        beside = file.with_name(VOTES_NAME)
        votes = votes or (beside if beside.is_file() else None)
    elif path.suffix.lower() == ".npz":
        data = _read_packs([path])
    elif path.is_dir() and (packs := [file for file in sorted(path.glob("*.npz")) if file.is_file()]):
        data = _read_packs(packs)
    elif path.is_dir():
        from videofer.datasets.fer2013_folder import read_folder

        data = read_folder(path)
    else:
        raise Fer2013Error(f"{path}: FER2013 is a .csv file, a packed .npz file or a folder")
    return data if votes is None else replace(data, votes=_read_votes(votes, data))


def official_name(usage: int, row: int) -> str:
    """How a picture is called whose row is known."""
    return f"fer2013/{USAGES[usage]}/{row:05d}"


def usage_of_rows(row: np.ndarray) -> np.ndarray:
    """(N,) official rows -> (N,) int64, index into USAGES."""
    usage: np.ndarray = np.searchsorted(FIRST_ROWS, row, side="right") - 1
    return usage


# --- the CSV file -------------------------------------------------------------------------------------


def _read_csv(path: Path) -> Fer2013:
    """Columns emotion, pixels and Usage in any order; rows count from 0 as they stand."""
    images, label, usage = [], [], []
    words = {name.lower(): place for place, name in enumerate(USAGES)}
    with warnings.catch_warnings():
        warnings.simplefilter("error", DeprecationWarning)  # of np.fromstring: what is not a number
        for line, (emotion, pixels, word) in _csv_rows(path, ("emotion", "pixels", "usage")):
            if emotion not in map(str, range(len(LABELS))):
                raise Fer2013Error(f"{path}, line {line}: emotion must be 0 to 6, not {emotion[:60]!r}")
            if word.lower() not in words:
                raise Fer2013Error(
                    f"{path}, line {line}: Usage must be Training, PublicTest or PrivateTest, "
                    f"not {word[:60]!r}"
                )
            images.append(_pixels(pixels, f"{path}, line {line}"))
            label.append(int(emotion))
            usage.append(words[word.lower()])
    if not images:
        raise Fer2013Error(f"{path}: there are no rows")
    return Fer2013(
        images=np.stack(images),
        label=np.array(label, np.int64),
        usage=np.array(usage, np.int64),
        row=np.arange(len(images)),
        names=[official_name(each, row) for row, each in enumerate(usage)],
    )


def _pixels(text: str, where: str) -> np.ndarray:
    """(48, 48) uint8 from numbers with spaces between them."""
    try:
        levels = np.fromstring(text, dtype=np.int64, sep=" ")
    except (DeprecationWarning, ValueError):
        raise Fer2013Error(f"{where}: its pixels are not all whole numbers") from None
    if len(levels) != SIDE * SIDE:
        raise Fer2013Error(f"{where}: {len(levels)} pixels, not {SIDE}x{SIDE} = {SIDE * SIDE}")
    if levels.min() < 0 or levels.max() > 255:
        raise Fer2013Error(f"{where}: pixels must lie in 0 to 255, not {levels.min()} to {levels.max()}")
    return levels.astype(np.uint8).reshape(SIDE, SIDE)


def _csv_rows(path: Path, columns: Sequence[str]) -> Iterator[tuple[int, list[str]]]:
    """Number of the line, as an editor counts, and the cells of these columns (in lower case) of each row."""
    limit = csv.field_size_limit(MAX_CELL)  # of the whole process: given back
    try:
        with path.open(encoding="utf-8-sig", newline="") as file:
            reader = csv.reader(file)
            header = [name.strip().lower() for name in next(reader, [])]
            missing = [name for name in columns if name not in header]
            if missing:
                raise Fer2013Error(f"{path}: no column {missing[0]!r} (columns: {', '.join(header)[:200]})")
            places = [header.index(name) for name in columns]
            for cells in reader:
                if len(cells) != len(header):
                    raise Fer2013Error(
                        f"{path}, line {reader.line_num}: {len(cells)} cells, but {len(header)} columns"
                    )
                yield reader.line_num, [cells[place].strip() for place in places]
    except OSError as error:
        raise Fer2013Error(f"{path}: cannot be read: {error.strerror or error}") from None
    except (csv.Error, UnicodeDecodeError) as error:
        raise Fer2013Error(f"{path}: not a CSV table: {error}") from None
    finally:
        csv.field_size_limit(limit)


def _read_votes(path: Path, data: Fer2013) -> np.ndarray:
    """(N, 10) int64 votes of the pictures, from a table that has the official file's rows in its order."""
    if (data.row < 0).any():
        raise Fer2013Error(f"{path}: votes belong to official rows, which pictures in folders do not have")
    rows = []
    for line, cells in _csv_rows(path, ANSWERS):
        if not all(re.fullmatch(r"\d{1,9}", cell, re.ASCII) for cell in cells):
            given = ", ".join(cells)[:60]
            raise Fer2013Error(f"{path}, line {line}: votes must be whole numbers, not {given}")
        rows.append([int(cell) for cell in cells])
    if len(rows) <= int(data.row.max()):
        raise Fer2013Error(f"{path}: {len(rows)} rows, but the pictures go up to row {int(data.row.max())}")
    votes: np.ndarray = np.array(rows, np.int64)[data.row]
    return votes


# --- packed files -------------------------------------------------------------------------------------


def _read_packs(paths: Sequence[Path]) -> Fer2013:
    """Packed files together, by official row. Files may share rows, as a part shares them with the whole."""
    packs = [_read_pack(path) for path in paths]
    images, label, votes, row = (np.concatenate(parts) for parts in zip(*packs, strict=True))
    source = np.repeat(np.arange(len(packs)), [len(pack[0]) for pack in packs])
    rows, first, back = np.unique(row, return_index=True, return_inverse=True)
    differs = (images != images[first[back]]).any(axis=(1, 2)) | (label != label[first[back]])
    if differs.any():
        place = int(np.flatnonzero(differs)[0])
        names = f"{paths[source[first[back[place]]]]} and {paths[source[place]].name}"
        raise Fer2013Error(f"{names} do not agree on row {row[place]}")
    usage = usage_of_rows(rows)
    return Fer2013(
        images=images[first],
        label=label[first],
        usage=usage,
        row=rows,
        names=[official_name(*each) for each in zip(usage.tolist(), rows.tolist(), strict=True)],
        votes=votes[first],
    )


def _read_pack(path: Path) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """images (N, 48, 48) uint8, label (N,), votes (N, 10) and row (N,) int64 of one file."""
    try:
        with path.open("rb") as file, np.load(file) as arrays:  # pickles are refused
            pack = {name: arrays[name] for name in ("residual", "label", "votes", "row")}
        num = len(pack["residual"])
        label, votes, row = (pack[name].astype(np.int64) for name in ("label", "votes", "row"))
    except KeyError as error:
        raise Fer2013Error(f"{path}: not packed FER2013: it lacks {error.args[0].split()[0]}") from None
    except _BROKEN as error:
        said = " ".join(str(error).split())
        raise Fer2013Error(f"{path}: not packed FER2013: {said}") from None
    wanted: tuple[tuple[str, tuple[int, ...], Callable[[], bool]], ...] = (
        ("residual", (num, SIDE, SIDE), lambda: pack["residual"].dtype == np.uint8),
        ("label", (num,), lambda: bool(np.isin(label, range(len(LABELS))).all())),
        ("votes", (num, len(ANSWERS)), lambda: bool((votes >= 0).all())),
        ("row", (num,), lambda: bool(((row >= 0) & (row < FIRST_ROWS[-1])).all())),
    )
    for name, shape, is_right in wanted:
        if pack[name].shape != shape or not is_right():
            raise Fer2013Error(f"{path}: {name} of shape {pack[name].shape} is not as packed FER2013 has it")
    return unpack(pack["residual"]), label, votes, row


def unpack(residual: np.ndarray) -> np.ndarray:
    """residual (N, H, W) uint8 -> images (N, H, W) uint8.

    Each pixel was stored as its difference, modulo 256, to what LOCO-I's median predicts of it from those to
    the left (a), above (b) and above left (c): Weinberger, Seroussi and Sapiro, IEEE TIP 9(8), 2000.
    """
    num, height, width = residual.shape
    differences = np.ascontiguousarray(residual.transpose(1, 2, 0)).astype(np.int16)
    levels = np.zeros((height + 1, width + 1, num), np.int16)  # a row and a column of zeros before the first
    for y in range(height):
        for x in range(width):
            a, b, c = levels[y + 1, x], levels[y, x + 1], levels[y, x]
            low, high = np.minimum(a, b), np.maximum(a, b)
            predicted = np.clip(a + b - c, low, high)  # the median of a, b and a + b - c
            levels[y + 1, x + 1] = (differences[y, x] + predicted) & 255
    images: np.ndarray = np.ascontiguousarray(levels[1:, 1:].transpose(2, 0, 1)).astype(np.uint8)
    return images
