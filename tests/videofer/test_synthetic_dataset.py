"""The written files: real videos with the promised times, sidecars, manifest; the same for any workers."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import av
import numpy as np
import pandas as pd
import pytest

from videofer.synthetic import takes as takes_module
from videofer.synthetic.acting import body_poses
from videofer.synthetic.body import Placement, solve
from videofer.synthetic.dataset import (
    SyntheticDataset,
    make_dataset,
    render_take,
    takes_table,
)
from videofer.synthetic.render import estimated_keypoints
from videofer.synthetic.script import LABELS
from videofer.synthetic.takes import plan_takes

SMALL = {"num_subjects": 2, "takes_per_class": 1, "take_seconds": 1.5, "fps": 10, "size_wh": (160, 192)}


@pytest.fixture(scope="module")
def dataset(tmp_path_factory: pytest.TempPathFactory) -> SyntheticDataset:
    return make_dataset(tmp_path_factory.mktemp("synthetic") / "set", **SMALL, num_workers=2)  # type: ignore[arg-type]


def test_everything_is_written(dataset: SyntheticDataset) -> None:
    manifest = pd.read_csv(dataset.manifest)
    assert list(manifest.columns) == ["path", "label", "subject", "start", "end", "split"]
    assert len(manifest) == 14 and set(manifest["label"]) == set(LABELS)
    for row in manifest.to_dict("records"):
        video = dataset.root / row["path"]
        assert video.is_file() and video.with_suffix(".keypoints.npz").is_file()
        assert 0 <= row["start"] < row["end"] <= 1.7
    assert dataset.long_video.is_file() and dataset.long_truth.is_file() and dataset.takes.is_file()
    assert "fused" in dataset.readme.read_text(encoding="utf-8")
    assert {path.name for path in dataset.root.iterdir()} == {
        "videos",
        "long",
        "manifest.csv",
        "takes.csv",
        "README.txt",
    }


def test_times_and_sidecars_agree_with_the_container(dataset: SyntheticDataset) -> None:
    table = pd.read_csv(dataset.takes)
    for row in table.to_dict("records"):
        path = dataset.root / row["path"]
        with av.open(str(path)) as container:
            stream = container.streams.video[0]
            assert stream.time_base is not None
            times = [float(f.pts * stream.time_base) for f in container.decode(stream) if f.pts is not None]
            assert stream.codec_context.name == {"libx264": "h264"}.get(row["codec"], row["codec"])
            size = (stream.width, stream.height)
        with np.load(path.with_suffix(".keypoints.npz"), allow_pickle=False) as sidecar:
            assert np.allclose(times, sidecar["t_seconds"], atol=1e-6)
            assert sidecar["keypoints"].shape == (row["num_frames"], 1, 17, 3)
            assert sidecar["keypoints"].dtype == np.float32
            assert str(sidecar["layout"]) == "coco17" and float(sidecar["fps"]) == row["fps"]
            assert tuple(sidecar["size_wh"]) == size == (160, 192)


def test_same_files_in_one_process(dataset: SyntheticDataset, tmp_path: Path) -> None:
    """Also with another order of work: nothing depends on what was drawn before."""
    takes = plan_takes(**SMALL)  # type: ignore[arg-type]
    for take in (takes[-1], takes[0], takes[5]):
        (tmp_path / take.path).parent.mkdir(parents=True, exist_ok=True)
        render_take(take, tmp_path)
        for path in (Path(take.path), Path(take.path).with_suffix(".keypoints.npz")):
            assert (tmp_path / path).read_bytes() == (dataset.root / path).read_bytes(), path


def test_a_folder_with_something_in_it_fails(tmp_path: Path) -> None:
    (tmp_path / "mine.txt").write_text("precious")
    with pytest.raises(ValueError, match="no empty folder"):
        make_dataset(tmp_path, **SMALL, num_workers=0)  # type: ignore[arg-type]
    assert [path.name for path in tmp_path.iterdir()] == ["mine.txt"]


def test_a_failing_worker_is_reported(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(*args: object, **kwargs: object) -> list[takes_module.Take]:
        take = plan_takes(**SMALL)[0]  # type: ignore[arg-type]
        return [replace(take, codec="no_such_codec")]  # type: ignore[arg-type]

    monkeypatch.setattr("videofer.synthetic.dataset.plan_takes", broken)
    with pytest.raises(Exception, match="no_such_codec"):
        make_dataset(tmp_path / "set", **SMALL, num_workers=0)  # type: ignore[arg-type]
    assert not (tmp_path / "set" / "README.txt").exists()


def test_estimated_keypoints_are_near_the_true_joints() -> None:
    take = plan_takes(num_subjects=2, takes_per_class=1, seed=2)[0]
    t = np.arange(400) / 25
    joints = [
        solve(pose, Placement(take.scene.x, take.scene.y, take.scene.scale))
        for pose in body_poses(take.script, take.subject, t)
    ]
    keypoints = estimated_keypoints(joints, (320, 384), np.random.default_rng(0))[:, 0]
    true_xy = np.stack([instant.coco17() for instant in joints])
    seen = keypoints[..., 2] > 0.3
    distance = np.linalg.norm(keypoints[..., :2] - true_xy, axis=2)
    assert np.median(distance[seen]) < 2.5
    assert not (keypoints[:, 13:, 2] > 0).any()  # the legs are outside
    assert seen[:, :7].mean() > 0.93  # head and shoulders
    gone = np.isnan(keypoints[..., 0]).all(axis=1)
    assert 0 < gone.mean() < 0.04 and (keypoints[gone][..., 2] == 0).all()
    assert ((keypoints[..., 2] >= 0) & (keypoints[..., 2] <= 1)).all()


def test_takes_table_has_the_interval_of_the_intensity() -> None:
    takes = plan_takes(num_subjects=3, takes_per_class=1, seed=1)
    table = takes_table(takes)
    for take, edges in zip(takes, table[["start", "end"]].to_numpy(np.float64), strict=True):
        if take.label == "neutral":
            assert edges.tolist() == [0.0, take.duration]
        else:
            assert np.allclose(take.script.intensity(edges), 0.3, atol=1e-3)


def test_progress_counts_every_video(tmp_path: Path) -> None:
    seen: list[tuple[int, int]] = []
    arguments = SMALL | {"size_wh": (96, 96)}
    make_dataset(tmp_path / "set", **arguments, num_workers=0, progress=lambda *c: seen.append(c))  # type: ignore[arg-type]
    assert seen == [(done, 15) for done in range(1, 16)]
