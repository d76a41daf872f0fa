"""Recipes: the shipped ones are complete and valid, mistakes are named, models are built from them."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import Any

import pytest
import torch
import yaml
from pydantic import BaseModel

from preprocessing.config_file import ConfigError, dump_yaml
from videofer import emotions
from videofer.emotions.label_sets import LABEL_SETS
from videofer.ensembles.recipe import is_ensemble
from videofer.models import BodyConfig, EmotionModel, FaceConfig
from videofer.models.scn import ScnConfig
from videofer.recipe import AugmentRecipe, DataRecipe, DegradeRecipe, Recipe, TrainingRecipe, load_recipe

FOLDER = Path(__file__).resolve().parents[2] / "configs" / "train"
SHIPPED = sorted(path for path in FOLDER.glob("*.yaml") if not is_ensemble(path))

OWN = {"fused", "face", "body", "start", "demo", "single_frame", "fer2013_best"}
CK_PLUS = ("happiness", "anger", "disgust", "fear", "sadness", "contempt", "surprise")
"""The published order of its classes, as of Emilya's (there joy and panic fear)."""
EMILYA = ("anger", "anxiety", "happiness", "neutral", "fear", "pride", "sadness", "shame")
BRED = ("happiness", "sadness", "surprise", "fear", "disgust", "anger")
PUBLISHED_FACES = {
    "sistcm_published", "resnet18_published", "feature_stream", "emotion_stream", "clip_mean",
    "views_constants", "views_attention", "views_spatial", "tiled",
}  # fmt: skip
PUBLISHED_STILLS = {
    "fer2013_cnn", "fer2013_cnn_sift", "fer2013_cnn_dsift", "fer2013_vgg", "fer2013_vgg_sift",
    "fer2013_vgg_dsift", "fer2013_resnet18", "fer2013_vgg19", "fer2013_arm", "fer2013_scn",
}  # fmt: skip
HYBRIDS = {"hybrid_face", "hybrid_body", "hybrid_whole"}
HIERARCHICAL = {"hybrid_joint", "hybrid_hmt"}
PUBLISHED_BODIES = {"accm_published", "accm_one_map", "accm_accumulated", "potion", "body_cnn"}


@pytest.mark.parametrize("path", SHIPPED, ids=lambda path: path.stem)
def test_shipped_recipes_are_valid_and_complete(path: Path, tmp_path: Path) -> None:
    recipe = load_recipe(path)
    assert recipe.name == path.stem and recipe.description
    values = yaml.safe_load(path.read_text())
    sections = {"data": DataRecipe, "training": TrainingRecipe}
    assert set(values) == set(Recipe.model_fields)
    for name, model in sections.items():
        assert set(values[name]) == set(model.model_fields), name
    assert set(values["training"]["augment"]) == set(AugmentRecipe.model_fields)
    if recipe.training.augment.degrade is not None:
        assert set(values["training"]["augment"]["degrade"]) == set(DegradeRecipe.model_fields)
    for name in ("face", "body", "fusion"):
        config = getattr(recipe.model, name)
        if config is not None:
            assert set(values["model"][name]) == {field.name for field in dataclasses.fields(config)}
    if recipe.model.face is not None and recipe.model.face.scn is not None:
        assert set(values["model"]["face"]["scn"]) == {field.name for field in dataclasses.fields(ScnConfig)}
    copy = tmp_path / "recipe.yaml"
    copy.write_text(dump_yaml(recipe))
    assert load_recipe(copy) == recipe


def test_there_is_one_for_each_purpose() -> None:
    assert {path.stem for path in SHIPPED} >= (
        OWN
        | PUBLISHED_FACES
        | PUBLISHED_STILLS
        | PUBLISHED_BODIES
        | HYBRIDS
        | HIERARCHICAL
        | {"hybrid_small"}
    )


@pytest.mark.parametrize(
    ("names", "classes"),
    [
        (OWN, emotions.BASIC),
        (PUBLISHED_STILLS, emotions.BASIC),
        (PUBLISHED_FACES, CK_PLUS),
        (PUBLISHED_BODIES, EMILYA),
        (HYBRIDS, LABEL_SETS["gemep7"].classes),
        ({"hybrid_joint"}, BRED),
        ({"hybrid_hmt"}, (*BRED, "neutral")),
    ],
)
def test_classes_are_those_of_the_recipe_s_data(names: set[str], classes: tuple[str, ...]) -> None:
    for name in names:
        assert tuple(load_recipe(FOLDER / f"{name}.yaml").data.classes) == classes, name


