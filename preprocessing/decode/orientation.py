"""How a stored picture is turned upright: a rotation by quarter turns, then perhaps a mirroring."""

from __future__ import annotations

import math
import struct
from dataclasses import dataclass

import cv2
import numpy as np

_ROTATE = {90: cv2.ROTATE_90_CLOCKWISE, 180: cv2.ROTATE_180, 270: cv2.ROTATE_90_COUNTERCLOCKWISE}
_EXIF = {1: (0, 0), 2: (0, 1), 3: (180, 0), 4: (180, 1), 5: (90, 1), 6: (90, 0), 7: (270, 1), 8: (270, 0)}


@dataclass(frozen=True)
class Orientation:
    """`upright = mirror(rotate_clockwise(stored))`."""

    rotation: int = 0  # degrees clockwise: 0, 90, 180, 270
    mirrored: bool = False  # left-right, after the rotation

    @property
    def is_identity(self) -> bool:
        return self.rotation == 0 and not self.mirrored

    def size(self, width: int, height: int) -> tuple[int, int]:
        """(width, height) of the other side: stored to upright and upright to stored are the same swap."""
        return (height, width) if self.rotation in (90, 270) else (width, height)

    def turn(self, image: np.ndarray) -> np.ndarray:
        """A stored picture or region, turned upright."""
        if self.rotation:
            image = cv2.rotate(image, _ROTATE[self.rotation])
        return cv2.flip(image, 1) if self.mirrored else image

    def stored_box(
        self, box: tuple[int, int, int, int], width: int, height: int
    ) -> tuple[int, int, int, int]:
        """Where the upright box (x0, y0, x1, y1) lies in the stored picture; width and height are upright."""
        x0, y0, x1, y1 = box
        if self.mirrored:
            x0, x1 = width - x1, width - x0
        match self.rotation:
            case 90:
                return y0, width - x1, y1, width - x0
            case 180:
                return width - x1, height - y1, width - x0, height - y0
            case 270:
                return height - y1, x0, height - y0, x1
        return x0, y0, x1, y1

    def from_stored(self, warp: np.ndarray, width: int, height: int) -> np.ndarray:
        """The warp (2, 3) of upright coordinates as one of stored ones; width and height are upright."""
        if self.is_identity:
            return warp
        turn = np.array(
            {
                0: [[1, 0, 0], [0, 1, 0], [0, 0, 1]],
                90: [[0, -1, width], [1, 0, 0], [0, 0, 1]],
                180: [[-1, 0, width], [0, -1, height], [0, 0, 1]],
                270: [[0, 1, 0], [-1, 0, height], [0, 0, 1]],
            }[self.rotation],
            np.float64,
        )
        if self.mirrored:
            turn = np.array([[-1, 0, width], [0, 1, 0], [0, 0, 1]]) @ turn
        return np.asarray(np.asarray(warp, np.float64) @ turn)


def from_display_matrix(matrix: bytes) -> Orientation:
    """From FFmpeg's DISPLAYMATRIX side data: nine int32 that take (x, y, 1) to the screen.

    Snaps to quarter turns.
    """
    if len(matrix) < 36:
        return Orientation()
    a, b, _, c, d, *_ = struct.unpack("=9i", matrix[:36])
    mirrored = a * d - b * c < 0
    if mirrored:  # take the mirroring of the screen's x away, what is left is the rotation
        a, c = -a, -c
    return Orientation(round(math.degrees(math.atan2(b, a)) / 90) * 90 % 360, mirrored)


def from_exif(orientation: int) -> Orientation:
    """From the EXIF tag of a photograph; an unknown number means as stored."""
    rotation, mirrored = _EXIF.get(orientation, (0, 0))
    return Orientation(rotation, bool(mirrored))
