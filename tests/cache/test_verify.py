from __future__ import annotations

import os
import signal
from dataclasses import replace
from pathlib import Path
from typing import get_args

import h5py
import numpy as np
import pytest

from cache.atomic import atomic_write
from cache.check import SegmentCheck
from cache.errors import CorruptError
from cache.reader import StoreReader
from cache.records import record_to_bytes
from cache.schema import Codec, PersonRecord, SegmentRecord, VideoRecord
from cache.store import Store, StoreError
from cache.verify import JOBS_A_PROCESS, Job, Problem, _run_in, verify
from tests.cache.parts import (
    TIME_BASE,
    flip_byte,
    make_bodies,
    make_faces,
    make_record,
    make_store,
    make_writer,
    stored_video,
    write_segment,
)


@pytest.fixture(params=get_args(Codec))
def store(tmp_path: Path, request: pytest.FixtureRequest) -> Store:
    return make_store(tmp_path / "store", request.param)


def full_video(store: Store) -> VideoRecord:
    """One segment with faces and bodies, so that every kind of table is there."""
    rng = np.random.default_rng(0)
    writer = make_writer(store)
    segment = writer.begin_segment("k", 0, TIME_BASE)
    segment.append_frames(np.arange(40))
    segment.append_faces(segment.open_track("face", 0, "mesh"), make_faces(rng, 40, num_points=68))
    segment.append_bodies(segment.open_track("body", 0, "coco17"), make_bodies(rng, 40))
    record = make_record("k", [segment.finish(40)])
    writer.seal()
    store.commit(record)
    return record


def replace_record(store: Store, record: VideoRecord) -> None:
    with atomic_write(store.path / "commits" / f"{record.key}.json") as file:
        file.write(record_to_bytes(record))


def errors(store: Store, *, deep: bool = False) -> list[str]:
    return [problem.message for problem in verify(store, deep=deep) if problem.level == "error"]


def test_a_good_store_has_no_problems(store: Store) -> None:
    full_video(store)
    stored_video(store, "l", make_faces(np.random.default_rng(1), 3))
    assert verify(store) == []
    assert verify(store, deep=True) == []


@pytest.mark.parametrize("log", ["crops", "faces", "landmarks", "bodies", "pts", "extents", "chunks"])
def test_a_flipped_byte_is_found(store: Store, log: str) -> None:
    """By verify with its place, and by the reader instead of wrong data."""
    record = full_video(store)
    segment = record.segments[0]
    path = store.shard_path(segment.shard)
    with h5py.File(path) as file:
        dataset = file[segment.group][log]
        offset = dataset.id.get_offset() + dataset.id.get_storage_size() // 2
    reader = StoreReader(store.path)
    flip_byte(path, offset)
    found = errors(store, deep=True)
    assert len(found) == 1
    assert "video k ('k.mp4'), segment 0: wrong checksum in" in found[0]
    assert segment.shard in found[0]
    assert ("face track 0, crop chunk 1" in found[0]) if log == "crops" else (f"/{log} of" in found[0])
    assert bool(errors(store)) == (log in ("pts", "extents", "chunks"))  # the tables are read in any case
    with pytest.raises(CorruptError, match="wrong checksum"):
        reader.read_crops(reader.track("k", 0), np.arange(40))


def test_a_checksum_is_checked_where_it_is_read(store: Store) -> None:
    """Undamaged crops of the same chunk can still be read; without check_crc nobody looks."""
    record = full_video(store)
    segment = record.segments[0]
    with h5py.File(store.shard_path(segment.shard)) as file:
        dataset = file[segment.group]["crops"]
        offset = dataset.id.get_offset() + dataset.id.get_storage_size() - 30
    flip_byte(store.shard_path(segment.shard), offset)
    reader = StoreReader(store.path)
    track = reader.track("k", 0)
    last = len(track) - 1
    assert len(reader.read_crops(track, np.arange(last))) == last
    for _ in range(2):
        with pytest.raises(CorruptError, match=f"row {last}, crop chunk 2"):
            reader.read_crops(track, np.array([0, last]))
    unchecked = StoreReader(store.path, check_crc=False)
    assert len(unchecked.read_crops(unchecked.track("k", 0), np.array([last]))) == 1


@pytest.mark.parametrize("seed", range(12))
def test_any_flipped_byte_is_found_or_harmless(store: Store, seed: int) -> None:
    """Also in the metadata of HDF5: the reader says CorruptError or returns what was written."""
    rng = np.random.default_rng(seed)
    record = full_video(store)
    reader = StoreReader(store.path)
    track = reader.track("k", 0)
    crops = reader.read_crops(track, np.arange(40))
    path = store.shard_path(record.segments[0].shard)
    flip_byte(path, int(rng.integers(path.stat().st_size)))
    fresh = StoreReader(store.path)
    try:
        again = fresh.track("k", 0)
        same = np.array_equal(fresh.read_crops(again, np.arange(40)), crops)
        same &= np.array_equal(again.keypoints, track.keypoints) and np.array_equal(again.pts, track.pts)
        same &= np.array_equal(again.dense_landmarks, track.dense_landmarks)
    except CorruptError:
        assert errors(store, deep=True)
    else:
        assert same


@pytest.mark.parametrize("share", [0.0, 0.3, 0.9, 0.999])
def test_a_shard_cut_short_is_found(store: Store, share: float) -> None:
    record = full_video(store)
    path = store.shard_path(record.segments[0].shard)
    with path.open("r+b") as file:
        file.truncate(int(path.stat().st_size * share))
    assert len(errors(store)) == 1
    with pytest.raises(CorruptError):
        StoreReader(store.path).track("k", 0)


