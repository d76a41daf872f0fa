"""Fusion of face and body: one probability from what is there of both.

Letters in shapes: B samples, n classes, 2 modalities in the order face, body. A masked modality contributes
nothing, whatever numbers stand in its place; with both masked every class is equally probable.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar, Literal

import torch
from einops import rearrange
from torch import Tensor, nn
from torch.nn import functional as F

from videofer.models.noise import MODALITY_DROP, uniform

FusionKind = Literal["log_prob", "linear"]
NUM_MODALITIES = 2


@dataclass(frozen=True, kw_only=True)
class FusionConfig:
    """How face and body become one answer."""

    kind: FusionKind = "log_prob"
    """"log_prob": weighted log-probabilities; "linear": a linear layer on both modalities' logits."""
    modality_drop: float = 0.0
    """Share of the training samples with both modalities in which the fusion is shown only one of them."""
    joint: bool = True
    """Let the fused loss train the modalities too; False: the fusion alone, late fusion as published."""

    __pydantic_config__: ClassVar[dict[str, Any]] = {"extra": "forbid"}

    def __post_init__(self) -> None:
        if self.kind not in ("log_prob", "linear"):
            raise ValueError(f"kind must be log_prob or linear, not {self.kind!r}")
        if not 0 <= self.modality_drop <= 1:
            raise ValueError(f"modality_drop must be in [0, 1], not {self.modality_drop}")


class LogProbFusion(nn.Module):
    """Sum of the modalities' log-probabilities by a positive weight each, plus a bias."""

    def __init__(self, num_classes: int) -> None:
        super().__init__()
        self.log_weights = nn.Parameter(torch.zeros(NUM_MODALITIES))
        self.bias = nn.Parameter(torch.zeros(num_classes))

    def forward(self, log_probs: Tensor, present: Tensor) -> Tensor:
        """log_probs (B, 2, n) with zeros where masked, present (B, 2) bool -> scores (B, n)."""
        return (self.log_weights.exp()[:, None] * log_probs).sum(dim=1) + self.bias


class LinearFusion(nn.Module):
    """A linear layer on the logits of both modalities; a learned vector stands in for a missing part."""

    def __init__(self, num_classes: int) -> None:
        super().__init__()
        self.linear = nn.Linear(NUM_MODALITIES * num_classes, num_classes)
        self.missing = nn.Parameter(torch.zeros(NUM_MODALITIES, num_classes))
        with torch.no_grad():  # starts as the sum of both, from where it can only learn
            self.linear.weight.copy_(torch.eye(num_classes).repeat(1, NUM_MODALITIES))
            self.linear.bias.zero_()

    def forward(self, log_probs: Tensor, present: Tensor) -> Tensor:
        """log_probs (B, 2, n) with zeros where masked, present (B, 2) bool -> scores (B, n)."""
        # Logits are free up to a constant a row; centring takes it out, and a masked row stays zero.
        logits = log_probs - log_probs.mean(dim=-1, keepdim=True)
        absent = (~present).to(logits.dtype)
        return self.linear(rearrange(logits, "b m n -> b (m n)")) + absent @ self.missing  # type: ignore[no-any-return]


class Fusion(nn.Module):
    """Masks, drops modalities in training, fuses and normalises."""

    def __init__(self, config: FusionConfig, num_classes: int) -> None:
        super().__init__()
        self.config = config
        self.rule: nn.Module = (
            LogProbFusion(num_classes) if config.kind == "log_prob" else LinearFusion(num_classes)
        )

    def forward(self, log_probs: Tensor, present: Tensor, seeds: Tensor | None = None) -> Tensor:
        """log_probs (B, 2, n) of face and body, present (B, 2) bool -> fused ones (B, n) float32.

        seeds (B,) int64: in training, whence is drawn what to drop; None: torch's own generator.
        """
        if self.training and self.config.modality_drop > 0:
            present = drop_modalities(present, self.config.modality_drop, seeds)
        if not self.config.joint:
            log_probs = log_probs.detach()
        masked = torch.where(present[:, :, None], log_probs.float(), 0.0)
        scores = torch.where(present.any(dim=1, keepdim=True), self.rule(masked, present).float(), 0.0)
        return F.log_softmax(scores, dim=-1)


def drop_modalities(present: Tensor, probability: float, seeds: Tensor | None = None) -> Tensor:
    """present (B, 2) bool -> the same with one modality hidden in `probability` of the rows with both."""
    if seeds is None:
        numbers = torch.rand(len(present), 2, device=present.device)
    else:
        numbers = uniform(seeds, 2, MODALITY_DROP)
    chosen = numbers[:, 0] < probability
    hides_body = numbers[:, 1] < 0.5
    hidden = torch.stack([~hides_body, hides_body], dim=1) & (chosen & present.all(dim=1))[:, None]
    return present & ~hidden
