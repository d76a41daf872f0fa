"""SISTCM: a ResNet-18 trunk whose blocks see a clip of K frames as two interleaved space-time pictures.

Letters in shapes: N clips, K frames, c channels, h w pixels. Frames are flattened clip-major: (N*K, c, h, w).

In a block the first convolution works frame by frame; the second, one shared 3x3 kernel, works on

- the width-time view, h rows of w*k columns: column = w*K + k, time fastest, and
- the height-time view, w rows of h*k columns: column = h*K + k,

so that a pixel's neighbours are itself at other instants first, other pixels second. The views are put
back and merged by a plain sum (as published), or by weights that sum to one over the views: learned constants
or weights that depend on the input, CoST's (a) and (b), from which the block descends. The frame-by-frame
spatial view can be a third one. Unlike a ResNet block, the activation comes before the shortcut is added.

These interleaved views are another operator than the tiled grid of `videofer.models.tiled`, which is called a
super image as well.

Deviations from the published code, which breaks for K other than 2 and computes its unused attention over
the batch axis: any K >= 1 works, and the softmax runs over the views.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Literal

import torch
from einops import rearrange, reduce
from torch import Tensor, nn
from torch.nn import functional as F

from videofer.models.layout import for_convolutions
from videofer.models.resnet import downsampling, initialize, load_by_name, stages, stem

ViewMerge = Literal["sum", "constants", "attention"]


def width_time_view(x: Tensor, num_frames: int) -> Tensor:
    """(N*K, c, h, w) -> (N, c, h, w*K): each row's pixels, every pixel as its K instants in a row."""
    return _regroup(x, "(n k) h w c -> n h (w k) c", num_frames)


def height_time_view(x: Tensor, num_frames: int) -> Tensor:
    """(N*K, c, h, w) -> (N, c, w, h*K): the same for columns."""
    return _regroup(x, "(n k) h w c -> n w (h k) c", num_frames)


def from_width_time(view: Tensor, num_frames: int) -> Tensor:
    """(N, c, h, w*K) -> (N*K, c, h, w)."""
    return _regroup(view, "n h (w k) c -> (n k) h w c", num_frames)


def from_height_time(view: Tensor, num_frames: int) -> Tensor:
    """(N, c, w, h*K) -> (N*K, c, h, w)."""
    return _regroup(view, "n w (h k) c -> (n k) h w c", num_frames)


def _regroup(x: Tensor, pattern: str, num_frames: int) -> Tensor:
    """(N, c, h, w) -> the pixels in another order, by an einops pattern that has the channels last."""
    out: Tensor = _Regroup.apply(x, pattern, num_frames)  # type: ignore[no-untyped-call]
    return out


class _Regroup(torch.autograd.Function):
    """One copy on the way, one on the way back, with the channels last in memory in both.

    Automatic differentiation of the same rearrangement returns gradients whose pixels lie in the order of the
    other side. Every operation before it would then run across memory, which took a fifth of a step's time.
    """

    @staticmethod
    def forward(ctx: Any, x: Tensor, pattern: str, num_frames: int) -> Tensor:
        ctx.pattern, ctx.num_frames = pattern, num_frames
        return _copy(x, pattern, num_frames)

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor, None, None]:
        before, after = ctx.pattern.split(" -> ")
        return _copy(gradient, f"{after} -> {before}", ctx.num_frames), None, None


def _copy(x: Tensor, pattern: str, num_frames: int) -> Tensor:
    return rearrange(x.permute(0, 2, 3, 1), pattern, k=num_frames).contiguous().permute(0, 3, 1, 2)


class ConstantWeights(nn.Module):
    """Learned weights of the views, one for each channel, the same for every clip; they sum to one."""

    def __init__(self, channels: int, num_views: int) -> None:
        super().__init__()
        self.logits = nn.Parameter(torch.zeros(num_views, channels))

    def forward(self, views: list[Tensor]) -> Tensor:
        """views: V tensors (N, K, c, h, w) -> (V, 1, 1, c, 1, 1)."""
        return rearrange(self.logits.softmax(dim=0), "v c -> v 1 1 c 1 1")