def test_a_missing_shard_is_found(store: Store) -> None:
    record = full_video(store)
    store.shard_path(record.segments[0].shard).unlink()
    assert errors(store) == [
        f"video k ('k.mp4'), segment 0: shard {store.shard_path(record.segments[0].shard)} is missing"
    ]


def test_wrong_counts_are_found(store: Store) -> None:
    record = full_video(store)
    segment = record.segments[0]
    fewer = replace(segment, num_frames=39, tracks=[replace(segment.tracks[0], num_frames=39)])
    replace_record(store, replace(record, segments=[fewer]))
    found = "\n".join(errors(store))
    assert "its record says 40 frames, its segments hold 39" in found
    assert f"the record says 39 frames, shard {segment.shard} holds 40" in found
    assert "face track 0 has (first frame, frames) (0, 39) in the record, (0, 40) in shard" in found
    assert "body track 0 has (first frame, frames) None in the record, (0, 40)" in found
    assert "person 0 names a missing body track: 0 of segment 0" in found


def test_segments_in_the_wrong_order_are_found(store: Store) -> None:
    writer = make_writer(store)
    segments = [write_segment(writer, "k", None, index=index, num_frames=5) for index in (0, 1)]
    writer.seal()
    store.commit(make_record("k", segments[::-1]))
    assert any("do not increase" in message for message in errors(store))
    persons = [PersonRecord(0, [(5, 0)], [], 1, 0.0, 1.0, {}, {})]
    replace_record(store, replace(make_record("k", segments), persons=persons))
    assert errors(store) == ["video k ('k.mp4'): person 0 names a missing face track: 0 of segment 5"]


def test_unreadable_records_are_found(store: Store) -> None:
    record = full_video(store)
    commits = store.path / "commits"
    (commits / "other.json").write_bytes((commits / "k.json").read_bytes())
    assert errors(store) == [f"commit record {commits / 'other.json'} is of video k"]
    (commits / "other.json").unlink()
    (commits / "k.json").write_bytes(b"torn")
    (found,) = verify(store)
    assert found.level == "error" and str(commits / "k.json") in found.message
    assert record.segments[0].shard not in found.message  # not called an orphan: its record may be repaired


def test_leftovers_are_notes(store: Store) -> None:
    full_video(store)
    writer = make_writer(store)
    orphan = write_segment(writer, "o", None, num_frames=1).shard
    writer.seal()
    (store.path / "shards" / "x.h5.partial").touch()
    (store.path / "commits" / ".y.tmp").touch()
    (store.path / "failures.jsonl").write_text('{"torn": ')
    notes = verify(store, deep=True)
    assert {note.level for note in notes} == {"note"}
    text = "\n".join(map(str, notes))
    assert all(part in text for part in (orphan, "x.h5.partial", ".y.tmp", "line 1 of"))
    assert str(Problem("note", "m")) == "note: m"


def test_a_record_cannot_point_outside(store: Store) -> None:
    record = full_video(store)
    segment = replace(record.segments[0], shard="../../x.h5")
    replace_record(store, replace(record, segments=[segment]))
    assert "is not the name of a shard" in errors(store)[0]
    with pytest.raises(StoreError, match="not the name of a shard"):
        StoreReader(store.path).track("k", 0)


def test_several_processes_find_the_same(store: Store) -> None:
    record = full_video(store)
    stored_video(store, "l", make_faces(np.random.default_rng(1), 3))
    path = store.shard_path(record.segments[0].shard)
    with path.open("r+b") as file:
        file.truncate(path.stat().st_size // 2)
    seen: list[tuple[int, int]] = []
    found = verify(store, deep=True, num_processes=2, progress=lambda done, total: seen.append((done, total)))
    assert found == verify(store, deep=True) and [problem.key for problem in found] == ["k"]
    assert seen == [(1, 2), (2, 2)]


def die_of_shard_one(path: Path, segments: list[object], **options: object) -> list[SegmentCheck]:
    """As the HDF5 library could at worst: the process is gone."""
    if path.name == "1.h5":
        os.kill(os.getpid(), signal.SIGKILL)
    return [SegmentCheck()] * len(segments)


def test_a_shard_that_ends_its_reader_is_named() -> None:
    segment = SegmentRecord(0, "x.h5", "/segments/0", 1, 0, 1, [])
    jobs = [(Path(f"{number}.h5"), [(segment, "k")]) for number in range(3)]
    found = dict(_run_in(2, die_of_shard_one, jobs))
    assert {number: checks[0].problems for number, checks in found.items()} == {
        0: (),
        1: ("shard 1.h5 is damaged: reading it ends the process",),
        2: (),
    }


def test_few_shards_are_read_alone_for_one_that_ends_its_reader(monkeypatch: pytest.MonkeyPatch) -> None:
    segment = SegmentRecord(0, "x.h5", "/segments/0", 1, 0, 1, [])
    alone: list[Path] = []

    def run_alone(_check: object, job: Job) -> list[SegmentCheck]:
        alone.append(job[0])
        return [SegmentCheck()]

    monkeypatch.setattr("cache.verify._run_alone", run_alone)
    jobs = [(Path(f"{number}.h5"), [(segment, "k")]) for number in range(40)]
    assert sorted(number for number, _ in _run_in(2, die_of_shard_one, jobs)) == list(range(40))
    assert Path("1.h5") in alone and len(alone) <= 2 * JOBS_A_PROCESS + 1
