from __future__ import annotations

from collections import Counter
from fractions import Fraction
from pathlib import Path

import h5py
import numpy as np
import pytest

from cache.errors import CorruptError
from cache.layout import block_path, tree_path
from cache.reader import StoreReader
from cache.schema import State
from cache.shard import ShardWriter
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
    part_of,
    write_segment,
)


@pytest.fixture
def store(tmp_path: Path) -> Store:
    return make_store(tmp_path / "store")


def files(store: Store) -> list[str]:
    return sorted(path.name for path in (store.path / "shards").iterdir())


def test_a_shard_appears_when_sealed(store: Store) -> None:
    writer = make_writer(store)
    assert files(store) == []
    record = write_segment(writer, "k", make_faces(np.random.default_rng(0), 5), num_frames=9, first=2)
    assert files(store) == [f"{record.shard}.partial"]
    assert writer.seal() == record.shard
    assert files(store) == [record.shard]
    assert (record.num_frames, record.start_pts, record.end_pts) == (9, 0, 9 * FRAME_PTS)
    assert [(t.kind, t.local_id, t.first_frame, t.num_frames) for t in record.tracks] == [("face", 0, 2, 5)]


def test_a_writer_goes_on_after_sealing(store: Store) -> None:
    writer = make_writer(store)
    shards = set()
    for key in "abc":
        shards.add(write_segment(writer, key, None, num_frames=2).shard)
        writer.seal()
    assert sorted(shards) == files(store)
    assert len(shards) == 3


def test_nothing_finished_leaves_nothing(store: Store) -> None:
    writer = make_writer(store)
    assert writer.seal() is None
    writer.begin_segment("k", 0, TIME_BASE).abort()
    assert writer.seal() is None
    assert files(store) == []


def test_an_aborted_segment_is_gone(store: Store) -> None:
    rng = np.random.default_rng(0)
    writer = make_writer(store)
    aborted = writer.begin_segment("bad", 0, TIME_BASE)
    aborted.append_frames(np.arange(100))
    aborted.append_faces(aborted.open_track("face", 0), make_faces(rng, 100))
    aborted.abort()
    aborted.abort()
    kept = write_segment(writer, "good", make_faces(rng, 3), num_frames=3)
    shard = writer.seal()
    assert shard is not None
    with h5py.File(store.shard_path(shard)) as file:
        assert kept.group in file and aborted.group_name not in file
    with pytest.raises(ValueError, match="finished or aborted"):
        aborted.append_frames(np.array([200]))


def test_a_withdrawn_segment_is_gone_and_only_from_the_open_shard(store: Store) -> None:
    writer, rng = make_writer(store), np.random.default_rng(0)
    gone = write_segment(writer, "gone", make_faces(rng, 5), num_frames=5)
    kept = write_segment(writer, "kept", make_faces(rng, 5), num_frames=5)
    writer.withdraw(gone)
    with pytest.raises(ValueError, match="not in the open shard"):
        writer.withdraw(gone)
    name = writer.seal()
    assert name == kept.shard
    with h5py.File(store.shard_path(name)) as file:
        assert file.attrs["num_segments"] == 1 and gone.group not in file and kept.group in file
    with pytest.raises(ValueError, match="not in the open shard"):
        writer.withdraw(kept)


def test_discard(store: Store) -> None:
    writer = make_writer(store)
    write_segment(writer, "k", None, num_frames=2)
    segment = writer.begin_segment("l", 0, TIME_BASE)
    writer.discard()
    writer.discard()
    assert files(store) == []
    with pytest.raises(ValueError, match="finished or aborted"):
        segment.append_frames(np.array([0]))
    write_segment(writer, "m", None, num_frames=2)
    assert writer.seal() is not None


def test_one_segment_at_a_time(store: Store) -> None:
    writer = make_writer(store)
    writer.begin_segment("k", 0, TIME_BASE)
    with pytest.raises(ValueError, match="still open"):
        writer.begin_segment("l", 0, TIME_BASE)
    with pytest.raises(ValueError, match="still open"):
        writer.seal()


def test_rotation_by_size(store: Store) -> None:
    writer = make_writer(store, max_bytes=100_000)
    assert not writer.should_rotate
    write_segment(writer, "k", make_faces(np.random.default_rng(0), 3), num_frames=3)
    assert not writer.should_rotate
    write_segment(writer, "l", make_faces(np.random.default_rng(0), 200), num_frames=200)
    assert writer.should_rotate
    segment = writer.begin_segment("m", 0, TIME_BASE)
    assert not writer.should_rotate
    segment.abort()
    assert writer.should_rotate


def test_rotation_by_age(store: Store) -> None:
    writer = make_writer(store, max_age_seconds=0)
    assert not writer.should_rotate
    write_segment(writer, "k", None, num_frames=2)
    assert writer.should_rotate


@pytest.mark.parametrize("pts", [[3, 3], [5, 4], [0, 2]])
def test_times_must_increase(store: Store, pts: list[int]) -> None:
    segment = make_writer(store).begin_segment("k", 0, TIME_BASE)
    segment.append_frames(np.array([-1, 2]))
    with pytest.raises(ValueError, match="increase strictly"):
        segment.append_frames(np.array(pts))


def test_the_end_comes_after_the_last_frame(store: Store) -> None:
    segment = make_writer(store).begin_segment("k", 0, TIME_BASE)
    segment.append_frames(np.array([0, 7]))
    with pytest.raises(ValueError, match="ends at 7"):
        segment.finish(7)


