"""Training through Ray Train: the same run as in one process, and what happens when a worker is killed."""

from __future__ import annotations

import json
import os
import re
import signal
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
import ray
import torch
from safetensors.numpy import load_file
from training_store import make_training_store, small_recipe

from cache.errors import UserError
from videofer.checkpoint import load_checkpoint
from videofer.recipe import Recipe
from videofer.training.progress import Event, silent
from videofer.training.run import TrainReport, train
from videofer.training.split import TrainingError

pytestmark = [
    pytest.mark.ray,
    pytest.mark.filterwarnings("ignore::DeprecationWarning:ray"),  # Ray warns about its own context
    pytest.mark.filterwarnings("ignore::FutureWarning:ray"),
]


@pytest.fixture(scope="module", autouse=True)
def two_cores() -> Iterator[None]:
    """A Ray for all tests here, and one thread in this process as in its workers."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    environment = {"env_vars": {"OMP_WAIT_POLICY": "PASSIVE"}}
    ray.init(num_cpus=2, include_dashboard=False, log_to_driver=False, runtime_env=environment)
    yield
    ray.shutdown()
    torch.set_num_threads(threads)


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("ray") / "store"
    make_training_store(path)
    return path


def recipe() -> Recipe:
    """Epochs of 25 batches, each followed by a state; a rate at which rounding stays rounding."""
    return small_recipe(
        epochs=2, samples_per_epoch=122, batch_size=5, optimizer="sgd", lr=2e-5, checkpoint_minutes=0,
        ema_decay=0.9,
    )  # fmt: skip


@pytest.fixture(scope="module")
def undisturbed(store: Path, tmp_path_factory: pytest.TempPathFactory) -> tuple[TrainReport, list[Event]]:
    """A run of two workers."""
    events: list[Event] = []
    out = tmp_path_factory.mktemp("undisturbed") / "run"
    return train(recipe(), store, out, workers=2, threads=1, progress=events.append), events


def history(out: Path) -> dict[str, np.ndarray]:
    """The figures of each epoch, but those that depend on the clock."""
    epochs = json.loads((out / "metrics.json").read_text())["history"]
    names = [name for name in epochs[0] if "seconds" not in name and "per_second" not in name]
    return {n: np.array([figures[n] for figures in epochs]) for n in names if n != "train/waiting_share"}


def test_two_workers_train_the_model_of_one_process(
    store: Path, undisturbed: tuple[TrainReport, list[Event]], tmp_path: Path
) -> None:
    report, events = undisturbed
    train(recipe(), store, tmp_path / "alone", threads=1, progress=silent)
    alone, together = history(tmp_path / "alone"), history(report.path)
    assert list(alone) == list(together)
    for name, values in alone.items():
        tolerance = 1e-2 if name == "train/gradient_norm" else 1e-4
        np.testing.assert_allclose(together[name], values, rtol=0, atol=tolerance, err_msg=name)
    assert [event.epoch for event in events if event.ends_epoch] == [0, 1]
    assert not (report.path / "state" / "ray").exists()
    assert "process 1 of 2" in (report.path / "state" / "rank_1.log").read_text()
    assert load_checkpoint(report.path).used["subjects"]["val"] == ["s3"]
    starts = json.loads((report.path / "environment.json").read_text())["starts"]
    assert [start["processes"] for start in starts] == [2]


def kill_worker(out: Path, killed: list[int]) -> None:
    """Waits until the first epoch is on its way, then kills the second worker without warning."""
    log, state = out / "state" / "rank_1.log", out / "state" / "last.pt"
    deadline = time.monotonic() + 100
    while time.monotonic() < deadline:
        if state.exists() and torch.load(state, weights_only=True)["batch"] >= 3:
            pid = int(re.findall(r"pid (\d+)", log.read_text())[-1])
            os.kill(pid, signal.SIGKILL)
            killed.append(pid)
            return
        time.sleep(0.02)


def test_a_killed_worker_changes_nothing(
    store: Path, undisturbed: tuple[TrainReport, list[Event]], tmp_path: Path
) -> None:
    out, killed = tmp_path / "run", []
    killer = threading.Thread(target=kill_worker, args=(out, killed))
    killer.start()
    train(recipe(), store, out, workers=2, threads=1, progress=silent)
    killer.join()
    assert len(killed) == 1
    log = (out / "train.log").read_text()
    assert re.search(r"going on after 0 epochs and [1-9][0-9]? batches", log)
    weights, expected = (load_file(run / "model.safetensors") for run in (out, undisturbed[0].path))
    for name, value in expected.items():
        np.testing.assert_array_equal(weights[name], value, err_msg=name)
    for name, values in history(undisturbed[0].path).items():
        np.testing.assert_array_equal(history(out)[name], values, err_msg=name)
    assert (out / "calibration.json").read_bytes() == (undisturbed[0].path / "calibration.json").read_bytes()


def test_an_error_of_all_workers_is_told_once(store: Path, tmp_path: Path) -> None:
    bad = small_recipe(epochs=5, lr=1e18, grad_clip=None, optimizer="sgd")
    with pytest.raises(TrainingError, match=r"^the loss is (nan|inf) in epoch 1, batch \d"):
        train(bad, store, tmp_path / "bad", workers=2, threads=1, progress=silent)
    assert (tmp_path / "bad" / "train.log").read_text().count("process 0 of 2") == 1
    assert not (tmp_path / "bad" / "state" / "refusal.json").exists()


def test_more_workers_than_cores_and_a_cluster_that_is_not_there(store: Path, tmp_path: Path) -> None:
    with pytest.raises(TrainingError, match=r"^3 workers need a core each, Ray has 2 here$"):
        train(recipe(), store, tmp_path / "run", workers=3, progress=silent)
    ray.shutdown()
    with pytest.raises(UserError, match=r"^no Ray cluster answers at 127\.0\.0\.1:1: "):
        train(recipe(), store, tmp_path / "run", ray_address="127.0.0.1:1", progress=silent)
