"""An ensemble as a user trains it: member by member, resumable, and a model like any other in the end."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import torch
from ensemble_helpers import face_recipe, write_recipes
from training_store import CLASSES, make_training_store, small_recipe

from videofer.checkpoint import CheckpointError, load_checkpoint
from videofer.cli import app
from videofer.cli.errors import DONE, USAGE, one_line_errors
from videofer.ensembles.model import load_ensemble
from videofer.ensembles.recipe import Ensemble, load_ensemble_recipe
from videofer.evaluation.report import evaluate
from videofer.evaluation.table import EvaluationError
from videofer.recipe import Recipe
from videofer.training.ensemble import train_ensemble
from videofer.training.progress import Event, silent
from videofer.training.run import train
from videofer.training.split import TrainingError

pytestmark = pytest.mark.usefixtures("one_thread")

VAL = ["s3", "s4", "s5"]
"""Several, so that a blend has folds."""


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("ensemble") / "store"
    make_training_store(path, num_subjects=8, num_test=2)
    return path


def recipes(**training: Any) -> dict[str, Recipe]:
    settings: dict[str, Any] = {"epochs": 2, "val_subjects": VAL, **training}
    return {"narrow": face_recipe(4, **settings), "wide": face_recipe(6, **settings)}


def ensemble_of(folder: Path, combine: str = "mean", **training: Any) -> Ensemble:
    return load_ensemble_recipe(write_recipes(folder, recipes(**training), combine))


@pytest.fixture(scope="module")
def trained(store: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the finished ensemble "linear" and the recipes."""
    path = tmp_path_factory.mktemp("trained")
    torch.set_num_threads(1)
    train_ensemble(ensemble_of(path, "linear", epochs=6), store, path / "out", progress=silent)
    return path


def test_members_are_trained_and_the_folder_is_a_model(store: Path, tmp_path: Path) -> None:
    events: list[Event] = []
    report = train_ensemble(ensemble_of(tmp_path, epochs=6), store, tmp_path / "out", progress=events.append)
    assert list(report.members) == ["narrow", "wide"] and report.num_train == 18 and report.num_val == 18
    assert {event.part for event in events} == {"member 1 of 2, narrow", "member 2 of 2, wide"}
    files = (
        "README.md calibration.json contract.json ensemble.json labels.json members metrics.json recipe.yaml"
    )
    names = {path.name for path in (tmp_path / "out").iterdir()}
    assert names == {*files.split(), "reliability.png", "trained_on.json"}
    card = (tmp_path / "out" / "README.md").read_text()
    assert "perceived" in card and "the mean of their calibrated probabilities" in card
    assert "| wide | width_6 |" in card and "{" not in card

    found = evaluate(tmp_path / "out", store, tmp_path / "eval")
    assert found.split == "test" and list(found.metrics) == ["face"]
    alone = [
        evaluate(tmp_path / "out" / "members" / name, store, tmp_path / name).predictions
        for name in report.members
    ]
    columns = [f"face_raw_p_{name}" for name in CLASSES]  # before the ensemble's own temperature
    probs = np.mean([one[[f"face_p_{name}" for name in CLASSES]].to_numpy() for one in alone], axis=0)
    np.testing.assert_allclose(found.predictions[columns].to_numpy(), probs, atol=2e-3)


def test_figures_are_those_of_the_validation_split(store: Path, trained: Path, tmp_path: Path) -> None:
    out = trained / "out"
    metrics = json.loads((out / "metrics.json").read_text())
    for name, member in metrics["members"].items():
        own = json.loads((out / "members" / name / "metrics.json").read_text())
        assert member["war"] == pytest.approx(own["validation"]["face"]["war"])
        assert member["nll"] == pytest.approx(own["validation"]["face"]["nll"], abs=1e-6)
    assert metrics["used"] == own["used"] and metrics["num_val"] == 18
    calibration = json.loads((out / "calibration.json").read_text())
    assert calibration["cross_fitted"] and "each fitted without the fold" in calibration["fitted_on"]["note"]
    seen = evaluate(out, store, tmp_path / "val", split="val")  # by the blend of all folds
    assert seen.metrics["face"].num_samples == metrics["validation"]["face"]["num_samples"] == 18
    page = (tmp_path / "val" / "report.html").read_text()
    assert "The layer that combines the members was chosen on these subjects" in page
    with pytest.raises(EvaluationError, match="was trained or validated with"):
        evaluate(out, store, tmp_path / "all", split="all")


def test_a_single_group_cannot_be_divided(store: Path, tmp_path: Path) -> None:
    ensemble = ensemble_of(tmp_path, "linear", val_subjects=["s3"], epochs=1)
    train_ensemble(ensemble, store, tmp_path / "out", progress=silent)
    calibration = json.loads((tmp_path / "out" / "calibration.json").read_text())
    assert not calibration["cross_fitted"] and "optimistic" in calibration["fitted_on"]["note"]


