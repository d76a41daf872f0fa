"""The model and all that changes it: one optimisation step on a batch, alone or among several processes.

Several processes share a batch: each computes the loss of its part divided by the weight of the whole, so
the sum of their gradients is the gradient of one process with the whole batch. The batch normalisations take
their statistics over all of it (`sync_norm`), and all random numbers belong to samples, not to processes.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.amp.grad_scaler import GradScaler

from videofer.checkpoint import INPUTS
from videofer.data.examples import Example
from videofer.data.targets import BRANCH_LABELS
from videofer.models.model import EmotionModel
from videofer.models.pretrained import resnet18_weights
from videofer.models.targets import ignorance
from videofer.models.trunks import LikeResNet18
from videofer.recipe import Recipe
from videofer.training.ema import Ema
from videofer.training.initial import take_trunk
from videofer.training.optimizer import amp_dtype, autocast, make_optimizer
from videofer.training.place import Place
from videofer.training.sync_norm import synchronize_norms

Batch = dict[str, Tensor]


class Learner:
    """Model, average, optimiser and gradient scaler of this process; at every step equal in all processes."""

    def __init__(self, recipe: Recipe, train: list[Example], place: Place) -> None:
        """train: the labelled intervals, for the weights of their classes."""
        settings = recipe.training
        self.settings, self.place = settings, place
        torch.manual_seed(settings.seed)  # the initial weights, equal in all processes
        self.model = make_model(recipe).to(place.device)
        if place.device.type == "cuda":
            self.model.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
        self.ema = None if settings.ema_decay is None else Ema(self.model, settings.ema_decay)
        if place.num_processes > 1:
            synchronize_norms(self.model)
            self.model.always_call = True
        self.optimizer = make_optimizer(self.model, settings)
        self.parameters = [p for group in self.optimizer.param_groups for p in group["params"]]
        self.dtype = amp_dtype(settings, place.device)
        self.scaler = GradScaler(place.device.type, enabled=self.dtype == torch.float16)
        self.class_weights: Tensor | None = None  # (n,), of single targets
        if recipe.data.targets == "single":
            self.class_weights = torch.from_numpy(class_weights(train, recipe)).to(place.device)
        self.unsure = math.exp(ignorance(len(recipe.data.classes), recipe.data.targets))

    @property
    def answer(self) -> EmotionModel:
        """The model that is validated and kept: the average where there is one."""
        return self.model if self.ema is None else self.ema.model  # type: ignore[return-value]

    def backward(self, batch: Batch, epoch: int = 0) -> dict[str, Tensor]:
        """Gradients of this process's part of a batch on the device, then their sum over the processes.

        epoch: counts from 0. Returns scalars of the whole batch, without a gradient: those of the model's
        loss, and the `gradient_norm` before any clipping.
        """
        inputs = {name: batch[name] for name in INPUTS if name in batch}
        weight, target = batch["weight"], batch["target"]  # (B,), (B, n)
        if self.class_weights is not None:
            weight = weight * (target * self.class_weights).sum(dim=1)
        smoothing = self.settings.label_smoothing
        target = (1 - smoothing) * target + smoothing * self.unsure
        with autocast(self.place.device, self.dtype):
            outputs = self.model(inputs)
        terms = self.model.loss(
            outputs,
            target,
            weight,
            landmarks=landmarks_of(batch),
            dimensions=batch.get("dimensions"),
            dimension_loss=self.settings.dimension_loss,
            dimension_weight=self.settings.dimension_weight,
            branch_targets=branch_targets_of(batch, smoothing, self.unsure),
            epoch=epoch,
            sum_over_processes=self.place.sum,
            gather_from_processes=self.place.gather,
        )
        self.optimizer.zero_grad(set_to_none=True)
        self.scaler.scale(terms["total"]).backward()  # type: ignore[no-untyped-call]
        values = torch.stack(list(terms.values())).detach()
        for parameter in self.parameters:  # of which this batch made no use
            if parameter.grad is None:
                parameter.grad = torch.zeros_like(parameter)
        gradients = [parameter.grad for parameter in self.parameters]
        self.place.sum_together([*gradients, values])
        self.scaler.unscale_(self.optimizer)
        norm = nn.utils.get_total_norm(gradients)
        return {**dict(zip(terms, values.unbind(), strict=True)), "gradient_norm": norm}

    def update(self, learning_rate: float, gradient_norm: Tensor) -> None:
        """Moves the weights along the gradients, which `backward` has left."""
        for group in self.optimizer.param_groups:
            group["lr"] = learning_rate
        if self.settings.grad_clip is not None:
            nn.utils.clip_grads_with_norm_(self.parameters, self.settings.grad_clip, gradient_norm)
        self.scaler.step(self.optimizer)
        self.scaler.update()
        if self.ema is not None:
            self.ema.update(self.model)

    def state_dict(self) -> dict[str, Any]:
        """For a resume. The tensors are those in use, not copies."""
        return {
            "model": self.model.state_dict(),
            "ema": None if self.ema is None else self.ema.state_dict(),
            "optimizer": self.optimizer.state_dict(),
            "scaler": self.scaler.state_dict(),
        }

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """The inverse of `state_dict`."""
        self.model.load_state_dict(state["model"])
        if self.ema is not None:
            self.ema.load_state_dict(state["ema"])
        self.optimizer.load_state_dict(state["optimizer"])
        self.scaler.load_state_dict(state["scaler"])


def branch_targets_of(batch: Batch, smoothing: float = 0.0, unsure: float = 0.0) -> dict[str, Tensor] | None:
    """Labels of the branches' own, as the model's loss takes them, of a batch that has them.

    smoothing: the share of each that becomes `unsure`, where there is a label.
    """
    found = {}
    for branch in BRANCH_LABELS:
        if f"{branch}_target" in batch:
            own = batch[f"{branch}_target"]
            known = own.sum(dim=1, keepdim=True) > 0
            found[branch] = torch.where(known, (1 - smoothing) * own + smoothing * unsure, own)
    return found or None


def landmarks_of(batch: Batch) -> tuple[Tensor, Tensor] | None:
    """Landmarks and their mask, as the model's loss takes them, of a batch that has them."""
    return (batch["landmarks"], batch["landmark_mask"]) if "landmarks" in batch else None


