"""Everything the quality report of a store says, as plain values."""

from __future__ import annotations

import math
from collections import Counter, defaultdict
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pandas as pd

from cache.labels import labels_of
from cache.reader import StoreReader
from cache.schema import QUALITY_NAMES, VideoRecord
from cache.store import Store
from cache.summary import summarise
from videofer import emotions
from videofer.quality.items import NO_LABEL, Item, Measured, draw, make_items, measure

MAX_MEASURED = 3000
"""Items whose frames are read; of more, as many are drawn, from every class and subject alike."""
SMALL_FACE_PIXELS, DARK, BRIGHT = 24.0, 45.0, 215.0
TURNED_DEGREES = 45.0  # to one side: half of the face is seen at a slant
EYES_SHUT = 0.12  # aspect ratio of the lids, in half of the frames ...
EYES_PIXELS = 64.0  # ... of a face so large that the lids can be told apart
MIN_FACE_SHARE = 0.5
UNSURE = 0.4  # confidence of a track
MIN_SHARPNESS_SHARE = 0.1  # of the store's median


@dataclass
class Group:
    """What is known of a class or a subject."""

    name: str
    num_items: int = 0
    num_videos: int = 0
    num_others: int = 0  # subjects of a class, classes of a subject
    seconds: float = 0.0
    splits: dict[str, int] = field(default_factory=dict)
    measured: list[Measured] = field(default_factory=list)

    def shares(self, part: str) -> dict[str, float]:
        """Share of the measured frames by the name of the state; part: "face" or "body"."""
        total: Counter[str] = Counter()
        for one in self.measured:
            total.update(getattr(one, part))
        num = sum(total.values())
        return {state: count / num for state, count in total.items()} if num else {}

    def seen(self, part: str) -> float:
        """Share of the measured frames in which the part was found or interpolated."""
        shares = self.shares(part)
        return sum(shares.get(state, 0.0) for state in ("ok", "interpolated", "low_quality"))


@dataclass(frozen=True)
class Doubt:
    """Something to look at before training."""

    kind: str
    name: str  # of a video
    what: str
    weight: float = 1.0  # the larger, the earlier in the list


@dataclass
class Facts:
    """Of one store."""

    title: str
    summary: dict[str, Any]
    items: list[Item]
    measured: list[Measured]
    classes: list[Group]
    subjects: list[Group]
    doubts: list[Doubt]
    conflicts: list[Doubt]  # subjects, contents and labels that are in two places
    lengths: dict[str, list[float]]  # "videos", "intervals", "tracks": seconds
    quality: dict[str, list[float]]  # QUALITY_NAMES: medians of the items
    confidences: list[float]  # of all tracks

    @property
    def labelled(self) -> bool:
        return any(item.label != NO_LABEL for item in self.items)


def gather(
    store: Store,
    *,
    max_measured: int = MAX_MEASURED,
    progress: Callable[[int, int], None] = lambda _done, _total: None,
) -> Facts:
    """Reads records, manifest and the tables of up to `max_measured` items."""
    videos = store.videos()
    manifest = labels_of(store, videos)
    items, skipped = make_items(videos, manifest)
    drawn = draw(items, max_measured)
    measured = measure(
        StoreReader(store.path), drawn, progress=lambda done: progress(done, len(drawn)), crops_each=3
    )
    names = emotions.in_order({item.label for item in items} - {NO_LABEL})
    if any(item.label == NO_LABEL for item in items):
        names.append(NO_LABEL)
    subjects = sorted({item.subject for item in items if item.subject}, key=_natural)
    seen = [one for one in measured if not math.isnan(one.quality[0])]
    return Facts(
        title=store.path.absolute().name,
        summary=summarise(store, videos),
        items=items,
        measured=measured,
        classes=_groups(names, items, measured, of="label", other="subject"),
        subjects=_groups(subjects, items, measured, of="subject", other="label"),
        doubts=_doubts(videos, items, measured, skipped),
        conflicts=_conflicts(videos, manifest),
        lengths={
            "videos": [video.duration for video in videos],
            "intervals": [item.seconds for item in items if item.label != NO_LABEL],
            "tracks": [person.t_end - person.t_start for video in videos for person in video.persons],
        },
        quality={
            **{name: [one.quality[place] for one in seen] for place, name in enumerate(QUALITY_NAMES)},
            "yaw": [one.yaw for one in seen],
            "eyes_open": [one.eyes_open for one in seen],
        },
        confidences=[person.confidence for video in videos for person in video.persons],
    )


def _groups(
    names: Sequence[str], items: Sequence[Item], measured: Sequence[Measured], *, of: str, other: str
) -> list[Group]:
    groups = {name: Group(name) for name in names}
    members: dict[str, list[Item]] = defaultdict(list)
    for item in items:
        members[getattr(item, of)].append(item)
    for one in measured:
        if getattr(one.item, of) in groups:
            groups[getattr(one.item, of)].measured.append(one)
    for name, group in groups.items():
        mine = members[name]
        group.num_items = len(mine)
        group.num_videos = len({item.key for item in mine})
        group.num_others = len({getattr(item, other) for item in mine} - {"", NO_LABEL})
        group.seconds = sum(item.seconds for item in mine)
        group.splits = dict(sorted(Counter(item.split for item in mine if item.split).items()))
    return list(groups.values())


