"""Data sets of one's own: a folder for each class, a table, or one of the two common kinds of list.

    angry/x.mp4, train/subject_3/angry/x.mp4              folders
    labels.csv, .parquet, .jsonl: path,label,subject,...  table (`datasets.manifest`)
    x.mp4 3                                               list, path and label
    x/ 120 3                                              list, path, number of frames and label

Words of labels mean what the general vocabulary says, or what a label set says where one is given.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

import pandas as pd

from preprocessing.discover import discover
from videofer import emotions
from videofer.datasets.adapter import (
    Coverage,
    DatasetError,
    Odd,
    Official,
    Reading,
    label_of_code,
    not_this,
    why_no_video,
)
from videofer.datasets.manifest import LABEL_SET, labels_from_folders, normalise, read_manifest
from videofer.datasets.tables import text_lines
from videofer.datasets.walk import folders_of, is_there
from videofer.emotions.label_sets import LABEL_SETS, LabelSet, set_of

_TABLE_SUFFIXES = (".csv", ".tsv", ".parquet", ".jsonl", ".ndjson")
_LIST_SUFFIXES = (".txt", ".lst", ".list", ".csv")
_LINE = re.compile(r"(?P<path>.+?)[ \t,;]+(?:(?P<frames>\d+)[ \t,;]+)?(?P<label>[^\s,;]+)")
_OWN = "one's own"
_PROTOCOL = Official("none", None, _OWN, "--protocol kfold")


@dataclass(frozen=True)
class Folders:
    """by: the label set whose words the folders are; None: the general vocabulary."""

    name: ClassVar[str] = "folders"
    title: ClassVar[str] = "a folder for each class"
    labels: ClassVar[LabelSet] = LABEL_SETS["basic7"]
    official: ClassVar[Official] = _PROTOCOL
    access: ClassVar[str] = _OWN
    licence: ClassVar[str] = _OWN

    by: LabelSet | None = None

    def recognise(self, path: Path) -> str | None:
        """Folders called like emotions, four levels deep at most."""
        level, words = [path], list[str]()
        for _ in range(4):
            inner = [folder for place in level[:50] for folder in folders_of(place)[:200]]
            words += [folder.name for folder in inner if emotions.is_emotion(folder.name, self._classes())]
            level = inner
        return f"folders called {', '.join(sorted(set(words))[:4])}" if len(set(words)) > 1 else None

    def read(self, path: Path) -> Reading:
        """One row a video, still or folder of frames. ManifestError where no folder is an emotion."""
        if not path.is_dir():
            raise not_this(path, self.title, "a folder")
        sources, failures = discover([path])
        table = labels_from_folders(sources, classes=self._classes())
        unlabelled = table["label"].isna()
        odd = [Odd(failure.name, failure.reason) for failure in failures]
        odd += [Odd(str(name), "left out: in no folder of a class") for name in table["name"][unlabelled]]
        return _reading(self, path, table[~unlabelled].reset_index(drop=True), odd, (), self.by)

    def _classes(self) -> tuple[str, ...]:
        return self.by.classes if self.by is not None else ()


@dataclass(frozen=True)
class Table:
    """A table with a row for each video, names relative to the table's folder; `by` as for folders."""

    name: ClassVar[str] = "table"
    title: ClassVar[str] = "a table of labels"
    labels: ClassVar[LabelSet] = LABEL_SETS["basic7"]
    official: ClassVar[Official] = _PROTOCOL
    access: ClassVar[str] = _OWN
    licence: ClassVar[str] = _OWN

    by: LabelSet | None = None

    def recognise(self, path: Path) -> str | None:
        """A file with a header that has a column for the path."""
        if not path.is_file() or path.suffix.lower() not in _TABLE_SUFFIXES:
            return None
        if path.suffix.lower() in (".csv", ".tsv"):
            words = set(re.split(r"[,\t]", _first_line(path).lower().replace('"', "").replace(" ", "")))
            if not words & {"path", "name", "file", "filename", "video", "clip"}:
                return None
        return f"a {path.suffix[1:]} table"

    def read(self, path: Path) -> Reading:
        """Its rows whose videos are there. ManifestError for a value that is none."""
        table = read_manifest(path, classes=self.by.classes if self.by is not None else ())
        missing, odd, kept = [], list[Odd](), []
        for name in table["name"]:
            place = path.parent / name
            why = why_no_video(place) if is_there(place) else None
            if not is_there(place):
                missing.append(str(name))
            elif why is not None:
                odd.append(Odd(str(name), why))
            kept.append(is_there(place) and why is None)
        if not any(kept):
            raise _no_video(path, missing, odd)
        return _reading(self, path.parent, table[kept].reset_index(drop=True), odd, missing, self.by)


