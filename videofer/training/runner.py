"""One process's share of training: model, optimiser and loader, and one pass over the samples."""

from __future__ import annotations

import copy
import math
import time
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor, nn
from torch.amp.grad_scaler import GradScaler
from torch.utils.data import DataLoader

from videofer.checkpoint import INPUTS
from videofer.data.dataset import EpochSampler, SampleDataset, collate
from videofer.data.examples import Example
from videofer.models.model import EmotionModel
from videofer.recipe import Recipe
from videofer.training.optimizer import amp_dtype, autocast, learning_rate, make_optimizer
from videofer.training.progress import Event, Progress
from videofer.training.split import Split, TrainingError
from videofer.training.state import State, seed_epoch
from videofer.training.threads import choose_threads

_EVENT_SECONDS = 0.5  # between events within an epoch
_TRIAL_SAMPLES = 16  # in the steps that choose the number of threads


@dataclass(frozen=True, kw_only=True)
class Place:
    """This process among those that train together."""

    rank: int = 0
    num_processes: int = 1
    device: torch.device


class Runner:
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
        # Whole batches only: the epoch is filled up with some of its samples again. An incomplete batch would
        # weigh more a sample, and a batch of one has no batch statistics.
        in_step = settings.batch_size * place.num_processes
        num_samples = settings.samples_per_epoch or len(train_set)
        if num_samples > in_step:
            num_samples = math.ceil(num_samples / in_step) * in_step
        self.sampler = EpochSampler(
            train_set,
            num_samples,
            balanced=settings.balanced_sampling,
            rank=place.rank,
            num_processes=place.num_processes,
        )
        self.samples_in_epoch = len(self.sampler) * place.num_processes
        self.loader = DataLoader(
            train_set,
            batch_size=settings.batch_size,
            sampler=self.sampler,
            num_workers=settings.loader_workers,
            collate_fn=collate,
            pin_memory=place.device.type == "cuda",
            persistent_workers=settings.loader_workers > 0,
        )
        self.samples_per_second = 0.0
        if not state.threads:
            state.threads = self._choose_threads(train_set)

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

    def _choose_threads(self, train_set: SampleDataset) -> int:
        """Tries steps of a copy of the model. Among several processes the cores have been shared out."""
        most = torch.get_num_threads()
        if most == 1 or self.place.num_processes > 1 or self.place.device.type != "cpu":
            return most
        batch = collate([train_set[place] for place in range(min(len(train_set), _TRIAL_SAMPLES))])
        inputs = {name: batch[name] for name in INPUTS if name in batch}
        model = copy.deepcopy(self.model).train()

        def step() -> None:
            with autocast(self.place.device, self.dtype):
                outputs = model(inputs)
            model.loss(outputs, batch["target"])["total"].backward()  # type: ignore[no-untyped-call]

        return choose_threads(step, most)

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


def _copy(model: nn.Module) -> dict[str, Tensor]:
    return {name: tensor.detach().cpu().clone() for name, tensor in model.state_dict().items()}
