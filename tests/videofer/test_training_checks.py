"""What cannot be trained is said in one line, before anything is written; and a dry run writes nothing."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
from training_store import make_training_store, small_recipe

from cache.errors import UserError
from cache.store import Store
from videofer.checkpoint import load_checkpoint
from videofer.cli import app
from videofer.cli.errors import DONE, USAGE, one_line_errors
from videofer.models import FaceConfig
from videofer.recipe import Recipe
from videofer.training.progress import silent
from videofer.training.run import train
from videofer.training.split import TrainingError

pytestmark = pytest.mark.usefixtures("one_thread")


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("checks") / "store"
    make_training_store(path)
    return path


def only(part: str, **training: Any) -> Recipe:
    recipe = small_recipe(**training)
    sections = {"face": None, "body": None, "fusion": None, part: getattr(recipe.model, part)}
    return recipe.model_copy(update={"model": recipe.model.model_copy(update=sections)})


def with_classes(*classes: str) -> Recipe:
    recipe = small_recipe()
    return recipe.model_copy(update={"data": recipe.data.model_copy(update={"classes": list(classes)})})


def with_trunk(trunk: Any, **training: Any) -> Recipe:
    recipe = small_recipe(**training)
    face = FaceConfig(trunk=trunk, width=4, input_size=40)
    return recipe.model_copy(update={"model": recipe.model.model_copy(update={"face": face})})


def with_joints(num_joints: int, skeleton: str | None = None, recipe: Recipe | None = None) -> Recipe:
    recipe = recipe or small_recipe()
    assert recipe.model.body is not None
    body = replace(recipe.model.body, num_joints=num_joints)
    data = recipe.data.model_copy(update={"skeleton": skeleton})
    model = recipe.model.model_copy(update={"body": body})
    return recipe.model_copy(update={"model": model, "data": data})


@pytest.mark.parametrize(
    ("recipe", "workers", "match"),
    [
        (small_recipe(batch_size=3), 4, r"batch_size is 3, of all .*: 4 workers need at least 4"),
        (small_recipe(), -1, "workers must be at least 0, not -1"),
        (only("body", pretrained_trunk="imagenet"), 1, r"pretrained_trunk .* no model\.face"),
        (with_trunk("vgg19", pretrained_trunk="imagenet"), 1, r"is for ResNet-18, not for .*trunk vgg19"),
        (with_trunk("cnn", compile=True), 1, r"training\.compile is not for model\.face\.trunk cnn"),
        (small_recipe(augment={"mix": 0.5, "cutmix": 1.0}), 1, "blends faces and cannot blend bodies"),
        (small_recipe(nesterov=True), 1, "nesterov needs the optimizer sgd"),
        (
            with_classes("neutral", "anger", "happiness", "fear"), 1,
            r"^the class 'fear' has no training sample: remove it from data\.classes, or label some$",
        ),
        (with_joints(22), 1, r"num_joints is 22, but the skeletons of .* \(coco17\) have 17 joints"),
        (with_joints(17, "openpose18"), 1, r"num_joints is 17, but the skeletons .* \(openpose18\) have 18"),
        (
            with_joints(26, "halpe26"), 1,
            r"data\.skeleton is halpe26, but .* \(coco17\) cannot be brought to it: coco17 has no head",
        ),
        (small_recipe(inner_folds=9), 1, r"inner_folds is 9, but there are only 4"),
    ],
)  # fmt: skip
def test_a_recipe_that_cannot_be_trained(
    recipe: Recipe, workers: int, match: str, store: Path, tmp_path: Path
) -> None:
    with pytest.raises(TrainingError, match=match):
        train(recipe, store, tmp_path / "run", workers=workers, progress=silent)
    assert not (tmp_path / "run").exists()


def test_a_store_without_the_modality(tmp_path: Path) -> None:
    for name, without in (("face", {"faceless": (0, 1)}), ("body", {"bodyless": True})):
        make_training_store(tmp_path / name, **without)
        with pytest.raises(TrainingError, match=rf"the recipe has model\.{name}, but .* has no .*preprocess"):
            train(small_recipe(), tmp_path / name, tmp_path / "run", progress=silent)
        other = {"face": "body", "body": "face"}[name]
        report = train(only(other, epochs=1), tmp_path / name, tmp_path / f"run_{name}", progress=silent)
        assert set(report.val_metrics) == {other}


def test_bodies_are_learnt_in_another_layout(store: Path, tmp_path: Path) -> None:
    recipe = with_joints(18, "openpose18", only("body", epochs=1))
    train(recipe, store, tmp_path / "run", progress=silent)
    model = load_checkpoint(tmp_path / "run")
    assert model.contract["skeleton"] == "openpose18"
    model.check_contract(Store.open(store).contract, "the store")  # which holds coco17
    assert Store.open(store).contract["skeleton"] == "coco17"


def relabelled(store: Path, path: Path, change: Any) -> Path:
    """A manifest beside the store: its own, changed."""
    table = Store.open(store).manifest()
    assert table is not None
    change(table).to_csv(path, index=False)
    return path


@pytest.mark.parametrize(
    ("change", "match"),
    [
        (lambda t: t.drop(columns="label"), "the manifest has no labels; it needs a column 'label'"),
        (lambda t: t.assign(label="fear"), "the labels are fear, but data.classes are neutral, anger, happ"),
        (lambda t: t.assign(name="x" + t["name"]), r"no name of the manifest is a video of the store \(x"),
        (lambda t: t.assign(split="test"), "all 30 usable rows are in the split 'test'"),
        (lambda t: t.assign(subject="s3"), "all labelled intervals are of subject 's3'"),
        (
            lambda t: t[(t["label"] != "anger") | (t["subject"] == "s3")],
            "all 2 intervals of the class 'anger' are of validation subjects",
        ),
    ],
)
def test_labels_that_teach_nothing(change: Any, match: str, store: Path, tmp_path: Path) -> None:
    def with_one_side(table: pd.DataFrame) -> pd.DataFrame:
        return change(table.assign(split="train"))  # type: ignore[no-any-return]

    manifest = relabelled(store, tmp_path / "labels.csv", with_one_side)
    recipe = small_recipe(val_subjects=None if "subject 's3'" in match else ["s3"])
    with pytest.raises(UserError, match=match) as error:
        train(recipe, store, tmp_path / "run", manifest=manifest, progress=silent)
    assert "\n" not in str(error.value)
    assert not (tmp_path / "run").exists()


def test_a_dry_run_goes_through_everything_and_writes_nothing(
    store: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    recipe = tmp_path / "recipe.yaml"
    from preprocessing.config_file import dump_yaml

    recipe.write_text(dump_yaml(small_recipe(ema_decay=0.9)))
    before = sorted(path for path in tmp_path.rglob("*"))
    arguments = ["train", str(recipe), "--store", str(store), "--out", str(tmp_path / "run"), "--dry-run"]
    assert one_line_errors(app, [*arguments, "--workers", "2"]) == DONE
    said = capsys.readouterr().out
    for words in (
        "training: 18 intervals of 3 subjects: 6 neutral, 6 anger, 6 happiness",
        "validation: 6 intervals of 1 subjects",
        "parameters: face trunk",
        "frames     (3, 2, 2, 33, 33, 3) uint8",  # a batch of 6, between two
        "keypoints  (3, 16, 17, 3) float32",
        "loss ",
        "memory: ",
        "an epoch of 18 samples in 3 steps: about",
        "nothing was written",
    ):
        assert words in said, words
    assert sorted(path for path in tmp_path.rglob("*")) == before
    assert one_line_errors(app, [*arguments, "--set", "training.lr=1e30", "--set", "training.optimizer=sgd",
                                 "--set", "training.grad_clip=null"]) == USAGE  # fmt: skip
    assert "the loss is" in capsys.readouterr().err


def test_the_console_shows_what_people_want_to_know(
    store: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    from preprocessing.config_file import dump_yaml

    (tmp_path / "recipe.yaml").write_text(dump_yaml(small_recipe(epochs=1)))
    arguments = [str(tmp_path / "recipe.yaml"), "--store", str(store), "--out", str(tmp_path / "run")]
    assert one_line_errors(app, ["train", *arguments]) == DONE
    shown = capsys.readouterr()
    lines = shown.err.splitlines()
    assert "18 training and 6 validation intervals" in lines[0]
    assert lines[1].startswith("epoch 1/1  loss") and "epoch 1 of 1 is kept, the best" in lines[2]
    assert "epoch 1 of 1" in shown.out
    assert one_line_errors(app, ["train", *arguments, "--wandb", "mine"]) == USAGE
    assert "pip install wandb" in capsys.readouterr().err
