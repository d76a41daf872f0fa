from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from cache.errors import StoreError
from cache.merge import merge, split
from cache.reader import StoreReader
from cache.removals import Removals
from cache.rewrite import segments_in
from cache.schema import FailureRecord
from cache.store import Store
from cache.verify import verify
from tests.cache.parts import CONTRACT, make_faces, make_record, make_store, make_writer, write_segment
from tests.cache.test_repair import NUM_FRAMES, check_video, fill


def add(store: Store, numbers: range, prefix: str = "") -> None:
    """One shard of these videos."""
    writer, records = make_writer(store), []
    for number in numbers:
        faces = make_faces(np.random.default_rng(number), NUM_FRAMES)
        segment = write_segment(writer, f"k{number}", faces, num_frames=NUM_FRAMES)
        records.append(make_record(f"k{number}", [segment], [f"{prefix}k{number}.mp4"]))
    writer.seal()
    store.commit_all(records)


def label(store: Store, **labels: str) -> None:
    rows = [
        {"name": f"{key}.mp4", "key": key, "subject": key, "label": value} for key, value in labels.items()
    ]
    store.write_manifest(pd.DataFrame(rows))


@pytest.fixture
def two(tmp_path: Path) -> tuple[Store, Store]:
    a, b = make_store(tmp_path / "a"), make_store(tmp_path / "b")
    add(a, range(4))
    add(b, range(2, 6), "b/")
    add(b, range(6, 8), "b/")
    return a, b


def check_whole(path: Path, keys: set[str]) -> None:
    assert verify(Store.open(path), deep=True) == []
    reader = StoreReader(path)
    assert {video.key for video in reader.videos()} == keys
    for key in keys:
        check_video(reader, key)


def test_same_content_becomes_one_with_both_names(two: tuple[Store, Store], tmp_path: Path) -> None:
    a, b = two
    label(a, k0="anger", k2="fear")
    label(b, k2="fear", k6="anger")
    b.record_failure(FailureRecord("bad.mp4", "/bad.mp4", None, "decode", "E", "why"))
    numbers = merge([a.path, b.path], tmp_path / "c")
    assert numbers == {"num_videos": 8, "num_twice": 2, "num_removed": 0, "num_rows": 3}
    check_whole(tmp_path / "c", {f"k{n}" for n in range(8)})
    merged = Store.open(tmp_path / "c")
    assert merged.video("k2").names == ["k2.mp4", "b/k2.mp4"]
    assert [failure.name for failure in merged.failures()] == ["bad.mp4"]
    linked = [path for path in (merged.path / "shards").iterdir() if path.stat().st_nlink == 2]
    assert len(linked) == 2  # the third was copied without what is there twice
    manifest = merged.manifest()
    assert manifest is not None and sorted(manifest["key"]) == ["k0", "k2", "k6"]
    held = [key for path in (merged.path / "shards").iterdir() for _, key in segments_in(path)]
    assert sorted(held) == sorted(merged.keys())


def test_manifests_that_disagree_are_named(two: tuple[Store, Store], tmp_path: Path) -> None:
    a, b = two
    label(a, k2="fear")
    label(b, k2="anger", k6="anger")
    with pytest.raises(StoreError, match=r"disagree: 'k2.mp4': label is anger and fear"):
        merge([a.path, b.path], tmp_path / "c")
    assert not (tmp_path / "c").exists() and not list(tmp_path.glob(".*"))
    merge([a.path, b.path], tmp_path / "c", keep_first=True)
    manifest = Store.open(tmp_path / "c").manifest()
    assert manifest is not None
    assert dict(zip(manifest["key"], manifest["label"], strict=True)) == {"k2": "fear", "k6": "anger"}


def test_two_contracts_or_codecs_are_refused(tmp_path: Path) -> None:
    a = make_store(tmp_path / "a")
    other = {**CONTRACT, "crop_size": 32}
    Store.create(tmp_path / "b", spec={}, contract=other, codec="plain")
    with pytest.raises(StoreError, match="crop_size: stored 16, given 32"):
        merge([a.path, tmp_path / "b"], tmp_path / "c")
    make_store(tmp_path / "j", "jpeg")
    with pytest.raises(StoreError, match="keeps its crops as jpeg"):
        merge([a.path, tmp_path / "j"], tmp_path / "c")
    (tmp_path / "d").mkdir()
    (tmp_path / "d" / "x").touch()
    with pytest.raises(StoreError, match="is there already"):
        merge([a.path, a.path], tmp_path / "d")


def test_what_one_removed_does_not_come_back(two: tuple[Store, Store], tmp_path: Path) -> None:
    a, b = two
    Removals(a.path).add(["k6"], "consent withdrawn")
    assert merge([a.path, b.path], tmp_path / "c")["num_removed"] == 1
    check_whole(tmp_path / "c", {f"k{n}" for n in range(8)} - {"k6"})
    assert "k6" in Removals(tmp_path / "c")


def test_split(tmp_path: Path) -> None:
    store = make_store(tmp_path / "store")
    fill(store)
    label(store, k0="anger", k5="fear")
    parts = {"one": ["k0", "k3", "k4", "k5", "k6"], "two": ["k1"]}
    assert split(store, parts, tmp_path / "out") == {"one": 5, "two": 1}
    for name, keys in parts.items():
        check_whole(tmp_path / "out" / name, set(keys))
        held = {
            key for path in (tmp_path / "out" / name / "shards").iterdir() for _, key in segments_in(path)
        }
        assert held == set(keys)
    manifest = Store.open(tmp_path / "out" / "one").manifest()
    assert manifest is not None and list(manifest["key"]) == ["k0", "k5"]
    with pytest.raises(StoreError, match="is there already"):
        split(store, parts, tmp_path / "out")
    check_whole(store.path, {f"k{n}" for n in range(12)})


def test_empty_cells_of_manifests_agree_with_anything(two: tuple[Store, Store], tmp_path: Path) -> None:
    a, b = two
    rows = {"name": ["k2.mp4", "k3.mp4"], "key": ["k2", "k3"], "label": ["fear", None]}
    times = {"start": [None, 0.5], "end": [None, 1.0], "person": pd.array([None, 1], dtype="Int64")}
    a.write_manifest(pd.DataFrame({**rows, **times}))
    b.write_manifest(pd.DataFrame({**rows, **times, "label": ["fear", "anger"]}))
    merge([a.path, b.path], tmp_path / "all")
    table = Store.open(tmp_path / "all").manifest()
    assert table is not None and sorted(table["key"]) == ["k2", "k3"]


def test_the_folder_one_stands_in(
    two: tuple[Store, Store], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "here").mkdir()
    monkeypatch.chdir(tmp_path / "here")
    merge([store.path for store in two], Path())
    check_whole(tmp_path / "here", {f"k{n}" for n in range(8)})
