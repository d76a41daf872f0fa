"""What the classes of a model are: one of them holds ("single"), or each holds or not by itself ("multi").

Everywhere a branch's answer is log-probabilities (..., n). Of single targets they are normalised over the
classes. Of multi targets each is the logarithm of the probability that its own class is there: they do not
sum to one, and what is said of one class says nothing of the others.
"""

from __future__ import annotations

import math
from typing import Literal

import torch
from torch import Tensor
from torch.nn import functional as F

Targets = Literal["single", "multi"]

_NEARLY_SURE = -1e-30
"""Log-probabilities of multi targets count as no nearer to 0 than this: a logit of 69."""


def log_probs_of(logits: Tensor, targets: Targets) -> Tensor:
    """Logits (..., n) -> log-probabilities (..., n) float32."""
    logits = logits.float()
    return logits.log_softmax(dim=-1) if targets == "single" else F.logsigmoid(logits)


def logits_of(log_probs: Tensor, targets: Targets) -> Tensor:
    """The inverse of `log_probs_of`; of single targets up to a constant a row, so they stay as they are."""
    return log_probs if targets == "single" else log_probs - log_not(log_probs)


def log_not(log_probs: Tensor) -> Tensor:
    """log p of multi targets (..., n) -> log (1 - p)."""
    return torch.log(-torch.expm1(log_probs.clamp(max=_NEARLY_SURE)))


def ignorance(num_classes: int, targets: Targets) -> float:
    """The log-probability of a class of which nothing is known."""
    return -math.log(num_classes if targets == "single" else 2)


def losses_of(log_probs: Tensor, target: Tensor, targets: Targets) -> Tensor:
    """Log-probabilities (B, n) against targets -> the loss of each sample (B,).

    target: class indices (B,) or, as always for multi targets, probabilities (B, n). Single: negative
    log-likelihood. Multi: binary cross-entropy, the mean over the classes.
    """
    if targets == "multi":
        return -(target * log_probs + (1 - target) * log_not(log_probs)).mean(dim=-1)
    if target.is_floating_point():
        return -(target * log_probs).sum(dim=-1)
    return -log_probs.gather(1, target[:, None])[:, 0]
