"""A whole picture in the fixed size that a detector takes: reduced, at the top left, grey beside it."""

from __future__ import annotations

import numpy as np

from preprocessing.types import Frame

PAD_VALUE = 114


def letterbox(frame: Frame, size_wh: tuple[int, int]) -> tuple[np.ndarray, np.ndarray]:
    """(h, w, 3) uint8 RGB, and (2,) float32: what x and y in it are multiplied by to be source pixels."""
    ratio = min(size_wh[0] / frame.width, size_wh[1] / frame.height)
    small_wh = (max(1, round(frame.width * ratio)), max(1, round(frame.height * ratio)))
    canvas = np.full((size_wh[1], size_wh[0], 3), PAD_VALUE, np.uint8)
    canvas[: small_wh[1], : small_wh[0]] = frame.reduced_rgb(small_wh)
    return canvas, np.array([frame.width / small_wh[0], frame.height / small_wh[1]], np.float32)
