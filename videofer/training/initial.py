"""The weights a run begins with: another run's face trunk, as when a model of stills goes on to clips.

Only the trunk is taken, by the names of its weights; heads, streams and body begin anew. Who taught the trunk
must not be who the new run is measured on, so that is refused, and the run's metrics.json counts the trunk's
training videos among its own.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn

from videofer.checkpoint import LoadedModel
from videofer.export import load_model
from videofer.models.arm import ARMTrunk
from videofer.models.face import FaceModel
from videofer.models.model import EmotionModel
from videofer.models.resnet import ResNet18Trunk
from videofer.recipe import Recipe
from videofer.training.log import LOGGER
from videofer.training.split import Split, TrainingError


def take_trunk(model: EmotionModel, source: str) -> None:
    """Copies the trunk's weights of the model at `source`, as for `load_model`, into `model`; says so.

    ARM is a ResNet-18 with a layer of its own at the end: it takes a ResNet-18's trunk as that part.

    TrainingError where it has no such trunk: the first weight that is missing, left over or of another shape.
    """
    assert model.face is not None, "checked by videofer.training.checks"
    face = _face_of(source)
    trunk: nn.Module = model.face.trunk
    if isinstance(trunk, ARMTrunk) and isinstance(face.trunk, ResNet18Trunk):
        trunk = trunk.resnet
    own, other = trunk.state_dict(), face.trunk.state_dict()
    _check_same_weights(own, other, source)
    for name in ("mean", "std"):
        ours, theirs = (getattr(config, name) for config in (model.face.config, face.config))
        if ours != theirs:
            raise TrainingError(
                f"training.init_from: {source} was trained with model.face.{name} {list(theirs)}, this "
                f"recipe has {list(ours)}: a trunk knows only the values that it has seen"
            )
    with torch.no_grad():
        for name, value in own.items():
            value.copy_(other[name])
    count = sum(parameter.numel() for parameter in face.trunk.parameters())
    LOGGER.info(f"face trunk from {source}: {len(own)} tensors, {count:,} parameters; all else begins anew")


def check_init_from(recipe: Recipe, split: Split) -> None:
    """TrainingError where the model of `training.init_from` was trained with whom this run is measured on.

    Who validated that one may validate this one. Inner folds calibrate on everybody: it must know nobody.
    """
    source, folds = recipe.training.init_from, recipe.training.inner_folds > 0
    if source is None:
        return
    seen = _load(source).used
    measured = [*split.val, *(split.train if folds else [])]
    for kind, present in (
        ("subjects", {example.subject for example in measured}),
        ("keys", {example.key for example in measured}),
    ):
        both = sorted(present & {*seen[kind]["train"], *(seen[kind]["val"] if folds else [])})
        if both:
            what = "subject" if kind == "subjects" else "video"
            raise TrainingError(
                f"training.init_from: {source} was trained with the {what} {both[0]!r}, on whom this run is "
                f"{'calibrated' if folds else 'validated'} ({len(both)} such): its figures would be too good"
            )


def used_with_trunk(recipe: Recipe, split: Split) -> dict[str, dict[str, list[str]]]:
    """`Split.used`, with all that the trunk of `training.init_from` has seen counted as training."""
    used = split.used()
    if recipe.training.init_from is None:
        return used
    seen = _load(recipe.training.init_from).used
    return {
        kind: {
            "train": sorted({*sides["train"], *seen[kind]["train"], *seen[kind]["val"]} - {*sides["val"]}),
            "val": sides["val"],
        }
        for kind, sides in used.items()
    }


def _load(source: str) -> LoadedModel:
    loaded: Any = load_model(source, device="cpu")
    if not isinstance(loaded, LoadedModel):
        raise TrainingError(f"training.init_from: {source} is an export, not the folder of a trained model")
    return loaded


def _face_of(source: str) -> FaceModel:
    face = _load(source).model.face
    if face is None:
        raise TrainingError(f"training.init_from: {source} is a model without a face")
    return face


def _check_same_weights(own: dict[str, Tensor], other: dict[str, Tensor], source: str) -> None:
    for name, value in own.items():
        if name not in other:
            raise TrainingError(f"training.init_from: the trunk of {source} has no {name}")
        if other[name].shape != value.shape:
            raise TrainingError(
                f"training.init_from: {name} has shape {tuple(other[name].shape)} in the trunk of {source}, "
                f"this recipe's has {tuple(value.shape)}"
            )
    left_over = sorted(other.keys() - own.keys())
    if left_over:
        raise TrainingError(
            f"training.init_from: the trunk of {source} has a {left_over[0]}, this recipe's has none"
        )
