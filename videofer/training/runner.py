"""One process's pass over the samples of an epoch: loader, learner, and the epoch's figures."""

from __future__ import annotations

import copy
import math
import time
from collections.abc import Callable

import torch
from torch import Tensor

from videofer.checkpoint import INPUTS
from videofer.data.dataset import collate
from videofer.training.beforehand import fit_beforehand
from videofer.training.feed import Feed
from videofer.training.job import Job
from videofer.training.learner import Learner, branch_targets_of, compile_networks, landmarks_of
from videofer.training.optimizer import autocast, learning_rate
from videofer.training.place import Place
from videofer.training.progress import Event, Progress
from videofer.training.samples import Samples, make_loader, make_sampler
from videofer.training.split import TrainingError
from videofer.training.state import State, seed_step
from videofer.training.sums import Sums
from videofer.training.threads import choose_threads

_EVENT_SECONDS = 0.5  # between events within an epoch
_TRIAL_SAMPLES = 16  # in the steps that choose the number of threads
_NAMED_VIDEOS = 4  # of a batch, in an error


class Runner:
    """Learner and loader of this process, at the place where `state` stands."""

    def __init__(self, job: Job, place: Place, samples: Samples, state: State) -> None:
        self.job, self.settings = job, job.recipe.training
        self.place, self.samples, self.state = place, samples, state
        self.learner = Learner(job.recipe, job.split.train, place)
        if state.has_begun:
            self.learner.load_state_dict(state.learner)
        else:
            fit_beforehand(self.learner.model, samples.train, place, job.recipe)
        self.loader = make_loader(job, samples, place)
        self.samples_in_epoch = samples.sampler.num_samples
        self.samples_per_second = 0.0
        if job.threads is not None:
            state.threads = job.threads
        elif not state.threads or state.num_processes != place.num_processes:
            state.threads = self._choose_threads()
        state.num_processes = place.num_processes
        if (
            self.settings.compile
        ):  # no copy of the model is made any more: it would compute with this one's weights
            compile_networks(self.learner.model)

    def train_epoch(self, progress: Progress, save: Callable[[], None]) -> dict[str, float]:
        """The rest of the present epoch; the means of its figures.

        save: called in the first process when `training.checkpoint_minutes` have passed, with the state up to
        date. TrainingError where loss or gradient are no numbers.
        """
        state, settings = self.state, self.settings
        sampler, num_batches = self.samples.sampler, self.samples.sampler.num_batches
        sampler.set_epoch(state.epoch)
        sampler.set_start(state.batch)
        self.learner.model.train()
        sums = Sums(state.sums, self.place.device)
        feed = Feed(self.loader, self.place.device, in_thread=settings.loader_workers == 0)
        began = last_event = last_save = time.monotonic()
        seconds_before, waiting_before, done_before = state.epoch_seconds, state.waiting_seconds, self._done()
        for batch in feed:
            rate = learning_rate(settings, state.epoch + state.batch / num_batches)
            self._step(batch, rate, sums)
            state.batch += 1
            now = time.monotonic()
            state.epoch_seconds = seconds_before + now - began
            state.waiting_seconds = waiting_before + feed.waiting_seconds
            self.samples_per_second = (self._done() - done_before) / max(now - began, 1e-9)
            is_event = now - last_event > _EVENT_SECONDS
            is_save = self.place.is_first and now - last_save >= 60 * settings.checkpoint_minutes
            if is_event or is_save:
                self._refuse_non_finite(sums)  # on a GPU a look at a number waits for it: not in every step
            if is_event:
                last_event = now
                progress(self._event(sums, rate))
            if is_save:
                state.sums = sums.read()
                save()
                last_save = time.monotonic()
        self._refuse_non_finite(sums)
        means = {f"train/{name}": value / num_batches for name, value in sums.read().items()}
        rate = learning_rate(settings, state.epoch + (num_batches - 1) / num_batches)
        return {
            **means,
            "train/lr": rate,
            "train/samples_per_second": self.samples_per_second,
            "train/waiting_share": state.waiting_seconds / max(state.epoch_seconds, 1e-9),
        }

    def end_epoch(self, seconds: float) -> None:
        """Moves the state to the first batch of the next epoch. seconds: spent in this one."""
        state = self.state
        state.epoch, state.batch, state.sums = state.epoch + 1, 0, {}
        state.epoch_seconds = state.waiting_seconds = 0.0
        state.seconds += seconds

    def event(self, figures: dict[str, float], is_best: bool) -> Event:
        """The event that ends an epoch, after `end_epoch`."""
        state = self.state
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

    def _step(self, batch: dict[str, Tensor], rate: float, sums: Sums) -> None:
        state = self.state
        seed_step(self.settings.seed, state.epoch, state.batch, self.place.rank)
        values = self.learner.backward(self.samples.augment(batch), state.epoch)
        sums.add(values, state.batch, gradient_may_overflow=self.learner.scaler.is_enabled())
        if self.place.device.type == "cpu":
            self._refuse_non_finite(sums)  # before the weights are lost
        self.learner.update(rate, values["gradient_norm"])

    def _event(self, sums: Sums, rate: float) -> Event:
        state, done = self.state, self._done()
        share = done / self.samples_in_epoch
        per_epoch = state.seconds / state.epoch if state.epoch else state.epoch_seconds / share
        return Event(
            epoch=state.epoch,
            num_epochs=self.settings.epochs,
            samples_done=done,
            samples_in_epoch=self.samples_in_epoch,
            samples_per_second=self.samples_per_second,
            eta_seconds=per_epoch * (self.settings.epochs - state.epoch - share),
            train_loss=sums.read()["total"] / state.batch,
            learning_rate=rate,
        )

    def _done(self) -> int:
        """Samples of this epoch's batches so far, of all processes; the first ones may be larger by one."""
        size, num_larger = divmod(self.samples_in_epoch, self.samples.sampler.num_batches)
        return self.state.batch * size + min(self.state.batch, num_larger)

    def _refuse_non_finite(self, sums: Sums) -> None:
        found = sums.first_non_finite()
        if found is None:
            return
        batch, loss, gradient_norm = found
        what = f"the loss is {loss}"
        if math.isfinite(loss):
            what = f"the gradient's norm is {gradient_norm} (the loss {loss:.3g})"
        rate = learning_rate(self.settings, self.state.epoch + batch / self.samples.sampler.num_batches)
        clip = "" if self.settings.grad_clip is not None else ", or set training.grad_clip"
        where = f"epoch {self.state.epoch + 1}, batch {batch + 1} (rate {rate:.2g}; {self._videos_in(batch)})"
        raise TrainingError(f"{what} in {where}: lower training.lr, now {self.settings.lr:g}{clip}")

    def _videos_in(self, batch: int) -> str:
        """For an error: names of the videos in a batch of all processes together."""
        whole = make_sampler(self.job, self.samples.train, Place(device=self.place.device))
        whole.set_epoch(self.state.epoch)
        whole.set_start(batch)
        examples = self.samples.train.examples
        names = list(dict.fromkeys(examples[item % len(examples)].name for item in next(iter(whole))))
        shown = ", ".join(names[:_NAMED_VIDEOS])
        return f"videos {shown}" + (f" and {len(names) - _NAMED_VIDEOS} more" * (len(names) > _NAMED_VIDEOS))

    def _choose_threads(self) -> int:
        """Tries steps of a copy of the model. Among several processes the cores have been shared out."""
        most = torch.get_num_threads()
        if most == 1 or self.place.num_processes > 1 or self.place.device.type != "cpu":
            return most
        train, model = self.samples.train, copy.deepcopy(self.learner.model).train()
        batch = collate([train[place] for place in range(min(len(train), _TRIAL_SAMPLES))])

        def step() -> None:
            changed = self.samples.augment(batch)
            with autocast(self.place.device, self.learner.dtype):
                outputs = model({name: changed[name] for name in INPUTS if name in changed})
            loss = model.loss(
                outputs,
                batch["target"],
                landmarks=landmarks_of(changed),
                dimensions=batch.get("dimensions"),
                branch_targets=branch_targets_of(batch),
            )
            loss["total"].backward()  # type: ignore[no-untyped-call]

        return choose_threads(step, most)
