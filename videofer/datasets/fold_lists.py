"""Official folds that come as five lists of training and five of test: one table of who is tested when.

Each video must be tested by exactly one fold and have one label in all lists. Where lists are missing there
are no folds, but the first fold that is whole can still be the split.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from videofer.datasets.adapter import DatasetError, Official, more


@dataclass(frozen=True)
class Labels:
    """A list: label by the video's id."""

    file: Path
    of: Mapping[str, str]


@dataclass(frozen=True)
class Member:
    """What the lists say about a video."""

    label: str
    fold: int | None
    split: str | None


@dataclass(frozen=True)
class Folds:
    """All lists together."""

    members: dict[str, Member]
    official: Official
    notes: tuple[str, ...]  # for people
    missing: tuple[str, ...]  # lists


def combine(
    train: Mapping[int, Labels], test: Mapping[int, Labels], official: Official, names: Mapping[int, str]
) -> Folds:
    """train, test: lists by fold. names: what a fold's lists are called. DatasetError where they clash."""
    whole = [fold for fold in names if fold in train and fold in test]
    missing = tuple(name for fold, name in names.items() if fold not in whole)
    if not whole:
        raise DatasetError(f"no fold has both its lists: expected {', '.join(names.values())}")
    label = _labels([*train.values(), *test.values()])
    if missing:
        first = whole[0]
        members = {
            each: Member(label[each], None, "test" if each in test[first].of else "train")
            for each in (*train[first].of, *test[first].of)
        }
        _refuse_both_sides(train[first], test[first])
        note = f"only fold {first} is used, as the split: lists of {len(missing)} folds are missing"
        return Folds(members, Official("split", None, official.source, official.crossval), (note,), missing)
    fold_of: dict[str, int] = {}
    for fold in whole:
        _refuse_both_sides(train[fold], test[fold])
        for each in test[fold].of:
            if each in fold_of:
                raise DatasetError(
                    f"{test[fold].file}: {each} is tested by fold {fold_of[each]} too: expected one fold"
                )
            fold_of[each] = fold
    never = [each for each in label if each not in fold_of]
    notes = []
    if never:
        notes.append(
            f"{len(never):,} videos are tested by no fold and left out: {never[0]}{more(len(never) - 1)}"
        )
    members = {each: Member(label[each], fold, None) for each, fold in fold_of.items()}
    return Folds(members, official, tuple(notes), ())


def _labels(lists: list[Labels]) -> dict[str, str]:
    """Label by id. DatasetError where two lists differ."""
    label: dict[str, str] = {}
    said_by: dict[str, Path] = {}
    for each in lists:
        for video, word in each.of.items():
            if label.setdefault(video, word) != word:
                raise DatasetError(
                    f"{each.file}: {video} is {word}, but {label[video]} in {said_by[video]}: "
                    "these are lists of different releases"
                )
            said_by.setdefault(video, each.file)
    return label


def _refuse_both_sides(train: Labels, test: Labels) -> None:
    both = [video for video in test.of if video in train.of]
    if both:
        raise DatasetError(f"{test.file}: {both[0]} is in {train.file.name} of the same fold too")
