"""The manifest: a table of labelled videos, read from a file or from folder names, and joined with a store.

Columns after reading, whatever the file had:
    name     str: the video, as a path with `/`
    label    str or None: canonical emotion (`videofer.emotions`)
    subject, split  str or None; fold, person  Int64 or NA
    start, end      float64 media seconds of the interval that the label holds for; NaN: from or to the end
    p_<emotion>     float64 or NaN: soft label
    label_set       str or None, if there is such a column: the one of `videofer.emotions.label_sets` by which
                    the words of the row are meant
    dimension_scale str or None, if there is such a column: the scale of the row's valence, arousal and
                    dominance, like "1 to 9"
and every further column of the file as it is. `join_store` adds `key`, the video's content hash.
"""

from __future__ import annotations

import csv
import json
import math
import re
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path, PurePosixPath
from typing import Any, Protocol

import pandas as pd

from cache.atomic import atomic_write
from cache.errors import UserError
from cache.schema import VideoRecord
from preprocessing.config_file import nearest
from videofer import emotions
from videofer.emotions.label_sets import LabelError, label_set

COLUMNS = ("name", "label", "subject", "start", "end", "split", "fold", "person")
LABEL_SET = "label_set"
DIMENSION_SCALE = "dimension_scale"
SPLITS = ("train", "val", "test")
# What else people call the columns; compared in lower case.
_COLUMN_ALIASES = {
    "path": "name", "file": "name", "filename": "name", "video": "name", "clip": "name",
    "emotion": "label", "class": "label", "speaker": "subject", "actor": "subject",
    "participant": "subject", "t_start": "start", "onset": "start", "t_end": "end", "offset": "end",
    "set": "split", "partition": "split", "person_id": "person", "track": "person",
}  # fmt: skip
_SPLIT_ALIASES = {"training": "train", "validation": "val", "valid": "val", "dev": "val", "testing": "test"}
_SUBJECT = re.compile(r"(s|p|id|subj?|subject|actor|participant|person|speaker)[ _-]*[0-9]+", re.ASCII)
_ENDLESS = re.compile(r"[^\s/]{300,}|\S{1000,}")  # no file's name is so long, and no path that is meant
_SUFFIXES = (".csv", ".tsv", ".parquet", ".jsonl", ".ndjson")


def in_one_line(message: str) -> str:
    """For a person. A damaged table has lines inside cells, and cells without an end."""
    return _ENDLESS.sub(lambda match: f"{match[0][:100]}...", " ".join(message.splitlines()))


class ManifestError(UserError, ValueError):
    """A manifest is wrong. The message is one line that names the file and the row."""

    def __init__(self, message: str) -> None:
        super().__init__(in_one_line(message))


class Named(Protocol):
    """What has a name relative to its input folder: `preprocessing.types.Source`."""

    @property
    def name(self) -> str: ...


def read_manifest(path: Path, *, classes: Sequence[str] = ()) -> pd.DataFrame:
    """Reads a .csv, .tsv, .parquet or .jsonl manifest and checks every value.

    classes: label words that count as they are, besides the known emotions.
    """
    raw = read_table(path)
    if raw.empty:
        raise ManifestError(f"{path}: there are no rows")
    table = _rename_columns(raw, str(path))
    # Counted as an editor shows them: a CSV's first row of values is line 2.
    first = 2 if path.suffix.lower() in (".csv", ".tsv") else 1
    return _check_values(table, lambda place: f"{path}, row {place + first}", classes)


def normalise(table: pd.DataFrame, *, source: str, classes: Sequence[str] = ()) -> pd.DataFrame:
    """The same for a table in memory. source: named in errors."""
    table = _rename_columns(table.reset_index(drop=True), source)
    return _check_values(table, lambda place: f"{source}, row {place}", classes)


