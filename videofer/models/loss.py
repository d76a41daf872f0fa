"""The loss of a model's outputs: one term for each thing that it learns.

Letters in shapes: B samples, C clips, K frames, n classes.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import partial
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional as F

from videofer.models.config import ModelConfig
from videofer.models.dimensions import DimensionLoss, loss_of, of_whole_batch, sums_of
from videofer.models.landmarks import landmark_errors
from videofer.models.scn import Gather, rank, relabel
from videofer.models.targets import losses_of


def loss_terms(
    config: ModelConfig,
    outputs: Mapping[str, Any],
    target: Tensor,
    sample_weight: Tensor | None = None,
    *,
    landmarks: tuple[Tensor, Tensor] | None = None,
    dimensions: Tensor | None = None,
    dimension_loss: DimensionLoss = "ccc",
    dimension_weight: float = 1.0,
    branch_targets: Mapping[str, Tensor] | None = None,
    epoch: int = 0,
    sum_over_processes: Callable[[Tensor], Tensor] | None = None,
    gather_from_processes: Gather | None = None,
) -> dict[str, Tensor]:
    """Scalars: each term, and `total`, their sum. Of a model that relabels also `relabelled`, no term.

    target: (B,) class indices or (B, n) probabilities, as always of multi targets (see `targets.losses_of`).
    sample_weight: (B,). A term is the weighted mean over the samples that have its modality (0 if none has),
    `fused` over those that have any. `face_weights` trains nothing but the weights of the face's heads.
    `face_rank` counts each sample with a face and a weight above 0 once; `relabelled` is the share of them
    trained with another class than their label, by the face: body and fusion keep the label.

    landmarks: of a model with a landmark head, (B, C, K, 68, 2) in shares of the crop's side, and which
    of them are there, (B, C, K) bool.
    dimensions: of a model that has them, (B, d) in [-1, 1], NaN where not known. Their terms,
    `<head>_dimensions`, are of the whole batch (see `dimensions`), times dimension_weight.
    branch_targets: of a model whose branches learn labels of their own, probabilities (B, n) of "face" and
    "body"; a row of zeros is nothing to learn for that branch.
    epoch: counts from 0; whence on `scn` relabels.
    sum_over_processes: adds up a vector over the processes that share a batch. It is called once, with
    the terms' total weights and the sums of the dimensions; then the sum of a scalar over the processes is
    that of the whole batch.
    gather_from_processes: see `scn.rank`; called once, first, by a model with `scn`.
    ValueError where landmarks, dimensions or targets of the branches are missing, or do not fit the batch.
    """
    weight = target.new_ones(len(target), dtype=torch.float32) if sample_weight is None else sample_weight
    counted: dict[str, tuple[Tensor, Tensor]] = {}  # losses and weights, each (B,); the answer comes last
    whole: dict[str, Tensor] = {}  # terms of a batch, not of its samples
    relabelled: Tensor | None = None
    if config.face is not None:
        face, terms = config.face, outputs["face_terms"]
        face_target, known = _of_branch(config, "face", target, branch_targets)
        face_weight = weight * outputs["has_face"]
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
        labelled = face_weight * known
        for head in face.heads:
            counted[f"face_{head}"] = (losses_of(terms[head], face_target, config.targets), labelled)
        if "combination" in terms:
            counted["face_weights"] = (losses_of(terms["combination"], face_target, config.targets), labelled)
    if config.body is not None:
        body_target, known = _of_branch(config, "body", target, branch_targets)
        body_weight = weight * outputs["has_body"] * known
        counted["body"] = (losses_of(outputs["body"], body_target, config.targets), body_weight)
    if config.fusion is not None:
        has_any = outputs["has_face"] | outputs["has_body"]
        for name in ("whole", "fused"):
            if name in outputs:
                counted[name] = (losses_of(outputs[name], target, config.targets), weight * has_any)
    sums = _sums_of_dimensions(config, outputs, dimensions, weight)  # per head (6, d)
    own = torch.cat(
        [torch.stack([w.sum() for _, w in counted.values()]), *(s.flatten() for s in sums.values())]
    )
    everybody = own.detach() if sum_over_processes is None else sum_over_processes(own.detach())
    totals, *parts = torch.split(everybody, [len(counted), *(part.numel() for part in sums.values())])
    for (name, part), total in zip(sums.items(), parts, strict=True):
        loss = of_whole_batch(part, total.view_as(part), partial(loss_of, kind=dimension_loss))
        whole[f"{name}_dimensions"] = dimension_weight * loss
    means = {
        name: (weights * losses).sum() / total
        for (name, (losses, weights)), total in zip(
            counted.items(), torch.where(totals > 0, totals, 1.0), strict=True
        )
    }
    made = {**whole, **means}
    made["total"] = torch.stack(list(made.values())).sum()
    return made if relabelled is None else {**made, "relabelled": relabelled}


def _of_branch(
    config: ModelConfig, branch: str, target: Tensor, branch_targets: Mapping[str, Tensor] | None
) -> tuple[Tensor, Tensor]:
    """What a branch is to learn, and of which samples there is something, (B,) bool."""
    if config.fusion is None or config.fusion.branch_labels == "same":
        return target, target.new_ones(len(target), dtype=torch.bool)
    if branch_targets is None or branch not in branch_targets:
        raise ValueError(f"the {branch} learns labels of its own, but the loss was given none")
    own = branch_targets[branch]
    if own.shape != (len(target), config.num_classes):
        raise ValueError(
            f"targets of the {branch} must be ({len(target)}, {config.num_classes}), not {tuple(own.shape)}"
        )
    return own, own.sum(dim=1) > 0


def _sums_of_dimensions(
    config: ModelConfig, outputs: Mapping[str, Any], dimensions: Tensor | None, weight: Tensor
) -> dict[str, Tensor]:
    """What the loss of each head's dimensions is made of, (6, d), over the samples that have its modality."""
    if not config.num_dimensions:
        return {}
    if dimensions is None:
        raise ValueError("the model has dimensions, but its loss was given none")
    if dimensions.shape != (len(weight), config.num_dimensions):
        raise ValueError(
            f"dimensions must be ({len(weight)}, {config.num_dimensions}), not {tuple(dimensions.shape)}"
        )
    found = {}
    for head in config.heads:
        there = outputs[f"has_{head}"] if head != "fused" else outputs["has_face"] | outputs["has_body"]
        found[head] = sums_of(outputs[f"{head}_dimensions"], dimensions, weight * there)
    return found


def _as_probabilities(target: Tensor, num_classes: int) -> Tensor:
    """Class indices (B,) or probabilities (B, n) -> probabilities (B, n)."""
    return target if target.is_floating_point() else F.one_hot(target, num_classes).float()
