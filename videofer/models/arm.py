"""ARM: a ResNet-18 whose last maps are rearranged before they are reduced (Shi and Zhu, arXiv 2103.10189).

The padding of many convolutions eats into the borders of small maps ("albino erosion"). ARM spreads the
channels of the last maps out into two large ones (pixel shuffle), reduces both by one shared convolution
without padding, and takes the mean of the two. To that it adds a share, learned, of what all faces have in
common: the mean over the batch.

That mean makes a face's score depend on the faces beside it: users of the published code measured 86 to 92 %
on the same pictures by their order and the size of the batch alone (issues 16 and 17 of its repository). Here
a running mean takes its place, which moves in training and stands still in evaluation. It is then the same
vector for every face, something like a bias that is not trained but measured.

Sizes follow the maps, so that it works at any width and input: with 512 channels of 7x7 they are the
published ones, two maps of 112x112, a kernel of 32 with stride 8, and 121 features.

Letters in shapes: N clips, K frames, M = N*K frames, c channels, h w pixels, a side of the reduced maps.
"""

from __future__ import annotations

import math
from collections.abc import Mapping

import torch
from einops import rearrange, reduce
from torch import Tensor, nn

from videofer.models.resnet import ResNet18Trunk, Stem

MOMENTUM = 0.1
"""Share of the newest batch in the running mean, as in a batch normalisation."""


class RunningMean(nn.Module):
    """The mean over rows of all batches in training, the newer ones counting for more; no gradient."""

    mean: Tensor

    def __init__(self, shape: tuple[int, ...]) -> None:
        super().__init__()
        self.register_buffer("mean", torch.zeros(shape))

    def forward(self, rows: Tensor) -> Tensor:
        """(M, *shape) -> (*shape) float32; in training, after it has moved towards the mean of these rows."""
        if self.training:
            self._move(rows.detach())
        return self.mean.clone()  # the next forward pass of a step changes the buffer in its place

    def sum_and_count(self, rows: Tensor) -> Tensor:
        """(M, *shape) -> (1 + shape's size,) float32: M, then the sums. What processes add up."""
        return torch.cat([rows.new_full((1,), len(rows), dtype=torch.float32), rows.float().sum(0).flatten()])

    @torch.no_grad()
    def _move(self, rows: Tensor) -> None:
        count, sums = self.sum_and_count(rows).tensor_split([1])
        mean = (sums / count.clamp(min=1)).view_as(self.mean)
        self.mean.lerp_(mean, MOMENTUM * (count > 0))


class Amend(nn.Module):
    """The maps of a ResNet's last stage to features."""

    def __init__(self, channels: int, side: int) -> None:
        """channels: twice a square number. side: of the maps, at least 3."""
        super().__init__()
        self.factor = math.isqrt(channels // 2)
        assert 2 * self.factor**2 == channels and side >= 3, (channels, side)
        kernel, stride = 2 * self.factor, max(self.factor // 2, 1)
        self.side = (side * self.factor - kernel) // stride + 1
        self.convolution = nn.Conv2d(1, 1, kernel, stride, bias=False)
        self.normalization = nn.BatchNorm2d(2)
        self.common = RunningMean((self.side, self.side))
        self.common_share = nn.Parameter(torch.ones(()))

    def forward(self, maps: Tensor) -> Tensor:
        """(M, channels, side, side) -> (M, a*a)."""
        # The pixel shuffle; torch's own has no gradient where there is no row.
        f = self.factor
        spread = rearrange(maps, "m (two fy fx) h w -> m two (h fy) (w fx)", fy=f, fx=f)
        reduced = self.convolution(rearrange(spread, "m two h w -> (m two) 1 h w"))
        reduced = self.normalization(rearrange(reduced, "(m two) 1 h w -> m two h w", two=2))
        own: Tensor = reduce(reduced, "m two h w -> m h w", "mean")
        common: Tensor = self.common(own)
        return rearrange(own + self.common_share * common, "m h w -> m (h w)")


class ARMTrunk(nn.Module):
    """Clips in, one feature vector a clip out: the mean of its frames' features, which knows no order."""

    def __init__(self, width: int = 64, input_size: int = 224, stem: Stem = "imagenet") -> None:
        """width: a square number. input_size: side of the frames; see `maps_side`."""
        super().__init__()
        self.resnet = ResNet18Trunk(width, stem)
        self.amend = Amend(8 * width, maps_side(input_size, stem))
        self.num_features = self.amend.side**2

    def forward(self, frames: Tensor, num_frames: int) -> Tensor:
        """frames: (N*K, 3, input_size, input_size) float, clip-major -> (N, a*a)."""
        features: Tensor = self.amend(self.resnet.maps(frames))  # (M, a*a)
        return reduce(features, "(n k) f -> n f", "mean", k=num_frames)

    def load_resnet18(self, state_dict: Mapping[str, Tensor]) -> None:
        """Take the weights of a ResNet-18 (torchvision's names); `fc` is left out. Raises ValueError."""
        self.resnet.load_resnet18(state_dict)


def maps_side(input_size: int, stem: Stem) -> int:
    """Side of the last maps; ARM needs 3 at least."""
    return -(-input_size // (8 if stem == "cifar" else 32))
