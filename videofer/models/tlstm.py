"""Two-stream LSTM: what a sequence of clips says, by their features and by their own first guesses.

Letters in shapes: B samples, C clips, F features of a clip, n classes.

Three heads read one sample: the mean of the clips' own class probabilities, an LSTM over the clips'
features, and an LSTM over the clips' class probabilities. Masked clips are skipped as if they had
never been there: the result is that of the sequence without them.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn
from torch.nn import functional as F

HEADS = ("clip", "emotion", "feature")


def compact(sequence: Tensor, mask: Tensor) -> Tensor:
    """(B, C, f), (B, C) bool -> (B, C, f) with the valid steps first, in their order, and zeros behind."""
    order = torch.argsort((~mask).to(torch.uint8), dim=1, stable=True)
    valid_first = torch.take_along_dim(sequence, order[:, :, None], dim=1)
    kept = torch.take_along_dim(mask, order, dim=1)
    return torch.where(kept[:, :, None], valid_first, torch.zeros_like(valid_first))


class LastStepLSTM(nn.Module):
    """One-layer LSTM whose output at the last valid step goes through a linear layer."""

    def __init__(self, input_size: int, hidden_size: int, num_classes: int) -> None:
        super().__init__()
        self.lstm = nn.LSTM(input_size, hidden_size, batch_first=True)
        self.head = nn.Linear(hidden_size, num_classes)

    def forward(self, sequence: Tensor, num_valid: Tensor) -> Tensor:
        """(B, C, f) with the valid steps first, (B,) how many they are -> logits (B, n).

        The LSTM runs forward, so nothing behind the last valid step can reach the output.
        Where no step is valid the row means nothing.
        """
        hidden, _ = self.lstm(sequence)
        last = (num_valid - 1).clamp(min=0)[:, None, None]
        return self.head(torch.take_along_dim(hidden, last, dim=1)[:, 0])  # type: ignore[no-any-return]


class TwoStreamLSTM(nn.Module):
    """The clip layer and both LSTM streams.

    The published code applies cross-entropy to the clip head's probabilities, which takes a second softmax
    of them. Here that head gives the logarithm of the mean probability, for which cross-entropy is the
    negative log-likelihood that was meant.
    """

    def __init__(
        self,
        num_features: int,
        num_classes: int,
        feature_hidden: int,
        emotion_hidden: int,
        dropout: float,
        normalize_features: bool = False,
    ) -> None:
        super().__init__()
        self.normalize_features = normalize_features
        self.dropout = nn.Dropout(dropout)
        self.clip_head = nn.Linear(num_features, num_classes)
        self.feature_stream = LastStepLSTM(num_features, feature_hidden, num_classes)
        self.emotion_stream = LastStepLSTM(num_classes, emotion_hidden, num_classes)

    def forward(self, features: Tensor, clip_mask: Tensor) -> dict[str, Tensor]:
        """features (B, C, F), clip_mask (B, C) bool -> log-probabilities (B, n) of the three heads.

        Also `published_score` (B, n): 0.2 * mean clip probability + 0.8 * logits of the emotion stream, the
        published mixture, for comparison only (it is neither a probability nor a logit). A sample whose
        clips are all masked gets finite numbers that mean nothing.
        """
        num_valid = clip_mask.sum(dim=1)
        features = compact(features, clip_mask)
        clip_log_probs = self.clip_head(self.dropout(features)).float().log_softmax(dim=-1)  # (B, C, n)

        steps = torch.arange(clip_mask.shape[1], device=clip_mask.device)
        behind = (steps >= num_valid[:, None])[:, :, None]
        nothing_valid = (num_valid == 0)[:, None]
        summed = clip_log_probs.masked_fill(behind & ~nothing_valid[:, :, None], -math.inf).logsumexp(dim=1)
        clip = (summed - num_valid.clamp(min=1).log()[:, None]).log_softmax(dim=-1)

        guesses = clip_log_probs.exp().masked_fill(behind, 0.0)
        emotion = self.emotion_stream(guesses, num_valid).float()
        if self.normalize_features:
            features = F.layer_norm(features, features.shape[-1:])
        feature = self.feature_stream(features, num_valid).float()
        return {
            "clip": clip,
            "emotion": emotion.log_softmax(dim=-1),
            "feature": feature.log_softmax(dim=-1),
            "published_score": 0.2 * clip.exp() + 0.8 * emotion,
        }
