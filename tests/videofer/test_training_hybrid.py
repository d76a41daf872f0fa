"""Training of the hybrid: the scale of its postures, its branches' labels, none of the published defects."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import torch
from processes import run_together
from training_store import make_training_store, small_recipe

from cache.store import Store
from videofer.checkpoint import load_checkpoint
from videofer.data.dataset import collate
from videofer.models import BodyConfig, FusionConfig
from videofer.models.posture import PostureNet
from videofer.recipe import Recipe
from videofer.training.beforehand import fit_beforehand
from videofer.training.checks import check_data
from videofer.training.job import Job
from videofer.training.learner import Learner, make_model
from videofer.training.place import Place
from videofer.training.progress import silent
from videofer.training.run import train
from videofer.training.samples import make_samples
from videofer.training.split import TrainingError, prepare

pytestmark = pytest.mark.usefixtures("one_thread")

HERE = Place(device=torch.device("cpu"))


def hybrid_recipe(fusion: FusionConfig | None = None, **training: Any) -> Recipe:
    recipe = small_recipe(**{"epochs": 1, **training})
    assert recipe.model.face is not None
    changes = {
        "face": replace(recipe.model.face, align="stn", heads=("clip",), clip_average="logit"),
        "body": BodyConfig(network="posture", layout="coco17", min_score=0.1, width=8),
        "fusion": fusion or FusionConfig(kind="hierarchical"),
    }
    return recipe.model_copy(update={"model": recipe.model.model_copy(update=changes)})


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("hybrid") / "store"
    make_training_store(path, takes=1)
    return path


def job_of(recipe: Recipe, store: Path) -> Job:
    return Job(
        recipe=recipe, store=store, out=store.parent, prepared=prepare(recipe, store, None), resume=False
    )


def scale_of(place: Place, job: Job) -> np.ndarray:
    """(2, P, 2) as training sets it."""
    torch.manual_seed(place.rank)
    model, samples = make_model(job.recipe), make_samples(job, place)
    assert model.body is not None and isinstance(model.body.network, PostureNet)
    model.body.network.low.fill_(place.rank + 5)
    fit_beforehand(model, samples.train, place, job.recipe)
    return np.stack([model.body.network.low.numpy(), model.body.network.scale.numpy()])


def scale_and_step(place: Place, job: Job) -> tuple[np.ndarray, dict[str, float]]:
    """The scale, and what a step on seven samples gives, of which each process has its part."""
    scale = scale_of(place, job)
    samples, learner = make_samples(job, place), Learner(job.recipe, job.split.train, place)
    learner.model.train()
    parts = np.array_split(np.arange(7), place.num_processes)
    values = learner.backward(collate([samples.train[int(item)] for item in parts[place.rank]]))
    return scale, {name: float(value) for name, value in values.items()}


def test_the_scale_is_of_all_training_samples_and_the_same_in_all_processes(
    store: Path, tmp_path: Path
) -> None:
    """By another way: the samples of the whole training part at once. A step is the same as well."""
    job = job_of(hybrid_recipe(), store)
    found, step = scale_and_step(HERE, job)
    model, train_set = make_model(job.recipe), make_samples(job, HERE).train
    assert model.body is not None and len(train_set.examples) == 9
    train_set.training, train_set.windows = False, 2
    keypoints = collate([train_set[item] for item in range(18)])["keypoints"]
    places, seen = model.body.places(keypoints)
    assert seen.all()
    low, high = places.amin(dim=(0, 1)).numpy(), places.amax(dim=(0, 1)).numpy()
    np.testing.assert_allclose(found, [low, 1 / (high - low)], rtol=1e-5)
    for others, part in run_together(2, tmp_path, scale_and_step, job):
        np.testing.assert_array_equal(others, found)
        assert part == pytest.approx(step, rel=1e-3)


def test_the_scale_of_a_fold_does_not_know_who_is_held_out(store: Path, tmp_path: Path) -> None:
    """Published: fitted on the test fold. Here the held-out subjects may be anybody: nothing changes."""
    expected = scale_of(HERE, job_of(hybrid_recipe(), store))
    fewer = make_training_store(tmp_path / "fewer", num_subjects=4, num_test=0, takes=1)  # no test subject
    np.testing.assert_array_equal(scale_of(HERE, job_of(hybrid_recipe(), fewer.path)), expected)
    table = Store.open(store).manifest()
    assert table is not None
    table.loc[table["subject"] == "s2", "split"] = "test"  # another fold: another scale
    manifest = tmp_path / "other.csv"
    table.to_csv(manifest, index=False)
    prepared = prepare(hybrid_recipe(), store, manifest)
    other = Job(recipe=hybrid_recipe(), store=store, out=tmp_path, prepared=prepared, resume=False)
    assert not np.array_equal(scale_of(HERE, other), expected)


def test_a_run_keeps_its_scale_and_goes_on_with_it(
    store: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    recipe = hybrid_recipe(ema_decay=0.9)
    train(recipe, store, tmp_path / "run", progress=silent)
    body = load_checkpoint(tmp_path / "run").model.body
    assert body is not None and isinstance(body.network, PostureNet)
    kept = np.stack([body.network.low.numpy(), body.network.scale.numpy()])
    np.testing.assert_array_equal(kept, scale_of(HERE, job_of(recipe, store)))

    def not_again(*arguments: Any) -> None:
        raise AssertionError("the scale is found once")

    monkeypatch.setattr(PostureNet, "fit_on", not_again)
    train(recipe, store, tmp_path / "run", resume=True, progress=silent)


def test_bodies_without_hips_fail_in_one_line(tmp_path: Path, store: Path, monkeypatch: Any) -> None:
    def no_hips(self: PostureNet, keypoints: torch.Tensor, *rest: Any) -> tuple[torch.Tensor, torch.Tensor]:
        shape = (*keypoints.shape[:2], self.num_joints)
        return torch.zeros(*shape, 2), torch.zeros(shape, dtype=torch.bool)

    monkeypatch.setattr(PostureNet, "places", no_hips)
    with pytest.raises(TrainingError, match="the scale of the joints cannot be found: no joint was seen"):
        train(hybrid_recipe(), store, tmp_path / "run", progress=silent)


def test_gradients_are_those_of_the_step_alone_and_the_model_stays_in_training(store: Path) -> None:
    """Published: never set to zero for 200 steps, and in evaluation mode from the first validation on."""
    from videofer.evaluation.predict import run_windows

    job = job_of(hybrid_recipe(), store)
    samples, learner = make_samples(job, HERE), Learner(job.recipe, job.split.train, HERE)
    learner.model.train()
    batch = collate([samples.train[item] for item in range(8)])

    def gradients() -> list[torch.Tensor]:
        learner.backward(dict(batch))
        return [parameter.grad.clone() for parameter in learner.parameters if parameter.grad is not None]

    first = gradients()
    run_windows(learner.model, samples.val, HERE.device)
    assert all(module.training for module in learner.model.modules())
    for ours, again in zip(first, gradients(), strict=True):
        torch.testing.assert_close(again, ours, atol=1e-5, rtol=1e-3)


# --- labels of the branches' own ---------------------------------------------------------------------


def own_labels(store: Path, folder: Path) -> Path:
    table = Store.open(store).manifest()
    assert table is not None
    table["label_face"] = ["joy", None, "anger"] * (len(table) // 3)  # joy is happiness
    table["label_body"] = ["neutral", "surprise", ""] * (len(table) // 3)  # surprise is none of the classes
    path = folder / "own.csv"
    table.to_csv(path, index=False)
    return path


def test_labels_are_read_by_branch(store: Path, tmp_path: Path) -> None:
    recipe = hybrid_recipe(FusionConfig(kind="features", branch_labels="own"))
    prepared = prepare(recipe, store, own_labels(store, tmp_path))
    first, second, third = prepared.split.train[:3]
    eye = np.eye(3, dtype=np.float32)  # neutral, anger, happiness: the rows' own labels, too
    for example, face, body in (
        (first, eye[2], eye[0]),
        (second, eye[1], 0 * eye[0]),
        (third, eye[1], eye[2]),
    ):
        np.testing.assert_array_equal(example.branch_targets["face"], face)
        np.testing.assert_array_equal(example.branch_targets["body"], body)
    plain = prepare(hybrid_recipe(), store, own_labels(store, tmp_path))
    assert plain.split.train[0].branch_targets == {}
    assert plain.split.fingerprint() != prepared.split.fingerprint()


def test_a_run_learns_them(store: Path, tmp_path: Path) -> None:
    recipe = hybrid_recipe(FusionConfig(kind="hierarchical", branch_labels="own"), label_smoothing=0.1)
    train(recipe, store, tmp_path / "run", manifest=own_labels(store, tmp_path), progress=silent)
    terms = pd.read_csv(tmp_path / "run" / "history.csv").iloc[0]
    total = sum(terms[f"train/{name}"] for name in ("face_clip", "body", "whole", "fused"))
    assert terms["train/total"] == pytest.approx(total, rel=1e-4)
    loaded = load_checkpoint(tmp_path / "run")
    assert loaded.heads == ("face", "body", "fused") and loaded.calibration.fusion is None


def test_without_such_labels_it_fails(store: Path, tmp_path: Path) -> None:
    recipe = hybrid_recipe(FusionConfig(kind="features", branch_labels="own"))
    with pytest.raises(TrainingError, match="has no column label_face or label_body: add them, or set it to"):
        train(recipe, store, tmp_path / "run", progress=silent)
    path = own_labels(store, tmp_path)
    path.write_text(path.read_text().replace("joy", "hapiness"))
    with pytest.raises(ValueError, match=r"s0/neutral_0\.mp4: label_face: .*hapiness"):
        train(recipe, store, tmp_path / "run", manifest=path, progress=silent)


def test_a_class_may_be_one_that_only_a_branch_shows(store: Path, tmp_path: Path) -> None:
    """Neutral of hierarchical training: nobody is neutral as a whole, but a face or a body is."""
    table = pd.read_csv(own_labels(store, tmp_path))
    table.loc[table["label"] == "neutral", "label"] = "anger"
    manifest = tmp_path / "never_neutral.csv"
    table.to_csv(manifest, index=False)
    own = hybrid_recipe(FusionConfig(kind="features", branch_labels="own"))
    check_data(prepare(own, store, manifest), own, str(store))
    with pytest.raises(TrainingError, match="the class 'neutral' has no training sample"):
        check_data(prepare(hybrid_recipe(), store, manifest), hybrid_recipe(), str(store))


def test_joints_of_another_layout_of_as_many_fail(store: Path) -> None:
    recipe = hybrid_recipe()
    body = BodyConfig(network="posture", layout="openpose25", num_joints=25, width=8)
    recipe = recipe.model_copy(update={"model": recipe.model.model_copy(update={"body": body})})
    prepared = prepare(recipe, store, None)
    kinect = replace(prepared, contract={**prepared.contract, "skeleton": "kinect25"})
    with pytest.raises(TrainingError, match="layout is openpose25, but the skeletons of it are kinect25"):
        check_data(kinect, recipe, "it")


def test_a_layout_that_is_not_the_store_s_fails(store: Path, tmp_path: Path) -> None:
    recipe = hybrid_recipe()
    body = BodyConfig(network="posture", layout="openpose18", num_joints=18, min_score=0.1, width=8)
    wrong = recipe.model_copy(update={"model": recipe.model.model_copy(update={"body": body})})
    with pytest.raises(TrainingError, match=r"num_joints is 18, but the skeletons of .* have 17"):
        train(wrong, store, tmp_path / "run", progress=silent)
