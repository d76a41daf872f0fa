"""SISTCM: a ResNet-18 trunk whose blocks see a clip of K frames as two interleaved space-time pictures.

Letters in shapes: N clips, K frames, c channels, h w pixels. Frames are flattened clip-major: (N*K, c, h, w).

In a block the first convolution works frame by frame; the second, one shared 3x3 kernel, works on

- the width-time view, h rows of w*k columns: column = w*K + k, time fastest, and
- the height-time view, w rows of h*k columns: column = h*K + k,

so that a pixel's neighbours are itself at other instants first, other pixels second. The views are put
back and merged by a plain sum (as published) or by input-dependent weights (as in CoST, from which the
block descends); the frame-by-frame spatial view can be a third one. Unlike a ResNet block, the
activation comes before the shortcut is added.

Deviations from the published code, which breaks for K other than 2 and computes its unused attention over
the batch axis: any K >= 1 works, and the softmax runs over the views.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Literal

import torch
from einops import rearrange
from torch import Tensor, nn
from torch.nn import functional as F

from videofer.models.layout import for_convolutions

Views = Literal["faithful", "attention"]


def width_time_view(x: Tensor, num_frames: int) -> Tensor:
    """(N*K, c, h, w) -> (N, c, h, w*K): each row's pixels, every pixel as its K instants in a row."""
    return rearrange(x, "(n k) c h w -> n c h (w k)", k=num_frames)


def height_time_view(x: Tensor, num_frames: int) -> Tensor:
    """(N*K, c, h, w) -> (N, c, w, h*K): the same for columns."""
    return rearrange(x, "(n k) c h w -> n c w (h k)", k=num_frames)


def from_width_time(view: Tensor, num_frames: int) -> Tensor:
    """(N, c, h, w*K) -> (N, K, c, h, w), without a copy."""
    return rearrange(view, "n c h (w k) -> n k c h w", k=num_frames)


def from_height_time(view: Tensor, num_frames: int) -> Tensor:
    """(N, c, w, h*K) -> (N, K, c, h, w), without a copy."""
    return rearrange(view, "n c w (h k) -> n k c h w", k=num_frames)


class ViewWeights(nn.Module):
    """Weights of the views for each clip and channel, from the views themselves; they sum to one."""

    def __init__(self, channels: int, num_views: int) -> None:
        super().__init__()
        self.embed = nn.Linear(channels, channels)
        self.score = nn.Linear(num_views * channels, num_views * channels)
        self.num_views = num_views

    def forward(self, views: list[Tensor]) -> Tensor:
        """views: V tensors (N, K, c, h, w) -> (V, N, 1, c, 1, 1)."""
        embedded = [self.embed(view.amax(dim=(1, 3, 4))) for view in views]
        scores = rearrange(self.score(torch.cat(embedded, dim=1)), "n (v c) -> v n 1 c 1 1", v=self.num_views)
        weights: Tensor = scores.softmax(dim=0)
        return weights


class SISTCMBlock(nn.Module):
    """One residual block. Names of the 2D layers are those of a torchvision BasicBlock."""

    def __init__(
        self, in_channels: int, channels: int, stride: int, views: Views, spatial_view: bool
    ) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(in_channels, channels, 3, stride, padding=1, bias=False)
        self.bn1 = nn.BatchNorm2d(channels)
        self.conv2 = nn.Conv2d(channels, channels, 3, padding=1, bias=False)
        self.bn2 = nn.BatchNorm2d(channels)
        self.downsample: nn.Module | None = None
        if stride != 1 or in_channels != channels:
            self.downsample = nn.Sequential(
                nn.Conv2d(in_channels, channels, 1, stride, bias=False), nn.BatchNorm2d(channels)
            )
        self.spatial_view = spatial_view
        self.weights = ViewWeights(channels, 3 if spatial_view else 2) if views == "attention" else None

    def forward(self, x: Tensor, num_frames: int) -> Tensor:
        """(N*K, c_in, h, w) -> (N*K, c, h/stride, w/stride)."""
        y = F.relu(self.bn1(self.conv1(x)), inplace=True)
        views = [
            from_width_time(self._shared(width_time_view(y, num_frames)), num_frames),
            from_height_time(self._shared(height_time_view(y, num_frames)), num_frames),
        ]
        if self.spatial_view:
            views.append(rearrange(self._shared(y), "(n k) c h w -> n k c h w", k=num_frames))
        if self.weights is not None:
            views = [weight * view for weight, view in zip(self.weights(views), views, strict=True)]
        # The shortcut comes first: the sum takes the memory layout of its first operand, so that
        # putting the views back costs no copy of its own.
        out = rearrange(
            x if self.downsample is None else self.downsample(x), "(n k) c h w -> n k c h w", k=num_frames
        )
        for view in views:
            out = out + view
        return for_convolutions(rearrange(F.relu(out, inplace=True), "n k c h w -> (n k) c h w"))

    def _shared(self, view: Tensor) -> Tensor:
        return F.relu(self.bn2(self.conv2(for_convolutions(view))), inplace=True)


class SISTCMTrunk(nn.Module):
    """Clips in, one feature vector a clip out; the plan of ResNet-18 with `width` channels in its stem."""

    def __init__(self, width: int = 64, views: Views = "faithful", spatial_view: bool = False) -> None:
        super().__init__()
        self.num_features = 8 * width
        self.conv1 = nn.Conv2d(3, width, 7, stride=2, padding=3, bias=False)
        self.bn1 = nn.BatchNorm2d(width)

        def stage(in_channels: int, channels: int, stride: int) -> nn.ModuleList:
            return nn.ModuleList(
                [
                    SISTCMBlock(in_channels, channels, stride, views, spatial_view),
                    SISTCMBlock(channels, channels, 1, views, spatial_view),
                ]
            )

        self.layer1 = stage(width, width, 1)
        self.layer2 = stage(width, 2 * width, 2)
        self.layer3 = stage(2 * width, 4 * width, 2)
        self.layer4 = stage(4 * width, 8 * width, 2)
        for module in self.modules():
            if isinstance(module, nn.Conv2d):
                nn.init.kaiming_normal_(module.weight, mode="fan_out", nonlinearity="relu")

    def forward(self, frames: Tensor, num_frames: int) -> Tensor:
        """frames: (N*K, 3, H, W) float, clip-major -> (N, 8*width)."""
        x = F.relu(self.bn1(self.conv1(frames)), inplace=True)
        x = F.max_pool2d(x, 3, stride=2, padding=1)
        for stage in (self.layer1, self.layer2, self.layer3, self.layer4):
            for block in stage:
                x = block(x, num_frames)
        x = x.mean(dim=(2, 3))
        return rearrange(x, "(n k) f -> n k f", k=num_frames).mean(dim=1)

    def load_resnet18(self, state_dict: Mapping[str, Tensor]) -> None:
        """Take the weights of a 2D ResNet-18 (torchvision's names) as they are; its `fc` is left out.

        The weights of the views' attention, which a 2D network has not, keep their values.
        ValueError names the first layer that is missing or has another shape.
        """
        own = self.state_dict()
        for name, value in own.items():
            if ".weights." in name or name.endswith("num_batches_tracked"):
                continue
            if name not in state_dict:
                raise ValueError(f"not a ResNet-18: it has no {name}")
            if state_dict[name].shape != value.shape:
                raise ValueError(
                    f"{name} has shape {tuple(state_dict[name].shape)}, this trunk needs {tuple(value.shape)}"
                )
            value.copy_(state_dict[name])
