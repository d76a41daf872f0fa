"""Removed for good: no byte, no name, no row is left, whenever the process is killed."""

from __future__ import annotations

import json
import os
from pathlib import Path

import h5py
import numpy as np
import pandas as pd
import pytest

from cache.errors import StoreError
from cache.reader import StoreReader
from cache.removals import Removals
from cache.remove import finish, keys_of_subjects, remove
from cache.repair import apply, plan_repair
from cache.rewrite import segments_in
from cache.schema import FailureRecord
from cache.store import Store
from cache.vacate import known_keys
from cache.verify import verify
from tests.cache.killing import num_steps_killed_at
from tests.cache.parts import flip_byte, make_faces, make_store, make_writer, write_segment
from tests.cache.test_repair import check_video, fill


def full_store(path: Path) -> Store:
    store = make_store(path)
    fill(store)
    rows = [
        {"name": f"k{n}.mp4", "key": f"k{n}", "subject": f"s{n % 3}", "label": "anger"} for n in range(12)
    ]
    store.write_manifest(pd.DataFrame(rows))
    for number in (0, 3, 5):
        store.hash_cache.put(f"/in/k{number}.mp4", 1, 2, f"k{number}")
        failure = FailureRecord(f"k{number}.mp4", f"/in/k{number}.mp4", f"k{number}", "decode", "E", "why")
        store.record_failure(failure)
    (store.path / "pending").mkdir()
    (store.path / "pending" / "k3-1.json").write_text('{"segment": {"shard": "none.h5"}}')
    (store.path / "runs").mkdir()
    report = {"failures": [{"name": "k3.mp4", "path": "/in/k3.mp4"}, {"name": "k5.mp4"}], "num": 3}
    (store.path / "runs" / "1.json").write_text(json.dumps(report))
    os.utime(store.path / "commits", (0, 0))  # long ago, so that an index is written
    store.videos()
    return store


def check_removed(store: Store, removed: set[str]) -> None:
    """Nothing of these videos is left, everything else is as it was."""
    assert verify(store, deep=True) == []
    assert store.keys() == {f"k{n}" for n in range(12)} - removed
    reader = StoreReader(store.path)
    for key in sorted(store.keys()):
        check_video(reader, key)
    for path in (store.path / "shards").iterdir():
        assert not removed & {key for _, key in segments_in(path)}
    manifest = store.manifest()
    assert manifest is not None and not removed & set(manifest["key"])
    for path in store.path.rglob("*"):
        if path.is_file() and path.name not in ("manifest.parquet",):
            content = path.read_bytes()
            assert not any(f"{key}.mp4".encode() in content for key in removed), path
    removals = Removals(store.path)
    assert all(key in removals for key in removed)
    assert not (store.path / "removing.json").exists()


def test_a_subject_is_gone(tmp_path: Path) -> None:
    store = full_store(tmp_path / "store")
    keys = keys_of_subjects(store, ["s0"])
    assert keys == ["k0", "k3", "k6", "k9"]
    with store.lock():
        report = remove(store, keys, subjects=["s0"], reason="consent withdrawn")
    check_removed(store, set(keys))
    assert (report.num_videos, report.num_manifest_rows, report.lost) == (4, 4, {})
    assert report.num_shards == 4  # k3 goes over two
    assert "consent withdrawn" in str(Removals(store.path).reason("k0"))
    assert Removals(store.path).reason("k1") is None
    assert [failure.name for failure in store.failures()] == ["k5.mp4"]
    assert store.hash_cache.get("/in/k5.mp4", 1, 2) == "k5"
    with pytest.raises(StoreError, match="no subject 's0'"):
        keys_of_subjects(store, ["s0"])


def test_rows_without_a_key_go_by_their_name(tmp_path: Path) -> None:
    store = full_store(tmp_path / "store")
    rows = [("k0.mp4", "k0"), ("k0.mp4", None), ("k1.mp4", None), ("k0.mp4", "k2")]
    store.write_manifest(pd.DataFrame(rows, columns=["name", "key"]))
    with store.lock():
        assert remove(store, ["k0"]).num_manifest_rows == 2
    manifest = store.manifest()
    assert manifest is not None and list(manifest["name"]) == ["k1.mp4", "k0.mp4"]


def test_names_are_found_or_refused(tmp_path: Path) -> None:
    store = full_store(tmp_path / "store")
    assert known_keys(store, ["k1.mp4", "k2"]) == {"k1.mp4": ["k1"], "k2": ["k2"]}
    with pytest.raises(StoreError, match="has no video 'k99'"):
        known_keys(store, ["k99"])


