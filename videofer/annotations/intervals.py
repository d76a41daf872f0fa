"""Labelled intervals: the one table that every reader of human annotations makes.

Columns, a row for each label that somebody gave:
    label           str: as the file has it; after `name_emotions` a canonical emotion
    t_start, t_end  float64 media seconds, half-open; equal for a point event
    person          str or None: who is seen, as the file calls them; without that the name of the tier
    rater           str or None: who says so; for BORIS the observation
    tier            str or None: tier of ELAN or Praat, observation of BORIS
    media           str or None: the video as the file names it, with `/`
    modifiers       str or None: of BORIS, `strong` or `strong|left`
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import NamedTuple

import pandas as pd

from cache.errors import UserError
from videofer import emotions

COLUMNS = ("label", "t_start", "t_end", "person", "rater", "tier", "media", "modifiers")
SHOWN_LABELS = 5  # of those that are unknown
ROUNDING_SECONDS = 1e-3  # formats count in milliseconds: so little before 0 is 0


class AnnotationError(UserError, ValueError):
    """An annotation file is wrong. The message is one line that names the file and the place."""

    def __init__(self, message: str) -> None:
        super().__init__(" ".join(message.splitlines()))  # what a file holds may have lines


class Interval(NamedTuple):
    """One row of the table."""

    label: str
    t_start: float
    t_end: float
    person: str | None = None
    rater: str | None = None
    tier: str | None = None
    media: str | None = None
    modifiers: str | None = None


@dataclass(frozen=True)
class Annotations:
    """What a file says, and what of it could not be used."""

    path: Path
    table: pd.DataFrame  # COLUMNS, rising in t_start
    notes: tuple[str, ...] = field(default=())  # a line each: what was left out, and why


def person_of_tier(tier: str) -> str:
    """Who a tier is about, by its name: "Anna", or "emotion@Anna" as many write it."""
    return tier.rpartition("@")[2]


def make_table(intervals: Iterable[Interval]) -> pd.DataFrame:
    """The table of intervals; those whose label is empty say nothing and are left out.

    ValueError names the interval whose times are no media times or run backwards.
    """
    rows = []
    for one in intervals:
        label = one.label.strip()
        if not label:
            continue
        place = f"{label!r} from {one.t_start:g} to {one.t_end:g} s"
        if not (math.isfinite(one.t_start) and math.isfinite(one.t_end)):
            raise ValueError(f"{place}: the times must be finite")
        if one.t_end < one.t_start:
            raise ValueError(f"{place} ends before it starts")
        if one.t_start < -ROUNDING_SECONDS:
            raise ValueError(f"{place} starts before the video")
        rows.append(
            one._replace(
                label=label,
                t_start=max(one.t_start, 0.0),
                t_end=max(one.t_end, 0.0),
                person=_text(one.person),
                rater=_text(one.rater),
                tier=_text(one.tier),
                media=_text(one.media),
                modifiers=_text(one.modifiers),
            )
        )
    rows.sort(key=lambda row: (row.t_start, row.t_end))
    columns = list(zip(*rows, strict=True)) or [()] * len(COLUMNS)
    return pd.DataFrame(
        {
            name: pd.Series(list(values), dtype="float64" if name in ("t_start", "t_end") else object)
            for name, values in zip(COLUMNS, columns, strict=True)
        }
    )


def choose_tiers(annotations: Annotations, tiers: Sequence[str]) -> Annotations:
    """Only rows of these tiers; all where none is named. AnnotationError lists the tiers that there are."""
    if not tiers:
        return annotations
    there = list(annotations.table["tier"].dropna().unique())
    for tier in tiers:
        if tier not in there:
            known = ", ".join(repr(name) for name in there) or "none"
            raise AnnotationError(
                f"{annotations.path}: there is no tier {tier!r} with labels (there: {known})"
            )
    table = annotations.table
    return replace(annotations, table=table[table["tier"].isin(tiers)].reset_index(drop=True))


def name_emotions(
    annotations: Annotations,
    *,
    renamed: Mapping[str, str] | None = None,
    ignored: Sequence[str] = (),
    classes: Sequence[str] = (),
) -> Annotations:
    """The same with canonical labels.

    renamed: label of the file -> emotion. ignored: labels that say nothing of emotions; their rows go.
    Both without regard to upper and lower case; `label|modifiers` counts before the label alone.
    classes: names that count as they are.
    AnnotationError names every label that is unknown and the tiers it stands in.
    """
    wanted = {}
    for theirs, ours in (renamed or {}).items():
        try:
            wanted[_plain(theirs)] = emotions.canonical(ours, classes)
        except ValueError as error:
            raise AnnotationError(f"--map {theirs}={ours}: {error}") from None
    silent = {_plain(label) for label in ignored}
    names: dict[tuple[str, str], str] = {}
    unknown: dict[str, None] = {}
    why = ""
    table = annotations.table
    said = list(zip(table["label"], table["modifiers"].fillna(""), strict=True))
    for label, modifiers in dict.fromkeys(said):
        whole = f"{label}|{modifiers}" if modifiers else label
        if silent & {_plain(label), _plain(whole)}:
            continue
        try:
            given = wanted.get(_plain(whole)) or wanted.get(_plain(label))
            names[label, modifiers] = given or emotions.canonical(label, classes)
        except ValueError as error:
            why = why or str(error)
            unknown[whole] = None
    if unknown:
        raise AnnotationError(f"{annotations.path}: {_complaint(table, list(unknown), why)}")
    labels = pd.Series([names.get(one) for one in said], table.index, object)
    named = table.assign(label=labels)
    return replace(annotations, table=named[labels.notna()].reset_index(drop=True))


def give_points_length(annotations: Annotations, seconds: float | None) -> Annotations:
    """The same with intervals only: a point event lasts `seconds` around its time, or goes, with a note."""
    table = annotations.table
    point = (table["t_end"] <= table["t_start"]).to_numpy(dtype=bool)
    if not point.any():
        return annotations
    if seconds is None:
        note = f"point events are left out: {point.sum()} (--point-seconds gives them a length)"
        kept = table[~point].reset_index(drop=True)
        return replace(annotations, table=kept, notes=(*annotations.notes, note))
    middle = table["t_start"]
    return replace(
        annotations,
        table=table.assign(
            t_start=middle.where(~point, (middle - seconds / 2).clip(lower=0)),
            t_end=table["t_end"].where(~point, middle + seconds / 2),
        ),
    )


def _complaint(table: pd.DataFrame, unknown: Sequence[str], why: str) -> str:
    shown = []
    for label in unknown[:SHOWN_LABELS]:
        tiers = table.loc[table["label"] == label.partition("|")[0], "tier"].dropna().unique()
        shown.append(repr(label) + (f" (tier {', '.join(map(repr, tiers))})" if len(tiers) else ""))
    more = f" and {len(unknown) - SHOWN_LABELS} more" if len(unknown) > SHOWN_LABELS else ""
    labels = "labels" if len(unknown) > 1 else "label"
    return (
        f"unknown {labels} {', '.join(shown)}{more}: say --map THEIRS=OURS, --ignore-label THEIRS,"
        f" or --tier for the tiers that hold emotions; {why}"
    )


def _plain(label: str) -> str:
    return " ".join(label.casefold().split())


def _text(value: str | None) -> str | None:
    return (value or "").strip() or None
