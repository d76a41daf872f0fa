"""Mini-batch k-means (Sculley, WWW 2010) with a k-means++ start (Arthur and Vassilvitskii, SODA 2007).

Deterministic: it depends on the points, their order and the seed only, as everything is drawn by numpy.

Letters in shapes: n points, k centres, d dimensions.
"""

from __future__ import annotations

import math

import numpy as np

BATCH = 4096
MAX_BATCHES = 100
MAX_PASSES = 20
"""So often every point is in a batch, on average, where there are few."""


def fit(points: np.ndarray, num_centres: int, *, seed: int) -> np.ndarray:
    """points (n, d) float32 -> centres (k, d) float32. ValueError where there are fewer points than centres.

    Each batch moves its centres to the mean of all points that were ever assigned to them, as published. A
    centre to which none ever was stays where the start has put it.
    """
    if len(points) < num_centres:
        raise ValueError(f"{num_centres} centres need at least as many points, there are {len(points)}")
    rng = np.random.default_rng(seed)
    few = min(len(points), max(2 * num_centres, BATCH))
    centres = _start(points[rng.choice(len(points), few, replace=False)], num_centres, rng)
    counts = np.zeros(num_centres)
    for _ in range(min(MAX_BATCHES, math.ceil(MAX_PASSES * len(points) / BATCH))):
        batch = points[rng.choice(len(points), min(BATCH, len(points)), replace=False)]
        nearest = assign(batch, centres)
        added = np.bincount(nearest, minlength=num_centres)
        sums = np.zeros_like(centres)
        np.add.at(sums, nearest, batch)
        counts += added
        moved = added > 0
        share = (1 / counts[moved])[:, None]
        centres[moved] += share * (sums[moved] - added[moved, None] * centres[moved])
    return centres


def assign(points: np.ndarray, centres: np.ndarray) -> np.ndarray:
    """points (n, d), centres (k, d) -> the nearest centre of each point (n,) int64; of equally near ones the
    first."""
    distances = points @ (-2 * centres.T)  # (n, k); a point's own square is the same for all centres
    distances += (centres**2).sum(axis=1)
    nearest: np.ndarray = distances.argmin(axis=1)
    return nearest


def _start(points: np.ndarray, num_centres: int, rng: np.random.Generator) -> np.ndarray:
    """Points far from each other: each is drawn by its squared distance to the nearest one so far."""
    chosen = [int(rng.integers(len(points)))]
    # All distances at once: thousands of small products would each wait for their threads.
    squares = (points**2).sum(axis=1)
    distances = points @ (-2 * points.T)  # (n, n)
    distances += squares
    distances += squares[:, None]
    nearest = np.full(len(points), np.inf, dtype=np.float32)
    for _ in range(num_centres - 1):
        np.minimum(nearest, np.maximum(distances[chosen[-1]], 0), out=nearest)
        nearest[chosen[-1]] = 0
        reach = np.cumsum(nearest, dtype=np.float64)
        if reach[-1] == 0:  # all the others are copies of chosen ones
            chosen.append(int(rng.integers(len(points))))
            continue
        chosen.append(
            min(int(np.searchsorted(reach, rng.random() * reach[-1], side="right")), len(points) - 1)
        )
    return points[chosen].astype(np.float32)
