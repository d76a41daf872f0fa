"""SIFT descriptors of pictures, as a branch beside a CNN (Al-Shabi, Cheah and Connie, arXiv 1608.02833).

Two kinds, both 2048 numbers a picture:

- "sift": descriptors at the points that SIFT finds (Lowe, IJCV 2004), each replaced by the nearest of 2048
  words; the numbers say how often each word occurs. The words are centres of mini-batch k-means, found once
  in training pictures, before the first step; until then they are random, as all weights are.
- "dense_sift": the 128 numbers of the descriptors at 4x4 places, 12 pixels apart, upright.

Other than in the published code (chiehhsi/Expression_Recognition):

- descriptors are computed anew in every pass, from the picture that the network sees, augmented as it is.
  There they are those of the picture before any change, so that half of them belong to its mirror image;
- words are found in training pictures alone; there in all, those of the test as well;
- a dense descriptor covers 24 pixels (size 4). There its size is 12, which covers 72, more than the picture.
  A linear classifier reached 45 % with the one, 41 % with the other (7,000 and 2,000 pictures of Training);
- a picture's numbers are scaled to a mean square of 1, as a layer's inputs should be. There a word counts
  1/n of a picture's n points, some hundredths, and a dense number is up to 255.

OpenCV computes them on the CPU, in as many threads as torch uses. No gradient passes through them.

Letters in shapes: M pictures, S = 48 pixels, p points of all pictures together.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any, Literal

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from videofer.models import kmeans
from videofer.models.grey import brightness
from videofer.models.noise import dropout

Descriptor = Literal["none", "sift", "dense_sift"]

SIDE = 48
NUM_WORDS = 2048
NUM_VALUES = 128  # of one descriptor
GRID = (6, 18, 30, 42)
GRID_SIZE = 4.0
"""Of a keypoint on the grid, in OpenCV's measure: its descriptor covers six times as many pixels."""
_DROPOUT = 0.2
_DROPOUT_STREAM = 100  # of a clip's seed; the blocks of the trunk have 0 and what follows


class BagOfWords(nn.Module):
    """How often each of 2048 words occurs in a picture."""

    words: Tensor
    num_features = NUM_WORDS

    def __init__(self) -> None:
        super().__init__()
        # Whole numbers, as descriptors are: products and sums of them are exact in float32, so that a picture
        # has the same words in every batch, in every process and on every device.
        self.register_buffer("words", torch.randint(0, 92, (NUM_WORDS, NUM_VALUES)).float())

    def forward(self, pictures: np.ndarray) -> Tensor:
        """pictures (M, S, S) uint8 -> (M, 2048) float32 counts, on the device of the words."""
        found = _of_all(pictures, points_of)
        picture = np.repeat(np.arange(len(found)), [len(one) for one in found])  # (p,) of each descriptor
        points = torch.from_numpy(np.concatenate([np.empty((0, NUM_VALUES), np.float32), *found]))
        counts = torch.zeros(len(pictures), NUM_WORDS, device=self.words.device)
        with torch.autocast(self.words.device.type, enabled=False):
            scores = self.words.square().sum(dim=1) - 2 * (points.to(self.words.device) @ self.words.T)
        word = scores.argmin(dim=1)  # (p,) of equally near ones the first
        place = torch.from_numpy(picture).to(word.device)
        return counts.index_put_((place, word), torch.ones_like(word, dtype=torch.float32), accumulate=True)

    @torch.no_grad()
    def fit_on(self, pictures: np.ndarray, seed: int) -> None:
        """Finds the words in these pictures (n, S, S) uint8. Depends on them, their order and the seed only.

        ValueError where they have fewer points than there are words.
        """
        points = np.concatenate([np.empty((0, NUM_VALUES), np.float32), *_of_all(pictures, points_of)])
        self.words.copy_(torch.from_numpy(kmeans.fit(points, NUM_WORDS, seed=seed)).round())


