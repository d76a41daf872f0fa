"""The face model: SISTCM trunk, two-stream LSTM, and one proper probability out of its three heads.

Letters in shapes: B samples, C clips, N = B*C clips, K frames, S crop side, F features, n classes.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar

import torch
from einops import rearrange
from torch import Tensor, nn
from torch.nn import functional as F

from videofer.models.layout import for_convolutions
from videofer.models.sistcm import SISTCMTrunk, Views
from videofer.models.tlstm import HEADS, TwoStreamLSTM


@dataclass(frozen=True, kw_only=True)
class FaceConfig:
    """The published model is width 64, `views="faithful"`, input_size 224."""

    width: int = 64
    """Channels of the stem; the four stages have 1, 2, 4 and 8 times as many."""
    views: Views = "faithful"
    """How the space-time views are merged: "faithful" sums them, "attention" weighs them by their content."""
    spatial_view: bool = False
    """Also show each block the plain frame-by-frame view."""
    input_size: int = 112
    """Side in pixels to which crops are resized on the device."""
    dropout: float = 0.5
    """Before the clip layer."""
    normalize_features: bool = False
    """Bring each clip's features to mean 0, variance 1 before their LSTM. The published model does not: its
    gates saturate on the large features of a trunk without pretraining, and order is not learned."""
    feature_hidden: int = 1024
    emotion_hidden: int = 512
    mean: tuple[float, float, float] = (0.0, 0.0, 0.0)
    """Subtracted from RGB in [0, 1]. The published model does not normalise."""
    std: tuple[float, float, float] = (1.0, 1.0, 1.0)

    __pydantic_config__: ClassVar[dict[str, Any]] = {"extra": "forbid"}

    def __post_init__(self) -> None:
        for name in ("width", "feature_hidden", "emotion_hidden"):
            if getattr(self, name) < 1:
                raise ValueError(f"{name} must be at least 1, not {getattr(self, name)}")
        if self.views not in ("faithful", "attention"):
            raise ValueError(f"views must be faithful or attention, not {self.views!r}")
        if self.input_size < 33:
            raise ValueError(f"input_size must be at least 33, not {self.input_size}")
        if not 0 <= self.dropout < 1:
            raise ValueError(f"dropout must be in [0, 1), not {self.dropout}")
        if len(self.mean) != 3 or len(self.std) != 3 or min(self.std) <= 0:
            raise ValueError(f"mean and std need 3 values, std above 0: {self.mean}, {self.std}")


class FaceModel(nn.Module):
    """Clips of one face in, class log-probabilities out. No layer knows C or K: any number of each works."""

    mean: Tensor
    std: Tensor

    def __init__(self, config: FaceConfig, num_classes: int) -> None:
        super().__init__()
        self.config = config
        self.trunk = SISTCMTrunk(config.width, config.views, config.spatial_view)
        self.num_features = self.trunk.num_features
        self.streams = TwoStreamLSTM(
            self.num_features,
            num_classes,
            config.feature_hidden,
            config.emotion_hidden,
            config.dropout,
            config.normalize_features,
        )
        self.head_weight_logits = nn.Parameter(torch.zeros(len(HEADS)))
        self.register_buffer("mean", torch.tensor(config.mean)[:, None, None], persistent=False)
        self.register_buffer("std", torch.tensor(config.std)[:, None, None], persistent=False)

    def clip_features(self, frames: Tensor) -> Tensor:
        """frames (N, 3, K, S, S), uint8 in [0, 255] or float in [0, 1], RGB -> (N, F).

        A clip's features do not depend on the other clips when the model is in eval mode, so a timeline can
        compute each clip once and let all windows share it.
        """
        if frames.ndim != 5 or frames.shape[1] != 3:
            raise ValueError(f"frames must be (clips, 3, frames, side, side), not {tuple(frames.shape)}")
        num_frames = frames.shape[2]
        pixels = for_convolutions(rearrange(frames, "n c k h w -> (n k) c h w"))  # while one byte a value
        x = pixels.to(self.mean.dtype)
        if frames.dtype == torch.uint8:
            x = x / 255
        size = self.config.input_size
        if x.shape[-2:] != (size, size):
            x = F.interpolate(x, (size, size), mode="bilinear", antialias=True)
        x = (x - self.mean) / self.std
        return self.trunk(for_convolutions(x), num_frames)  # type: ignore[no-any-return]

    def window(self, features: Tensor, clip_mask: Tensor) -> dict[str, Tensor]:
        """features (B, C, F), clip_mask (B, C) bool -> the outputs of the heads, each (B, n) float32.

        `clip`, `emotion`, `feature` are log-probabilities of the three heads, `published_score` is the
        published mixture, `log_probs` the proper one: the heads' log-probabilities averaged by learned
        weights that sum to one, normalised. `combination` equals `log_probs`, but its gradient reaches those
        weights only, so that they are fitted without a fourth loss on the network. Where all clips are
        masked: finite, meaningless.
        """
        outputs: dict[str, Tensor] = self.streams(features, clip_mask)
        heads = torch.stack([outputs[name] for name in HEADS])
        weights = self.head_weight_logits.float().softmax(dim=0)[:, None, None]
        outputs["log_probs"] = (weights * heads).sum(dim=0).log_softmax(dim=-1)
        outputs["combination"] = (weights * heads.detach()).sum(dim=0).log_softmax(dim=-1)
        return outputs
