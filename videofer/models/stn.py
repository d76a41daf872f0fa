"""A small spatial transformer: a network that turns, moves and enlarges a picture before the trunk sees it.

Jaderberg et al., "Spatial Transformer Networks", NeurIPS 2015, at the size of the published face-and-body
hybrid (github.com/bernie6401/NTUST_Special_Topic): two convolutions and two linear layers say an affine map,
by which the picture is sampled anew; 868,704 parameters for pictures of 224 pixels. It begins as the
identity, so that an untrained one changes nothing.

Crops are aligned by landmarks already, when they are stored. What is left for this network is what landmarks
do not tell; it sees each frame on its own.

Letters in shapes: M pictures, S their side in pixels.
"""

from __future__ import annotations

import torch
from einops import rearrange
from torch import Tensor, nn
from torch.nn import functional as F

from videofer.models.layout import for_convolutions

_CHANNELS = (8, 10)
_KERNELS = (7, 5)
_HIDDEN = 32
_IDENTITY = (1.0, 0.0, 0.0, 0.0, 1.0, 0.0)


class SpatialTransformer(nn.Module):
    """Pictures in, the same pictures out, each sampled anew by an affine map of its own."""

    def __init__(self, input_size: int) -> None:
        """input_size: side of the pictures, at least 16."""
        super().__init__()
        first, second = _CHANNELS
        self.conv1 = nn.Conv2d(3, first, _KERNELS[0])
        self.conv2 = nn.Conv2d(first, second, _KERNELS[1])
        side = input_size
        for kernel in _KERNELS:
            side = (side - kernel + 1) // 2
        assert side >= 1, input_size
        self.hidden = nn.Linear(second * side**2, _HIDDEN)
        self.affine = nn.Linear(_HIDDEN, len(_IDENTITY))
        with torch.no_grad():
            self.affine.weight.zero_()
            self.affine.bias.copy_(torch.tensor(_IDENTITY))

    def forward(self, pictures: Tensor) -> Tensor:
        """(M, 3, S, S) float -> the same shape. What lies beyond the picture is 0: the mean colour."""
        return resample(pictures, self.maps(pictures))

    def maps(self, pictures: Tensor) -> Tensor:
        """(M, 3, S, S) -> affine maps (M, 2, 3) float32: from places of the result, -1 to 1, to those of the
        picture.
        """
        x = F.relu(F.max_pool2d(self.conv1(for_convolutions(pictures)), 2))
        x = F.relu(F.max_pool2d(self.conv2(x), 2))
        hidden = F.relu(self.hidden(rearrange(x, "m c h w -> m (c h w)")))
        numbers: Tensor = self.affine(hidden).float()
        return rearrange(numbers, "m (two three) -> m two three", two=2)


def resample(pictures: Tensor, maps: Tensor) -> Tensor:
    """pictures (M, 3, S, S), maps (M, 2, 3) -> (M, 3, S, S) in the type of the pictures, bilinear."""
    size = pictures.shape[-1]
    # Written out: torch's own grid has no answer for no picture, and no operator in older ONNX.
    centres = (2 * torch.arange(size, device=maps.device, dtype=maps.dtype) + 1) / size - 1
    x, y = centres[None, :].expand(size, size), centres[:, None].expand(size, size)
    places = torch.stack([x, y, torch.ones_like(x)], dim=-1)  # (S, S, 3)
    grid = places @ maps.transpose(1, 2)[:, None]  # (M, S, S, 2)
    sampled = F.grid_sample(pictures.float(), grid, align_corners=False)
    return for_convolutions(sampled.to(pictures.dtype))
