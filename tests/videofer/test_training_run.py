"""Training as a user meets it: it learns what is there and only that, and a killed run goes on."""

from __future__ import annotations

import json
import multiprocessing
import os
import signal
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from training_store import CLASSES, make_training_store, small_recipe

from videofer.checkpoint import CheckpointError, load_checkpoint
from videofer.evaluation.report import evaluate
from videofer.training import runner
from videofer.training.optimizer import amp_dtype, learning_rate
from videofer.training.progress import Event, silent
from videofer.training.run import train
from videofer.training.split import TrainingError
from videofer.training.state import load_state


@pytest.fixture(autouse=True)
def one_thread() -> Iterator[None]:
    """Networks this small are slowed down by threads, and by an order of magnitude where cores are shared."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("training") / "store"
    make_training_store(path)
    return path


def test_a_handful_is_learned_and_the_run_folder_is_whole(store: Path, tmp_path: Path) -> None:
    events: list[Event] = []
    report = train(small_recipe(epochs=10), store, tmp_path / "run", progress=events.append)
    assert report.val_metrics["fused"]["war"] == 1.0
    assert report.num_epochs == 10 and report.num_train == 18 and report.num_val == 6
    ends = [event for event in events if event.ends_epoch]
    assert [event.epoch for event in ends] == list(range(10))
    assert ends[-1].train_loss < 0.7 * ends[0].train_loss
    names = {path.name for path in (tmp_path / "run").iterdir()}
    files = "model.safetensors recipe.yaml contract.json labels.json calibration.json metrics.json README.md"
    assert names == {*files.split(), "state", "tensorboard"}
    assert "perceived" in (tmp_path / "run" / "README.md").read_text()

    found = evaluate(tmp_path / "run", store, tmp_path / "eval")
    assert found.split == "test" and found.metrics["fused"].war == 1.0
    assert list(found.metrics) == ["face", "body", "fused"]


@pytest.mark.parametrize("part", ["face", "body"])
def test_a_model_of_one_modality(store: Path, tmp_path: Path, part: str) -> None:
    recipe = small_recipe(epochs=8)
    sections = {"face": None, "body": None, "fusion": None, part: getattr(recipe.model, part)}
    recipe = recipe.model_copy(update={"model": recipe.model.model_copy(update=sections)})
    report = train(recipe, store, tmp_path / "run", progress=silent)
    assert set(report.val_metrics) == {part}
    loaded = load_checkpoint(tmp_path / "run")
    batch = {
        "frames": torch.zeros(2, 2, 3, 2, 33, 33, dtype=torch.uint8),
        "clip_mask": torch.tensor([[True, True], [False, False]]),
        "keypoints": torch.rand(2, 16, 17, 3) * 100,
        "body_mask": torch.tensor([True, False]),
    }
    probs = loaded.predict(batch)
    torch.testing.assert_close(probs["fused"][0], probs[part][0])
    torch.testing.assert_close(probs["fused"][1], torch.full((3,), 1 / 3))


def test_faces_that_are_nowhere_are_masked(tmp_path: Path) -> None:
    make_training_store(tmp_path / "store", faceless=True)
    report = train(small_recipe(epochs=6), tmp_path / "store", tmp_path / "run", progress=silent)
    assert report.val_metrics["face"]["num_samples"] == 0
    assert report.calibration["fusion_weights"] is None
    assert report.val_metrics["fused"]["num_samples"] == 6


def test_shuffled_labels_end_at_chance(tmp_path: Path) -> None:
    figures = {}
    for shuffled in (False, True):
        path = tmp_path / str(shuffled)
        make_training_store(path / "store", num_subjects=9, num_test=4, takes=4, shuffled=shuffled)
        train(small_recipe(epochs=6), path / "store", path / "run", progress=silent)
        figures[shuffled] = evaluate(path / "run", path / "store", path / "eval").metrics["fused"].uar
    assert figures[False] > 0.9
    assert figures[True] < 1 / len(CLASSES) + 0.2  # 48 samples: three standard errors


def _train_and_die(store: Path, out: Path, at_epoch: float) -> None:
    """Trains until a moment of training (it has fractions), then is killed without warning."""
    torch.set_num_threads(1)

    def deadly_rate(recipe: Any, epoch: float) -> float:
        if epoch >= at_epoch:
            os.kill(os.getpid(), signal.SIGKILL)
        return learning_rate(recipe, epoch)

    runner.learning_rate = deadly_rate  # type: ignore[assignment]
    train(small_recipe(epochs=4), store, out, progress=silent)


def test_a_killed_run_goes_on_as_if_nothing_had_happened(store: Path, tmp_path: Path) -> None:
    whole, killed = tmp_path / "whole", tmp_path / "killed"
    train(small_recipe(epochs=4), store, whole, progress=silent)
    child = multiprocessing.get_context("spawn").Process(target=_train_and_die, args=(store, killed, 2.4))
    child.start()
    child.join()
    assert child.exitcode == -signal.SIGKILL
    with pytest.raises(CheckpointError, match="has not finished"):
        load_checkpoint(killed)
    with pytest.raises(TrainingError, match="holds a run already"):
        train(small_recipe(epochs=4), store, killed, progress=silent)

    events: list[Event] = []
    train(small_recipe(epochs=4), store, killed, resume=True, progress=events.append)
    assert [event.epoch for event in events if event.ends_epoch] == [2, 3]
    for name in ("model.safetensors", "calibration.json", "recipe.yaml"):
        assert (killed / name).read_bytes() == (whole / name).read_bytes(), name
    figures = [json.loads((out / "metrics.json").read_text())["validation"] for out in (killed, whole)]
    assert figures[0] == figures[1]


def test_a_run_killed_in_its_first_epoch_begins_anew(store: Path, tmp_path: Path) -> None:
    (tmp_path / "run" / "tensorboard").mkdir(parents=True)
    (tmp_path / "run" / "state").mkdir()
    assert train(small_recipe(epochs=1), store, tmp_path / "run", progress=silent).num_epochs == 1


def test_resume_refuses_another_recipe_and_changed_labels(store: Path, tmp_path: Path) -> None:
    out = tmp_path / "run"
    train(small_recipe(epochs=1), store, out, progress=silent)
    with pytest.raises(TrainingError, match=r"another recipe \('epochs: 1', now 'epochs: 2'\)"):
        train(small_recipe(epochs=2), store, out, resume=True, progress=silent)
    with pytest.raises(TrainingError, match=r"have changed"):
        load_state(out, recipe=small_recipe(epochs=1), fingerprint="other", num_processes=1)
    assert train(small_recipe(epochs=1), store, out, resume=True, progress=silent).num_epochs == 1
    state = out / "state" / "last.pt"
    state.write_bytes(state.read_bytes()[:2000])
    with pytest.raises(TrainingError, match="cannot be read"):
        train(small_recipe(epochs=1), store, out, resume=True, progress=silent)


def test_a_folder_with_other_things_is_left_alone(store: Path, tmp_path: Path) -> None:
    (tmp_path / "thesis.txt").write_text("mine")
    with pytest.raises(TrainingError, match=r"holds 'thesis\.txt'"):
        train(small_recipe(), store, tmp_path, progress=silent)
    with pytest.raises(TrainingError, match="is a file"):
        train(small_recipe(), store, tmp_path / "thesis.txt", progress=silent)


def test_a_loss_that_is_no_number_stops_the_run(store: Path, tmp_path: Path) -> None:
    recipe = small_recipe(epochs=5, lr=1e18, grad_clip=None, optimizer="sgd")
    with pytest.raises(TrainingError, match=r"the loss is (nan|inf).*lower training\.lr"):
        train(recipe, store, tmp_path / "run", progress=silent)


def test_early_stopping(store: Path, tmp_path: Path) -> None:
    recipe = small_recipe(epochs=30, patience=2, lr=1e-12, augment={"flip": 0.0})
    report = train(recipe, store, tmp_path / "run", progress=silent)
    assert report.num_epochs < 30
    assert report.num_epochs - report.best_epoch == 2


def test_more_samples_than_intervals_are_other_windows(store: Path, tmp_path: Path) -> None:
    events: list[Event] = []
    recipe = small_recipe(epochs=1, samples_per_epoch=40, class_weights="balanced", balanced_sampling=True)
    train(recipe, store, tmp_path / "run", progress=events.append)
    assert events[-1].samples_in_epoch == 40
    train(small_recipe(epochs=1), store, tmp_path / "filled_up", progress=events.append)
    assert events[-1].samples_in_epoch == 24  # 18 intervals in whole batches of 8


def test_learning_rate() -> None:
    recipe = small_recipe(epochs=10, lr=1.0, warmup_epochs=2).training
    rates = [learning_rate(recipe, epoch) for epoch in np.linspace(0, 10, 101)]
    assert rates[0] < 1e-3 and np.isclose(max(rates), 1.0) and rates[-1] < 1e-6
    assert np.all(np.diff(rates[20:]) <= 0)
    step = small_recipe(epochs=10, lr=1.0, schedule="step", step_epochs=4, step_gamma=0.5).training
    assert [learning_rate(step, epoch) for epoch in (0, 3.9, 4, 8)] == [1, 1, 0.5, 0.25]
    assert learning_rate(small_recipe(lr=0.3, schedule="constant").training, 99) == 0.3


def test_half_precision_needs_a_gpu() -> None:
    cpu = torch.device("cpu")
    assert amp_dtype(small_recipe().training, cpu) is None
    assert amp_dtype(small_recipe(amp="bf16").training, cpu) == torch.bfloat16
    with pytest.raises(TrainingError, match="needs a GPU"):
        amp_dtype(small_recipe(amp="fp16").training, cpu)


@pytest.mark.ray
@pytest.mark.filterwarnings("ignore::DeprecationWarning:ray")  # Ray warns about its own context
@pytest.mark.filterwarnings("ignore::FutureWarning:ray")
def test_two_workers_train_one_model(store: Path, tmp_path: Path) -> None:
    events: list[Event] = []
    recipe = small_recipe(epochs=8, batch_size=4)
    report = train(recipe, store, tmp_path / "run", workers=2, progress=events.append)
    assert report.val_metrics["fused"]["war"] == 1.0
    assert [event.epoch for event in events if event.ends_epoch] == list(range(8))
    assert not (tmp_path / "run" / "state" / "ray").exists()
    assert load_checkpoint(tmp_path / "run").used["subjects"]["val"] == ["s3"]
    with pytest.raises(TrainingError, match="with 2 workers, not 1"):
        train(recipe, store, tmp_path / "run", resume=True, progress=silent)
    bad = small_recipe(epochs=5, lr=1e18, grad_clip=None, optimizer="sgd")
    with pytest.raises(TrainingError, match=r"the loss is"):
        train(bad, store, tmp_path / "bad", workers=2, progress=silent)
