"""Random changes of a training batch, on its device; the same for all frames of a sample: motion stays.

All numbers are drawn from the samples' seeds (`models.noise`): a sample is changed in the same way whatever
stands beside it in the batch, on every device and after a resume.

Letters in shapes: B samples, C clips, K frames a clip, S side in pixels, L instants, J joints, P landmarks.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

import torch
from einops import rearrange
from torch import Tensor
from torch.nn import functional as F

from preprocessing.landmarks.layouts import MIRRORED_68
from videofer.data.degradation import degraded
from videofer.models import noise
from videofer.recipe import AugmentRecipe

GREY = 127 / 255
"""Of an erased part."""


class DeviceAugment:
    """Changes the pixels, landmarks and joints of batches. What is masked or unseen stays zero."""

    def __init__(self, recipe: AugmentRecipe, *, mirror: Sequence[int] | None) -> None:
        """mirror: the joint that takes each joint's place in a mirror; None: no body, or not known."""
        self.recipe = recipe
        self.mirror = None if mirror is None else torch.tensor(mirror)  # (J,)
        self.landmark_mirror = torch.tensor(MIRRORED_68)  # (P,)

    def __call__(self, batch: Mapping[str, Tensor]) -> dict[str, Tensor]:
        """The batch with changed frames, now float32 in [0, 1], and changed landmarks and keypoints.

        The frames' axes stay (B, C, K, S, S, 3). In memory they lie as the convolutions of the device want
        them (see `models.layout`): on a GPU in the order of the axes, on a CPU colour by colour.
        ValueError where the batch has no seed, or it is not known how its joints are mirrored.
        """
        if "seed" not in batch:
            raise ValueError(f"changes are drawn from the samples' seeds; the batch has only {sorted(batch)}")
        recipe, changed = self.recipe, dict(batch)
        draws = noise.uniform(batch["seed"], 15, noise.FACE_CHANGE)  # (B, 15)
        flip, places, values, erased = draws.split_with_sizes([1, 4, 5, 5], dim=1)
        mirrored = flip[:, 0] < recipe.flip  # (B,), of face and body together
        if "frames" in batch:
            there = batch["clip_mask"]
            pixels = _moved(batch["frames"], recipe, mirrored, places)
            pixels = _recoloured(pixels, there, recipe, values)
            if recipe.degrade is not None:
                pixels = degraded(pixels, there, recipe.degrade, batch["seed"])
            changed["frames"] = _erased(pixels, there, recipe, erased)
        if "landmarks" in batch:
            changed["landmarks"] = _moved_landmarks(
                batch["landmarks"], batch["landmark_mask"], recipe, mirrored, self.landmark_mirror, places
            )
        if "keypoints" in batch:
            if recipe.flip and self.mirror is None:
                raise ValueError("mirroring these skeletons is not known; set training.augment.flip to 0")
            draws = noise.uniform(batch["seed"], 1 + 3 * batch["keypoints"].shape[2], noise.BODY_CHANGE)
            changed["keypoints"] = _changed_bodies(batch["keypoints"], recipe, mirrored, self.mirror, draws)
        return changed


def _moved(frames: Tensor, recipe: AugmentRecipe, mirrored: Tensor, draws: Tensor) -> Tensor:
    """frames (B, C, K, S, S, 3) uint8 -> float in [0, 255]: mirrored, then turned and scaled, then moved.

    mirrored (B,) bool, draws (B, 4) in [0, 1). Beyond a frame its edge repeats. All frames of a sample are
    sampled as channels of one picture: places and weights are found once.
    """
    assert frames.dtype == torch.uint8, frames.dtype
    if not (recipe.flip or recipe.shift or recipe.scale or recipe.rotate_degrees):
        return frames.float()
    num_clips, num_frames, side = frames.shape[1], frames.shape[2], frames.shape[3]
    scale, angle, shift_x, shift_y = _placement(recipe, draws)
    # From each place of the result back to where it was; in pixels from the middle.
    at = torch.arange(side, device=frames.device) - (side - 1) / 2  # (S,)
    x = (at - side * shift_x[:, None])[:, None, :]  # (B, 1, S)
    y = (at - side * shift_y[:, None])[:, :, None]  # (B, S, 1)
    cos, sin = (angle.cos() / scale)[:, None, None], (angle.sin() / scale)[:, None, None]
    source_x, source_y = cos * x + sin * y, cos * y - sin * x  # (B, S, S)
    source_x = torch.where(mirrored[:, None, None], -source_x, source_x)
    grid = torch.stack([source_x, source_y], dim=-1) * (2 / side)

    planes = rearrange(frames, "b c k h w rgb -> b (c k rgb) h w").float()  # permuted while one byte a value
    planes = F.grid_sample(planes, grid, padding_mode="border", align_corners=False)
    pixels = rearrange(planes, "b (c k rgb) h w -> b c k h w rgb", c=num_clips, k=num_frames)
    return pixels.contiguous() if pixels.is_cuda else pixels


def _placement(recipe: AugmentRecipe, draws: Tensor) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """draws (B, 4) in [0, 1) -> scale, angle in radians, shifts in x and y as shares of the side: (B,)."""
    scale, angle, shift_x, shift_y = (2 * draws - 1).unbind(dim=1)  # in [-1, 1)
    radians = math.radians(recipe.rotate_degrees) * angle
    return 1 + recipe.scale * scale, radians, recipe.shift * shift_x, recipe.shift * shift_y


