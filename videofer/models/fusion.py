"""Fusion of face and body: one probability from what is there of both.

Four rules: by the branches' log-probabilities, by a linear layer on their logits, by a linear layer on their
features (Joint-1L of Filntisis et al., IEEE RA-L 4(4), 2019), and by both, one above the other (their HMT-4).
With `branch_labels="own"` the linear and the features rule are their HMT-3a and HMT-3b.

What the published code does, and this does not: gradients were never set to zero between steps, a dropout of
0.6 lay on the answer itself, and the branch of features ran without the normalisation built for it
(github.com/bernie6401/NTUST_Special_Topic, github.com/filby89/body-face-emotion-recognition). There the
branches know a class more than the whole (neutral); here all have the same classes.

Letters in shapes: B samples, n classes, F features of the face's or of the body's branch, 2 modalities in the
order face, body. A masked modality contributes nothing, whatever numbers stand in its place; with both masked
nothing is known of any class.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, ClassVar, Literal, get_args

import torch
from einops import rearrange
from torch import Tensor, nn

from videofer.models.noise import MODALITY_DROP, uniform
from videofer.models.row_norm import RowNorm
from videofer.models.targets import Targets, log_probs_of, logits_of

ScoreFusion = Literal["log_prob", "linear"]
FusionKind = Literal["log_prob", "linear", "features", "hierarchical"]
BranchLoss = Literal["networks", "heads"]
BranchLabels = Literal["same", "own"]
OF_FEATURES: tuple[FusionKind, ...] = ("features", "hierarchical")
NUM_MODALITIES = 2

_CHOICES = {
    "kind": get_args(FusionKind),
    "branch_loss": get_args(BranchLoss),
    "branch_labels": get_args(BranchLabels),
}


@dataclass(frozen=True, kw_only=True)
class FusionConfig:
    """How face and body become one answer."""

    kind: FusionKind = "log_prob"
    """"log_prob": weighted log-probabilities; "linear": a linear layer on both modalities' logits;
    "features": one on their features; "hierarchical": one on the logits of both and of a "features" branch,
    which has a loss of its own."""
    modality_drop: float = 0.0
    """Share of the training samples with both modalities in which the fusion is shown only one of them."""
    joint: bool = True
    """Let the fused loss train the modalities too; False: the fusion alone, late fusion as published."""
    branch_loss: BranchLoss = "networks"
    """What the losses of face and body train: their "networks", or only their "heads", so that the networks
    learn from the fused loss alone (Joint-1L) and the branches' figures say what is in them."""
    branch_labels: BranchLabels = "same"
    """"own": face and body learn labels of their own, the manifest's `label_face` and `label_body`."""

    __pydantic_config__: ClassVar[dict[str, Any]] = {"extra": "forbid"}

    def __post_init__(self) -> None:
        for name, allowed in _CHOICES.items():
            if getattr(self, name) not in allowed:
                raise ValueError(f"{name} must be one of {', '.join(allowed)}, not {getattr(self, name)!r}")
        if not 0 <= self.modality_drop <= 1:
            raise ValueError(f"modality_drop must be in [0, 1], not {self.modality_drop}")
        if self.branch_loss == "heads" and (self.kind not in OF_FEATURES or not self.joint):
            raise ValueError(
                f"branch_loss heads leaves the networks to the fused loss: kind must be one of "
                f"{', '.join(OF_FEATURES)} and joint true, not {self.kind} and {str(self.joint).lower()}"
            )

    @property
    def needs_features(self) -> bool:
        return self.kind in OF_FEATURES

    @property
    def score_kind(self) -> ScoreFusion | None:
        """The kind, where the branches' answers are all that it takes: it can be fitted anew to them."""
        return None if self.kind == "features" or self.kind == "hierarchical" else self.kind


class LogProbFusion(nn.Module):
    """Sum of the modalities' log-probabilities by a positive weight each, plus a bias."""

    def __init__(self, num_classes: int) -> None:
        super().__init__()
        self.log_weights = nn.Parameter(torch.zeros(NUM_MODALITIES))
        self.bias = nn.Parameter(torch.zeros(num_classes))

    def forward(self, logits: Tensor, present: Tensor) -> Tensor:
        """logits (B, 2, n) with zeros where masked, present (B, 2) bool -> scores (B, n)."""
        return (self.log_weights.exp()[:, None] * logits).sum(dim=1) + self.bias


class LinearFusion(nn.Module):
    """A linear layer on the logits of both modalities; a learned vector stands in for a missing part."""

    def __init__(self, num_classes: int, num_inputs: int = NUM_MODALITIES) -> None:
        """num_inputs: rows of logits, of which the first two are the modalities'."""
        super().__init__()
        self.linear = nn.Linear(num_inputs * num_classes, num_classes)
        self.missing = nn.Parameter(torch.zeros(NUM_MODALITIES, num_classes))
        with torch.no_grad():  # starts as the sum of all, from where it can only learn
            self.linear.weight.copy_(torch.eye(num_classes).repeat(1, num_inputs))
            self.linear.bias.zero_()

    def forward(self, logits: Tensor, present: Tensor) -> Tensor:
        """logits (B, num_inputs, n) with zeros where masked, present (B, 2) bool -> scores (B, n)."""
        absent = (~present).to(logits.dtype)
        return self.linear(rearrange(logits, "b m n -> b (m n)")) + absent @ self.missing  # type: ignore[no-any-return]


