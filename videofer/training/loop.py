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

import numpy as np
import torch
from torch import Tensor, nn
from torch.amp.grad_scaler import GradScaler
from torch.utils.data import DataLoader

from cache.reader import StoreReader
from videofer.checkpoint import INPUTS
from videofer.data.crops import CropCache
from videofer.data.dataset import EpochSampler, SampleDataset, collate
from videofer.data.examples import Example
from videofer.evaluation.calibration import IDENTITY
from videofer.evaluation.metrics import measure
from videofer.evaluation.predict import WindowOutputs, run_windows, targets
from videofer.models.model import EmotionModel
from videofer.recipe import Recipe, TrainingRecipe
from videofer.training.optimizer import amp_dtype, autocast, learning_rate, make_optimizer
from videofer.training.progress import Event, Progress
from videofer.training.split import Prepared, Split, TrainingError
from videofer.training.state import State, load_state, save_state, seed_epoch

_EVENT_SECONDS = 0.5  # between events within an epoch


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
class Place:
    """This process among those that train together."""

    rank: int = 0
    num_processes: int = 1
    device: torch.device


@dataclass(frozen=True, kw_only=True)
class Fitted:
    """What training leaves in every process."""

    model: EmotionModel  # with the weights of the best epoch, in eval mode
    history: list[dict[str, float]]  # figures of each epoch
    best_epoch: int  # counts from 0
    seconds: float
    val: WindowOutputs  # the best epoch's outputs on the validation windows


def fit(job: Job, place: Place, progress: Progress) -> Fitted:
    """Trains to the end of the recipe, or until the figure that the recipe watches has stopped improving.

    `progress` is called in rank 0 only. TrainingError where the loss is no number any more.
    """
    recipe, settings = job.recipe, job.recipe.training
    identity: dict[str, Any] = {
        "recipe": recipe,
        "fingerprint": job.split.fingerprint(),
        "num_processes": place.num_processes,
    }
    state = load_state(job.out, **identity) if job.resume else None
    state = state or State()
    train_set, val_set = _make_datasets(job, place)
    runner = _Runner(recipe, job.split, place, train_set, state)
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
        val=windows,
    )


