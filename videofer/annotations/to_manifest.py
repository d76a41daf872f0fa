"""From intervals to a manifest (`videofer.datasets.manifest`): rows to train on or to evaluate with.

Where one rater speaks, a row is an interval. Where several do, time is cut at their changes and a row has the
share of the raters for each emotion as a soft label, and the emotion of most as its label (none for a tie).
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

import pandas as pd

from videofer.annotations.intervals import AnnotationError, Annotations, person_of_tier
from videofer.annotations.videos import find_video
from videofer.annotations.votes import count_votes, one_voice
from videofer.emotions import in_order

TiersAre = Literal["person", "rater"]
Raters = Literal["soft", "each"]
NOBODY_SAID = -1  # number of the one person of a video whom nobody numbered
_NUMBER = re.compile(r"(?:person\s*)?(\d{1,6})")

COLUMNS = ("path", "start", "end", "label", "person", "rater", "num_raters", "person_name", "annotation")


@dataclass(frozen=True)
class ManifestRows:
    """Rows of a manifest, and what could not become one."""

    table: pd.DataFrame  # COLUMNS, with p_<emotion> before `rater` where there are soft labels
    notes: tuple[str, ...] = ()  # what was left out
    failures: tuple[str, ...] = field(default=())  # videos that have no rows for a mistake


def manifest_rows(
    annotations: Sequence[Annotations],
    names: Sequence[str],
    *,
    persons: Mapping[str, int] | None = None,
    tiers_are: TiersAre = "person",
    raters: Raters = "soft",
    min_seconds: float = 0.2,
) -> ManifestRows:
    """Rows for all intervals, by video and time. Labels must be canonical (`name_emotions`), points gone.

    names: of the videos, relative to their folder. persons: name in the annotations -> person of the store or
    timeline; several names may mean one. "person 3" and "3" are 3 by themselves. A video about one person
    needs no number.
    raters: "each" keeps a row for each interval of each rater. min_seconds: shorter pieces between the
    changes of several raters are left out.
    """
    notes: list[str] = []
    failures: list[str] = []
    placed = []
    for one in annotations:
        try:
            placed.append(_placed(one, names, tiers_are))
        except AnnotationError as error:
            failures.append(f"{one.path}: {error}")
    everything = pd.concat(placed, ignore_index=True) if placed else pd.DataFrame(columns=["path"])
    numbers = {_plain(name): number for name, number in (persons or {}).items()}
    rows: list[dict[str, Any]] = []
    dropped_seconds = 0.0
    for path, of_video in everything.groupby("path", sort=True):
        try:
            number_of = _person_numbers(of_video["person"], numbers)
        except AnnotationError as error:
            failures.append(f"{path}: {error}")
            continue
        number = of_video["person"].map(lambda name, of=number_of: of[_plain(name)])  # type: ignore[misc]
        for key, group in of_video.groupby(number.fillna(NOBODY_SAID), sort=True):
            about = {
                "path": path,
                "person": None if key == NOBODY_SAID else int(key),  # type: ignore[call-overload]
                "person_name": next((name for name in group["person"] if isinstance(name, str)), None),
            }
            if raters == "each" or one_voice(group):
                rows += _plain_rows(group, about)
            else:
                made, lost = _voted_rows(group, about, min_seconds)
                rows += made
                dropped_seconds += lost
    if dropped_seconds > 0:
        notes.append(f"{dropped_seconds:.1f} s between changes closer than {min_seconds:g} s are left out")
    return ManifestRows(_table(rows), tuple(notes), tuple(failures))


def _placed(one: Annotations, names: Sequence[str], tiers_are: TiersAre) -> pd.DataFrame:
    """The intervals of a file with `path`, and a rater in each row."""
    stem = one.path.name.removesuffix(".gz").rpartition(".")[0]
    table = one.table
    if tiers_are == "rater":
        of_tier = table["tier"].map(lambda tier: person_of_tier(tier) if isinstance(tier, str) else "")
        named = table["person"].where(table["person"] != of_tier, None)  # what the tier says is no person
        table = table.assign(rater=table["tier"], person=named)
    media = table["media"].where(table["media"].notna(), "")
    paths = {one_media: find_video(one_media, stem, names) for one_media in media.unique()}
    return table.assign(
        path=media.map(paths),
        rater=table["rater"].where(table["rater"].notna(), stem),
        annotation=one.path.name,
    )


def _person_numbers(column: pd.Series[Any], numbers: Mapping[str, int]) -> dict[str, int | None]:
    """Plain name -> number, for the persons of one video."""
    names = {_plain(name): name for name in column}
    found: dict[str, int | None] = {}
    for plain in names:
        written = _NUMBER.fullmatch(plain)
        found[plain] = numbers.get(plain, int(written.group(1)) if written else None)
    unknown = [names[plain] if plain else "(no name)" for plain, number in found.items() if number is None]
    if unknown and len(found) > 1:
        raise AnnotationError(
            f"it speaks of {len(found)} persons; say who {', '.join(map(repr, unknown))} is in the timeline:"
            f" --name 0={unknown[0]} ... (or --tiers-are rater)"
        )
    return found


def _plain_rows(group: pd.DataFrame, about: Mapping[str, Any]) -> list[dict[str, Any]]:
    return [
        {**about, "start": row.t_start, "end": row.t_end, "label": row.label, "rater": row.rater,
         "num_raters": 1, "annotation": row.annotation}
        for row in group.itertuples()
    ]  # fmt: skip


def _voted_rows(
    group: pd.DataFrame, about: Mapping[str, Any], min_seconds: float
) -> tuple[list[dict[str, Any]], float]:
    """Rows with soft labels, and the seconds that are too short for one."""
    votes = count_votes(group)
    annotation = "; ".join(sorted(set(group["annotation"])))
    rows, lost = [], 0.0
    for piece, (start, end) in enumerate(zip(votes.t_start, votes.t_end, strict=True)):
        if end - start < min_seconds - 1e-9:
            lost += float(end - start)
            continue
        shares = zip(votes.emotions, votes.shares[piece], strict=True)
        rows.append(
            {
                **about,
                "start": start,
                "end": end,
                "label": votes.winner(piece),
                **{f"p_{emotion}": float(share) for emotion, share in shares},
                "rater": "; ".join(votes.raters[piece]),
                "num_raters": len(votes.raters[piece]),
                "annotation": annotation,
            }
        )
    return rows, lost


def _table(rows: list[dict[str, Any]]) -> pd.DataFrame:
    soft = in_order({key.removeprefix("p_") for row in rows for key in row if key.startswith("p_")})
    place = COLUMNS.index("rater")
    columns = [*COLUMNS[:place], *(f"p_{name}" for name in soft), *COLUMNS[place:]]
    table = pd.DataFrame(rows, columns=columns)
    for name in soft:  # beside soft labels, no vote for an emotion is 0; hard rows have none at all
        is_soft = table[[f"p_{other}" for other in soft]].notna().any(axis=1)
        table[f"p_{name}"] = table[f"p_{name}"].mask(is_soft & table[f"p_{name}"].isna(), 0.0)
    table["person"] = table["person"].astype("Int64")
    return table.sort_values(["path", "person", "start", "end"], kind="stable", ignore_index=True)


def _plain(name: object) -> str:
    return " ".join(name.casefold().split()) if isinstance(name, str) else ""
