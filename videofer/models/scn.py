"""Self-cure: samples that the face model weighs low count less, and their labels may be exchanged.

After Wang et al., "Suppressing Uncertainties for Large-Scale Facial Expression Recognition" (CVPR 2020), and
its code (kaiwang960112/Self-Cure-Network); with a landmark head beside it (see `videofer.models.landmarks`)
it is the landmark-driven model of RainbowRui. Three parts:

- an attention weight in (0, 1), read from the features, by which the logits are multiplied;
- rank regularisation: the mean weight of the upper part of a batch must lie above that of the lower part;
- relabelling: from some epoch on, a sample of the lower part of which another class is far more probable than
  its label is trained with that class.

What we changed:

- The parts of a batch are found in the whole of it, whatever number of processes shares it, so that neither
  the groups nor the gradient depend on that number. Samples of equal weight at the border share it: the loss
  does not depend on the order of the samples either.
- Only samples of the lower part are relabelled, as the paper says; the code takes all.
- Relabelling keeps nothing. The published code writes the new label into the training list, for good; here
  each step decides anew from what the model says in that very step. A wrong exchange heals by itself, and a
  run that is resumed, or shared among processes, needs no list.

Letters in shapes: B samples of this process, A samples of all processes, n classes.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, ClassVar

import torch
from torch import Tensor, nn

Gather = Callable[[Tensor], Tensor]
"""Rows (B, k) of this process -> rows (A, k) of all processes, without a gradient."""


@dataclass(frozen=True, kw_only=True)
class ScnConfig:
    """The published values are 0.7, 0.15 (0.07 for batches of 64), from epoch 10 of 70, and 0.2."""

    beta: float = 0.7
    """Share of the batch that is its upper part, rounded down."""
    rank_margin: float = 0.15
    """By which the mean attention of the upper part must exceed that of the lower part."""
    relabel_epoch: int | None = None
    """The first epoch, counted from 0, in which labels are exchanged; None: never."""
    relabel_margin: float = 0.2
    """By which the most probable class must exceed the label to take its place."""

    __pydantic_config__: ClassVar[dict[str, Any]] = {"extra": "forbid"}

    def __post_init__(self) -> None:
        if not 0 < self.beta < 1:
            raise ValueError(f"beta must be in (0, 1), not {self.beta}")
        for name in ("rank_margin", "relabel_margin"):
            if not 0 <= getattr(self, name) < 1:
                raise ValueError(f"{name} must be in [0, 1), not {getattr(self, name)}")
        if self.relabel_epoch is not None and self.relabel_epoch < 0:
            raise ValueError(f"relabel_epoch must be at least 0, or null for never, not {self.relabel_epoch}")


class Attention(nn.Module):
    """How much a sample is worth, by its features."""

    def __init__(self, num_features: int) -> None:
        super().__init__()
        self.linear = nn.Linear(num_features, 1)

    def forward(self, features: Tensor) -> Tensor:
        """(..., F) -> (..., 1) float32 in (0, 1)."""
        return self.linear(features).float().sigmoid()  # type: ignore[no-any-return]


@dataclass(frozen=True)
class Ranking:
    """What rank regularisation found in a batch."""

    loss: Tensor  # () this process's part: the sum over the processes is the loss of the whole batch
    is_low: Tensor  # (B,) bool: the sample is in the lower part, strictly
    num_present: Tensor  # () float32: samples that count, of all processes


def rank(attention: Tensor, present: Tensor, config: ScnConfig, gather: Gather | None = None) -> Ranking:
    """attention (B,) float32, present (B,) bool: which samples count.

    The loss is max(0, margin - (mean of the upper part - mean of the lower part)); 0 where a part is empty.
    gather: over the processes that share the batch, which all call it, once; None: this process is alone.
    """
    rows = torch.stack([attention.detach(), present.to(attention.dtype)], dim=1)  # (B, 2)
    all_attention, all_present = (rows if gather is None else gather(rows)).unbind(dim=1)  # (A,)
    num = all_present.sum()
    num_high = (config.beta * num + 1e-4).floor()  # 0.7 * 10 is 6.9999996 in float32
    num_low = num - num_high
    # Without a look at a number, for which a GPU would have to wait.
    ordered = torch.where(all_present > 0, all_attention, -1.0).sort(descending=True).values
    border = ordered.gather(0, (num_high.long() - 1).clamp(min=0)[None])  # (1,): the lowest of the upper part
    above = (all_present * (all_attention > border)).sum()
    at_border = (all_present * (all_attention == border)).sum()
    share = (num_high - above) / at_border.clamp(min=1)  # of those at the border, in the upper part

    def gap(weights: Tensor, counted: Tensor) -> Tensor:
        """Mean of the upper part minus mean of the lower one, as far as these samples make them up."""
        high = (weights > border) + share * (weights == border)
        signs = high / num_high.clamp(min=1) - (1 - high) / num_low.clamp(min=1)
        return (torch.where(counted, weights, 0.0) * signs).sum()

    two_parts = (num_high > 0) & (num_low > 0)
    is_short = gap(all_attention, all_present > 0) < config.rank_margin
    own_margin = config.rank_margin * present.sum() / num.clamp(min=1)
    loss = torch.where(two_parts & is_short, own_margin - gap(attention, present), 0.0)
    return Ranking(loss, present & two_parts & (attention.detach() < border), num)


def relabel(target: Tensor, log_probs: Tensor, is_low: Tensor, config: ScnConfig) -> tuple[Tensor, Tensor]:
    """Exchanges the labels that the model contradicts.

    target (B, n) probabilities, whose largest is the label; log_probs (B, n) of the model; is_low (B,) bool.
    Returns the new target, in which the label and the most probable class have changed places (so that
    smoothing and further shares stay), and which samples were exchanged, (B,) bool.
    """
    probs = log_probs.detach().exp()
    label, found = target.argmax(dim=1, keepdim=True), probs.argmax(dim=1, keepdim=True)  # (B, 1)
    lead = (probs.gather(1, found) - probs.gather(1, label))[:, 0]
    exchanged = is_low & (lead > config.relabel_margin)
    swapped = target.scatter(1, label, target.gather(1, found)).scatter(1, found, target.gather(1, label))
    return torch.where(exchanged[:, None], swapped, target), exchanged
