"""Dense landmarks in a store: beside the five, of one layout a segment, and no trace where there are none."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path

import h5py
import numpy as np
import pytest

from cache.errors import CorruptError, StoreError
from cache.layout import crc32c
from cache.merge import merge, split
from cache.reader import StoreReader
from cache.remove import remove
from cache.repair import apply, plan_repair
from cache.schema import FaceBlock, State
from cache.store import Store
from cache.verify import verify
from tests.cache.parts import (
    FRAME_PTS,
    TIME_BASE,
    make_bodies,
    make_faces,
    make_record,
    make_store,
    make_writer,
    stored_video,
    write_segment,
)

EARLIER_STORE = Path(__file__).with_name("earlier_store")
"""A store of schema version 2 as the program wrote it before there were dense landmarks."""


@pytest.fixture
def store(tmp_path: Path) -> Store:
    return make_store(tmp_path / "store")


def faces_of(seed: int, num_frames: int = 4, num_points: int | None = 68) -> FaceBlock:
    return make_faces(np.random.default_rng(seed), num_frames, num_points)


def same_landmarks(path: Path, key: str, faces: FaceBlock) -> bool:
    track = StoreReader(path).track(key, 0)
    return track.landmark_layout == "test" and np.array_equal(track.dense_landmarks, faces.dense_landmarks)


def test_a_store_of_before_reads_as_before(tmp_path: Path) -> None:
    shutil.copytree(EARLIER_STORE, tmp_path / "store")
    store = Store.open(tmp_path / "store")
    assert verify(store, deep=True) == []
    states = [
        int(state) for state in (State.OK, State.INTERPOLATED, State.ABSENT, State.LOW_QUALITY, State.OK)
    ]
    rng = np.random.default_rng(7)
    faces, bodies = make_faces(rng, states), make_bodies(rng, states)
    reader = StoreReader(store.path)
    track = reader.track("k", 0)
    assert (track.dense_landmarks.shape, track.landmark_layout) == ((5, 0, 2), "")
    assert track.face_state.tolist() == states
    seen = track.has_crop
    assert np.array_equal(track.landmarks_xy[seen], faces.landmarks_xy[seen])
    assert np.array_equal(track.keypoints[seen], bodies.keypoints[seen])
    assert np.abs(reader.read_crops(track, np.flatnonzero(seen)).astype(int) - faces.crops).max() <= 12


def test_a_segment_without_landmarks_is_written_as_before(store: Store) -> None:
    """Nothing in it tells that there could be any: programs of before read it, too."""
    record = stored_video(store, "k", faces_of(0, num_points=None))
    (old_path,) = (EARLIER_STORE / "shards").iterdir()
    with h5py.File(old_path) as old, h5py.File(store.shard_path(record.segments[0].shard)) as new:
        before, now = old["segments/0"], new[record.segments[0].group]
        assert set(now.attrs) == set(before.attrs) - {"layout"}  # of its bodies, which the new one lacks
        assert set(now) == set(before) - {"bodies"}
        assert now["faces"].dtype == before["faces"].dtype


def test_a_full_segment_stays_in_checksummed_headers(store: Store) -> None:
    """HDF5 keeps up to 8 links and up to 8 attributes there."""
    writer = make_writer(store)
    segment = writer.begin_segment("k", 0, TIME_BASE)
    segment._pts._block_bytes = 8
    for pts in range(4):
        segment.append_frames(np.array([pts * FRAME_PTS]))
    segment.append_faces(segment.open_track("face", 0, "mesh"), faces_of(0))
    segment.append_bodies(segment.open_track("body", 0, "coco17"), make_bodies(np.random.default_rng(0), 4))
    record = segment.finish(4 * FRAME_PTS)
    writer.seal()
    with h5py.File(store.shard_path(record.shard)) as file:
        group = file[record.group]
        assert {"landmarks", "more"} < set(group) and {"layout", "landmark_layout"} < set(group.attrs)
        assert len(group) <= 8 and len(group.attrs) <= 8


def test_landmarks_and_their_layout_go_together(store: Store) -> None:
    segment = make_writer(store).begin_segment("k", 0, TIME_BASE)
    face = segment.open_track("face", 0, "mesh")
    segment.append_faces(face, faces_of(0))
    with pytest.raises(ValueError, match="go together"):
        segment.append_faces(face, faces_of(0, num_points=None))
    with pytest.raises(ValueError, match=r"dense_landmarks must have shape \(4, 68, 2\), got \(4, 5, 2\)"):
        segment.append_faces(face, faces_of(0, num_points=5))
    with pytest.raises(ValueError, match="one landmark layout a segment: 'mesh', then ''"):
        segment.open_track("face", 0)
    plain = make_writer(store).begin_segment("l", 0, TIME_BASE)
    with pytest.raises(ValueError, match="go together"):
        plain.append_faces(plain.open_track("face", 0), faces_of(0))


def test_a_person_in_two_segments_with_landmarks_in_one(store: Store) -> None:
    """Frames of the other have none; two layouts of one person cannot be one array."""
    writer = make_writer(store)
    with_points, without = faces_of(1), faces_of(2, num_points=None)
    segments = [
        write_segment(writer, "k", with_points, index=0, num_frames=4),
        write_segment(writer, "k", without, index=1, num_frames=4),
    ]
    other = [
        write_segment(writer, "l", with_points, index=0, num_frames=4),
        write_segment(writer, "l", faces_of(3, num_points=5), index=1, num_frames=4),
    ]
    writer.seal()
    store.commit(make_record("k", segments))
    store.commit(make_record("l", other))
    track = StoreReader(store.path).track("k", 0)
    assert track.landmark_layout == "test"
    assert np.array_equal(track.dense_landmarks[:4], with_points.dense_landmarks)
    assert np.isnan(track.dense_landmarks[4:]).all() and len(track) == 8
    with pytest.raises(StoreError, match="person 0 of video l has landmarks of several layouts"):
        StoreReader(store.path).track("l", 0)


def lose(group: h5py.Group) -> None:
    del group["landmarks"]


def widen(group: h5py.Group) -> None:
    """One number more a row: the points do not come out even."""
    rows = group["landmarks"]
    num_rows, width = rows.shape[0], rows.dtype.itemsize // 4
    values = np.frombuffer(rows[()].tobytes(), "<f4").reshape(num_rows, width)
    del group["landmarks"]
    wide = np.zeros(num_rows, [("points_xy", "<f4", width + 1)])
    wide["points_xy"][:, :width] = values
    group.create_dataset("landmarks", data=wide).attrs["crc32c"] = np.uint32(crc32c(wide))


@pytest.mark.parametrize(
    ("damage", "message"), [(lose, "landmarks of .* has 0 items, not 4"), (widen, "cannot have 548 bytes")]
)
def test_lost_landmarks_are_found(store: Store, damage: Callable[[h5py.Group], None], message: str) -> None:
    record = stored_video(store, "k", faces_of(0))
    with h5py.File(store.shard_path(record.segments[0].shard), "r+") as file:
        damage(file[record.segments[0].group])
    problems = [str(problem) for problem in verify(store, deep=True)]
    assert len(problems) == 1
    with pytest.raises(CorruptError, match=message):
        StoreReader(store.path).track("k", 0)


def test_landmarks_survive_merging_splitting_removing_and_repair(tmp_path: Path) -> None:
    """Stores with and without them are put together; each video keeps what it has."""
    first, second = make_store(tmp_path / "first"), make_store(tmp_path / "second")
    writer = make_writer(first)  # two videos in one shard, so that it is written anew when one goes
    faces = {key: faces_of(seed) for seed, key in enumerate("ab")}
    records = [make_record(key, [write_segment(writer, key, faces[key], num_frames=4)]) for key in "ab"]
    writer.seal()
    for record in records:
        first.commit(record)
    stored_video(second, "c", faces_of(5, num_points=None))
    merge([first.path, second.path], tmp_path / "merged")
    merged = Store.open(tmp_path / "merged")
    assert verify(merged, deep=True) == []
    assert all(same_landmarks(merged.path, key, faces[key]) for key in "ab")
    assert StoreReader(merged.path).track("c", 0).dense_landmarks.shape == (4, 0, 2)
    split(merged, {"one": ["a", "c"]}, tmp_path / "parts")
    assert same_landmarks(tmp_path / "parts" / "one", "a", faces["a"])
    remove(first, ["b"])
    assert same_landmarks(first.path, "a", faces["a"]) and verify(first, deep=True) == []
    damaged = stored_video(first, "d", faces_of(6))
    with h5py.File(first.shard_path(damaged.segments[0].shard), "r+") as file:
        lose(file[damaged.segments[0].group])
    apply(first, plan_repair(first))
    assert first.keys() == {"a"} and same_landmarks(first.path, "a", faces["a"])
