"""Training from a recipe and a store to a run folder: the function behind `videofer train`."""

from __future__ import annotations

import json
import shutil
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

from videofer.checkpoint import WEIGHTS
from videofer.recipe import Recipe
from videofer.training.finish import finish
from videofer.training.loop import Job, fit
from videofer.training.progress import Progress, print_progress
from videofer.training.runner import Place
from videofer.training.split import TrainingError, prepare
from videofer.training.state import STATE_DIR, has_state


@dataclass(frozen=True, kw_only=True)
class TrainReport:
    """What came of a training run."""

    path: Path
    num_epochs: int
    best_epoch: int  # counts from 1, as people do
    num_train: int  # labelled intervals
    num_val: int
    val_metrics: Mapping[str, Mapping[str, Any]]  # per head: `Metrics.to_json`, calibrated
    calibration: Mapping[str, Any]  # content of calibration.json
    seconds: float
    unused: list[str]
    """A line for each row of the manifest that could not be used: its name and why."""


def train(
    recipe: Recipe,
    store: Path,
    out: Path,
    *,
    workers: int = 1,
    resume: bool = False,
    manifest: Path | None = None,
    progress: Progress = print_progress,
) -> TrainReport:
    """Trains a model, calibrates it on the validation subjects and writes the run folder `out`.

    `workers`: processes; 0 and 1 train in this one, more through Ray Train, each with a share of the machine
    and `training.batch_size` samples a step. `resume`: go on with the run that `out` holds, if it holds one.
    `manifest`: a file of labels; None: the store's own. Errors for the user are ValueErrors and StoreErrors.
    """
    store, out = Path(store), Path(out)
    if workers < 0:
        raise TrainingError(f"workers must be at least 0, not {workers}")
    prepared = prepare(recipe, store, manifest)
    _claim(out, resume)
    job = Job(
        recipe=recipe,
        store=store.absolute(),
        out=out.absolute(),
        prepared=prepared,
        resume=resume,
    )
    if workers > 1:
        from videofer.training.ray_train import fit_with_ray

        fit_with_ray(job, workers, progress)
    else:
        place = Place(device=torch.device("cuda" if torch.cuda.is_available() else "cpu"))
        finish(job, fit(job, place, progress))
    return read_report(out, prepared.unused)


def read_report(out: Path, unused: list[str]) -> TrainReport:
    """The report of a finished run, from its files: they may have been written by another process."""
    metrics = json.loads((out / "metrics.json").read_text(encoding="utf-8"))
    return TrainReport(
        path=out,
        num_epochs=metrics["num_epochs"],
        best_epoch=metrics["best_epoch"],
        num_train=metrics["num_train"],
        num_val=metrics["num_val"],
        val_metrics=metrics["validation"],
        calibration=json.loads((out / "calibration.json").read_text(encoding="utf-8")),
        seconds=metrics["seconds"],
        unused=unused,
    )


def _claim(out: Path, resume: bool) -> None:
    """A run never writes over another one."""
    if out.is_file():
        raise TrainingError(f"{out} is a file, not a folder for a run")
    if not resume and (has_state(out) or (out / WEIGHTS).exists()):
        raise TrainingError(f"{out} holds a run already: go on with it by --resume, or choose another folder")
    ours = {STATE_DIR, "tensorboard"}  # all that a run has which was killed within its first epoch
    strangers = sorted({p.name for p in out.iterdir()} - ours) if out.is_dir() else []
    if strangers and not has_state(out) and not (out / WEIGHTS).exists():
        raise TrainingError(f"{out} is neither empty nor a run: it holds '{strangers[0]}'")
    if not has_state(out):
        for name in ours:
            shutil.rmtree(out / name, ignore_errors=True)
    out.mkdir(parents=True, exist_ok=True)
