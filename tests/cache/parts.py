"""Small stores with known content, for the tests of cache/."""

from __future__ import annotations

from dataclasses import replace
from fractions import Fraction
from pathlib import Path

import numpy as np

from cache.schema import (
    SEEN_STATES,
    BodyBlock,
    Codec,
    FaceBlock,
    PersonRecord,
    SegmentRecord,
    State,
    VideoRecord,
)
from cache.shard import ShardWriter
from cache.store import Store

SIDE = 16  # of the crops
JOINTS = 17
TIME_BASE = Fraction(1, 1000)
FRAME_PTS = 40
CONTRACT = {"crop_size": SIDE, "template": "test"}


def make_store(path: Path, codec: Codec = "plain") -> Store:
    return Store.create(path, spec={"max_fps": 30}, contract=CONTRACT, codec=codec)


def make_writer(store: Store, **options: float) -> ShardWriter:
    return ShardWriter(store.path, codec=store.codec, crop_size=SIDE, **options)  # type: ignore[arg-type]


def make_faces(rng: np.random.Generator, states: list[int] | int, num_points: int | None = None) -> FaceBlock:
    """Random rows, with so many dense landmarks; crops are smooth, so that JPEG keeps them."""
    states_array = np.array([State.OK] * states if isinstance(states, int) else states, np.uint8)
    num, num_seen = len(states_array), int(np.isin(states_array, SEEN_STATES).sum())
    ramp = np.linspace(0, 60, SIDE)
    colour = rng.integers(0, 190, (num_seen, 1, 1, 3))
    return FaceBlock(
        boxes_xyxy=rng.random((num, 4), np.float32),
        landmarks_xy=rng.random((num, 5, 2), np.float32),
        warps=rng.random((num, 2, 3), np.float32),
        scores=rng.random(num, np.float32),
        states=states_array,
        quality=rng.random((num, 3), np.float32),
        crops=(colour + ramp[:, None] + 0 * ramp[:, None, None]).astype(np.uint8),
        dense_landmarks=None if num_points is None else rng.random((num, num_points, 2), np.float32),
    )


def part_of(faces: FaceBlock, begin: int, end: int) -> FaceBlock:
    """Some rows of a block, its crops copied."""
    seen = np.isin(faces.states, SEEN_STATES)
    columns = {name: value for name, value in vars(faces).items() if name != "crops" and value is not None}
    return FaceBlock(
        **{name: value[begin:end] for name, value in columns.items()},
        crops=faces.crops[seen[:begin].sum() : seen[:end].sum()].copy(),
    )


def make_bodies(rng: np.random.Generator, states: list[int] | int) -> BodyBlock:
    states_array = np.array([State.OK] * states if isinstance(states, int) else states, np.uint8)
    num = len(states_array)
    return BodyBlock(
        boxes_xyxy=rng.random((num, 4), np.float32),
        keypoints=rng.random((num, JOINTS, 3), np.float32),
        scores=rng.random(num, np.float32),
        states=states_array,
    )


def write_segment(
    writer: ShardWriter, key: str, faces: FaceBlock | None, *, index: int = 0, num_frames: int, first: int = 0
) -> SegmentRecord:
    """A segment with at most one face track, which begins at its frame `first`."""
    segment = writer.begin_segment(key, index, TIME_BASE)
    start = index * num_frames
    segment.append_frames((start + np.arange(num_frames)) * FRAME_PTS)
    if faces is not None:
        layout = "" if faces.dense_landmarks is None else "test"
        segment.append_faces(segment.open_track("face", first, layout), faces)
    return segment.finish((start + num_frames) * FRAME_PTS)


def make_record(key: str, segments: list[SegmentRecord], names: list[str] | None = None) -> VideoRecord:
    """A video of one person, who is every track of every segment."""
    num_frames = sum(segment.num_frames for segment in segments)
    seconds = float(num_frames * FRAME_PTS * TIME_BASE)
    faces = [(s.index, track.local_id) for s in segments for track in s.tracks if track.kind == "face"]
    bodies = [(s.index, track.local_id) for s in segments for track in s.tracks if track.kind == "body"]
    persons = [PersonRecord(0, faces, bodies, num_frames, 0.0, seconds, {"ok": num_frames}, {})]
    return VideoRecord(
        key=key,
        names=names or [f"{key}.mp4"],
        kind="video",
        num_frames=num_frames,
        width=640,
        height=480,
        time_base=(TIME_BASE.numerator, TIME_BASE.denominator),
        presentation_start=(0, 1),
        t_start=0.0,
        t_end=seconds,
        duration=seconds,
        segments=segments,
        persons=persons if faces or bodies else [],
        provenance={"decoder": "pyav", "detector": {"name": "yunet"}, "skeletons": {"name": "none"}},
    )


def stored_video(store: Store, key: str, faces: FaceBlock, names: list[str] | None = None) -> VideoRecord:
    """Write, seal and commit a video in which one face is in every frame."""
    writer = make_writer(store)
    segment = write_segment(writer, key, faces, num_frames=len(faces.states))
    writer.seal()
    record = make_record(key, [segment], names)
    assert store.commit(record)
    return record


def renamed(record: VideoRecord, key: str) -> VideoRecord:
    return replace(record, key=key, names=[f"{key}.mp4"])


def flip_byte(path: Path, offset: int) -> None:
    with path.open("r+b") as file:
        file.seek(offset)
        value = file.read(1)[0]
        file.seek(offset)
        file.write(bytes([value ^ 0x40]))
