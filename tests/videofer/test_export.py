"""Every variant exports to both formats and says what the run says; nothing else gets a name."""

from __future__ import annotations

import copy
import dataclasses
import hashlib
import json
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import torch

import videofer
from cache.errors import UserError
from cache.reader import StoreReader
from cache.schema import State
from tests.videofer.export_helpers import make_run, short_timings
from tests.videofer.timeline_helpers import CLASSES, add_video, make_store, reader_of
from tests.videofer.training_store import CONTRACT as TRAINING_CONTRACT
from tests.videofer.training_store import make_training_store
from videofer.checkpoint import CheckpointError, LoadedModel, load_checkpoint
from videofer.cli import app
from videofer.cli.errors import one_line_errors
from videofer.evaluation.report import evaluate
from videofer.export import ExportedModel, ExportError, export_model, load_model
from videofer.export.check import random_batch
from videofer.export.graphs import BodyGraph, Graph, graphs_of
from videofer.export.torch_format import write_program
from videofer.timeline.make import make_timeline

__all__ = ["short_timings"]  # a fixture for all tests here

FORMATS = ("onnx", "torch-export")
FPS_25 = np.arange(0, 4001, 40)
OK, ABSENT = State.OK, State.ABSENT


@pytest.fixture(scope="module")
def reader(tmp_path_factory: pytest.TempPathFactory) -> StoreReader:
    store = make_store(tmp_path_factory.mktemp("export") / "store")
    face = [OK] * 40 + [ABSENT] * 25 + [OK] * 35
    add_video(
        store, "one", FPS_25,
        [{"face": (0, face), "body": (10, [OK] * 60)}, {"face": None, "body": (50, [OK] * 40)}],
    )  # fmt: skip
    add_video(store, "two", FPS_25, [{"face": (5, [OK] * 80), "body": None}])
    return reader_of(store)


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> LoadedModel:
    return load_checkpoint(make_run(tmp_path_factory.mktemp("run") / "run"))


@pytest.fixture(scope="module", params=FORMATS)
def exported(request: pytest.FixtureRequest, run: LoadedModel, reader: StoreReader) -> ExportedModel:
    report = export_model(run.path, format=request.param, store=reader.path)
    assert report.path == run.path / request.param
    model = load_model(report.path, "cpu")
    assert isinstance(model, ExportedModel)
    return model


def test_a_run_is_opened_on_a_device_that_is_there(run: LoadedModel, monkeypatch: pytest.MonkeyPatch) -> None:
    assert load_model(run.path, "cpu").device == torch.device("cpu")
    with pytest.raises(UserError, match="unknown device 'gpu'; known: cpu, cuda, cuda:N"):
        load_model(run.path, "gpu")
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 0)
    with pytest.raises(UserError, match=r"^no cuda:0: "):
        load_model(run.path, "cuda")


def test_an_export_has_what_the_run_has(run: LoadedModel, exported: ExportedModel) -> None:
    for name in ("recipe", "labels", "contract", "calibration", "used", "spec", "heads", "num_features"):
        assert getattr(exported, name) == getattr(run, name), name
    assert exported.card.startswith(run.card) and "## Exported networks" in exported.card
    graphs = sorted(path for path in exported.path.iterdir() if path.suffix in (".onnx", ".pt2"))
    content = b"".join(path.read_bytes() for path in graphs)
    assert exported.weights_sha256 == hashlib.sha256(content).hexdigest()
    with pytest.raises(CheckpointError, match="does not fit store S: crop_size is 1"):
        exported.check_contract({**run.contract, "crop_size": 1}, "store S")


@pytest.mark.parametrize("key", ["one", "two"])
def test_timelines_are_equal(
    run: LoadedModel, exported: ExportedModel, reader: StoreReader, key: str
) -> None:
    ours, theirs = (make_timeline(model, reader, key).rows for model in (run, exported))
    assert ours["label"].tolist() == theirs["label"].tolist()
    columns = [f"p_{name}" for name in CLASSES]
    assert ours["confidence"].notna().sum() > 5
    assert ours[columns].std().max() > 1e-3  # the rows differ, so equality says something
    np.testing.assert_allclose(ours[columns], theirs[columns], atol=1e-4)