@dataclass(frozen=True)
class ListFile:
    """codes: what the numbers 0, 1, ... of the list mean, where it has numbers; `by` as for folders."""

    name: ClassVar[str] = "list"
    title: ClassVar[str] = "a list of paths and labels"
    labels: ClassVar[LabelSet] = LABEL_SETS["basic7"]
    official: ClassVar[Official] = _PROTOCOL
    access: ClassVar[str] = _OWN
    licence: ClassVar[str] = _OWN

    codes: tuple[str, ...] = ()
    by: LabelSet | None = None

    def recognise(self, path: Path) -> str | None:
        """A text file whose first line is a path, perhaps a number of frames, and a label."""
        if not path.is_file() or path.suffix.lower() not in _LIST_SUFFIXES:
            return None
        match = _LINE.fullmatch(_first_line(path).strip())
        if match is None or not re.search(r"[/.\\]", match["path"]):
            return None
        return "lines of path" + (", number of frames" if match["frames"] else "") + " and label"

    def read(self, path: Path) -> Reading:
        """Its rows whose videos are there. DatasetError for a line or label of another form."""
        rows, missing, odd = [], list[str](), list[Odd]()
        for where, line in text_lines(path):
            match = _LINE.fullmatch(line)
            if match is None:
                raise DatasetError(f"{where}: expected path, perhaps frames, and label, not {line[:60]!r}")
            label = self._label(match["label"], where)
            place = path.parent / match["path"]
            why = why_no_video(place) if is_there(place) else None
            if not is_there(place):
                missing.append(match["path"])
            elif why is not None:
                odd.append(Odd(match["path"], why))
            else:
                rows.append({"name": match["path"].rstrip("/"), "label": label})
        if not rows:
            raise _no_video(path, missing, odd)
        table = normalise(pd.DataFrame(rows), source=str(path), classes=sorted({r["label"] for r in rows}))
        return _reading(self, path.parent, table, odd, missing, self.by)

    def _label(self, word: str, where: str) -> str:
        classes = self.by.classes if self.by is not None else ()
        if word.isdecimal():
            if not self.codes:
                raise DatasetError(
                    f"{where}: the label is a number: what do they mean? --codes happiness,sadness,..."
                )
            word = label_of_code(self.codes, word, where)
        try:
            return emotions.canonical(word, classes)
        except ValueError as error:
            raise DatasetError(f"{where}: {error}") from None


def _no_video(path: Path, missing: Sequence[str], odd: Sequence[Odd]) -> DatasetError:
    """The error for a table or list of which no video can be used."""
    why = "it has no rows"
    if missing:
        why = f"expected {path.parent / missing[0]}"
    elif odd:
        why = f"{odd[0].path}: {odd[0].why}"
    return DatasetError(f"{path}: no video of it is there; {why}")


def _reading(
    adapter: Folders | Table | ListFile,
    root: Path,
    table: pd.DataFrame,
    odd: Sequence[Odd],
    missing: Iterable[str],
    by: LabelSet | None,
) -> Reading:
    """The rows with their label set: the one given, else the first that has all their classes."""
    names = emotions.in_order(table["label"].dropna())
    soft = [str(column).removeprefix("p_") for column in table.columns if str(column).startswith("p_")]
    labels = by or set_of([*names, *soft]) or LabelSet("own", tuple(dict.fromkeys([*names, *soft])), _OWN)
    table = table.assign(dataset=adapter.name)
    if LABEL_SET not in table.columns and labels.name in LABEL_SETS:
        table[LABEL_SET] = labels.name
    official = adapter.official
    if table["fold"].notna().all():
        official = Official("folds", table["fold"].nunique(), "the column fold", "--protocol official")
    elif (table["split"] == "test").any():
        official = Official("split", None, "the test split", "--protocol official")
    quirks = [] if table["subject"].notna().all() else ["not every row has a subject: leaks cannot be seen"]
    coverage = Coverage(None, len(table), tuple(missing), tuple(odd))
    return Reading(adapter.name, root, table, labels, coverage, official, tuple(quirks))


def _first_line(path: Path) -> str:
    try:
        with path.open(encoding="utf-8-sig", errors="replace") as lines:
            return next((line for line in lines if line.strip()), "")[:10_000]
    except OSError:
        return ""
