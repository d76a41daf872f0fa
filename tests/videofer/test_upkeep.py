from __future__ import annotations

import io
import json
import os
import pickle
import tarfile
from collections import OrderedDict
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from cache.errors import StoreError, UserError
from cache.labels import labels_of
from cache.reader import StoreReader
from cache.schema import Codec
from cache.store import Store
from cache.verify import verify
from tests.videofer.small_store import joints_of, make_store
from tests.videofer.training_store import make_training_store, small_recipe
from videofer.training.run import train
from videofer.upkeep.parts import by_column, by_fraction
from videofer.upkeep.pyskl import FormatError, export_pyskl, import_pyskl
from videofer.upkeep.relabel import differences, replaced, with_values
from videofer.upkeep.restricted import UnsafePickleError, load_plain_pickle
from videofer.upkeep.runs import runs_that_saw
from videofer.upkeep.webdataset import export_webdataset, import_webdataset


@pytest.fixture
def store(tmp_path: Path) -> Store:
    return make_training_store(tmp_path / "store")


def test_a_run_says_what_it_was_trained_on(store: Store, tmp_path: Path) -> None:
    train(small_recipe(epochs=1), store.path, tmp_path / "runs" / "a")
    used = json.loads((tmp_path / "runs" / "a" / "trained_on.json").read_text())
    assert used["store"] == str(store.path) and len(used["keys"]["train"]) == 18
    key = used["keys"]["val"][0]
    (found,) = runs_that_saw([tmp_path / "runs"], {key, used["keys"]["train"][0]}.__contains__)
    assert str(found) == f"{tmp_path / 'runs' / 'a'}: 1 to train and 1 to validate, of 24 videos"
    (tmp_path / "runs" / "a" / "trained_on.json").unlink()  # a run of before: metrics.json says it too
    assert runs_that_saw([tmp_path / "runs"], {key}.__contains__)
    assert runs_that_saw([tmp_path / "runs"], {"other"}.__contains__) == []
    with pytest.raises(StoreError, match="is not a folder"):
        runs_that_saw([tmp_path / "nowhere"], {key}.__contains__)


def test_relabelling_says_what_changes(store: Store) -> None:
    table = labels_of(store)
    assert table is not None
    new = with_values(table, ["label=sad", "note=checked"], where=["subject=s1", "label=anger"])
    assert differences(table, new) == [
        f"s1/anger_{take}.mp4: label anger -> sadness, note - -> checked" for take in (0, 1)
    ]
    assert with_values(table, ["label="], where=["subject=s1"])["label"].isna().sum() == 6
    only = table[table["name"] == "s2/anger_0.mp4"].assign(label="fear").drop(columns="key")
    mixed, missing = replaced(table, only, store.videos())
    assert differences(table, mixed) == ["s2/anger_0.mp4: label anger -> fear"] and not missing
    whole, _ = replaced(table, only, store.videos(), all_rows=True)
    assert len(whole) == 1 and len(differences(table, whole)) == 30
    assert "s0/anger_0.mp4: dropped: label anger, subject s0, split train" in differences(table, whole)
    for values, where, message in (
        (["label=x"], ["subject=s9"], "no row of the manifest fits: subject=s9"),
        (["label=x"], ["sbject=s1"], "no column 'sbject'"),
        (["label"], [], "is not COLUMN=VALUE"),
        (["key=1"], [], "key cannot be set"),
        (["label=hapy"], [], "did you mean"),
    ):
        with pytest.raises(UserError, match=message):
            with_values(table, values, where=where)


def test_parts_keep_subjects_together(store: Store) -> None:
    table, videos = labels_of(store), store.videos()
    assert {name: len(keys) for name, keys in by_column(videos, table, "split").items()} == {
        "test": 6,
        "train": 24,
    }
    parts = by_fraction(videos, table, 0.6, seed=3)
    assert {name: len(keys) for name, keys in parts.items()} == {"a": 18, "b": 12}
    assert table is not None
    subjects = [set(table[table["key"].isin(keys)]["subject"]) for keys in parts.values()]
    assert not subjects[0] & subjects[1]
    with pytest.raises(StoreError, match="no column 'x'"):
        by_column(videos, table, "x")
    with pytest.raises(StoreError, match="between 0 and 1"):
        by_fraction(videos, table, 1.5)
    twice = table.assign(split=[*(["train"] * 29), "test"], key=table["key"].iloc[0])
    with pytest.raises(StoreError, match="several values of split"):
        by_column(videos, twice, "split")