def test_evaluations_are_equal(run: LoadedModel, exported: ExportedModel, tmp_path: Path) -> None:
    store = make_training_store(tmp_path / "store", num_subjects=2, takes=1)
    tables = {}
    for name, model in (("run", run), ("export", exported)):
        fitting = dataclasses.replace(model, contract=TRAINING_CONTRACT)
        tables[name] = evaluate(fitting, store.path, tmp_path / name, split="all").predictions
    figures = tables["run"].select_dtypes("number").columns
    assert any(column.startswith("fused_p_") for column in figures)
    np.testing.assert_allclose(tables["run"][figures], tables["export"][figures], atol=1e-4)
    others = [column for column in tables["run"] if column not in figures]
    pd.testing.assert_frame_equal(tables["run"][others], tables["export"][others])


def test_outputs_before_calibration_are_equal(run: LoadedModel, exported: ExportedModel) -> None:
    batch = random_batch(run.spec, 6)
    ours, theirs = run.outputs(batch), exported.outputs(batch)
    assert ours.keys() == theirs.keys()
    for name in ours:
        torch.testing.assert_close(theirs[name], ours[name], atol=1e-4, rtol=0)
    assert not ours["has_face"].all()
    assert not ours["has_body"].all()


@pytest.mark.parametrize("num_windows", [1, 4])
@pytest.mark.parametrize("num_clips", range(1, 10))
def test_any_number_of_clips(
    run: LoadedModel, exported: ExportedModel, num_windows: int, num_clips: int
) -> None:
    rng = torch.Generator().manual_seed(num_clips)
    features = torch.randn(num_windows, num_clips, run.num_features, generator=rng)
    mask = torch.rand(num_windows, num_clips, generator=rng) < 0.6
    mask[0, -1] = True
    face = run.model.face
    assert face is not None
    with torch.inference_mode():
        terms = face.window(features, mask)
    found = exported.run("window", features=features, clip_mask=mask)
    seen = mask.any(dim=1)  # elsewhere the outputs mean nothing
    for name, theirs in found.items():
        ours = terms["log_probs" if name == "face" else name]
        torch.testing.assert_close(theirs[seen], ours[seen], atol=1e-4, rtol=0)


@pytest.mark.parametrize(
    ("num_clips", "num_frames", "side"), [(1, 1, 40), (2, 3, 40), (3, 2, 56), (1, 5, 33)]
)
def test_any_number_of_frames_of_any_size(
    run: LoadedModel, exported: ExportedModel, num_clips: int, num_frames: int, side: int
) -> None:
    rng = torch.Generator().manual_seed(side)
    frames = torch.randint(0, 256, (num_clips, num_frames, side, side, 3), dtype=torch.uint8, generator=rng)
    torch.testing.assert_close(exported.clip_features(frames), run.clip_features(frames), atol=1e-4, rtol=0)


@pytest.mark.parametrize("num_instants", [1, 2, 16, 33])
def test_any_number_of_instants(run: LoadedModel, exported: ExportedModel, num_instants: int) -> None:
    keypoints = torch.rand(2, num_instants, 17, 3, generator=torch.Generator().manual_seed(0))
    keypoints[1, ..., 2] = 0
    body = run.model.body
    assert body is not None
    with torch.inference_mode():
        ours = body(keypoints)
    theirs = exported.run("body", keypoints=keypoints)
    torch.testing.assert_close(theirs["body"], ours, atol=1e-4, rtol=0)
    assert theirs["seen"].tolist() == [True, False]


