"""Bytes damaged at random places: after repair the store is whole, and what was not hit reads the same."""

from __future__ import annotations

import json
import os
from dataclasses import replace
from pathlib import Path

import h5py
import numpy as np
import pytest

from cache.errors import CorruptError
from cache.journal import Journal
from cache.reader import StoreReader
from cache.repair import Plan, apply, plan_repair
from cache.schema import FailureRecord
from cache.store import Store
from cache.vacate import write_records
from cache.verify import verify
from tests.cache.killing import num_steps_killed_at
from tests.cache.parts import flip_byte, make_faces, make_record, make_store, make_writer, write_segment

NUM_FRAMES = 24


def fill(store: Store, *, shards: int = 3, videos: int = 4) -> None:
    """Videos k0, k1, ... in a few shards; every fourth goes over two shards."""
    number, rest = 0, []
    for _ in range(shards):
        writer, records = make_writer(store), []
        for _ in range(videos):
            key, faces = f"k{number}", make_faces(np.random.default_rng(number), NUM_FRAMES)
            segment = write_segment(writer, key, faces, num_frames=NUM_FRAMES)
            if number % 4 == 3:
                rest.append((key, segment))
            else:
                records.append(make_record(key, [segment]))
            number += 1
        writer.seal()
        store.commit_all(records)
    writer, records = make_writer(store), []
    for key, first in rest:
        faces = make_faces(np.random.default_rng(int(key[1:])), NUM_FRAMES)
        second = write_segment(writer, key, faces, index=1, num_frames=NUM_FRAMES)
        records.append(make_record(key, [first, second]))
    writer.seal()
    store.commit_all(records)


def test_a_record_that_names_a_file_outside_of_the_store_moves_nothing(tmp_path: Path) -> None:
    store = make_store(tmp_path / "store")
    fill(store, shards=1)
    letter = tmp_path / "letter.txt"
    letter.write_text("not yours")
    record = store.video("k0")
    evil = replace(record, segments=[replace(s, shard="../../letter.txt") for s in record.segments])
    write_records(store, [evil])
    plan = plan_repair(store)
    assert list(plan.lost) == ["k0"] and plan.shards == []
    apply(store, plan)
    assert letter.read_text() == "not yours"
    assert verify(store, deep=True) == []


def check_video(reader: StoreReader, key: str) -> None:
    expected = make_faces(np.random.default_rng(int(key[1:])), NUM_FRAMES)
    track = reader.track(key, 0)
    repeats = len(track) // NUM_FRAMES
    assert np.array_equal(
        reader.read_crops(track, np.arange(len(track))), np.tile(expected.crops, (repeats, 1, 1, 1))
    )
    assert np.array_equal(track.face_boxes_xyxy, np.tile(expected.boxes_xyxy, (repeats, 1)))
    assert np.array_equal(track.quality, np.tile(expected.quality, (repeats, 1)))


def repaired(store: Store) -> Plan:
    with store.lock():
        plan = plan_repair(store)
        apply(store, plan)
    return plan


@pytest.mark.parametrize("seed", range(10))
def test_random_damage(tmp_path: Path, seed: int) -> None:
    """Flipped bytes and files cut short, anywhere in shards, records and journals."""
    store = make_store(tmp_path / "store")
    fill(store)
    store.record_failure(FailureRecord("bad.mp4", "/bad.mp4", None, "decode", "InputError", "why"))
    rng = np.random.default_rng(seed)
    files = [*(store.path / "shards").iterdir(), *store.commit_paths(), store.path / "failures.jsonl"]
    if seed % 2:
        store.videos()
    for _ in range(int(rng.integers(1, 6))):
        path = files[rng.integers(len(files))]
        if rng.random() < 0.75:
            flip_byte(path, int(rng.integers(path.stat().st_size)))
        else:
            with path.open("r+b") as file:
                file.truncate(int(rng.integers(path.stat().st_size)))
            if not path.stat().st_size:
                files.remove(path)
    plan = repaired(store)
    assert verify(store, deep=True) == []
    assert repaired(store).nothing_to_do
    left = store.keys()
    assert left | plan.lost.keys() == {f"k{number}" for number in range(12)}
    assert not left & plan.lost.keys()
    assert len(plan.lost) <= 10
    reader = StoreReader(store.path)
    for key in left:
        check_video(reader, key)


