"""Crops to bytes and back. RGB in, RGB out.

JPEG is 4:2:0: on face crops of real video at quality 95 it is 14 % smaller and 15 % faster to decode than
4:4:4 for 0.7 dB (43.4 against 44.1 dB PSNR). OpenCV's wheel brings libjpeg-turbo: simplejpeg and torchvision,
which bring it too, are no faster on such small pictures, for the entropy coding is what takes the time.
"""

from __future__ import annotations

import cv2
import numpy as np

from cache.errors import CorruptError


def encode_jpeg(crop_rgb: np.ndarray, quality: int) -> np.ndarray:
    """(S, S, 3) uint8 RGB -> (n,) uint8, a JPEG file."""
    params = [
        cv2.IMWRITE_JPEG_QUALITY,
        quality,
        cv2.IMWRITE_JPEG_SAMPLING_FACTOR,
        cv2.IMWRITE_JPEG_SAMPLING_FACTOR_420,
    ]
    _, data = cv2.imencode(".jpg", cv2.cvtColor(crop_rgb, cv2.COLOR_RGB2BGR), params)
    return np.asarray(data, dtype=np.uint8).reshape(-1)


def decode_jpeg(data: np.ndarray, out: np.ndarray) -> None:
    """A JPEG file (n,) uint8 -> `out` (S, S, 3) uint8 RGB, written in place.

    Raises CorruptError when it is no JPEG or has another size.
    """
    crop_rgb = cv2.imdecode(data, cv2.IMREAD_COLOR_RGB)
    if crop_rgb is None or crop_rgb.shape != out.shape:
        found = "no JPEG" if crop_rgb is None else f"a JPEG of shape {crop_rgb.shape}"
        raise CorruptError(f"expected a JPEG crop of shape {out.shape}, found {found}")
    out[:] = crop_rgb
