"""Two-stream LSTM: what a sequence of clips says, by their features and by their own first guesses.

Letters in shapes: B samples, C clips, F features of a clip, n classes.

Up to three heads read one sample: the mean of the clips' own class probabilities, or of their logits, an LSTM
over the clips' class probabilities, and an LSTM over the clips' features. Masked clips are skipped as if they
had never been there: the result is that of the sequence without them.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Literal

import torch
from einops import rearrange
from torch import Tensor, nn
from torch.nn import functional as F

from videofer.models.noise import DROPOUT, uniform
from videofer.models.scn import Attention
from videofer.models.targets import Targets, log_probs_of

Head = Literal["clip", "emotion", "feature"]
HEADS: tuple[Head, ...] = ("clip", "emotion", "feature")
ClipAverage = Literal["probability", "logit"]


def compact(sequence: Tensor, mask: Tensor) -> Tensor:
    """(B, C, f), (B, C) bool -> (B, C, f) with the valid steps first, in their order, and zeros behind.

    Without a sort: each step's place is a count, so that the operation can be exported.
    """
    num_valid = mask.sum(dim=1, keepdim=True)
    place = torch.where(mask, mask.cumsum(dim=1), num_valid + (~mask).cumsum(dim=1)) - 1  # a permutation
    valid = torch.where(mask[:, :, None], sequence, torch.zeros_like(sequence))
    return torch.zeros_like(sequence).scatter(1, place[:, :, None].expand_as(sequence), valid)


class LastStepLSTM(nn.Module):
    """One-layer LSTM whose output at the last valid step goes through a linear layer."""

    def __init__(
        self, input_size: int, hidden_size: int, num_classes: int, targets: Targets = "single"
    ) -> None:
        super().__init__()
        self.targets = targets
        self.lstm = nn.LSTM(input_size, hidden_size, batch_first=True)
        self.head = nn.Linear(hidden_size, num_classes)

    def forward(self, sequence: Tensor, num_valid: Tensor) -> Tensor:
        """(B, C, f) with the valid steps first, (B,) how many they are -> log-probabilities (B, n) float32.

        The LSTM runs forward, so nothing behind the last valid step can reach the output.
        Where no step is valid the row means nothing.
        """
        hidden, _ = self.lstm(sequence)
        last = (num_valid - 1).clamp(min=0)[:, None, None].expand(-1, -1, hidden.shape[2])  # (B, 1, hidden)
        logits: Tensor = self.head(hidden.gather(1, last)[:, 0])
        return log_probs_of(logits, self.targets)


class TwoStreamLSTM(nn.Module):
    """The clip layer and the LSTM streams, as far as the chosen heads need them.

    The published code applies cross-entropy to the clip head's probabilities, which takes a second softmax
    of them. Here that head gives the logarithm of the mean probability, for which cross-entropy is the
    negative log-likelihood that was meant.
    """

    def __init__(
        self,
        num_features: int,
        num_classes: int,
        *,
        feature_hidden: int,
        emotion_hidden: int,
        dropout: float,
        normalize_features: bool = False,
        heads: Sequence[Head] = HEADS,
        attention: bool = False,
        clip_average: ClipAverage = "probability",
        targets: Targets = "single",
    ) -> None:
        """attention: weigh each clip's logits (see `scn`); for heads that read the clip layer.
        clip_average: what the clip head averages over the clips.
        """
        super().__init__()
        self.dropout = dropout
        self.targets = targets
        self.normalize_features = normalize_features
        self.heads = tuple(heads)
        self.clip_average = clip_average
        self.clip_head: nn.Linear | None = None
        self.attention: Attention | None = None
        self.emotion_stream: LastStepLSTM | None = None
        self.feature_stream: LastStepLSTM | None = None
        if "clip" in heads or "emotion" in heads:
            self.clip_head = nn.Linear(num_features, num_classes)
        if attention:
            self.attention = Attention(num_features)
        if "feature" in heads:
            self.feature_stream = LastStepLSTM(num_features, feature_hidden, num_classes, targets)
        if "emotion" in heads:
            self.emotion_stream = LastStepLSTM(num_classes, emotion_hidden, num_classes, targets)

    def forward(self, features: Tensor, clip_mask: Tensor, seeds: Tensor | None = None) -> dict[str, Tensor]:
        """features (B, C, F), clip_mask (B, C) bool -> log-probabilities (B, n) float32 of the heads.

        With attention also `attention` (B,) float32 in (0, 1): the mean over the sample's clips.

        seeds (B,) int64: in training, whence each sample's dropout is drawn; None: torch's own generator.
        A sample whose clips are all masked gets finite numbers that mean nothing.
        """
        num_valid = clip_mask.sum(dim=1)
        features = compact(features, clip_mask)
        outputs: dict[str, Tensor] = {}
        if self.clip_head is not None:
            dropped = self._drop(features, seeds)
            logits: Tensor = self.clip_head(dropped).float()
            steps = torch.arange(clip_mask.shape[1], device=clip_mask.device)
            behind = (steps >= num_valid[:, None])[:, :, None]
            if self.attention is not None:
                weights = self.attention(dropped)  # (B, C, 1)
                logits = weights * logits
                total = weights.masked_fill(behind, 0.0).sum(dim=(1, 2))
                outputs["attention"] = total / num_valid.clamp(min=1)
            clip_log_probs = log_probs_of(logits, self.targets)  # (B, C, n)
            if "clip" in self.heads and self.clip_average == "probability":
                outputs["clip"] = _log_mean(clip_log_probs, behind, num_valid, self.targets)
            elif "clip" in self.heads:
                mean = logits.masked_fill(behind, 0.0).sum(dim=1) / num_valid.clamp(min=1)[:, None]
                outputs["clip"] = log_probs_of(mean, self.targets)
            if self.emotion_stream is not None:
                guesses = clip_log_probs.exp().masked_fill(behind, 0.0)
                outputs["emotion"] = self.emotion_stream(guesses, num_valid)
        if self.feature_stream is not None:
            if self.normalize_features:
                features = F.layer_norm(features, features.shape[-1:])
            outputs["feature"] = self.feature_stream(features, num_valid)
        further = ("attention",) if self.attention is not None else ()
        return {name: outputs[name] for name in (*self.heads, *further)}

    def _drop(self, features: Tensor, seeds: Tensor | None) -> Tensor:
        """(B, C, F) with the valid steps first -> the same with dropout, in training."""
        if seeds is None or not self.training:
            return F.dropout(features, self.dropout, self.training)
        _, num_clips, num_features = features.shape
        kept = uniform(seeds, num_clips * num_features, DROPOUT) >= self.dropout
        return features * rearrange(kept, "b (c f) -> b c f", c=num_clips) / (1 - self.dropout)


def _log_mean(log_probs: Tensor, behind: Tensor, num_valid: Tensor, targets: Targets) -> Tensor:
    """(B, C, n), (B, C, 1) bool what does not count, (B,) -> log of the mean probability (B, n)."""
    nothing_valid = (num_valid == 0)[:, None, None]
    summed = log_probs.masked_fill(behind & ~nothing_valid, -math.inf).logsumexp(dim=1)
    mean = summed - num_valid.clamp(min=1).log()[:, None]
    return mean.log_softmax(dim=-1) if targets == "single" else mean.clamp(max=0.0)