def test_only_the_damaged_video_of_a_shard_is_lost(tmp_path: Path) -> None:
    store = make_store(tmp_path / "store")
    fill(store, shards=1)
    record = store.video("k1")
    path = store.shard_path(record.segments[0].shard)
    with h5py.File(path) as file:
        offset = file[record.segments[0].group]["crops"].id.get_offset()
    flip_byte(path, offset + 7)
    before = {p: p.read_bytes() for p in store.path.rglob("*") if p.is_file()}
    with store.lock():
        plan = plan_repair(store)
    assert {p: p.read_bytes() for p in store.path.rglob("*") if p.is_file() and p.name != "lock"} == {
        p: content for p, content in before.items() if p.name != "lock"
    }
    assert list(plan.lost) == ["k1"] and plan.names == {"k1": ["k1.mp4"]} and plan.num_saved == 3
    repaired(store)
    assert store.keys() == {"k0", "k2", "k3"}
    (aside,) = (store.path / "quarantine").iterdir()
    assert [p.name for p in (aside / "shards").iterdir()] == [path.name]
    assert [p.name for p in (aside / "commits").iterdir()] == ["k1.json"]
    assert json.loads((aside / "repair.json").read_text())["names"] == {"k1": ["k1.mp4"]}
    assert verify(store, deep=True) == []


def test_a_damaged_record_comes_back_from_the_index(tmp_path: Path) -> None:
    store = make_store(tmp_path / "store")
    fill(store, shards=1)
    for path in store.commit_paths():
        os.utime(path, (0, 0))  # long ago: the index takes no record that was just written
    store.videos()
    before = store.video("k0")
    flip_byte(store.path / "commits" / "k0.json", 60)
    with pytest.raises(CorruptError):
        store.video("k0")
    plan = repaired(store)
    assert plan.restored == ["k0"] and not plan.lost
    assert store.video("k0") == before


def test_torn_lines_leftovers_and_a_broken_manifest(tmp_path: Path) -> None:
    store = make_store(tmp_path / "store")
    fill(store, shards=1)
    with (store.path / "hashes.jsonl").open("a") as file:
        file.write('{"path": "/a.mp4", "size": 1, "mtime_ns": 2, "key": "k0"}\n{"path": ')
    (store.path / "manifest.parquet").write_bytes(b"PAR1 no")
    (store.path / "shards" / "x.h5.partial").touch()
    (store.path / "pending").mkdir()
    (store.path / "pending" / "k9-0.json").write_text('{"torn')
    plan = repaired(store)
    assert plan.journals == ["hashes.jsonl"] and plan.bad_manifest and plan.leftovers == ["x.h5.partial"]
    assert plan.pending == ["k9-0.json"]
    assert len(Journal(store.path / "hashes.jsonl").entries()) == 1
    assert verify(store, deep=True) == []
    assert store.manifest() is None


def test_a_whole_store_needs_nothing(tmp_path: Path) -> None:
    store = make_store(tmp_path / "store")
    fill(store, shards=1)
    assert repaired(store).nothing_to_do
    assert not (store.path / "quarantine").exists()


def change(store: Store) -> None:
    """What is killed at every step."""
    apply(store, plan_repair(store))


def check(store: Store, killed: bool) -> None:
    """What the next process finds, and makes good."""
    with store.lock():
        change(store)
    assert verify(store, deep=True) == []
    check_survivors(store)


def check_survivors(store: Store) -> None:
    """All but k1 and k5, whatever happened."""
    assert store.keys() == {f"k{number}" for number in range(8)} - {"k1", "k5"}
    reader = StoreReader(store.path)
    for key in store.keys():  # noqa: SIM118  (a store is no dict)
        check_video(reader, key)


def test_killed_at_every_step(tmp_path: Path) -> None:
    store = make_store(tmp_path / "store")
    fill(store, shards=2)
    segment = store.video("k1").segments[0]
    with h5py.File(store.shard_path(segment.shard)) as file:
        offset = file[segment.group]["crops"].id.get_offset()
    flip_byte(store.shard_path(segment.shard), offset + 7)
    flip_byte(store.path / "commits" / "k5.json", 60)
    assert num_steps_killed_at("tests.cache.test_repair", store.path) > 8