def labels_from_folders(sources: Iterable[Named], *, classes: Sequence[str] = ()) -> pd.DataFrame:
    """A manifest from names like `train/subject_3/angry/x.mp4`.

    The innermost folder that is an emotion is the label, a folder called train, val or test is the split, and
    one like `subject_3`, `s03`, `Actor_12` or `p7` the subject. ManifestError where no video has a label.
    """
    rows = []
    for source in sources:
        folders = PurePosixPath(source.name).parts[:-1]
        row: dict[str, Any] = {"name": source.name}
        for folder in reversed(folders):
            if "label" not in row and emotions.is_emotion(folder, classes):
                row["label"] = folder
            elif "split" not in row and _split_name(folder) is not None:
                row["split"] = folder
            elif "subject" not in row and _is_subject(folder):
                row["subject"] = folder
        rows.append(row)
    if not any("label" in row for row in rows):
        raise ManifestError(
            "no folder is called like an emotion (anger, happy, ...): there are no labels in it"
        )
    return normalise(pd.DataFrame(rows), source="the folder names", classes=classes)


def join_store(table: pd.DataFrame, videos: Sequence[VideoRecord]) -> tuple[pd.DataFrame, list[str]]:
    """Finds each row's video in a store by its name.

    Names fit if they are equal, or if one ends in the other by whole path parts (the manifest may be relative
    to another folder than the store); the longest common end wins. Returns the rows found, with `key`, and a
    line for each name that was not. ManifestError where a name fits videos of different content equally well.
    """
    keys = match_names(table["name"].unique(), [(name, v.key) for v in videos for name in v.names])
    joined = table.assign(key=table["name"].map(keys))
    missing = [f"{name}: not in the store" for name, key in keys.items() if key is None]
    return joined[joined["key"].notna()].reset_index(drop=True), missing


def match_names(names: Iterable[str], known: Iterable[tuple[str, str]]) -> dict[str, str | None]:
    """The key for each name, by `join_store`'s rule; None where nothing fits. known: (name, key) pairs."""
    by_last: dict[str, list[tuple[tuple[str, ...], str]]] = {}
    for name, key in known:
        parts = _parts(name)
        by_last.setdefault(parts[-1], []).append((parts, key))
    return {name: _find_key(name, by_last) for name in names}


def write_manifest(table: pd.DataFrame, path: Path) -> None:
    """Writes a table so that `read_manifest` reads it as it was; empty columns are left out."""
    suffix = path.suffix.lower()
    if suffix not in _SUFFIXES:
        raise ManifestError(f"{path}: a manifest is a file in {', '.join(_SUFFIXES)}, not {suffix or 'this'}")
    kept = table.dropna(axis="columns", how="all")
    path.parent.mkdir(parents=True, exist_ok=True)
    with atomic_write(path) as file:
        if suffix == ".parquet":
            kept.to_parquet(file, index=False)
        elif suffix in (".csv", ".tsv"):
            kept.to_csv(file, index=False, sep="\t" if suffix == ".tsv" else ",", lineterminator="\n")
        else:
            kept.to_json(file, orient="records", lines=True, force_ascii=False)


def soft_columns(table: pd.DataFrame) -> list[str]:
    """Names of the soft label columns."""
    return [str(column) for column in table.columns if str(column).startswith("p_")]


def read_table(path: Path) -> pd.DataFrame:
    """A .csv, .tsv, .parquet or .jsonl file as it is; cells of text files are text. ManifestError."""
    suffix = path.suffix.lower()
    if suffix not in _SUFFIXES:
        raise ManifestError(f"{path}: a table is a file in {', '.join(_SUFFIXES)}, not {suffix or 'this'}")
    try:
        if suffix == ".parquet":
            return pd.read_parquet(path).reset_index(drop=True)
        if suffix in (".csv", ".tsv"):
            return pd.DataFrame(_read_delimited(path, "\t" if suffix == ".tsv" else ","), dtype=object)
        return pd.DataFrame(_read_json_lines(path))
    except ManifestError:
        raise
    except OSError as error:
        raise ManifestError(f"{path}: cannot be read: {error.strerror or error}") from None
    except ValueError as error:  # also what pandas and pyarrow raise for a broken file, and bad UTF-8
        raise ManifestError(f"{path}: not a {suffix[1:]} table: {' '.join(str(error).split())}") from None


