"""EmotionModel: face and body of one person over one window in, class log-probabilities out.

Letters in shapes: B samples, C clips, K frames a clip, S crop side in pixels, F features of a clip,
L instants, J joints, n classes.

What is masked never enters the networks: neither a masked clip nor a masked body touches the statistics of a
batch normalisation, and its numbers cannot reach an output.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

import torch
from einops import rearrange
from torch import Tensor, nn
from torch.nn import functional as F

from videofer.models.accm import BodyConfig, BodyModel
from videofer.models.face import FaceConfig, FaceModel
from videofer.models.fusion import Fusion, FusionConfig
from videofer.models.landmarks import landmark_errors
from videofer.models.noise import CLIPS, seeds_of_parts
from videofer.models.scn import Gather, rank, relabel


@dataclass(frozen=True, kw_only=True)
class ModelConfig:
    """A face model, a body model, or both with their fusion."""

    num_classes: int
    face: FaceConfig | None = None
    body: BodyConfig | None = None
    fusion: FusionConfig | None = None

    __pydantic_config__: ClassVar[dict[str, Any]] = {"extra": "forbid"}

    def __post_init__(self) -> None:
        if self.num_classes < 2:
            raise ValueError(f"num_classes must be at least 2, not {self.num_classes}")
        if self.face is None and self.body is None:
            raise ValueError("a model needs face, body or both")
        both = self.face is not None and self.body is not None
        if both and self.fusion is None:
            raise ValueError("a model of face and body needs fusion")
        if self.fusion is not None and not both:
            raise ValueError("fusion needs both face and body")

    @property
    def heads(self) -> tuple[str, ...]:
        """Names of the outputs that are log-probabilities (B, n); the last one is the model's answer."""
        names = (("face", self.face), ("body", self.body), ("fused", self.fusion))
        return tuple(name for name, config in names if config is not None)


