"""What cannot be trained, said in one line before anything is begun."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from preprocessing.skeletons.in_layout import why_not
from preprocessing.skeletons.layouts import LAYOUTS, mirror_order
from videofer.data.examples import Example
from videofer.models.trunks import PLANS, takes_resnet18
from videofer.recipe import Recipe
from videofer.training.initial import check_init_from
from videofer.training.inner import check_inner_folds
from videofer.training.split import Prepared, TrainingError


def check_recipe(recipe: Recipe, workers: int) -> None:
    """TrainingError where the recipe contradicts itself or the number of processes."""
    settings = recipe.training
    if workers < 0:
        raise TrainingError(f"workers must be at least 0, not {workers}")
    if settings.batch_size < workers:
        raise TrainingError(
            f"training.batch_size is {settings.batch_size}, of all processes together: {workers} workers "
            f"need at least {workers}"
        )
    if settings.pretrained_trunk is not None and recipe.model.face is None:
        raise TrainingError("training.pretrained_trunk is given, but the recipe has no model.face")
    face = recipe.model.face
    if settings.pretrained_trunk is not None and face is not None and not takes_resnet18(face):
        raise TrainingError(
            f"training.pretrained_trunk is for ResNet-18, not for model.face.trunk {face.trunk} with stem "
            f"{face.stem}: set it to null"
        )
    if settings.init_from is not None and recipe.model.face is None:
        raise TrainingError("training.init_from takes a face trunk, but the recipe has no model.face")
    if settings.init_from is not None and settings.pretrained_trunk is not None:
        raise TrainingError(
            "training.init_from and training.pretrained_trunk are both given: set one to null"
        )
    if settings.augment.mix and recipe.model.body is not None:
        raise TrainingError(
            "training.augment.mix blends faces and cannot blend bodies: set it, mixup and cutmix to 0, or "
            "model.body to null"
        )
    if settings.augment.mix and face is not None and face.scn is not None:
        raise TrainingError(
            "training.augment.mix gives a picture two labels, of which model.face.scn could exchange one: "
            "set mix, mixup and cutmix to 0, or scn to null"
        )
    if settings.compile and workers > 1:
        raise TrainingError(
            f"training.compile is for one process, not {workers} workers: their normalisations wait for each "
            "other, which cannot be compiled"
        )
    if settings.compile and face is not None and face.trunk in PLANS:
        raise TrainingError(
            f"training.compile is not for model.face.trunk {face.trunk}, which torch compiles to code that "
            "fails: set it to false"
        )
    if settings.nesterov and (settings.optimizer != "sgd" or settings.momentum == 0):
        raise TrainingError("training.nesterov needs the optimizer sgd and a momentum above 0")
    _check_targets(recipe)


def _check_targets(recipe: Recipe) -> None:
    """What is of one class only, in a recipe whose targets are multi; what dimensions do not allow."""
    settings = recipe.training
    of_one_class = settings.class_weights != "none" or settings.balanced_sampling
    if recipe.data.targets == "multi" and of_one_class:
        name = "balanced_sampling" if settings.balanced_sampling else "class_weights"
        off = "false" if settings.balanced_sampling else "none"
        raise TrainingError(
            f"training.{name} is for data.targets single, where an interval has one class: set it to {off}"
        )
    if recipe.data.dimensions and settings.augment.mix:
        raise TrainingError(
            "training.augment.mix blends faces, and nobody has rated a blend: set mix, mixup and cutmix to "
            "0, or data.dimensions to []"
        )


def check_data(prepared: Prepared, recipe: Recipe, where: str) -> None:
    """TrainingError where the labelled intervals cannot teach what the recipe wants. where: the store."""
    _check_modalities(prepared, recipe, where)
    if recipe.data.targets == "single":  # of several at once, one that nobody shows is never said
        _check_classes(prepared.split.train, prepared.split.val, recipe.data.classes)
    _check_dimensions(prepared.split.train, recipe.data.dimensions)
    check_inner_folds(prepared.split, recipe)
    check_init_from(recipe, prepared.split)


def _check_modalities(prepared: Prepared, recipe: Recipe, where: str) -> None:
    skeleton = prepared.contract["skeleton"]
    if recipe.model.face is not None and "face" not in prepared.modalities:
        raise TrainingError(
            f"the recipe has model.face, but {where} has no face of anybody who is trained on: preprocess "
            "with a face detector, or set model.face and model.fusion to null"
        )
    face = recipe.model.face
    if face is not None and face.landmark_weight > 0 and "landmarks" not in prepared.modalities:
        raise TrainingError(
            f"model.face.landmark_weight is {face.landmark_weight:g}, but {where} has no dense landmarks of "
            "anybody who is trained on: preprocess with landmarks mesh, or set it to 0"
        )
    body = recipe.model.body
    if body is None:
        return
    if skeleton == "none" or "body" not in prepared.modalities:
        raise TrainingError(
            f"the recipe has model.body, but {where} has no skeleton of anybody who is trained on: "
            "preprocess with --pose, or set model.body and model.fusion to null"
        )
    wanted = recipe.data.skeleton
    if wanted is not None and skeleton != wanted and skeleton in LAYOUTS:
        raise TrainingError(
            f"data.skeleton is {wanted}, but the skeletons of {where} ({skeleton}) cannot be brought to it: "
            + why_not(skeleton, wanted)
        )
    num_joints = LAYOUTS[skeleton].num_joints if skeleton in LAYOUTS else body.num_joints
    if num_joints != body.num_joints:
        raise TrainingError(
            f"model.body.num_joints is {body.num_joints}, but the skeletons of {where} ({skeleton}) have "
            f"{num_joints} joints"
        )
    if body.layout is not None and skeleton in LAYOUTS and body.layout != skeleton:
        raise TrainingError(
            f"model.body.layout is {body.layout}, but the skeletons of {where} are {skeleton}: set it, or "
            f"data.skeleton to {body.layout}"
        )
    if mirror_order(skeleton) is None and recipe.training.augment.flip > 0:
        raise TrainingError(
            f"training.augment.flip is {recipe.training.augment.flip:g}, but how skeletons {skeleton!r} are "
            "mirrored is not known: set it to 0"
        )


def _check_classes(train: Sequence[Example], val: Sequence[Example], classes: Sequence[str]) -> None:
    learned = [target for e in train for target in (e.target, *e.branch_targets.values())]
    mass = np.sum(learned, axis=0)  # a class may be one that only face or body show
    for name, shown, place in zip(classes, mass, range(len(classes)), strict=True):
        if shown > 0:
            continue
        num_val = sum(example.label == place for example in val)
        if num_val:
            raise TrainingError(
                f"all {num_val} intervals of the class {name!r} are of validation subjects: choose others by "
                "training.val_subjects or the manifest's split, or remove the class from data.classes"
            )
        raise TrainingError(
            f"the class {name!r} has no training sample: remove it from data.classes, or label some"
        )


def _check_dimensions(train: Sequence[Example], dimensions: Sequence[str]) -> None:
    for place, name in enumerate(dimensions):
        values = {float(e.dimensions[place]) for e in train if not np.isnan(e.dimensions[place])}
        if len(values) < 2:
            what = (
                "no training interval has one"
                if not values
                else f"all training intervals have {values.pop():g}"
            )
            raise TrainingError(
                f"data.dimensions has {name!r}, but {what}: fill the manifest's column {name!r}, or leave "
                "it out"
            )