def _read_delimited(path: Path, delimiter: str) -> list[dict[str, str]]:
    """Every cell as text: "007" stays a subject."""
    with path.open(encoding="utf-8-sig", newline="") as file:
        try:
            lines = list(csv.reader(file, delimiter=delimiter, skipinitialspace=True, strict=True))
        except csv.Error as error:
            raise ManifestError(f"{path}: not a table: {error}") from None
    if not lines:
        raise ManifestError(f"{path}: the file is empty")
    header = lines[0]
    rows = []
    for number, cells in enumerate(lines[1:], start=2):
        if len(cells) not in (0, len(header)):
            raise ManifestError(f"{path}, row {number}: {len(cells)} cells, but {len(header)} columns")
        rows.append(dict(zip(header, cells or [""] * len(header), strict=True)))
    if len(set(header)) != len(header):
        raise ManifestError(f"{path}: a column stands twice: {', '.join(header)}")
    return rows


def _read_json_lines(path: Path) -> list[dict[str, Any]]:
    rows = []
    for number, line in enumerate(path.read_text(encoding="utf-8").split("\n"), start=1):
        if not line.strip():
            continue
        try:
            row = json.loads(line)
        except json.JSONDecodeError as error:
            raise ManifestError(f"{path}, row {number}: not JSON: {error.msg}") from None
        except RecursionError:
            raise ManifestError(f"{path}, row {number}: not JSON that anybody wrote: too deep") from None
        if not isinstance(row, dict):
            raise ManifestError(f"{path}, row {number}: not a JSON object")
        rows.append(row)
    return rows


def _rename_columns(table: pd.DataFrame, source: str) -> pd.DataFrame:
    given = [str(column).strip() for column in table.columns]
    lower = {column.lower() for column in given}
    new = []
    for column in given:
        name = column.lower()
        target = _COLUMN_ALIASES.get(name, name)
        # An alias stands for a column only where that column is not there by its own name.
        new.append(target if target in COLUMNS and (target == name or target not in lower) else column)
    doubled = sorted({column for column in new if new.count(column) > 1})
    if doubled:
        raise ManifestError(f"{source}: several columns are {doubled[0]!r}: {', '.join(given)}")
    table = table.set_axis(new, axis=1)
    if "name" not in new:
        guess = nearest("path", given)
        hint = f"; did you mean {guess!r}?" if guess else ""
        raise ManifestError(f"{source}: no column 'path' or 'name'{hint} (columns: {', '.join(given)})")
    for column in COLUMNS:
        if column not in new:
            table[column] = None
    return table


def _check_values(table: pd.DataFrame, where: Callable[[int], str], classes: Sequence[str]) -> pd.DataFrame:
    """Every value in its type. where(place): how an error names a row."""
    columns: dict[str, list[Any]] = {name: [] for name in COLUMNS}
    words = _words_of_sets(table, where, classes)
    everything = list(dict.fromkeys(name for each in words.values() for name in each))
    soft = {
        column: _soft_name(column, everything) for column in table.columns if str(column).startswith("p_")
    }
    if len(set(soft.values())) < len(soft):
        raise ManifestError(f"several columns are soft labels of one emotion: {', '.join(map(str, soft))}")
    soft_values: dict[str, list[float]] = {name: [] for name in soft.values()}
    kept = []
    for place, row in enumerate(table.to_dict("records")):
        if all(_text(value) is None for value in row.values()):
            continue  # an empty line
        kept.append(place)
        try:
            columns["name"].append(_name(row["name"]))
            label = _text(row["label"])
            known = words[_text(row.get(LABEL_SET))]
            columns["label"].append(None if label is None else emotions.canonical(label, known))
            columns["subject"].append(_text(row["subject"]))
            columns["split"].append(_split(_text(row["split"])))
            start, end = _number(row["start"], "start"), _number(row["end"], "end")
            begin = 0.0 if math.isnan(start) else start
            if begin < 0 or end <= begin:
                raise ValueError(f"start {begin:g} and end {end:g}: must be 0 <= start < end")
            columns["start"].append(start)
            columns["end"].append(end)
            columns["fold"].append(_whole_number(row["fold"], "fold"))
            columns["person"].append(_whole_number(row["person"], "person"))
            for column, name in soft.items():
                share = _number(row[column], str(column))
                if share < 0 or math.isinf(share):
                    raise ValueError(f"{column} must be a share of at least 0, not {share:g}")
                soft_values[name].append(share)
        except ValueError as error:
            raise ManifestError(f"{where(place)}: {error}") from None
    others = [column for column in table.columns if column not in COLUMNS and column not in soft]
    checked = pd.DataFrame(
        {
            **{name: pd.Series(columns[name], dtype=object) for name in ("name", "label", "subject")},
            "start": pd.Series(columns["start"], dtype="float64"),
            "end": pd.Series(columns["end"], dtype="float64"),
            "split": pd.Series(columns["split"], dtype=object),
            "fold": pd.Series(columns["fold"], dtype="Int64"),
            "person": pd.Series(columns["person"], dtype="Int64"),
            **{name: pd.Series(values, dtype="float64") for name, values in soft_values.items()},
        }
    )
    return pd.concat([checked, table.loc[kept, others].reset_index(drop=True)], axis=1)


