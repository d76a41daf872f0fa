"""What a camera and a codec do to a face, done to the pictures of a training batch on its device.

Stills are clean; a face in a video is small, blurred, dark, noisy and compressed. A sample goes the way of
such a face: the lens blurs it and the sensor has few pixels for it; light and white balance are off; the
sensor adds noise; the colours may be lost; a codec compresses what there is; and in the end the crop is
enlarged to its side again. So noise and blocks of a small face come out coarse, as they do in a video.

Which of these happen to a sample, and how strongly, is drawn from its seed and equal in all its frames; the
noise is another one in each frame. Nothing here has a gradient.

Letters in shapes: B samples, C clips, K frames a clip, P planes (the colours of all frames of a sample),
S side in pixels.
"""

from __future__ import annotations

import torch
from einops import rearrange
from torch import Tensor

from videofer.data.jpeg import compressed
from videofer.models import noise
from videofer.models.grey import LUMA
from videofer.recipe import DegradeRecipe


def degraded(pixels: Tensor, there: Tensor, recipe: DegradeRecipe, seeds: Tensor) -> Tensor:
    """pixels (B, C, K, S, S, 3) in [0, 1] -> the same, in the same memory layout. Masked clips stay zero.

    there (B, C) bool, seeds (B,) int64.
    """
    num_clips, num_frames, side = pixels.shape[1:4]
    draws = noise.uniform(seeds, 15, noise.DEGRADATION)
    chosen, strength, light, tint, grey = draws.split_with_sizes([6, 4, 1, 3, 1], dim=1)
    # A kind of loss that does not happen to a sample has strength zero, and so changes nothing.
    happens = (chosen < recipe.share).float()  # (B, 6)
    resolution, blur, dust, compression = (strength * happens[:, :4]).unbind(dim=1)  # (B,)
    gamma = (1 + recipe.gamma) ** (happens[:, 4:5] * (2 * light - 1))  # (B, 1)
    gain = 1 + recipe.tint * happens[:, 5:] * (2 * tint - 1)  # (B, 3)

    planes = rearrange(pixels, "b c k h w rgb -> b (c k rgb) h w")
    size = (side * (1 - recipe.resolution_loss * resolution)).floor().clamp(min=1)
    narrow = _shrinking(size, side) @ _blurring(side * recipe.blur * blur, side)  # (B, S, S)
    planes = _along_both_axes(planes, narrow)
    frames = rearrange(planes, "b (f rgb) h w -> b f rgb h w", rgb=3)
    frames = frames ** gamma[..., None, None, None] * gain[:, None, :, None, None]
    if recipe.noise:
        grain = noise.normal(seeds, num_clips * num_frames * side * side, noise.SENSOR)
        grain = rearrange(grain, "b (f h w) -> b f 1 h w", f=num_clips * num_frames, h=side)
        frames = frames + recipe.noise * dust[:, None, None, None, None] * grain
    frames = frames.clamp(0, 1)
    if recipe.grey:
        weights = torch.tensor(LUMA, device=frames.device)[:, None, None]
        luma = (frames * weights).sum(dim=2, keepdim=True)
        frames = torch.where((grey < recipe.grey)[..., None, None, None], luma, frames)
    if recipe.compression:
        quality = 100 * (1 - recipe.compression * compression)
        is_compressed = (compression > 0)[:, None, None, None, None]
        frames = torch.where(is_compressed, compressed(frames, quality), frames)
    planes = _along_both_axes(rearrange(frames, "b f rgb h w -> b (f rgb) h w"), _enlarging(size, side))
    changed = rearrange(planes, "b (c k rgb) h w -> b c k h w rgb", c=num_clips, k=num_frames)
    changed = changed.contiguous() if changed.is_cuda else changed
    return changed.mul_(there[:, :, None, None, None, None])


def _along_both_axes(planes: Tensor, matrix: Tensor) -> Tensor:
    """planes (B, P, S, S), matrix (B, S, S): each row and each column of a plane is multiplied by it."""
    return matrix[:, None] @ planes @ matrix.mT[:, None]


def _blurring(std: Tensor, side: int) -> Tensor:
    """std (B,) in pixels -> (B, S, S): weights of the pixels along one axis in a Gaussian blur; 0: none."""
    at = torch.arange(side, device=std.device, dtype=std.dtype)
    distance = (at[:, None] - at).abs()  # (S, S)
    # Below a tenth of a pixel the neighbours weigh nothing.
    return _normalised(torch.exp(-0.5 * (distance / std.clamp(min=0.1)[:, None, None]) ** 2))


def _shrinking(size: Tensor, side: int) -> Tensor:
    """size (B,) whole, at most the side -> (B, S, S): the first `size` rows shrink an axis to that size.

    With the triangle filter that F.interpolate takes with antialias; further rows repeat the last one.
    """
    pitch = (side / size)[:, None]  # pixels of the picture for one of the shrunken picture
    at = torch.arange(side, device=size.device, dtype=size.dtype)
    row = at.minimum(size[:, None] - 1)  # (B, S)
    centre = (row + 0.5) * pitch - 0.5
    return _normalised((1 - (at - centre[..., None]).abs() / pitch[..., None]).clamp(min=0))


def _enlarging(size: Tensor, side: int) -> Tensor:
    """The way back of `_shrinking`, with linear interpolation: (B, S, S); columns below `size` count."""
    at = torch.arange(side, device=size.device, dtype=size.dtype)
    place = (at + 0.5) * (size / side)[:, None] - 0.5  # (B, S)
    place = place.clamp(min=0).minimum(size[:, None] - 1)
    return (1 - (place[..., None] - at).abs()).clamp(min=0)


def _normalised(weights: Tensor) -> Tensor:
    return weights / weights.sum(dim=-1, keepdim=True)
