"""What a run writes beside its model: log, history, curves, environment, figures for trackers."""

from __future__ import annotations

import csv
import json
import logging
import sys
import types
from pathlib import Path
from typing import Any

import pytest
import torch
from PIL import Image
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator
from training_store import small_recipe

from videofer.training.curves import save_curves, save_history
from videofer.training.environment import code_commit, device_name, record_environment
from videofer.training.log import LOGGER, log_path, log_to_console, log_to_file, repeat
from videofer.training.place import Place
from videofer.training.split import TrainingError
from videofer.training.trackers import Trackers, check_wandb

CPU = torch.device("cpu")


def history(num_epochs: int, *terms: str) -> list[dict[str, float]]:
    return [
        {
            **{f"train/{term}": 1.5 / (epoch + 1) for term in terms},
            "train/total": len(terms) * 1.5 / (epoch + 1),
            "train/gradient_norm": 2.0,
            "train/lr": 0.001,
            "train/samples_per_second": 100.0,
            "train/waiting_share": 0.1,
            "val/loss": 1.0 if epoch else 30.0,
            "val/war": 0.5,
            "val/uar": 0.02 * epoch,
        }
        for epoch in range(num_epochs)
    ]


@pytest.mark.parametrize(
    ("num_epochs", "terms"), [(1, ("body",)), (40, ("face_clip", "face_weights", "body", "fused"))]
)
def test_history_and_curves(num_epochs: int, terms: tuple[str, ...], tmp_path: Path) -> None:
    epochs = history(num_epochs, *terms)
    save_history(tmp_path, epochs)
    with (tmp_path / "history.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    assert [int(row["epoch"]) for row in rows] == list(range(1, num_epochs + 1))
    assert [{k: float(v) for k, v in row.items() if k != "epoch"} for row in rows] == epochs
    save_curves(tmp_path, epochs, num_epochs - 1, title="a run", chance=0.14)
    with Image.open(tmp_path / "curves.png") as picture:
        assert picture.size == (1920, 1080)
        colours = {colour for _, colour in picture.convert("RGB").getcolors(maxcolors=1 << 20) or []}
    assert {
        (0xD1, 0x49, 0x5B),
        (0xE0, 0x8E, 0x0B),
        (0x2F, 0x66, 0x90),
    } <= colours  # best, validation, training


def test_environment_has_an_entry_for_each_start(tmp_path: Path) -> None:
    for processes in (1, 2):
        record_environment(tmp_path, Place(num_processes=processes, device=CPU), ["videofer", "train"], 3)
    first, second = json.loads((tmp_path / "environment.json").read_text())["starts"]
    assert first["command"] == ["videofer", "train"] and first["threads"] == 3
    assert first["versions"]["torch"] == torch.__version__ and first["cores"] >= 1
    assert first["device"] == device_name(CPU) != ""
    assert (first["processes"], second["processes"]) == (1, 2)
    assert first["commit"] == code_commit()
    assert first["commit"] is None or len(first["commit"]["id"]) == 40


def test_each_process_has_its_log_and_the_console_shows_the_first_ones(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for rank in (0, 1):
        place = Place(rank=rank, num_processes=2, device=CPU)
        with pytest.raises(TrainingError), log_to_file(tmp_path, place):
            LOGGER.info(f"said by {rank}")
            LOGGER.debug("for the file only")
            raise TrainingError("no way")
    first, second = log_path(tmp_path, 0).read_text(), log_path(tmp_path, 1).read_text()
    assert "INFO said by 0\n" in first and "said by 1" not in first
    assert "INFO said by 1\n" in second and second.endswith("ended by TrainingError: no way\n")
    assert LOGGER.handlers == [] and LOGGER.level == logging.NOTSET
    with log_to_console():
        for line in first.splitlines():
            repeat(line)
        repeat("Traceback (most recent call last):")
    assert capsys.readouterr().err == "said by 0\n"


def test_tensorboard_forgets_what_a_killed_run_wrote_of_later_epochs(tmp_path: Path) -> None:
    before = Trackers(tmp_path, small_recipe(), 0, None)
    for epoch in (1, 2, 3):
        before.log({"val/uar": epoch / 10}, epoch)
    before.close()
    after = Trackers(tmp_path, small_recipe(), 1, None)  # only the first epoch was saved
    after.log({"val/uar": 0.7}, 2)
    after.close()
    events = EventAccumulator(str(tmp_path / "tensorboard"))
    events.Reload()
    found = [(event.step, round(event.value, 3)) for event in events.Scalars("val/uar")]
    assert found == [(1, 0.1), (2, 0.7)]


class FakeWandb(types.ModuleType):
    """Of Weights & Biases what is used here; it stands for a library that is not installed."""

    class Error(Exception):
        """Their base class."""

    def __init__(self) -> None:
        super().__init__("wandb")
        self.inits: list[dict[str, Any]] = []
        self.logged: list[tuple[dict[str, float], int]] = []

    def init(self, **options: Any) -> FakeWandb:
        self.inits.append(options)
        return self

    def log(self, figures: dict[str, float], step: int) -> None:
        self.logged.append((figures, step))

    def finish(self) -> None:
        self.logged.append(({}, -1))


def test_wandb_gets_the_figures_and_a_resumed_run_is_the_same_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    fake = FakeWandb()
    monkeypatch.setitem(sys.modules, "wandb", fake)
    for epoch in (1, 2):
        trackers = Trackers(tmp_path, small_recipe(), epoch - 1, "faces")
        trackers.log({"val/uar": 0.5}, epoch)
        trackers.close()
    assert fake.logged == [({"val/uar": 0.5}, 1), ({}, -1), ({"val/uar": 0.5}, 2), ({}, -1)]
    first, second = fake.inits
    assert first == second and first["project"] == "faces" and first["mode"] == "offline"
    assert first["config"]["training"]["batch_size"] == 8

    def refuse(**options: Any) -> FakeWandb:
        raise FakeWandb.Error("No API key\nconfigured.")

    monkeypatch.setattr(fake, "init", refuse)
    with pytest.raises(TrainingError, match=r"^wandb: No API key configured\. \(or set WANDB_MODE"):
        Trackers(tmp_path, small_recipe(), 0, "faces")


def test_wandb_that_is_not_there(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    check_wandb(None)
    with pytest.raises(TrainingError, match=r"^to send figures to the project 'faces', .*pip install wandb$"):
        check_wandb("faces")
