"""Changing the labels of a store, and saying what changes before it does."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import pandas as pd

from cache.errors import StoreError
from cache.schema import VideoRecord
from videofer.datasets.manifest import COLUMNS, ManifestError, join_store, normalise

_IDENTITY = ("key", "start", "end", "person")


def replaced(
    old: pd.DataFrame | None, new: pd.DataFrame, videos: Sequence[VideoRecord], *, all_rows: bool = False
) -> tuple[pd.DataFrame, list[str]]:
    """The table with the rows of `new` in place of all rows of the same videos; lines for names not found.

    all_rows: no row of the old table stays.
    """
    joined, missing = join_store(new, videos)
    if old is None or all_rows or not len(old):
        return joined, missing
    stays = old[~old["key"].isin(joined["key"])]
    return (pd.concat([stays, joined], ignore_index=True) if len(stays) else joined), missing


def with_values(
    table: pd.DataFrame, values: Iterable[str], *, where: Iterable[str] = (), classes: Sequence[str] = ()
) -> pd.DataFrame:
    """The table with COLUMN=VALUE set in the rows in which every COLUMN=VALUE of `where` holds.

    An empty value clears. StoreError where no row fits, ManifestError for a value that is none.
    """
    rows = pd.Series(True, index=table.index)
    conditions = [_pair(text) for text in where]
    for column, value in conditions:
        if column not in table.columns:
            raise StoreError(
                f"the manifest has no column {column!r}, it has {', '.join(map(str, table.columns))}"
            )
        column_text = table[column].map(_text)
        rows &= column_text == value
    if not rows.any():
        said = " and ".join(f"{column}={value}" for column, value in conditions) or "there are no rows"
        raise StoreError(f"no row of the manifest fits: {said}")
    changed = table.astype(object).where(table.notna(), None)
    for column, value in (_pair(text) for text in values):
        if column in ("name", "key"):
            raise StoreError(f"{column} cannot be set: it says which video a row is of")
        if column not in changed.columns:
            changed[column] = None
        changed.loc[rows, column] = value or None
    known = [str(label) for label in table["label"].dropna().unique()] if "label" in table.columns else []
    checked = normalise(changed, source="the manifest", classes=[*classes, *known])
    if len(checked) != len(table):
        raise ManifestError("the manifest has empty rows")
    return checked


def differences(old: pd.DataFrame | None, new: pd.DataFrame) -> list[str]:
    """A line for each row that is added, dropped or changed."""
    before, after = _by_identity(old), _by_identity(new)
    lines = []
    for identity in before.keys() | after.keys():
        a, b = before.get(identity), after.get(identity)
        if a is None and b is not None:
            lines.append(f"{_called(b)}: new: {_said(b)}")
        elif b is None and a is not None:
            lines.append(f"{_called(a)}: dropped: {_said(a)}")
        elif a is not None and b is not None:
            columns = [c for c in dict.fromkeys([*a, *b]) if a.get(c, "") != b.get(c, "") and c != "name"]
            if columns:
                changes = ", ".join(f"{c} {a.get(c, '') or '-'} -> {b.get(c, '') or '-'}" for c in columns)
                lines.append(f"{_called(b)}: {changes}")
    return sorted(lines)


def _by_identity(table: pd.DataFrame | None) -> dict[tuple[str, ...], dict[str, str]]:
    if table is None:
        return {}
    found: dict[tuple[str, ...], dict[str, str]] = {}
    for values in table.to_dict("records"):
        row = {str(column): _text(value) for column, value in values.items()}
        identity = tuple(row.get(column, "") for column in _IDENTITY)
        number = 0
        while (*identity, str(number)) in found:  # several raters
            number += 1
        found[*identity, str(number)] = row
    return found


def _called(row: dict[str, str]) -> str:
    interval = (
        f" [{row['start'] or '0'}, {row['end'] or 'end'})" if row.get("start") or row.get("end") else ""
    )
    return f"{row.get('name', row.get('key', '?'))}{interval}"


def _said(row: dict[str, str]) -> str:
    shown = [c for c in row if c not in ("name", "key", "start", "end") and row[c]]
    order = {column: place for place, column in enumerate(COLUMNS)}
    return (
        ", ".join(f"{c} {row[c]}" for c in sorted(shown, key=lambda c: (order.get(c, 99), c))) or "no label"
    )


def _text(value: object) -> str:
    if value is None or value is pd.NA or (isinstance(value, float) and value != value):
        return ""
    return f"{value:g}" if isinstance(value, float) else str(value)


def _pair(text: str) -> tuple[str, str]:
    column, equals, value = text.partition("=")
    if not equals or not column.strip():
        raise StoreError(f"{text!r} is not COLUMN=VALUE")
    return column.strip(), value.strip()
