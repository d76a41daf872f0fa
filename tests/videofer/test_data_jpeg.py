"""JPEG's losses on tensors against OpenCV's encoder and decoder."""

from __future__ import annotations

from typing import Any

import cv2
import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from small_store import crop_of

from videofer.data.jpeg import compressed

pytestmark = pytest.mark.usefixtures("one_thread")


def picture(side: int, seed: int = 0) -> np.ndarray:
    """(S, S, 3) uint8 RGB: smooth colours, a line, and some grain."""
    found = crop_of(seed, 1, side)[0].astype(np.float64)
    found[side // 3, :, :] = 250
    found += np.random.default_rng(seed).normal(0, 8, found.shape)
    pixels: np.ndarray = np.clip(found, 0, 255).astype(np.uint8)
    return pixels


def by_opencv(picture: np.ndarray, quality: int) -> np.ndarray:
    """A picture, RGB or grey, written as JPEG and read again, in [0, 255]."""
    is_grey = picture.ndim == 2
    there = picture if is_grey else cv2.cvtColor(picture, cv2.COLOR_RGB2BGR)
    _, content = cv2.imencode(".jpg", there, [cv2.IMWRITE_JPEG_QUALITY, quality])
    back: Any = cv2.imdecode(content, cv2.IMREAD_GRAYSCALE if is_grey else cv2.IMREAD_COLOR)
    return np.asarray(back if is_grey else cv2.cvtColor(back, cv2.COLOR_BGR2RGB), dtype=np.float64)


def by_us(picture: np.ndarray, *quality: float) -> np.ndarray:
    """(S, S, 3) uint8 -> (B, S, S, 3) in [0, 255], one for each quality."""
    frames = torch.from_numpy(picture / 255).float().permute(2, 0, 1).expand(len(quality), 1, -1, -1, -1)
    return 255 * compressed(frames, torch.tensor(quality))[:, 0].permute(0, 2, 3, 1).double().numpy()


@pytest.mark.parametrize("side", [48, 50, 112])
@pytest.mark.parametrize("quality", [10, 30, 50, 75, 95])
def test_grey_pictures_as_opencv_does(side: int, quality: int) -> None:
    """A decoder rounds to whole numbers on the way; now and then that is another multiple of the table."""
    grey = cv2.cvtColor(picture(side), cv2.COLOR_RGB2GRAY)
    reference = by_opencv(grey, quality)
    (ours,) = by_us(np.repeat(grey[..., None], 3, axis=2), quality)
    difference = np.abs(ours - reference[..., None])
    assert difference.mean() < 0.6 and np.quantile(difference, 0.98) < 4
    (other,) = by_us(np.repeat(grey[..., None], 3, axis=2), quality / 2)
    assert (
        np.abs(other - reference[..., None]).mean() > 2 * difference.mean()
    )  # the reference tells qualities


@pytest.mark.parametrize("quality", [20, 60, 90])
def test_colour_pictures_as_opencv_does(quality: int) -> None:
    there = picture(112)
    reference = by_opencv(there, quality)
    (ours,) = by_us(there, quality)
    assert np.abs(ours - reference).mean() < min(1.5, 0.4 * np.abs(there - reference).mean())


def test_each_sample_has_its_own_quality() -> None:
    there = picture(64)
    together = by_us(there, 5, 40, 95)
    errors = [np.abs(one - there).mean() for one in together]
    assert errors[0] > 1.2 * errors[1] > 1.4 * errors[2]
    for one, quality in zip(together, (5, 40, 95), strict=True):
        np.testing.assert_allclose(one, by_us(there, quality)[0], atol=1e-2)


@settings(max_examples=30, deadline=None)
@given(st.integers(1, 40), st.floats(0.5, 100), st.integers(0, 2**32 - 1))
def test_whatever_comes_stays_a_picture(side: int, quality: float, seed: int) -> None:
    frames = torch.rand(1, 2, 3, side, side, generator=torch.Generator().manual_seed(seed))
    found = compressed(frames, torch.tensor([quality]))
    assert found.shape == frames.shape and found.isfinite().all()
    assert found.min() >= 0 and found.max() <= 1


@pytest.mark.parametrize("value", [0.0, 0.5, 1.0])
def test_a_plain_grey_picture_stays_as_it_is(value: float) -> None:
    frames = torch.full((1, 1, 3, 24, 24), value)
    torch.testing.assert_close(compressed(frames, torch.tensor([90.0])), frames, rtol=0, atol=0.01)