def test_subjects_who_share_a_video_stay_together(store: Store) -> None:
    videos = store.videos()[:6]
    rows = ((0, "A"), (0, "B"), (1, "A"), (2, "B"), (3, "C"), (4, "C"), (5, "D"))
    table = pd.DataFrame([{"key": videos[n].key, "subject": subject} for n, subject in rows])
    for seed in range(8):
        parts = by_fraction(videos, table, 0.5, seed=seed)
        subjects = [set(table[table["key"].isin(keys)]["subject"]) for keys in parts.values()]
        assert not subjects[0] & subjects[1]
        assert sorted(parts["a"] + parts["b"]) == sorted(video.key for video in videos)


@pytest.mark.parametrize("values", [("a b", "a_b"), ("rest", None)])
def test_two_values_never_become_one_part(store: Store, values: tuple[str, str | None]) -> None:
    videos = store.videos()[:2]
    table = pd.DataFrame({"key": [video.key for video in videos], "label": values})
    with pytest.raises(StoreError, match="would both be the part"):
        by_column(videos, table, "label")


def test_skeletons_to_pyskl_and_back(store: Store, tmp_path: Path) -> None:
    assert export_pyskl(store, tmp_path / "x.pkl") == {"num_written": 30, "num_bodyless": 0}
    content = load_plain_pickle(tmp_path / "x.pkl")
    first = content["annotations"][0]
    assert first["keypoint"].shape == (1, 20, 17, 2) and first["keypoint_score"].shape == (1, 20, 17)
    assert first["img_shape"] == (384, 320) and first["total_frames"] == 20
    assert content["label_names"][first["label"]] in first["name"]
    assert {name: len(members) for name, members in content["split"].items()} == {"train": 24, "test": 6}

    importer = import_pyskl(tmp_path / "x.pkl", tmp_path / "back")
    assert (importer.num_videos, importer.num_twice) == (30, 0)
    back = Store.open(tmp_path / "back")
    assert verify(back, deep=True) == []
    assert back.contract["skeleton"] == "coco17"
    old, new = StoreReader(store.path), StoreReader(back.path)
    videos = {video.names[0]: video for video in back.videos()}
    video = videos["s0/anger_0#0@0.000"]
    assert video.kind == "keypoints" and video.provenance["imported"]["format"] == "pyskl"
    source = next(video for video in store.videos() if video.names == ["s0/anger_0.mp4"])
    a, b = old.track(source.key, 0), new.track(video.key, 0)
    assert np.array_equal(a.keypoints, b.keypoints)
    assert np.allclose(a.t_start, b.t_start, atol=1e-6) and np.allclose(a.t_end, b.t_end, atol=1e-6)
    manifest = back.manifest()
    assert manifest is not None
    assert manifest["split"].value_counts().to_dict() == {"train": 24, "test": 6}
    assert manifest["label"].value_counts().to_dict() == {"neutral": 10, "anger": 10, "happiness": 10}
    assert set(manifest["subject"]) == {f"s{n}" for n in range(5)}


def foreign(path: Path, **changes: Any) -> Path:
    """As pyskl itself writes it: two people, no times, float16, a score missing."""
    keypoints = np.stack([joints_of(0, 12)[..., :2], np.zeros((12, 17, 2))]).astype(np.float16)
    annotation: dict[str, Any] = OrderedDict(
        frame_dir="S001A002", label=np.int64(1), img_shape=(480, 640), original_shape=(480, 640),
        total_frames=12, keypoint=keypoints, keypoint_score=np.stack([np.ones((12, 17)), np.zeros((12, 17))]),
    )  # fmt: skip
    annotation.update(changes)
    content = {"split": {"xsub_train": ["S001A002"], "xsub_val": []}, "annotations": [annotation]}
    path.write_bytes(pickle.dumps(content, protocol=changes.pop("protocol", 4)))
    return path


