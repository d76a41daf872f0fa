"""The search: values are drawn evenly, judged on the validation subjects only, and mistakes are named."""

from __future__ import annotations

import io
import json
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import typer
from PIL import Image
from training_store import make_training_store, small_recipe

from cache.errors import UserError
from preprocessing.config_file import ConfigError, dump_yaml, validate
from videofer.cli.errors import SOME_FAILED, USAGE, one_line_errors
from videofer.cli.tune import tune as tune_command
from videofer.experiments.search import check_search, draw_trials, recipe_with
from videofer.experiments.trial import Follower, Trial, TrialEvent, best_trial, trial_line
from videofer.experiments.trials_chart import save_trials
from videofer.experiments.tune import TuneError, _make_recipes, tune
from videofer.recipe import Recipe, SearchRange, load_recipe
from videofer.training.progress import silent
from videofer.training.run import train
from videofer.training.split import TrainingError


def searching(search: dict[str, Any] | None, **training: Any) -> Recipe:
    values = small_recipe(**{"epochs": 3, "val_subjects": None, **training}).model_dump(mode="json")
    return validate(values | {"search": search}, Recipe, source="the test")


@pytest.mark.parametrize(
    ("search", "match"),
    [
        (None, r"no section 'search', for example search: \{training.lr: \{low: 0.0003"),
        ({}, "no section 'search'"),
        ({"lr": {"low": 1, "high": 2}}, "no key 'lr'; did you mean 'training.lr'"),
        ({"training.lrr": {"low": 1, "high": 2}}, "no key 'training.lrr'; did you mean 'training.lr'"),
        ({"model.face": {"values": [True]}}, "no key 'model.face'"),
        ({"training.seed": {"values": [0, 1]}}, "'training.seed' decides what is measured"),
        ({"training.batch_size": {"low": 4, "high": 9}}, "training.batch_size must be a valid integer"),
        ({"training.batch_size": {"low": 1.5, "high": 9, "integer": True}}, "but not from 1.5 to 9"),
        ({"training.lr": {"low": -1, "high": 9}}, "training.lr must be greater than 0, not -1"),
        ({"training.optimizer": {"values": ["sgd", "adamm"]}}, "did you mean 'adam"),
        ({"model.body.width": {"values": [8, 9]}}, "must be a multiple of se_reduction"),
    ],
)
def test_a_search_that_cannot_be_is_refused_in_one_line(search: dict[str, Any] | None, match: str) -> None:
    with pytest.raises(ConfigError, match=match) as caught:
        check_search(searching(search))
    assert "\n" not in str(caught.value)


