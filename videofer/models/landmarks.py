"""Landmarks as a second task: a linear layer on a clip's features that says where the face's points lie.

The class alone tells a network little about where to look; 68 places tell it much, and cost nothing when the
model is used. After the landmark branch of RainbowRui's Landmark-Driven-Facial-Expression-Recognition.

What we changed: places are shares of the crop's side, not pixels, in which this loss would outweigh that of
the classes; the layer's bias learns the mean face, which the published code computes from the data, with the
pictures without landmarks in it, and adds (its computation mirrors the stored landmarks by mistake);
pictures without landmarks count for nothing.

Letters in shapes: B samples, C clips, K frames a clip, F features, P landmarks.
"""

from __future__ import annotations

import torch
from einops import rearrange
from torch import Tensor, nn

from preprocessing.landmarks.layouts import IBUG68


class LandmarkHead(nn.Module):
    """Places of the landmarks in a clip, (0, 0) the crop's upper left corner, (1, 1) the lower right one."""

    def __init__(self, num_features: int) -> None:
        super().__init__()
        self.linear = nn.Linear(num_features, 2 * IBUG68.num_points)
        nn.init.constant_(self.linear.bias, 0.5)  # begins in the middle of the crop

    def forward(self, features: Tensor) -> Tensor:
        """(B, C, F) -> (B, C, P, 2) float32: x, y in shares of the crop's side."""
        places: Tensor = self.linear(features).float()
        return rearrange(places, "b c (p xy) -> b c p xy", xy=2)


def landmark_errors(found: Tensor, landmarks: Tensor, mask: Tensor) -> tuple[Tensor, Tensor]:
    """found (B, C, P, 2) against landmarks (B, C, K, P, 2), of which mask (B, C, K) bool says what is there.

    A clip's truth is the mean of its frames' landmarks. Returns the mean absolute error of each sample, (B,),
    and which samples have any landmarks, (B,) bool; the error of the others is 0. ValueError for shapes that
    do not fit.
    """
    batch, clips, points, _ = found.shape
    if landmarks.shape != (batch, clips, mask.shape[-1], points, 2) or mask.shape != landmarks.shape[:3]:
        raise ValueError(
            f"landmarks {tuple(landmarks.shape)} and their mask {tuple(mask.shape)} do not fit "
            f"what was found, {tuple(found.shape)}"
        )
    there = torch.where(mask[..., None, None], landmarks, 0.0)  # whatever stands where nothing is
    num_frames = mask.sum(dim=2)  # (B, C)
    truth = there.sum(dim=2) / num_frames.clamp(min=1)[..., None, None]
    errors = torch.where(num_frames > 0, (found - truth).abs().mean(dim=(2, 3)), 0.0)  # (B, C)
    num_clips = (num_frames > 0).sum(dim=1)
    return errors.sum(dim=1) / num_clips.clamp(min=1), num_clips > 0
