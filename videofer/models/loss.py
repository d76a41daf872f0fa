"""The loss of a model's outputs: one term for each thing that it learns.

Letters in shapes: B samples, C clips, K frames, n classes.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional as F

from videofer.models.config import ModelConfig
from videofer.models.landmarks import landmark_errors
from videofer.models.scn import Gather, rank, relabel


def loss_terms(
    config: ModelConfig,
    outputs: Mapping[str, Any],
    target: Tensor,
    sample_weight: Tensor | None = None,
    *,
    landmarks: tuple[Tensor, Tensor] | None = None,
    epoch: int = 0,
    sum_over_processes: Callable[[Tensor], Tensor] | None = None,
    gather_from_processes: Gather | None = None,
) -> dict[str, Tensor]:
    """Scalars: each term, and `total`, their sum. Of a model that relabels also `relabelled`, no term.

    target: (B,) class indices or (B, n) probabilities. sample_weight: (B,). A term is the weighted mean
    over the samples that have its modality (0 if none has), `fused` over those that have any.
    `face_weights` trains nothing but the weights of the face's heads. `face_rank` counts each sample with
    a face and a weight above 0 once; `relabelled` is the share of them trained with another class than
    their label, by the face: body and fusion keep the label.

    landmarks: of a model with a landmark head, (B, C, K, 68, 2) in shares of the crop's side, and which
    of them are there, (B, C, K) bool. epoch: counts from 0; whence on `scn` relabels.
    sum_over_processes: adds up a vector over the processes that share a batch. It is called once, with
    the terms' total weights; then the sum of a scalar over the processes is that of the whole batch.
    gather_from_processes: see `scn.rank`; called once, first, by a model with `scn`.
    ValueError where the landmarks are missing, or do not fit the batch.
    """
    weight = target.new_ones(len(target), dtype=torch.float32) if sample_weight is None else sample_weight
    counted: dict[str, tuple[Tensor, Tensor]] = {}  # losses and weights, each (B,); the answer comes last
    whole: dict[str, Tensor] = {}  # terms of a batch, not of its samples
    relabelled: Tensor | None = None
    if config.face is not None:
        face, terms = config.face, outputs["face_terms"]
        face_weight, face_target = weight * outputs["has_face"], target
        if face.landmark_weight > 0:
            if landmarks is None:
                raise ValueError("the model has a landmark head, but its loss was given no landmarks")
            errors, there = landmark_errors(terms["landmarks"], *landmarks)
            counted["face_landmarks"] = (face.landmark_weight * errors, face_weight * there)
        if face.scn is not None:
            ranking = rank(terms["attention"], face_weight > 0, face.scn, gather_from_processes)
            whole["face_rank"] = ranking.loss
            if face.scn.relabel_epoch is not None:
                exchanged = torch.zeros_like(ranking.is_low)
                if epoch >= face.scn.relabel_epoch:
                    face_target, exchanged = relabel(
                        _as_probabilities(target, config.num_classes),
                        terms["log_probs"],
                        ranking.is_low,
                        face.scn,
                    )
                relabelled = exchanged.sum() / ranking.num_present.clamp(min=1)
        for head in face.heads:
            counted[f"face_{head}"] = (_nll(terms[head], face_target), face_weight)
        if "combination" in terms:
            counted["face_weights"] = (_nll(terms["combination"], face_target), face_weight)
    if config.body is not None:
        counted["body"] = (_nll(outputs["body"], target), weight * outputs["has_body"])
    if config.fusion is not None:
        has_any = outputs["has_face"] | outputs["has_body"]
        counted["fused"] = (_nll(outputs["fused"], target), weight * has_any)
    totals = torch.stack([weights.sum() for _, weights in counted.values()])
    if sum_over_processes is not None:
        totals = sum_over_processes(totals)
    means = {
        name: (weights * losses).sum() / total
        for (name, (losses, weights)), total in zip(
            counted.items(), torch.where(totals > 0, totals, 1.0), strict=True
        )
    }
    made = {**whole, **means}
    made["total"] = torch.stack(list(made.values())).sum()
    return made if relabelled is None else {**made, "relabelled": relabelled}


def _as_probabilities(target: Tensor, num_classes: int) -> Tensor:
    """Class indices (B,) or probabilities (B, n) -> probabilities (B, n)."""
    return target if target.is_floating_point() else F.one_hot(target, num_classes).float()


def _nll(log_probs: Tensor, target: Tensor) -> Tensor:
    """(B, n), class indices (B,) or probabilities (B, n) -> negative log-likelihoods (B,)."""
    if target.is_floating_point():
        return -(target * log_probs).sum(dim=-1)
    return -log_probs.gather(1, target[:, None])[:, 0]