def test_a_damaged_neighbour_does_not_keep_anyone_in(tmp_path: Path) -> None:
    """What cannot be copied out of the shard is lost and said; the removal goes on."""
    store = full_store(tmp_path / "store")
    shard = store.shard_path(store.video("k1").segments[0].shard)
    with h5py.File(shard) as file:
        offset = file[store.video("k1").segments[0].group]["faces"].id.get_offset()
    flip_byte(shard, offset + 3)
    with store.lock():
        report = remove(store, ["k0"])
    assert list(report.lost) == ["k1.mp4"]
    assert store.keys() == {f"k{n}" for n in range(2, 12)}
    assert verify(store, deep=True) == []


def change(store: Store) -> None:
    """What is killed at every step."""
    remove(store, ["k0", "k3"])


def check(store: Store, killed: bool) -> None:
    """What the next process finds, and makes good."""
    begun = (store.path / "removing.json").exists()
    with store.lock():
        if begun:
            assert any("not finished" in str(problem) for problem in verify(store))
            finish(store)
    if begun or not killed:
        check_removed(store, {"k0", "k3"})
    else:  # before it began, or after everything was done
        store.sweep_partials()
        check_removed(store, {"k0", "k3"} if "k0" not in store.keys() else set())  # noqa: SIM118


def test_killed_at_every_step(tmp_path: Path) -> None:
    full_store(tmp_path / "store")
    assert num_steps_killed_at("tests.cache.test_remove", tmp_path / "store") > 20


def test_a_second_removal_finishes_the_first(tmp_path: Path) -> None:
    store = full_store(tmp_path / "store")
    intent = {"keys": ["k4"], "names": ["k4.mp4"], "subjects": [], "reason": "why"}
    (store.path / "removing.json").write_text(json.dumps(intent))
    with store.lock():
        remove(store, ["k7"])
        assert finish(store) is None
    check_removed(store, {"k4", "k7"})


def test_dead_copies_and_the_quarantine_go_too(tmp_path: Path) -> None:
    """A shard may hold a segment that no record names: it is written anew as well."""
    store = full_store(tmp_path / "store")
    (store.path / "commits" / "k3.json").rename(tmp_path / "k3.json")
    (store.path / "quarantine" / "x" / "shards").mkdir(parents=True)
    (store.path / "quarantine" / "x" / "shards" / "y.h5").write_bytes(np.arange(9).tobytes())
    (store.path / "removing.json").write_text(
        json.dumps({"keys": ["k3"], "names": ["k3.mp4"], "subjects": [], "reason": "why"})
    )
    with store.lock():
        report = finish(store)
    assert report is not None and report.quarantine_dropped and report.num_shards == 2
    check_removed(store, {"k3"})
    assert not (store.path / "quarantine").exists()


def test_an_unreadable_manifest_is_said_before_anything_is_done(tmp_path: Path) -> None:
    store = full_store(tmp_path / "store")
    (store.path / "manifest.parquet").write_bytes(b"PAR1 no")
    with pytest.raises(StoreError, match=r"manifest.parquet is unreadable"):
        keys_of_subjects(store, ["s0"])
    with store.lock(), pytest.raises(StoreError, match=r"manifest.parquet is unreadable"):
        remove(store, ["k0"])
    assert not (store.path / "commits" / "k0.json").exists() and "k0" in Removals(store.path)
    with store.lock():
        apply(store, plan_repair(store))  # sets it aside and finishes the removal
    assert verify(store, deep=True) == []


def test_a_video_that_failed_is_removed_with_its_finished_parts(tmp_path: Path) -> None:
    """It has no record, but a finished segment is pending, and its name stands in the journals."""
    store = full_store(tmp_path / "store")
    writer = make_writer(store)
    part = write_segment(writer, "long", make_faces(np.random.default_rng(0), 24), num_frames=24)
    writer.seal()
    (store.path / "pending" / "long-0.json").write_text(json.dumps({"record": {"shard": part.shard}}))
    store.record_failure(FailureRecord("long.mp4", "/in/long.mp4", "long", "worker", "E", "why"))
    (keys,) = known_keys(store, ["long.mp4"]).values()
    with store.lock():
        report = remove(store, keys)
    assert report.names == ["long.mp4"] and not store.shard_path(part.shard).exists()
    assert "long" in Removals(store.path)
    assert not any(b"long" in path.read_bytes() for path in store.path.rglob("*") if path.is_file())
    assert verify(store, deep=True) == []
