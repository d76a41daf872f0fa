"""The engines of a run as plain data, as built parts, and as provenance."""

from __future__ import annotations

import json
import pickle
from pathlib import Path

import numpy as np
import pytest

from preprocessing.engines import EngineChoices, build_engines, resolve_engines
from preprocessing.types import InputError, Source
from preprocessing.weights import WeightsError


def video(path: Path, sidecar: Path | None = None) -> Source:
    return Source(path=path, name=path.name, kind="video", sidecar=sidecar)


def test_choices_survive_json_and_pickle() -> None:
    choices = resolve_engines()
    assert EngineChoices.from_json(json.loads(json.dumps(choices.to_json()))) == choices
    assert pickle.loads(pickle.dumps(choices)) == choices


def test_real_weights_reach_the_provenance(shared_weights: Path, tmp_path: Path) -> None:
    choices = resolve_engines(
        pose="onnx:tinypose_256x192.onnx,yolox_nano.onnx", weights_dir=shared_weights, decoder="decord"
    )
    engines = build_engines(choices)
    provenance = engines.provenance(video(tmp_path / "x.mp4"))
    assert json.loads(json.dumps(provenance)) == provenance
    assert str(shared_weights) not in json.dumps(provenance)
    assert provenance["decoder"] == "decord"
    assert provenance["detector"]["name"] == "yunet"
    assert provenance["skeletons"]["name"] == "onnx"
    assert {role: file["file"] for role, file in provenance["skeletons"]["weights"].items()} == {
        "pose": "tinypose_256x192.onnx",
        "person": "yolox_nano.onnx",
    }
    assert {"av", "numpy", "opencv-python-headless"} <= set(provenance["versions"])
    assert engines.faces_for(video(tmp_path / "x.mp4")) is engines.faces
    assert engines.skeletons_for(video(tmp_path / "x.mp4")) is engines.skeletons


def test_each_video_has_its_own_sidecar(tmp_path: Path) -> None:
    engines = build_engines(resolve_engines(pose="sidecar", faces_name="precropped"))
    sidecar = tmp_path / "x.keypoints.npz"
    np.savez(sidecar, keypoints=np.full((3, 1, 17, 3), 0.9, np.float32) * [100, 100, 1])
    with_sidecar, without = video(tmp_path / "x.mp4", sidecar), video(tmp_path / "y.mp4")
    engine = engines.skeletons_for(with_sidecar)
    assert engine is not None
    assert len(engine.detect(None, 2, 0.0, None)) == 1
    assert engines.skeletons_for(without) is None
    assert engines.provenance(with_sidecar)["skeletons"]["name"] == "sidecar"
    assert engines.provenance(without)["skeletons"]["name"] == "none"


def test_broken_sidecar_is_an_input_error(tmp_path: Path) -> None:
    engines = build_engines(resolve_engines(pose="sidecar", faces_name="precropped"))
    sidecar = tmp_path / "x.keypoints.npz"
    sidecar.write_bytes(b"broken")
    with pytest.raises(InputError, match="is not a file of keypoints"):
        engines.skeletons_for(video(tmp_path / "x.mp4", sidecar))


def test_keypoints_without_a_video_are_read_whatever_was_chosen(tmp_path: Path) -> None:
    engines = build_engines(resolve_engines(pose="none", faces_name="precropped"))
    path = tmp_path / "x.keypoints.npz"
    np.savez(path, keypoints=np.full((3, 1, 17, 3), 0.9, np.float32) * [100, 100, 1], fps=25.0)
    source = Source(path=path, name=path.name, kind="keypoints")
    engine = engines.skeletons_for(source)
    assert engine is not None
    assert engine.name == "sidecar"
    assert engines.faces_for(source) is None
    assert engines.decoder_for(source).name == "keypoints"
    assert engines.provenance(source)["detector"]["name"] == "none"


def test_unknown_decoder_is_refused() -> None:
    with pytest.raises(WeightsError, match="unknown decoder 'opencv'; known: auto, pyav, decord, torchcodec"):
        resolve_engines(decoder="opencv")
