"""The training loop of one process: epochs, validation, the weights to keep, the state for a resume.

Alone it trains by itself; among several processes (see `ray_train`) all compute parts of one batch, each
validates its share, all see the same figures and so decide the same, and the first one writes.
"""

from __future__ import annotations

import time

import numpy as np
import torch
from torch import Tensor, nn

from videofer.data.examples import Example
from videofer.evaluation.calibration import identity
from videofer.evaluation.metrics import Metrics, measure
from videofer.evaluation.multilabel import MultilabelMetrics, measure_multilabel
from videofer.evaluation.predict import WindowOutputs, run_windows, targets
from videofer.models.dimensions import loss_of, sums_of
from videofer.recipe import Recipe, TrainingRecipe
from videofer.training.curves import save_curves, save_history
from videofer.training.environment import device_name, record_environment
from videofer.training.job import Fitted, Job
from videofer.training.log import LOGGER, log_to_file
from videofer.training.place import Place
from videofer.training.progress import Progress, line
from videofer.training.runner import Runner
from videofer.training.samples import Samples, make_samples
from videofer.training.state import State, load_state, save_state
from videofer.training.threads import use_threads
from videofer.training.trackers import Trackers

_CURVES_SECONDS = 60.0  # at least, between drawings of the curves
_MUCH_WAITING = 0.3


def fit(job: Job, place: Place, progress: Progress) -> Fitted:
    """Trains to the end of the recipe, or until the figure that the recipe watches has stopped improving.

    A collective call. `progress` is called in the first process only. TrainingError where the loss is no
    number any more.
    """
    with log_to_file(job.out, place):
        identity = {"recipe": job.recipe, "fingerprint": job.split.fingerprint()}
        state = (load_state(job.out, **identity) if job.resume else None) or State()  # type: ignore[arg-type]
        before = state.num_processes
        samples = make_samples(job, place)
        runner = Runner(job, place, samples, state)
        if state.has_begun:
            LOGGER.info(f"going on after {state.epoch} epochs and {state.batch} batches")
            if before != place.num_processes:
                LOGGER.info(f"begun with {before} processes, now {place.num_processes}: equal up to rounding")
        with use_threads(state.threads):
            return _Fit(job, place, progress, samples, runner).run()


class _Fit:
    """A run in progress."""

    def __init__(self, job: Job, place: Place, progress: Progress, samples: Samples, runner: Runner) -> None:
        self.job, self.place, self.progress = job, place, progress
        self.samples, self.runner, self.state = samples, runner, runner.state
        self.settings = job.recipe.training
        self.curves_at = time.monotonic()  # when they were drawn last

    def run(self) -> Fitted:
        state, answer = self.state, self.runner.learner.answer
        trackers = None
        if self.place.is_first:
            self._say_what_begins()
            record_environment(self.job.out, self.place, self.job.command, state.threads)
            trackers = Trackers(self.job.out, self.job.recipe, state.epoch, self.job.wandb)
        try:
            while state.epoch < self.settings.epochs and not is_over(state.history, self.settings):
                self._run_epoch(trackers)
        finally:
            if trackers is not None:
                trackers.close()
        kept = kept_epoch(state.history, self.settings)
        if self.place.is_first:
            save_history(self.job.out, state.history)
            self._draw_curves(kept)
            why = f"the best by {self.settings.monitor}" if self.settings.keep == "best" else "the last"
            LOGGER.info(f"epoch {kept + 1} of {len(state.history)} is kept, {why}")
        answer.load_state_dict(state.best)
        return Fitted(
            model=answer.eval(),
            history=state.history,
            kept_epoch=kept,
            seconds=state.seconds,
            threads=state.threads,
            val=self._validate(),
        )

    def _run_epoch(self, trackers: Trackers | None) -> None:
        state, runner = self.state, self.runner
        figures = runner.train_epoch(self.progress, self._save)
        began = time.monotonic()
        figures |= val_figures(self._validate(), self.job.split.val, self.job.recipe)
        is_kept = kept_epoch([*state.history, figures], self.settings) == len(state.history)
        if is_kept:
            state.best = _copy(runner.learner.answer)
        state.history.append(figures)
        runner.end_epoch(state.epoch_seconds + time.monotonic() - began)
        if trackers is None:
            return
        self._save()
        trackers.log(figures, state.epoch)
        event = runner.event(figures, is_best=is_kept and self.settings.keep == "best")
        LOGGER.debug(line(event))
        self.progress(event)
        save_history(self.job.out, state.history)
        if time.monotonic() - self.curves_at > _CURVES_SECONDS:
            self._draw_curves(kept_epoch(state.history, self.settings))
        if len(state.history) == 1 and figures["train/waiting_share"] > _MUCH_WAITING:
            LOGGER.info(
                f"the steps waited {figures['train/waiting_share']:.0%} of the time for their samples: "
                "more training.loader_workers may help, or data.cache_crops"
            )

    def _save(self) -> None:
        self.state.learner = self.runner.learner.state_dict()
        save_state(self.job.out, self.state, recipe=self.job.recipe, fingerprint=self.job.split.fingerprint())

    def _validate(self) -> WindowOutputs:
        return run_windows(
            self.runner.learner.answer,
            self.samples.val,
            self.place.device,
            rank=self.place.rank,
            num_processes=self.place.num_processes,
            loader_workers=self.settings.loader_workers,
        )

    def _draw_curves(self, kept: int) -> None:
        data = self.job.recipe.data
        chance = 1 / len(data.classes) if data.targets == "single" else 1 / 2  # of UAR
        save_curves(self.job.out, self.state.history, kept, title=self.job.recipe.name, chance=chance)
        self.curves_at = time.monotonic()

    def _say_what_begins(self) -> None:
        place, learner, split = self.place, self.runner.learner, self.job.split
        num_parameters = sum(parameter.numel() for parameter in learner.parameters)
        precision = "float32" if learner.dtype is None else str(learner.dtype).removeprefix("torch.")
        if self.settings.compile:
            precision += ", compiled, so that the first steps take minutes"
        LOGGER.info(
            f"{num_parameters:,} parameters, {len(split.train)} training and {len(split.val)} validation "
            f"intervals; {place.num_processes} process{'es' * (place.num_processes > 1)} on "
            f"{device_name(place.device)}, {self.state.threads} threads each, {precision}"
        )
        if self.settings.balanced_sampling:
            classes = self.job.recipe.data.classes
            times = self.samples.sampler.repeats()
            shown = ", ".join(f"{classes[place]} {count:.2g}" for place, count in times.items())
            LOGGER.info(f"balanced sampling: an epoch shows each interval of a class so often: {shown}")