def _words_of_sets(
    table: pd.DataFrame, where: Callable[[int], str], classes: Sequence[str]
) -> dict[str | None, tuple[str, ...]]:
    """The words that count as they are, by label set; None: of rows that name none."""
    words: dict[str | None, tuple[str, ...]] = {None: tuple(classes)}
    for place, value in enumerate(table[LABEL_SET] if LABEL_SET in table.columns else ()):
        name = _text(value)
        if name not in words:
            try:
                words[name] = (*label_set(str(name)).classes, *classes)
            except LabelError as error:
                raise ManifestError(f"{where(place)}: {error}") from None
    return words


def _soft_name(column: object, classes: Sequence[str]) -> str:
    try:
        return "p_" + emotions.canonical(str(column).removeprefix("p_"), classes)
    except ValueError as error:
        raise ManifestError(f"column {column!r}: {error}") from None


def can_name(name: str) -> bool:
    """Whether a manifest can hold the name of a file: cells are stripped, and a CSV's rows end by `\\r`."""
    return bool(name.strip()) and _name(name) == name and "\r" not in name


def _text(value: Any) -> str | None:
    if value is None or (isinstance(value, float) and math.isnan(value)) or value is pd.NA:
        return None
    if isinstance(value, float) and value.is_integer():
        value = int(value)  # a table reader made 3.0 of a subject called 3
    return str(value).strip() or None


def _name(value: Any) -> str:
    text = _text(value)
    if text is None:
        raise ValueError("the path is empty")
    return text.replace("\\", "/") if "/" not in text and "\\" in text else text


def _number(value: Any, column: str) -> float:
    """NaN where the cell is empty."""
    text = _text(value)
    if text is None:
        return math.nan
    try:
        number = float(text)
    except ValueError:
        raise ValueError(f"{column} must be a number, not {text!r}") from None
    if math.isinf(number):
        raise ValueError(f"{column} must be finite, not {text!r}")
    return number


def _whole_number(value: Any, column: str) -> int | None:
    number = _number(value, column)
    if math.isnan(number):
        return None
    if number < 0 or not number.is_integer():
        raise ValueError(f"{column} must be a whole number of at least 0, not {number:g}")
    return int(number)


def _split_name(word: str) -> str | None:
    word = word.strip().lower()
    word = _SPLIT_ALIASES.get(word, word)
    return word if word in SPLITS else None


def _split(word: str | None) -> str | None:
    if word is None:
        return None
    name = _split_name(word)
    if name is None:
        raise ValueError(f"split must be one of {', '.join(SPLITS)}, not {word!r}")
    return name


def _is_subject(folder: str) -> bool:
    return _SUBJECT.fullmatch(folder.lower()) is not None


def _parts(name: str) -> tuple[str, ...]:
    parts = tuple(part for part in PurePosixPath(name).parts if part not in ("/", "."))
    return parts or (name,)


def _find_key(name: str, by_last: dict[str, list[tuple[tuple[str, ...], str]]]) -> str | None:
    wanted = _parts(name)
    best: tuple[int, set[str]] = (0, set())
    for parts, key in by_last.get(wanted[-1], []):
        if parts == wanted:
            return key
        common = min(len(parts), len(wanted))
        if parts[-common:] == wanted[-common:]:
            if common > best[0]:
                best = (common, {key})
            elif common == best[0]:
                best[1].add(key)
    if len(best[1]) > 1:
        raise ManifestError(
            f"the name {name!r} fits {len(best[1])} videos of the store: write more of their folders"
        )
    return next(iter(best[1]), None)
