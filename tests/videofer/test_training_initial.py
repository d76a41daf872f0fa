"""A run begins with another run's trunk: what is taken, what is refused, and what the run says of it."""

from __future__ import annotations

import json
import logging
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file
from training_store import make_training_store, small_recipe

from videofer.cli import app
from videofer.cli.errors import USAGE, one_line_errors
from videofer.recipe import Recipe
from videofer.training.initial import check_init_from
from videofer.training.learner import make_model
from videofer.training.progress import silent
from videofer.training.run import train
from videofer.training.split import TrainingError, prepare

pytestmark = pytest.mark.usefixtures("one_thread")


def face_recipe(face: dict[str, Any] | None = None, **training: Any) -> Recipe:
    """The face of `small_recipe` alone; `face`: changes of its section."""
    recipe = small_recipe(**{"epochs": 1, **training})
    assert recipe.model.face is not None
    config = replace(recipe.model.face, **(face or {}))
    sections = {"face": config, "body": None, "fusion": None}
    return recipe.model_copy(update={"model": recipe.model.model_copy(update=sections)})


@pytest.fixture(scope="module")
def runs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """`first/store` and `first/run`, trained on its people; `second/store` has others."""
    path = tmp_path_factory.mktemp("initial")
    make_training_store(path / "first" / "store", num_subjects=3, takes=1)
    recipe = face_recipe(val_subjects=["s1"])
    train(recipe, path / "first" / "store", path / "first" / "run", progress=silent)
    second = make_training_store(path / "second" / "store", num_subjects=9, takes=1)
    table = second.manifest()
    assert table is not None  # without those of the first: their videos have equal keys
    second.write_manifest(table[~table["subject"].isin(["s0", "s1", "s2"])])
    return path


def others(source: Path, **training: Any) -> Recipe:
    return face_recipe(val_subjects=["s4"], init_from=str(source), **training)


def test_the_trunk_is_taken_and_nothing_else(runs: Path, caplog: pytest.LogCaptureFixture) -> None:
    source = runs / "first" / "run"
    there = load_file(source / "model.safetensors")
    torch.manual_seed(0)
    plain = make_model(face_recipe()).state_dict()
    torch.manual_seed(0)
    with caplog.at_level(logging.INFO):
        found = make_model(others(source)).state_dict()
    for name, value in found.items():
        assert torch.equal(value, there[name] if name.startswith("face.trunk.") else plain[name]), name
    assert any(not torch.equal(value, plain[name]) for name, value in found.items())
    count = sum(1 for name in there if name.startswith("face.trunk."))
    assert f"face trunk from {source}: {count} tensors" in caplog.text


def test_clips_of_another_length_take_it_as_well(runs: Path) -> None:
    recipe = others(runs / "first" / "run")
    clips = recipe.model_copy(update={"data": recipe.data.model_copy(update={"num_frames": 5})})
    assert make_model(clips).face is not None


def test_arm_takes_a_resnet_as_its_own_part_of_one(runs: Path, tmp_path: Path) -> None:
    small: dict[str, Any] = {"trunk": "resnet18", "width": 4, "stem": "cifar"}
    source = tmp_path / "resnet"
    train(face_recipe(small, val_subjects=["s1"]), runs / "first" / "store", source, progress=silent)
    there = load_file(source / "model.safetensors")
    arm = {**small, "trunk": "arm"}
    torch.manual_seed(0)
    plain = make_model(face_recipe(arm))
    torch.manual_seed(0)
    found = make_model(face_recipe(arm, init_from=str(source)))
    assert plain.face is not None and found.face is not None
    taken = 0
    for name, value in found.face.trunk.state_dict().items():
        if name.startswith("resnet."):
            assert torch.equal(value, there[f"face.trunk.{name.removeprefix('resnet.')}"]), name
            taken += 1
        else:
            assert torch.equal(value, plain.face.trunk.state_dict()[name]), name
    assert taken == sum(name.startswith("face.trunk.") for name in there)
    with pytest.raises(TrainingError, match="has shape"):
        make_model(face_recipe({**arm, "width": 16}, init_from=str(source)))


