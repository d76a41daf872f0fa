"""Stores in an object store: fsspec's memory, a folder, and a file system that fails at the n-th call."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any, ClassVar

import fsspec
import numpy as np
import pandas as pd
import pytest
from fsspec.implementations.memory import MemoryFileSystem

from cache.errors import StoreError
from cache.reader import StoreReader
from cache.remote import Remote, RemoteError, default_local, is_url, mirrored
from cache.removals import Removals
from cache.remove import remove
from cache.rewrite import segments_in
from cache.store import Store
from cache.verify import verify
from tests.cache.parts import CONTRACT, make_faces, make_store, stored_video
from tests.cache.test_repair import check_video, fill


class ChaosFileSystem(MemoryFileSystem):
    """The first call for each thing may fail, and from the call `dies_at` on all do: the network is gone."""

    protocol = "chaos"
    store: ClassVar[dict[str, Any]] = {}
    pseudo_dirs: ClassVar[list[str]] = [""]
    fails_first, dies_at, num_calls = False, 0, 0
    asked: ClassVar[set[tuple[str, str]]] = set()
    lock = threading.Lock()

    @classmethod
    def reset(cls, *, fails_first: bool = False, dies_at: int = 0) -> None:
        cls.store.clear()
        cls.pseudo_dirs[:] = [""]
        cls.asked.clear()
        cls.fails_first, cls.dies_at, cls.num_calls = fails_first, dies_at, 0

    @classmethod
    def _call(cls, what: str, path: str) -> None:
        with cls.lock:
            cls.num_calls += 1
            number, first = cls.num_calls, (what, path) not in cls.asked
            cls.asked.add((what, path))
        if (cls.fails_first and first) or (cls.dies_at and number >= cls.dies_at):
            raise OSError(f"no route to host, call {number}")

    def ls(self, path: str, detail: bool = True, **options: Any) -> Any:
        self._call("ls", path)
        return super().ls(path, detail, **options)

    def put_file(self, lpath: str, rpath: str, **options: Any) -> None:
        self._call("put", rpath)
        super().put_file(lpath, rpath, **options)

    def get_file(self, rpath: str, lpath: str, **options: Any) -> None:
        self._call("get", rpath)
        super().get_file(rpath, lpath, **options)

    def cat_file(self, path: str, **options: Any) -> Any:
        self._call("cat", path)
        return super().cat_file(path, **options)

    def rm_file(self, path: str) -> None:
        self._call("rm", path)
        super().rm_file(path)


fsspec.register_implementation("chaos", ChaosFileSystem, clobber=True)


@pytest.fixture(params=["memory://bucket/store", "file", "chaos://bucket/store"])
def url(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[str]:
    MemoryFileSystem.store.clear()
    MemoryFileSystem.pseudo_dirs[:] = [""]
    ChaosFileSystem.reset(fails_first=True)
    yield request.param if request.param != "file" else (tmp_path / "there").as_uri()


@pytest.fixture
def store(tmp_path: Path) -> Store:
    store = make_store(tmp_path / "here")
    fill(store, shards=2)
    store.write_manifest(pd.DataFrame([{"name": "k0.mp4", "key": "k0", "label": "anger", "subject": "s"}]))
    return store


def remote(url: str) -> Remote:
    return Remote(url, wait_seconds=0)


def check_copy(path: Path, keys: set[str]) -> None:
    assert verify(Store.open(path), deep=True) == []
    reader = StoreReader(path)
    assert {video.key for video in reader.videos()} == keys
    for key in keys:
        check_video(reader, key)


def test_there_and_back(store: Store, url: str, tmp_path: Path) -> None:
    seen: list[tuple[int, int]] = []
    sent = remote(url).push(store, progress=lambda done, total: seen.append((done, total)))
    assert sent.num_files == 3 + 8 + 2 and seen[-1] == (13, 13)
    assert remote(url).push(store).num_files == 0
    remote(url).pull(tmp_path / "copy")
    check_copy(tmp_path / "copy", store.keys())
    manifest = Store.open(tmp_path / "copy").manifest()
    assert manifest is not None and list(manifest["label"]) == ["anger"]
    assert remote(url).pull(tmp_path / "copy").num_files == 0
    stored_video(store, "k90", make_faces(np.random.default_rng(90), 24))
    store.add_name("k0", "again.mp4")
    assert remote(url).push(store).num_files == 3  # a shard and two records
    assert remote(url).pull(tmp_path / "copy").num_files == 3
    check_copy(tmp_path / "copy", store.keys())
    assert Store.open(tmp_path / "copy").video("k0").names == ["k0.mp4", "again.mp4"]


def test_records_alone_are_enough_to_go_on(store: Store, url: str, tmp_path: Path) -> None:
    remote(url).push(store)
    with mirrored(url, tmp_path / "copy", every_seconds=0.01, remote=remote(url)) as path:
        copy = Store.open(path)
        assert copy.keys() == store.keys() and not list((path / "shards").iterdir())
        with copy.lock():
            copy.sweep_partials()
            stored_video(copy, "k90", make_faces(np.random.default_rng(90), 24))
    remote(url).pull(tmp_path / "third")
    check_copy(tmp_path / "third", store.keys() | {"k90"})


def test_what_is_only_there_is_never_deleted(store: Store, url: str, tmp_path: Path) -> None:
    """Another copy, which knows less, may be pushed: nothing is lost."""
    remote(url).push(store)
    other = make_store(tmp_path / "other")
    stored_video(other, "k91", make_faces(np.random.default_rng(91), 24))
    assert remote(url).push(other).num_deleted == 0
    remote(url).pull(tmp_path / "copy")
    check_copy(tmp_path / "copy", store.keys() | {"k91"})


def test_what_is_removed_is_deleted_there(store: Store, url: str, tmp_path: Path) -> None:
    remote(url).push(store)
    remote(url).pull(tmp_path / "copy")
    with store.lock():
        remove(store, ["k0"])
    assert not any("k0" in path.read_text() for path in store.path.glob("pushed-*.json"))
    assert remote(url).push(store).num_deleted == 2  # its record, and the shard it was in
    fresh = tmp_path / "fresh"
    remote(url).pull(fresh)
    check_copy(fresh, store.keys())
    assert remote(url).push(Store.open(fresh)).num_deleted == 0


def keys_there(url: str, path: Path) -> set[str]:
    """Keys of all videos of which a shard at the URL holds bytes."""
    remote(url).pull(path)
    return {key for shard in (path / "shards").iterdir() for _, key in segments_in(shard)}


@pytest.mark.parametrize("pulls", [True, False])
def test_a_copy_that_still_has_a_removed_video_does_not_bring_it_back(
    store: Store, url: str, tmp_path: Path, pulls: bool
) -> None:
    remote(url).push(store)
    remote(url).pull(tmp_path / "copy")
    with store.lock():
        remove(store, ["k0"])
    remote(url).push(store)
    copy = Store.open(tmp_path / "copy")
    with copy.lock():
        remove(copy, ["k5"])
    if pulls:
        remote(url).pull(copy.path)
    remote(url).push(copy)
    if pulls:
        done: set[str] = set()
        remote(url).push_new(copy, done)
        assert "k1.json" in done and "k0.json" not in done
    remote(url).pull(tmp_path / "fresh")
    check_copy(tmp_path / "fresh", store.keys() - {"k5"})
    assert keys_there(url, tmp_path / "fresh") == store.keys() - {"k5"}
    removals = Removals(tmp_path / "fresh")
    assert "k0" in removals and "k5" in removals


@pytest.mark.parametrize("lost_after", [None, 2, 4, 6])
def test_a_pull_does_not_undo_what_was_not_pushed_yet(
    store: Store, tmp_path: Path, lost_after: int | None
) -> None:
    """A removal rewrites shards and records; the old ones are still there, and shall not come back."""
    ChaosFileSystem.reset()
    url = "chaos://bucket/store"
    remote(url).push(store)
    with store.lock():
        remove(store, ["k0"])
    store.write_manifest(pd.DataFrame([{"name": "k1.mp4", "key": "k1", "label": "fear", "subject": "t"}]))
    if lost_after is not None:
        ChaosFileSystem.dies_at = ChaosFileSystem.num_calls + lost_after
        with pytest.raises(RemoteError, match="no route to host"):
            remote(url).push(store)
        ChaosFileSystem.dies_at = 0
    for _ in range(2):
        assert "k0" not in keys_there(url, store.path)
        check_copy(store.path, store.keys())
    remote(url).push(store)
    assert "k0" not in keys_there(url, tmp_path / "fresh")
    manifest = Store.open(tmp_path / "fresh").manifest()
    assert manifest is not None and list(manifest["label"]) == ["fear"]
    check_copy(tmp_path / "fresh", {f"k{n}" for n in range(1, 8)})


def test_labels_changed_here_survive_a_pull_after_a_run(store: Store, url: str) -> None:
    """A run sends the table, too, as often as it sends anything: it is a new object then, and the same."""
    remote(url).push(store)
    with mirrored(url, store.path, every_seconds=0.01, remote=remote(url)):
        stored_video(store, "k90", make_faces(np.random.default_rng(90), 24))
        there = remote(url)
        while "commits/k90.json" not in there._bucket.list(("commits",)):
            time.sleep(0.01)
    store.write_manifest(pd.DataFrame([{"name": "k0.mp4", "key": "k0", "label": "fear", "subject": "s"}]))
    remote(url).pull(store.path)
    manifest = store.manifest()
    assert manifest is not None and list(manifest["label"]) == ["fear"]
    assert remote(url).push(store).num_files == 1


def test_a_pull_restores_what_is_lost_here(store: Store, url: str) -> None:
    remote(url).push(store)
    shard = store.video("k0").segments[0].shard
    store.shard_path(shard).unlink()
    (store.path / "commits" / "k7.json").unlink()
    assert remote(url).pull(store.path).num_files == 2
    check_copy(store.path, {f"k{n}" for n in range(8)})


def test_another_store_is_refused(store: Store, url: str, tmp_path: Path) -> None:
    remote(url).push(store)
    other = Store.create(tmp_path / "other", spec={}, contract={**CONTRACT, "crop_size": 32}, codec="plain")
    with pytest.raises(RemoteError, match="is a store with input contract"):
        remote(url).push(other)
    with pytest.raises(RemoteError, match="is a store with input contract"):
        remote(url).pull(other.path)


@pytest.mark.parametrize("dies_at", range(2, 26, 3))
def test_a_connection_that_ends_leaves_no_record_without_its_shard(
    store: Store, tmp_path: Path, dies_at: int
) -> None:
    ChaosFileSystem.reset(dies_at=dies_at)
    url = "chaos://bucket/store"
    try:
        remote(url).push(store)
    except RemoteError as error:
        assert "no route to host" in str(error)
    ChaosFileSystem.dies_at = 0
    there = remote(url)
    if there.exists():
        there.pull(tmp_path / "copy")
        assert verify(Store.open(tmp_path / "copy"), deep=True) in ([], *_notes_only(tmp_path / "copy"))
    there.push(store)
    there.pull(tmp_path / "whole")
    check_copy(tmp_path / "whole", store.keys())


def _notes_only(path: Path) -> list[Any]:
    found = verify(Store.open(path), deep=True)
    return [found] if all(problem.level == "note" for problem in found) else []


def test_a_run_whose_last_push_fails_names_the_copy(store: Store, tmp_path: Path) -> None:
    ChaosFileSystem.reset()
    url, path = "chaos://bucket/store", tmp_path / "here"
    with (
        pytest.raises(RemoteError, match=f"everything is in {path}: .*store push"),
        mirrored(url, path, remote=remote(url)),
    ):
        ChaosFileSystem.dies_at = 1
    ChaosFileSystem.dies_at = 0


def test_what_is_a_url() -> None:
    assert is_url("s3://bucket/store") and is_url("simplecache::s3://b/s") and is_url("memory://x")
    assert not is_url("store") and not is_url("/a/b") and not is_url("C:store")
    assert default_local("s3://a/b/") == default_local("s3://a/b") != default_local("s3://a/c")
    with pytest.raises(StoreError, match="nosuch://x cannot be opened"):
        Remote("nosuch://x")
    with pytest.raises(RemoteError, match="is not a store"):
        Remote("memory://nothing/here").pull(Path("unused"))
