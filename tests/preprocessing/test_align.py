"""The similarity onto the template and the warp, against ramps whose every pixel tells where it came from."""

from __future__ import annotations

import cv2
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from preprocessing.align import (
    TEMPLATE,
    apply_warp,
    invert_warp,
    quality,
    similarity_from_landmarks,
    source_bounds,
    warp_face,
    warp_patch,
)

SIZE = 112


def similarity(scale: float, degrees: float, x: float, y: float) -> np.ndarray:
    angle = np.deg2rad(degrees)
    c, s = scale * np.cos(angle), scale * np.sin(angle)
    return np.array([[c, -s, x], [s, c, y]])


def ramp(width: int, height: int) -> np.ndarray:
    """(h, w, 3): red and green are the pixel centre's x and y, scaled to fill a byte."""
    y, x = np.mgrid[:height, :width] + 0.5
    return np.stack([x * 255 / width, y * 255 / height, np.zeros_like(x)], axis=-1).round().astype(np.uint8)


def test_template_maps_onto_itself() -> None:
    warp = similarity_from_landmarks(TEMPLATE[None] * SIZE, SIZE)
    np.testing.assert_allclose(warp, [[[1, 0, 0], [0, 1, 0]]], atol=1e-5)
    assert warp.dtype == np.float32


@given(
    scale=st.floats(0.05, 30),
    degrees=st.floats(-180, 180),
    x=st.floats(-3000, 3000),
    y=st.floats(-3000, 3000),
)
def test_any_similarity_is_recovered(scale: float, degrees: float, x: float, y: float) -> None:
    landmarks = apply_warp(similarity(scale, degrees, x, y), TEMPLATE * SIZE)
    warp = similarity_from_landmarks(landmarks[None], SIZE)[0]
    np.testing.assert_allclose(apply_warp(warp, landmarks), TEMPLATE * SIZE, atol=0.05)


def test_least_squares_and_never_a_reflection() -> None:
    rng = np.random.default_rng(0)
    target = TEMPLATE[:3] * SIZE
    for mirrored in (False, True):
        landmarks = TEMPLATE * SIZE + rng.normal(0, 3, (5, 2))
        if mirrored:
            landmarks[:, 0] = SIZE - landmarks[:, 0]  # eyes the wrong way round: half a turn, no mirror
        warp = similarity_from_landmarks(landmarks[None], SIZE)[0].astype(np.float64)
        assert np.linalg.det(warp[:, :2]) > 0
        best = ((apply_warp(warp, landmarks[:3]) - target) ** 2).sum()
        for _ in range(50):
            other = warp + _similarity_step(rng)
            assert ((apply_warp(other, landmarks[:3]) - target) ** 2).sum() >= best - 1e-6


def _similarity_step(rng: np.random.Generator) -> np.ndarray:
    a, b, x, y = rng.normal(0, 0.01, 4)
    return np.array([[a, -b, x], [b, a, y]])


def test_mouth_does_not_move_the_crop() -> None:
    smiling = TEMPLATE.copy()
    smiling[3:] += [[-0.1, -0.05], [0.1, -0.05]]
    both = similarity_from_landmarks(np.stack([TEMPLATE, smiling]) * 200, SIZE)
    np.testing.assert_array_equal(both[0], both[1])


def test_impossible_landmarks_give_nan() -> None:
    landmarks = np.stack([TEMPLATE, TEMPLATE * np.nan, TEMPLATE * 0 + 7, TEMPLATE]) * 50
    warps = similarity_from_landmarks(landmarks, SIZE)
    assert np.isnan(warps[1:3]).all()
    np.testing.assert_array_equal(warps[0], warps[3])
    assert similarity_from_landmarks(np.zeros((0, 5, 2)), SIZE).shape == (0, 2, 3)


