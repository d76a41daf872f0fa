"""An exponential moving average of a model's weights: less noisy than the weights of any one step."""

from __future__ import annotations

import copy
from typing import Any

import torch
from torch import Tensor, nn


class Ema:
    """A second model whose weights and running statistics follow those of the first.

    The first model's own statistics do not fit averaged weights: at a rate of 0.1 they are those of its
    last few steps, and cost a ResNet-18 five points of accuracy in the middle of its training. Whole
    numbers, which count, and at the first update all buffers, which may have been fitted to the data until
    then, are those of the first model. Young averages forget sooner, so that the initial weights do not stay
    in them: after t updates the decay is at most (1 + t) / (10 + t).
    """

    def __init__(self, model: nn.Module, decay: float) -> None:
        self.model = copy.deepcopy(model).eval().requires_grad_(False)
        self.decay = decay
        self.num_updates = 0

    @torch.no_grad()
    def update(self, model: nn.Module) -> None:
        """Moves towards the weights of `model`. Call it after every optimiser step."""
        decay = min(self.decay, (1 + self.num_updates) / (10 + self.num_updates))
        averaged: list[tuple[Tensor, Tensor]] = []
        averaged += zip(self.model.parameters(), model.parameters(), strict=True)
        copied: list[tuple[Tensor, Tensor]] = []
        for pair in zip(self.model.buffers(), model.buffers(), strict=True):
            is_averaged = pair[0].is_floating_point() and self.num_updates > 0
            (averaged if is_averaged else copied).append(pair)
        self.num_updates += 1
        torch._foreach_lerp_([mine for mine, _ in averaged], [theirs for _, theirs in averaged], 1 - decay)
        if copied:
            torch._foreach_copy_([mine for mine, _ in copied], [theirs for _, theirs in copied])

    def state_dict(self) -> dict[str, Any]:
        """For a resume."""
        return {"num_updates": self.num_updates, "model": self.model.state_dict()}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """The inverse of `state_dict`."""
        self.num_updates = state["num_updates"]
        self.model.load_state_dict(state["model"])
