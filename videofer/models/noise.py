"""Random numbers that belong to a sample: the same on every device, in every batch, in every process.

A counter-based generator (the finaliser of SplitMix64: Steele, Lea and Flood, OOPSLA 2014) turns a
sample's seed, a stream and a position into a number. Nothing has a state, so a sample's dropout and
augmentation do not depend on the samples beside it, on how many processes share a batch, or on where a run
was resumed.

Letters in shapes: B samples, m numbers a sample.
"""

from __future__ import annotations

import torch
from torch import Tensor

DROPOUT, MODALITY_DROP, FACE_CHANGE, BODY_CHANGE = range(4)
"""Streams: who draws. Two users of one stream would draw the same numbers."""

_GOLDEN = -7046029254386353131  # 0x9E3779B97F4A7C15 as a signed 64-bit integer, as are the next ones
_FACTOR_1 = -4658895280553007687  # 0xBF58476D1CE4E5B9
_FACTOR_2 = -7723592293110705685  # 0x94D049BB133111EB


def uniform(seeds: Tensor, num: int, stream: int) -> Tensor:
    """seeds (B,) int64 -> (B, num) float32 in [0, 1), equal for equal seed, position and stream."""
    position = torch.arange(1, num + 1, device=seeds.device, dtype=torch.int64)
    start = _mix(_mix(seeds) + stream + 1)  # (B,)
    bits = _mix(start[:, None] + position * _GOLDEN)  # (B, m); int64 wraps around on every device
    return _shift(bits, 40).to(torch.float32) * 2.0**-24


def _mix(x: Tensor) -> Tensor:
    x = (x ^ _shift(x, 30)) * _FACTOR_1
    x = (x ^ _shift(x, 27)) * _FACTOR_2
    return x ^ _shift(x, 31)


def _shift(x: Tensor, bits: int) -> Tensor:
    """Right shift that brings in zeros; torch's brings in the sign."""
    return (x >> bits) & ((1 << (64 - bits)) - 1)