@given(
    scale=st.floats(0.12, 4),
    degrees=st.floats(-180, 180),
    x=st.floats(100, 300),
    y=st.floats(100, 300),
)
def test_every_crop_pixel_comes_from_where_the_warp_says(
    scale: float, degrees: float, x: float, y: float
) -> None:
    picture = ramp(400, 400)
    warp = similarity(scale, degrees, 0, 0)
    warp[:, 2] = SIZE / 2 - warp[:, :2] @ (x, y)  # (x, y) of the source becomes the crop's centre
    crop = warp_face(picture, warp, SIZE).astype(float)
    rows, cols = np.mgrid[:SIZE, :SIZE]
    centres = np.stack([cols, rows], axis=-1) + 0.5
    source = apply_warp(invert_warp(warp), centres)
    margin = 1 + 2 / scale
    inside = ((source > margin) & (source < 400 - margin)).all(axis=-1)
    expected = source * 255 / 400
    assert np.abs(crop[..., :2] - expected)[inside].max(initial=0) < 1.5


def test_half_pixel_exact_at_whole_factors() -> None:
    rng = np.random.default_rng(1)
    picture = rng.integers(0, 256, (SIZE * 4, SIZE * 4, 3), np.uint8)
    shrunk = warp_face(picture, similarity(0.25, 0, 0, 0), SIZE)
    expected = cv2.resize(picture, (SIZE, SIZE), interpolation=cv2.INTER_AREA)
    np.testing.assert_array_equal(shrunk, expected)
    np.testing.assert_array_equal(warp_face(shrunk, similarity(1, 0, 0, 0), SIZE), shrunk)


def test_fine_detail_does_not_alias() -> None:
    checks = np.indices((896, 896)).sum(axis=0) % 2 * 255
    picture = np.repeat(checks[..., None], 3, axis=2).astype(np.uint8)
    crop = warp_face(picture, similarity(112 / 896, 0, 0, 0), SIZE)
    assert abs(crop.astype(int) - 127).max() <= 1


@pytest.mark.parametrize("scale", [0.2, 0.7, 2.5])
def test_a_patch_serves_as_well_as_the_whole_picture(scale: float) -> None:
    picture = cv2.GaussianBlur(np.random.default_rng(2).integers(0, 256, (900, 900, 3), np.uint8), (0, 0), 4)
    warp = similarity(scale, 20, 0, 0)
    warp[:, 2] = SIZE / 2 - warp[:, :2] @ (450, 450)
    x0, y0, x1, y1 = source_bounds(warp, (SIZE, SIZE))
    assert 0 <= x0 < x1 <= 900
    assert 0 <= y0 < y1 <= 900
    whole = warp_face(picture, warp, SIZE).astype(int)
    patch = warp_face(picture[y0:y1, x0:x1], warp, SIZE, (x0, y0)).astype(int)
    # Where the source is shrunk first, the two start averaging at different pixels.
    assert np.abs(whole - patch).max() <= (4 if scale < 0.5 else 1)


def test_outside_the_picture_the_edge_repeats_or_is_black() -> None:
    picture = np.full((50, 50, 3), 200, np.uint8)
    away = similarity(1, 0, 500, 0)
    assert (warp_face(picture, away, SIZE) == 200).all()
    assert (warp_patch(picture, away, (40, 30), (0, 0), cv2.BORDER_CONSTANT) == 0).all()


def test_quality_columns() -> None:
    rng = np.random.default_rng(3)
    sharp = rng.integers(0, 256, (SIZE, SIZE, 3), np.uint8)
    blurred = cv2.GaussianBlur(sharp, (0, 0), 3)
    warp = similarity(0.5, 30, 0, 0)
    face_pixels, sharpness, brightness = quality(sharp, warp)
    assert face_pixels == pytest.approx(2 * SIZE)
    assert sharpness > 50 * quality(blurred, warp)[1]
    assert brightness == pytest.approx(cv2.cvtColor(sharp, cv2.COLOR_RGB2GRAY).mean(), abs=1e-3)
    np.testing.assert_allclose(
        quality(np.full((SIZE, SIZE, 3), 90, np.uint8), similarity(1, 0, 0, 0)), [SIZE, 0, 90]
    )
