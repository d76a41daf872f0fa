"""Gesture maps: a sequence of skeletons as a picture with channels, built on the device.

Letters in shapes: B samples, L instants, J joints, S map size in bins.

With timeline: (B, 2J, S, L). Channel 2j is where joint j's x is over time, 2j+1 its y.
Without: (B, J, S, S), rows x and columns y: joint j's places over time, later instants brighter.

A joint that was not seen (score at or below `min_score`) adds nothing to a map, nor to the box by which the
coordinates are normalised.
"""

from __future__ import annotations

import math
from typing import Literal

import torch
from einops import rearrange
from torch import Tensor

Normalization = Literal["frame", "sequence"]
Encoding = Literal["soft", "onehot"]

BOX_MARGIN = 0.05
"""Free border around the joints as a share of the box's longer side (published: 5 units of the raw data)."""


def seen_joints(keypoints: Tensor, min_score: float) -> Tensor:
    """(B, L, J, 3) -> (B, L, J) bool: has a score above `min_score` and finite coordinates."""
    return (keypoints[..., 2] > min_score) & keypoints[..., :2].isfinite().all(dim=-1)


def normalize(keypoints: Tensor, seen: Tensor, map_size: int, normalization: Normalization) -> Tensor:
    """(B, L, J, 3) source pixels, (B, L, J) bool -> (B, L, J, 2) in [0, S-1]; unseen joints anywhere in it.

    One scale for x and y, so that proportions stay. "frame" takes the box of each instant, as published: the
    person's own motion through the picture and all changes of size are lost. "sequence" takes one box
    for all instants and keeps them; the shorter side is centred.
    """
    xy = torch.where(seen[..., None], keypoints[..., :2], torch.zeros_like(keypoints[..., :2]))
    over = (2,) if normalization == "frame" else (1, 2)
    low = xy.masked_fill(~seen[..., None], math.inf).amin(dim=over, keepdim=True)
    high = xy.masked_fill(~seen[..., None], -math.inf).amax(dim=over, keepdim=True)
    nothing_seen = low > high
    low, high = low.masked_fill(nothing_seen, 0.0), high.masked_fill(nothing_seen, 1.0)

    side = (high - low).amax(dim=-1, keepdim=True).clamp(min=1e-6)
    margin = BOX_MARGIN * side
    corner = low - margin if normalization == "frame" else (low + high) / 2 - side / 2 - margin
    return ((xy - corner) * ((map_size - 1) / (side + 2 * margin))).clamp(0, map_size - 1)


def _spread(coordinates: Tensor, map_size: int, encoding: Encoding) -> Tensor:
    """Coordinates (...) in bins -> (..., S): 1 shared by the two nearest bins, or in the one it is in."""
    bins = torch.arange(map_size, device=coordinates.device, dtype=coordinates.dtype)
    if encoding == "onehot":
        return (coordinates.floor()[..., None] == bins).to(coordinates.dtype)
    return (1 - (coordinates[..., None] - bins).abs()).clamp(min=0)


def timeline_map(
    keypoints: Tensor,
    map_size: int,
    *,
    normalization: Normalization = "sequence",
    encoding: Encoding = "soft",
    min_score: float = 0.0,
) -> Tensor:
    """keypoints (B, L, J, 3) -> (B, 2J, S, L) float.

    "soft": a joint's score, shared between the two nearest bins. "onehot", as published: joint index + 1 in
    the bin that the truncated coordinate names, whatever the score.
    """
    seen = seen_joints(keypoints, min_score)
    places = normalize(keypoints, seen, map_size, normalization)
    spread = _spread(places, map_size, encoding)  # (B, L, J, 2, S)
    if encoding == "soft":
        value = torch.where(seen, keypoints[..., 2], 0.0)
    else:
        number = torch.arange(1, keypoints.shape[2] + 1, device=keypoints.device, dtype=keypoints.dtype)
        value = torch.where(seen, number, 0.0)
    return rearrange(spread * value[..., None, None], "b l j a s -> b (j a) s l")


def accumulated_map(
    keypoints: Tensor,
    map_size: int,
    *,
    normalization: Normalization = "sequence",
    encoding: Encoding = "soft",
    min_score: float = 0.0,
    bounded: bool = False,
) -> Tensor:
    """keypoints (B, L, J, 3) -> (B, J, S, S) float: sum over t of t / (L - 1) times the map of instant t.

    "soft" weighs by the score and shares a joint between four bins; "onehot" counts 1, as published.
    bounded: u / (1 + u), so that dwelling at a place saturates (the normalised map of PoTion).
    """
    seen = seen_joints(keypoints, min_score)
    places = normalize(keypoints, seen, map_size, normalization)
    spread = _spread(places, map_size, encoding)  # (B, L, J, 2, S)
    length = keypoints.shape[1]
    # A single instant is first and last at once: it counts fully instead of 0 / 0.
    weight = torch.linspace(0 if length > 1 else 1, 1, length, device=keypoints.device)
    value = torch.where(seen, keypoints[..., 2] if encoding == "soft" else 1.0, 0.0) * weight[:, None]
    total = torch.einsum("bljx,bljy->bjxy", spread[..., 0, :] * value[..., None], spread[..., 1, :])
    return total / (1 + total) if bounded else total
