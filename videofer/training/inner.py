"""Predictions for the run's own subjects by models that have not seen them: an inner group k-fold.

The run's training and validation subjects, never those of the test split, are divided into k folds. For each
fold one further model is trained on the others, with validation subjects for its early stopping carved from
them, and predicts the fold. Together the predictions cover every labelled interval once, each by a model to
which its subject is new: what a calibration and a fusion can be fitted on honestly.

A finished fold is kept in RUN/state/inner_<i>/ and is not trained again.
"""

from __future__ import annotations

import shutil
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save

from cache.atomic import atomic_write
from cache.reader import StoreReader
from videofer.data.dataset import SampleDataset
from videofer.data.examples import Example
from videofer.data.groups import balanced_folds, linked_groups
from videofer.evaluation.predict import WindowOutputs, run_windows
from videofer.recipe import Recipe
from videofer.training.job import Job
from videofer.training.loop import fit
from videofer.training.place import Place
from videofer.training.progress import Event, Progress
from videofer.training.split import Split, TrainingError, carve_validation
from videofer.training.state import STATE_DIR

_OUTPUTS = "out_of_fold.safetensors"


@dataclass(frozen=True, kw_only=True)
class InnerFold:
    """What one of the further models is trained on, and whom it predicts."""

    number: int  # counts from 1
    split: Split
    held: list[Example]


@dataclass(frozen=True, kw_only=True)
class OutOfFold:
    """Predictions for N examples, each by a model that has not seen its subject."""

    windows: WindowOutputs
    examples: list[Example]  # (N,) all of the run, in the order of the manifest
    fold: np.ndarray  # (M,) int64: the inner fold of each window

    @property
    def num_subjects(self) -> int:
        """Distinct subjects of the examples."""
        return len({example.subject for example in self.examples})


def inner_folds(split: Split, recipe: Recipe) -> list[InnerFold]:
    """The division; it depends on the examples and the recipe's seed only.

    TrainingError where there are too few subjects for `training.inner_folds`.
    """
    settings = recipe.training
    assert settings.inner_folds >= 2
    examples = sorted([*split.train, *split.val], key=lambda e: e.row)
    group = linked_groups([e.subject for e in examples], [e.key for e in examples])
    num_groups = int(group.max()) + 1
    if num_groups < max(settings.inner_folds, 3):
        raise TrainingError(
            f"training.inner_folds is {settings.inner_folds}, but there are only {num_groups} training and "
            "validation subjects (those who share a video count as one): inner folds need as many, and "
            "at least 3; 0 calibrates on the validation subjects"
        )
    target = np.stack([example.target for example in examples])
    fold_of_group = balanced_folds(group, target, settings.inner_folds, settings.seed)  # (G,)
    # The other folds must give a training and a validation side; three folds or more always do.
    if num_groups - int(np.bincount(fold_of_group).max()) < 2:
        raise TrainingError(
            f"training.inner_folds is 2, but one of {num_groups} training and validation subjects alone "
            "would be left to train on and to validate with: take 3 inner folds, or 0 for none"
        )
    fold_of = fold_of_group[group]  # (N,)
    drawn = settings.model_copy(update={"val_subjects": None})
    folds = []
    for place in range(settings.inner_folds):
        rest = [e for e, own in zip(examples, fold_of, strict=True) if own != place]
        held = [e for e, own in zip(examples, fold_of, strict=True) if own == place]
        train, val = carve_validation(rest, drawn)
        folds.append(InnerFold(number=place + 1, split=Split(train=train, val=val), held=held))
    return folds


def check_inner_folds(split: Split, recipe: Recipe) -> None:
    """TrainingError, before anything is trained, where `training.inner_folds` cannot be met."""
    if recipe.training.inner_folds:
        inner_folds(split, recipe)


