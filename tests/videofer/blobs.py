"""Pictures in which SIFT finds points, some 70 each: blurred noise, nothing of a real set."""

from __future__ import annotations

import cv2
import numpy as np


def pictures_of(count: int, seed: int = 0) -> np.ndarray:
    """(count, 48, 48) uint8."""
    rng = np.random.default_rng(seed)
    noise = [cv2.GaussianBlur(rng.normal(size=(48, 48)), (0, 0), 1.5) for _ in range(count)]
    return np.stack([np.clip(128 + 250 * one, 0, 255).astype(np.uint8) for one in noise])