class FeatureFusion(nn.Module):
    """A linear layer on the normalised features of both modalities, end to end."""

    def __init__(self, num_features: Sequence[int], num_classes: int) -> None:
        """num_features: of the face, of the body."""
        super().__init__()
        self.norms = nn.ModuleList([RowNorm(number) for number in num_features])
        self.linear = nn.Linear(sum(num_features), num_classes)
        self.missing = nn.Parameter(torch.zeros(NUM_MODALITIES, num_classes))

    def forward(self, features: Sequence[Tensor], present: Tensor) -> Tensor:
        """features, each (B, F), anything where masked, present (B, 2) bool -> scores (B, n)."""
        rows = [
            self._normalized(norm, part.float(), there)
            for norm, part, there in zip(self.norms, features, present.unbind(dim=1), strict=True)
        ]
        joined = torch.cat(rows, dim=1)
        return self.linear(joined) + (~present).to(joined.dtype) @ self.missing  # type: ignore[no-any-return]

    def _normalized(self, norm: nn.Module, rows: Tensor, there: Tensor) -> Tensor:
        """(B, F), (B,) bool -> (B, F), zeros where masked: such rows do not touch the statistics."""
        if not self.training:
            return torch.where(there[:, None], norm(torch.where(there[:, None], rows, 0.0)), 0.0)
        index = there.nonzero()[:, 0]
        values: Tensor = norm(rows[index])
        return values.new_zeros(rows.shape).index_copy(0, index, values)


class Fusion(nn.Module):
    """Masks, drops modalities in training, fuses and normalises."""

    def __init__(
        self,
        config: FusionConfig,
        num_classes: int,
        num_features: Sequence[int] | None = None,
        targets: Targets = "single",
    ) -> None:
        """num_features: of face and body; for the kinds that need features."""
        super().__init__()
        self.config = config
        self.targets = targets
        self.whole: FeatureFusion | None = None
        self.rule: LogProbFusion | LinearFusion | None = None
        if config.needs_features:
            assert num_features is not None and len(num_features) == NUM_MODALITIES
            self.whole = FeatureFusion(num_features, num_classes)
        match config.kind:
            case "log_prob":
                self.rule = LogProbFusion(num_classes)
            case "linear":
                self.rule = LinearFusion(num_classes)
            case "hierarchical":
                self.rule = LinearFusion(num_classes, NUM_MODALITIES + 1)

    def forward(
        self,
        log_probs: Tensor,
        present: Tensor,
        seeds: Tensor | None = None,
        features: Sequence[Tensor] | None = None,
    ) -> Tensor:
        """log_probs (B, 2, n) of face and body, present (B, 2) bool -> fused ones (B, n) float32.

        seeds (B,) int64: in training, whence is drawn what to drop; None: torch's own generator.
        features: of face and body, each (B, F), for the kinds that need them.
        """
        return self.answers(log_probs, present, seeds, features)["fused"]

    def answers(
        self,
        log_probs: Tensor,
        present: Tensor,
        seeds: Tensor | None = None,
        features: Sequence[Tensor] | None = None,
    ) -> dict[str, Tensor]:
        """The same as `fused`, and of the kind "hierarchical" `whole`, the answer by the features alone."""
        if self.training and self.config.modality_drop > 0:
            present = drop_modalities(present, self.config.modality_drop, seeds)
        if not self.config.joint:
            log_probs = log_probs.detach()
            features = None if features is None else [part.detach() for part in features]
        logits = torch.where(present[:, :, None], self._logits(log_probs.float()), 0.0)
        if self.whole is None:
            assert self.rule is not None
            return {"fused": self._normalized(self.rule(logits, present), present)}
        assert features is not None, f"kind {self.config.kind} needs features"
        scores = self.whole(features, present)
        whole = self._normalized(scores, present)
        if self.rule is None:
            return {"fused": whole}
        own = self._logits(whole)[:, None]
        fused = self._normalized(self.rule(torch.cat([logits, own], dim=1), present), present)
        return {"fused": fused, "whole": whole}

    def _logits(self, log_probs: Tensor) -> Tensor:
        """(..., n). Of single targets they are free up to a constant a row, which centring takes out."""
        if self.targets == "multi":
            return logits_of(log_probs, self.targets)
        return log_probs - log_probs.mean(dim=-1, keepdim=True)

    def _normalized(self, scores: Tensor, present: Tensor) -> Tensor:
        """Scores (B, n) -> log-probabilities (B, n) float32; of nothing seen, nothing known."""
        known = torch.where(present.any(dim=1, keepdim=True), scores.float(), 0.0)
        return log_probs_of(known, self.targets)


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
