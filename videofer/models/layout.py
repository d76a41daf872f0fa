"""Memory layout of pictures for convolutions."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional as F


def for_convolutions(x: Tensor) -> Tensor:
    """(N, C, H, W) with its channels last in memory: the same numbers.

    Tensor cores want it on a GPU; on a CPU oneDNN's kernels, pooling and batch normalisation are faster so.
    """
    return x.contiguous(memory_format=torch.channels_last)


class PointwiseConv2d(nn.Conv2d):
    """A 1x1 convolution without bias that takes the pixels of its stride first, and then convolves them all.

    The numbers are those of a strided nn.Conv2d. That one is not safe on a CPU: up to oneDNN 3.11 at least
    (torch 2.12.1), the weight gradient of a strided 1x1 convolution with its channels last and fewer of them
    than a vector holds (16 with AVX-512) is written beyond its buffer (oneDNN issue 6035).
    """

    def __init__(self, in_channels: int, channels: int, stride: int) -> None:
        super().__init__(in_channels, channels, kernel_size=1, bias=False)
        self.pixel_stride = stride

    def forward(self, x: Tensor) -> Tensor:
        """(N, c_in, h, w) -> (N, c, ceil(h/stride), ceil(w/stride))."""
        return F.conv2d(for_convolutions(x[:, :, :: self.pixel_stride, :: self.pixel_stride]), self.weight)
