from __future__ import annotations

import numpy as np
import pytest

from cache.codecs import decode_jpeg, encode_jpeg
from cache.errors import CorruptError


def test_jpeg_keeps_channels_and_colours() -> None:
    crop = np.zeros((112, 112, 3), np.uint8)
    crop[..., 0], crop[..., 2] = 220, np.arange(112)
    out = np.empty_like(crop)
    decode_jpeg(encode_jpeg(crop, 95), out)
    assert np.abs(out.astype(int) - crop).max() <= 4


def test_jpeg_of_another_size_fails() -> None:
    data = encode_jpeg(np.zeros((8, 8, 3), np.uint8), 95)
    with pytest.raises(CorruptError, match=r"\(16, 16, 3\)"):
        decode_jpeg(data, np.empty((16, 16, 3), np.uint8))


def test_no_jpeg_fails() -> None:
    with pytest.raises(CorruptError, match="no JPEG"):
        decode_jpeg(np.zeros(100, np.uint8), np.empty((8, 8, 3), np.uint8))
