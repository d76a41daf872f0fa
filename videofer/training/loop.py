"""The training loop of one process: epochs, validation, the best weights, the state for a resume.

Alone it trains by itself; among several processes (see `ray_train`) gradients are averaged by DDP, each
process validates its share, all see the same figures and so decide the same, and rank 0 writes.
"""

from __future__ import annotations

import math
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from cache.reader import StoreReader
from videofer.data.crops import CropCache
from videofer.data.dataset import SampleDataset
from videofer.data.examples import Example
from videofer.evaluation.calibration import IDENTITY
from videofer.evaluation.metrics import measure
from videofer.evaluation.predict import WindowOutputs, run_windows, targets
from videofer.models.model import EmotionModel
from videofer.recipe import Recipe, TrainingRecipe
from videofer.training.progress import Progress
from videofer.training.runner import Place, Runner
from videofer.training.split import Prepared, Split
from videofer.training.state import State, load_state, save_state
from videofer.training.threads import use_threads


@dataclass(frozen=True, kw_only=True)
class Job:
    """What is to be trained, the same for every process. Picklable."""

    recipe: Recipe
    store: Path
    out: Path
    prepared: Prepared
    resume: bool

    @property
    def split(self) -> Split:
        """The labelled intervals."""
        return self.prepared.split


@dataclass(frozen=True, kw_only=True)
class Fitted:
    """What training leaves in every process."""

    model: EmotionModel  # with the weights of the best epoch, in eval mode
    history: list[dict[str, float]]  # figures of each epoch
    best_epoch: int  # counts from 0
    seconds: float
    threads: int  # of each process
    val: WindowOutputs  # the best epoch's outputs on the validation windows


def fit(job: Job, place: Place, progress: Progress) -> Fitted:
    """Trains to the end of the recipe, or until the figure that the recipe watches has stopped improving.

    `progress` is called in rank 0 only. TrainingError where the loss is no number any more.
    """
    identity: dict[str, Any] = {
        "recipe": job.recipe,
        "fingerprint": job.split.fingerprint(),
        "num_processes": place.num_processes,
    }
    state = load_state(job.out, **identity) if job.resume else None
    state = state or State()
    train_set, val_set = _make_datasets(job, place)
    runner = Runner(job.recipe, job.split, place, train_set, state)
    with use_threads(state.threads):
        return _fit(job, place, progress, runner, val_set, identity)


def _fit(
    job: Job,
    place: Place,
    progress: Progress,
    runner: Runner,
    val_set: SampleDataset,
    identity: dict[str, Any],
) -> Fitted:
    recipe, settings, state = job.recipe, job.recipe.training, runner.state
    writer = _make_writer(job.out, state.epoch) if place.rank == 0 else None  # of TensorBoard

    while state.epoch < settings.epochs and not _is_over(state.history, settings):
        began = time.monotonic()
        figures = runner.train_epoch(progress)
        runner.share_buffers()
        windows = _validate(runner.model, val_set, place, settings.loader_workers)
        figures |= val_figures(windows, job.split.val, recipe.data.classes)
        is_best = not state.history or _rank_of(figures, settings) > max(
            _rank_of(past, settings) for past in state.history
        )
        state.history.append(figures)
        state.epoch += 1
        state.seconds += time.monotonic() - began
        if writer is not None:
            runner.export(state, is_best)
            save_state(job.out, state, **identity)
            for name, value in figures.items():
                writer.add_scalar(name, value, state.epoch)
            writer.flush()
            progress(runner.event(state, figures, is_best))
    if writer is not None:
        writer.close()
    if place.num_processes > 1:  # only rank 0 has kept the best weights
        runner.model.load_state_dict(_broadcast(state.best if place.rank == 0 else None))
    else:
        runner.model.load_state_dict(state.best)
    windows = _validate(runner.model, val_set, place, settings.loader_workers)
    return Fitted(
        model=runner.model.eval(),
        history=state.history,
        best_epoch=_best_epoch(state.history, settings),
        seconds=state.seconds,
        threads=state.threads,
        val=windows,
    )


def val_figures(windows: WindowOutputs, val: list[Example], classes: list[str]) -> dict[str, float]:
    """Figures of the model's answer on the validation intervals, before any calibration."""
    intervals = windows.intervals(IDENTITY, len(val))
    metrics = measure(intervals.probs["fused"], targets(val), classes)
    return {"val/loss": metrics.nll, "val/war": metrics.war, "val/uar": metrics.uar}


def _make_datasets(job: Job, place: Place) -> tuple[SampleDataset, SampleDataset]:
    recipe, split = job.recipe, job.split
    spec, settings = recipe.sample_spec(), recipe.training
    reader = StoreReader(job.store)
    cache = None
    if recipe.data.cache_crops and spec.use_face:
        max_bytes = int(recipe.data.max_cache_gib * 2**30 / place.num_processes)
        cache = CropCache(reader, spec.input_size, max_bytes=max_bytes)
        cache.fill([*split.val, *split.train])
    # Where an epoch has more samples than there are intervals, each of them is another random window.
    windows = math.ceil((settings.samples_per_epoch or 1) / len(split.train))
    train_set = SampleDataset(
        reader,
        split.train,
        spec,
        training=True,
        windows=windows,
        augment=settings.augment,
        seed=settings.seed,
        cache=cache,
    )
    val_set = SampleDataset(
        reader, split.val, spec, training=False, windows=recipe.data.eval_windows, cache=cache
    )
    return train_set, val_set


def _validate(
    model: EmotionModel, val_set: SampleDataset, place: Place, loader_workers: int
) -> WindowOutputs:
    return run_windows(
        model,
        val_set,
        place.device,
        rank=place.rank,
        num_processes=place.num_processes,
        loader_workers=loader_workers,
    )


def _make_writer(out: Path, epoch: int) -> Any:
    from torch.utils.tensorboard import SummaryWriter

    return SummaryWriter(str(out / "tensorboard"), purge_step=epoch + 1 if epoch else None)  # type: ignore[no-untyped-call]


def _rank_of(figures: dict[str, float], settings: TrainingRecipe) -> tuple[float, float]:
    """Larger is better. On a few dozen validation intervals equal recalls are common: the loss decides."""
    if settings.monitor == "val_loss":
        return -figures["val/loss"], figures["val/uar"]
    return figures["val/uar"], -figures["val/loss"]


def _best_epoch(history: list[dict[str, float]], settings: TrainingRecipe) -> int:
    return max(range(len(history)), key=lambda epoch: (_rank_of(history[epoch], settings), -epoch))


def _is_over(history: list[dict[str, float]], settings: TrainingRecipe) -> bool:
    if settings.patience is None or not history:
        return False
    return len(history) - 1 - _best_epoch(history, settings) >= settings.patience


def _broadcast(weights: dict[str, Tensor] | None) -> dict[str, Tensor]:
    box: list[Any] = [weights]
    torch.distributed.broadcast_object_list(box, src=0)
    received: dict[str, Tensor] = box[0]
    return received
