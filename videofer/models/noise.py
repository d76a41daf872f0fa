"""Random numbers that belong to a sample: the same on every device, in every batch, in every process.

A counter-based generator (the finaliser of SplitMix64: Steele, Lea and Flood, OOPSLA 2014) turns a
sample's seed, a stream and a position into a number. Nothing has a state, so a sample's dropout and
augmentation do not depend on the samples beside it, on how many processes share a batch, or on where a run
was resumed.

Letters in shapes: B samples, m numbers a sample.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor
from torch.nn import functional as F

DROPOUT, MODALITY_DROP, FACE_CHANGE, BODY_CHANGE, DEGRADATION, SENSOR, MIXING, CLIPS = range(8)
"""Streams: who draws. Two users of one stream would draw the same numbers."""

_GOLDEN = -7046029254386353131  # 0x9E3779B97F4A7C15 as a signed 64-bit integer, as are the next ones
_FACTOR_1 = -4658895280553007687  # 0xBF58476D1CE4E5B9
_FACTOR_2 = -7723592293110705685  # 0x94D049BB133111EB


def uniform(seeds: Tensor, num: int, stream: int) -> Tensor:
    """seeds (B,) int64 -> (B, num) float32 in [0, 1), equal for equal seed, position and stream."""
    return _shift(seeds_of_parts(seeds, num, stream), 40).to(torch.float32) * 2.0**-24


def seeds_of_parts(seeds: Tensor, num: int, stream: int) -> Tensor:
    """seeds (B,) int64 -> (B, num) int64: seeds of a sample's parts, which have streams of their own."""
    position = torch.arange(1, num + 1, device=seeds.device, dtype=torch.int64)
    start = _mix(_mix(seeds) + stream + 1)  # (B,)
    return _mix(start[:, None] + position * _GOLDEN)  # int64 wraps around on every device


def dropout(x: Tensor, share: float, seeds: Tensor | None, stream: int) -> Tensor:
    """x (B, ...) -> the same with this share of the numbers set to zero and the others raised, in training.

    seeds: (B,) int64, whence each row's places are drawn; None: torch's own generator.
    """
    if seeds is None or share == 0:
        return F.dropout(x, share)
    kept = uniform(seeds, math.prod(x.shape[1:]), stream) >= share
    return x * (kept.view(x.shape) / (1 - share)).to(x.dtype)


def normal(seeds: Tensor, num: int, stream: int) -> Tensor:
    """seeds (B,) int64 -> (B, num) float32, normal of mean 0 and variance 1 (Box and Muller)."""
    pairs = (num + 1) // 2
    radius, angle = uniform(seeds, 2 * pairs, stream).split_with_sizes([pairs, pairs], dim=1)
    radius, angle = (-2 * torch.log1p(-radius)).sqrt(), 2 * math.pi * angle
    return torch.cat([radius * angle.cos(), radius * angle.sin()], dim=1)[:, :num]


def _mix(x: Tensor) -> Tensor:
    x = (x ^ _shift(x, 30)) * _FACTOR_1
    x = (x ^ _shift(x, 27)) * _FACTOR_2
    return x ^ _shift(x, 31)


def _shift(x: Tensor, bits: int) -> Tensor:
    """Right shift that brings in zeros; torch's brings in the sign."""
    return (x >> bits) & ((1 << (64 - bits)) - 1)
