"""What of a store is looked at: labelled intervals, and whole tracks that have no label; each is measured."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd

from cache.errors import StoreError
from cache.reader import StoreReader
from cache.schema import QUALITY_NAMES, STATE_NAMES, VideoRecord
from preprocessing.face_measures import measures_of
from videofer import emotions
from videofer.data.examples import make_examples
from videofer.datasets.manifest import soft_columns

NO_LABEL = "no label"


@dataclass(frozen=True)
class Item:
    """One interval of one person: labelled, or a whole track without a label."""

    key: str
    name: str  # of the video
    person: int
    t_start: float  # media seconds
    t_end: float
    label: str  # NO_LABEL where there is none
    subject: str  # "" where the manifest does not say
    split: str  # "" where the manifest does not say

    @property
    def seconds(self) -> float:
        return self.t_end - self.t_start


@dataclass(frozen=True)
class Measured:
    """An item with what its frames are like."""

    item: Item
    num_frames: int
    face: Counter[str]  # frames by the name of the state
    body: Counter[str]
    quality: tuple[float, float, float]  # medians over the frames with a face, QUALITY_NAMES; NaN without
    crop_rows: tuple[int, ...]  # rows of the track that have a crop, at most a few, spread over the item
    problem: str = ""  # why its frames could not be read
    # medians over the frames with a face, see preprocessing.face_measures; NaN where it cannot be told
    yaw: float = math.nan  # degrees to the image's right
    eyes_open: float = math.nan  # aspect ratio, mean of both; only of dense landmarks


def make_items(videos: Sequence[VideoRecord], manifest: pd.DataFrame | None) -> tuple[list[Item], list[str]]:
    """Items of all videos, and a line for each labelled row that has none."""
    items: list[Item] = []
    skipped: list[str] = []
    if manifest is not None and {"key", "label"} <= set(manifest.columns):
        here = {video.key for video in videos}
        table = manifest[manifest["key"].isin(here)].reset_index(drop=True)
        for column in ("start", "end", "person", "subject", "split"):
            if column not in table.columns:
                table[column] = None
        soft = {column.removeprefix("p_") for column in soft_columns(table)}
        classes = emotions.in_order(soft | {str(label) for label in table["label"].dropna()})
        labelled = table["label"].notna() | table[soft_columns(table)].notna().any(axis=1)
        examples, skipped = make_examples(table[labelled].reset_index(drop=True), videos, classes)
        subjects, splits = (table.loc[labelled, name].tolist() for name in ("subject", "split"))
        for example in examples:
            subject, split = subjects[example.row], splits[example.row]
            items.append(
                Item(
                    key=example.key,
                    name=example.name,
                    person=example.person_id,
                    t_start=example.t_start,
                    t_end=example.t_end,
                    label=classes[example.label],
                    subject="" if pd.isna(subject) else str(subject),
                    split="" if pd.isna(split) else str(split),
                )
            )
    seen = {(item.key, item.person) for item in items}
    for video in videos:
        name = video.names[0] if video.names else video.key
        items += [
            Item(video.key, name, person.id, person.t_start, person.t_end, NO_LABEL, "", "")
            for person in video.persons
            if (video.key, person.id) not in seen
        ]
    return items, skipped


def draw(items: Sequence[Item], most: int, seed: int = 0) -> list[Item]:
    """At most so many items, every class and subject with its share; in the order of their videos."""
    if len(items) > most:
        rng = np.random.default_rng(seed)
        order = rng.permutation(len(items))
        groups: dict[tuple[str, str], list[int]] = {}
        for place in order.tolist():
            groups.setdefault((items[place].label, items[place].subject), []).append(place)
        rank = {place: (turn, place) for members in groups.values() for turn, place in enumerate(members)}
        items = [items[place] for place in sorted(rank, key=rank.__getitem__)[:most]]
    return sorted(items, key=lambda item: (item.name, item.t_start))


def measure(
    reader: StoreReader,
    items: Sequence[Item],
    *,
    crops_each: int = 1,
    progress: Callable[[int], None] = lambda _done: None,
) -> list[Measured]:
    """Reads the tables of each item's track, no crops. progress: gets the number of items done."""
    measured = []
    for done, item in enumerate(items, 1):
        try:
            measured.append(_measure(reader, item, crops_each))
        except StoreError as error:
            nothing = (float("nan"),) * 3
            measured.append(Measured(item, 0, Counter(), Counter(), nothing, (), str(error)))
        progress(done)
    return measured


def _measure(reader: StoreReader, item: Item, crops_each: int) -> Measured:
    track = reader.track(item.key, item.person)
    inside = (track.t_end > item.t_start) & (track.t_start < item.t_end)
    quality = track.quality[inside & track.has_crop]
    medians = np.median(quality, axis=0).tolist() if len(quality) else [float("nan")] * len(QUALITY_NAMES)
    measures = measures_of(track)
    yaw, eyes = measures.head_pose[inside, 0], measures.eyes_open[inside].mean(axis=1)
    rows = np.flatnonzero(inside & track.has_crop)
    places = (np.arange(crops_each) + 0.5) / crops_each * len(rows)
    return Measured(
        item=item,
        num_frames=int(inside.sum()),
        face=_count(track.face_state[inside]),
        body=_count(track.body_state[inside]),
        quality=(medians[0], medians[1], medians[2]),
        crop_rows=tuple(rows[places.astype(int)].tolist()) if len(rows) else (),
        yaw=_median(yaw),
        eyes_open=_median(eyes),
    )


def _median(values: np.ndarray) -> float:
    """Of those that are finite; NaN where none is."""
    known = values[np.isfinite(values)]
    return float(np.median(known)) if len(known) else math.nan


def _count(states: np.ndarray) -> Counter[str]:
    numbers = np.bincount(states, minlength=len(STATE_NAMES))
    return Counter({name: int(numbers[state]) for state, name in STATE_NAMES.items() if numbers[state]})