@pytest.mark.parametrize(
    ("face", "message"),
    [
        ({"width": 8}, r"has shape \(4, .*\) in the trunk of .*, this recipe's has \(8, "),
        ({"view_merge": "constants"}, "the trunk of .* has no "),
        ({"mean": (0.5, 0.5, 0.5)}, r"was trained with model\.face\.mean \[0\.0, .* has \[0\.5, "),
    ],
)
def test_another_trunk_is_refused(runs: Path, face: dict[str, Any], message: str) -> None:
    recipe = face_recipe(face, init_from=str(runs / "first" / "run"))
    with pytest.raises(TrainingError, match=f"^training.init_from: .*{message}"):
        make_model(recipe)


def test_what_is_left_over_is_refused(runs: Path) -> None:
    constants = face_recipe({"view_merge": "constants"}, val_subjects=["s1"])
    train(constants, runs / "first" / "store", runs / "first" / "constants", progress=silent)
    with pytest.raises(TrainingError, match="this recipe's has none"):
        make_model(face_recipe(init_from=str(runs / "first" / "constants")))


def test_its_people_must_not_be_those_who_validate(runs: Path, tmp_path: Path) -> None:
    recipe = face_recipe(val_subjects=["s0"], init_from=str(runs / "first" / "run"))
    with pytest.raises(
        TrainingError, match="was trained with the subject 's0', on whom this run is validated"
    ):
        train(recipe, runs / "first" / "store", tmp_path / "run", progress=silent)
    assert not (tmp_path / "run").exists()


def test_who_validated_it_may_validate_again_but_not_calibrate(runs: Path, tmp_path: Path) -> None:
    store = runs / "first" / "store"
    again: dict[str, Any] = {"val_subjects": ["s1"], "init_from": str(runs / "first" / "run")}
    train(face_recipe(**again), store, tmp_path / "run", progress=silent)
    used = json.loads((tmp_path / "run" / "metrics.json").read_text())["used"]["subjects"]
    assert used == {"train": ["s0"], "val": ["s1"]}
    folds = face_recipe(inner_folds=3, **again)
    with pytest.raises(TrainingError, match="'s0', on whom this run is calibrated"):
        check_init_from(folds, prepare(folds, store, None).split)


def test_a_run_counts_them_as_its_own(runs: Path, tmp_path: Path) -> None:
    recipe = others(runs / "first" / "run")
    train(recipe, runs / "second" / "store", tmp_path / "run", progress=silent)
    used = json.loads((tmp_path / "run" / "metrics.json").read_text())["used"]["subjects"]
    assert used["val"] == ["s4"] and {"s0", "s1"} <= set(used["train"]) and "s4" not in used["train"]
    log = (tmp_path / "run" / "train.log").read_text()
    assert "face trunk from" in log


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"init_from": "nowhere"}, "no model at nowhere"),
        ({"init_from": "nowhere", "pretrained_trunk": "imagenet"}, "are both given: set one to null"),
    ],
)
def test_mistakes_are_one_line(
    runs: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], changes: dict[str, str], message: str
) -> None:
    from preprocessing.config_file import dump_yaml

    path = tmp_path / "recipe.yaml"
    path.write_text(dump_yaml(face_recipe(val_subjects=["s4"], **changes)))
    arguments = [
        "train",
        str(path),
        "--store",
        str(runs / "second" / "store"),
        "--out",
        str(tmp_path / "run"),
    ]
    assert one_line_errors(app, arguments) == USAGE
    lines = capsys.readouterr().err.strip().splitlines()
    assert len(lines) == 1 and message in lines[0]


def test_a_body_alone_takes_none(runs: Path, tmp_path: Path) -> None:
    recipe = small_recipe(epochs=1, init_from=str(runs / "first" / "run"))
    sections = {"face": None, "fusion": None}
    recipe = recipe.model_copy(update={"model": recipe.model.model_copy(update=sections)})
    with pytest.raises(TrainingError, match=r"takes a face trunk, but the recipe has no model\.face"):
        train(recipe, runs / "second" / "store", tmp_path / "run", progress=silent)
