"""Recipes of small ensembles of faces, as files, and members that nobody has trained."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch
from training_store import CLASSES, CONTRACT, small_recipe

from preprocessing.config_file import dump_yaml, validate
from videofer.checkpoint import save_checkpoint
from videofer.ensembles.combine import Combination
from videofer.ensembles.model import MEMBERS, save_ensemble
from videofer.ensembles.recipe import EnsembleRecipe
from videofer.evaluation.calibration import Calibration
from videofer.models.model import EmotionModel
from videofer.recipe import Recipe

USED = {"keys": {"train": ["k1"], "val": ["k2"]}, "subjects": {"train": ["ann"], "val": ["ben"]}}
"""Nobody of `training_store`."""
IDENTITY = Calibration(temperatures={"face": 1.0, "body": 1.0, "fused": 1.0})


def face_recipe(width: int = 4, *, data: dict[str, Any] | None = None, **training: Any) -> Recipe:
    """Faces alone, of some thousand weights."""
    values = small_recipe(**training).model_dump(mode="json")
    values["model"] |= {"body": None, "fusion": None}
    values["model"]["face"] |= {"width": width}
    values["data"] |= data or {}
    return validate({**values, "name": f"width_{width}"}, Recipe, source="face_recipe")


def write_recipes(
    folder: Path, members: dict[str, Recipe], combine: str = "mean", entries: list[Any] | None = None
) -> Path:
    """The ensemble's file beside those of its members. entries: of `members`, if not the files alone."""
    for name, recipe in members.items():
        (folder / f"{name}.yaml").write_text(dump_yaml(recipe), encoding="utf-8")
    listed = entries if entries is not None else [f"{name}.yaml" for name in members]
    path = folder / "ensemble.yaml"
    path.write_text(
        f"name: few\ndescription: A few.\nmembers: {listed}\ncombine: {combine}\n", encoding="utf-8"
    )
    return path


def make_ensemble(path: Path, recipes: dict[str, Recipe], combination: Combination) -> Path:
    """A folder as training leaves it; the members have random weights and a temperature each."""
    for number, (name, recipe) in enumerate(recipes.items()):
        torch.manual_seed(number)
        model = EmotionModel(recipe.emotion_model_config())
        temperatures = dict.fromkeys(("face", "body", "fused"), 0.1 + 0.05 * number)  # answers that differ
        save_checkpoint(
            path / MEMBERS / name,
            weights=model.state_dict(),
            recipe=recipe,
            contract=CONTRACT,
            calibration=Calibration(temperatures=temperatures).to_json(),
            metrics={"used": USED},
            card="# A member\n",
        )
    recipe_files = [{"recipe": f"{name}.yaml"} for name in recipes]
    values = {"name": "few", "members": recipe_files, "combine": combination.kind}
    save_ensemble(
        path,
        members=list(recipes),
        combination=combination,
        recipe=EnsembleRecipe.model_validate(values),
        contract=CONTRACT,
        labels=CLASSES,
        calibration=IDENTITY.to_json(),
        metrics={"used": USED},
        card="# An ensemble\n",
    )
    return path


def some_batch(num_samples: int = 5, *, body: bool = False) -> dict[str, torch.Tensor]:
    """Frames at random; the second sample lacks a clip, the third its face."""
    generator = torch.Generator().manual_seed(7)
    frames = torch.randint(0, 256, (num_samples, 2, 2, 33, 33, 3), dtype=torch.uint8, generator=generator)
    mask = torch.ones(num_samples, 2, dtype=torch.bool)
    mask[1, 0] = False
    mask[2] = False
    batch = {"frames": frames, "clip_mask": mask}
    if body:
        keypoints = torch.rand(num_samples, 16, 17, 3, generator=generator) * 200
        batch |= {"keypoints": keypoints, "body_mask": torch.tensor([True, True, True, False, True])}
    return batch
