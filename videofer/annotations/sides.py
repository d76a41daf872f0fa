"""The two sides of a comparison: what a file says of one person over time, timeline or annotation."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Literal

import numpy as np
import pandas as pd

from cache.errors import UserError
from videofer.annotations.intervals import (
    AnnotationError,
    Annotations,
    choose_tiers,
    give_points_length,
    name_emotions,
)
from videofer.annotations.read import read_annotations
from videofer.annotations.timeline_csv import is_timeline_csv, read_timeline_csv
from videofer.annotations.videos import find_video
from videofer.timeline.compare import merge_labels, persons_by_presence
from videofer.timeline.segments import as_intervals
from videofer.timeline.timeline import Timeline

TOUCH_SECONDS = 2e-3  # annotations count in milliseconds: so little overlap is rounding
Gaps = Literal["ignore", "neutral"]


@dataclass(frozen=True)
class Choice:
    """What of a file is meant. None: what is there alone, or fits the other file."""

    person: str | None = None  # name or number
    tier: str | None = None
    rater: str | None = None
    video: str | None = None


@dataclass(frozen=True)
class Reading:
    """How the words of annotations are understood."""

    renamed: Mapping[str, str] = field(default_factory=dict)
    ignored: Sequence[str] = ()
    classes: Sequence[str] = ()  # that count as they are
    point_seconds: float | None = None


@dataclass(frozen=True)
class Side:
    """One person in one file. Intervals have t_start, t_end, label; they rise and do not overlap."""

    title: str  # for people: the file, and who in it
    kind: Literal["timeline", "annotation"]
    labels: pd.DataFrame  # the emotion that is said at each time
    segments: pd.DataFrame
    duration_seconds: float
    rows: pd.DataFrame | None = None  # of a timeline: with p_<class>
    classes: tuple[str, ...] = ()  # of a timeline
    notes: tuple[str, ...] = ()


def open_sides(
    paths: tuple[Path, Path], choices: tuple[Choice, Choice], reading: Reading, gaps: Gaps = "ignore"
) -> tuple[Side, Side]:
    """Both files, each narrowed to one person; who is meant in one file helps to find them in the other.

    gaps: what the time means of which an annotation says nothing: nothing, or neutral.
    UserError where it is open who is meant, or where a file says two things about the same time.
    """
    sources: list[Timeline | Annotations] = [_open(path) for path in paths]
    classes = [name for one in sources if isinstance(one, Timeline) for name in one.classes]
    reading = replace(reading, classes=[*reading.classes, *classes])
    video = next((one.video.name for one in sources if isinstance(one, Timeline)), None)
    hints: list[str] = []
    for place, (source, choice) in enumerate(zip(sources, choices, strict=True)):
        if isinstance(source, Annotations):
            narrowed = _narrowed(source, choice, reading, video)
            alone = _persons(narrowed)
            hints += alone.values() if len(alone) == 1 else []
            sources[place] = narrowed
        hints += [choice.person] if choice.person else []
    numbers, taken = {}, {}
    for place, (source, choice) in enumerate(zip(sources, choices, strict=True)):
        if isinstance(source, Timeline):
            numbers[place], taken[place] = _person_number(paths[place], source, choice.person, hints)
            hints += [source.name_of(numbers[place]), str(numbers[place])]
    sides = [
        _timeline_side(paths[place], source, numbers[place], taken[place])
        if isinstance(source, Timeline)
        else _annotation_side(source, choice, hints)
        for place, (source, choice) in enumerate(zip(sources, choices, strict=True))
    ]
    keys = {one.video.key for one in sources if isinstance(one, Timeline) and one.video.key}
    if len(keys) > 1:
        note = f"{paths[0]} and {paths[1]} are about videos of different content; times are taken as they are"
        sides[0] = replace(sides[0], notes=(*sides[0].notes, note))
    duration = max(side.duration_seconds for side in sides)
    settle = _with_neutral if gaps == "neutral" else _with_note
    first, second = (settle(side, duration) if side.kind == "annotation" else side for side in sides)
    return first, second


def _open(path: Path) -> Timeline | Annotations:
    if not path.exists():
        raise UserError(f"{path}: there is no such file")
    if path.suffix.lower() == ".parquet":
        return Timeline.load(path)
    return read_timeline_csv(path) if is_timeline_csv(path) else read_annotations(path)


def _narrowed(source: Annotations, choice: Choice, reading: Reading, video: str | None) -> Annotations:
    """The tier, rater and video that are meant, with canonical labels."""
    one = choose_tiers(source, [choice.tier] if choice.tier else [])
    raters = one.table["rater"].dropna().unique()
    if choice.rater is not None:
        if choice.rater not in raters:
            there = ", ".join(map(repr, raters)) or "none"
            raise AnnotationError(f"{one.path}: there is no rater {choice.rater!r} (there: {there})")
        one = replace(one, table=one.table[one.table["rater"] == choice.rater].reset_index(drop=True))
    media = list(one.table["media"].dropna().unique())
    wanted = choice.video or video
    if len(media) > 1 or choice.video:
        if wanted is None:
            raise AnnotationError(
                f"{one.path}: it is about {len(media)} videos; say which one: --video {media[0]}"
            )
        if not media:
            raise AnnotationError(f"{one.path}: it names no video: leave out --video")
        try:
            found = find_video(wanted, wanted, media)
        except AnnotationError as error:
            there = ", ".join(map(str, media[:3])) + (" ..." if len(media) > 3 else "")
            raise AnnotationError(f"{one.path}: {error} ({there}); say --video") from None
        one = replace(one, table=one.table[one.table["media"] == found].reset_index(drop=True))
    one = name_emotions(one, renamed=reading.renamed, ignored=reading.ignored, classes=reading.classes)
    return give_points_length(one, reading.point_seconds)


def _persons(source: Annotations) -> dict[str, str]:
    """Plain name -> name of the persons of an annotation; "" for no name."""
    names = (name if isinstance(name, str) else "" for name in source.table["person"])
    return {_plain(name): name for name in names}


def _person_number(
    path: Path, timeline: Timeline, wanted: str | None, hints: Sequence[str]
) -> tuple[int, tuple[str, ...]]:
    """Who is meant: the wanted one, else whom the other file names, else who is seen longest (noted)."""
    names = {str(one.id): one.id for one in timeline.persons}
    names |= {f"person {one.id}": one.id for one in timeline.persons}
    names |= {_plain(one.name): one.id for one in timeline.persons}
    if wanted is not None and _plain(wanted) in names:
        return names[_plain(wanted)], ()
    if wanted is not None:
        there = ", ".join(f"{one.id} {one.name!r}" for one in timeline.persons) or "nobody"
        raise UserError(f"{path}: there is no person {wanted!r} (there: {there})")
    hinted = [names[_plain(hint)] for hint in hints if _plain(hint) in names]
    present = persons_by_presence(timeline.rows)
    if not present:
        raise UserError(f"{path}: nobody is seen in this timeline")
    if hinted or len(present) == 1:
        return (hinted or present)[0], ()
    longest = timeline.name_of(present[0])
    note = f"{path}: {len(present)} persons; {longest!r} is taken, who is seen longest; else say --person"
    return present[0], (note,)


def _timeline_side(path: Path, timeline: Timeline, number: int, notes: tuple[str, ...]) -> Side:
    rows = timeline.rows_of(number)
    said = rows[rows["label"].isin(timeline.classes)]
    segments = as_intervals(timeline.segments())
    of_person = segments[segments["person"] == number].sort_values("t_start")
    if path.suffix.lower() == ".csv":
        by_default = f"{path}: segments by the default settings, a CSV does not keep the timeline's own"
        notes = (*notes, by_default)
    return Side(
        title=_title(path, timeline.name_of(number) if len(timeline.persons) > 1 else None),
        kind="timeline",
        labels=merge_labels(said),
        segments=of_person[["t_start", "t_end", "label"]].reset_index(drop=True),
        duration_seconds=timeline.duration_seconds,
        rows=rows,
        classes=timeline.classes,
        notes=notes,
    )


def _annotation_side(source: Annotations, choice: Choice, hints: Sequence[str]) -> Side:
    persons = _persons(source)
    plain_hints = [_plain(hint) for hint in hints] + [f"person {hint}" for hint in hints if hint.isdecimal()]
    fitting = [plain for plain in plain_hints if plain in persons] if len(persons) > 1 else list(persons)
    if choice.person is not None and _plain(choice.person) in persons:
        fitting = [_plain(choice.person)]
    if not fitting:
        if not persons:
            raise AnnotationError(f"{source.path}: there are no labels of emotions in it")
        there = ", ".join(repr(name) if name else "somebody without a name" for name in persons.values())
        raise AnnotationError(f"{source.path}: it is about {there}; choose with --person or --tier")
    table = source.table
    table = table[table["person"].map(_plain) == fitting[0]]
    labels = _without_overlap(table, source.path)
    shown = choice.tier or choice.rater or (persons[fitting[0]] if len(persons) > 1 else None)
    return Side(
        title=_title(source.path, shown),
        kind="annotation",
        labels=labels,
        segments=labels,
        duration_seconds=float(labels["t_end"].max()),
        notes=tuple(f"{source.path}: {note}" for note in source.notes),
    )


def _without_overlap(table: pd.DataFrame, path: Path) -> pd.DataFrame:
    """One label at a time: same labels that overlap become one, rounding is trimmed."""
    merged: list[list[object]] = []
    ends = -np.inf
    for start, end, label in table.sort_values(["t_start", "t_end"])[
        ["t_start", "t_end", "label"]
    ].itertuples(index=False):
        if start >= ends:
            merged.append([start, end, label])
        elif merged[-1][2] == label:
            merged[-1][1] = max(end, ends)
        elif ends - start <= TOUCH_SECONDS:
            merged.append([ends, max(end, ends), label])
        else:
            raise AnnotationError(
                f"{path}: {merged[-1][2]!r} and {label!r} are said of the same time at {start:g} s;"
                " choose with --tier, --rater or --person"
            )
        ends = max(end, ends)
    return merge_labels(pd.DataFrame(merged, columns=["t_start", "t_end", "label"]))


def _with_neutral(side: Side, duration: float) -> Side:
    """The same, neutral where nothing is said in [0, duration)."""
    starts, ends = side.labels["t_start"].to_numpy(dtype=float), side.labels["t_end"].to_numpy(dtype=float)
    gaps = pd.DataFrame(
        {"t_start": np.append(0.0, ends), "t_end": np.append(starts, duration), "label": "neutral"}
    )
    gaps = gaps[gaps["t_end"] > gaps["t_start"] + 1e-9]
    labels = merge_labels(pd.concat([side.labels, gaps]).sort_values("t_start", kind="stable"))
    return replace(side, labels=labels, segments=labels, duration_seconds=duration)


def _with_note(side: Side, duration: float) -> Side:
    """The same, with a note of how much of [0, duration) it says nothing."""
    silent = duration - float((side.labels["t_end"] - side.labels["t_start"]).sum())
    if silent < 0.01 * duration:
        return side
    note = (
        f"{side.title}: {silent:.1f} of {duration:.1f} s have no label and do not count"
        " (--gaps neutral takes them as neutral)"
    )
    return replace(side, notes=(*side.notes, note))


def _title(path: Path, who: str | None) -> str:
    return f"{path.name}, {who}" if who else path.name


def _plain(name: object) -> str:
    return " ".join(name.casefold().split()) if isinstance(name, str) else ""
