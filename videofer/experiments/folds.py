"""Evaluation protocols: which labelled rows each fold tests. Pure functions of a joined manifest table.

    kfold     k folds of whole subjects, each class spread over them evenly
    loso      leave one subject out: a fold for each
    lopo      leave one performer out: the same by the column `performer`, where the manifest has one
    official  the manifest's own: each value of `fold` is a test set; without such a column the split "test"

Whoever shares a video is tested together. Letters in shapes: N rows, n classes.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any, Literal, get_args

import numpy as np
import pandas as pd

from cache.errors import UserError
from preprocessing.config_file import nearest
from videofer.data.groups import balanced_folds, linked_groups
from videofer.models.targets import Targets

Protocol = Literal["kfold", "loso", "lopo", "official"]
PROTOCOLS: tuple[Protocol, ...] = get_args(Protocol)
GIVEN_SUBJECT = "given_subject"
"""Column of a fold's manifest that keeps the subjects where another column was grouped by."""


class FoldError(UserError, ValueError):
    """A table cannot be divided as asked. The message is one line that says what to do."""


@dataclass(frozen=True, kw_only=True)
class Fold:
    """One division into test and training."""

    number: int  # counts from 1; of an official fold its value in the manifest
    groups: tuple[str, ...]  # who is tested, where it is known
    is_test: np.ndarray  # (N,) bool


@dataclass(frozen=True, kw_only=True)
class Plan:
    """The folds of a protocol."""

    protocol: Protocol
    column: str  # whose values never stand on both sides of a fold
    folds: tuple[Fold, ...]
    note: str  # what was done, for people


def plan_folds(
    table: pd.DataFrame,
    target: np.ndarray,
    classes: Sequence[str],
    *,
    protocol: Protocol,
    num_folds: int = 5,
    group_by: str | None = None,
    seed: int = 0,
    targets: Targets = "single",
) -> Plan:
    """Divides the rows of a joined manifest (`datasets.manifest.join_store`), all of which have a label.

    target: (N, n) float, class probabilities of each row. num_folds: of kfold. group_by: the column to take
    for the subject. seed: of the draw among equal divisions by kfold. targets: of "multi" a class may be
    tested that nobody is left to learn from. FoldError where it cannot be done.
    """
    if protocol not in PROTOCOLS:
        raise FoldError(f"the protocol must be one of {', '.join(PROTOCOLS)}, not '{protocol}'")
    if not len(table):
        raise FoldError(f"no row has a label of the recipe's classes: {', '.join(classes)}")
    column = _grouping_column(table, protocol, group_by)
    names = group_names(table, column)
    if protocol == "official":
        folds, note = _official_folds(table, names)
    else:
        folds, note = _group_folds(table, names, target, protocol, num_folds, column, seed)
    for fold in folds:
        _refuse_both_sides(table, names, fold, column)
        if targets == "single":
            _refuse_unlearnable(table, target, classes, fold)
    return Plan(protocol=protocol, column=column, folds=tuple(folds), note=note)


def fold_manifest(table: pd.DataFrame, plan: Plan, fold: Fold) -> pd.DataFrame:
    """The table with the fold's `split`, and in `subject` the column that was grouped by.

    Every other column is kept. Where the fold is the manifest's own split, its rows "val" validate.
    """
    own_split = plan.protocol == "official" and not table["fold"].notna().any()
    train = np.where(own_split & (table["split"] == "val"), "val", "train")
    manifest = table.drop(columns="key").assign(split=np.where(fold.is_test, "test", train))
    if plan.column != "subject":
        manifest[GIVEN_SUBJECT] = table["subject"]
        manifest["subject"] = [name or None for name in group_names(table, plan.column)]
    return manifest


def group_names(table: pd.DataFrame, column: str) -> list[str]:
    """The column's values as words, "" where a cell is empty."""
    return [_word(value) for value in table[column]]


def describe(folds: Iterable[Fold]) -> pd.DataFrame:
    """A row per fold: its number, how many rows it tests, who is tested."""
    rows = [
        {"fold": fold.number, "num_test": int(fold.is_test.sum()), "groups": " ".join(fold.groups)}
        for fold in folds
    ]
    return pd.DataFrame(rows)


def _grouping_column(table: pd.DataFrame, protocol: Protocol, group_by: str | None) -> str:
    if group_by is None:
        return "performer" if protocol == "lopo" and "performer" in table.columns else "subject"
    if group_by not in table.columns:
        columns = _columns_with_values(table)
        guess = nearest(group_by, columns)
        hint = f"; did you mean '{guess}'?" if guess else ""
        raise FoldError(f"the manifest has no column '{group_by}'{hint} (columns: {', '.join(columns)})")
    return group_by