def test_a_foreign_pyskl_file(tmp_path: Path) -> None:
    path = foreign(tmp_path / "x.pkl")
    with pytest.raises(FormatError, match=r"annotation 0: it has no times: .* --fps"):
        import_pyskl(path, tmp_path / "a")
    import_pyskl(path, tmp_path / "b", fps=60, labels=["calm", "fear"])
    back = Store.open(tmp_path / "b")
    (video,) = back.videos()
    assert len(video.persons) == 1 and (video.width, video.height) == (640, 480)
    assert video.num_frames == 6 and video.t_end == pytest.approx(0.2)  # at most 30 frames a second
    manifest = back.manifest()
    assert manifest is not None and manifest.loc[0, ["label", "split"]].tolist() == ["fear", "train"]
    with pytest.raises(FormatError, match="13 joints and no --layout: known are coco17"):
        import_pyskl(foreign(path, keypoint=np.zeros((1, 5, 13, 2))), tmp_path / "c", fps=25)
    with pytest.raises(FormatError, match="keypoint_score has shape"):
        import_pyskl(foreign(path, keypoint_score=np.zeros((1, 2, 3))), tmp_path / "d", fps=25)


class Evil:
    """Runs a command when it is unpickled."""

    def __init__(self, call: Any, *arguments: Any) -> None:
        self.call, self.arguments = call, arguments

    def __reduce__(self) -> Any:
        return self.call, self.arguments


@pytest.mark.parametrize("protocol", [0, 2, 4, 5])
@pytest.mark.parametrize("call", [os.system, eval, getattr, np.load, __import__, pickle.loads])
def test_a_pickle_that_wants_to_run_code_is_refused(tmp_path: Path, call: Any, protocol: int) -> None:
    mark = tmp_path / "ran"
    evil = [Evil(call, f"touch {mark}")]
    for content in (evil, {"annotations": evil}, {"annotations": [{"keypoint": np.array(evil, object)}]}):
        (tmp_path / "x.pkl").write_bytes(pickle.dumps(content, protocol=protocol))
        with pytest.raises(UnsafePickleError, match="cannot be read as plain data"):
            import_pyskl(tmp_path / "x.pkl", tmp_path / "out", fps=25)
    assert not mark.exists() and not (tmp_path / "out").exists()


@pytest.mark.parametrize(
    "content", [b"", b"no pickle", b"\x80\x04.", pickle.dumps(3)[:-1], pickle.dumps({1, 2})]
)
def test_what_is_no_pickle_of_data_is_refused(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "x.pkl").write_bytes(content)
    with pytest.raises(UnsafePickleError):
        load_plain_pickle(tmp_path / "x.pkl")


class LyingDtype:
    """Of one pointer to an object, and says that it is none."""

    def __reduce__(self) -> Any:
        make, arguments, state = np.dtype([("a", "O")]).__reduce__()  # type: ignore[misc]
        return make, arguments, (*state[:-1], 0)


class LyingArray:
    """Of such pointers, from bytes."""

    def __reduce__(self) -> Any:
        return np._core.numeric._frombuffer, (b"\x41" * 16, LyingDtype(), (2,), "C")  # type: ignore[attr-defined]


def test_an_array_that_hides_its_objects_is_refused(tmp_path: Path) -> None:
    (tmp_path / "x.pkl").write_bytes(pickle.dumps({"annotations": [{"keypoint": LyingArray()}]}))
    with pytest.raises(UnsafePickleError, match="an array holds 'V'"):
        load_plain_pickle(tmp_path / "x.pkl")


def one_annotation() -> dict[str, Any]:
    keypoints = np.ones((1, 4, 17, 2), np.float32)
    return {"frame_dir": "a", "label": 0, "img_shape": (9, 9), "keypoint": keypoints}


