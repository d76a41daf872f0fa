"""ACCM, the attention channel-wise convolutional model on gesture maps, and the body model around it.

Letters in shapes: B samples, L instants, J joints, S map size, n classes.

Two paths see the map: one convolves all joints together; the other first convolves each joint's channel on
its own, then mixes them and weighs the mixed channels by squeeze-and-excitation. Their sum is pooled.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar

from torch import Tensor, nn

from videofer.models.gesture import Encoding, Normalization, accumulated_map, seen_joints, timeline_map
from videofer.models.layout import for_convolutions


@dataclass(frozen=True, kw_only=True)
class BodyConfig:
    """The published model: width 128, normalization "frame", encoding "onehot", 300 instants."""

    num_joints: int = 17
    map_size: int = 64
    """Bins along a coordinate."""
    timeline: bool = True
    """Maps (2J, S, L) that keep the time axis, or (J, S, S) that sum over it."""
    normalization: Normalization = "sequence"
    """Box by which coordinates are scaled: of the whole "sequence", or anew for each "frame"."""
    encoding: Encoding = "soft"
    """"soft": scores shared between neighbouring bins; "onehot": the published values."""
    min_score: float = 0.05
    """A joint whose score is not above this was not seen."""
    bounded: bool = False
    """Without timeline: u / (1 + u), so that dwelling saturates."""
    width: int = 128
    se_reduction: int = 16

    __pydantic_config__: ClassVar[dict[str, Any]] = {"extra": "forbid"}

    def __post_init__(self) -> None:
        for name in ("num_joints", "width", "se_reduction"):
            if getattr(self, name) < 1:
                raise ValueError(f"{name} must be at least 1, not {getattr(self, name)}")
        if self.map_size < 8:
            raise ValueError(f"map_size must be at least 8, not {self.map_size}")
        if self.normalization not in ("frame", "sequence"):
            raise ValueError(f"normalization must be frame or sequence, not {self.normalization!r}")
        if self.encoding not in ("soft", "onehot"):
            raise ValueError(f"encoding must be soft or onehot, not {self.encoding!r}")
        if self.width % self.se_reduction:
            raise ValueError(f"width {self.width} must be a multiple of se_reduction {self.se_reduction}")
        if self.bounded and self.timeline:
            raise ValueError("bounded is for maps without timeline: set timeline to false")

    @property
    def num_channels(self) -> int:
        return 2 * self.num_joints if self.timeline else self.num_joints


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


class ACCM(nn.Module):
    """The network on a gesture map of any height and width."""

    def __init__(self, in_channels: int, num_classes: int, width: int = 128, se_reduction: int = 16) -> None:
        super().__init__()
        self.joint_path = nn.Sequential(
            _conv_bn_relu(in_channels, width, stride=2), _conv_bn_relu(width, width, stride=1)
        )
        self.channel_path = nn.Sequential(
            nn.Conv2d(in_channels, in_channels, 3, padding=1, groups=in_channels),
            _conv_bn_relu(in_channels, width, stride=2),
            SqueezeExcite(width, se_reduction),
            _conv_bn_relu(width, width, stride=1),
        )
        self.head = nn.Linear(width, num_classes)

    def forward(self, maps: Tensor) -> Tensor:
        """(B, in_channels, height, width) -> logits (B, n)."""
        pooled = (self.joint_path(maps) + self.channel_path(maps)).mean(dim=(2, 3))
        return self.head(pooled)  # type: ignore[no-any-return]


class BodyModel(nn.Module):
    """Skeletons of one person in, class log-probabilities out. Any number of instants L works."""

    def __init__(self, config: BodyConfig, num_classes: int) -> None:
        super().__init__()
        self.config = config
        self.accm = ACCM(config.num_channels, num_classes, config.width, config.se_reduction)

    def maps(self, keypoints: Tensor) -> Tensor:
        """keypoints (B, L, J, 3): x, y in source pixels, score -> the gesture maps of the configured kind."""
        config = self.config
        if keypoints.ndim != 4 or keypoints.shape[2:] != (config.num_joints, 3):
            raise ValueError(
                f"keypoints must be (samples, instants, {config.num_joints}, 3), not {tuple(keypoints.shape)}"
            )
        if config.timeline:
            return timeline_map(
                keypoints,
                config.map_size,
                normalization=config.normalization,
                encoding=config.encoding,
                min_score=config.min_score,
            )
        return accumulated_map(
            keypoints,
            config.map_size,
            normalization=config.normalization,
            encoding=config.encoding,
            min_score=config.min_score,
            bounded=config.bounded,
        )

    def sees(self, keypoints: Tensor) -> Tensor:
        """keypoints (B, L, J, 3) -> (B,) bool: at least one joint was seen."""
        return seen_joints(keypoints, self.config.min_score).any(dim=(1, 2))

    def forward(self, keypoints: Tensor) -> Tensor:
        """keypoints (B, L, J, 3) -> log-probabilities (B, n) float32."""
        maps = for_convolutions(self.maps(keypoints.float()))
        return self.accm(maps).float().log_softmax(dim=-1)  # type: ignore[no-any-return]
