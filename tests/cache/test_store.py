from __future__ import annotations

import json
import os
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from cache.errors import CorruptError
from cache.schema import FailureRecord
from cache.store import Store, StoreError, contract_hash, describe_differences
from tests.cache.parts import (
    CONTRACT,
    make_faces,
    make_record,
    make_store,
    make_writer,
    renamed,
    stored_video,
    write_segment,
)

REPOSITORY = Path(__file__).resolve().parents[2]
NASTY_NAMES = [
    "a\nb.mp4",
    "'\"`$(x).mp4",
    "../../etc/passwd",
    "ü 名 \u202e.mp4",
    "lone \udcff.mp4",
    "n" * 300,
]


@pytest.fixture
def store(tmp_path: Path) -> Store:
    return make_store(tmp_path / "store")


def test_create_and_open(store: Store) -> None:
    again = Store.open(store.path, contract=CONTRACT)
    assert (again.spec, again.contract, again.codec) == ({"max_fps": 30}, CONTRACT, "plain")
    assert again.contract_hash == contract_hash(CONTRACT)
    assert len(again.contract_hash) == 16
    assert again.videos() == [] and again.keys() == set() and again.failures() == []


def test_create_takes_an_empty_folder_but_no_other(tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    make_store(tmp_path / "empty")
    (tmp_path / "full").mkdir()
    (tmp_path / "full" / "thesis.tex").touch()
    (tmp_path / "file").touch()
    with pytest.raises(StoreError, match=r"thesis\.tex"):
        make_store(tmp_path / "full")
    with pytest.raises(StoreError, match="store already"):
        make_store(tmp_path / "empty")
    with pytest.raises(StoreError, match="is a file"):
        make_store(tmp_path / "file")


def test_create_completes_what_was_interrupted(tmp_path: Path) -> None:
    (tmp_path / "s" / "shards").mkdir(parents=True)
    with pytest.raises(StoreError, match="not a store"):
        Store.open(tmp_path / "s")
    make_store(tmp_path / "s")


def test_open_refuses_what_is_no_store(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    for path in (tmp_path, tmp_path / "absent", tmp_path / "file"):
        with pytest.raises(StoreError, match="not a store"):
            Store.open(path)
    (tmp_path / "store.json").write_text("{}")
    with pytest.raises(StoreError, match="unreadable"):
        Store.open(tmp_path)


def test_open_refuses_another_version_and_contract(store: Store) -> None:
    with pytest.raises(
        StoreError, match=r"crop_size: stored 16, given 112; roi: stored \(absent\), given 1"
    ) as error:
        Store.open(store.path, contract={**CONTRACT, "crop_size": 112, "roi": 1})
    assert "\n" not in str(error.value)
    header = json.loads((store.path / "store.json").read_text())
    (store.path / "store.json").write_text(json.dumps({**header, "contract": {"crop_size": 9}}))
    with pytest.raises(StoreError, match="was changed"):
        Store.open(store.path)
    (store.path / "store.json").write_text(json.dumps({**header, "schema_version": 99}))
    with pytest.raises(StoreError, match="99"):
        Store.open(store.path)


def test_contract_hash_ignores_order_and_number_types() -> None:
    assert contract_hash({"a": 1, "b": [2.5]}) == contract_hash({"b": [np.float64(2.5)], "a": np.int32(1)})
    assert contract_hash({"a": 1}) != contract_hash({"a": 2})
    assert describe_differences({"a": (1, 2)}, {"a": [1, 2]}) == ""


def test_first_commit_wins(store: Store) -> None:
    record = stored_video(store, "k", make_faces(np.random.default_rng(0), 3))
    assert not store.commit(replace(record, width=1))
    assert store.video("k") == record
    assert store.videos() == [record]
    assert store.keys() == {"k"}


def test_commit_all_takes_each_key_once(store: Store) -> None:
    writer = make_writer(store)
    segments = [write_segment(writer, key, None, num_frames=2) for key in "abc"]
    writer.seal()
    records = [make_record(key, [segment]) for key, segment in zip("abc", segments, strict=True)]
    assert store.commit_all([records[0]]) == [True]
    assert store.commit_all([*records, replace(records[1], width=1)]) == [False, True, True, False]
    assert store.videos() == records


def test_commit_needs_sealed_shards(store: Store) -> None:
    writer = make_writer(store)
    record = make_record("k", [write_segment(writer, "k", None, num_frames=2)])
    with pytest.raises(StoreError, match="cannot commit k"):
        store.commit(record)
    assert store.keys() == set()
    writer.seal()
    assert store.commit(record)


@pytest.mark.parametrize("key", ["", "../x", "a/b", ".", "x" * 129, "k\n"])
def test_a_key_cannot_leave_the_folder(store: Store, key: str) -> None:
    with pytest.raises(StoreError, match="not a video key"):
        store.video(key)
    with pytest.raises(StoreError, match="not a video key"):
        store.commit(make_record(key, []))


@pytest.mark.parametrize("shard", ["../store.json", "a/b.h5", "x.json", "/etc/x.h5"])
def test_a_shard_name_cannot_leave_the_folder(store: Store, shard: str) -> None:
    with pytest.raises(StoreError, match="not the name of a shard"):
        store.shard_path(shard)


def test_names_are_only_attributes(store: Store) -> None:
    stored_video(store, "k", make_faces(np.random.default_rng(0), 2), NASTY_NAMES[:1])
    before = sorted(path.name for path in store.path.rglob("*"))
    for name in [*NASTY_NAMES[1:], NASTY_NAMES[0]]:
        store.add_name("k", name)
    assert store.video("k").names == NASTY_NAMES
    assert sorted(path.name for path in store.path.rglob("*")) == before
    assert store.videos()[0].names == NASTY_NAMES


def test_unknown_video(store: Store) -> None:
    with pytest.raises(StoreError, match="no video with key nope"):
        store.video("nope")
    with pytest.raises(StoreError, match="no video with key nope"):
        store.add_name("nope", "x")


def test_a_damaged_record_is_noticed(store: Store) -> None:
    stored_video(store, "k", make_faces(np.random.default_rng(0), 3))
    path = store.path / "commits" / "k.json"
    good = path.read_bytes()
    for bad in (good.replace(b'"width":640', b'"width":641'), good[: len(good) // 2], b"\0" * 100, b""):
        path.write_bytes(bad)
        with pytest.raises(CorruptError, match=r"k\.json"):
            store.video("k")
        with pytest.raises(CorruptError, match=r"k\.json"):
            store.videos()


def test_failures_keep_the_latest_of_each_path(store: Store) -> None:
    first = FailureRecord("a.mp4", "/in/a.mp4", None, "probe", "InputError", "empty file")
    other = FailureRecord("b\n.mp4", "/in/b\n.mp4", "k", "decode", "InputError", "damaged \udcff", attempts=2)
    for failure in (first, other, replace(first, reason="still empty", attempts=2)):
        store.record_failure(failure)
    assert store.failures() == [replace(first, reason="still empty", attempts=2), other]
    store.clear_failure("/in/a.mp4")
    store.clear_failure("/in/never.mp4")
    assert store.failures() == [other]
    store.record_failure(first)
    assert store.failures() == [other, first]


def test_manifest(store: Store) -> None:
    assert store.manifest() is None
    for label in ("anger", "fear"):
        table = pd.DataFrame({"path": ["a.mp4"], "label": [label]})
        store.write_manifest(table)
        stored = store.manifest()
        assert stored is not None
        pd.testing.assert_frame_equal(stored, table)


def test_sweep_removes_only_what_no_record_names(store: Store) -> None:
    rng = np.random.default_rng(0)
    record = stored_video(store, "k", make_faces(rng, 3))
    writer = make_writer(store)
    orphan = write_segment(writer, "orphan", None, num_frames=2).shard
    writer.seal()
    partial = write_segment(writer, "partial", None, num_frames=2).shard + ".partial"
    (store.path / "commits" / ".x.tmp").touch()
    with store.lock():
        assert sorted(store.sweep_partials()) == sorted([orphan, partial, ".x.tmp"])
        assert store.sweep_partials() == []
    assert [path.name for path in (store.path / "shards").iterdir()] == [record.segments[0].shard]
    writer.discard()


def test_sweep_removes_nothing_while_a_record_is_damaged(store: Store) -> None:
    record = stored_video(store, "k", make_faces(np.random.default_rng(0), 3))
    (store.path / "commits" / "k.json").write_bytes(b"?")
    with pytest.raises(CorruptError):
        store.sweep_partials()
    assert store.shard_path(record.segments[0].shard).exists()


def test_two_drivers_are_refused(store: Store) -> None:
    with store.lock():
        with (
            pytest.raises(StoreError, match=f"in use by process {os.getpid()} on"),
            Store.open(store.path).lock(),
        ):
            pass
        with pytest.raises(StoreError, match="in use"), store.lock():
            pass
    with store.lock():
        pass


def test_the_lock_ends_with_its_process(store: Store) -> None:
    code = (
        "import sys, time; from pathlib import Path; from cache.store import Store\n"
        "with Store.open(Path(sys.argv[1])).lock(): print('locked', flush=True); time.sleep(60)"
    )
    holder = subprocess.Popen(
        [sys.executable, "-c", code, str(store.path)], stdout=subprocess.PIPE, cwd=REPOSITORY
    )
    assert holder.stdout is not None
    with holder:
        assert holder.stdout.readline() == b"locked\n"
        with pytest.raises(StoreError, match=f"process {holder.pid} on"), store.lock():
            pass
        holder.kill()
    with store.lock():
        pass


def test_index_is_rebuilt(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("cache.index.SETTLED_SECONDS", 0.0)
    rng = np.random.default_rng(0)
    first = stored_video(store, "a", make_faces(rng, 3))
    index = store.path / "index.json"
    assert store.videos() == [first]
    assert index.exists()
    content = index.read_bytes()
    assert store.videos() == [first]  # now from the index
    second = stored_video(store, "b", make_faces(rng, 3))
    assert store.videos() == [first, second]  # it was stale
    store.add_name("a", "z.mp4")
    assert store.videos()[0].names == ["a.mp4", "z.mp4"]
    for bad in (content, b"", b"nonsense", index.read_bytes()[:-10]):
        index.write_bytes(bad)
        assert len(store.videos()) == 2
    index.unlink()
    assert len(store.videos()) == 2
    (store.path / "commits" / "a.json").unlink()
    assert store.videos() == [second]


def test_index_is_used(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("cache.index.SETTLED_SECONDS", 0.0)
    record = stored_video(store, "a", make_faces(np.random.default_rng(0), 3))
    store.videos()
    monkeypatch.setattr("cache.index.read_record", None)  # reading a record would fail
    assert store.videos() == [record]


def test_a_few_new_videos_do_not_make_the_index_anew(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("cache.index.SETTLED_SECONDS", 0.0)
    record = stored_video(store, "a", make_faces(np.random.default_rng(0), 3))
    many = [renamed(record, f"k{number:03}") for number in range(100)]
    store.commit_all(many)
    store.videos()
    index = store.path / "index.json"
    before = index.read_bytes()
    store.commit(renamed(record, "new"))
    assert {video.key for video in store.videos()} == {"a", "new", *(video.key for video in many)}
    assert index.read_bytes() == before
    (store.path / "commits" / "k007.json").unlink()
    assert len(store.videos()) == 101
    assert b"k007" not in index.read_bytes()  # a removed video must not stay in the index
    (store.path / "commits" / "a.json").write_bytes(b"damaged")
    with pytest.raises(CorruptError, match=r"a\.json"):
        store.videos()


def test_a_folder_that_just_changed_is_not_indexed(store: Store) -> None:
    stored_video(store, "a", make_faces(np.random.default_rng(0), 3))
    store.videos()
    assert not (store.path / "index.json").exists()


def test_a_read_only_store_can_be_read(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("cache.index.SETTLED_SECONDS", 0.0)
    record = stored_video(store, "a", make_faces(np.random.default_rng(0), 3))

    def refuse(*_: object) -> None:
        raise PermissionError(13, "read-only")

    monkeypatch.setattr("cache.index.atomic_write", refuse)
    assert store.videos() == [record]


def test_records_of_many_videos_sort_by_name(store: Store) -> None:
    record = stored_video(store, "m", make_faces(np.random.default_rng(0), 3))
    assert store.commit(renamed(record, "b"))
    assert store.commit(renamed(record, "z"))
    assert [video.key for video in store.videos()] == ["b", "m", "z"]


def test_importing_the_store_is_light() -> None:
    """The command line imports it before it knows what to do."""
    code = "import sys, cache.store; print(sorted({'cv2', 'h5py', 'pandas', 'torch'} & sys.modules.keys()))"
    found = subprocess.run([sys.executable, "-c", code], capture_output=True, cwd=REPOSITORY, check=True)
    assert found.stdout == b"[]\n"


def test_a_header_with_missing_keys_is_no_store(tmp_path: Path) -> None:
    (tmp_path / "store.json").write_text('{"schema_version": 2}')
    with pytest.raises(StoreError, match="unreadable"):
        Store.open(tmp_path)
