"""When to look for faces again, and in how large a picture: the two things that the cost of a look hangs on.

Between two looks boxes are interpolated, so a look is due after the shortest interval wherever something
moves. While the picture stands still the next look may wait, up to the longest interval. Faces that are
known and large are found as well in a small picture; the full one is searched now and then, for others.
"""

from __future__ import annotations

from collections.abc import Sequence

import cv2
import numpy as np

from preprocessing.spec import PreprocessSpec
from preprocessing.types import Frame

# Levels of luma: a picture stands still if no cell of its thumbnail changed by more since the last look. Then
# landmarks interpolated over 0.4 s are as near to those of every frame (0.01 of the eye distance on average)
# as they are with the shortest interval where more moves.
QUIET_CHANGE = 16.0
ENOUGH_FACE_PIXELS = 27.0  # a face this wide is found, its landmarks nearly as exact as in a larger picture
SIDE_STEP = 32  # detectors pad the sides of a picture to multiples of this
LEAST_LONG_SIDE = 96
LARGEST_REDUCTION = 3.0  # of large pictures: a face of 48 pixels must still be found


class LookSchedule:
    """Plans the looks at one video. Depends only on what it is told: the same video, the same looks."""

    def __init__(self, spec: PreprocessSpec, width: int, height: int) -> None:
        self._shortest_frames = spec.detect_interval_frames
        self._shortest_seconds = spec.detect_interval_seconds
        self._longest_seconds = spec.detect_longest_seconds
        self._full_every_seconds = spec.detect_full_seconds
        self._width, self._height = width, height
        self._long_side = max(width, height)
        self._full_long_side = min(
            self._long_side, max(spec.detect_long_side, round(self._long_side / LARGEST_REDUCTION))
        )
        self.full_size = self._size(self._full_long_side)
        """(width, height) of the picture in which every face is looked for."""
        self.reset()

    def reset(self) -> None:
        """A new scene begins: the next frame is due."""
        self._index: int | None = None
        self._seconds = 0.0
        self._thumbnail: np.ndarray | None = None
        self._full_seconds = -np.inf

    def is_due(self, index: int, seconds: float, frame: Frame) -> bool:
        """Whether this frame is to be searched."""
        if self._index is None:
            return True
        waited = seconds - self._seconds
        if index - self._index < self._shortest_frames and waited < self._shortest_seconds:
            return False
        return waited >= self._longest_seconds or not self._is_quiet(frame)

    def looked(self, index: int, seconds: float, frame: Frame, *, settled: bool) -> None:
        """A frame was searched. settled: no track began, ended or came back there.

        Where one did, the next look comes after the shortest interval.
        """
        self._index, self._seconds = index, seconds
        self._thumbnail = frame.luma_thumbnail() if settled else None

    def picture_size(self, seconds: float, face_widths: Sequence[float], *, settled: bool) -> tuple[int, int]:
        """(width, height) of the picture to search: the smallest in which all known faces are large.

        face_widths: of the known faces, in source pixels. The full size where none is known or one is
        lost (`settled` False), and as often as the spec says.
        """
        if not face_widths or not settled or seconds - self._full_seconds >= self._full_every_seconds:
            self._full_seconds = seconds
            return self.full_size
        enough = ENOUGH_FACE_PIXELS / max(1.0, min(face_widths)) * self._long_side
        long_side = max(LEAST_LONG_SIDE, -(-int(enough) // SIDE_STEP) * SIDE_STEP)
        return self._size(long_side) if long_side < self._full_long_side else self.full_size

    def _size(self, long_side: int) -> tuple[int, int]:
        scale = long_side / self._long_side
        return max(1, round(self._width * scale)), max(1, round(self._height * scale))

    def _is_quiet(self, frame: Frame) -> bool:
        if self._thumbnail is None:
            return False
        thumbnail = frame.luma_thumbnail()
        if thumbnail.shape != self._thumbnail.shape:
            return False
        return cv2.norm(thumbnail, self._thumbnail, cv2.NORM_INF) <= QUIET_CHANGE
