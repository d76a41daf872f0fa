"""Tiled grid input: the K frames of a clip side by side in one picture, through a 2D ResNet-18 (SIFAR).

The *tiled grid* is another operator than the *interleaved space-time views* of `videofer.models.sistcm`. Both
are called super images; they must not be confused. Here whole frames stand next to each other in the input
(Fan, Chen and Panda, ICLR 2022); there the pixels of several instants alternate inside every block.

A compact grid does best there, by far: m = ceil(sqrt(K)) columns, and as few rows as hold K frames, which are
m or m-1. Frames run row by row; the cells left at the end are zeros, after normalisation of the frames.

A network of 3x3 convolutions sees across frames only late and little, so that there is a large depth-wise
convolution before pooling to be had (`end_kernel`).

Weights fit any K, but the grid's shape is no formula that an exported graph can hold: such a graph has one K.

Letters in shapes: N clips, K frames, H W pixels. Frames are flattened clip-major: (N*K, 3, H, W).
"""

from __future__ import annotations

import math
from collections.abc import Mapping

from einops import rearrange
from torch import Tensor, nn
from torch.nn import functional as F

from videofer.models.resnet import ResNet18Trunk


def grid_shape(num_frames: int) -> tuple[int, int]:
    """Rows and columns of the grid for K frames."""
    columns = math.isqrt(num_frames - 1) + 1  # ceil(sqrt(K))
    return -(-num_frames // columns), columns


def tile(frames: Tensor, num_frames: int) -> Tensor:
    """(N*K, 3, H, W) -> (N, 3, rows*H, columns*W): row-major, zeros in the cells left at the end."""
    rows, columns = grid_shape(num_frames)
    clips = rearrange(frames, "(n k) c h w -> n k c h w", k=num_frames)
    cells = F.pad(clips, (0, 0, 0, 0, 0, 0, 0, rows * columns - num_frames))
    return rearrange(cells, "n (row column) c h w -> n c (row h) (column w)", row=rows, column=columns)


class TiledTrunk(nn.Module):
    """Clips in, one feature vector a clip out. Its compute per frame is that of a ResNet-18."""

    def __init__(self, width: int = 64, end_kernel: int = 0) -> None:
        """end_kernel: side of the depth-wise convolution before pooling, odd; 0 leaves it out."""
        super().__init__()
        if end_kernel < 0 or (end_kernel > 0 and end_kernel % 2 == 0):
            raise ValueError(f"end_kernel must be odd, or 0 for none, not {end_kernel}")
        self.num_features = 8 * width
        self.resnet = ResNet18Trunk(width)
        self.end: nn.Module | None = None
        if end_kernel > 0:
            channels = self.num_features
            self.end = nn.Sequential(
                nn.Conv2d(
                    channels, channels, end_kernel, padding=end_kernel // 2, groups=channels, bias=False
                ),
                nn.BatchNorm2d(channels),
                nn.ReLU(inplace=True),
            )

    def forward(self, frames: Tensor, num_frames: int) -> Tensor:
        """frames: (N*K, 3, H, W) float, clip-major -> (N, 8*width)."""
        maps = self.resnet.maps(tile(frames, num_frames))
        if self.end is not None:
            maps = maps + self.end(maps)
        return maps.mean(dim=(2, 3))

    def load_resnet18(self, state_dict: Mapping[str, Tensor]) -> None:
        """Take the weights of a ResNet-18 (torchvision's names); `fc` is left out, the end convolution,
        which a ResNet-18 has not, keeps its values. Raises ValueError."""
        self.resnet.load_resnet18(state_dict)