class _Runner:
    """Model, optimiser and loader of this process."""

    def __init__(
        self, recipe: Recipe, split: Split, place: Place, train_set: SampleDataset, state: State
    ) -> None:
        settings = recipe.training
        self.settings, self.place, self.state = settings, place, state
        torch.manual_seed(settings.seed)  # the initial weights, equal in all processes
        self.model = EmotionModel(recipe.emotion_model_config()).to(place.device)
        self.optimizer = make_optimizer(self.model, settings)
        self.dtype = amp_dtype(settings, place.device)
        self.scaler = GradScaler(place.device.type, enabled=self.dtype == torch.float16)
        if state.epoch:
            self.model.load_state_dict(state.model)
            self.optimizer.load_state_dict(state.optimizer)
            self.scaler.load_state_dict(state.scaler)
        self.network: nn.Module = self.model
        if place.num_processes > 1:
            self.network = nn.parallel.DistributedDataParallel(self.model)
        self.class_weights = torch.from_numpy(_class_weights(split.train, recipe)).to(place.device)
        self.sampler = EpochSampler(
            train_set,
            settings.samples_per_epoch,
            balanced=settings.balanced_sampling,
            rank=place.rank,
            num_processes=place.num_processes,
        )
        # An incomplete batch is left out, other samples are in it in the next epoch: it would weigh more a
        # sample than the others, and a batch of one has no batch statistics.
        self.loader = DataLoader(
            train_set,
            batch_size=settings.batch_size,
            sampler=self.sampler,
            num_workers=settings.loader_workers,
            collate_fn=collate,
            drop_last=len(self.sampler) >= settings.batch_size,
            pin_memory=place.device.type == "cuda",
            persistent_workers=settings.loader_workers > 0,
        )
        self.samples_per_second = 0.0

    @property
    def samples_in_epoch(self) -> int:
        full = len(self.loader) * self.settings.batch_size
        return min(full, len(self.sampler)) * self.place.num_processes

    def train_epoch(self, progress: Progress) -> dict[str, float]:
        """One pass; the means of the loss's terms, the learning rate and the speed."""
        state, place = self.state, self.place
        seed_epoch(self.settings.seed, state.epoch, place.rank)
        self.sampler.set_epoch(state.epoch)
        self.model.train()
        began = last_event = time.monotonic()
        totals: dict[str, Tensor] = {}
        done = 0
        for index, batch in enumerate(self.loader):
            rate = learning_rate(self.settings, state.epoch + index / len(self.loader))
            terms = self._step(batch, rate)
            for name, value in terms.items():
                totals[name] = totals.get(name, 0.0) + value.detach()
            done += len(batch["target"]) * place.num_processes
            now = time.monotonic()
            self.samples_per_second = done / max(now - began, 1e-9)
            # On a GPU reading the loss waits for it; then it is looked at only where it is shown.
            if place.device.type == "cpu" or now - last_event > _EVENT_SECONDS:
                mean_loss = float(totals["total"]) / (index + 1)
                self._refuse_non_finite(mean_loss, index, rate)
                if place.rank == 0 and now - last_event > _EVENT_SECONDS:
                    last_event = now
                    progress(self._event(state.epoch, done, now - began, mean_loss, rate))
        means = {f"train/{name}": float(value) / len(self.loader) for name, value in totals.items()}
        self._refuse_non_finite(means["train/total"], len(self.loader) - 1, rate)
        return {**means, "train/lr": rate, "train/samples_per_second": self.samples_per_second}

    def _step(self, batch: dict[str, Tensor], rate: float) -> dict[str, Tensor]:
        device = self.place.device
        for group in self.optimizer.param_groups:
            group["lr"] = rate
        inputs = {name: batch[name].to(device, non_blocking=True) for name in INPUTS if name in batch}
        target = batch["target"].to(device, non_blocking=True)
        weight = batch["weight"].to(device, non_blocking=True) * (target * self.class_weights).sum(dim=1)
        smoothing = self.settings.label_smoothing
        target = (1 - smoothing) * target + smoothing / target.shape[1]
        with autocast(device, self.dtype):
            outputs = self.network(inputs)
        terms = self.model.loss(outputs, target, weight)
        self.optimizer.zero_grad(set_to_none=True)
        self.scaler.scale(terms["total"]).backward()  # type: ignore[no-untyped-call]
        if self.settings.grad_clip is not None:
            self.scaler.unscale_(self.optimizer)
            nn.utils.clip_grad_norm_(self.model.parameters(), self.settings.grad_clip)
        self.scaler.step(self.optimizer)
        self.scaler.update()
        self.state.step += 1
        return terms

    def share_buffers(self) -> None:
        """Takes rank 0's running statistics: after the last step each process has its own."""
        if self.place.num_processes > 1:
            for buffer in self.model.buffers():
                torch.distributed.broadcast(buffer, src=0)

    def export(self, state: State, is_best: bool) -> None:
        """Copies the weights into the state."""
        state.model = _copy(self.model)
        state.optimizer = self.optimizer.state_dict()
        state.scaler = self.scaler.state_dict()
        if is_best:
            state.best = state.model

    def event(self, state: State, figures: dict[str, float], is_best: bool) -> Event:
        """The event that ends an epoch."""
        return Event(
            epoch=state.epoch - 1,
            num_epochs=self.settings.epochs,
            samples_done=self.samples_in_epoch,
            samples_in_epoch=self.samples_in_epoch,
            samples_per_second=figures["train/samples_per_second"],
            eta_seconds=state.seconds / state.epoch * (self.settings.epochs - state.epoch),
            train_loss=figures["train/total"],
            learning_rate=figures["train/lr"],
            val_loss=figures["val/loss"],
            val_war=figures["val/war"],
            val_uar=figures["val/uar"],
            is_best=is_best,
        )

    def _event(self, epoch: int, done: int, elapsed: float, loss: float, rate: float) -> Event:
        share = done / self.samples_in_epoch
        per_epoch = self.state.seconds / epoch if epoch else elapsed / share
        return Event(
            epoch=epoch,
            num_epochs=self.settings.epochs,
            samples_done=done,
            samples_in_epoch=self.samples_in_epoch,
            samples_per_second=self.samples_per_second,
            eta_seconds=per_epoch * (self.settings.epochs - epoch - share),
            train_loss=loss,
            learning_rate=rate,
        )

    def _refuse_non_finite(self, loss: float, index: int, rate: float) -> None:
        if not math.isfinite(loss):
            raise TrainingError(
                f"the loss is {loss} in epoch {self.state.epoch + 1}, batch {index + 1} (rate {rate:.2g}): "
                f"lower training.lr, now {self.settings.lr:g}, or set training.grad_clip"
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


def _class_weights(train: list[Example], recipe: Recipe) -> np.ndarray:
    """(n,) float32 with mean 1 over the samples; ones where the recipe wants none."""
    num_classes = len(recipe.data.classes)
    if recipe.training.class_weights == "none":
        return np.ones(num_classes, dtype=np.float32)
    mass = np.sum([example.target for example in train], axis=0)
    present = mass > 0
    weights = np.zeros(num_classes)
    weights[present] = mass.sum() / (present.sum() * mass[present])
    return weights.astype(np.float32)


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


def _copy(model: nn.Module) -> dict[str, Tensor]:
    return {name: tensor.detach().cpu().clone() for name, tensor in model.state_dict().items()}


def _broadcast(weights: dict[str, Tensor] | None) -> dict[str, Tensor]:
    box: list[Any] = [weights]
    torch.distributed.broadcast_object_list(box, src=0)
    received: dict[str, Tensor] = box[0]
    return received
