"""Optimiser, learning-rate schedule and mixed precision, from the recipe."""

from __future__ import annotations

import math
from contextlib import AbstractContextManager, nullcontext
from typing import Any

import torch
from torch import nn

from videofer.recipe import TrainingRecipe
from videofer.training.split import TrainingError

_FUSED_DEVICES = ("cpu", "cuda")


def make_optimizer(model: nn.Module, recipe: TrainingRecipe) -> torch.optim.Optimizer:
    """Weights decay; biases, normalisations and single numbers do so with `decay_all` only.

    The optimisers of torch as they are: adam adds the decay to the gradient, adamw takes it off the weight.
    """
    parameters = [p for p in model.parameters() if p.requires_grad]
    decaying = [p for p in parameters if recipe.decay_all or p.ndim > 1]
    others = [p for p in parameters if not (recipe.decay_all or p.ndim > 1)]
    groups: list[dict[str, Any]] = [{"params": decaying, "weight_decay": recipe.weight_decay}]
    if others:
        groups.append({"params": others, "weight_decay": 0.0})
    fused = all(p.device.type in _FUSED_DEVICES for p in parameters)
    if recipe.optimizer == "adamw":
        return torch.optim.AdamW(groups, lr=recipe.lr, fused=fused)
    if recipe.optimizer == "adam":
        return torch.optim.Adam(groups, lr=recipe.lr, fused=fused)
    return torch.optim.SGD(
        groups, lr=recipe.lr, momentum=recipe.momentum, nesterov=recipe.nesterov, fused=fused
    )


def learning_rate(recipe: TrainingRecipe, epoch: float) -> float:
    """The rate at a moment of training; `epoch` counts from 0 and has fractions. A function of it alone."""
    if epoch < recipe.warmup_epochs:
        return recipe.lr * (epoch + 1e-3) / (recipe.warmup_epochs + 1e-3)
    if recipe.schedule == "constant":
        return recipe.lr
    if recipe.schedule == "step":
        return recipe.lr * recipe.step_gamma ** int(epoch / recipe.step_epochs)
    done = (epoch - recipe.warmup_epochs) / max(recipe.epochs - recipe.warmup_epochs, 1e-9)
    return recipe.lr * 0.5 * (1 + math.cos(math.pi * min(done, 1.0)))


def amp_dtype(recipe: TrainingRecipe, device: torch.device) -> torch.dtype | None:
    """Lower precision of the forward pass, None for full. TrainingError where the device has not got it."""
    if recipe.amp == "off":
        return None
    if device.type != "cuda":
        if recipe.amp == "fp16":
            raise TrainingError("training.amp is fp16, which needs a GPU; here it can be auto, off or bf16")
        return torch.bfloat16 if recipe.amp == "bf16" else None
    if recipe.amp == "fp16":
        return torch.float16
    if recipe.amp == "bf16" or torch.cuda.is_bf16_supported():
        return torch.bfloat16
    return torch.float16


def autocast(device: torch.device, dtype: torch.dtype | None) -> AbstractContextManager[object]:
    """Mixed precision for a forward pass."""
    return nullcontext() if dtype is None else torch.autocast(device.type, dtype)
