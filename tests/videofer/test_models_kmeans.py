from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sklearn.cluster import MiniBatchKMeans

from videofer.models.kmeans import assign, fit


def blobs(num_blobs: int, num_each: int, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """Middles (k, 16) far apart, and points (k * num_each, 16) around them."""
    rng = np.random.default_rng(seed)
    middles = rng.normal(size=(num_blobs, 16)) * 50
    points = np.repeat(middles, num_each, axis=0) + rng.normal(size=(num_blobs * num_each, 16))
    return middles, rng.permutation(points).astype(np.float32)


def inertia(points: np.ndarray, centres: np.ndarray) -> float:
    return float(((points - centres[assign(points, centres)]) ** 2).sum(axis=1).mean())


def test_finds_groups_that_are_there() -> None:
    middles, points = blobs(20, 100)
    centres = fit(points, 20, seed=1)
    assert centres.shape == (20, 16) and centres.dtype == np.float32
    nearest = np.linalg.norm(middles[:, None] - centres, axis=2)
    assert sorted(nearest.argmin(axis=1)) == list(range(20)) and nearest.min(axis=1).max() < 1


def test_as_good_as_scikit_learn() -> None:
    """On points without groups, where there is no one answer; far better than points taken at random."""
    rng = np.random.default_rng(0)
    points = rng.gamma(0.5, 30, size=(6000, 32)).astype(np.float32)
    reference = MiniBatchKMeans(100, batch_size=4096, n_init=1, max_iter=100, random_state=0).fit(points)
    ours = inertia(points, fit(points, 100, seed=0))
    assert ours < 1.03 * inertia(points, reference.cluster_centers_)
    assert ours < 0.8 * inertia(points, points[:100])


def test_the_same_for_the_same_seed() -> None:
    _, points = blobs(30, 20)
    assert np.array_equal(fit(points, 50, seed=3), fit(points, 50, seed=3))
    assert not np.array_equal(fit(points, 50, seed=3), fit(points, 50, seed=4))


@given(st.integers(1, 40), st.integers(1, 9), st.integers(0, 2**32 - 1))
def test_nearest_centres_are_the_nearest(num_points: int, num_centres: int, seed: int) -> None:
    rng = np.random.default_rng(seed)
    points, centres = (rng.integers(0, 4, size=(n, 3)).astype(np.float32) for n in (num_points, num_centres))
    distances = np.linalg.norm(points[:, None] - centres, axis=2)
    assert np.array_equal(assign(points, centres), distances.argmin(axis=1))  # of equal ones the first


def test_copies_of_few_points_are_enough() -> None:
    points = np.repeat(np.eye(3, dtype=np.float32), 10, axis=0)
    centres = fit(points, 8, seed=0)
    assert np.isfinite(centres).all() and inertia(points, centres) < 1e-10


def test_fewer_points_than_centres_fail() -> None:
    with pytest.raises(ValueError, match="5 centres need at least as many points, there are 4"):
        fit(np.zeros((4, 2), np.float32), 5, seed=0)