def _moved_landmarks(
    landmarks: Tensor,
    found: Tensor,
    recipe: AugmentRecipe,
    mirrored: Tensor,
    mirror: Tensor,
    draws: Tensor,
) -> Tensor:
    """landmarks (B, C, K, P, 2) in shares of the side -> where `_moved` brings the pixels on which they lie.

    found (B, C, K) bool, mirrored (B,) bool, draws (B, 4) in [0, 1). Mirroring exchanges left and right
    points, so that each entry stays what the layout says it is. Points may leave the crop.
    """
    scale, angle, shift_x, shift_y = (x[:, None, None, None] for x in _placement(recipe, draws))
    x, y = (landmarks - 0.5).unbind(dim=-1)  # (B, C, K, P), from the middle
    order, flip = mirror.to(x.device, non_blocking=True), mirrored[:, None, None, None]
    x, y = torch.where(flip, -x[..., order], x), torch.where(flip, y[..., order], y)
    cos, sin = scale * angle.cos(), scale * angle.sin()
    moved = torch.stack([cos * x - sin * y + shift_x, sin * x + cos * y + shift_y], dim=-1) + 0.5
    return moved.masked_fill(~found[..., None, None], 0.0)


def _recoloured(pixels: Tensor, there: Tensor, recipe: AugmentRecipe, draws: Tensor) -> Tensor:
    """pixels (B, C, K, S, S, 3) in [0, 255] -> in [0, 1], in place.

    there (B, C) bool, draws (B, 5) in [0, 1).
    """
    if not (recipe.brightness or recipe.contrast or recipe.colour):
        return pixels.div_(255)
    contrast, colour, brightness = (2 * draws - 1).split_with_sizes([1, 3, 1], dim=1)
    # Contrast and colour are gains about the middle of the range; masked clips get none.
    gain = (1 + recipe.contrast * contrast) * (1 + recipe.colour * colour)  # (B, 3)
    bias = 0.5 - 0.5 * gain + recipe.brightness * brightness
    gain, bias = (
        rearrange(x[:, None] * there[:, :, None], "b c rgb -> b c 1 1 1 rgb") for x in (gain / 255, bias)
    )
    return torch.addcmul(bias, pixels, gain, out=pixels).clamp_(0, 1)


def _erased(pixels: Tensor, there: Tensor, recipe: AugmentRecipe, draws: Tensor) -> Tensor:
    """pixels (B, C, K, S, S, 3), in place: a grey rectangle of 1/8 to 1/2 of the side in width and in height.

    there (B, C) bool, draws (B, 5) in [0, 1).
    """
    if not recipe.erase:
        return pixels
    side = pixels.shape[3]
    wanted, extent, first = draws.split_with_sizes([1, 2, 2], dim=1)
    extent = side // 8 + (extent * (side // 2 - side // 8 + 1)).floor()  # (B, 2) width, height
    first = (first * (side - extent + 1)).floor()
    at = torch.arange(side, device=pixels.device)
    inside = (at >= first[..., None]) & (at < (first + extent)[..., None])  # (B, 2, S)
    inside &= (wanted < recipe.erase)[..., None]
    inside_x, inside_y = inside.unbind(dim=1)
    grey = inside_y[:, :, None] & inside_x[:, None, :]  # (B, S, S)
    grey = rearrange(grey, "b h w -> b 1 1 h w 1") & rearrange(there, "b c -> b c 1 1 1 1")
    return pixels.masked_fill_(grey, GREY)


def _changed_bodies(
    keypoints: Tensor, recipe: AugmentRecipe, mirrored: Tensor, mirror: Tensor | None, draws: Tensor
) -> Tensor:
    """keypoints (B, L, J, 3) x, y, score -> the same shape. mirrored (B,) bool, draws (B, 1 + 3J) in [0, 1).

    Mirroring exchanges left and right joints and reflects x within the sample's own bounds. A joint's offset
    is constant over the sample: it is another skeleton, not a trembling one.
    """
    if not (recipe.flip or recipe.joint_noise or recipe.joint_drop or recipe.body_rotate_degrees):
        return keypoints
    angle, drop, u1, u2 = draws.split_with_sizes([1, *3 * [keypoints.shape[2]]], dim=1)
    unseen = keypoints[..., 2:] <= 0
    low = keypoints[..., :2].masked_fill(unseen, math.inf).amin(dim=(1, 2))  # (B, 2)
    high = keypoints[..., :2].masked_fill(unseen, -math.inf).amax(dim=(1, 2))
    middle = (low + high) / 2  # not a number where nothing is seen, but then all is zero in the end
    x, y, score = keypoints.unbind(dim=-1)  # (B, L, J)
    x, y = x - middle[:, None, :1], y - middle[:, None, 1:]
    if mirror is not None:
        order, flip = mirror.to(x.device, non_blocking=True), mirrored[:, None, None]
        x = torch.where(flip, -x[:, :, order], x)
        y = torch.where(flip, y[:, :, order], y)
        score = torch.where(flip, score[:, :, order], score)
    radians = math.radians(recipe.body_rotate_degrees) * (2 * angle[:, :, None] - 1)  # (B, 1, 1)
    x, y = radians.cos() * x - radians.sin() * y, radians.sin() * x + radians.cos() * y
    # Two normal numbers a joint (Box and Muller).
    radius = recipe.joint_noise * (high - low)[:, 1:] * (-2 * torch.log1p(-u1)).sqrt()  # (B, J)
    x = x + middle[:, None, :1] + (radius * (2 * math.pi * u2).cos())[:, None]
    y = y + middle[:, None, 1:] + (radius * (2 * math.pi * u2).sin())[:, None]
    unseen = (score <= 0) | (drop < recipe.joint_drop)[:, None]
    return torch.stack([x, y, score], dim=-1).masked_fill(unseen[..., None], 0.0)