def test_other_shapes_are_refused(exported: ExportedModel) -> None:
    with pytest.raises(
        ValueError, match=r"keypoints must be \('windows', 'instants', 17, 3\), not \(2, 5, 25"
    ):
        exported.run("body", keypoints=torch.zeros(2, 5, 25, 3))


VARIANTS: dict[str, dict[str, Any]] = {
    "attention_accumulated_linear": {
        "face": {"view_merge": "attention", "spatial_view": True, "score": "published_sistcm"},
        "body": {"maps": "accumulated", "bounded": True},
        "fusion": {"kind": "linear"},
    },
    "resnet18_potion": {
        "face": {"trunk": "resnet18", "score": "published_baseline", "normalize_features": True},
        "body": {"maps": "potion", "encoding": "onehot"},
    },
    "self_cure": {
        "parts": "face",
        "face": {"trunk": "resnet18", "heads": ["clip"], "scn": {"relabel_epoch": 1}, "landmark_weight": 1.0},
    },
    "hybrid": {
        "face": {
            "trunk": "arm",
            "width": 4,
            "stem": "cifar",
            "input_size": 40,
            "align": "stn",
            "heads": ["clip"],
            "clip_average": "logit",
        },
        "body": {"network": "posture", "layout": "coco17", "min_score": 0.1, "width": 16},
        "fusion": {"kind": "hierarchical"},
    },
    "tiled": {"parts": "face", "face": {"trunk": "tiled", "end_kernel": 3, "heads": ["feature"]}},
    "one_map_cnn": {
        "parts": "body",
        "body": {"maps": "timeline_one_map", "network": "cnn", "pooling": "seen", "normalization": "frame"},
        "sampling": "interval",
    },
}


@pytest.mark.parametrize("format", FORMATS)
@pytest.mark.parametrize("variant", VARIANTS)
def test_every_variant_exports(tmp_path: Path, variant: str, format: Any) -> None:
    path = make_run(tmp_path / "run", **VARIANTS[variant])
    check = export_model(path, tmp_path / "out", format=format).description["check"]
    assert check["probabilities"] < 1e-5
    assert check["same_label"] == 1
    model = load_model(tmp_path / "out", "cpu")
    batch = random_batch(model.spec, 3, seed=7)
    for head, ours in load_checkpoint(path).predict(batch).items():
        torch.testing.assert_close(model.predict(batch)[head], ours, atol=1e-5, rtol=0)
    text = json.loads((tmp_path / "out" / "export.json").read_text())
    if variant == "self_cure":  # landmarks are learned, not asked for
        faces = [graph.module.face for graph in graphs_of(load_checkpoint(path)) if graph.name != "answer"]
        assert not any("landmark" in name for face in faces for name, _ in face.named_parameters())
    if variant == "tiled":
        assert text["graphs"]["clip"]["inputs"]["frames"] == ["clips", 3, "height", "width", 3]
        assert "3 frames a clip only" in text["graphs"]["clip"]["note"]
        with pytest.raises(ValueError, match="frames must be"):
            model.clip_features(torch.zeros(1, 2, 40, 40, 3, dtype=torch.uint8))


def test_what_export_json_says(run: LoadedModel, exported: ExportedModel) -> None:
    description = json.loads((exported.path / "export.json").read_text())
    assert description["format_version"] == 1
    for graph in description["graphs"].values():
        assert (exported.path / graph["file"]).stat().st_size == graph["bytes"]
    assert description["graphs"]["clip"]["inputs"] == {"frames": ["clips", "frames", "height", "width", 3]}
    assert description["check"]["samples"] == "windows of store"
    assert description["check"]["num_windows"] == 16 + 1 + 3 + 3
    assert description["check"]["features"] < 1e-3
    for side in ("eager_seconds", "exported_seconds"):
        times = description["latency"][side]
        assert 0 < times["clip"] < times["batch_of_8"]
    card = (exported.path / "README.md").read_text()
    assert card.startswith("# A model")
    assert "frames (clips, frames, height, width, 3)" in card


