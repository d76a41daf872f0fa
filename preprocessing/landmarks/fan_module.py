"""FAN as a torch module: pictures of faces in, the places of 68 points out: no heatmap leaves the GPU.

The heatmaps are read as in face-alignment: each picture passes twice, once flipped, the mean of both is read
at its peak, and the peak moves by a quarter towards its higher neighbour. Letters in shapes: N pictures.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from preprocessing.landmarks.layouts import MIRRORED_68

SIDE = 256  # pixels of the picture
STEP = 4  # pixels a cell of the heatmaps
SIGMA = 3.25  # pixels: of the spots that tell the depth network where the points are
REACH = 6  # pixels from its middle where a spot ends


class FanPoints(nn.Module):
    """Pictures (N, 3, 256, 256) RGB in [0, 1] -> points (N, 68, 3), and with a depth network depths (N, 68).

    A point is x, y in pixels of the picture and the height of its peak. Depths are pixels of the picture.
    """

    def __init__(self, fan: nn.Module, depth: nn.Module | None = None) -> None:
        """fan: pictures -> a list, the last of it heatmaps (N, 68, 64, 64).

        depth: pictures with a spot for each point (N, 71, 256, 256) -> (N, 68).
        """
        super().__init__()
        self._fan, self._depth = fan, depth

    def forward(self, pictures: Tensor) -> tuple[Tensor, ...]:
        maps, flipped = self._fan(torch.cat([pictures, pictures.flip(3)]))[-1].chunk(2)
        points = read_peaks((maps + flipped[:, MIRRORED_68].flip(3)) / 2)
        if self._depth is None:
            return (points,)
        depths = self._depth(torch.cat([pictures, spots(points[..., :2])], dim=1))
        return points, depths


def read_peaks(maps: Tensor) -> Tensor:
    """Heatmaps (N, 68, h, w) -> (N, 68, 3): x, y in pixels of the picture, and the height of the peak."""
    height, width = maps.shape[2:]
    peak, place = maps.flatten(2).max(dim=2)  # (N, 68)
    x, y = place % width, place // width
    padded = F.pad(maps, (1, 1, 1, 1)).flatten(2)  # so that a peak at the edge has neighbours to ask for

    def level(dx: int, dy: int) -> Tensor:
        index = (y + 1 + dy) * (width + 2) + x + 1 + dx
        return padded.gather(2, index[..., None])[..., 0]

    inside = (x > 0) & (x < width - 1) & (y > 0) & (y < height - 1)
    shift_x = torch.sign(level(1, 0) - level(-1, 0)) * inside / 4
    shift_y = torch.sign(level(0, 1) - level(0, -1)) * inside / 4
    return torch.stack([(x + 0.5 + shift_x) * STEP, (y + 0.5 + shift_y) * STEP, peak], dim=2)


def spots(points_xy: Tensor) -> Tensor:
    """Points (N, 68, 2) in pixels -> (N, 68, 256, 256): a spot of height 1 at each, as face-alignment draws.

    That is at the pixel up and left of the one that holds the point: the depth network knows no other.
    """
    middle = points_xy.floor() - 1  # (N, 68, 2)
    away = torch.arange(SIDE, device=points_xy.device) - middle[..., None]  # (N, 68, 2, 256)
    profile = torch.exp(-((away / SIGMA) ** 2) / 2) * (away.abs() <= REACH)
    return profile[:, :, 1, :, None] * profile[:, :, 0, None, :]
