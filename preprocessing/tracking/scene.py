"""Scene cuts from luma thumbnails: nothing is followed or interpolated across one."""

from __future__ import annotations

import cv2
import numpy as np

MIN_CHANGE = 28.0  # mean absolute luma change that can be a cut; fast motion stays well below
MIN_CONTRAST = 3.0  # and it stands out against the changes just before


class CutDetector:
    """Says for each frame in turn whether it begins a new scene. Look-back one frame, no look-ahead."""

    def __init__(self) -> None:
        self._previous: np.ndarray | None = None
        self._usual_change = 4.0

    def is_cut(self, thumbnail: np.ndarray) -> bool:
        """thumbnail: (h, w) uint8 luma, of one size for one video."""
        previous, self._previous = self._previous, thumbnail
        if previous is None or previous.shape != thumbnail.shape:
            return False
        change = cv2.norm(thumbnail, previous, cv2.NORM_L1) / thumbnail.size
        cut = change > MIN_CHANGE and change > MIN_CONTRAST * self._usual_change
        # A cut counts too, but only so much: flicker soon becomes usual, a single cut does not.
        self._usual_change += 0.2 * (min(change, MIN_CONTRAST * self._usual_change) - self._usual_change)
        return cut