def out_of_fold(job: Job, place: Place, progress: Progress) -> OutOfFold:
    """Trains the further models, as far as that is not done yet, and returns their joined predictions.

    A collective call: all processes train each model together, and all get all predictions.
    """
    examples = sorted([*job.split.train, *job.split.val], key=lambda e: e.row)
    row_to_place = {example.row: number for number, example in enumerate(examples)}
    parts: list[WindowOutputs] = []
    folds = inner_folds(job.split, job.recipe)
    for fold in folds:
        part = _predict_fold(job, place, fold, len(folds), progress)
        rows = np.array([row_to_place[example.row] for example in fold.held])
        parts.append(WindowOutputs(part.outputs, rows[part.example]))
    windows = WindowOutputs(
        {name: torch.cat([part.outputs[name] for part in parts]) for name in parts[0].outputs},
        np.concatenate([part.example for part in parts]),
    )
    numbers = np.repeat([fold.number for fold in folds], [len(part.example) for part in parts])
    return OutOfFold(windows=windows, examples=examples, fold=numbers)


def _predict_fold(
    job: Job, place: Place, fold: InnerFold, num_folds: int, progress: Progress
) -> WindowOutputs:
    """The held-out examples' windows; `example` counts in `fold.held`."""
    settings = job.recipe.training.model_copy(update={"inner_folds": 0, "val_subjects": None})
    recipe = job.recipe.model_copy(update={"training": settings})
    path = job.out / STATE_DIR / f"inner_{fold.number}" / _OUTPUTS
    held = Split(train=fold.split.train, val=[*fold.split.val, *fold.held])
    made_for = {"fingerprint": held.fingerprint(), "recipe": recipe.model_dump_json()}
    # Only the first process looks, so that all train or none does.
    kept: WindowOutputs | None = _from_first(_load(path, made_for) if place.is_first else None, place)
    if kept is not None:
        return kept

    def tell(event: Event) -> None:
        progress(replace(event, part=f"inner fold {fold.number} of {num_folds}"))

    inner = replace(
        job,
        recipe=recipe,
        out=path.parent,
        prepared=replace(job.prepared, split=fold.split),
        resume=True,
        wandb=None,
    )
    fitted = fit(inner, place, tell)
    dataset = SampleDataset(
        StoreReader(job.store),
        fold.held,
        recipe.sample_spec(),
        training=False,
        windows=recipe.data.eval_windows,
    )
    windows = run_windows(
        fitted.model,
        dataset,
        place.device,
        rank=place.rank,
        num_processes=place.num_processes,
        loader_workers=settings.loader_workers,
    )
    if place.is_first:
        _save(path, windows, made_for)
        shutil.rmtree(path.parent / STATE_DIR, ignore_errors=True)  # weights that nobody needs any more
    return windows


def _from_first(value: Any, place: Place) -> Any:
    """The first process's value, in all. A collective call."""
    if place.num_processes == 1:
        return value
    box = [value]
    torch.distributed.broadcast_object_list(box, src=0)
    return box[0]


def _save(path: Path, windows: WindowOutputs, made_for: Mapping[str, str]) -> None:
    tensors = {**windows.outputs, "example": torch.from_numpy(windows.example)}
    content = save({name: t.contiguous() for name, t in tensors.items()}, metadata=dict(made_for))
    with atomic_write(path) as file:
        file.write(content)


def _load(path: Path, made_for: Mapping[str, str]) -> WindowOutputs | None:
    """None where the fold has not been finished. TrainingError where the file was made for other data."""
    if not path.is_file():
        return None
    try:
        with safe_open(path, framework="pt") as file:
            metadata = file.metadata()
            tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118  (no mapping)
    except (SafetensorError, OSError) as error:
        raise TrainingError(f"{path} cannot be read: {' '.join(str(error).split())}") from None
    if metadata != dict(made_for):
        raise TrainingError(f"{path} was made with another recipe or other labels: begin a new run")
    return WindowOutputs(tensors, tensors.pop("example").numpy())
