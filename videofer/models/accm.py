"""ACCM, the attention channel-wise convolutional model on gesture maps, and its control.

Letters in shapes: B samples, n classes, c channels, h w a map's height and width, which is time in maps with
a time axis.

Two paths see the map: one convolves all joints together; the other first convolves each joint's channel on
its own, then mixes them and weighs the mixed channels by squeeze-and-excitation. Their sum is pooled. The
control of the published experiments, a network of two layers, is the first path alone.

Deviation from the published control, which applies a softmax before cross-entropy: ours has none.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional as F


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
        """(B, in_channels, h, w), weights (B, w) for the pooling over w or None -> features (B, width)."""
        return pool(self.joint_path(maps) + self.channel_path(maps), instant_weight)

    def classify(self, features: Tensor) -> Tensor:
        """(B, width) -> logits (B, n)."""
        return self.head(features)  # type: ignore[no-any-return]


class TwoLayerCNN(nn.Module):
    """The published control: what ACCM is without its channel-wise path."""

    def __init__(self, in_channels: int, num_classes: int, width: int = 128) -> None:
        super().__init__()
        self.joint_path = _joint_path(in_channels, width)
        self.head = nn.Linear(width, num_classes)

    def forward(self, maps: Tensor, instant_weight: Tensor | None = None) -> Tensor:
        """(B, in_channels, h, w), weights (B, w) for the pooling over w or None -> features (B, width)."""
        return pool(self.joint_path(maps), instant_weight)

    def classify(self, features: Tensor) -> Tensor:
        """(B, width) -> logits (B, n)."""
        return self.head(features)  # type: ignore[no-any-return]


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
