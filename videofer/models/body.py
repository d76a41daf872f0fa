"""The body model: gesture maps through a convolutional network, or postures through a linear layer.

Letters in shapes: B samples, L instants, J joints, F features, n classes.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar, Literal, get_args

from torch import Tensor, nn

from preprocessing.skeletons.layouts import LAYOUTS
from videofer.models.accm import ACCM, TwoLayerCNN
from videofer.models.gesture import (
    Encoding,
    accumulated_map,
    instant_weights,
    potion_map,
    seen_joints,
    timeline_map,
)
from videofer.models.layout import for_convolutions
from videofer.models.posture import PostureNet, parts_of
from videofer.models.targets import Targets, log_probs_of

Network = Literal["accm", "cnn", "posture"]
Maps = Literal["timeline", "timeline_one_map", "accumulated", "potion"]
Pooling = Literal["mean", "seen"]
Unit = Literal["frame", "sequence", "none"]

_CHOICES = {
    "network": get_args(Network),
    "maps": get_args(Maps),
    "normalization": get_args(Unit),
    "encoding": get_args(Encoding),
    "pooling": get_args(Pooling),
}


@dataclass(frozen=True, kw_only=True)
class BodyConfig:
    """The published model of gesture maps: width 128, normalization "frame", encoding "onehot", 300 instants.
    The published model of postures: network "posture", 67 joints, width 256, normalization "none",
    min_score 0.1."""

    network: Network = "accm"
    """"cnn": the joint path only, the published control. "posture": see `posture`; it has no maps."""
    num_joints: int = 17
    layout: str | None = None
    """posture: the joint layout, which tells hips, wrists and hands; bodies must be in it."""
    map_size: int = 64
    """Bins along a coordinate."""
    maps: Maps = "timeline"
    """With time axis: "timeline" (2J, S, L), "timeline_one_map" (2, S, L); without: "accumulated" (J, S, S),
    "potion" ((2 num_colors + 1) J, S, S). See `videofer.models.gesture`."""
    normalization: Unit = "sequence"
    """Box by which coordinates are scaled: of the whole "sequence", or anew for each "frame"; posture: or by
    "none", so that they are pixels."""
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
        if self.network == "posture":
            self._check_posture()
        elif self.layout is not None or self.normalization == "none":
            raise ValueError(
                f"layout and normalization none are for network posture only, not {self.network}"
            )

    def _check_posture(self) -> None:
        if self.layout not in LAYOUTS:
            raise ValueError(
                f"network posture needs to know its joints: layout must be one of {', '.join(LAYOUTS)}, not "
                f"{self.layout!r}"
            )
        layout = LAYOUTS[self.layout]
        parts_of(layout)
        if layout.num_joints != self.num_joints:
            raise ValueError(
                f"num_joints is {self.num_joints}, but the layout {layout.name} has {layout.num_joints}"
            )

    @property
    def has_time_axis(self) -> bool:
        return self.maps in ("timeline", "timeline_one_map")

    @property
    def num_channels(self) -> int:
        """Of the maps."""
        per_joint = {"timeline": 2, "accumulated": 1, "potion": 2 * self.num_colors + 1}
        return 2 if self.maps == "timeline_one_map" else per_joint[self.maps] * self.num_joints


class BodyModel(nn.Module):
    """Skeletons of one person in, class log-probabilities out. Any number of instants L works."""

    def __init__(self, config: BodyConfig, num_classes: int, targets: Targets = "single") -> None:
        super().__init__()
        self.config = config
        self.targets = targets
        self.network: ACCM | TwoLayerCNN | PostureNet
        match config.network:
            case "accm":
                self.network = ACCM(config.num_channels, num_classes, config.width, config.se_reduction)
            case "cnn":
                self.network = TwoLayerCNN(config.num_channels, num_classes, config.width)
            case "posture":
                assert config.layout is not None, "checked by BodyConfig"
                self.network = PostureNet(LAYOUTS[config.layout], num_classes, config.width)
        self.num_features = config.width

    def maps(self, keypoints: Tensor) -> Tensor:
        """keypoints (B, L, J, 3): x, y in source pixels, score -> the gesture maps of the configured kind."""
        config = self.config
        self._check(keypoints)
        assert config.normalization != "none", "checked by BodyConfig"
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

    def places(self, keypoints: Tensor) -> tuple[Tensor, Tensor]:
        """What a posture network sees of keypoints (B, L, J, 3); see `PostureNet.places`."""
        assert isinstance(self.network, PostureNet), self.config.network
        self._check(keypoints)
        unit = self.config.normalization
        return self.network.places(keypoints.float(), self.config.min_score, None if unit == "none" else unit)

    def sees(self, keypoints: Tensor) -> Tensor:
        """keypoints (B, L, J, 3) -> (B,) bool: at least one joint was seen, so that the network has it."""
        if isinstance(self.network, PostureNet):
            return self.places(keypoints)[1].any(dim=2).any(dim=1)
        return seen_joints(keypoints, self.config.min_score).any(dim=(1, 2))

    def describe(self, keypoints: Tensor) -> Tensor:
        """keypoints (B, L, J, 3) -> features (B, F)."""
        if isinstance(self.network, PostureNet):
            features: Tensor = self.network(*self.places(keypoints))
            return features
        keypoints = keypoints.float()
        weight = instant_weights(keypoints, self.config.min_score) if self.config.pooling == "seen" else None
        features = self.network(for_convolutions(self.maps(keypoints)), weight)
        return features

    def classify(self, features: Tensor) -> Tensor:
        """Features (B, F) -> log-probabilities (B, n) float32."""
        return log_probs_of(self.network.classify(features), self.targets)

    def forward(self, keypoints: Tensor) -> Tensor:
        """keypoints (B, L, J, 3) -> log-probabilities (B, n) float32."""
        return self.classify(self.describe(keypoints))

    def _check(self, keypoints: Tensor) -> None:
        num_joints = self.config.num_joints
        if keypoints.ndim != 4 or keypoints.shape[2:] != (num_joints, 3):
            raise ValueError(
                f"keypoints must be (samples, instants, {num_joints}, 3), not {tuple(keypoints.shape)}"
            )
