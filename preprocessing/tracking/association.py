"""Which detection is which track: one-to-one assignment of boxes by overlap, distance and size."""

from __future__ import annotations

from itertools import permutations

import numpy as np

MAX_CENTRE_DISTANCE = 1.0  # in box sides; a face or body that moves further between looks is another one
MAX_SIZE_RATIO = 2.0
MAX_TRIED = 3  # an assignment of so many is found by trying all
_FORBIDDEN = 1e6


def box_iou(a_xyxy: np.ndarray, b_xyxy: np.ndarray) -> np.ndarray:
    """Intersection over union of every pair. a: (M, 4), b: (N, 4) -> (M, N) in [0, 1]."""
    top_left = np.maximum(a_xyxy[:, None, :2], b_xyxy[None, :, :2])  # (M, N, 2)
    bottom_right = np.minimum(a_xyxy[:, None, 2:], b_xyxy[None, :, 2:])  # (M, N, 2)
    sides = np.clip(bottom_right - top_left, 0, None)
    intersection = sides[..., 0] * sides[..., 1]
    area_a = np.prod(a_xyxy[:, 2:] - a_xyxy[:, :2], axis=1)
    area_b = np.prod(b_xyxy[:, 2:] - b_xyxy[:, :2], axis=1)
    union = area_a[:, None] + area_b[None, :] - intersection
    return np.asarray(np.where(union > 0, intersection / np.maximum(union, 1e-9), 0.0))


def pair_costs(tracks_xyxy: np.ndarray, detections_xyxy: np.ndarray) -> np.ndarray:
    """Cost of every pair (M, N), inf where they cannot be the same thing.

    tracks: (M, 4) where each track is expected, detections: (N, 4). The cost of a pair is its centre
    distance in box sides plus the logarithm of its size ratio, less its overlap: -1 for equal boxes.
    """
    side_t = np.sqrt(np.prod(np.clip(tracks_xyxy[:, 2:] - tracks_xyxy[:, :2], 1, None), axis=1))  # (M,)
    side_d = np.sqrt(np.prod(np.clip(detections_xyxy[:, 2:] - detections_xyxy[:, :2], 1, None), axis=1))
    centre_t = (tracks_xyxy[:, :2] + tracks_xyxy[:, 2:]) / 2
    centre_d = (detections_xyxy[:, :2] + detections_xyxy[:, 2:]) / 2
    offset = np.linalg.norm(centre_t[:, None] - centre_d[None], axis=2)  # (M, N)
    distance = offset / ((side_t[:, None] + side_d[None]) / 2)
    log_ratio = np.abs(np.log(side_t[:, None] / side_d[None]))
    cost = distance + log_ratio - box_iou(tracks_xyxy, detections_xyxy)
    allowed = (distance < MAX_CENTRE_DISTANCE) & (log_ratio < np.log(MAX_SIZE_RATIO))
    return np.where(allowed, cost, np.inf)


def assign(costs: np.ndarray) -> list[tuple[int, int]]:
    """Pairs (row, column) of least total cost, as many as there can be; inf forbids a pair. costs: (M, N)."""
    if costs.size == 0:
        return []
    finite = np.where(np.isfinite(costs), costs, _FORBIDDEN)
    rows, columns = _cheapest(finite)
    return [(m, n) for m, n in zip(rows, columns, strict=True) if np.isfinite(costs[m, n])]


def _cheapest(costs: np.ndarray) -> tuple[list[int], list[int]]:
    """Rows and columns of least total cost. Small ones are tried out: importing SciPy alone takes longer."""
    num_rows, num_columns = costs.shape
    if num_rows > num_columns:
        columns, rows = _cheapest(costs.T)
        return rows, columns
    if num_columns > MAX_TRIED:
        from scipy.optimize import linear_sum_assignment

        rows, columns = linear_sum_assignment(costs)
        return rows.tolist(), columns.tolist()
    table = costs.tolist()
    choices = permutations(range(num_columns), num_rows)
    best = min(choices, key=lambda choice: sum(table[m][n] for m, n in enumerate(choice)))
    return list(range(num_rows)), list(best)


def associate(tracks_xyxy: np.ndarray, detections_xyxy: np.ndarray) -> list[tuple[int, int]]:
    """Pairs (track, detection) by place alone; boxes that cannot be the same thing stay unpaired."""
    if len(tracks_xyxy) == 0 or len(detections_xyxy) == 0:
        return []
    return assign(pair_costs(tracks_xyxy, detections_xyxy))
