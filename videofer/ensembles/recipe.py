"""The recipe of an ensemble: a YAML file that names the recipes of its members and how they are combined.

    name: fer2013_all_cnn
    description: Mean of three nets.
    members: [fer2013_cnn.yaml, {recipe: fer2013_cnn.yaml, seed: 1}]    # beside this file
    combine: mean

A member is trained as its own recipe says, with another seed where one is given. Members see the same
samples: their `data` sections are equal, and so are the sides of the pictures that they take.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field, field_validator, model_validator

from preprocessing.config_file import ConfigError, read_yaml, validate
from videofer.recipe import Recipe, load_recipe

Combine = Literal["mean", "linear"]
_OWN_KEYS = ("name", "description", "members", "combine")
_FREE = {"cache_crops", "max_cache_gib"}  # they change the speed and nothing else


class Member(BaseModel):
    """One model of an ensemble. In YAML the name of its recipe file will do."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    recipe: str = Field(min_length=1)  # its file, as seen from the ensemble's
    seed: int | None = Field(default=None, ge=0, lt=2**31)  # in place of the recipe's training.seed

    @model_validator(mode="before")
    @classmethod
    def _a_file_alone(cls, value: Any) -> Any:
        return {"recipe": value} if isinstance(value, str) else value

    @property
    def name(self) -> str:
        """Of its folder: that of the recipe's file, with the seed where it has one of its own."""
        return Path(self.recipe).stem + ("" if self.seed is None else f"_seed{self.seed}")


class EnsembleRecipe(BaseModel):
    """One ensemble, complete."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    name: str = Field(min_length=1)
    description: str = ""
    members: list[Member] = Field(min_length=2)
    combine: Combine  # mean of the members' probabilities, or a layer that is learned on their logits

    @field_validator("members")
    @classmethod
    def _each_once(cls, value: list[Member]) -> list[Member]:
        names = [member.name for member in value]
        for name in names:
            if names.count(name) > 1:
                raise ValueError(f"two members are called {name!r}: give them different seeds")
        return value


@dataclass(frozen=True, kw_only=True)
class Ensemble:
    """An ensemble's recipe with the complete recipes of its members."""

    recipe: EnsembleRecipe
    members: Mapping[str, Recipe]  # name -> recipe, in the order of the ensemble's

    @property
    def first(self) -> Recipe:
        """The first member's recipe: what it says of samples and classes holds for all."""
        return next(iter(self.members.values()))


def is_ensemble(path: Path) -> bool:
    """Whether a recipe file is an ensemble's. ConfigError where it cannot be read."""
    return "members" in read_yaml(path)


def load_ensemble_recipe(path: Path, overrides: Sequence[str] = ()) -> Ensemble:
    """Reads an ensemble's recipe and those of its members. ConfigError is one line for the user.

    overrides: "combine=linear" changes the ensemble; "training.epochs=3", like any key that it has not
    itself, changes every member.
    """
    own = [one for one in overrides if one.partition("=")[0].strip().split(".")[0] in _OWN_KEYS]
    recipe = validate(read_yaml(path), EnsembleRecipe, source=str(path), overrides=own)
    for_members = [one for one in overrides if one not in own]
    members = {}
    for member in recipe.members:
        file = path.parent / member.recipe
        if is_ensemble(file):
            raise ConfigError(f"{path}: the member {file} is an ensemble itself: name its members instead")
        seed = [] if member.seed is None else [f"training.seed={member.seed}"]
        members[member.name] = load_recipe(file, [*for_members, *seed])
    problem = mismatch(list(members.items()), recipe.combine)
    if problem:
        raise ConfigError(f"{path}: {problem}")
    return Ensemble(recipe=recipe, members=members)


def mismatch(members: Sequence[tuple[str, Recipe]], combine: Combine) -> str:
    """Why models of these recipes cannot answer together; empty where they can."""
    name, first = members[0]
    if first.data.targets == "multi" or first.data.dimensions:
        return (
            f"an ensemble answers with one class: {name} must have data.targets single and no data.dimensions"
        )
    for other_name, other in members[1:]:
        for section, one, two in (
            ("data.", first.data.model_dump(), other.data.model_dump()),
            ("samples: ", asdict(first.sample_spec()), asdict(other.sample_spec())),
        ):
            for key in sorted(one.keys() - _FREE):
                if one[key] != two[key]:
                    return (
                        f"members must take the same samples, but {section}{key} is {one[key]!r} in {name} "
                        f"and {two[key]!r} in {other_name}"
                    )
    if combine == "linear" and len(first.emotion_model_config().heads) > 1:
        return f"combine: linear is for models of faces or of bodies alone, but {name} fuses both: take mean"
    return ""
