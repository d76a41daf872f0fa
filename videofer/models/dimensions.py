"""Dimensions of affect (valence, arousal, dominance) beside the classes: heads of the branches, and the loss.

Values lie in [-1, 1], whatever scale the ratings were made on. A rating that is not known is NaN: it has no
part in the loss.

The concordance correlation coefficient (Lin, Biometrics 45, 1989) of predictions x and ratings y,

    CCC = 2 cov(x, y) / (var x + var y + (mean x - mean y)^2),

belongs to a batch, not to its samples. Where several processes share a batch each adds up six sums a
dimension, and the coefficient follows from the sums over all of them: that of one process with the whole
batch, and so is the sum of the gradients.

Letters in shapes: B samples, F features of a branch, d dimensions.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Literal

import torch
from torch import Tensor, nn
from torch.nn import functional as F

DimensionLoss = Literal["ccc", "mse"]

_LEAST = 1e-6
"""Of a variance: where neither predictions nor ratings differ, there is nothing to agree on."""


class DimensionHead(nn.Module):
    """A linear layer on a branch's features.

    They are brought to mean 0 and variance 1 first: those of a trunk without pretraining are so large that
    the end of the scale would be reached at once.
    """

    def __init__(self, num_features: int, num_dimensions: int) -> None:
        super().__init__()
        self.linear = nn.Linear(num_features, num_dimensions)

    def forward(self, features: Tensor) -> Tensor:
        """(B, F) -> (B, d) float32 in [-1, 1]."""
        features = features.float()
        return self.linear(F.layer_norm(features, features.shape[-1:])).float().tanh()  # type: ignore[no-any-return]


class DimensionFusion(nn.Module):
    """A learned mean of face and body for each dimension; where one of them is missing, the other."""

    def __init__(self, num_dimensions: int) -> None:
        super().__init__()
        self.preference = nn.Parameter(torch.zeros(num_dimensions))  # 0: the plain mean

    def forward(self, values: Tensor, present: Tensor) -> Tensor:
        """values (B, 2, d) of face and body, present (B, 2) bool -> (B, d), 0 where neither is there."""
        of_face = self.preference.sigmoid()
        shares = torch.stack([of_face, 1 - of_face]) * present[:, :, None]  # (B, 2, d)
        return (shares * values).sum(dim=1) / shares.sum(dim=1).clamp(min=_LEAST)


def sums_of(found: Tensor, truth: Tensor, weight: Tensor) -> Tensor:
    """found (B, d), truth (B, d) with NaN where unknown, weight (B,) -> (6, d) float32.

    Sums over the samples: of the weights, and weighted of x, y, x^2, y^2, x y.
    """
    known = ~truth.isnan()
    x, y = torch.where(known, found.float(), 0.0), torch.where(known, truth.float(), 0.0)
    w = weight[:, None] * known
    return torch.stack([(w * part).sum(dim=0) for part in (torch.ones_like(x), x, y, x * x, y * y, x * y)])


def loss_of(sums: Tensor, kind: DimensionLoss) -> Tensor:
    """Sums (6, d) over the whole batch -> the mean loss of the dimensions that somebody rated, 0 without any.

    "ccc": 1 - CCC. "mse": the mean squared error.
    """
    total, *moments = sums
    is_rated = total > 0
    x, y, xx, yy, xy = (part / torch.where(is_rated, total, 1.0) for part in moments)
    squared_error = xx + yy - 2 * xy
    if kind == "mse":
        losses = squared_error
    else:
        agreement = 2 * (xy - x * y)
        # var x + var y + (mean x - mean y)^2, written without a difference that rounding could make negative.
        losses = 1 - agreement / (squared_error + agreement).clamp(min=_LEAST)
    mean: Tensor = torch.where(is_rated, losses, 0.0).sum() / is_rated.sum().clamp(min=1)
    return mean


def of_whole_batch(own: Tensor, whole: Tensor, loss: Callable[[Tensor], Tensor]) -> Tensor:
    """A loss of the whole batch's sums as this process's part of it.

    own: this process's sums, with a gradient; whole: over all processes, without one. The parts add up to the
    loss, and their gradients to its gradient: only what this process has seen carries one.
    """
    value = loss(whole + (own - own.detach()))
    share = torch.where(whole[0].sum() > 0, own[0].sum() / whole[0].sum().clamp(min=_LEAST), 0.0)
    return value - value.detach() * (1 - share.detach())
