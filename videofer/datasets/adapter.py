"""What an adapter of a data set is: it recognises a copy on disk and reads it as a manifest with a report.

The adapters are in `videofer.datasets.adapters`, one module each. An adapter knows the layout, the names, the
codes and the quirks of one set, and takes nothing for granted: what is not as the set has it is named.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, ClassVar, Literal, Protocol

import pandas as pd

from cache.errors import UserError
from preprocessing.discover import readable
from videofer.datasets.manifest import LABEL_SET, can_name, in_one_line, normalise
from videofer.emotions.label_sets import LabelError, LabelSet, label_map

LFS_START = b"version https://git-lfs"
_RESERVED = {"key", "person", "dataset", LABEL_SET}  # columns that an adapter's further columns may not be


class DatasetError(UserError, ValueError):
    """A copy is not as the set has it. The message is one line: the file, what was expected."""

    def __init__(self, message: str) -> None:
        super().__init__(in_one_line(message))


@dataclass(frozen=True)
class Odd:
    """A file that is not as expected."""

    path: str  # relative to the folder given
    why: str


@dataclass(frozen=True)
class Coverage:
    """How much of the set is there."""

    expected: int | None  # videos of a whole copy, where that is known
    found: int  # rows of the manifest
    missing: tuple[str, ...] = ()  # videos that the set or its lists name, and files of labels
    odd: tuple[Odd, ...] = ()  # left out, or kept with a doubt that `why` says
    expected_by_label: Mapping[str, int] = field(default_factory=dict)  # of a whole copy, where known

    @property
    def is_whole(self) -> bool | None:
        """Whether nothing is missing; None where it is not known how many there are."""
        if self.missing:
            return False
        return None if self.expected is None else self.found >= self.expected

    @property
    def num_missing(self) -> int:
        """Of a whole copy, or of what the lists name: the larger. What is odd lies there, if not as it is."""
        lacking = 0 if self.expected is None else self.expected - self.found - len(self.odd)
        return max(len(self.missing), lacking)


@dataclass(frozen=True)
class Official:
    """The protocol of the set."""

    kind: Literal["folds", "split", "none"]  # the manifest has a column `fold`, a `split` with test, neither
    num_folds: int | None
    source: str  # who says so
    crossval: str  # the words for `videofer crossval`


@dataclass(frozen=True, eq=False)
class Reading:
    """A copy of a data set as a manifest, with what there is to know about it."""

    dataset: str  # the adapter's name
    root: Path  # names in the table are relative to it
    table: pd.DataFrame  # as `datasets.manifest.normalise` returns it, with `dataset` and `label_set`
    labels: LabelSet
    coverage: Coverage
    official: Official
    quirks: tuple[str, ...] = ()  # what was handled, and what to know before training
    preprocess: str = ""  # options that `videofer preprocess` needs for this set
    is_synthetic: bool = False  # made by us in the set's layout: nobody in it exists

    def counts(self) -> dict[str, int]:
        """Rows by label, in the order of the label set; rows without a hard label are not counted."""
        counted = Counter(self.table["label"].dropna())
        return {name: counted[name] for name in self.labels.classes if counted[name]}


class Adapter(Protocol):
    """One data set. What can be chosen about it are fields with defaults."""

    name: ClassVar[str]  # as on the command line
    title: ClassVar[str]
    labels: ClassVar[LabelSet]
    official: ClassVar[Official]
    access: ClassVar[str]  # where to ask for the set
    licence: ClassVar[str]  # its terms; not found: nobody may rely on any

    def recognise(self, path: Path) -> str | None:
        """Why the folder or file looks like this set; None where it does not. Fast; never raises."""

    def read(self, path: Path) -> Reading:
        """Reads the copy. DatasetError in one line where it cannot be this set or its labels are others."""


@dataclass
class Finds:
    """Rows of a manifest while a copy is read, with what is missing or odd."""

    root: Path
    rows: list[dict[str, Any]] = field(default_factory=list)
    missing: list[str] = field(default_factory=list)
    odd: list[Odd] = field(default_factory=list)

    def name(self, path: Path) -> str:
        """Relative to the folder given, as `preprocess` calls it."""
        return readable(path.relative_to(self.root) if path.is_relative_to(self.root) else path)

    def add(self, path: Path, **row: Any) -> None:
        """A row for a video or a folder of frames, unless the file cannot be one."""
        is_inside = path.is_relative_to(self.root) and ".." not in path.relative_to(self.root).parts
        why = why_no_video(path) if is_inside else "left out: outside the folder given"
        name = self.name(path)
        if why is None and not can_name(name):
            why = "left out: no manifest can hold such a name"
        if why is None:
            self.rows.append({"name": name, **row})
        else:
            self.doubt(path, why)

    def doubt(self, path: Path, why: str) -> None:
        """Note that a file is not as expected."""
        self.odd.append(Odd(self.name(path), why))

    def reading(
        self,
        adapter: Adapter,
        *,
        expected: int | None,
        expected_by_label: Mapping[str, int] | None = None,
        quirks: Iterable[str] = (),
        preprocess: str = "",
        is_synthetic: bool = False,
        labels: LabelSet | None = None,
        official: Official | None = None,
    ) -> Reading:
        """The rows as a manifest. DatasetError where there are none."""
        labels = labels or adapter.labels
        if not self.rows:
            first = f"; {self.odd[0].path}: {self.odd[0].why}" if self.odd else ""
            if not self.odd and self.missing:
                first = f"; {self.missing[0]} is not there" + more(len(self.missing) - 1)
            raise DatasetError(f"{self.root}: {adapter.title} without a single video{first}")
        table = pd.DataFrame(self.rows)
        clash = _RESERVED & set(table.columns)
        assert not clash, clash
        table = table.assign(dataset=adapter.name, **{LABEL_SET: labels.name})
        coverage = Coverage(
            expected=expected,
            found=len(table),
            missing=tuple(self.missing),
            odd=tuple(self.odd),
            expected_by_label=dict(expected_by_label or {}),
        )
        return Reading(
            dataset=adapter.name,
            root=self.root,
            table=normalise(table, source=adapter.title),
            labels=labels,
            coverage=coverage,
            official=official or adapter.official,
            quirks=tuple(quirks),
            preprocess=preprocess,
            is_synthetic=is_synthetic,
        )


def with_labels(reading: Reading, target: LabelSet) -> tuple[Reading, dict[str, int]]:
    """The reading by another label set (`label_map`), and how many rows of which class were left out.

    DatasetError where the rows have soft labels, which no map knows to share out; LabelError where no map
    says what becomes of a class.
    """
    if any(str(column).startswith("p_") for column in reading.table.columns):
        raise DatasetError(f"{reading.dataset} has soft labels of {reading.labels.name}: they are not mapped")
    mapped = label_map(reading.labels, target)
    becomes = reading.table["label"].map(mapped)
    dropped = Counter(reading.table.loc[becomes.isna(), "label"].dropna())
    table = reading.table.assign(label=becomes, **{LABEL_SET: target.name})
    kept = table[becomes.notna()].reset_index(drop=True)
    return replace(reading, table=kept, labels=target), dict(dropped)


def label_of(labels: LabelSet, word: str, where: object) -> str:
    """The class that a word of a file means. where: the file, and the line. DatasetError."""
    try:
        return labels.canonical(word)
    except LabelError as error:
        raise DatasetError(f"{where}: {error}") from None


def label_of_code(codes: Sequence[str], code: str, where: object, first: int = 0) -> str:
    """The class of a number in a file; the codes count from `first`. DatasetError."""
    known = {str(number): label for number, label in enumerate(codes, start=first)}
    given = code.strip().lstrip("0") or code.strip()[-1:]
    if given not in known:
        last = first + len(codes) - 1
        raise DatasetError(f"{where}: the label must be a code from {first} to {last}, not {code.strip()!r}")
    return known[given]


def why_no_video(path: Path) -> str | None:
    """Why a file or a folder of frames holds no pictures; None where it may."""
    try:
        if path.is_dir():
            is_there = any(not entry.name.startswith(".") for entry in path.iterdir())
            return None if is_there else "an empty folder"
        size = path.stat().st_size
        if size == 0:
            return "an empty file: the download broke off"
        if size < 1024:
            with path.open("rb") as file:
                if file.read(len(LFS_START)) == LFS_START:
                    return "a Git LFS pointer, not the video: run `git lfs pull` in the copy"
    except OSError as error:
        return f"cannot be read: {error.strerror or error}"
    return None


def not_this(path: Path, title: str, expected: str) -> DatasetError:
    """The error for a folder that is not the set: what was expected, and what is there."""
    return DatasetError(f"{path}: not {title}: expected {expected}; {what_is_in(path)}")


def what_is_in(path: Path) -> str:
    """A few entries of a folder, for a message."""
    try:
        if not path.exists():
            return "there is no such folder"
        if path.is_file():
            return "it is a file"
        names = sorted(e.name + ("/" if e.is_dir() else "") for e in path.iterdir() if e.name[:1] != ".")
    except OSError as error:
        return f"it cannot be read: {error.strerror or error}"
    return f"there is {', '.join(names[:4])}{more(len(names) - 4)}" if names else "it is empty"


def more(count: int) -> str:
    """ " and 3 more", or nothing."""
    return f" and {count:,} more" if count > 0 else ""