class ContentWeights(nn.Module):
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
        self, in_channels: int, channels: int, stride: int, view_merge: ViewMerge, spatial_view: bool
    ) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(in_channels, channels, 3, stride, padding=1, bias=False)
        self.bn1 = nn.BatchNorm2d(channels)
        self.conv2 = nn.Conv2d(channels, channels, 3, padding=1, bias=False)
        self.bn2 = nn.BatchNorm2d(channels)
        self.downsample = downsampling(in_channels, channels, stride)
        self.spatial_view = spatial_view
        num_views = 3 if spatial_view else 2
        self.weights: nn.Module | None = None
        if view_merge == "constants":
            self.weights = ConstantWeights(channels, num_views)
        elif view_merge == "attention":
            self.weights = ContentWeights(channels, num_views)
        elif view_merge != "sum":
            raise ValueError(f"view_merge must be sum, constants or attention, not {view_merge!r}")

    def forward(self, x: Tensor, num_frames: int) -> Tensor:
        """(N*K, c_in, h, w) -> (N*K, c, h/stride, w/stride)."""
        y = F.relu(self.bn1(self.conv1(x)), inplace=True)
        views = [
            from_width_time(self._shared(width_time_view(y, num_frames)), num_frames),
            from_height_time(self._shared(height_time_view(y, num_frames)), num_frames),
        ]
        if self.spatial_view:
            views.append(self._shared(y))
        if self.weights is not None:
            views = self._weighed(self.weights, views, num_frames)
        out = views[0] + (x if self.downsample is None else self.downsample(x))
        for view in views[1:]:
            out += view
        return F.relu(out, inplace=True)

    def _shared(self, view: Tensor) -> Tensor:
        """What all views go through. The statistics of a batch are those of each view by itself."""
        return F.relu(self.bn2(self.conv2(view)), inplace=True)

    def _weighed(self, weights: nn.Module, views: list[Tensor], num_frames: int) -> list[Tensor]:
        clips = [rearrange(view, "(n k) c h w -> n k c h w", k=num_frames) for view in views]
        # A softmax is in float32 under autocast: the weights are cast so that the products are not.
        weighed = [w.to(clip.dtype) * clip for w, clip in zip(weights(clips), clips, strict=True)]
        return [rearrange(clip, "n k c h w -> (n k) c h w") for clip in weighed]


class SISTCMTrunk(nn.Module):
    """Clips in, one feature vector a clip out; the plan of ResNet-18 with `width` channels in its stem."""

    def __init__(self, width: int = 64, view_merge: ViewMerge = "sum", spatial_view: bool = False) -> None:
        super().__init__()
        self.num_features = 8 * width
        self.conv1 = nn.Conv2d(3, width, 7, stride=2, padding=3, bias=False)
        self.bn1 = nn.BatchNorm2d(width)

        def block(in_channels: int, channels: int, stride: int) -> SISTCMBlock:
            return SISTCMBlock(in_channels, channels, stride, view_merge, spatial_view)

        self.layer1, self.layer2, self.layer3, self.layer4 = stages(width, block)
        initialize(self)

    def forward(self, frames: Tensor, num_frames: int) -> Tensor:
        """frames: (N*K, 3, H, W) float, clip-major -> (N, 8*width)."""
        x = stem(for_convolutions(frames), self.conv1, self.bn1)
        for stage in (self.layer1, self.layer2, self.layer3, self.layer4):
            for block in stage:
                x = block(x, num_frames)
        return reduce(x, "(n k) c h w -> n c", "mean", k=num_frames)

    def load_resnet18(self, state_dict: Mapping[str, Tensor]) -> None:
        """Take the weights of a 2D ResNet-18 (torchvision's names) as they are; its `fc` is left out, the
        weights of the views, which a 2D network has not, keep their values. Raises ValueError."""
        load_by_name(self, state_dict, keep=".weights.")