def test_each_graph_holds_its_own_weights_only(run: LoadedModel, exported: ExportedModel) -> None:
    weights = {name: tensor.numel() for name, tensor in run.model.named_parameters()}
    trunk = 4 * sum(number for name, number in weights.items() if ".trunk." in name)
    sizes = {name: graph["bytes"] for name, graph in _description(exported)["graphs"].items()}
    assert trunk < sizes["clip"]
    if exported.path.name == "onnx":  # the other format has 64 bytes and a name for each weight
        assert sizes["clip"] < trunk + 60_000
        assert sizes["window"] < trunk / 2


def test_files_tell_nothing_of_the_machine(exported: ExportedModel) -> None:
    folder = str(Path(videofer.__file__).parents[1]).encode()
    for path in exported.path.iterdir():
        content = path.read_bytes()
        assert folder not in content, path.name
        assert b"stack_trace" not in content, path.name


def test_a_wrong_export_fails_and_leaves_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = make_run(tmp_path / "run", parts="body")

    def write_another(graph: Graph, file: Path) -> None:
        if graph.name == "body":
            other = copy.deepcopy(graph.module)
            assert isinstance(other, BodyGraph)
            other.body.network.head.bias.data[0] += 0.01
            graph = dataclasses.replace(graph, module=other)
        write_program(graph, file)

    monkeypatch.setattr("videofer.export.run.write_program", write_another)
    before = sorted(path.iterdir())
    with pytest.raises(
        ExportError, match=r"is not that of .*run: a probability differs by 0\.00\d+, allowed"
    ):
        export_model(path, format="torch-export")
    assert sorted(path.iterdir()) == before


def test_an_earlier_export_is_replaced_and_nothing_else(tmp_path: Path) -> None:
    path = make_run(tmp_path / "run", parts="body")
    out = tmp_path / "out"
    out.mkdir()
    (out / "thesis.txt").write_text("x")
    with pytest.raises(ExportError, match="is there already, and is no earlier export"):
        export_model(path, out, format="torch-export")
    (out / "thesis.txt").rename(tmp_path / "thesis.txt")
    out.rmdir()
    for _ in range(2):
        export_model(path, out, format="torch-export")
        assert sorted(p.name for p in tmp_path.iterdir()) == ["out", "run", "thesis.txt"]
    assert load_model(out).heads == ("body",)


def test_what_cannot_be_exported(tmp_path: Path, run: LoadedModel, reader: StoreReader) -> None:
    with pytest.raises(ExportError, match="format must be onnx or torch-export, not 'tflite'"):
        export_model(run.path, format="tflite")  # type: ignore[arg-type]
    with pytest.raises(CheckpointError, match="no model at"):
        export_model(tmp_path / "nothing", format="onnx")
    other = make_run(tmp_path / "run", contract={"crop_size": 96, "skeleton": "coco17"})
    with pytest.raises(CheckpointError, match="does not fit store"):
        export_model(other, format="onnx", store=reader.path)
    empty = make_store(tmp_path / "empty")
    with pytest.raises(ExportError, match="nobody is in it"):
        export_model(run.path, tmp_path / "out", format="onnx", store=empty.path)
    assert not (tmp_path / "out").exists()


def test_command(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = make_run(tmp_path / "run", parts="body")
    assert one_line_errors(app, ["export", "--model", str(path), "--format", "torch-export"]) == 0
    printed = capsys.readouterr().out
    assert "body.pt2: 0." in printed
    assert "keypoints (windows, instants, 17, 3)" in printed
    assert "compared on random windows" in printed
    assert "window: " in printed
    assert printed.rstrip().endswith(str(path / "torch-export"))
    assert one_line_errors(app, ["export", "--model", str(path), "--format", "tflite"]) == 2
    assert capsys.readouterr().err.count("\n") == 1


def _description(model: ExportedModel) -> dict[str, Any]:
    values: dict[str, Any] = json.loads((model.path / "export.json").read_text())
    return values
