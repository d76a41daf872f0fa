"""EmotionModel: face and body of one person over one window in, class log-probabilities out.

Letters in shapes: B samples, C clips, K frames a clip, S crop side in pixels, F features of a clip,
L instants, J joints, n classes.

What is masked never enters the networks: neither a masked clip nor a masked body touches the statistics of a
batch normalisation, and its numbers cannot reach an output.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

import torch
from einops import rearrange
from torch import Tensor, nn

from videofer.models.body import BodyModel
from videofer.models.config import ModelConfig
from videofer.models.dimensions import DimensionFusion, DimensionHead
from videofer.models.face import FaceModel
from videofer.models.fusion import Fusion
from videofer.models.loss import loss_terms
from videofer.models.noise import CLIPS, seeds_of_parts
from videofer.models.targets import ignorance


class EmotionModel(nn.Module):
    """The whole model. `config.heads[-1]` names the output that is its answer."""

    always_call: bool = False
    """In training, call the networks even when nothing is there for them, with tensors of no rows: batch
    normalisations that are synchronised wait for every process."""

    def __init__(self, config: ModelConfig) -> None:
        super().__init__()
        self.config = config
        n = config.num_classes
        self.face = None if config.face is None else FaceModel(config.face, n, config.targets)
        self.body = None if config.body is None else BodyModel(config.body, n, config.targets)
        self.fusion: Fusion | None = None
        if config.fusion is not None:
            assert self.face is not None and self.body is not None, "checked by ModelConfig"
            num_features = (self.face.num_features, self.body.num_features)
            self.fusion = Fusion(config.fusion, n, num_features, config.targets)
        d, branches = config.num_dimensions, {"face": self.face, "body": self.body}
        self.dimension_heads = nn.ModuleDict(
            {
                name: DimensionHead(one.num_features, d)
                for name, one in branches.items()
                if d and one is not None
            }
        )
        self.dimension_fusion = DimensionFusion(d) if d and self.fusion is not None else None

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
            of the configuration says which of them there are. whole (B, n): see `Fusion.answers`.
            face_dimensions, body_dimensions, fused_dimensions (B, d) float32 in [-1, 1], where the model has
            dimensions: 0 where masked.
            has_face, has_body (B,) bool: at least one clip is there; a body is, with at least one joint seen.
            face_terms: what `FaceModel.window` returns, meaningless where has_face is False.
        ValueError where a needed key is missing or a shape is wrong.
        """
        outputs: dict[str, Any] = {}
        described: list[Tensor] = []  # features of face and body, each (B, F)
        own = self._for_heads
        seeds = _get(batch, "seed", 1) if "seed" in batch else None
        if self.face is not None:
            clip_mask = _get(batch, "clip_mask", 2)
            features = self._clip_features(self.face, batch, clip_mask, seeds)
            described.append(self.face.pooled(features, clip_mask))
            terms = self.face.window(own(features), clip_mask, seeds)
            outputs["has_face"] = clip_mask.any(dim=1)
            outputs["face_terms"] = terms
            outputs["face"] = self._uniform_where_masked(terms["log_probs"], outputs["has_face"])
            self._add_dimensions("face", described[-1], outputs)
        if self.body is not None:
            keypoints, body_mask = _get(batch, "keypoints", 4), _get(batch, "body_mask", 1)
            has_body = outputs["has_body"] = body_mask & self.body.sees(keypoints)
            weights = list(self.body.parameters())
            features = self._apply_where(
                self.body.describe, [keypoints], has_body, self.body.num_features, weights
            )
            described.append(features)
            log_probs = self._apply_where(
                self.body.classify, [own(features)], has_body, self.config.num_classes, weights
            )
            outputs["body"] = self._uniform_where_masked(log_probs, has_body)
            self._add_dimensions("body", features, outputs)
        if self.fusion is not None:
            log_probs = torch.stack([outputs["face"], outputs["body"]], dim=1)
            present = torch.stack([outputs["has_face"], outputs["has_body"]], dim=1)
            outputs |= self.fusion.answers(log_probs, present, seeds, described)
            if self.dimension_fusion is not None:
                values = torch.stack([outputs["face_dimensions"], outputs["body_dimensions"]], dim=1)
                values = values if self.fusion.config.joint else values.detach()
                outputs["fused_dimensions"] = self.dimension_fusion(values, present)
        return outputs

    def loss(
        self,
        outputs: Mapping[str, Any],
        target: Tensor,
        sample_weight: Tensor | None = None,
        **more: Any,
    ) -> dict[str, Tensor]:
        """The terms of the loss and their `total`, see `loss.loss_terms`, which takes `more`."""
        return loss_terms(self.config, outputs, target, sample_weight, **more)

    def _for_heads(self, features: Tensor) -> Tensor:
        """What the heads of a branch are given: their gradient reaches its network where that is wanted."""
        fusion = self.config.fusion
        return features if fusion is None or fusion.branch_loss == "networks" else features.detach()

    def _add_dimensions(self, name: str, features: Tensor, outputs: dict[str, Any]) -> None:
        """The dimensions of a branch, whose features (B, F) are zero where it is masked."""
        if name in self.dimension_heads:
            values = self.dimension_heads[name](self._for_heads(features))
            outputs[f"{name}_dimensions"] = torch.where(outputs[f"has_{name}"][:, None], values, 0.0)

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
        features = self._apply_where(
            face.clip_features, clips, mask, face.num_features, face.clip_parameters()
        )
        return rearrange(features, "(b c) f -> b c f", b=len(frames))

    def _apply_where(
        self,
        call: Callable[..., Tensor],
        inputs: Sequence[Tensor],
        mask: Tensor,
        num_outputs: int,
        parameters: Iterable[nn.Parameter],
    ) -> Tensor:
        """inputs, each (N, ...), mask (N,) bool -> (N, num_outputs): `call` of the rows in the mask, zeros
        elsewhere.

        `parameters` are those that `call` uses. If no row is in the mask they still get a gradient, of
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
        return nothing + 0.0 * torch.stack([parameter.sum() for parameter in parameters]).sum()

    def _uniform_where_masked(self, log_probs: Tensor, present: Tensor) -> Tensor:
        unknown = ignorance(self.config.num_classes, self.config.targets)
        return torch.where(present[:, None], log_probs, torch.full_like(log_probs, unknown))


def _get(batch: Mapping[str, Tensor], key: str, ndim: int) -> Tensor:
    if key not in batch:
        raise ValueError(f"the batch has no {key}, only {sorted(batch)}")
    if batch[key].ndim != ndim:
        raise ValueError(f"{key} must have {ndim} axes, not shape {tuple(batch[key].shape)}")
    return batch[key]
