"""Faces too large for YuNet are found in the picture made smaller, and their parts are not."""

from __future__ import annotations

import shutil
from collections.abc import Sequence
from pathlib import Path

import cv2
import numpy as np
import pytest
import skimage.data

from preprocessing import faces
from preprocessing.faces.large_faces import LARGE_PICTURE, REDUCED_SIDE, with_large_faces
from preprocessing.faces.yunet import DYNAMIC_FILE, PUBLISHED_FILE
from preprocessing.types import Faces

SHAPE = (1000, 1600, 3)  # twice and a half as large as the reduced picture


def some_faces(*rows: tuple[float, float, float, float, float]) -> Faces:
    """Of x0, y0, x1, y1, score; all landmarks in the middle."""
    table = np.array(rows, np.float32).reshape(-1, 5)
    middle = (table[:, None, :2] + table[:, None, 2:4]) / 2
    return Faces(table[:, :4], np.repeat(middle, 5, axis=1), table[:, 4])


def test_small_faces_are_those_of_the_whole_picture_and_large_ones_those_of_the_reduced() -> None:
    whole = some_faces(
        (100, 100, 200, 200, 0.85),
        (1000, 300, 1200, 500, 0.8),  # a part of the large one
        (950, 200, 1400, 620, 0.75),  # half of it
    )
    reduced = some_faces(
        (360, 60, 620, 390, 0.95),  # the large one
        (41, 41, 81, 81, 0.9),  # the small one, less exactly
        (8, 300, 48, 340, 0.71),  # one that the whole picture does not show
    )

    def search(images_rgb: Sequence[np.ndarray]) -> list[Faces]:
        return [whole if image.shape == SHAPE else reduced for image in images_rgb]

    [found] = with_large_faces([np.zeros(SHAPE, np.uint8)], search)
    expected = np.array([[900, 150, 1550, 975], [100, 100, 200, 200], [20, 750, 120, 850]])
    np.testing.assert_allclose(found.boxes_xyxy, expected)
    np.testing.assert_allclose(found.landmarks_xy[:, 0], np.array([[1225, 562.5], [150, 150], [70, 800]]))
    np.testing.assert_allclose(found.scores, [0.95, 0.85, 0.71])
    assert found.boxes_xyxy.dtype == found.landmarks_xy.dtype == found.scores.dtype == np.float32


def test_only_a_large_picture_is_searched_twice() -> None:
    searched: list[tuple[int, ...]] = []

    def search(images_rgb: Sequence[np.ndarray]) -> list[Faces]:
        searched.extend(image.shape for image in images_rgb)
        return [some_faces() for _ in images_rgb]

    shapes = [(LARGE_PICTURE, 30, 3), (LARGE_PICTURE + 1, 30, 3), (1, 9999, 3)]
    found = with_large_faces([np.zeros(shape, np.uint8) for shape in shapes], search)
    assert [len(one) for one in found] == [0, 0, 0]
    assert searched == [*shapes, (REDUCED_SIDE, 24, 3), (1, REDUCED_SIDE, 3)]
    assert with_large_faces([], search) == []


@pytest.mark.parametrize("file", [DYNAMIC_FILE, PUBLISHED_FILE])
def test_a_face_of_a_thousand_pixels_is_one_face(file: str, shared_weights: Path, tmp_path: Path) -> None:
    shutil.copy(shared_weights / file, tmp_path)
    detector = faces.build(faces.resolve("yunet", tmp_path))
    picture = np.asarray(skimage.data.astronaut())[:220, 120:340]
    (small,) = detector.detect([picture])
    (large,) = detector.detect([cv2.resize(picture, None, fx=11, fy=11, interpolation=cv2.INTER_CUBIC)])
    assert len(small) == len(large) == 1
    eyes = np.linalg.norm(small.landmarks_xy[0, 0] - small.landmarks_xy[0, 1])
    apart = np.linalg.norm(large.landmarks_xy[0] / 11 - small.landmarks_xy[0], axis=1)
    assert apart.mean() < 0.15 * eyes
