"""An ensemble's folder is used like a run's: the same answers by every way, and what is refused."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import numpy as np
import pytest
import torch
from ensemble_helpers import face_recipe, make_ensemble, some_batch
from training_store import CLASSES, make_training_store, small_recipe

from cache.reader import StoreReader
from videofer.checkpoint import CheckpointError, load_checkpoint
from videofer.ensembles.combine import Blend, Combination, Mean
from videofer.ensembles.model import EnsembleModel, load_ensemble
from videofer.evaluation.calibration import Calibration
from videofer.export import ExportError, export_model, load_model
from videofer.timeline.make import make_timeline

pytestmark = pytest.mark.usefixtures("one_thread")

n = len(CLASSES)
RNG = np.random.default_rng(0)
BLEND = Blend(
    weight=tuple(map(tuple, RNG.normal(size=(n, 2 * n)).tolist())), bias=tuple(RNG.normal(size=n).tolist())
)
RECIPES = {"narrow": face_recipe(4), "wide": face_recipe(6)}


@pytest.fixture(scope="module", params=[Mean(), BLEND], ids=["mean", "linear"])
def folder(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Path:
    combination: Combination = request.param
    return make_ensemble(tmp_path_factory.mktemp("ensemble") / "few", RECIPES, combination)


def test_the_answer_is_that_of_the_members_combined(folder: Path) -> None:
    model, batch = load_model(folder, "cpu"), some_batch()
    assert isinstance(model, EnsembleModel) and model.heads == ("face",)
    members = [load_checkpoint(folder / "members" / name) for name in RECIPES]
    probs = np.stack([member.predict(batch)["face"].double().numpy() for member in members])
    assert abs(probs[0] - probs[1]).max() > 0.02, "members that agree would prove nothing"
    if isinstance(model.combination, Mean):
        expected = probs.mean(axis=0)
    else:
        logits = np.log(probs) - np.log(probs).mean(axis=2, keepdims=True)
        scores = np.concatenate(list(logits), axis=1) @ np.array(BLEND.weight).T + np.array(BLEND.bias)
        expected = np.exp(scores) / np.exp(scores).sum(axis=1, keepdims=True)
    expected[2] = 1 / n  # who shows no face
    for head in ("face", "fused"):
        np.testing.assert_allclose(model.predict(batch)[head].numpy(), expected, atol=1e-5)
    outputs = model.outputs(batch)
    assert outputs["has_face"].tolist() == [True, True, False, True, True] and not outputs["has_body"].any()


def test_its_own_temperature_comes_last(folder: Path, tmp_path: Path) -> None:
    shutil.copytree(folder, tmp_path / "hot")
    hot = Calibration(temperatures={"face": 2.0, "body": 1.0, "fused": 2.0})
    (tmp_path / "hot" / "calibration.json").write_text(json.dumps(hot.to_json()))
    batch = some_batch()
    cold, found = load_ensemble(folder).outputs(batch)["face"], load_ensemble(tmp_path / "hot").predict(batch)
    rows = [0, 1, 3, 4]
    torch.testing.assert_close(found["face"][rows], (cold / 2).softmax(dim=1)[rows])


def test_clips_may_be_computed_before(folder: Path) -> None:
    model, batch = load_model(folder, "cpu"), some_batch()
    features = model.clip_features(batch["frames"].flatten(0, 1)).unflatten(0, batch["clip_mask"].shape)
    assert (
        features.shape[2]
        == model.num_features
        == sum(load_checkpoint(folder / "members" / name).num_features for name in RECIPES)
    )
    given = {"clip_features": features, "clip_mask": batch["clip_mask"]}
    torch.testing.assert_close(model.predict(given), model.predict(batch), atol=1e-5, rtol=1e-5)


def test_face_and_body_are_averaged_head_by_head(tmp_path: Path) -> None:
    recipes = {"one": small_recipe(), "two": small_recipe(seed=1)}
    model, batch = load_model(make_ensemble(tmp_path, recipes, Mean()), "cpu"), some_batch(body=True)
    assert model.heads == ("face", "body", "fused")
    members = [load_checkpoint(tmp_path / "members" / name).predict(batch) for name in recipes]
    for head, found in model.predict(batch).items():
        torch.testing.assert_close(found, torch.stack([one[head] for one in members]).mean(dim=0))


def test_a_timeline_is_made_with_it(folder: Path, tmp_path: Path) -> None:
    store = make_training_store(tmp_path / "store", num_subjects=1, num_test=0, takes=1, bodyless=True)
    reader = StoreReader(store.path)
    timeline = make_timeline(load_model(folder, "cpu"), reader, reader.videos()[0].key)
    assert len(timeline.rows) and timeline.model.name == folder.name and timeline.model.weights_sha256
    assert timeline.model.modalities == ("face",)


def test_facts_are_the_ensemble_s(folder: Path) -> None:
    model = load_model(folder, "cpu")
    assert model.recipe.name == "few" and model.labels == tuple(CLASSES) and model.card == "# An ensemble\n"
    assert model.spec == RECIPES["narrow"].sample_spec()
    hashes = {load_checkpoint(folder / "members" / name).weights_sha256 for name in RECIPES}
    assert len({model.weights_sha256} | hashes) == 3


def test_it_has_nothing_to_export(folder: Path, tmp_path: Path) -> None:
    with pytest.raises(
        ExportError, match="is an ensemble, which has no networks of its own: export its members"
    ):
        export_model(folder, tmp_path / "onnx", format="onnx")
    assert not (tmp_path / "onnx").exists()


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"members": ["../narrow", "wide"]}, "must name the folders of its members"),
        ({"members": []}, "must name the folders of its members"),
        ({"members": ["narrow", "gone"]}, "no model at .*gone"),
        ({"format_version": 9}, "is of version 9; this videofer reads 1"),
        ({"combination": {"kind": "vote"}}, "kind is 'vote'"),
        ({"combination": {"kind": "linear", "weight": [[1.0]], "bias": [0.0]}}, "blend is of 1 classes"),
    ],
)  # fmt: skip
def test_a_wrong_description_is_refused(change: dict[str, object], message: str, tmp_path: Path) -> None:
    make_ensemble(tmp_path, RECIPES, Mean())
    description = json.loads((tmp_path / "ensemble.json").read_text())
    (tmp_path / "ensemble.json").write_text(json.dumps(description | change))
    with pytest.raises(CheckpointError, match=message) as caught:
        load_model(tmp_path, "cpu")
    assert "\n" not in str(caught.value) and "cannot be used as a model" in str(caught.value)


@pytest.mark.parametrize(
    ("name", "text", "message"),
    [
        ("labels.json", '["anger", "neutral", "happiness"]', "labels.json has .* the member"),
        ("contract.json", "{}", "contract.json is not that of the member"),
        ("recipe.yaml", "name: few\n", "the key 'members' is missing"),
        ("calibration.json", "{", "calibration.json is not JSON"),
        ("members/wide/model.safetensors", "", "cannot be used as a model"),
    ],
)
def test_files_that_do_not_fit_are_refused(name: str, text: str, message: str, tmp_path: Path) -> None:
    make_ensemble(tmp_path, RECIPES, Mean())
    (tmp_path / name).write_text(text)
    with pytest.raises(CheckpointError, match=message) as caught:
        load_model(tmp_path, "cpu")
    assert "\n" not in str(caught.value)


def test_members_of_other_samples_are_refused(tmp_path: Path) -> None:
    make_ensemble(tmp_path, RECIPES | {"long": face_recipe(4, data={"window_seconds": 0.9})}, Mean())
    with pytest.raises(
        CheckpointError, match=r"members must take the same samples, but data\.window_seconds is 0\.6"
    ):
        load_model(tmp_path, "cpu")


def test_an_unfinished_ensemble_is_no_model(tmp_path: Path) -> None:
    make_ensemble(tmp_path, RECIPES, Mean())
    (tmp_path / "ensemble.json").unlink()
    with pytest.raises(CheckpointError, match="its training has not finished"):
        load_model(tmp_path, "cpu")
