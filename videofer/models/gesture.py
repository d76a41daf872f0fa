"""Gesture maps: a sequence of skeletons as a picture with channels, built on the device.

Letters in shapes: B samples, L instants, J joints, S map size in bins, P places (bins that share a
coordinate: two with the encoding "soft", one with "onehot"), k colours.

- timeline (B, 2J, S, L): channel 2j is where joint j's x is over time, 2j+1 its y;
- timeline on one map (B, 2, S, L): the same for all joints in one channel for x and one for y;
- accumulated (B, J, S, S), rows x and columns y: joint j's places over time, later instants brighter;
- PoTion (B, (2k+1)J, S, S): joint j's places over time, coloured by when it was there.

A joint that was not seen (score at or below `min_score`) adds nothing to a map, nor to the box by which the
coordinates are normalised. Values are scattered to where they belong; nothing of the size of a map per
instant is ever made.
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


def instant_weights(keypoints: Tensor, min_score: float) -> Tensor:
    """(B, L, J, 3) -> (B, L): the mean score of an instant's seen joints, 0 where none was seen."""
    seen = seen_joints(keypoints, min_score)
    total = torch.where(seen, keypoints[..., 2], 0.0).sum(dim=2)
    return total / seen.sum(dim=2).clamp(min=1)


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


def _bins(coordinates: Tensor, num_bins: int, encoding: Encoding) -> tuple[Tensor, Tensor]:
    """Coordinates (...) in [0, num_bins-1] -> bins (..., P) int64 and the coordinate's share of each.

    "soft": the two nearest bins, the nearer one gets more. "onehot": the bin that the truncated one names.
    """
    below = coordinates.floor()
    if encoding == "onehot":
        return below.long()[..., None], torch.ones_like(below)[..., None]
    above = (below + 1).clamp(max=num_bins - 1)  # beyond the last bin the share is 0
    part = coordinates - below
    return torch.stack([below, above], dim=-1).long(), torch.stack([1 - part, part], dim=-1)


def timeline_map(
    keypoints: Tensor,
    map_size: int,
    normalization: Normalization = "sequence",
    encoding: Encoding = "soft",
    min_score: float = 0.0,
    *,
    one_map: bool = False,
) -> Tensor:
    """keypoints (B, L, J, 3) -> (B, 2J, S, L) float, or (B, 2, S, L) with one_map.

    "onehot", as published: joint index + 1 in the bin that the truncated coordinate names, whatever the
    score. "soft": a joint's score, shared between the two nearest bins. On one map values tell the joints
    apart, and add up where they meet; there "soft" is (joint index + 1) / J times the score.
    """
    seen = seen_joints(keypoints, min_score)
    places = normalize(keypoints, seen, map_size, normalization)
    index, share = _bins(places, map_size, encoding)  # (B, L, J, 2, P)
    num_samples, length, num_joints, _ = keypoints.shape
    number = torch.arange(1, num_joints + 1, device=keypoints.device, dtype=keypoints.dtype)
    value = keypoints[..., 2] if encoding == "soft" else number
    if one_map and encoding == "soft":
        value = value * number / num_joints
    value = torch.where(seen, value, 0.0)[..., None, None] * share
    order = "b l j a p -> b a (j p) l" if one_map else "b l j a p -> b (j a) p l"
    maps = share.new_zeros(num_samples, 2 if one_map else 2 * num_joints, map_size, length)
    return maps.scatter_add(2, rearrange(index, order), rearrange(value, order))


def accumulated_map(
    keypoints: Tensor,
    map_size: int,
    normalization: Normalization = "sequence",
    encoding: Encoding = "soft",
    min_score: float = 0.0,
    *,
    bounded: bool = False,
) -> Tensor:
    """keypoints (B, L, J, 3) -> (B, J, S, S) float: sum over t of t / (L - 1) times the map of instant t.

    "soft" weighs by the score and shares a joint between four bins; "onehot" counts 1, as published: the
    one-coloured case of PoTion without its normalisation. bounded: u / (1 + u), so that dwelling at a place
    saturates.
    """
    pixel, value = _pixels(keypoints, map_size, normalization, encoding, min_score)  # (B, J, L, P*P)
    total = _scatter(pixel, value * _when(keypoints)[:, None], map_size)
    return total / (1 + total) if bounded else total


def potion_map(
    keypoints: Tensor,
    map_size: int,
    normalization: Normalization = "sequence",
    encoding: Encoding = "soft",
    min_score: float = 0.0,
    *,
    num_colors: int = 3,
) -> Tensor:
    """keypoints (B, L, J, 3) -> (B, (2k+1)J, S, S) float: PoTion (Choutas et al., CVPR 2018).

    The colour of an instant moves from the first channel to the last, shared between two at a time. Of each
    joint: U, the sum of its coloured maps over time, each colour divided by its largest value; the intensity
    I, the sum of U over the colours; and U / (1 + I). Published: heat maps of a pose network, where here
    there are the joints' places.
    """
    pixel, value = _pixels(keypoints, map_size, normalization, encoding, min_score)  # (B, J, L, P*P)
    place, share = _bins(_when(keypoints) * (num_colors - 1), num_colors, "soft")  # (L, 2)
    color = share.new_zeros(keypoints.shape[1], num_colors).scatter_add(1, place, share)  # (L, k)
    coloured = torch.stack(
        [_scatter(pixel, value * color[:, k, None], map_size) for k in range(num_colors)], dim=2
    )  # (B, J, k, S, S)
    largest = coloured.amax(dim=(3, 4), keepdim=True)
    u = coloured / torch.where(largest > 0, largest, 1.0)
    intensity = u.sum(dim=2, keepdim=True)
    return rearrange(torch.cat([u, intensity, u / (1 + intensity)], dim=2), "b j k x y -> b (j k) x y")


def _when(keypoints: Tensor) -> Tensor:
    """(B, L, J, 3) -> (L,) from 0 at the first instant to 1 at the last; 1 for a single one, not 0 / 0."""
    instants = torch.arange(keypoints.shape[1], device=keypoints.device, dtype=keypoints.dtype)
    last = instants[-1]
    return torch.where(last > 0, instants / last.clamp(min=1), 1.0)


def _pixels(
    keypoints: Tensor, map_size: int, normalization: Normalization, encoding: Encoding, min_score: float
) -> tuple[Tensor, Tensor]:
    """(B, L, J, 3) -> pixels (B, J, L, P*P) int64 of a flat (S, S) map, x*S + y, and what each joint adds."""
    seen = seen_joints(keypoints, min_score)
    places = normalize(keypoints, seen, map_size, normalization)
    index, share = _bins(places, map_size, encoding)  # (B, L, J, 2, P)
    value = torch.where(seen, keypoints[..., 2] if encoding == "soft" else 1.0, 0.0)
    pixel = index[..., 0, :, None] * map_size + index[..., 1, None, :]
    part = value[..., None, None] * share[..., 0, :, None] * share[..., 1, None, :]
    order = "b l j p q -> b j l (p q)"
    return rearrange(pixel, order), rearrange(part, order)


def _scatter(pixel: Tensor, value: Tensor, map_size: int) -> Tensor:
    """(B, J, L, P*P) twice -> (B, J, S, S): values added up pixel by pixel."""
    flat = value.new_zeros(*value.shape[:2], map_size * map_size)
    flat = flat.scatter_add(2, pixel.flatten(2), value.flatten(2))
    return rearrange(flat, "b j (x y) -> b j x y", x=map_size)