def difference(one: Any, other: Any, key: str = "") -> set[str]:
    """The keys whose values differ, of a recipe and all its sections."""
    if isinstance(one, BaseModel) and type(one) is type(other):
        names = list(type(one).model_fields)
    elif dataclasses.is_dataclass(one) and type(one) is type(other):
        names = [field.name for field in dataclasses.fields(one)]
    else:
        return set() if one == other else {key}
    return {
        found
        for name in names
        for found in difference(getattr(one, name), getattr(other, name), f"{key}.{name}".strip("."))
    }


@pytest.mark.parametrize(
    ("name", "base", "keys"),
    [
        ("resnet18_published", "sistcm_published", "data.num_frames face.trunk face.score training.epochs"),
        ("feature_stream", "sistcm_published", "face.heads face.score"),
        ("emotion_stream", "sistcm_published", "face.heads face.score"),
        ("clip_mean", "sistcm_published", "face.heads face.score"),
        ("views_constants", "sistcm_published", "face.view_merge"),
        ("views_attention", "sistcm_published", "face.view_merge"),
        ("views_spatial", "views_attention", "face.spatial_view"),
        (
            "tiled",
            "sistcm_published",
            "data.num_frames face.trunk face.end_kernel face.input_size",
        ),
        ("accm_one_map", "accm_published", "data.body_length body.maps body.map_size"),
        ("accm_accumulated", "accm_published", "body.maps"),
        ("potion", "accm_published", "body.maps body.normalization body.encoding"),
        ("body_cnn", "accm_published", "body.network"),
        (
            "hybrid_hmt",
            "hybrid_joint",
            "data.classes fusion.kind fusion.branch_loss fusion.branch_labels",
        ),
        ("fer2013_cnn_sift", "fer2013_cnn", "face.descriptor"),
        ("fer2013_cnn_dsift", "fer2013_cnn", "face.descriptor"),
        ("fer2013_vgg_sift", "fer2013_vgg", "face.descriptor"),
        ("fer2013_vgg_dsift", "fer2013_vgg", "face.descriptor"),
    ],
)
def test_an_ablation_differs_in_what_it_is_about_and_nothing_else(name: str, base: str, keys: str) -> None:
    one, other = load_recipe(FOLDER / f"{name}.yaml"), load_recipe(FOLDER / f"{base}.yaml")
    found = {key.removeprefix("model.") for key in difference(one, other)}
    assert found == {"name", "description", *keys.split()}


def test_the_published_face_recipe_is_as_published() -> None:
    recipe = load_recipe(FOLDER / "sistcm_published.yaml")
    data, face, training = recipe.data, recipe.model.face, recipe.training
    assert face == FaceConfig(input_size=224, score="published_sistcm")
    assert (data.num_clips, data.num_frames, data.sampling, data.eval_windows) == (5, 2, "interval", 1)
    assert (training.optimizer, training.lr, training.momentum, training.nesterov) == (
        "sgd",
        0.005,
        0.9,
        False,
    )
    assert (training.weight_decay, training.decay_all, training.batch_size) == (1e-4, True, 8)
    assert (training.schedule, training.warmup_epochs, training.epochs) == ("constant", 0, 400)
    assert (training.grad_clip, training.ema_decay, training.label_smoothing) == (None, None, 0)
    assert training.amp == "off" and training.patience is None and training.pretrained_trunk == "imagenet"
    assert set(training.augment.model_dump().values()) == {0.0, None}


@pytest.mark.parametrize(
    ("name", "num_classes", "part", "num_parameters"),
    [
        ("hybrid_face", 7, "face", 12_047_099),
        ("hybrid_face", 12, "face", 12_047_709),
        ("hybrid_body", 7, "body", 36_871),
        ("hybrid_body", 12, "body", 38_156),
        ("hybrid_whole", 7, "face", 12_047_099),
        ("hybrid_whole", 7, "body", 36_871),
        ("hybrid_whole", 7, "fusion", 105 + 14),  # published 105; a vector for each absent branch is ours
        ("hybrid_whole", 12, "fusion", 300 + 24),
    ],
)
def test_hybrids_have_the_published_sizes(
    name: str, num_classes: int, part: str, num_parameters: int
) -> None:
    config = load_recipe(FOLDER / f"{name}.yaml").emotion_model_config()
    with torch.device("meta"):
        model = EmotionModel(dataclasses.replace(config, num_classes=num_classes))
    assert sum(p.numel() for p in getattr(model, part).parameters()) == num_parameters


