"""Network inputs: bit for bit the plain arithmetic, in either order of channels."""

from __future__ import annotations

import numpy as np
import pytest

from preprocessing.blob import Normaliser

MEAN, STD = (123.675, 116.28, 103.53), (58.395, 57.12, 57.375)


@pytest.mark.parametrize("channels_last", [False, True])
@pytest.mark.parametrize("bgr", [False, True])
@pytest.mark.parametrize("size_wh", [(1, 1), (5, 3), (192, 256)])
def test_the_table_gives_the_plain_arithmetic(
    bgr: bool, size_wh: tuple[int, int], channels_last: bool
) -> None:
    image = np.random.default_rng(0).integers(0, 256, (size_wh[1], size_wh[0], 3), np.uint8)
    channels = image[..., ::-1] if bgr else image
    plain = (channels.astype(np.float32) - np.array(MEAN, np.float32)) / np.array(STD, np.float32)
    blob = Normaliser(MEAN, STD, bgr=bgr, channels_last=channels_last)(image)
    assert blob.dtype == np.float32 and blob.flags.c_contiguous
    np.testing.assert_array_equal(blob[0], plain if channels_last else plain.transpose(2, 0, 1))


def test_without_statistics_values_stay() -> None:
    image = np.arange(256, dtype=np.uint8).repeat(3).reshape(16, 16, 3)
    np.testing.assert_array_equal(Normaliser()(image)[0, 1], image[..., 1].astype(np.float32))


def test_a_cut_out_picture_need_not_be_contiguous() -> None:
    image = np.random.default_rng(1).integers(0, 256, (20, 20, 3), np.uint8)
    np.testing.assert_array_equal(Normaliser()(image[3:9, 2:7]), Normaliser()(image[3:9, 2:7].copy()))
