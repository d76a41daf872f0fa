"""A killed run goes on as if nothing had happened, from the middle of an epoch too; and what it refuses."""

from __future__ import annotations

import json
import multiprocessing
import os
import signal
from pathlib import Path
from typing import Any

import pytest
import torch
from training_store import make_training_store, small_recipe

from videofer.checkpoint import CheckpointError, load_checkpoint
from videofer.recipe import Recipe
from videofer.training import runner
from videofer.training.optimizer import learning_rate
from videofer.training.progress import Event, silent
from videofer.training.run import train
from videofer.training.split import TrainingError
from videofer.training.state import load_state

pytestmark = pytest.mark.usefixtures("one_thread")


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("resume") / "store"
    make_training_store(path)
    return path


def averaged() -> Recipe:
    """Everything that has a state: an average, momentum, sampling with repeats, a state after every step."""
    return small_recipe(
        epochs=3, samples_per_epoch=50, balanced_sampling=True, optimizer="sgd", nesterov=True, lr=0.02,
        ema_decay=0.9, checkpoint_minutes=0, warmup_epochs=1, augment={"erase": 0.5, "degrade": {}},
    )  # fmt: skip


def plain() -> Recipe:
    """States after whole epochs only."""
    return small_recipe(epochs=3)


def train_and_die(recipe: Recipe, store: Path, out: Path, at_epoch: float) -> None:
    """Trains until a moment of training (it has fractions), then is killed without warning."""
    torch.set_num_threads(1)

    def deadly_rate(settings: Any, epoch: float) -> float:
        if epoch >= at_epoch:
            os.kill(os.getpid(), signal.SIGKILL)
        return learning_rate(settings, epoch)

    runner.learning_rate = deadly_rate  # type: ignore[assignment]
    train(recipe, store, out, progress=silent)


@pytest.mark.parametrize(
    ("recipe", "going_on"),
    [(averaged(), "after 1 epochs and 4 batches"), (plain(), "after 1 epochs and 0 batches")],
    ids=["within an epoch", "after an epoch"],
)
def test_a_killed_run_goes_on_as_if_nothing_had_happened(
    recipe: Recipe, going_on: str, store: Path, tmp_path: Path
) -> None:
    whole, killed = tmp_path / "whole", tmp_path / "killed"
    train(recipe, store, whole, progress=silent)
    child = multiprocessing.get_context("spawn").Process(
        target=train_and_die, args=(recipe, store, killed, 1.5)
    )
    child.start()
    child.join()
    assert child.exitcode == -signal.SIGKILL
    with pytest.raises(CheckpointError, match="has not finished"):
        load_checkpoint(killed)
    with pytest.raises(TrainingError, match="holds a run already"):
        train(recipe, store, killed, progress=silent)

    events: list[Event] = []
    train(recipe, store, killed, resume=True, progress=events.append)
    assert [event.epoch for event in events if event.ends_epoch] == [1, 2]
    assert going_on in (killed / "train.log").read_text()
    for name in ("model.safetensors", "calibration.json", "recipe.yaml"):
        assert (killed / name).read_bytes() == (whole / name).read_bytes(), name
    figures = [json.loads((out / "metrics.json").read_text()) for out in (killed, whole)]
    assert figures[0]["validation"] == figures[1]["validation"]
    for epoch, (found, expected) in enumerate(zip(*(f["history"] for f in figures), strict=True)):
        for name in set(expected) - {"train/samples_per_second", "train/waiting_share"}:
            assert found[name] == expected[name], (epoch, name)
    starts = json.loads((killed / "environment.json").read_text())["starts"]
    assert len(starts) == 2 and starts[0]["versions"]["torch"] == torch.__version__


def test_a_run_killed_before_its_first_state_begins_anew(store: Path, tmp_path: Path) -> None:
    (tmp_path / "run" / "tensorboard").mkdir(parents=True)
    (tmp_path / "run" / "state").mkdir()
    (tmp_path / "run" / "train.log").write_text("process 0 of 1\n")
    assert train(small_recipe(epochs=1), store, tmp_path / "run", progress=silent).num_epochs == 1


def test_resume_refuses_another_recipe_and_changed_labels(store: Path, tmp_path: Path) -> None:
    out, recipe = tmp_path / "run", small_recipe(epochs=1)
    train(recipe, store, out, progress=silent)
    with pytest.raises(TrainingError, match=r"another recipe \('epochs: 1', now 'epochs: 2'\)"):
        train(small_recipe(epochs=2), store, out, resume=True, progress=silent)
    with pytest.raises(TrainingError, match=r"have changed"):
        load_state(out, recipe=recipe, fingerprint="other")
    weights = (out / "model.safetensors").read_bytes()
    (out / "model.safetensors").unlink()  # as if it had been killed after its last epoch
    assert train(recipe, store, out, resume=True, progress=silent).num_epochs == 1
    assert (out / "model.safetensors").read_bytes() == weights
    state = out / "state" / "last.pt"
    saved = torch.load(state, weights_only=True)
    torch.save({**saved, "version": 1}, state)
    with pytest.raises(TrainingError, match="is of version 1, this program writes 2"):
        train(recipe, store, out, resume=True, progress=silent)
    state.write_bytes(state.read_bytes()[:2000])
    with pytest.raises(TrainingError, match="cannot be read"):
        train(recipe, store, out, resume=True, progress=silent)
    state.unlink()
    with pytest.raises(TrainingError, match="finished run without its state"):
        train(recipe, store, out, resume=True, progress=silent)


def test_another_number_of_processes_may_go_on(store: Path, tmp_path: Path) -> None:
    out, recipe = tmp_path / "run", small_recipe(epochs=1)
    train(recipe, store, out, progress=silent)
    saved = torch.load(out / "state" / "last.pt", weights_only=True)
    torch.save({**saved, "num_processes": 4}, out / "state" / "last.pt")
    train(recipe, store, out, resume=True, progress=silent)
    assert "begun with 4 processes, now 1: equal up to rounding" in (out / "train.log").read_text()