def test_the_branches_of_the_hybrid_are_those_of_the_whole() -> None:
    face, body, whole = (load_recipe(FOLDER / f"hybrid_{name}.yaml") for name in ("face", "body", "whole"))
    assert whole.model.face == face.model.face and whole.model.body == body.model.body
    fusion = whole.model.fusion
    assert fusion is not None and fusion.kind == "linear" and not fusion.joint and fusion.modality_drop == 0
    for recipe in (face, body, whole):  # nothing is chosen by any figure, on no fold
        assert (recipe.training.keep, recipe.training.patience) == ("last", None)
        assert recipe.data.eval_windows == 1 and recipe.data.sampling == "interval"


def test_recipes_of_stills_take_the_same_samples_so_that_they_can_be_joined() -> None:
    recipes = [load_recipe(FOLDER / f"{name}.yaml") for name in sorted(PUBLISHED_STILLS)]
    first = recipes[0]
    assert (first.data.num_clips, first.data.num_frames, first.data.eval_windows) == (1, 1, 1)
    for recipe in recipes:
        assert recipe.data == first.data and recipe.sample_spec() == first.sample_spec()
        assert recipe.model.face is not None and recipe.model.face.heads == ("clip",)
        assert recipe.model.face.grey and recipe.training.augment.colour == 0
        assert recipe.training.keep == "last", "nothing is chosen by a figure"


def test_the_published_body_recipe_is_as_published() -> None:
    recipe = load_recipe(FOLDER / "accm_published.yaml")
    training = recipe.training
    assert recipe.model.body == BodyConfig(normalization="frame", encoding="onehot")
    assert (recipe.data.body_length, recipe.data.sampling) == (300, "interval")
    assert (training.optimizer, training.lr, training.weight_decay) == ("adam", 1e-3, 0)
    assert (training.schedule, training.step_epochs, training.step_gamma) == ("step", 50, 0.1)
    assert training.epochs == 200 and set(training.augment.model_dump().values()) == {0.0, None}


def test_our_best_net_for_stills_is_a_published_one_trained_otherwise() -> None:
    best, plain = (load_recipe(FOLDER / f"fer2013_{name}.yaml") for name in ("best", "resnet18"))
    assert difference(best.model, plain.model) == {"face.dropout"} and best.data == plain.data
    assert best.training.augment.mix > 0 == plain.training.augment.mix
    assert best.training.ema_decay and best.training.label_smoothing


def test_search_ranges_are_of_keys_that_there_are() -> None:
    for path in SHIPPED:
        recipe = load_recipe(path)
        for key, place in (recipe.search or {}).items():
            for value in place.values or [place.low, place.high]:
                assert load_recipe(path, [f"{key}={value}"]) is not None


@pytest.mark.parametrize("path", SHIPPED, ids=lambda path: path.stem)
def test_spec_and_model_agree(path: Path) -> None:
    recipe = load_recipe(path)
    spec, config = recipe.sample_spec(), recipe.emotion_model_config()
    assert config.num_classes == len(recipe.data.classes)
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
        (
            "model.face.view_merge=faithful",
            "model.face.view_merge must be 'sum', 'constants' or 'attention', not 'faithful'",
        ),
        ("model.face.heads=[feature, clip]", "model.face: heads must be some of clip, emotion, feature, in"),
        ("model.face.heads=[clips]", "model.face.heads"),
        ("model.body.maps=heat", "model.body.maps must be 'timeline', 'timeline_one_map', 'accumulated' or"),
        ("model.body.timeline=true", "unknown key 'model.body.timeline'"),
        ("training.optimizer=lion", "training.optimizer must be 'adamw', 'adam' or 'sgd', not 'lion'"),
        ("training.inner_folds=1", "training: inner_folds must be 0 (none) or at least 2, not 1"),
        ("training.augment.time_jitter=2", "training.augment.time_jitter must be less than or equal to 1"),
        ("search={training.lr: {low: 1.0}}", "needs either low and high, or values"),
        ("search={training.lr: {low: 1.0, high: 0.5}}", "low 1 must be below high 0.5"),
        ("search={training.lr: {low: 0.0, high: 0.5, log: true}}", "log needs a low above 0"),
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
