from __future__ import annotations

import numpy as np
import pytest
import scipy.optimize  # now, not within the first example's time
from hypothesis import given
from hypothesis import strategies as st

from preprocessing.tracking.association import assign, associate, box_iou


def box(x: float, y: float, side: float = 40) -> list[float]:
    return [x, y, x + side, y + side]


def test_iou_of_known_boxes() -> None:
    a = np.array([box(0, 0, 10)])
    b = np.array([box(0, 0, 10), box(5, 0, 10), box(20, 20, 10), [3, 3, 3, 3]])
    assert box_iou(a, b)[0] == pytest.approx([1.0, 50 / 150, 0.0, 0.0])


def test_each_track_takes_its_nearest_detection() -> None:
    tracks = np.array([box(0, 0), box(100, 0), box(200, 0)])
    detections = np.array([box(205, 3), box(2, 1), box(98, 0)])
    assert associate(tracks, detections) == [(0, 1), (1, 2), (2, 0)]


@pytest.mark.parametrize(
    "detection", [box(60, 0), box(-5, -5, 100), box(10, 10, 15)], ids=["far", "large", "small"]
)
def test_what_cannot_be_the_same_stays_unpaired(detection: list[float]) -> None:
    assert associate(np.array([box(0, 0)]), np.array([detection])) == []


def test_nothing_to_pair() -> None:
    assert associate(np.empty((0, 4)), np.array([box(0, 0)])) == []
    assert associate(np.array([box(0, 0)]), np.empty((0, 4))) == []


@given(st.permutations(range(6)), st.integers(0, 2**32 - 1))
def test_order_of_detections_does_not_matter(order: list[int], seed: int) -> None:
    rng = np.random.default_rng(seed)
    tracks = np.array([box(100 * n, 0) for n in range(6)]) + rng.uniform(-5, 5, (6, 1))
    detections = tracks + rng.uniform(-8, 8, (6, 1))
    pairs = associate(tracks, detections[order])
    assert [(m, order[n]) for m, n in pairs] == [(m, m) for m in range(6)]


@given(st.integers(1, 5), st.integers(1, 5), st.integers(0, 2**32 - 1))
def test_small_assignments_are_those_of_scipy(num_rows: int, num_columns: int, seed: int) -> None:
    rng = np.random.default_rng(seed)
    costs = rng.normal(size=(num_rows, num_columns))
    costs[rng.random(costs.shape) < 0.3] = np.inf
    rows, columns = scipy.optimize.linear_sum_assignment(np.where(np.isfinite(costs), costs, 1e6))
    expected = {(m, n) for m, n in zip(rows, columns, strict=True) if np.isfinite(costs[m, n])}
    assert set(assign(costs)) == expected