class EmotionModel(nn.Module):
    """The whole model. `config.heads[-1]` names the output that is its answer."""

    always_call: bool = False
    """In training, call the networks even when nothing is there for them, with tensors of no rows: batch
    normalisations that are synchronised wait for every process."""

    def __init__(self, config: ModelConfig) -> None:
        super().__init__()
        self.config = config
        n = config.num_classes
        self.face = None if config.face is None else FaceModel(config.face, n)
        self.body = None if config.body is None else BodyModel(config.body, n)
        self.fusion = None if config.fusion is None else Fusion(config.fusion, n)

    def forward(self, batch: Mapping[str, Tensor]) -> dict[str, Any]:
        """Log-probabilities of one batch. Keys of a modality that the model has not may be absent.

        batch:
            frames (B, C, K, S, S, 3): uint8 in [0, 255] or float in [0, 1], RGB. Or
            clip_features (B, C, F): what `face.clip_features` made of them.
            clip_mask (B, C) bool: which clips are there.
            keypoints (B, L, J, 3) float: x, y in source pixels, score in [0, 1], 0 where unseen.
            body_mask (B,) bool: whether there is a body.
            seed (B,) int64, in training: whence each sample's random numbers are drawn. Without it from
            torch's own generator: then they depend on the batch.
        Returns:
            face, body, fused (B, n) float32: log-probabilities, uniform where the modality is masked; `heads`
            of the configuration says which of them there are.
            has_face, has_body (B,) bool: at least one clip is there; a body is, with at least one joint seen.
            face_terms: what `FaceModel.window` returns, meaningless where has_face is False.
        ValueError where a needed key is missing or a shape is wrong.
        """
        outputs: dict[str, Any] = {}
        seeds = _get(batch, "seed", 1) if "seed" in batch else None
        if self.face is not None:
            clip_mask = _get(batch, "clip_mask", 2)
            features = self._clip_features(self.face, batch, clip_mask, seeds)
            terms = self.face.window(features, clip_mask, seeds)
            outputs["has_face"] = clip_mask.any(dim=1)
            outputs["face_terms"] = terms
            outputs["face"] = self._uniform_where_masked(terms["log_probs"], outputs["has_face"])
        if self.body is not None:
            keypoints, body_mask = _get(batch, "keypoints", 4), _get(batch, "body_mask", 1)
            outputs["has_body"] = body_mask & self.body.sees(keypoints)
            log_probs = self._apply_where(
                self.body, [keypoints], outputs["has_body"], self.config.num_classes, self.body
            )
            outputs["body"] = self._uniform_where_masked(log_probs, outputs["has_body"])
        if self.fusion is not None:
            log_probs = torch.stack([outputs["face"], outputs["body"]], dim=1)
            present = torch.stack([outputs["has_face"], outputs["has_body"]], dim=1)
            outputs["fused"] = self.fusion(log_probs, present, seeds)
        return outputs

    def loss(
        self,
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
        if self.face is not None:
            config, terms = self.face.config, outputs["face_terms"]
            face_weight, face_target = weight * outputs["has_face"], target
            if self.face.landmark_head is not None:
                if landmarks is None:
                    raise ValueError("the model has a landmark head, but its loss was given no landmarks")
                errors, there = landmark_errors(terms["landmarks"], *landmarks)
                counted["face_landmarks"] = (config.landmark_weight * errors, face_weight * there)
            if config.scn is not None:
                ranking = rank(terms["attention"], face_weight > 0, config.scn, gather_from_processes)
                whole["face_rank"] = ranking.loss
                if config.scn.relabel_epoch is not None:
                    exchanged = torch.zeros_like(ranking.is_low)
                    if epoch >= config.scn.relabel_epoch:
                        face_target, exchanged = relabel(
                            _as_probabilities(target, self.config.num_classes),
                            terms["log_probs"],
                            ranking.is_low,
                            config.scn,
                        )
                    relabelled = exchanged.sum() / ranking.num_present.clamp(min=1)
            for head in config.heads:
                counted[f"face_{head}"] = (_nll(terms[head], face_target), face_weight)
            if "combination" in terms:
                counted["face_weights"] = (_nll(terms["combination"], face_target), face_weight)
        if self.body is not None:
            counted["body"] = (_nll(outputs["body"], target), weight * outputs["has_body"])
        if self.fusion is not None:
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

    def _clip_features(
        self, face: FaceModel, batch: Mapping[str, Tensor], clip_mask: Tensor, seeds: Tensor | None
    ) -> Tensor:
        if "clip_features" in batch:
            return _get(batch, "clip_features", 3)
        frames = _get(batch, "frames", 6)
        if frames.shape[:2] != clip_mask.shape:
            raise ValueError(f"frames {tuple(frames.shape)} do not fit clip_mask {tuple(clip_mask.shape)}")
        clips = [rearrange(frames, "b c ... -> (b c) ...")]
        if seeds is not None and face.draws:
            clips.append(rearrange(seeds_of_parts(seeds, clip_mask.shape[1], CLIPS), "b c -> (b c)"))
        mask = rearrange(clip_mask, "b c -> (b c)")
        features = self._apply_where(face.clip_features, clips, mask, face.num_features, face.trunk)
        return rearrange(features, "(b c) f -> b c f", b=len(frames))

    def _apply_where(
        self,
        call: Callable[..., Tensor],
        inputs: Sequence[Tensor],
        mask: Tensor,
        num_outputs: int,
        module: nn.Module,
    ) -> Tensor:
        """inputs, each (N, ...), mask (N,) bool -> (N, num_outputs): `call` of the rows in the mask, zeros
        elsewhere.

        `module` is whose parameters `call` uses. If no row is in the mask they still get a gradient, of
        zero: in distributed training a process that had none for them would stall the others.
        """
        index = mask.nonzero()[:, 0]
        if 0 < len(index) == len(mask):
            return call(*inputs)
        if len(index) > 0 or (self.always_call and self.training):
            values = call(*(rows[index] for rows in inputs))
            return values.new_zeros(len(mask), num_outputs).index_copy(0, index, values)
        nothing = torch.zeros(len(mask), num_outputs, device=mask.device)
        if not torch.is_grad_enabled():
            return nothing
        return nothing + 0.0 * torch.stack([parameter.sum() for parameter in module.parameters()]).sum()

    def _uniform_where_masked(self, log_probs: Tensor, present: Tensor) -> Tensor:
        uniform = torch.full_like(log_probs, 1 / self.config.num_classes).log()
        return torch.where(present[:, None], log_probs, uniform)


def _get(batch: Mapping[str, Tensor], key: str, ndim: int) -> Tensor:
    if key not in batch:
        raise ValueError(f"the batch has no {key}, only {sorted(batch)}")
    if batch[key].ndim != ndim:
        raise ValueError(f"{key} must have {ndim} axes, not shape {tuple(batch[key].shape)}")
    return batch[key]


def _as_probabilities(target: Tensor, num_classes: int) -> Tensor:
    """Class indices (B,) or probabilities (B, n) -> probabilities (B, n)."""
    return target if target.is_floating_point() else F.one_hot(target, num_classes).float()


def _nll(log_probs: Tensor, target: Tensor) -> Tensor:
    """(B, n), class indices (B,) or probabilities (B, n) -> negative log-likelihoods (B,)."""
    if target.is_floating_point():
        return -(target * log_probs).sum(dim=-1)
    return -log_probs.gather(1, target[:, None])[:, 0]
