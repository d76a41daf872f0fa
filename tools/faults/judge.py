"""What a store holds after the faults, against what it holds without any."""

from __future__ import annotations

import hashlib
from collections import Counter
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import h5py
import numpy as np

from cache.reader import StoreReader
from cache.records import canonical_json
from cache.schema import FailureRecord, VideoRecord
from cache.store import Store, StoreError
from cache.verify import verify

CROPS_AT_ONCE = 512
ROWS = (
    "pts",
    "face_state",
    "body_state",
    "face_boxes_xyxy",
    "landmarks_xy",
    "dense_landmarks",
    "warps",
    "face_scores",
    "quality",
    "body_boxes_xyxy",
    "keypoints",
)


@dataclass(frozen=True)
class Verdict:
    """Losses of one run. All lists are empty where nothing was lost."""

    num_stored: int
    lost: list[str]  # good videos that are not stored
    doubled: list[str]  # names or segments that the store holds more than once
    changed: list[str]  # good videos whose rows, times or crops are not those of an undisturbed run
    damaged: list[str]  # findings of a deep check
    left_over: list[str]  # partial shards and temporary files
    quarantined: list[str]  # good videos among the failures
    failures: list[FailureRecord] = field(default_factory=list)

    @property
    def clean(self) -> bool:
        return not any(
            (self.lost, self.doubled, self.changed, self.damaged, self.left_over, self.quarantined)
        )


def judge(store_dir: Path, expected: dict[str, str]) -> Verdict:
    """Compare a store with the digests (`digests`) of an undisturbed run of the good videos, by name."""
    store = Store.open(store_dir)
    found = digests(store_dir)
    names = Counter(name for video in store.videos() for name in video.names)
    left = [p.name for p in store_dir.rglob("*") if p.name.endswith((".partial", ".tmp"))]
    left += [p.name for p in (store_dir / "pending").glob("*")] if (store_dir / "pending").exists() else []
    failures = store.failures()
    return Verdict(
        num_stored=len(found.keys() & expected.keys()),
        lost=sorted(expected.keys() - found.keys()),
        doubled=[name for name, count in names.items() if count > 1] + _doubled_segments(store),
        changed=sorted(name for name in expected.keys() & found.keys() if expected[name] != found[name]),
        damaged=[str(problem) for problem in verify(store, deep=True)],
        left_over=sorted(left),
        quarantined=sorted({f.name for f in failures} & expected.keys()),
        failures=failures,
    )


def digests(store_dir: Path) -> dict[str, str]:
    """Name -> hash over all that a reader gets of a video: times, persons, states, boxes, joints, crops.

    Of a damaged video, what is wrong.
    """
    reader = StoreReader(store_dir)
    found = {}
    for video in reader.videos():
        try:
            digest = _digest(reader, video)
        except StoreError as error:
            digest = str(error)
        found.update(dict.fromkeys(video.names, digest))
    return found


def _digest(reader: StoreReader, video: VideoRecord) -> str:
    sha = hashlib.sha256(video.key.encode())
    for times in reader.times(video.key):
        sha.update(np.ascontiguousarray(times).tobytes())
    for person in video.persons:
        summary: dict[str, Any] = asdict(person)
        del summary["faces"], summary["bodies"]  # numbers of tracks: where the rows lie, not what they are
        sha.update(canonical_json(summary).encode())
        track = reader.track(video.key, person.id)
        for name in ROWS:
            sha.update(np.ascontiguousarray(getattr(track, name)).tobytes())
        has_crop = np.flatnonzero(track.has_crop)
        for start in range(0, len(has_crop), CROPS_AT_ONCE):
            sha.update(reader.read_crops(track, has_crop[start : start + CROPS_AT_ONCE]).tobytes())
    return sha.hexdigest()


def _doubled_segments(store: Store) -> list[str]:
    """Segments whose bytes lie in more than one place, or in one that no record names."""
    named = Counter((v.key, s.index, s.shard, s.group.strip("/")) for v in store.videos() for s in v.segments)
    found: Counter[tuple[str, int]] = Counter()
    problems = [f"{key} segment {index} is named {n} times" for (key, index, *_), n in named.items() if n > 1]
    for path in sorted((store.path / "shards").glob("*.h5")):
        with h5py.File(path, "r", locking=False) as file:
            places: list[tuple[str, int, str]] = []

            def visit(name: str, item: Any, places: list[tuple[str, int, str]] = places) -> None:
                if "video_key" in item.attrs:
                    key = item.attrs["video_key"]
                    text = key.decode() if isinstance(key, bytes) else str(key)
                    places.append((text, int(item.attrs["segment_index"]), name))

            file.visititems(visit)
        for key, index, group in places:
            found[key, index] += 1
            if not named[key, index, path.name, group]:
                problems.append(f"{path.name}:{group} holds {key} segment {index}, which no record names")
    return problems + [f"{key} segment {i} is stored {n} times" for (key, i), n in found.items() if n > 1]
