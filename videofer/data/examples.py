"""Labelled intervals of tracks, made from a joined manifest; of what cannot be used, it says why."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import Any, Protocol

import numpy as np
import pandas as pd

from cache.schema import PersonRecord, VideoRecord
from videofer.data.sampling import CropReader
from videofer.data.targets import TargetSpec, branch_targets_of, dimensions_of, target_of


class TrackReader(CropReader, Protocol):
    """What the data sets need of `cache.reader.StoreReader`."""

    def videos(self) -> list[VideoRecord]: ...

    def track(self, key: str, person_id: int) -> Any:
        """The `PersonTrack`, cached."""
        ...

    def tracks(self, wanted: Iterable[tuple[str, int]]) -> Iterator[Any]:
        """Many, by key and person, each once and in whatever order is fastest."""
        ...


@dataclass(frozen=True)
class Example:
    """One labelled interval of one person's track."""

    key: str  # of the video
    person_id: int
    t_start: float  # media seconds; the label holds in [t_start, t_end)
    t_end: float
    target: np.ndarray  # (n,) float32 shares of the classes, see `targets`; single ones sum to 1
    label: int  # index of the largest
    subject: str  # who is seen; the video's key where the manifest does not say
    row: int  # in the joined table
    name: str = ""  # of the video, for people
    still: bool = False  # the video is one picture
    weight: float = 1.0
    dimensions: np.ndarray = field(default_factory=partial(np.empty, 0, np.float32))
    """(d,) float32 in [-1, 1], NaN where not known."""
    branch_targets: Mapping[str, np.ndarray] = field(default_factory=dict)
    """Of "face" and "body", each (n,) float32, where they have labels of their own; see `targets`."""


def make_examples(
    table: pd.DataFrame, videos: Sequence[VideoRecord], wanted: TargetSpec | Sequence[str]
) -> tuple[list[Example], list[str]]:
    """Turns rows of a joined manifest (`datasets.manifest.join_store`) into examples.

    wanted: what is read of a row; names of classes are single targets without dimensions.
    Returns the examples, in the table's order, and for each row that gave none a line that says why:
    no label, a label that is not among the classes, nobody in the interval. ManifestError as `targets`.
    """
    spec = wanted if isinstance(wanted, TargetSpec) else TargetSpec(tuple(wanted))
    by_key = {video.key: video for video in videos}
    examples, skipped = [], []
    for place, row in enumerate(table.to_dict("records")):
        example = _make_example(place, row, by_key[row["key"]], spec)
        if isinstance(example, Example):
            examples.append(example)
        else:
            skipped.append(f"{row['name']}: {example}")
    return examples, skipped


def _make_example(place: int, row: dict[Any, Any], video: VideoRecord, spec: TargetSpec) -> Example | str:
    target = target_of(row, spec)
    if isinstance(target, str):
        return target
    still = video.kind == "image"
    start = 0.0 if still or pd.isna(row["start"]) else float(row["start"])
    end = video.duration if still or pd.isna(row["end"]) else float(row["end"])
    if still:
        start, end = video.t_start, video.t_end
    wanted = None if pd.isna(row["person"]) else int(row["person"])
    person = _choose_person(video.persons, start, end, wanted)
    if person is None:
        who = "nobody is" if wanted is None else f"person {wanted} is not"
        return f"{who} seen in [{start:g}, {end:g}) s"
    subject = video.key if pd.isna(row["subject"]) else str(row["subject"])
    return Example(
        key=video.key,
        person_id=person.id,
        t_start=max(start, person.t_start),
        t_end=min(end, person.t_end),
        target=target,
        label=int(target.argmax()),
        subject=subject,
        row=place,
        name=str(row["name"]),
        still=still,
        dimensions=dimensions_of(row, spec),
        branch_targets=branch_targets_of(row, spec, target),
    )


def _choose_person(
    persons: Sequence[PersonRecord], start: float, end: float, wanted: int | None
) -> PersonRecord | None:
    """The wanted person, or who is there longest in [start, end). None where they are not there at all."""

    def shared_seconds(person: PersonRecord) -> float:
        return min(end, person.t_end) - max(start, person.t_start)

    there = [p for p in persons if shared_seconds(p) > 0 and wanted in (None, p.id)]
    return max(there, key=lambda p: (shared_seconds(p), p.num_frames, -p.id), default=None)
