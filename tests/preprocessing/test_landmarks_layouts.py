"""The 68 points: what each is, how they stand in the mirror, and the face mesh brought to them."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
import pytest

from preprocessing.landmarks.layouts import (
    IBUG68,
    IBUG68_FROM_MESH468,
    LANDMARK_LAYOUTS,
    LEFT_RIGHT_PAIRS_68,
    MESH468,
    MIRRORED_68,
    to_ibug68,
)

MESH_TWINS = {
    127: 356, 234: 454, 93: 323, 132: 361, 58: 288, 172: 397, 136: 365, 150: 379, 149: 378, 176: 400,
    148: 377, 70: 300, 63: 293, 105: 334, 66: 296, 107: 336, 98: 327, 97: 326, 33: 263, 160: 387, 158: 385,
    133: 362, 153: 380, 144: 373, 61: 291, 39: 269, 37: 267, 91: 321, 84: 314, 78: 308, 82: 312,
    87: 317,
}  # fmt: skip
"""Right and left vertices of the canonical face model that mirror one another."""


OTHER_SIDE = {
    "right brow": "left brow", "left brow": "right brow", "right eye": "left eye", "left eye": "right eye",
}  # fmt: skip


def steps(name: str) -> set[frozenset[int]]:
    """Neighbouring points of a line."""
    line = IBUG68.lines[name]
    ends = [(line[-1], line[0])] if name in IBUG68.closed else []
    return {frozenset(step) for step in (*pairwise(line), *ends)}


@pytest.mark.parametrize("name", IBUG68.lines)
def test_the_mirror_turns_a_line_into_that_of_the_other_side(name: str) -> None:
    """And neighbours into neighbours: a wrong pair would cross the line."""
    mirrored = {frozenset(MIRRORED_68[point] for point in step) for step in steps(name)}
    assert mirrored == steps(OTHER_SIDE.get(name, name))


def test_the_mirror_in_numbers() -> None:
    assert all(MIRRORED_68[MIRRORED_68[point]] == point for point in range(68))
    alone = [point for point in range(68) if MIRRORED_68[point] == point]
    assert alone == [8, 27, 28, 29, 30, 33, 51, 57, 62, 66]  # those on the face's middle line
    assert len(LEFT_RIGHT_PAIRS_68) == (68 - len(alone)) / 2


def test_every_point_is_on_one_line() -> None:
    for layout in LANDMARK_LAYOUTS.values():
        points = [point for line in layout.lines.values() for point in line]
        assert len(points) == len(set(points)) and min(points) >= 0 and max(points) < layout.num_points
    assert sorted(point for line in IBUG68.lines.values() for point in line) == list(range(68))


def test_the_map_from_the_mesh_is_the_same_on_both_sides() -> None:
    """Points that mirror one another are made of vertices that do."""
    twins = MESH_TWINS | {left: right for right, left in MESH_TWINS.items()}
    for point, vertices in enumerate(IBUG68_FROM_MESH468):
        mirrored = {twins.get(vertex, vertex) for vertex in vertices}
        assert mirrored == set(IBUG68_FROM_MESH468[MIRRORED_68[point]]), point


def test_a_mesh_as_68_points() -> None:
    mesh = np.random.default_rng(0).random((2, 3, 468, 2), np.float32)
    points = to_ibug68(mesh, MESH468.name)
    assert points.shape == (2, 3, 68, 2) and points.dtype == np.float32
    for point, vertices in enumerate(IBUG68_FROM_MESH468):
        np.testing.assert_allclose(points[:, :, point], mesh[:, :, list(vertices)].mean(axis=2), rtol=1e-6)
    assert to_ibug68(points, IBUG68.name) is points
    with pytest.raises(ValueError, match="unknown landmark layout 'dlib5'; known: ibug68, mesh468"):
        to_ibug68(points, "dlib5")
