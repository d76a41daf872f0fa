"""tools/train_fer2013.py: what is planned, and a small set from its CSV file to the picture."""

from __future__ import annotations

import json
import shutil
import sys
from pathlib import Path

import pytest
from fer2013_set import make_set, write_csv

from cache.errors import UserError
from tools.fer2013_few_epochs import FEW_EPOCHS, Stage
from tools.fer2013_systems import SYSTEMS, read_systems
from tools.train_fer2013 import Training, main, plan
from videofer.recipe import Recipe, load_recipe

pytestmark = pytest.mark.usefixtures("one_thread")

SMALL = ("training.epochs=1", "training.batch_size=32", "training.warmup_epochs=0.0", "model.face.width=8")


def call(monkeypatch: pytest.MonkeyPatch, *arguments: str) -> int:
    monkeypatch.setattr(sys, "argv", ["", *arguments])
    return main()


def few(data: Path, out: Path, *more: str) -> list[str]:
    """Arguments for a training of moments."""
    settings = [part for one in SMALL for part in ("--set", one)]
    return ["--fer2013", str(data), "--out", str(out), "--few-epochs", "--threads", "1", *settings, *more]


def recipe_of(step: Training) -> Recipe:
    assert isinstance(step.what, Recipe)
    return step.what


def test_what_an_ensemble_needs_is_trained_once_and_before_it() -> None:
    names = [step.name for step in plan(list(SYSTEMS), Path("runs"), few_epochs=True, overrides=())]
    assert len(names) == len(set(names)) and set(SYSTEMS) | {"best_seed1", "best_seed2"} <= set(names)
    for later, needed in (("all_vgg", "vgg_dsift"), ("blend", "vgg19"), ("scn", "resnet18")):
        assert names.index(needed) < names.index(later)
    alone = plan(["best_ensemble"], Path("runs"), few_epochs=False, overrides=())
    assert [step.name for step in alone][-1] == "best_ensemble" and len(alone) == 7
    assert [recipe_of(step).training.seed for step in alone[:3]] == [0, 1, 2]


def test_without_few_epochs_each_net_is_its_recipe() -> None:
    recipes = Path(__file__).resolve().parents[2] / "configs" / "train"
    for step in plan(list(SYSTEMS), Path("runs"), few_epochs=False, overrides=()):
        if isinstance(step.what, Recipe) and "_seed" not in step.name:
            assert step.what == load_recipe(recipes / f"fer2013_{step.name}.yaml")


def test_few_epochs_are_fewer_and_follow_each_other() -> None:
    full = {step.name: step for step in plan(list(SYSTEMS), Path("runs"), few_epochs=False, overrides=())}
    brief = {step.name: step for step in plan(list(SYSTEMS), Path("runs"), few_epochs=True, overrides=())}
    assert set(FEW_EPOCHS) == {name for name, step in full.items() if isinstance(step.what, Recipe)}
    for name in FEW_EPOCHS:
        mine, theirs = recipe_of(brief[name]), recipe_of(full[name])
        assert mine.training.epochs < theirs.training.epochs and mine.data == theirs.data
    for later, first in (("vgg19", "vgg19_1"), ("scn", "resnet18"), ("resnet18", "resnet18_1")):
        assert recipe_of(brief[later]).training.init_from == str(Path("runs") / first)


def test_few_epochs_ensembles_have_members_that_take_the_same_samples(tmp_path: Path) -> None:
    (*_, brief) = plan(["best_ensemble"], tmp_path, few_epochs=True, overrides=())
    assert brief.text == "best_ensemble: of best, best_seed1, best_seed2"
    with pytest.raises(
        UserError, match=r"blend\.yaml: members must take the same samples, but data\.body_length"
    ):
        other = FEW_EPOCHS["vgg19"][-1].settings
        with pytest.MonkeyPatch.context() as patch:
            patch.setitem(FEW_EPOCHS, "vgg19", (Stage((*other, "data.body_length=16")),))
            plan(["blend"], tmp_path, few_epochs=True, overrides=())


def test_from_the_csv_file_to_the_picture(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    write_csv(make_set(num_training=140), tmp_path / "set")
    out = tmp_path / "out"
    assert call(monkeypatch, *few(tmp_path / "set", out, "--only", "vgg19")) == 0
    shutil.rmtree(out / "runs" / "vgg19_1")  # a stage that has done its work
    arguments = few(tmp_path / "set", out, "--only", "blend,best_ferplus,cnn")
    assert call(monkeypatch, *arguments) == 0
    rows = capsys.readouterr().out.splitlines()[-4:]
    assert [row.split("|")[1].strip() for row in rows] == [*("`cnn`", "`vgg19`", "`blend`", "`best_ferplus`")]
    assert (out / "systems.png").stat().st_size > 10_000
    runs = out / "runs"
    assert {run.name for run in runs.iterdir()} == {
        *("cnn", "resnet18_1", "resnet18", "vgg19", "blend", "best", "best_ferplus")
    }

    labels = read_systems(out / "evaluations")[-1].labels
    assert len(labels) == 8 and "contempt" in labels  # those that the net learned

    written = {path: path.stat().st_mtime_ns for path in runs.rglob("*") if path.is_file()}
    assert call(monkeypatch, *arguments) == 0  # nothing is done again
    assert {path: path.stat().st_mtime_ns for path in runs.rglob("*") if path.is_file()} == written
    assert capsys.readouterr().out.splitlines() == rows


def test_official_lists_keep_the_copies_in_training(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    data = make_set(num_training=140)
    data.images[140:143] = data.images[:3]  # of PublicTest and of Training
    write_csv(data, tmp_path / "set")
    found = {}
    for lists in ([], ["--official-lists"]):
        out = tmp_path / f"out{len(lists)}"
        assert call(monkeypatch, *few(tmp_path / "set", out, "--only", "cnn", *lists)) == 0
        used = json.loads((out / "runs" / "cnn" / "trained_on.json").read_text())["keys"]
        evaluations = json.loads((out / "evaluations" / "cnn" / "figures.json").read_text())["evaluations"]
        counts = {name: figures["face"]["num_samples"] for name, figures in evaluations.items()}
        assert counts == {"fer2013": 14, "fer2013_without_copies": 11}
        found[len(lists)] = len(used["train"]) + len(used["val"])
    assert found == {0: 137, 1: 140}


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (("--only", "cnn,vgg16"), "no system 'vgg16', there are cnn, "),
        (("--only", "cnn", "--set", "training.epoch=1"), "training.epoch"),
        (("--only", "cnn"), "nothing.csv"),
    ],
)
def test_what_is_wrong_is_told_in_one_line(
    arguments: tuple[str, ...],
    told: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    where = ("--fer2013", str(tmp_path / "nothing.csv"), "--out", str(tmp_path / "out"), "--few-epochs")
    assert call(monkeypatch, *where, *arguments) == 2
    error = capsys.readouterr().err
    assert told in error and error.count("\n") == 1 and not (tmp_path / "out").exists()


def test_a_plan_trains_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    where = ("--fer2013", str(tmp_path / "nothing.csv"), "--out", str(tmp_path / "out"))
    assert call(monkeypatch, *where, "--plan", "--only", "blend", "--few-epochs") == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[-2:] == [
        "vgg19: 4 epochs of 48 pixels, from the trunk of vgg19_1",
        "blend: of resnet18, vgg19",
    ]
    assert not list(tmp_path.iterdir())
