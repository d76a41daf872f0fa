"""Batch normalisation of rows of features, also of a single row and among several processes."""

from __future__ import annotations

from torch import Tensor, nn


class RowNorm(nn.Module):
    """What nn.BatchNorm1d is, made of the one that `training.sync_norm` knows how to synchronise."""

    def __init__(self, num_features: int) -> None:
        super().__init__()
        self.norm = nn.BatchNorm2d(num_features)

    def forward(self, rows: Tensor) -> Tensor:
        """(B, F) -> (B, F); B may be 0.

        In training a single row is its own mean: all of it is taken away, and the statistics stay. torch
        refuses it instead; but a batch may well have one body.
        """
        if self.training and type(self.norm) is nn.BatchNorm2d and rows.shape[0] < 2:
            return 0 * rows * self.norm.weight + self.norm.bias
        normalized: Tensor = self.norm(rows[:, :, None, None])
        return normalized[:, :, 0, 0]
