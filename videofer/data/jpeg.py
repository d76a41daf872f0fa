"""The losses of JPEG compression as arithmetic on tensors: no bytes are made, and it runs on every device.

What is lost is what a JPEG file loses: colour at half the resolution, and the coefficients of the discrete
cosine transform of 8x8 blocks, rounded to multiples of a table's values. Tables are those of ITU-T T.81,
annex K, scaled by the quality as libjpeg does. Not done: rounding of samples to whole numbers between the
steps, so values differ from a decoder's by one or two of 255 levels.

Letters in shapes: B samples, F frames, S side in pixels, n blocks.
"""

from __future__ import annotations

import math

import torch
from einops import rearrange
from torch import Tensor
from torch.nn import functional as F

from videofer.models.grey import LUMA

BLOCK = 8

_TO_YCC = (LUMA, (-0.168736, -0.331264, 0.5), (0.5, -0.418688, -0.081312))

_LUMA_TABLE = (
    16, 11, 10, 16, 24, 40, 51, 61,
    12, 12, 14, 19, 26, 58, 60, 55,
    14, 13, 16, 24, 40, 57, 69, 56,
    14, 17, 22, 29, 51, 87, 80, 62,
    18, 22, 37, 56, 68, 109, 103, 77,
    24, 35, 55, 64, 81, 104, 113, 92,
    49, 64, 78, 87, 103, 121, 120, 101,
    72, 92, 95, 98, 112, 100, 103, 99,
)  # fmt: skip
_CHROMA_TABLE = (
    17, 18, 24, 47, 99, 99, 99, 99,
    18, 21, 26, 66, 99, 99, 99, 99,
    24, 26, 56, 99, 99, 99, 99, 99,
    47, 66, 99, 99, 99, 99, 99, 99,
    *32 * (99,),
)  # fmt: skip


def compressed(frames: Tensor, quality: Tensor) -> Tensor:
    """frames (B, F, 3, S, S) RGB in [0, 1] -> the same. quality (B,), from 1 (worst) to 100; one a sample."""
    side = frames.shape[-1]
    missing = -side % (2 * BLOCK)  # colour has half the resolution and whole blocks as well
    planes = F.pad(rearrange(frames, "b f rgb h w -> (b f) rgb h w"), (0, missing, 0, missing), "replicate")
    planes = rearrange(planes, "(b f) rgb h w -> b f rgb h w", b=len(frames))
    to_ycc = torch.tensor(_TO_YCC, device=frames.device)  # (3, 3)
    y, cb, cr = (255 * torch.einsum("bfchw,yc->ybfhw", planes, to_ycc)).unbind()
    y = _quantised(y - 128, _table(_LUMA_TABLE, quality)) + 128
    colour_table = _table(_CHROMA_TABLE, quality)
    cb, cr = (_upsampled(_quantised(F.avg_pool2d(plane, 2), colour_table)) for plane in (cb, cr))
    rgb = torch.stack([y + 1.402 * cr, y - 0.344136 * cb - 0.714136 * cr, y + 1.772 * cb], dim=2)
    return (rgb[..., :side, :side] / 255).clamp(0, 1)


def _upsampled(plane: Tensor) -> Tensor:
    """(B, F, h, w) -> (B, F, 2h, 2w): linear interpolation, which is what decoders do to colour."""
    return F.interpolate(plane, scale_factor=2, mode="bilinear", align_corners=False)


def _quantised(plane: Tensor, table: Tensor) -> Tensor:
    """plane (B, F, h, w) of whole blocks about 0, table (B, 64) -> the plane with rounded coefficients."""
    transform = _dct(plane.device)
    sizes = {"h": plane.shape[2] // BLOCK, "y": BLOCK, "x": BLOCK}
    blocks = rearrange(plane, "b f (h y) (w x) -> b (f h w) (y x)", **sizes)
    coefficients = (blocks @ transform.T / table[:, None]).round() * table[:, None]
    back = coefficients @ transform
    return rearrange(back, "b (f h w) (y x) -> b f (h y) (w x)", f=plane.shape[1], **sizes)


def _dct(device: torch.device) -> Tensor:
    """(64, 64): a block's 64 pixels -> its 64 coefficients; orthonormal, so its transpose is the way back."""
    at = torch.arange(BLOCK, dtype=torch.float64)
    waves = torch.cos(math.pi / BLOCK * (at + 0.5) * at[:, None]) * math.sqrt(2 / BLOCK)  # (8, 8)
    waves[0] /= math.sqrt(2)
    return torch.kron(waves, waves).float().to(device)


def _table(table: tuple[int, ...], quality: Tensor) -> Tensor:
    """quality (B,) -> (B, 64): the standard table at that quality."""
    quality = quality.clamp(1, 100)[:, None]
    percent = torch.where(quality < 50, 5000 / quality, 200 - 2 * quality)
    values = torch.tensor(table, device=quality.device)
    return ((values * percent + 50) / 100).floor().clamp(1, 255)
