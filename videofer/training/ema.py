"""An exponential moving average of a model's weights: less noisy than the weights of any one step."""

from __future__ import annotations

import copy
from typing import Any

import torch
from torch import nn


class Ema:
    """A second model whose weights follow those of the first; its buffers are always those of the first.

    Young averages forget sooner, so that the initial weights do not stay in them: after t updates the decay
    is at most (1 + t) / (10 + t).
    """

    def __init__(self, model: nn.Module, decay: float) -> None:
        self.model = copy.deepcopy(model).eval().requires_grad_(False)
        self.decay = decay
        self.num_updates = 0

    @torch.no_grad()
    def update(self, model: nn.Module) -> None:
        """Moves towards the weights of `model`. Call it after every optimiser step."""
        decay = min(self.decay, (1 + self.num_updates) / (10 + self.num_updates))
        self.num_updates += 1
        torch._foreach_lerp_(list(self.model.parameters()), list(model.parameters()), 1 - decay)
        torch._foreach_copy_(list(self.model.buffers()), list(model.buffers()))

    def state_dict(self) -> dict[str, Any]:
        """For a resume."""
        return {"num_updates": self.num_updates, "model": self.model.state_dict()}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """The inverse of `state_dict`."""
        self.num_updates = state["num_updates"]
        self.model.load_state_dict(state["model"])