class DenseGrid(nn.Module):
    """The descriptors at 16 places of a picture, one after another."""

    num_features = len(GRID) ** 2 * NUM_VALUES

    def forward(self, pictures: np.ndarray) -> Tensor:
        """pictures (M, S, S) uint8 -> (M, 2048) float32 in [0, 255], on the CPU."""
        values = _of_all(pictures, grid_of)
        return torch.from_numpy(np.stack(values) if values else np.empty((0, self.num_features), np.float32))


class DescriptorBranch(nn.Module):
    """Frames as a trunk gets them to features: descriptors, then a linear layer and dropout, as published."""

    mean: Tensor
    std: Tensor

    def __init__(
        self,
        kind: Descriptor,
        num_outputs: int,
        *,
        mean: tuple[float, float, float],
        std: tuple[float, float, float],
    ) -> None:
        """mean, std: by which frames are normalised."""
        super().__init__()
        assert kind != "none"
        self.describe = BagOfWords() if kind == "sift" else DenseGrid()
        self.dense = nn.Linear(self.describe.num_features, num_outputs)
        self.register_buffer("mean", torch.tensor(mean)[:, None, None], persistent=False)
        self.register_buffer("std", torch.tensor(std)[:, None, None], persistent=False)

    def forward(self, frames: Tensor, seeds: Tensor | None) -> Tensor:
        """frames (M, 3, H, W) normalised, seeds (M,) int64 -> (M, num_outputs)."""
        features = self.dense(self.values(frames))
        return dropout(features, _DROPOUT, seeds, _DROPOUT_STREAM) if self.training else features

    @torch.no_grad()
    def values(self, frames: Tensor) -> Tensor:
        """frames (M, 3, H, W) -> (M, 2048) float32 of mean square 1 a row; zeros where there is no point."""
        counts: Tensor = self.describe(self.pictures(frames)).to(frames.device)
        return F.normalize(counts, dim=1) * math.sqrt(self.describe.num_features)

    @torch.no_grad()
    def pictures(self, frames: Tensor) -> np.ndarray:
        """frames (M, 3, H, W) normalised -> grey pictures (M, 48, 48) uint8, for which the grid is made."""
        grey = brightness(frames.float() * self.std + self.mean)
        if grey.shape[-2:] != (SIDE, SIDE):
            grey = F.interpolate(grey, (SIDE, SIDE), mode="bilinear", antialias=True)
        values: np.ndarray = (255 * grey[:, 0]).round().clamp(0, 255).to(torch.uint8).cpu().numpy()
        return values


def points_of(picture: np.ndarray, sift: Any) -> np.ndarray:
    """(S, S) uint8 -> (p, 128) float32, whole numbers in [0, 255]: the descriptors at the points found."""
    _, found = sift.detectAndCompute(picture, None)
    return np.empty((0, NUM_VALUES), np.float32) if found is None else found


def grid_of(picture: np.ndarray, sift: Any) -> np.ndarray:
    """(S, S) uint8 -> (2048,) float32, whole numbers in [0, 255]: row by row the descriptors on the grid."""
    import cv2

    keypoints = [cv2.KeyPoint(x, y, GRID_SIZE, 0.0) for y in GRID for x in GRID]  # angle 0: upright
    _, found = sift.compute(picture, keypoints)
    values: np.ndarray = found.reshape(-1)
    return values


def _of_all(pictures: np.ndarray, describe: Callable[[np.ndarray, Any], np.ndarray]) -> list[np.ndarray]:
    """`describe` of every picture, in their order, by as many threads as torch uses: OpenCV lets go of the
    interpreter."""

    def part(some: np.ndarray) -> list[np.ndarray]:
        import cv2

        sift = cv2.SIFT.create()
        return [describe(np.ascontiguousarray(picture), sift) for picture in some]

    num_threads = min(torch.get_num_threads(), len(pictures))
    if num_threads <= 1:
        return part(pictures)
    with ThreadPoolExecutor(num_threads) as pool:
        parts = pool.map(part, np.array_split(pictures, num_threads))
        return [values for found in parts for values in found]
