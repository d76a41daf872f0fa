"""Fits the learned combination of an ensemble: a linear layer on the logits of models that stay as they are.

It minimises the summed negative log-likelihood on validation windows plus a normal prior, by LBFGS. The
prior lies around the geometric mean of the members, each with a fitted weight, and there the search begins.
n classes and m members make n (m n + 1) numbers, and members agree in most of what they say: without the
prior the layer learns the accidents of the validation set. How strong it is, cross-validation says, over
groups of windows that belong together. (The published blend, Linear(14, 7) on the logits of two nets, has no
prior that is told of.)

Letters in shapes: m members, M windows, n classes.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F

from videofer.ensembles.combine import Blend, blend_inputs, geometric_mean
from videofer.training.calibration import fit_positive, minimise

STRENGTHS = (1.0, 10.0, 100.0, 1000.0, 10000.0)
"""Among these the folds choose: what a deviation of 0.1 in one weight costs is strength / 200 nats."""
WITHOUT_FOLDS = 100.0


@dataclass(frozen=True, kw_only=True)
class BlendFit:
    """A fitted blend, and what to expect of it."""

    blend: Blend
    strength: float
    out_of_fold: Tensor | None
    """(M, n) float32 log-probabilities, each by a blend that was fitted on the other folds; all have the one
    strength. None without folds."""


def fit_blend(log_probs: Tensor, target: Tensor, fold: np.ndarray | None) -> BlendFit:
    """log_probs (m, M, n) of the members, calibrated; target (M,) int64.

    fold: (M,) int, at least two of them; windows of one share nothing with those of another. None: they
    cannot be divided.
    """
    log_probs = log_probs.double()
    if fold is None:
        blend = _fit(log_probs, target, WITHOUT_FOLDS)
        return BlendFit(blend=blend, strength=WITHOUT_FOLDS, out_of_fold=None)
    number = torch.as_tensor(fold)
    found = {strength: _held_out(log_probs, target, number, strength) for strength in STRENGTHS}
    nll = {strength: float(F.nll_loss(held, target)) for strength, held in found.items()}
    strength = min(STRENGTHS, key=lambda candidate: nll[candidate])
    return BlendFit(
        blend=_fit(log_probs, target, strength), strength=strength, out_of_fold=found[strength].float()
    )


def _held_out(log_probs: Tensor, target: Tensor, fold: Tensor, strength: float) -> Tensor:
    """(M, n): each fold by a blend of the others."""
    found = torch.empty(log_probs.shape[1:], dtype=log_probs.dtype)
    for held in sorted(set(fold.tolist())):
        own = fold == held
        found[own] = _fit(log_probs[:, ~own], target[~own], strength)(log_probs[:, own])
    return found


def _fit(log_probs: Tensor, target: Tensor, strength: float) -> Blend:
    """log_probs float64."""
    num_members, _, num_classes = log_probs.shape
    inputs = blend_inputs(log_probs)  # (M, m n)

    def nll(weight: Tensor) -> Tensor:
        return F.cross_entropy(inputs @ weight.T, target, reduction="sum")

    mean = geometric_mean(num_members, num_classes)
    weights = fit_positive(num_members, lambda x: nll(mean * x.repeat_interleave(num_classes)))
    center = mean * torch.tensor(weights, dtype=mean.dtype).repeat_interleave(num_classes)
    shift = torch.zeros(num_classes, inputs.shape[1] + 1, dtype=mean.dtype, requires_grad=True)

    def objective() -> Tensor:
        scores = inputs @ (center + shift[:, :-1]).T + shift[:, -1]
        return F.cross_entropy(scores, target, reduction="sum") + 0.5 * strength * shift.square().sum()

    minimise(shift, objective)
    fitted = shift.detach()
    weight = center + fitted[:, :-1]
    return Blend(weight=tuple(tuple(row) for row in weight.tolist()), bias=tuple(fitted[:, -1].tolist()))
