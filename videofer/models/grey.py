"""Brightness of pictures, for networks that see no colour.

Letters in shapes: M pictures, H W pixels.
"""

from __future__ import annotations

import torch
from torch import Tensor

LUMA = (0.299, 0.587, 0.114)
"""Of red, green and blue in the brightness, after ITU-R BT.601; on a grey picture it changes nothing."""


def brightness(pictures: Tensor) -> Tensor:
    """RGB (M, 3, H, W) float -> (M, 1, H, W)."""
    red, green, blue = pictures.tensor_split(3, dim=1)
    return torch.add(red * LUMA[0] + green * LUMA[1], blue, alpha=LUMA[2])