def val_figures(windows: WindowOutputs, val: list[Example], recipe: Recipe) -> dict[str, float]:
    """Figures of the model's answer on the validation intervals, before any calibration.

    Of multi targets WAR and UAR are of the answers at one half, see `evaluation.multilabel`. With dimensions
    the loss is that of classes and dimensions, as in training, over all intervals; `val/ccc` is their mean
    CCC.
    """
    intervals = windows.intervals(identity(recipe.data.targets), len(val))
    classes, dimensions = recipe.data.classes, recipe.data.dimensions
    metrics: Metrics | MultilabelMetrics
    if recipe.data.targets == "single":
        metrics = measure(intervals.probs["fused"], targets(val), classes)
    else:
        truth = np.stack([example.target for example in val])
        metrics = measure_multilabel(intervals.probs["fused"], truth, classes)
    figures = {"val/loss": metrics.nll, "val/war": metrics.war, "val/uar": metrics.uar}
    if dimensions:
        found, rated = intervals.dimensions["fused"], np.stack([example.dimensions for example in val])
        seen = torch.from_numpy(intervals.seen["fused"])
        sums = sums_of(torch.from_numpy(np.nan_to_num(found)), torch.from_numpy(rated), seen.float())
        figures["val/loss"] += recipe.training.dimension_weight * float(
            loss_of(sums, recipe.training.dimension_loss)
        )
        figures["val/ccc"] = 1 - float(loss_of(sums, "ccc"))
    return figures


def rank_of(figures: dict[str, float], settings: TrainingRecipe) -> tuple[float, float]:
    """Larger is better. On a few dozen validation intervals equal recalls are common: the loss decides."""
    if settings.monitor == "val_loss":
        return -figures["val/loss"], figures["val/uar"]
    return figures["val/uar"], -figures["val/loss"]


def kept_epoch(history: list[dict[str, float]], settings: TrainingRecipe) -> int:
    """Counts from 0; of equally good ones the first."""
    if settings.keep == "last":
        return len(history) - 1
    return max(range(len(history)), key=lambda epoch: (rank_of(history[epoch], settings), -epoch))


def is_over(history: list[dict[str, float]], settings: TrainingRecipe) -> bool:
    """Whether the last `training.patience` epochs brought no better one."""
    if settings.patience is None or not history:
        return False
    return len(history) - 1 - kept_epoch(history, settings) >= settings.patience


def _copy(model: nn.Module) -> dict[str, Tensor]:
    return {name: tensor.detach().cpu().clone() for name, tensor in model.state_dict().items()}
