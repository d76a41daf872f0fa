"""EmotionModel: face and body of one person over one window in, class log-probabilities out.

Letters in shapes: B samples, C clips, K frames a clip, S crop side in pixels, F features of a clip,
L instants, J joints, n classes.

What is masked never enters the networks: neither a masked clip nor a masked body touches the statistics of a
batch normalisation, and its numbers cannot reach an output.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

import torch
from einops import rearrange
from torch import Tensor, nn

from videofer.models.accm import BodyConfig, BodyModel
from videofer.models.face import FaceConfig, FaceModel
from videofer.models.fusion import Fusion, FusionConfig
from videofer.models.tlstm import HEADS


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
            frames (B, C, 3, K, S, S): uint8 in [0, 255] or float in [0, 1], RGB. Or
            clip_features (B, C, F): what `face.clip_features` made of them.
            clip_mask (B, C) bool: which clips are there.
            keypoints (B, L, J, 3) float: x, y in source pixels, score in [0, 1], 0 where unseen.
            body_mask (B,) bool: whether there is a body.
        Returns:
            face, body, fused (B, n) float32: log-probabilities, uniform where the modality is masked; `heads`
            of the configuration says which of them there are.
            has_face, has_body (B,) bool: at least one clip is there; a body is, with at least one joint seen.
            face_terms: what `FaceModel.window` returns, meaningless where has_face is False.
        ValueError where a needed key is missing or a shape is wrong.
        """
        outputs: dict[str, Any] = {}
        if self.face is not None:
            clip_mask = _get(batch, "clip_mask", 2)
            terms = self.face.window(self._clip_features(self.face, batch, clip_mask), clip_mask)
            outputs["has_face"] = clip_mask.any(dim=1)
            outputs["face_terms"] = terms
            outputs["face"] = self._uniform_where_masked(terms["log_probs"], outputs["has_face"])
        if self.body is not None:
            keypoints, body_mask = _get(batch, "keypoints", 4), _get(batch, "body_mask", 1)
            outputs["has_body"] = body_mask & self.body.sees(keypoints)
            log_probs = _apply_where(
                self.body, keypoints, outputs["has_body"], self.config.num_classes, self.body
            )
            outputs["body"] = self._uniform_where_masked(log_probs, outputs["has_body"])
        if self.fusion is not None:
            log_probs = torch.stack([outputs["face"], outputs["body"]], dim=1)
            present = torch.stack([outputs["has_face"], outputs["has_body"]], dim=1)
            outputs["fused"] = self.fusion(log_probs, present)
        return outputs

    def loss(
        self, outputs: Mapping[str, Any], target: Tensor, sample_weight: Tensor | None = None
    ) -> dict[str, Tensor]:
        """Scalars: each term, and `total`, their sum.

        target: (B,) class indices or (B, n) probabilities. sample_weight: (B,). A term is the weighted mean
        over the samples that have its modality (0 if none has), `fused` over those that have any.
        `face_weights` trains nothing but the weights of the face's three heads.
        """
        weight = target.new_ones(len(target), dtype=torch.float32) if sample_weight is None else sample_weight
        terms: dict[str, Tensor] = {}
        if self.face is not None:
            for name, head in [*((f"face_{head}", head) for head in HEADS), ("face_weights", "combination")]:
                terms[name] = _mean_nll(outputs["face_terms"][head], target, weight * outputs["has_face"])
        if self.body is not None:
            terms["body"] = _mean_nll(outputs["body"], target, weight * outputs["has_body"])
        if self.fusion is not None:
            present = outputs["has_face"] | outputs["has_body"]
            terms["fused"] = _mean_nll(outputs["fused"], target, weight * present)
        return {**terms, "total": torch.stack(list(terms.values())).sum()}

    def _clip_features(self, face: FaceModel, batch: Mapping[str, Tensor], clip_mask: Tensor) -> Tensor:
        if "clip_features" in batch:
            return _get(batch, "clip_features", 3)
        frames = _get(batch, "frames", 6)
        if frames.shape[:2] != clip_mask.shape:
            raise ValueError(f"frames {tuple(frames.shape)} do not fit clip_mask {tuple(clip_mask.shape)}")
        clips = rearrange(frames, "b c ... -> (b c) ...")
        mask = rearrange(clip_mask, "b c -> (b c)")
        features = _apply_where(face.clip_features, clips, mask, face.num_features, face.trunk)
        return rearrange(features, "(b c) f -> b c f", b=len(frames))

    def _uniform_where_masked(self, log_probs: Tensor, present: Tensor) -> Tensor:
        uniform = torch.full_like(log_probs, 1 / self.config.num_classes).log()
        return torch.where(present[:, None], log_probs, uniform)


def _get(batch: Mapping[str, Tensor], key: str, ndim: int) -> Tensor:
    if key not in batch:
        raise ValueError(f"the batch has no {key}, only {sorted(batch)}")
    if batch[key].ndim != ndim:
        raise ValueError(f"{key} must have {ndim} axes, not shape {tuple(batch[key].shape)}")
    return batch[key]


def _apply_where(
    call: Callable[[Tensor], Tensor], inputs: Tensor, mask: Tensor, num_outputs: int, module: nn.Module
) -> Tensor:
    """inputs (N, ...), mask (N,) bool -> (N, num_outputs): `call` of the rows in the mask, zeros elsewhere.

    `module` is whose parameters `call` uses. If no row is in the mask they still get a gradient, of
    zero: in distributed training a process that had none for them would stall the others.
    """
    index = mask.nonzero()[:, 0]
    if 0 < len(index) == len(mask):
        return call(inputs)
    if len(index) > 0:
        values = call(inputs[index])
        return values.new_zeros(len(mask), num_outputs).index_copy(0, index, values)
    nothing = torch.zeros(len(mask), num_outputs, device=inputs.device)
    if not torch.is_grad_enabled():
        return nothing
    return nothing + 0.0 * torch.stack([parameter.sum() for parameter in module.parameters()]).sum()


def _mean_nll(log_probs: Tensor, target: Tensor, weight: Tensor) -> Tensor:
    """Weighted mean of the negative log-likelihood; 0 where all weights are."""
    if target.is_floating_point():
        nll = -(target * log_probs).sum(dim=-1)
    else:
        nll = -log_probs.gather(1, target[:, None])[:, 0]
    total = weight.sum()
    return (weight * nll).sum() / torch.where(total > 0, total, 1.0)
