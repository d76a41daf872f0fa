"""How the answers of several models become one.

Letters in shapes: m models, B samples, n classes. Inputs are the members' own calibrated log-probabilities: a
model that is too sure of itself does not outvote the others. (The published ensembles of FER2013 nets average
raw softmax outputs, and their learned layer takes raw logits.)
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any, Literal

import torch
from einops import rearrange
from torch import Tensor
from torch.nn import functional as F


@dataclass(frozen=True, kw_only=True)
class Mean:
    """The mean of the members' probabilities."""

    kind: Literal["mean"] = "mean"

    def __call__(self, log_probs: Tensor) -> Tensor:
        """(m, B, n) -> (B, n), normalised."""
        return log_probs.logsumexp(dim=0) - math.log(len(log_probs))

    def check(self, num_members: int, num_classes: int) -> None:
        """Fits any number of members and classes."""


@dataclass(frozen=True, kw_only=True)
class Blend:
    """A linear layer on the members' centred log-probabilities, side by side.

    With 1/m of the identity for each member it is their geometric mean: where `training.blend` starts.
    """

    weight: tuple[tuple[float, ...], ...]  # (n, m n), the first n columns for the first member
    bias: tuple[float, ...]  # (n,)
    kind: Literal["linear"] = "linear"

    def __post_init__(self) -> None:
        values = [*self.bias, *(value for row in self.weight for value in row)]
        if not all(math.isfinite(value) for value in values):
            raise ValueError("the blend has values that are no numbers")

    def __call__(self, log_probs: Tensor) -> Tensor:
        """(m, B, n) -> (B, n), normalised."""
        inputs = blend_inputs(log_probs)
        weight, bias = inputs.new_tensor(self.weight), inputs.new_tensor(self.bias)
        return F.log_softmax(inputs @ weight.T + bias, dim=1)

    def check(self, num_members: int, num_classes: int) -> None:
        """ValueError where it is not for so many members and classes."""
        width = num_members * num_classes
        if len(self.bias) != num_classes or len(self.weight) != num_classes:
            raise ValueError(f"the blend is of {len(self.bias)} classes, the members of {num_classes}")
        if any(len(row) != width for row in self.weight):
            raise ValueError(f"the blend's weight must be {num_classes} x {width}")


Combination = Mean | Blend


def blend_inputs(log_probs: Tensor) -> Tensor:
    """(m, B, n) -> (B, m n). Logits are known up to a constant a row; centring takes it out."""
    centred = log_probs - log_probs.mean(dim=2, keepdim=True)
    return rearrange(centred, "m b n -> b (m n)")


def geometric_mean(num_members: int, num_classes: int) -> Tensor:
    """(n, m n) float64: the weight of a blend that is the geometric mean of its members."""
    return torch.eye(num_classes, dtype=torch.float64).repeat(1, num_members) / num_members


def combination_to_json(combination: Combination) -> dict[str, Any]:
    """What ensemble.json holds of it."""
    return asdict(combination)


def combination_from_json(values: Mapping[str, Any]) -> Combination:
    """The inverse. ValueError where it is wrong."""
    match values["kind"]:
        case "mean":
            return Mean()
        case "linear":
            weight = tuple(tuple(float(value) for value in row) for row in values["weight"])
            return Blend(weight=weight, bias=tuple(float(value) for value in values["bias"]))
        case kind:
            raise ValueError(f"the combination's kind is {kind!r}, not mean or linear")
