"""Training from a recipe and a store to a run folder: the function behind `videofer train`."""

from __future__ import annotations

import json
import shutil
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

from cache.atomic import atomic_write_text
from videofer.checkpoint import WEIGHTS
from videofer.recipe import Recipe
from videofer.training.checks import check_data, check_recipe
from videofer.training.dry_run import try_once
from videofer.training.finish import finish
from videofer.training.job import Job
from videofer.training.loop import fit
from videofer.training.place import Place
from videofer.training.progress import Progress, print_progress
from videofer.training.split import TrainingError, prepare
from videofer.training.state import STATE_DIR, has_state
from videofer.training.trackers import check_wandb

TRAINED_ON = "trained_on.json"
"""Keys and subjects of the videos, written before anything is trained: who withdraws can be told of it."""

_BEFORE_STATE = (STATE_DIR, "tensorboard", "train.log", "environment.json", TRAINED_ON)
"""All that a run has which was killed before its first state."""


@dataclass(frozen=True, kw_only=True)
class TrainReport:
    """What came of a training run. A dry run has only `path`, numbers of intervals, `unused` and `tried`."""

    path: Path
    num_train: int  # labelled intervals
    num_val: int
    unused: list[str]
    """A line for each row of the manifest that could not be used: its name and why."""
    num_epochs: int = 0
    kept_epoch: int = 0  # counts from 1, as people do
    val_metrics: Mapping[str, Mapping[str, Any]]  # per head: `Metrics.to_json`, calibrated
    calibration: Mapping[str, Any]  # content of calibration.json
    seconds: float = 0.0
    tried: tuple[str, ...] = ()
    """Of a dry run: lines that say what was tried and how long it took."""


def train(
    recipe: Recipe,
    store: Path,
    out: Path,
    *,
    workers: int = 1,
    resume: bool = False,
    manifest: Path | None = None,
    ray_address: str | None = None,
    dry_run: bool = False,
    wandb: str | None = None,
    threads: int | None = None,
    progress: Progress = print_progress,
) -> TrainReport:
    """Trains a model, calibrates it and writes the run folder `out`.

    workers: processes; 0 and 1 train in this one, more through Ray Train, each with a part of every batch.
    resume: go on with the run that `out` holds, if it holds one.
    manifest: a file of labels; None: the store's own.
    ray_address: of a cluster whose machines see `store` and `out` under the same paths; None: our own Ray.
    dry_run: takes one batch through everything, writes nothing.
    wandb: a project of Weights & Biases, which gets the figures.
    threads: of each process; None: as many as are fastest now.
    Errors for the user are UserErrors of one line.
    """
    store, out = Path(store), Path(out)
    check_recipe(recipe, workers)
    check_wandb(wandb)
    prepared = prepare(recipe, store, manifest)
    check_data(prepared, recipe, str(store))
    job = Job(
        recipe=recipe,
        store=store.absolute(),
        out=out.absolute(),
        prepared=prepared,
        resume=resume,
        threads=threads,
        wandb=wandb,
        command=tuple(sys.argv),
    )
    place = Place(device=torch.device("cuda" if torch.cuda.is_available() else "cpu"))
    if dry_run:
        return TrainReport(
            path=out,
            num_train=len(prepared.split.train),
            num_val=len(prepared.split.val),
            unused=prepared.unused,
            val_metrics={},
            calibration={},
            tried=tuple(try_once(job, place, workers)),
        )
    _claim(out, resume)
    atomic_write_text(out / TRAINED_ON, json.dumps(_trained_on(job), indent=2) + "\n")
    if workers > 1 or ray_address is not None:
        from videofer.training.ray_train import fit_with_ray

        fit_with_ray(job, max(workers, 1), progress, ray_address)
    else:
        finish(job, place, fit(job, place, progress), progress)
    return read_report(out, prepared.unused)


def read_report(out: Path, unused: list[str]) -> TrainReport:
    """The report of a finished run, from its files: they may have been written by another process."""
    metrics = json.loads((out / "metrics.json").read_text(encoding="utf-8"))
    return TrainReport(
        path=out,
        num_epochs=metrics["num_epochs"],
        kept_epoch=metrics["kept_epoch"],
        num_train=metrics["num_train"],
        num_val=metrics["num_val"],
        val_metrics=metrics["validation"],
        calibration=json.loads((out / "calibration.json").read_text(encoding="utf-8")),
        seconds=metrics["seconds"],
        unused=unused,
    )


def _trained_on(job: Job) -> dict[str, Any]:
    return {"store": str(job.store), **job.split.used()}


def _claim(out: Path, resume: bool) -> None:
    """A run never writes over another one."""
    if out.is_file():
        raise TrainingError(f"{out} is a file, not a folder for a run")
    if not resume and (has_state(out) or (out / WEIGHTS).exists()):
        raise TrainingError(f"{out} holds a run already: go on with it by --resume, or choose another folder")
    if not has_state(out):
        if (out / WEIGHTS).exists():
            raise TrainingError(f"{out} is a finished run without its state: there is nothing to go on with")
        _make_room(out)
    out.mkdir(parents=True, exist_ok=True)


def _make_room(out: Path) -> None:
    """Removes what a run left that was killed before its first state. TrainingError where there is more."""
    paths = sorted(out.iterdir()) if out.is_dir() else []
    strangers = [path.name for path in paths if path.name not in _BEFORE_STATE]
    if strangers:
        raise TrainingError(f"{out} is neither empty nor a run: it holds '{strangers[0]}'")
    for path in paths:
        shutil.rmtree(path) if path.is_dir() else path.unlink()
