"""ACCM, the attention channel-wise convolutional model on gesture maps, and the body model around it.

Letters in shapes: B samples, L instants, J joints, S map size, n classes, c channels, h w a map's height and
width, which is time in maps with a time axis.

Two paths see the map: one convolves all joints together; the other first convolves each joint's channel on
its own, then mixes them and weighs the mixed channels by squeeze-and-excitation. Their sum is pooled. The
control of the published experiments, a network of two layers, is the first path alone.

Deviation from the published control, which applies a softmax before cross-entropy: ours has none.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar, Literal

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from videofer.models.gesture import (
    Encoding,
    Normalization,
    accumulated_map,
    instant_weights,
    potion_map,
    seen_joints,
    timeline_map,
)
from videofer.models.layout import for_convolutions

Network = Literal["accm", "cnn"]
Maps = Literal["timeline", "timeline_one_map", "accumulated", "potion"]
Pooling = Literal["mean", "seen"]

_CHOICES = {
    "network": ("accm", "cnn"),
    "maps": ("timeline", "timeline_one_map", "accumulated", "potion"),
    "normalization": ("frame", "sequence"),
    "encoding": ("soft", "onehot"),
    "pooling": ("mean", "seen"),
}


@dataclass(frozen=True, kw_only=True)
class BodyConfig:
    """The published model: width 128, normalization "frame", encoding "onehot", 300 instants."""

    network: Network = "accm"
    """"cnn": the joint path only, the published control."""
    num_joints: int = 17
    map_size: int = 64
    """Bins along a coordinate."""
    maps: Maps = "timeline"
    """With time axis: "timeline" (2J, S, L), "timeline_one_map" (2, S, L); without: "accumulated" (J, S, S),
    "potion" ((2 num_colors + 1) J, S, S). See `videofer.models.gesture`."""
    normalization: Normalization = "sequence"
    """Box by which coordinates are scaled: of the whole "sequence", or anew for each "frame"."""
    encoding: Encoding = "soft"
    """"soft": scores shared between neighbouring bins; "onehot": the published values."""
    min_score: float = 0.05
    """A joint whose score is not above this was not seen."""
    bounded: bool = False
    """accumulated: u / (1 + u), so that dwelling saturates."""
    num_colors: int = 3
    """potion: colours that tell when."""
    pooling: Pooling = "mean"
    """Global average at the end: the plain "mean", as published, or, of maps with a time axis, one in which
    an instant counts by the mean score of its joints that were "seen" (squeeze-and-excitation keeps the plain
    mean)."""
    width: int = 128
    se_reduction: int = 16
    """accm only."""

    __pydantic_config__: ClassVar[dict[str, Any]] = {"extra": "forbid"}

    def __post_init__(self) -> None:
        for name in ("num_joints", "num_colors", "width", "se_reduction"):
            if getattr(self, name) < 1:
                raise ValueError(f"{name} must be at least 1, not {getattr(self, name)}")
        for name, allowed in _CHOICES.items():
            if getattr(self, name) not in allowed:
                raise ValueError(f"{name} must be one of {', '.join(allowed)}, not {getattr(self, name)!r}")
        if self.map_size < 8:
            raise ValueError(f"map_size must be at least 8, not {self.map_size}")
        if self.network == "accm" and self.width % self.se_reduction:
            raise ValueError(f"width {self.width} must be a multiple of se_reduction {self.se_reduction}")
        if self.bounded and self.maps != "accumulated":
            raise ValueError(f"bounded is for accumulated maps only, not {self.maps}")
        if self.pooling == "seen" and not self.has_time_axis:
            raise ValueError(f"pooling seen needs maps with a time axis, which {self.maps} maps have not")

    @property
    def has_time_axis(self) -> bool:
        return self.maps in ("timeline", "timeline_one_map")

    @property
    def num_channels(self) -> int:
        """Of the maps."""
        per_joint = {"timeline": 2, "accumulated": 1, "potion": 2 * self.num_colors + 1}
        return 2 if self.maps == "timeline_one_map" else per_joint[self.maps] * self.num_joints


class SqueezeExcite(nn.Module):
    """Weighs each channel by what all channels show on average."""

    def __init__(self, channels: int, reduction: int) -> None:
        super().__init__()
        self.squeeze = nn.Linear(channels, channels // reduction)
        self.excite = nn.Linear(channels // reduction, channels)

    def forward(self, x: Tensor) -> Tensor:
        """(B, c, h, w) -> the same shape."""
        weights: Tensor = self.excite(self.squeeze(x.mean(dim=(2, 3))).relu()).sigmoid()
        return x * weights[:, :, None, None]


def _conv_bn_relu(in_channels: int, channels: int, stride: int) -> nn.Sequential:
    return nn.Sequential(
        nn.Conv2d(in_channels, channels, 3, stride, padding=1),
        nn.BatchNorm2d(channels),
        nn.ReLU(inplace=True),
    )


def _joint_path(in_channels: int, width: int) -> nn.Sequential:
    return nn.Sequential(_conv_bn_relu(in_channels, width, stride=2), _conv_bn_relu(width, width, stride=1))


class ACCM(nn.Module):
    """The network on a gesture map of any height and width."""

    def __init__(self, in_channels: int, num_classes: int, width: int = 128, se_reduction: int = 16) -> None:
        super().__init__()
        self.joint_path = _joint_path(in_channels, width)
        self.channel_path = nn.Sequential(
            nn.Conv2d(in_channels, in_channels, 3, padding=1, groups=in_channels),
            _conv_bn_relu(in_channels, width, stride=2),
            SqueezeExcite(width, se_reduction),
            _conv_bn_relu(width, width, stride=1),
        )
        self.head = nn.Linear(width, num_classes)

    def forward(self, maps: Tensor, instant_weight: Tensor | None = None) -> Tensor:
        """(B, in_channels, h, w), weights (B, w) for the pooling over w or None -> logits (B, n)."""
        return self.head(pool(self.joint_path(maps) + self.channel_path(maps), instant_weight))  # type: ignore[no-any-return]


class TwoLayerCNN(nn.Module):
    """The published control: what ACCM is without its channel-wise path."""

    def __init__(self, in_channels: int, num_classes: int, width: int = 128) -> None:
        super().__init__()
        self.joint_path = _joint_path(in_channels, width)
        self.head = nn.Linear(width, num_classes)

    def forward(self, maps: Tensor, instant_weight: Tensor | None = None) -> Tensor:
        """(B, in_channels, h, w), weights (B, w) for the pooling over w or None -> logits (B, n)."""
        return self.head(pool(self.joint_path(maps), instant_weight))  # type: ignore[no-any-return]


def pool(x: Tensor, instant_weight: Tensor | None) -> Tensor:
    """x (B, c, h, w/2 rounded up), weights (B, w) at full time resolution or None -> (B, c).

    A column of x comes from a convolution of stride 2 and is centred on three instants: its weight is their
    mean weight, at an end that of the two that there are. Where all weights are zero: zeros.
    """
    if instant_weight is None:
        return x.mean(dim=(2, 3))
    three = instant_weight.new_ones(1, 1, 3)
    total = F.conv1d(instant_weight[:, None], three, stride=2, padding=1)  # (B, 1, w/2)
    weight = total / F.conv1d(torch.ones_like(instant_weight[:, None]), three, stride=2, padding=1)
    return (x.mean(dim=2) * weight).sum(dim=2) / weight.sum(dim=2).clamp(min=1e-6)


class BodyModel(nn.Module):
    """Skeletons of one person in, class log-probabilities out. Any number of instants L works."""

    def __init__(self, config: BodyConfig, num_classes: int) -> None:
        super().__init__()
        self.config = config
        self.network: ACCM | TwoLayerCNN
        if config.network == "accm":
            self.network = ACCM(config.num_channels, num_classes, config.width, config.se_reduction)
        else:
            self.network = TwoLayerCNN(config.num_channels, num_classes, config.width)

    def maps(self, keypoints: Tensor) -> Tensor:
        """keypoints (B, L, J, 3): x, y in source pixels, score -> the gesture maps of the configured kind."""
        config = self.config
        if keypoints.ndim != 4 or keypoints.shape[2:] != (config.num_joints, 3):
            raise ValueError(
                f"keypoints must be (samples, instants, {config.num_joints}, 3), not {tuple(keypoints.shape)}"
            )
        size, normalization, encoding = config.map_size, config.normalization, config.encoding
        min_score = config.min_score
        match config.maps:
            case "timeline" | "timeline_one_map":
                one_map = config.maps == "timeline_one_map"
                return timeline_map(keypoints, size, normalization, encoding, min_score, one_map=one_map)
            case "accumulated":
                return accumulated_map(
                    keypoints, size, normalization, encoding, min_score, bounded=config.bounded
                )
            case "potion":
                return potion_map(
                    keypoints, size, normalization, encoding, min_score, num_colors=config.num_colors
                )

    def sees(self, keypoints: Tensor) -> Tensor:
        """keypoints (B, L, J, 3) -> (B,) bool: at least one joint was seen."""
        return seen_joints(keypoints, self.config.min_score).any(dim=(1, 2))

    def forward(self, keypoints: Tensor) -> Tensor:
        """keypoints (B, L, J, 3) -> log-probabilities (B, n) float32."""
        keypoints = keypoints.float()
        weight = instant_weights(keypoints, self.config.min_score) if self.config.pooling == "seen" else None
        logits: Tensor = self.network(for_convolutions(self.maps(keypoints)), weight)
        return logits.float().log_softmax(dim=-1)
