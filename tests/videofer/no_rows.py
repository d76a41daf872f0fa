"""Trunks called without one clip: such a process still takes part in the others' synchronised statistics."""

from __future__ import annotations

import torch
from torch import nn


def check_nothing_comes_through_and_back(trunk: nn.Module, num_frames: int) -> None:
    """No row of features, gradients of zero, and statistics that stay numbers."""
    trunk.train()
    frames = torch.randn(0, 3, 48, 48, requires_grad=True)
    features = trunk(frames, num_frames)
    assert features.shape == (0, trunk.num_features)
    features.sum().backward()
    assert frames.grad is not None
    for name, parameter in trunk.named_parameters():
        assert parameter.grad is not None, name
        assert not parameter.grad.any(), name
    assert all(value.isfinite().all() for value in trunk.state_dict().values())
