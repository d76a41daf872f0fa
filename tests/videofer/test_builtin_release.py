"""How a run becomes a released model, by a tiny one; and that its name goes wherever its folder goes."""

from __future__ import annotations

import json
import re
import shutil
from pathlib import Path

import numpy as np
import pytest
import torch

from tests.videofer.export_helpers import make_run, short_timings  # noqa: F401
from tools.builtin.card import card, confusions, docs_page
from tools.builtin.measure import (
    CONDITIONS,
    Faces,
    against_fer2013,
    against_ferplus,
    figures_of,
    probabilities,
)
from tools.builtin.pack import halved, pack
from videofer.checkpoint import CheckpointError, Release, TrainedModel, load_checkpoint, read_json
from videofer.export import export_model, load_model

pytestmark = pytest.mark.usefixtures("one_thread")

SINGLE = {"num_clips": 1, "num_frames": 1, "clip_seconds": 0.1, "window_seconds": 0.1}


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_run(tmp_path_factory.mktemp("of") / "run", "face", face={"heads": ["clip"]}, **SINGLE)


@pytest.fixture(scope="module")
def packed(run: Path) -> Path:
    pack(run, run.parent / "packed", "2.1")
    return run.parent / "packed"


def noise_faces(num: int = 12) -> Faces:
    rng = np.random.default_rng(0)
    names = np.array(["neutral", "anger", "happiness"] * (num // 3), object)
    plus = names.copy()
    plus[0] = None
    return Faces(rng.integers(0, 256, (num, 48, 48, 3), np.uint8), names, plus, np.arange(num) % 4 == 0)


def test_a_packed_run_answers_as_the_run(run: Path, packed: Path) -> None:
    faces = noise_faces().crops
    before, after = load_checkpoint(run), load_checkpoint(packed)
    assert {p.dtype for p in after.model.parameters()} == {torch.float32}
    said, expected = probabilities(after, faces), probabilities(before, faces)
    assert 0 < np.abs(said - expected).max() < 2e-3
    assert (packed / "model.safetensors").stat().st_size < 0.6 * (run / "model.safetensors").stat().st_size
    assert (packed / "NOTICE.md").is_file()


def test_a_release_is_called_by_its_name_wherever_it_lies(run: Path, packed: Path, tmp_path: Path) -> None:
    own = load_model(run)
    assert (own.name, own.version, own.title, own.release) == ("run", "", "run", None)
    shutil.copytree(packed, tmp_path / "elsewhere")
    assert load_model(tmp_path / "elsewhere").title == "builtin 2.1"
    export_model(packed, tmp_path / "onnx", format="onnx")
    exported = load_model(tmp_path / "onnx")
    assert (exported.name, exported.version) == ("builtin", "2.1")
    assert "Made from the run `builtin 2.1`" in exported.card


@pytest.mark.parametrize(
    "text",
    ['{"name": "a"}', '{"name": "a", "version": ""}', '{"name": "a\\nb", "version": "1"}', "[]",
     '{"name": "a", "version": "1", "more": 2}', '{"name": "a", "version": 1.0}', "{"],
)  # fmt: skip
def test_a_broken_release_is_one_line(text: str, packed: Path, tmp_path: Path) -> None:
    shutil.copytree(packed, tmp_path / "model")
    (tmp_path / "model" / "release.json").write_text(text)
    with pytest.raises(CheckpointError, match="cannot be used as a model") as caught:
        load_model(tmp_path / "model")
    assert "\n" not in str(caught.value)


def test_what_is_no_model_of_single_frames_is_not_packed(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="no model of single frames of a face"):
        pack(make_run(tmp_path / "clips", "face"), tmp_path / "packed", "1.0")
    assert not (tmp_path / "packed").exists()


def test_layers_are_halved_and_single_numbers_are_not() -> None:
    weights = {"conv": torch.randn(3, 2), "bias": torch.tensor([1e-7]), "count": torch.tensor(100_000)}
    found = halved(weights)
    assert [found[name].dtype for name in weights] == [torch.float16, torch.float32, torch.int64]
    assert found["bias"] == weights["bias"] and found["count"] == 100_000
    with pytest.raises(ValueError, match="conv has values beyond those of half precision"):
        halved({"conv": torch.full((2, 2), 70_000.0)})


def test_figures_are_those_of_a_count_by_hand(packed: Path) -> None:
    model, faces = load_model(packed), noise_faces()
    figures = figures_of(model, faces)
    said = np.array(model.labels, object)[probabilities(model, faces.crops).argmax(axis=1)]
    known = np.array([name is not None for name in faces.ferplus])
    assert figures["ferplus"]["accuracy"] == pytest.approx((said == faces.ferplus)[known].mean())
    assert figures["fer2013"]["accuracy"] == pytest.approx((said == faces.fer2013).mean())
    rest = known & ~faces.is_copy
    assert figures["ferplus_without_copies"] == pytest.approx((said == faces.ferplus)[rest].mean())
    assert (figures["num_pictures"], figures["num_copies"]) == (12, 3)
    assert figures["conditions"].keys() == CONDITIONS.keys()
    assert figures["conditions"]["as it is"] == figures["ferplus"]["accuracy"]
    json.dumps(figures, allow_nan=False)


def test_a_class_that_fer2013_has_not_is_no_answer_there() -> None:
    labels = ("neutral", "anger", "contempt")
    probs = np.array([[0.3, 0.1, 0.6], [0.1, 0.2, 0.7]])
    names = np.array(["neutral", "anger"], object)
    faces = Faces(np.zeros((2, 8, 8, 3), np.uint8), names, names, np.zeros(2, bool))
    own = against_fer2013(probs, labels, faces)
    assert own.labels == ("neutral", "anger") and own.war == 1.0
    assert against_ferplus(probs, labels, faces).war == 0.0


def test_every_condition_changes_a_face_and_leaves_a_picture() -> None:
    face = noise_faces().crops[0]
    for name, change in CONDITIONS.items():
        worse = change(face)
        assert (worse.shape, worse.dtype) == (face.shape, np.uint8)
        assert np.array_equal(worse, face) == (name == "as it is"), name
        np.testing.assert_array_equal(change(face), worse)


def test_the_card_has_no_gap(packed: Path) -> None:
    model: TrainedModel = load_model(packed)
    metrics = {**read_json(packed / "metrics.json"), "num_train": 24_000, "num_val": 2_000}
    text = card(
        model.recipe, Release(name="builtin", version="2.1"), metrics, figures_of(model, noise_faces()),
        num_parameters=2_800_936, num_bytes=6_600_000,
    )  # fmt: skip
    assert "`builtin 2.1`" in text and "2.8 million parameters (6.6 MB" in text and "24,000 pictures" in text
    assert not re.search(r"\bnan\b|\{|None", text)
    assert docs_page(text).count("![Confusion matrix") == 1


def test_confusions_are_the_largest_shares_of_what_is_frequent() -> None:
    matrix = [[80, 20, 0], [5, 90, 5], [1, 1, 1]]
    assert confusions(matrix, ("a", "b", "c"), most=2) == "a for b (20 %), b for c (5 %)"