def _official_folds(table: pd.DataFrame, names: Sequence[str]) -> tuple[list[Fold], str]:
    value = table["fold"]
    if value.notna().any():
        if value.isna().any():
            name = table.loc[value.isna(), "name"].iloc[0]
            raise FoldError(f"{value.isna().sum()} rows have no value in the column 'fold', '{name}' first")
        numbers = sorted(int(number) for number in value.unique())
        if len(numbers) < 2:
            raise FoldError(f"every row is of fold {numbers[0]}: official folds are at least two")
        folds = [_make_fold(number, names, (value == number).to_numpy(dtype=bool)) for number in numbers]
        return folds, f"official: {len(folds)} folds, the manifest's own"
    is_test = (table["split"] == "test").to_numpy(dtype=bool)
    if not is_test.any() or is_test.all():
        side = "test" if is_test.all() else "train"
        raise FoldError(
            f"the manifest has no official folds: no column 'fold', and every split is '{side}'; "
            "choose the protocol kfold or loso"
        )
    return [_make_fold(1, names, is_test)], "official: no column 'fold', so the split 'test' is the one fold"


def _group_folds(
    table: pd.DataFrame,
    names: Sequence[str],
    target: np.ndarray,
    protocol: Protocol,
    num_folds: int,
    column: str,
    seed: int,
) -> tuple[list[Fold], str]:
    _refuse_empty(table, names, column)
    group = linked_groups(names, table["key"].tolist())  # (N,)
    num_names, num_groups = len(set(names)), int(group.max()) + 1
    if num_groups < 2:
        why = f"is of {column} '{names[0]}'" if num_names == 1 else f"shares its video with another {column}"
        raise FoldError(f"every row {why}: cross-validation needs at least two that share nothing")
    if protocol == "kfold":
        if num_folds < 2:
            raise FoldError(f"kfold needs at least 2 folds, not {num_folds}")
        if num_folds > num_groups:
            linked = " (those who share a video count as one)" if num_groups < num_names else ""
            raise FoldError(
                f"{num_folds} folds are more than the {num_groups} values of '{column}'{linked}: "
                f"at most {num_groups}"
            )
        fold_of = balanced_folds(group, target, num_folds, seed)[group]
    else:
        fold_of = group
    folds = [_make_fold(n + 1, names, fold_of == n) for n in range(int(fold_of.max()) + 1)]
    note = f"{protocol}: {len(folds)} folds of {num_names} values of the column '{column}'"
    if num_groups < num_names:
        note += f", {num_groups} groups of them that share no video"
    if (table["split"] == "test").any():
        note += "; the manifest's own split is not used, every row is tested once"
    return folds, note


def _make_fold(number: int, names: Sequence[str], is_test: np.ndarray) -> Fold:
    groups = sorted({name for name, tested in zip(names, is_test, strict=True) if tested and name})
    return Fold(number=number, groups=tuple(groups), is_test=is_test)


def _refuse_empty(table: pd.DataFrame, names: Sequence[str], column: str) -> None:
    empty = [place for place, name in enumerate(names) if not name]
    if not empty:
        return
    others = [name for name in _columns_with_values(table) if name not in ("name", "key", "label", column)]
    advice = f"fill it, or group by another column (there are {', '.join(others)})"
    if len(empty) == len(table):
        raise FoldError(f"the column '{column}' of the manifest is empty: {advice}")
    raise FoldError(
        f"'{table['name'].iloc[empty[0]]}' has no value in the column '{column}' ({len(empty)} of "
        f"{len(table)} rows): {advice}"
    )


def _refuse_both_sides(table: pd.DataFrame, names: Sequence[str], fold: Fold, column: str) -> None:
    """Only an official fold can fail here."""
    for what, values in ((column, names), ("the content of", table["key"].tolist())):
        tested = {value for value, test in zip(values, fold.is_test, strict=True) if test}
        trained = {value for value, test in zip(values, fold.is_test, strict=True) if not test}
        both = sorted((tested & trained) - {""})
        if both:
            shown = both[0] if values is names else table.loc[table["key"] == both[0], "name"].iloc[0]
            more = f" (and {len(both) - 1} more)" if len(both) > 1 else ""
            raise FoldError(
                f"{what} '{shown}'{more} stands on both sides of fold {fold.number}: the model would be "
                "tested on what it knows; correct the manifest, or choose the protocol kfold"
            )


def _refuse_unlearnable(table: pd.DataFrame, target: np.ndarray, classes: Sequence[str], fold: Fold) -> None:
    mass, left = target.sum(axis=0), target[~fold.is_test].sum(axis=0)
    lost = [name for name, total, rest in zip(classes, mass, left, strict=True) if total > 0 and rest <= 0]
    if lost:
        who = ", ".join(fold.groups[:3]) + (", ..." if len(fold.groups) > 3 else "")
        raise FoldError(
            f"fold {fold.number} tests every sample of '{lost[0]}'{f' ({who})' if who else ''}, so nobody "
            "is left to learn it from: take more and smaller folds, or leave the class out of data.classes"
        )


def _columns_with_values(table: pd.DataFrame) -> list[str]:
    return [str(column) for column in table.columns if column != "key" and table[column].notna().any()]


def _word(value: Any) -> str:
    if pd.isna(value):
        return ""
    if isinstance(value, float) and value.is_integer():
        value = int(value)  # a table reader made 3.0 of a performer called 3
    return str(value).strip()
