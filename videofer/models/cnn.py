"""The CNN and the small VGG for pictures of 48 pixels (Al-Shabi, Cheah and Connie, arXiv 1608.02833).

Sizes are those of the published code of chiehhsi/Expression_Recognition: with width 32 (cnn), 64 (vgg), an
input of 48 pixels and 7 classes the two have 1,351,847 and 26,543,175 trained parameters. They see brightness
only, and each block is convolutions with ReLU, pooling, batch normalisation, dropout.

Beside the convolutions may stand a branch of descriptors (`descriptors`). Both then go through a layer with
ReLU that takes the place of the last one, and the sizes are 18,133,159 and 33,870,919. The published CNN with
a branch has no normalisations, 448 parameters less; here those of the CNN without a branch are kept.

Random numbers of the dropouts belong to samples (`models.noise`), as everywhere here.

Letters in shapes: N clips, K frames, M = N*K frames, c channels, h w pixels.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import torch
from einops import rearrange, reduce
from torch import Tensor, nn
from torch.nn import functional as F

from videofer.models.descriptors import DescriptorBranch
from videofer.models.grey import brightness
from videofer.models.layout import for_convolutions
from videofer.models.noise import dropout, seeds_of_parts
from videofer.models.resnet import initialize


@dataclass(frozen=True, kw_only=True)
class Block:
    """Convolutions of 3x3, then pooling by 2, normalisation and dropout."""

    channels: int  # in multiples of the width
    paddings: tuple[int, ...]  # of each convolution
    dropout: float


@dataclass(frozen=True, kw_only=True)
class Plan:
    """One of the two networks."""

    blocks: tuple[Block, ...]
    dense: int  # features, in multiples of the width
    described: int  # features of a branch of descriptors, likewise ...
    joint: int  # ... and of the layer that then takes the place of the last one


CNN = Plan(
    blocks=(
        Block(channels=1, paddings=(1, 0), dropout=0.1),
        Block(channels=2, paddings=(0, 0), dropout=0.1),
        Block(channels=4, paddings=(0, 0), dropout=0.4),
    ),
    dense=64,
    described=128,
    joint=64,
)
VGG = Plan(
    blocks=(
        Block(channels=1, paddings=(1, 1), dropout=0.2),
        Block(channels=2, paddings=(1, 1), dropout=0.2),
        Block(channels=4, paddings=(1, 1, 1), dropout=0.2),
        Block(channels=8, paddings=(1, 1, 1), dropout=0.2),
    ),
    dense=64,
    described=64,
    joint=32,
)


def maps_side(plan: Plan, input_size: int) -> int:
    """Side of the last maps; below 1 where the input is too small."""
    side = input_size
    for block in plan.blocks:
        side = (side + sum(2 * padding - 2 for padding in block.paddings)) // 2
    return side


class ConvBlock(nn.Module):
    """One block of a plan."""

    def __init__(self, in_channels: int, width: int, block: Block, stream: int) -> None:
        """stream: of the dropout's random numbers; another one for each block."""
        super().__init__()
        channels = block.channels * width
        self.convolutions = nn.ModuleList(
            nn.Conv2d(in_channels if place == 0 else channels, channels, 3, padding=padding)
            for place, padding in enumerate(block.paddings)
        )
        self.normalization = nn.BatchNorm2d(channels)
        self.dropout = block.dropout
        self.stream = stream

    def forward(self, x: Tensor, seeds: Tensor | None) -> Tensor:
        """(M, c_in, h, w), seeds (M,) int64 -> (M, c, h', w')."""
        for convolution in self.convolutions:
            x = F.relu(convolution(x), inplace=True)
        x = self.normalization(F.max_pool2d(x, 2))
        return dropout(x, self.dropout, seeds, self.stream) if self.training else x


class CNNTrunk(nn.Module):
    """Clips in, one feature vector a clip out: the mean of its frames' features, which knows no order."""

    def __init__(
        self, plan: Plan, width: int, input_size: int, branch: Callable[[int], DescriptorBranch] | None = None
    ) -> None:
        """input_size: side of the frames; see `maps_side`. branch: makes one of so many features."""
        super().__init__()
        self.branch = None if branch is None else branch(plan.described * width)
        self.num_features = (plan.dense if branch is None else plan.joint) * width
        self.blocks = nn.ModuleList()
        in_channels = 1
        for place, block in enumerate(plan.blocks):
            self.blocks.append(ConvBlock(in_channels, width, block, stream=place))
            in_channels = block.channels * width
        num_values = in_channels * maps_side(plan, input_size) ** 2
        if branch is not None:
            num_values += plan.described * width
        self.dense = nn.Linear(num_values, self.num_features)
        initialize(self)

    def forward(self, frames: Tensor, num_frames: int, seeds: Tensor | None = None) -> Tensor:
        """frames: (N*K, 3, input_size, input_size) float, clip-major -> (N, num_features).

        seeds: (N,) int64, in training, whence each clip's dropouts are drawn; None: torch's own generator.
        """
        if seeds is not None:
            seeds = rearrange(seeds_of_parts(seeds, num_frames, stream=0), "n k -> (n k)")
        x = for_convolutions(brightness(frames))
        for block in self.blocks:
            x = block(x, seeds)
        values = rearrange(x, "m c h w -> m (c h w)")
        features: Tensor
        if self.branch is None:
            features = self.dense(values)
        else:
            features = F.relu(self.dense(torch.cat([self.branch(frames, seeds), values], dim=1)))
        return reduce(features, "(n k) f -> n f", "mean", k=num_frames)