def make_model(recipe: Recipe) -> EmotionModel:
    """With random weights, but for a trunk that the recipe wants pretrained or from another run.

    UserError where its weights cannot be had.
    """
    model = EmotionModel(recipe.emotion_model_config())
    if recipe.training.pretrained_trunk is not None:
        assert model.face is not None, "checked by videofer.training.checks"
        assert isinstance(model.face.trunk, LikeResNet18), "checked as well"
        model.face.trunk.load_resnet18(resnet18_weights(recipe.training.pretrained_trunk))
    if recipe.training.init_from is not None:
        take_trunk(model, recipe.training.init_from)
    return model


def compile_networks(model: EmotionModel) -> None:
    """torch.compile of trunk and body network, for training. Names of weights stay; copies are not compiled.

    Their first axis changes with every batch, as masked clips and bodies do not enter them. The trunk is
    compiled with what is before it: there the axis counts clips, and that of frames is a multiple of it.
    """
    if model.face is not None:
        model.face.clip_features = _compiled(model.face.clip_features, model)  # type: ignore[method-assign]
    if model.body is not None:
        model.body.network.forward = _compiled(model.body.network.forward, model)  # type: ignore[method-assign]


def _compiled(call: Callable[..., Tensor], model: nn.Module) -> Callable[..., Tensor]:
    compiled = torch.compile(call, dynamic=True)

    def run(rows: Tensor, *rest: Any) -> Tensor:
        # A compilation takes half a minute: none for evaluation, and for the rare batch of a single row.
        chosen = compiled if model.training and rows.shape[0] > 1 else call
        return chosen(rows, *rest)

    return run


def class_weights(train: list[Example], recipe: Recipe) -> np.ndarray:
    """(n,) float32 with mean 1 over the samples; ones where the recipe wants none."""
    num_classes = len(recipe.data.classes)
    if recipe.training.class_weights == "none":
        return np.ones(num_classes, dtype=np.float32)
    mass = np.sum([example.target for example in train], axis=0)
    present = mass > 0
    weights = np.zeros(num_classes)
    weights[present] = mass.sum() / (present.sum() * mass[present])
    return weights.astype(np.float32)
