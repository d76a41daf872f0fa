"""Leaks: one person, one file or one recording on several sides of a division, or in two corpora.

    subject  a subject's rows are on several sides
    content  a file (by its content hash) is on several sides
    copy     two files show the same faces moving in the same way: cut, resized, encoded anew

Sides are splits, folds, or corpora: rows of two sides are never to be alike. Copies are found by the faces
that a store holds (`leaks_prints`, `leaks_match`): a video without a face is compared by its content only.
Mirrored copies are not found, nor pieces of a recording that have less than three fifths in common.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np
import pandas as pd

from cache.atomic import atomic_write_text
from cache.errors import UserError
from cache.reader import StoreReader
from cache.store import Store
from videofer.datasets.leaks_match import MAX_SECONDS, Footage, compare, footage
from videofer.datasets.leaks_prints import Print, near_pairs, prints_of

MAX_LOOKS = 2000
"""Pairs that are looked at closely, those that are most alike first."""

_ENOUGH = 2000  # instants of a track to begin with

Progress = Callable[[str, int, int], None]
"""Called with what is done, how many are done, and of how many."""


class LeakError(UserError, ValueError):
    """A division cannot be checked. The message is one line for the user."""


@dataclass(frozen=True)
class Place:
    """Where one of a pair is."""

    corpus: str
    side: str
    key: str
    name: str  # of the video; of a subject its name
    person: int = 0
    start: float = 0.0  # media seconds of what both have in common
    end: float = 0.0


@dataclass(frozen=True)
class Pair:
    """What stands on two sides."""

    kind: Literal["subject", "content", "copy"]
    first: Place
    second: Place
    likeness: float = 1.0
    motion: float = 1.0

    def line(self) -> str:
        """For people, without a newline."""
        a, b = self.first, self.second
        if self.kind == "subject":
            return f"subject '{a.name}' is in {a.side} and in {b.side}"
        if self.kind == "content":
            return f"{_titled(a)} and {_titled(b)} are the same file"
        if a.end <= a.start:
            return f"{_titled(a)} and {_titled(b)} are one picture (likeness {self.likeness:.2f})"
        return (
            f"{_titled(a)} from {a.start:.2f} s and {_titled(b)} from {b.start:.2f} s show the same for "
            f"{a.end - a.start:.2f} s (likeness {self.likeness:.2f}, motion {self.motion:.2f})"
        )


def _titled(place: Place) -> str:
    return f"'{place.name}'" if place.side == "all" else f"'{place.name}' ({place.side})"


@dataclass(frozen=True, kw_only=True)
class LeakReport:
    """What a check found."""

    sides: tuple[str, ...]
    pairs: list[Pair]
    num_videos: int
    num_faceless: int  # videos compared by content only
    num_alike: int  # pairs of faces that were alike at some instant
    num_looked: int  # of those, how many were looked at closely
    readers: Mapping[str, StoreReader]  # corpus -> its store

    @property
    def is_clean(self) -> bool:
        return not self.pairs

    def of(self, kind: str) -> list[Pair]:
        """The pairs of a kind."""
        return [pair for pair in self.pairs if pair.kind == kind]

    def notes(self) -> list[str]:
        """Sentences for a report: what was found, and what could not be looked at."""
        found = []
        for kind, what in (("subject", "subjects"), ("content", "files"), ("copy", "copies of a recording")):
            pairs = self.of(kind)
            if pairs:
                more = f" (and {len(pairs) - 1:,} more {what})" if len(pairs) > 1 else ""
                is_leak = pairs[0].first.side != pairs[0].second.side
                found.append(f"{'leak' if is_leak else 'copy'}: {pairs[0].line()}{more}")
        if self.num_faceless == self.num_videos:
            what = "all show no face: they were compared by their content only"
            return [*found, f"of {self.num_videos:,} videos {what}"]
        if not found:
            found.append(f"no copies found among the faces of {self.num_videos - self.num_faceless:,} videos")
        if self.num_faceless:
            found.append(
                "1 video shows no face and was compared by its content only"
                if self.num_faceless == 1
                else f"{self.num_faceless:,} videos show no face and were compared by their content only"
            )
        if self.num_looked < self.num_alike:
            found.append(
                f"{self.num_alike:,} pairs of faces or more are alike at some instant; the "
                f"{self.num_looked:,} most alike were looked at for copies"
            )
        return found

    def table(self) -> pd.DataFrame:
        """A row for each pair."""
        rows = []
        for pair in self.pairs:
            row: dict[str, Any] = {"kind": pair.kind}
            for which, place in (("a", pair.first), ("b", pair.second)):
                row |= {
                    f"{which}_corpus": place.corpus, f"{which}_side": place.side, f"{which}_name": place.name,
                    f"{which}_person": place.person, f"{which}_start": round(place.start, 3),
                    f"{which}_end": round(place.end, 3),
                }  # fmt: skip
            rows.append(row | {"likeness": round(pair.likeness, 4), "motion": round(pair.motion, 4)})
        return pd.DataFrame(rows)

    def save(self, out: Path) -> None:
        """Writes OUT/leaks.csv, and OUT/leaks.html with the faces of both side by side."""
        from videofer.datasets.leaks_page import leaks_page

        out.mkdir(parents=True, exist_ok=True)
        atomic_write_text(out / "leaks.csv", self.table().to_csv(index=False))
        atomic_write_text(out / "leaks.html", leaks_page(self))


def sides_of(table: pd.DataFrame) -> list[str]:
    """The side of each row of a joined manifest: its fold, else its split, else "all". LeakError."""
    if table["fold"].notna().any():
        if table["fold"].isna().any():
            name = table.loc[table["fold"].isna(), "name"].iloc[0]
            raise LeakError(f"'{name}' has no value in the column 'fold', others have")
        return [f"fold {int(value)}" for value in table["fold"]]
    if table["split"].notna().any():
        return table["split"].fillna("train").astype(str).tolist()
    return ["all"] * len(table)


def videos_table(store: Store) -> pd.DataFrame:
    """All videos of a store as a joined manifest without labels, subjects or lists."""
    return pd.DataFrame(
        [
            {"name": video.names[0], "key": video.key, "subject": None, "split": None, "fold": pd.NA}
            for video in store.videos()
        ]
    )


def check(
    store: Path,
    table: pd.DataFrame,
    *,
    sides: Sequence[str] | None = None,
    everywhere: bool = False,
    progress: Progress = lambda _what, _done, _total: None,
) -> LeakReport:
    """Looks for leaks between the sides of a joined manifest (`datasets.manifest.join_store`).

    sides: (N,) of the rows; None: as `sides_of`. everywhere: also for copies within a side, where a division
    may yet be drawn.
    """
    named = sides_of(table) if sides is None else list(sides)
    assert len(named) == len(table), (len(named), len(table))
    rows = table.assign(side=named, corpus=Path(store).name)
    everywhere = everywhere or len(set(named)) < 2
    return _check(
        {Path(store).name: Path(store)}, rows, everywhere=everywhere, by_subject=True, progress=progress
    )


def check_corpora(
    corpora: Mapping[str, tuple[Path, pd.DataFrame]],
    *,
    progress: Progress = lambda _what, _done, _total: None,
) -> LeakReport:
    """Looks for files and recordings that are in several corpora: name -> store and joined manifest.

    The names of subjects say nothing across corpora and are not compared.
    """
    rows = pd.concat([table.assign(side=name, corpus=name) for name, (_, table) in corpora.items()])
    stores = {name: path for name, (path, _) in corpora.items()}
    return _check(stores, rows.reset_index(drop=True), everywhere=False, by_subject=False, progress=progress)


def _check(
    stores: Mapping[str, Path], rows: pd.DataFrame, *, everywhere: bool, by_subject: bool, progress: Progress
) -> LeakReport:
    readers = {name: StoreReader(path) for name, path in stores.items()}
    sides = tuple(dict.fromkeys(rows["side"]))
    pairs = [*(_on_several(rows, "subject") if by_subject else []), *_on_several(rows, "key")]
    prints: list[tuple[str, Print]] = []
    num_faceless = 0
    for name, reader in readers.items():
        keys = set(rows.loc[rows["corpus"] == name, "key"])
        found, faceless = prints_of(reader, keys, lambda done, total: progress("faces", done, total))
        prints += [(name, one) for one in found]
        num_faceless += len(faceless)
    side_of: dict[tuple[str, str], set[str]] = {}
    for corpus, key, side in zip(rows["corpus"], rows["key"], rows["side"], strict=True):
        side_of.setdefault((corpus, key), set()).add(side)
    number: dict[Any, int] = {}
    # What two prints must not share to be compared: everywhere their video, else their sides (all of them).
    own = [(name, one.key) if everywhere else tuple(sorted(side_of[name, one.key])) for name, one in prints]
    place = np.array([number.setdefault(value, len(number)) for value in own], dtype=np.int64)
    near = [
        pair
        for pair in near_pairs([one for _, one in prints], place)
        if prints[pair[0]][1].key != prints[pair[1]][1].key
    ]
    looked = near[:MAX_LOOKS]
    facts = {
        (str(row["corpus"]), str(row["key"])): (str(row["side"]), str(row["name"]))
        for row in reversed(rows.to_dict("records"))
    }
    pairs += _copies(readers, prints, looked, facts, progress)
    return LeakReport(
        sides=sides, pairs=pairs, num_videos=len(side_of), num_faceless=num_faceless,
        num_alike=len(near), num_looked=len(looked), readers=readers,
    )  # fmt: skip


def _on_several(rows: pd.DataFrame, column: Literal["subject", "key"]) -> list[Pair]:
    """A pair for each value of the column that stands on several sides: its first rows on the first two."""
    found = []
    known = rows[rows[column].notna()]
    for value, same in known.groupby(column, sort=True):
        first = same.drop_duplicates("side")
        if len(first) < 2:
            continue
        a, b = (
            Place(
                str(row["corpus"]), str(row["side"]), str(row["key"]),
                str(value) if column == "subject" else str(row["name"]),
            )
            for row in first.head(2).to_dict("records")
        )  # fmt: skip
        found.append(Pair("subject" if column == "subject" else "content", a, b))
    return found


def _copies(
    readers: Mapping[str, StoreReader],
    prints: Sequence[tuple[str, Print]],
    near: Sequence[tuple[int, int, int]],
    facts: Mapping[tuple[str, str], tuple[str, str]],
    progress: Progress,
) -> list[Pair]:
    kept: dict[int, Footage] = {}  # of the pairs at hand: they come by the first of them

    def load(place: int, around: float | None) -> Footage:
        name, one = prints[place]
        long = around if one.times[-1] - one.times[0] > MAX_SECONDS else None
        if long is not None:
            return footage(readers[name], one.key, one.person_id, long)
        if place not in kept:
            if len(kept) > 256:
                kept.clear()
            kept[place] = footage(readers[name], one.key, one.person_id)
        return kept[place]

    best: dict[tuple[str, str, str, str], Pair] = {}
    for done, (a, b, _) in enumerate(sorted(near), start=1):
        times = _alike(prints[a][1], prints[b][1])
        match = compare(load(a, times[0]), load(b, times[1]))
        progress("pairs", done, len(near))
        if match is None or not match.is_copy:
            continue
        first, second = (
            _place_of(prints[place], facts, match.start + shift, match.end + shift)
            for place, shift in ((a, 0.0), (b, match.shift))
        )
        pair = Pair("copy", first, second, match.likeness, match.motion)
        key = (first.corpus, first.key, second.corpus, second.key)
        if key not in best or best[key].likeness < pair.likeness:
            best[key] = pair  # of a video with several people, the one who is most alike
    return sorted(best.values(), key=lambda pair: -pair.likeness)


def _place_of(
    one: tuple[str, Print], facts: Mapping[tuple[str, str], tuple[str, str]], start: float, end: float
) -> Place:
    corpus, found = one
    side, name = facts[corpus, found.key]
    return Place(corpus, side, found.key, name, found.person_id, max(start, 0.0), max(end, 0.0))


def _alike(first: Print, second: Print) -> tuple[float, float]:
    """When the two are most alike, in media seconds of each."""
    step_a, step_b = (max(1, len(one.hashes) // _ENOUGH) for one in (first, second))
    bits = np.bitwise_count(first.hashes[::step_a, None] ^ second.hashes[None, ::step_b])
    a, b = np.unravel_index(int(bits.argmin()), bits.shape)
    return float(first.times[a * step_a]), float(second.times[b * step_b])
