"""The networks of a model as separate graphs with named tensors in and out, ready to be traced.

    clip    frames (N, K, H, W, 3) uint8              -> features (N, F)
    window  features (B, C, F), clip_mask (B, C)      -> face (B, n), and of its heads, each (B, n)
    body    keypoints (B, L, J, 3)                    -> body (B, n), seen (B,)
    answer  face, has_face, body, has_body            -> log_<head>, p_<head> (B, n), head: face, body, fused

Apart from each other, so that a timeline passes each clip through the trunk once. All of window and body are
log-probabilities, meaningless where nothing was seen; `answer` masks and fuses: log_<head> is what the model
says, p_<head> the calibrated probabilities. A model of one modality has the graphs and inputs of that one.
Where features are fused, window and body give them as well, face_features and body_features (B, F), and
answer takes them.
"""

from __future__ import annotations

import copy
import math
from collections.abc import Iterator
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from einops import rearrange
from torch import Tensor, nn

from videofer.checkpoint import LoadedModel
from videofer.evaluation.calibration import Calibration
from videofer.models.body import BodyModel
from videofer.models.face import FaceConfig, FaceModel
from videofer.models.fusion import Fusion
from videofer.recipe import Recipe


@dataclass(frozen=True, kw_only=True)
class Graph:
    """One network and how to trace it."""

    name: str
    module: nn.Module  # takes the inputs by name, returns a dict
    inputs: dict[str, Tensor]  # an example; no two free axes of equal size
    axes: dict[str, dict[int, str]]  # per input, the axes that may have any size: their names
    outputs: tuple[str, ...]
    note: str = ""  # which size is fixed though another model of the kind could have another, and why

    def shapes(self) -> dict[str, list[int | str]]:
        """Per input its axes: a name where any size will do, else the size."""
        return {
            name: [self.axes[name].get(axis, size) for axis, size in enumerate(tensor.shape)]
            for name, tensor in self.inputs.items()
        }


class ClipGraph(nn.Module):
    """Crops of any size to features of clips."""

    def __init__(self, face: FaceModel) -> None:
        super().__init__()
        self.face = copy.deepcopy(face)
        del self.face.streams, self.face.landmark_head  # a file holds all weights of its module, used or not

    def forward(self, frames: Tensor) -> dict[str, Tensor]:
        """frames (N, K, H, W, 3) uint8 -> features (N, F)."""
        num_frames, size = frames.shape[1], self.face.config.input_size
        x = rearrange(frames, "n k h w c -> (n k) c h w").float() / 255
        # Also where the crops have that size already: a graph has no branches. It changes nothing then.
        x = F.interpolate(x, (size, size), mode="bilinear", antialias=True)
        return {"features": self.face.clip_features(rearrange(x, "(n k) c h w -> n k h w c", k=num_frames))}


class WindowGraph(nn.Module):
    """Features of a window's clips to the face's log-probabilities."""

    def __init__(self, face: FaceModel, *, describes: bool = False) -> None:
        """describes: also give the features that are fused."""
        super().__init__()
        self.describes = describes
        self.face = copy.deepcopy(face)
        self.face.landmark_head = None  # of use in training only
        del self.face.trunk, self.face.aligner

    def forward(self, features: Tensor, clip_mask: Tensor) -> dict[str, Tensor]:
        """features (B, C, F), clip_mask (B, C) bool -> face and the terms of its heads, each (B, n)."""
        terms = self.face.window(features, clip_mask)
        pooled = {"face_features": self.face.pooled(features, clip_mask)} if self.describes else {}
        own = {name: terms[name] for name in _terms(self.face.config)}
        return {"face": terms["log_probs"], **own, **pooled}


class BodyGraph(nn.Module):
    """Keypoints to the body's log-probabilities; gesture maps or postures are made inside."""

    def __init__(self, body: BodyModel, *, describes: bool = False) -> None:
        """describes: also give the features that are fused."""
        super().__init__()
        self.body = body
        self.describes = describes

    def forward(self, keypoints: Tensor) -> dict[str, Tensor]:
        """keypoints (B, L, J, 3) -> body (B, n), seen (B,) bool: at least one joint was."""
        features = self.body.describe(keypoints)
        own = {"body_features": features} if self.describes else {}
        return {"body": self.body.classify(features), "seen": self.body.sees(keypoints), **own}


