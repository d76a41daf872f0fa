"""Recipes: the shipped ones are complete and valid, mistakes are named, models are built from them."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import pytest
import yaml
from pydantic import BaseModel

from preprocessing.config_file import ConfigError, dump_yaml
from videofer.models.model import EmotionModel
from videofer.recipe import AugmentRecipe, DataRecipe, Recipe, TrainingRecipe, load_recipe

FOLDER = Path(__file__).resolve().parents[2] / "configs" / "train"
SHIPPED = sorted(FOLDER.glob("*.yaml"))


@pytest.mark.parametrize("path", SHIPPED, ids=lambda path: path.stem)
def test_shipped_recipes_are_valid_and_complete(path: Path, tmp_path: Path) -> None:
    recipe = load_recipe(path)
    assert recipe.name == path.stem and recipe.description
    values = yaml.safe_load(path.read_text())
    sections = {"data": DataRecipe, "training": TrainingRecipe}
    for name, model in sections.items():
        assert set(values[name]) == set(model.model_fields), name
    assert set(values["training"]["augment"]) == set(AugmentRecipe.model_fields)
    for name in ("face", "body", "fusion"):
        config = getattr(recipe.model, name)
        if config is not None:
            assert set(values["model"][name]) == {field.name for field in dataclasses.fields(config)}
    copy = tmp_path / "recipe.yaml"
    copy.write_text(dump_yaml(recipe))
    assert load_recipe(copy) == recipe


def test_there_is_one_for_each_purpose() -> None:
    assert {path.stem for path in SHIPPED} >= {"fused", "demo", "single_frame", "face", "body"}


@pytest.mark.parametrize("path", SHIPPED, ids=lambda path: path.stem)
def test_spec_and_model_agree(path: Path) -> None:
    recipe = load_recipe(path)
    spec, config = recipe.sample_spec(), recipe.emotion_model_config()
    assert config.num_classes == len(recipe.data.classes) == 7
    assert spec.use_face == (config.face is not None) and spec.use_body == (config.body is not None)
    if config.face is not None:
        assert spec.input_size == config.face.input_size
    if config.body is not None:
        assert spec.num_joints == config.body.num_joints


def test_the_demo_s_model_is_built() -> None:
    model = EmotionModel(load_recipe(FOLDER / "demo.yaml").emotion_model_config())
    assert model.config.heads == ("face", "body", "fused")


def test_the_control_sees_one_frame_of_the_demo_s_model() -> None:
    demo, control = load_recipe(FOLDER / "demo.yaml"), load_recipe(FOLDER / "single_frame.yaml")
    assert control.model.face == demo.model.face and control.training == demo.training
    assert (control.data.num_clips, control.data.num_frames) == (1, 1)
    assert control.data.eval_windows == demo.data.num_clips * demo.data.num_frames  # as many frames in all


@pytest.mark.parametrize(
    ("override", "message"),
    [
        ("training.epoch=3", "unknown key 'training.epoch'; did you mean 'epochs'?"),
        ("modle.face=null", "unknown key 'modle'; did you mean 'model'?"),
        ("model.face.widht=3", "unknown key 'model.face.widht'; did you mean 'width'?"),
        ("training.augment.flipp=1", "unknown key 'training.augment.flipp'; did you mean 'flip'?"),
        ("model.face.views=attn", "model.face.views must be 'faithful' or 'attention', not 'attn'"),
        ("training.optimizer=adam", "training.optimizer must be 'adamw' or 'sgd', not 'adam'"),
        ("training.lr=.inf", "training.lr must be a finite number"),
        ("training.epochs=0", "training.epochs must be greater than or equal to 1, not 0"),
        ("data.clip_seconds=9", "data: clip_seconds is 9, but 6 clips in a window of 1.2 s leave 0.2 s each"),
        ("data.classes=[happy, anger]", "data.classes: the class 'happy' is called 'happiness' here"),
        ("data.classes=[hapiness, anger]", "unknown emotion 'hapiness'; did you mean 'happiness'?"),
        ("data.classes=[anger, anger]", "a class stands twice"),
        ("data.classes=[anger]", "data.classes"),
        ("model.fusion=null", "model: face and body need a fusion section"),
        ("model.face=null", "model: a fusion section needs both face and body"),
        ("model={face: null}", "model: needs a face or a body section"),
        ("model.body.se_reduction=7", "model.body: width 64 must be a multiple of se_reduction 7"),
    ],
)
def test_mistakes_are_named(override: str, message: str) -> None:
    with pytest.raises(ConfigError) as caught:
        load_recipe(FOLDER / "demo.yaml", [override])
    assert message in str(caught.value) and "demo.yaml: " in str(caught.value)


def test_own_classes_are_possible() -> None:
    recipe = load_recipe(FOLDER / "face.yaml", ["data.classes=[pain, no_pain]"])
    assert recipe.emotion_model_config().num_classes == 2


def test_recipes_cannot_be_changed_by_accident() -> None:
    recipe = load_recipe(FOLDER / "demo.yaml")
    for section in (recipe, recipe.data, recipe.training):
        assert isinstance(section, BaseModel)
        with pytest.raises(ValueError, match="frozen"):
            section.name = "x"  # type: ignore[union-attr]
    assert isinstance(recipe, Recipe)