@pytest.mark.parametrize(
    ("keep", "said"),
    [("best", "The members' epochs were chosen"), ("last", "The members were calibrated")],
)
def test_the_card_says_what_the_validation_split_decided(
    store: Path, tmp_path: Path, keep: str, said: str
) -> None:
    train_ensemble(ensemble_of(tmp_path, keep=keep, epochs=1), store, tmp_path / "out", progress=silent)
    assert said in " ".join((tmp_path / "out" / "README.md").read_text().split())


def test_finished_members_are_kept_on_a_resume(store: Path, trained: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    shutil.copytree(trained / "out", out)
    (out / "ensemble.json").unlink()
    shutil.rmtree(out / "members" / "wide")
    with pytest.raises(CheckpointError, match="its training has not finished"):
        evaluate(out, store, tmp_path / "eval")
    ensemble = load_ensemble_recipe(trained / "ensemble.yaml")
    with pytest.raises(TrainingError, match="holds an ensemble already: go on with it by --resume"):
        train_ensemble(ensemble, store, out, progress=silent)
    events: list[Event] = []
    train_ensemble(ensemble, store, out, resume=True, progress=events.append)
    assert {event.part for event in events} == {"member 2 of 2, wide"}
    model = load_ensemble(out)
    assert model.weights_sha256 == load_ensemble(trained / "out").weights_sha256  # as if nothing had happened


def test_an_interrupted_member_goes_on(store: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    ensemble, out = ensemble_of(tmp_path, epochs=3), tmp_path / "out"

    def stop(event: Event) -> None:
        if event.part.startswith("member 2") and event.epoch == 1:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        train_ensemble(ensemble, store, out, progress=stop)
    events: list[Event] = []
    train_ensemble(ensemble, store, out, resume=True, progress=events.append)
    assert [(event.part, event.epoch) for event in events if event.ends_epoch] == [("member 2 of 2, wide", 2)]


def test_what_was_trained_otherwise_is_not_kept(store: Path, trained: Path, tmp_path: Path) -> None:
    shutil.copytree(trained / "out", tmp_path / "out")
    longer = load_ensemble_recipe(trained / "ensemble.yaml", ["training.epochs=9"])
    with pytest.raises(TrainingError, match="narrow was trained with another recipe: begin a new ensemble"):
        train_ensemble(longer, store, tmp_path / "out", resume=True, progress=silent)


def test_a_run_that_exists_takes_a_member_s_place(store: Path, trained: Path, tmp_path: Path) -> None:
    run = trained / "out" / "members" / "narrow"
    ensemble = ensemble_of(tmp_path, epochs=1)  # the run has had six
    out = tmp_path / "out"
    report = train_ensemble(ensemble, store, out, given={"narrow": run}, progress=silent)
    assert report.members["narrow"]["num_epochs"] == 6 and report.members["wide"]["num_epochs"] == 1
    copy = out / "members" / "narrow"
    assert load_checkpoint(copy).weights_sha256 == load_checkpoint(run).weights_sha256
    assert (
        json.loads((copy / "given.json").read_text()) == {"run": str(run)} and not (copy / "state").exists()
    )
    for given in ({}, {"narrow": run}):  # it needs not be named again
        again = train_ensemble(ensemble, store, out, given=given, resume=True, progress=silent)
        assert again.members == report.members
    with pytest.raises(TrainingError, match="narrow holds another run than"):
        other = tmp_path / "other"
        train(ensemble.members["narrow"], store, other, progress=silent)
        train_ensemble(ensemble, store, out, given={"narrow": other}, resume=True, progress=silent)


def test_runs_that_cannot_be_a_member_are_refused(store: Path, trained: Path, tmp_path: Path) -> None:
    ensemble = ensemble_of(tmp_path)
    runs = trained / "out" / "members"

    def refuse(given: dict[str, Path], message: str) -> None:
        with pytest.raises((TrainingError, CheckpointError), match=message) as caught:
            train_ensemble(ensemble, store, tmp_path / "out", given=given, progress=silent)
        assert "\n" not in str(caught.value) and not (tmp_path / "out").exists()

    refuse({"wide": runs / "narrow"}, "cannot be the member wide: its model is that of the recipe 'width_4'")
    refuse({"wid": runs / "wide"}, r"has no member 'wid'; did you mean 'wide'\? \(its: narrow, wide\)")
    refuse({"wide": tmp_path / "nothing"}, "no model at")
    ensemble = ensemble_of(tmp_path, val_subjects=["s0"])
    refuse(
        {"wide": runs / "wide"}, "was trained on 6 videos of the validation split, on which the ensemble is"
    )


def test_other_videos_of_validation_subjects_are_refused_too(store: Path, tmp_path: Path) -> None:
    """A run of another store knows its people as well."""
    make_training_store(tmp_path / "other", num_subjects=5)
    names = {"s0": "s3", "s1": "s6", "s2": "s7", "s3": "s0", "s4": "s1"}
    table = pd.read_parquet(tmp_path / "other" / "manifest.parquet")
    table.assign(subject=table["subject"].map(names)).to_parquet(tmp_path / "other" / "manifest.parquet")
    recipe = recipes(val_subjects=["s0"], epochs=1)["wide"]
    train(recipe, tmp_path / "other", tmp_path / "run", progress=silent)
    with pytest.raises(TrainingError, match="member wide: it was trained on 1 subjects of the validation"):
        train_ensemble(
            ensemble_of(tmp_path), store, tmp_path / "out", given={"wide": tmp_path / "run"}, progress=silent
        )


def test_a_member_that_began_with_a_trunk_is_kept_on_a_resume(store: Path, tmp_path: Path) -> None:
    """It counts who taught the trunk among its own, and is still the member of this division."""
    first = recipes(val_subjects=[*VAL, "s2"], epochs=1)["narrow"]
    train(first, store, tmp_path / "run", progress=silent)
    ensemble = load_ensemble_recipe(
        write_recipes(
            tmp_path, {"narrow": recipes(epochs=1, init_from=str(tmp_path / "run"))["narrow"],
                       "other": recipes(epochs=1)["narrow"]},
        )
    )  # fmt: skip
    train_ensemble(ensemble, store, tmp_path / "out", progress=silent)
    events: list[Event] = []
    train_ensemble(ensemble, store, tmp_path / "out", resume=True, progress=events.append)
    assert not events


def test_members_of_several_seeds_share_one_division(store: Path, tmp_path: Path) -> None:
    entries = ["narrow.yaml", {"recipe": "narrow.yaml", "seed": 1}, {"recipe": "narrow.yaml", "seed": 2}]
    path = write_recipes(tmp_path, recipes(val_subjects=None, epochs=1), "linear", entries)
    train_ensemble(load_ensemble_recipe(path), store, tmp_path / "out", progress=silent)
    used = json.loads((tmp_path / "out" / "metrics.json").read_text())["used"]["subjects"]
    for name in ("narrow", "narrow_seed1", "narrow_seed2"):
        member = load_checkpoint(tmp_path / "out" / "members" / name)
        assert member.used["subjects"] == used, name
    assert not set(used["train"]) & set(used["val"])


def test_one_sees_what_any_member_has_seen(store: Path, tmp_path: Path) -> None:
    recipe = recipes(val_subjects=[*VAL, "s2"])["wide"]  # was trained on fewer people
    train(recipe, store, tmp_path / "run", progress=silent)
    out = tmp_path / "out"
    train_ensemble(ensemble_of(tmp_path), store, out, given={"wide": tmp_path / "run"}, progress=silent)
    used = json.loads((out / "metrics.json").read_text())["used"]["subjects"]
    assert used == {"train": ["s0", "s1", "s2"], "val": VAL}


def test_a_dry_run_writes_nothing(store: Path, tmp_path: Path) -> None:
    report = train_ensemble(ensemble_of(tmp_path), store, tmp_path / "out", dry_run=True, progress=silent)
    assert any(line.startswith("narrow: training: 18 intervals") for line in report.tried)
    assert any(line.startswith("wide: ") for line in report.tried) and not (tmp_path / "out").exists()


def test_other_people_s_folders_are_left_alone(store: Path, tmp_path: Path) -> None:
    (tmp_path / "thesis.txt").write_text("mine")
    with pytest.raises(TrainingError, match="neither empty nor an ensemble: it holds"):
        train_ensemble(ensemble_of(tmp_path), store, tmp_path, resume=True, progress=silent)
    with pytest.raises(TrainingError, match="is a file"):
        train_ensemble(ensemble_of(tmp_path), store, tmp_path / "thesis.txt", progress=silent)


def test_the_command(store: Path, trained: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path, out = write_recipes(tmp_path, recipes()), tmp_path / "out"
    given = ["--member", f"narrow={trained / 'out' / 'members' / 'narrow'}", "--member"]
    arguments = ["train", str(path), "--store", str(store), "--out", str(out)]
    wide = trained / "out" / "members" / "wide"
    assert one_line_errors(app, [*arguments, *given, f"wide={wide}", "--set", "combine=linear"]) == DONE
    said = capsys.readouterr().out
    assert "wide: accuracy" in said and f"{out}: accuracy" in said and "18 validation intervals" in said
    assert load_ensemble(out).combination.kind == "linear"
    assert (
        pd.read_parquet(evaluate(out, store, tmp_path / "eval").path / "predictions.parquet").shape[0] == 12
    )
    for wrong, message in (
        ("wide", "--member must be NAME=RUN, not 'wide'"),
        (f"narrow={wide}", "--member narrow is given twice"),
    ):
        assert one_line_errors(app, [*arguments, *given, wrong]) == USAGE
        assert message in capsys.readouterr().err
    single = ["train", str(tmp_path / "wide.yaml"), "--store", str(store), "--out", str(tmp_path / "one")]
    assert one_line_errors(app, [*single, "--member", f"wide={wide}"]) == USAGE
    assert "has no members" in capsys.readouterr().err


def test_faces_and_bodies_are_averaged(store: Path, tmp_path: Path) -> None:
    members = {
        "first": small_recipe(epochs=1, val_subjects=VAL),
        "second": small_recipe(epochs=1, seed=1, val_subjects=VAL),
    }
    report = train_ensemble(
        load_ensemble_recipe(write_recipes(tmp_path, members)), store, tmp_path / "out", progress=silent
    )
    assert list(report.val_metrics) == ["face", "body", "fused"]