class AnswerGraph(nn.Module):
    """Masks, fuses and calibrates."""

    def __init__(self, fusion: Fusion | None, calibration: Calibration) -> None:
        super().__init__()
        self.fusion = fusion
        self.calibration = calibration

    def forward(
        self,
        face: Tensor | None = None,
        has_face: Tensor | None = None,
        body: Tensor | None = None,
        has_body: Tensor | None = None,
        face_features: Tensor | None = None,
        body_features: Tensor | None = None,
    ) -> dict[str, Tensor]:
        """face, body (B, n) log-probabilities, has_face, has_body (B,) bool -> all heads, each (B, n).

        face_features, body_features: each (B, F), where they are fused.
        """
        answers: dict[str, Tensor] = {}
        seen: dict[str, Tensor] = {}
        for head, log_probs, there in (("face", face, has_face), ("body", body, has_body)):
            if log_probs is not None and there is not None:
                uniform = torch.full_like(log_probs, -math.log(log_probs.shape[1]))
                answers[head] = torch.where(there[:, None], log_probs, uniform)
                seen[f"has_{head}"] = there
        if self.fusion is not None:
            both = torch.stack([answers["face"], answers["body"]], dim=1)  # (B, 2, n)
            present = torch.stack([seen["has_face"], seen["has_body"]], dim=1)
            features = [part for part in (face_features, body_features) if part is not None]
            answers["fused"] = self.fusion(both, present, features=features or None)
        calibrated = self.calibration.apply({**answers, **seen})
        return {
            **{f"log_{head}": log_probs for head, log_probs in answers.items()},
            **{f"p_{head}": calibrated[head].exp() for head in answers},
        }


def _terms(config: FaceConfig) -> tuple[str, ...]:
    """What `FaceModel.window` gives besides the answer, as far as it is of use outside training."""
    is_published = {"clip", "emotion"} <= set(config.heads)
    return (*config.heads, *(("published_score",) if is_published else ()))


def needs_features(recipe: Recipe) -> bool:
    """Whether the fusion takes the features of both branches, not their answers alone."""
    return recipe.model.fusion is not None and recipe.model.fusion.needs_features


def graphs_of(loaded: LoadedModel) -> Iterator[Graph]:
    """The graphs of a model on the CPU."""
    model, spec, num_classes = loaded.model, loaded.spec, len(loaded.labels)
    answer_inputs: dict[str, Tensor] = {}
    describes = needs_features(loaded.recipe)
    if model.face is not None:
        assert model.face.config.descriptor == "none", "refused by videofer.export.run"
        side = model.face.config.input_size
        is_tiled = model.face.config.trunk == "tiled"
        num_frames = spec.num_frames if is_tiled else 2
        frames_axis = {} if is_tiled else {1: "frames"}
        frames = torch.randint(0, 256, (3, num_frames, side + 4, side + 5, 3), dtype=torch.uint8)
        yield Graph(
            name="clip",
            module=ClipGraph(model.face),
            inputs={"frames": frames},
            axes={"frames": {0: "clips", **frames_axis, 2: "height", 3: "width"}},
            outputs=("features",),
            note=f"{num_frames} frames a clip only: they lie side by side in one picture" if is_tiled else "",
        )
        yield Graph(
            name="window",
            module=WindowGraph(model.face, describes=describes),
            inputs={"features": torch.randn(3, 4, loaded.num_features), "clip_mask": torch.ones(3, 4).bool()},
            axes={"features": {0: "windows", 1: "clips"}, "clip_mask": {0: "windows", 1: "clips"}},
            outputs=("face", *_terms(model.face.config), *(("face_features",) if describes else ())),
        )
        answer_inputs |= {"face": torch.zeros(3, num_classes), "has_face": torch.ones(3).bool()}
    if model.body is not None:
        yield Graph(
            name="body",
            module=BodyGraph(model.body, describes=describes),
            inputs={"keypoints": torch.rand(3, spec.body_length + 7, spec.num_joints, 3)},
            axes={"keypoints": {0: "windows", 1: "instants"}},
            outputs=("body", "seen", *(("body_features",) if describes else ())),
        )
        answer_inputs |= {"body": torch.zeros(3, num_classes), "has_body": torch.ones(3).bool()}
    if describes:
        assert model.face is not None and model.body is not None
        for name, branch in (("face_features", model.face), ("body_features", model.body)):
            answer_inputs[name] = torch.zeros(3, branch.num_features)
    yield Graph(
        name="answer",
        module=AnswerGraph(model.fusion, loaded.calibration),
        inputs=answer_inputs,
        axes={name: {0: "windows"} for name in answer_inputs},
        outputs=tuple(f"{kind}_{head}" for kind in ("log", "p") for head in loaded.heads),
    )