@pytest.mark.parametrize(
    ("change", "change_annotation", "fps"),
    [
        ({"split": ["a"]}, {}, 25.0),
        ({"split": {"train": 5}}, {}, 25.0),
        ({"label_names": 5}, {}, 25.0),
        ({}, {"img_shape": (float("inf"), 1)}, 25.0),
        ({}, {"frame_dir": "\ud800"}, 25.0),
        ({}, {}, 1e-5),
        ({}, {}, float("inf")),
    ],
)
def test_a_senseless_pyskl_file_is_one_line(
    tmp_path: Path, change: dict[str, Any], change_annotation: dict[str, Any], fps: float
) -> None:
    content = {"annotations": [one_annotation() | change_annotation], **change}
    (tmp_path / "x.pkl").write_bytes(pickle.dumps(content))
    with pytest.raises(FormatError, match=r"x\.pkl"):
        import_pyskl(tmp_path / "x.pkl", tmp_path / "out", fps=fps)
    assert [path.name for path in tmp_path.iterdir()] == ["x.pkl"]


@pytest.mark.parametrize(
    ("member", "change"),
    [
        ("export.json", {"contract": {}}),
        ("export.json", {"contract": {"crop_size": -3}}),
        ("export.json", {"contract": [1]}),
        ("export.json", {"spec": [1]}),
        ("export.json", {"spec": {"jpeg_quality": "q"}}),
        ("json", {"kind": "evil"}),
        ("json", {"time_base": [1, 0]}),
        ("json", {"time_base": [-1, 25]}),
        ("json", {"width": float("inf")}),
        ("json", {"split": "nosplit"}),
    ],
)
def test_a_senseless_webdataset_is_one_line(tmp_path: Path, member: str, change: dict[str, Any]) -> None:
    export_webdataset(make_store(tmp_path / "store", ["a.mp4"], num_frames=4), tmp_path / "w")
    folder = tmp_path / "changed"
    folder.mkdir()
    header = json.loads((tmp_path / "w" / "export.json").read_bytes())
    (folder / "export.json").write_text(json.dumps(header | (change if member == "export.json" else {})))
    with (
        tarfile.open(tmp_path / "w" / "samples-000000.tar") as old,
        tarfile.open(folder / "samples-000000.tar", "w") as new,
    ):
        for info in old:
            content = old.extractfile(info).read()  # type: ignore[union-attr]
            if info.name.endswith(f".{member}"):
                content = json.dumps(json.loads(content) | change).encode()
                info.size = len(content)
            new.addfile(info, io.BytesIO(content))
    with pytest.raises(UserError):
        import_webdataset(folder, tmp_path / "out")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["changed", "store", "w"]


@pytest.mark.parametrize("codec", ["plain", "jpeg"])
def test_webdataset_and_back(tmp_path: Path, codec: Codec) -> None:
    store = make_store(
        tmp_path / "store", ["x/a.mp4", "b.mp4", "c.mp4"], num_frames=12, codec=codec, face_absent=slice(2, 5)
    )
    assert export_webdataset(store, tmp_path / "w", samples_a_shard=2) == {"num_written": 3, "num_shards": 2}
    with tarfile.open(tmp_path / "w" / "samples-000000.tar") as tar:
        names = tar.getnames()
    keys = list(dict.fromkeys(name.partition(".")[0] for name in names))
    assert len(keys) == 2 and names == sorted(names, key=lambda name: keys.index(name.partition(".")[0]))
    extensions = [name.partition(".")[2] for name in names if name.startswith(keys[0])]
    jpegs = [f"{n:06d}.jpg" for n in range(12) if n not in (2, 3, 4)] if codec == "jpeg" else []
    assert extensions == ["json", "npz", *jpegs]

    assert import_webdataset(tmp_path / "w", tmp_path / "back").num_videos == 3
    back = Store.open(tmp_path / "back")
    assert verify(back, deep=True) == [] and back.contract_hash == store.contract_hash
    old, new = StoreReader(store.path), StoreReader(back.path)
    for video in store.videos():
        stem = video.names[0].removesuffix(".mp4")
        (twin,) = [other for other in back.videos() if other.names == [f"{stem}#0@0.000.mp4"]]
        a, b = old.track(video.key, 0), new.track(twin.key, 0)
        for field in ("pts", "t_start", "t_end", "face_state", "keypoints", "warps", "quality", "has_crop"):
            assert np.array_equal(getattr(a, field), getattr(b, field), equal_nan=True), field
        rows = np.flatnonzero(a.has_crop)
        x, y = old.read_crops(a, rows).astype(int), new.read_crops(b, rows).astype(int)
        assert np.array_equal(x, y) if codec == "plain" else np.abs(x - y).mean() < 2