@pytest.mark.parametrize("first_frame", [-1, 7])
def test_a_track_lies_within_its_segment(store: Store, first_frame: int) -> None:
    segment = make_writer(store).begin_segment("k", 0, TIME_BASE)
    segment.append_frames(np.arange(10))
    segment.append_faces(segment.open_track("face", first_frame), make_faces(np.random.default_rng(0), 4))
    with pytest.raises(ValueError, match="of a segment of 10"):
        segment.finish(10)


def test_blocks_of_the_wrong_shape_are_refused(store: Store) -> None:
    segment = make_writer(store).begin_segment("k", 0, TIME_BASE)
    face = segment.open_track("face", 0)
    block = make_faces(np.random.default_rng(0), 4)
    for name, value in (
        ("boxes_xyxy", block.boxes_xyxy[:1]),
        ("crops", block.crops[:3]),
        ("states", np.full(4, State.ABSENT, np.uint8)),
    ):
        with pytest.raises(ValueError, match="must have shape"):
            segment.append_faces(face, type(block)(**{**vars(block), name: value}))
    with pytest.raises(ValueError, match="uint8"):
        segment.append_faces(face, type(block)(**{**vars(block), "crops": block.crops / 255}))
    segment.open_track("body", 0, "coco17")
    with pytest.raises(ValueError, match="one joint layout"):
        segment.open_track("body", 0, "body25")


def test_local_ids_count_by_kind(store: Store) -> None:
    segment = make_writer(store).begin_segment("k", 0, TIME_BASE)
    ids = [segment.open_track("face", 0), segment.open_track("body", 0, "x"), segment.open_track("face", 0)]
    assert ids == [0, 0, 1]
    assert segment.finish(1).tracks == []  # a track without frames does not exist


def test_a_shard_that_does_not_read_back_is_not_sealed(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    writer = make_writer(store)
    write_segment(writer, "k", None, num_frames=2)

    def lose_the_end(path: Path) -> None:
        with path.open("r+b") as file:
            file.truncate(path.stat().st_size // 2)

    monkeypatch.setattr("cache.shard.fsync_file", lose_the_end)
    with pytest.raises(CorruptError, match="damaged"):
        writer.seal()
    assert all(name.endswith(".partial") for name in files(store))


def test_stills_are_cheap(store: Store) -> None:
    """Thousands of one-frame videos: little more than their pixels."""
    rng = np.random.default_rng(0)
    writer = make_writer(store)
    for number in range(200):
        write_segment(writer, f"{number}", make_faces(rng, 1), num_frames=1)
    shard = writer.seal()
    assert shard is not None
    crop_bytes = writer.crop_size**2 * 3
    assert store.shard_path(shard).stat().st_size / 200 - crop_bytes < 3000


def test_a_crowd_stays_bounded(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Many open tracks are written out in short chunks when they hold too much."""
    monkeypatch.setattr("cache.crops.MAX_PENDING_BYTES", 50_000)
    store, rng = make_store(tmp_path / "s"), np.random.default_rng(0)
    segment = make_writer(store).begin_segment("k", 0, Fraction(1, 30))
    segment.append_frames(np.arange(20))
    tracks = [segment.open_track("face", 0) for _ in range(30)]
    for _ in range(20):
        for track in tracks:
            segment.append_faces(track, make_faces(rng, 1))
            assert segment._crops._pending_bytes <= 50_000
    segment.append_bodies(segment.open_track("body", 0, "coco17"), make_bodies(rng, 20))
    assert sum(track.num_frames for track in segment.finish(20).tracks) == 620


def test_writer_takes_no_foreign_codec_silently(store: Store) -> None:
    with pytest.raises(ValueError, match="codec"):
        ShardWriter(store.path, codec="png", crop_size=4)  # type: ignore[arg-type]


def test_no_group_is_so_full_that_it_loses_its_checksum() -> None:
    """HDF5 keeps up to 8 links in the checksummed header of a group."""
    paths = [tree_path(number) for number in range(3000)]
    assert paths[:6] == ["0", "1", "2", "3", "g0/0", "g0/1"]
    assert len(set(paths)) == 3000
    links = {(path[:end], path[end:].split("/")[0]) for path in paths for end in slashes(path)}
    assert max(Counter(group for group, _ in links).values()) <= 8
    assert block_path("crops", 0) == "crops" and block_path("crops", 5) == "more/crops/g0/0"


def slashes(path: str) -> list[int]:
    return [0, *(place + 1 for place, letter in enumerate(path) if letter == "/")]


def test_a_log_of_many_blocks(tmp_path: Path) -> None:
    """Everything comes back from a segment that was streamed in many datasets."""
    store, rng = make_store(tmp_path / "s"), np.random.default_rng(0)
    writer = make_writer(store)
    segment = writer.begin_segment("k", 0, TIME_BASE)
    for log in (segment._pts, segment._rows["face"], segment._landmarks, segment._crops.log):
        log._block_bytes = 2000
    faces = make_faces(rng, 500, num_points=68)
    track = segment.open_track("face", 0, "mesh")
    segment.append_frames(np.arange(250))
    segment.append_frames(np.arange(250, 500))
    for first in range(0, 500, 100):
        segment.append_faces(track, part_of(faces, first, first + 100))
    store_record = make_record("k", [segment.finish(500)])
    writer.seal()
    store.commit(store_record)
    reader = StoreReader(store.path)
    assert np.array_equal(reader.read_crops(reader.track("k", 0), np.arange(500)), faces.crops)
    assert np.array_equal(reader.track("k", 0).warps, faces.warps)
    assert np.array_equal(reader.track("k", 0).dense_landmarks, faces.dense_landmarks)
    with h5py.File(store.shard_path(store_record.segments[0].shard)) as file:
        assert len(file[store_record.segments[0].group]["more/crops"]) > 4
    assert verify(store, deep=True) == []