def _doubts(
    videos: Sequence[VideoRecord],
    items: Sequence[Item],
    measured: Sequence[Measured],
    skipped: Sequence[str],
) -> list[Doubt]:
    """What deserves a look, the worst first."""
    doubts = []
    for line in skipped:
        name, _, reason = line.rpartition(": ")
        doubts.append(Doubt("label without person", name, reason, 9.0))
    labelled = {item.key for item in items if item.label != NO_LABEL}
    for video in videos:
        name = video.names[0] if video.names else video.key
        if not video.persons:
            doubts.append(Doubt("nobody seen", name, f"in {video.duration:.1f} s", 8.0))
        elif len(video.persons) > 1 and video.key in labelled:
            longest = sorted((person.t_end - person.t_start for person in video.persons), reverse=True)
            what = f"{len(video.persons)} persons; seen for up to {longest[0]:.1f} and {longest[1]:.1f} s"
            doubts.append(Doubt("several people", name, what, 3.0 + longest[1] / max(longest[0], 1e-9)))
        unsure = [person for person in video.persons if person.confidence < UNSURE]
        if unsure:
            what = ", ".join(f"person {person.id}: {person.confidence:.2f}" for person in unsure[:4])
            doubts.append(Doubt("unsure track", name, f"confidence of {what}", 3.5))
        missing = video.duration - video.t_end
        if missing > max(1.0, 0.02 * video.duration) or getattr(video, "not_decoded", []):
            doubts.append(Doubt("damaged", name, f"{max(missing, 0):.1f} s at its end were not decoded", 7.0))
    sharpness = [one.quality[1] for one in measured if not math.isnan(one.quality[1])]
    median = float(np.median(sharpness)) if sharpness else 0.0
    for one in measured:
        doubts += _doubts_of(one, median)
    return sorted(doubts, key=lambda doubt: (-doubt.weight, doubt.name))


def _doubts_of(one: Measured, median_sharpness: float) -> list[Doubt]:
    name, found = one.item.name, []
    if one.problem:
        return [Doubt("unreadable", name, one.problem, 10.0)]
    face_pixels, sharpness, brightness = one.quality
    num_seen = sum(one.face[state] for state in ("ok", "interpolated", "low_quality"))
    has_body = sum(one.body.values()) - one.body["absent"]
    if num_seen < MIN_FACE_SHARE * one.num_frames and one.num_frames:
        what = f"a face in {num_seen} of {one.num_frames} frames" + (", no body" if not has_body else "")
        found.append(Doubt("little face", name, what, 6.0 - num_seen / one.num_frames))
    if one.face["low_quality"] > one.num_frames / 2:
        what = f"{one.face['low_quality']} of {one.num_frames} frames are small or doubtful"
        found.append(Doubt("low quality", name, what, 4.5))
    if face_pixels < SMALL_FACE_PIXELS:
        found.append(Doubt("small face", name, f"{face_pixels:.0f} pixels", 4.0))
    if sharpness < MIN_SHARPNESS_SHARE * median_sharpness:
        found.append(Doubt("blurred", name, f"sharpness {sharpness:.0f}, median {median_sharpness:.0f}", 2.5))
    if brightness < DARK or brightness > BRIGHT:
        word = "dark" if brightness < DARK else "bright"
        found.append(Doubt(word, name, f"mean luma {brightness:.0f} of 255", 2.0))
    if abs(one.yaw) > TURNED_DEGREES:
        found.append(Doubt("turned away", name, f"about {abs(one.yaw):.0f} degrees to the side", 2.4))
    if one.eyes_open < EYES_SHUT and face_pixels >= EYES_PIXELS:
        found.append(Doubt("eyes shut", name, f"lids {one.eyes_open:.2f} of the eye's width apart", 2.2))
    return found


def _conflicts(videos: Sequence[VideoRecord], manifest: pd.DataFrame | None) -> list[Doubt]:
    """The same content or subject where it should not be twice."""
    found = [
        Doubt("same content", video.names[0], f"also {', '.join(video.names[1:6])}", 1.0)
        for video in videos
        if len(video.names) > 1
    ]
    if manifest is None or "key" not in manifest.columns:
        return found
    names = {video.key: video.names[0] if video.names else video.key for video in videos}
    columns = [column for column in ("split", "subject") if column in manifest.columns]
    for column in columns:
        for key, values in _several(manifest, "key", column).items():
            what = f"one content has the {column}s {', '.join(values)}"
            found.append(Doubt(f"two {column}s", names.get(key, key), what, 5.0))
    if len(columns) == 2:
        for subject, values in _several(manifest, "subject", "split").items():
            what = f"is in {', '.join(values)}: figures would not be of new people"
            found.append(Doubt("subject in two splits", subject, what, 6.0))
    return sorted(found, key=lambda doubt: (-doubt.weight, doubt.name))


def _several(table: pd.DataFrame, of: str, column: str) -> dict[str, list[str]]:
    """Values of the column by value of `of`, where there are several."""
    pairs = table[[of, column]].dropna().drop_duplicates()
    pairs = pairs[pairs[of].duplicated(keep=False)]
    return {str(name): sorted(map(str, rows)) for name, rows in pairs.groupby(of)[column]}


def _natural(name: str) -> tuple[Any, ...]:
    """s2 before s10."""
    digits = "".join(character for character in name if character.isdigit())
    return (name.rstrip("0123456789"), int(digits) if digits and len(digits) < 12 else 0, name)