def test_dense_landmarks_go_through_a_webdataset(tmp_path: Path) -> None:
    """Whole intervals and parts alike; of a store without them nothing is written of them."""
    names = ["a.mp4", "b.mp4"]
    store = make_store(tmp_path / "store", names, num_frames=12, face_absent=slice(2, 5), landmarks=True)
    export_webdataset(store, tmp_path / "w")
    back = import_webdataset(tmp_path / "w", tmp_path / "back")
    assert back.num_videos == 2 and verify(Store.open(tmp_path / "back"), deep=True) == []
    old, new = StoreReader(store.path), StoreReader(tmp_path / "back")
    originals = [old.track(video.key, 0) for video in old.videos()]
    for video, original in zip(new.videos(), originals, strict=True):  # both by name
        track = new.track(video.key, 0)
        assert track.landmark_layout == "ibug68" and video.provenance["landmarks"]["name"] == "mesh"
        assert np.array_equal(track.dense_landmarks, original.dense_landmarks, equal_nan=True)
        assert np.isnan(track.dense_landmarks[2:5]).all() and np.isfinite(track.dense_landmarks[5:]).all()
    export_webdataset(make_store(tmp_path / "plain", ["a.mp4"], num_frames=4), tmp_path / "p")
    with tarfile.open(tmp_path / "p" / "samples-000000.tar") as tar:
        content = tar.extractfile(next(name for name in tar.getnames() if name.endswith(".npz")))
        assert content is not None
        sample = np.load(io.BytesIO(content.read()))
        assert "dense_landmarks" not in sample.files
        assert sample["head_pose"].shape == (4, 3) and np.isnan(sample["eyes_open"]).all()


@pytest.mark.parametrize("broken", ["torn", "bomb"])
def test_a_broken_npz_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, broken: str) -> None:
    export_webdataset(make_store(tmp_path / "store", ["a.mp4"], num_frames=4), tmp_path / "w")
    shard, buffer = tmp_path / "w" / "samples-000000.tar", io.BytesIO()
    monkeypatch.setattr("videofer.upkeep.webdataset.MAX_MEMBER_BYTES", 1 << 20)
    np.savez_compressed(buffer, pts=np.zeros(1 << 20, np.uint8))
    content = buffer.getvalue()
    with tarfile.open(shard) as old:
        meta = old.extractfile(old.getnames()[0]).read()  # type: ignore[union-attr]
    with tarfile.open(shard, "w") as new:
        for name, data in (("k.json", meta), ("k.npz", content[:-30] if broken == "torn" else content)):
            info = tarfile.TarInfo(name)
            info.size = len(data)
            new.addfile(info, io.BytesIO(data))
    with pytest.raises(FormatError, match="unfolds to more" if broken == "bomb" else "zip"):
        import_webdataset(tmp_path / "w", tmp_path / "out")


def test_a_broken_webdataset_is_refused(store: Store, tmp_path: Path) -> None:
    with pytest.raises(FormatError, match="not a finished export"):
        import_webdataset(tmp_path, tmp_path / "a")
    export_webdataset(store, tmp_path / "w", samples_a_shard=10)
    with pytest.raises(FormatError, match="is there already"):
        export_webdataset(store, tmp_path / "w")
    shard = tmp_path / "w" / "samples-000001.tar"
    content = shard.read_bytes()
    shard.write_bytes(content[: len(content) // 2 + 77])
    with pytest.raises(FormatError, match=r"samples-000001.tar"):
        import_webdataset(tmp_path / "w", tmp_path / "b")
    assert not (tmp_path / "b").exists() and not list(tmp_path.glob(".b*"))
    shard.unlink()
    with pytest.raises(FormatError, match=r"holds 20 samples, export\.json says 30"):
        import_webdataset(tmp_path / "w", tmp_path / "c")