def test_each_key_s_range_is_covered_evenly_and_the_first_trial_is_the_recipe() -> None:
    search = {
        "a": SearchRange(low=1e-4, high=1e-1, log=True),
        "b": SearchRange(low=2, high=5, integer=True),
        "c": SearchRange(values=["x", True, 0.5]),
    }
    drawn = draw_trials(search, 13, seed=0)
    assert drawn[0] == {} and len(drawn) == 13
    logs = np.sort(np.log10([values["a"] for values in drawn[1:]]))
    assert ((logs + 4) / 3 * 12 // 1 == np.arange(12)).all()  # one in each twelfth of the range
    assert np.bincount([values["b"] for values in drawn[1:]]).tolist() == [0, 0, 3, 3, 3, 3]
    assert all(type(values["b"]) is int for values in drawn[1:])
    assert [sum(v["c"] is c for v in drawn[1:]) for c in search["c"].values or []] == [4, 4, 4]
    assert drawn == draw_trials(search, 13, seed=0) != draw_trials(search, 13, seed=1)
    assert draw_trials(search, 1, seed=0) == [{}]


def test_values_that_contradict_each_other_fail_their_trial_only() -> None:
    recipe = searching({"data.num_clips": {"values": [2, 6]}, "data.clip_seconds": {"values": [0.1, 0.3]}})
    recipe = recipe_with(recipe, {"data.clip_seconds": 0.1}, source="the test")
    check_search(recipe)
    good, bad = Trial(1, {}), Trial(2, {"data.num_clips": 6, "data.clip_seconds": 0.3})
    assert list(_make_recipes(recipe, [good, bad])) == [1]
    assert bad.status == "failed" and "trial 2: data.num_clips=6, data.clip_seconds=0.3" in str(bad.reason)


def test_the_follower_keeps_each_epoch_once_and_knows_who_is_best() -> None:
    trials = [Trial(number, {"training.lr": number / 10}) for number in (1, 2, 3)]
    events: list[TrialEvent] = []
    follower = Follower(trials, "val_uar", events.append)

    def report(number: int, epoch: int, uar: float, completed: bool = False) -> None:
        figures = {"val_uar": uar, "val_war": uar, "val_loss": 1.0}
        follower.result(number, {"epoch": epoch, "completed": completed, "time_total_s": 2.0, **figures})

    for epoch, uar in enumerate((0.3, 0.6, 0.5)):
        report(1, epoch, uar, completed=epoch == 2)
    report(1, 2, 0.5, completed=True)
    follower.end(1)
    report(2, 0, 0.2)
    follower.end(2)
    follower.result(3, {"reason": "the loss is nan", "time_total_s": 1.0})
    follower.end(3)
    assert [trial.status for trial in trials] == ["finished", "stopped", "failed"]
    assert [len(trial.history) for trial in trials] == [3, 1, 0]
    assert trials[0].kept_epoch("val_uar") == 1 and best_trial(trials, "val_uar") is trials[0]
    assert best_trial(trials[2:], "val_uar") is None
    last = replace(trials[0], keep="last")
    assert last.kept_epoch("val_uar") == 2 and last.kept("val_uar")["val_uar"] == 0.5
    lines = [trial_line(event).split("  ")[:3] for event in events]
    assert lines[0] == ["1/3", "trial 1", "val_uar 0.600"]
    assert lines[2] == ["3/3", "trial 3", "FAILED: the loss is nan"]
    picture = io.BytesIO()
    search = {"training.lr": SearchRange(low=0.1, high=0.3, log=True), "x": SearchRange(values=["a", "b"])}
    save_trials(trials, search, {"training.lr": 0.2, "x": "c"}, "val_uar", picture, "small")
    with Image.open(picture) as image:
        assert min(image.size) > 300 and np.ptp(np.asarray(image)) > 100


@pytest.fixture(scope="module")
def ray_of_two() -> Iterator[None]:
    import ray

    ray.init(num_cpus=2, include_dashboard=False, log_to_driver=False, logging_level="ERROR")
    yield
    ray.shutdown()


def test_what_every_trial_would_fail_by_is_refused_before_anything_is_written(tmp_path: Path) -> None:
    store = make_training_store(tmp_path / "store")
    recipe = searching({"training.lr": {"values": [0.02, 0.1]}})
    classes = [*recipe.data.classes, "pride"]
    recipe = recipe.model_copy(update={"data": recipe.data.model_copy(update={"classes": classes})})
    with pytest.raises(TrainingError, match="the class 'pride' has no training sample"):
        tune(recipe, store.path, tmp_path / "out", trials=2)
    assert not (tmp_path / "out").exists()


@pytest.mark.ray
@pytest.mark.filterwarnings("ignore::DeprecationWarning:ray")  # Ray warns about its own context
@pytest.mark.filterwarnings("ignore::FutureWarning:ray")
@pytest.mark.usefixtures("ray_of_two")
def test_trials_side_by_side(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    """One of the drawn rates is hopeless. The first trial is what training alone gives, without test rows."""
    (tmp_path / "home").mkdir()
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    monkeypatch.setenv("MPLCONFIGDIR", str(tmp_path / "matplotlib"))  # where nothing has imported it yet
    store = make_training_store(tmp_path / "store")
    search = {
        "training.lr": {"values": [0.02, 1e18]},
        "model.fusion.modality_drop": {"low": 0.0, "high": 0.4},
    }
    recipe = searching(search, optimizer="sgd", grad_clip=None, inner_folds=2)
    (tmp_path / "recipe.yaml").write_text(dump_yaml(recipe))
    app = typer.Typer()
    app.command()(tune_command)

    arguments = [str(tmp_path / "recipe.yaml"), "--store", str(store.path), "--out", str(tmp_path / "out")]
    assert one_line_errors(app, [*arguments, "--trials", "3", "--workers", "2"]) == SOME_FAILED
    trials = pd.read_csv(tmp_path / "out" / "trials.csv")
    assert {path.name for path in (tmp_path / "out").iterdir()} == {"trials.csv", "best.yaml", "trials.png"}
    assert not list((tmp_path / "home").iterdir())
    assert list(trials["trial"]) == [1, 2, 3] and np.isnan(trials["training.lr"][0])
    (hopeless,) = trials.index[trials["training.lr"] > 1]
    assert trials["status"][hopeless] == "failed" and "the loss is" in trials["reason"][hopeless]
    ended = trials.drop(hopeless)
    assert set(ended["status"]) <= {"finished", "stopped"} and ended["val_uar"].between(0, 1).all()
    best = load_recipe(tmp_path / "out" / "best.yaml")
    assert best.search == recipe.search and best.training.inner_folds == 2
    row = ended.sort_values(["val_uar", "val_loss"], ascending=[False, True]).iloc[0]
    expected = recipe.model.fusion.modality_drop if row["trial"] == 1 else row["model.fusion.modality_drop"]  # type: ignore[union-attr]
    assert best.model.fusion.modality_drop == expected  # type: ignore[union-attr]
    output = capfd.readouterr()
    assert "Traceback" not in output.err + output.out and "Configuration for experiment" not in output.out
    assert "on the 1 validation subjects by whom it was chosen" in output.out
    assert output.err.count("left") == 3  # a line for each trial, and nothing else
    assert len(output.err.splitlines()) == 3

    table = store.manifest()
    assert table is not None
    table[table["split"] != "test"].to_csv(tmp_path / "no_test.csv", index=False)
    alone = tmp_path / "alone"
    train(recipe, store.path, alone, manifest=tmp_path / "no_test.csv", threads=1, progress=silent)
    history = json.loads((alone / "metrics.json").read_text())["history"]
    first = trials.iloc[0]
    figures = history[int(first["kept_epoch"]) - 1]
    assert first["val_loss"] == pytest.approx(figures["val/loss"], rel=1e-4)
    assert first["val_uar"] == pytest.approx(figures["val/uar"])


def test_what_cannot_be_searched(tmp_path: Path) -> None:
    store = make_training_store(tmp_path / "store").path
    recipe = searching({"training.lr": {"values": [0.02, 0.01]}})
    with pytest.raises(TuneError, match="at least 2 trials and 1 worker, not 1 and 1"):
        tune(recipe, store, tmp_path / "out", trials=1)
    with pytest.raises(TuneError, match="is not an empty folder"):
        tune(recipe, store, tmp_path, trials=2)
    with pytest.raises(UserError, match="no training subject 's9'"):
        tune(
            searching({"training.lr": {"values": [0.02]}}, val_subjects=["s9"]),
            store,
            tmp_path / "out",
            trials=2,
        )
    (tmp_path / "recipe.yaml").write_text(dump_yaml(small_recipe()))
    app = typer.Typer()
    app.command()(tune_command)
    arguments = [str(tmp_path / "recipe.yaml"), "--store", str(store), "--out", str(tmp_path / "out")]
    assert one_line_errors(app, [*arguments, "--trials", "2"]) == USAGE
    assert not (tmp_path / "out").exists()
