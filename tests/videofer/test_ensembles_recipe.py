"""Recipes of ensembles: the shipped ones fit together, members are named, mistakes are one line."""

from __future__ import annotations

from pathlib import Path

import pytest
import yaml
from ensemble_helpers import face_recipe, write_recipes
from training_store import small_recipe

from preprocessing.config_file import ConfigError, dump_yaml, load_yaml
from videofer.ensembles.recipe import EnsembleRecipe, is_ensemble, load_ensemble_recipe, mismatch
from videofer.recipe import Recipe, load_recipe

FOLDER = Path(__file__).resolve().parents[2] / "configs" / "train"
SHIPPED = sorted(path for path in FOLDER.glob("*.yaml") if is_ensemble(path))
MEANS = {
    "all_cnn": ["cnn", "cnn_sift", "cnn_dsift"],
    "all_vgg": ["vgg", "vgg_sift", "vgg_dsift"],
    **{
        f"{net}_and_{branch}": [net, f"{net}_{branch}"]
        for net in ("cnn", "vgg")
        for branch in ("sift", "dsift")
    },
}


@pytest.mark.parametrize("path", SHIPPED, ids=lambda path: path.stem)
def test_shipped_ensembles_are_valid_and_complete(path: Path, tmp_path: Path) -> None:
    ensemble = load_ensemble_recipe(path)
    assert ensemble.recipe.name == path.stem and ensemble.recipe.description
    assert set(yaml.safe_load(path.read_text())) == set(EnsembleRecipe.model_fields)
    copy = tmp_path / "recipe.yaml"
    copy.write_text(dump_yaml(ensemble.recipe))
    assert load_yaml(copy, EnsembleRecipe) == ensemble.recipe


def test_the_published_aggregates_are_as_published() -> None:
    for name, members in MEANS.items():
        recipe = load_yaml(FOLDER / f"fer2013_{name}.yaml", EnsembleRecipe)
        assert [member.name for member in recipe.members] == [f"fer2013_{one}" for one in members]
        assert recipe.combine == "mean"
    blend = load_yaml(FOLDER / "fer2013_blend.yaml", EnsembleRecipe)
    assert [member.name for member in blend.members] == ["fer2013_resnet18", "fer2013_vgg19"]
    assert blend.combine == "linear"


def test_members_are_named_by_file_and_seed(tmp_path: Path) -> None:
    path = write_recipes(
        tmp_path, {"a": face_recipe(seed=5)}, entries=["a.yaml", {"recipe": "a.yaml", "seed": 3}]
    )
    ensemble = load_ensemble_recipe(path)
    assert {name: recipe.training.seed for name, recipe in ensemble.members.items()} == {"a": 5, "a_seed3": 3}
    assert ensemble.first == face_recipe(seed=5)


def test_keys_change_the_ensemble_or_every_member(tmp_path: Path) -> None:
    path = write_recipes(tmp_path, {"a": face_recipe(4), "b": face_recipe(6)})
    ensemble = load_ensemble_recipe(path, ["combine=linear", "training.epochs=7", "training.augment.flip=0"])
    assert ensemble.recipe.combine == "linear"
    assert [recipe.training.epochs for recipe in ensemble.members.values()] == [7, 7]
    assert [recipe.training.augment.flip for recipe in ensemble.members.values()] == [0, 0]
    with pytest.raises(ConfigError, match=r"a\.yaml: unknown key 'training\.epoch'; did you mean 'epochs'"):
        load_ensemble_recipe(path, ["training.epoch=7"])


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("members: [a.yaml]\ncombine: mean", "members must be"),
        ("members: [a.yaml, a.yaml]\ncombine: mean", "two members are called 'a': give them different seeds"),
        ("members: [a.yaml, b.yaml]", "the key 'combine' is missing"),
        ("members: [a.yaml, b.yaml]\ncombine: vote", "combine must be 'mean' or 'linear', not 'vote'"),
        ("members: [a.yaml, {recipe: b.yaml, sed: 1}]\ncombine: mean", "unknown key 'members.1.sed'"),
        ("members: [a.yaml, c.yaml]\ncombine: mean", "c.yaml: cannot be read: No such file"),
        ("members: [a.yaml, x.yaml]\ncombine: mean", "x.yaml is an ensemble itself"),
        ("members: [a.yaml, big.yaml]\ncombine: mean", "samples: input_size is 33 in a and 40 in big"),
        ("members: [a.yaml, long.yaml]\ncombine: mean", "data.window_seconds is 0.6 in a and 0.9 in long"),
        ("members: [a.yaml, order.yaml]\ncombine: mean", "data.classes is ['neutral', 'anger', "),
        ("members: [fused.yaml, fused2.yaml]\ncombine: linear", "fused fuses both: take mean"),
    ],
)  # fmt: skip
def test_mistakes_are_named(text: str, message: str, tmp_path: Path) -> None:
    big = face_recipe().model_dump(mode="json")
    big["model"]["face"]["input_size"] = 40
    recipes = {
        "a": face_recipe(),
        "b": face_recipe(6),
        "big": Recipe.model_validate(big),
        "long": face_recipe(data={"window_seconds": 0.9}),
        "order": face_recipe(data={"classes": ["anger", "neutral", "happiness"]}),
        "fused": small_recipe(),
        "fused2": small_recipe(seed=1),
    }
    path = write_recipes(tmp_path, recipes)
    path.rename(tmp_path / "x.yaml")
    path.write_text(f"name: few\n{text}\n", encoding="utf-8")
    with pytest.raises(ConfigError) as caught:
        load_ensemble_recipe(path)
    assert message in str(caught.value) and "\n" not in str(caught.value)


def test_what_changes_only_the_speed_may_differ(tmp_path: Path) -> None:
    other = face_recipe(6, data={"cache_crops": False, "max_cache_gib": 1.0})
    assert mismatch([("a", face_recipe()), ("b", other)], "linear") == ""
    fused = small_recipe()
    assert mismatch([("a", fused), ("b", fused)], "mean") == ""


def test_nothing_else_takes_an_ensemble_for_a_recipe(tmp_path: Path) -> None:
    path = write_recipes(tmp_path, {"a": face_recipe(), "b": face_recipe(6)})
    with pytest.raises(ConfigError, match="is the recipe of an ensemble: `videofer train` takes it"):
        load_recipe(path)
    assert is_ensemble(path) and not is_ensemble(tmp_path / "a.yaml")
