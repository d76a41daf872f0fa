"""The frames that the engines yield; each fulfils `preprocessing.types.Frame`. Pixels are made on demand."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import cv2
import numpy as np

from preprocessing import color
from preprocessing.align import border_mode, warp_patch
from preprocessing.decode.orientation import Orientation
from preprocessing.types import InputError


class PlaneFrame:
    """An `av.VideoFrame` that keeps its planes; regions are converted to RGB lazily."""

    __slots__ = (
        "_frame",
        "_layout",
        "_orientation",
        "_planes",
        "_rgb",
        "_thumbnail",
        "duration_pts",
        "height",
        "pts",
        "width",
    )

    def __init__(self, frame: Any, pts: int, width: int, height: int, orientation: Orientation) -> None:
        """Width and height are upright."""
        self._frame = frame
        self._orientation = orientation
        self._planes: list[np.ndarray] | None = None
        self._layout: color.PlanarFormat | None = None
        self._rgb: np.ndarray | None = None
        self._thumbnail: np.ndarray | None = None
        self.pts = pts
        self.duration_pts: int = frame.duration or 0
        self.width = width
        self.height = height

    @property
    def picture(self) -> Any:
        """The `av.VideoFrame`, as stored. Its planes belong to the decoder: read only."""
        return self._frame

    def reduced_rgb(self, size_wh: tuple[int, int]) -> np.ndarray:
        """The whole picture, upright, resampled to (h, w, 3) uint8 RGB."""
        self._open_planes()
        stored_wh = self._orientation.size(*size_wh)
        if self._planes is not None and self._layout is not None:
            image = color.picture_to_reduced_rgb(self._planes, self._layout, stored_wh)
        else:
            image = color.resample(self._whole_rgb(), stored_wh)
        return self._orientation.turn(image)

    def rgb_patch(self, x0: int, y0: int, x1: int, y1: int) -> np.ndarray:
        """Upright pixels [y0:y1, x0:x1] as uint8 RGB; outside the picture the edge repeats."""
        self._open_planes()
        return _patch_with_edges(self._inner_patch, x0, y0, x1, y1, self.width, self.height)

    def aligned_rgb(
        self, warp: np.ndarray, size_wh: tuple[int, int], *, black_outside: bool = False
    ) -> np.ndarray:
        """The picture warped by (2, 3) upright pixels -> result pixels: (h, w, 3) uint8 RGB."""
        self._open_planes()
        warp = self._orientation.from_stored(warp, self.width, self.height)
        if self._planes is not None and self._layout is not None:
            return color.warped_rgb(self._planes, self._layout, warp, size_wh, black_outside=black_outside)
        return warp_patch(self._whole_rgb(), warp, size_wh, border=border_mode(black_outside))

    def luma_thumbnail(self) -> np.ndarray:
        """(18, 32) uint8 luma samples, not upright."""
        if self._thumbnail is None:
            self._open_planes()
            if self._planes is not None and self._layout is not None:
                self._thumbnail = color.thumbnail(self._planes[0], self._layout.bits)
            else:
                self._thumbnail = color.thumbnail(self._whole_rgb()[..., 1])
        return self._thumbnail

    def _open_planes(self) -> None:
        if self._planes is None and self._rgb is None:
            self._layout = color.frame_format(self._frame)
            if self._layout is not None:
                self._planes = color.frame_planes(self._frame, self._layout)

    def _whole_rgb(self) -> np.ndarray:
        if self._rgb is None:
            self._rgb = self._frame.to_ndarray(format="rgb24")
        return self._rgb

    def _inner_patch(self, x0: int, y0: int, x1: int, y1: int) -> np.ndarray:
        turn = self._orientation
        if not turn.is_identity:
            x0, y0, x1, y1 = turn.stored_box((x0, y0, x1, y1), self.width, self.height)
        if self._planes is not None and self._layout is not None:
            image = color.region_to_rgb(self._planes, self._layout, x0, y0, x1, y1)
        else:
            image = self._whole_rgb()[y0:y1, x0:x1].copy()
        return image if turn.is_identity else turn.turn(image)


class PixelFrame:
    """A picture that is RGB and upright already: from decord, or a still."""

    __slots__ = ("_rgb", "_thumbnail", "duration_pts", "height", "pts", "width")

    def __init__(self, rgb: np.ndarray, pts: int, duration_pts: int) -> None:
        """`rgb` (h, w, 3) uint8, upright."""
        self._rgb = rgb
        self._thumbnail: np.ndarray | None = None
        self.pts = pts
        self.duration_pts = duration_pts
        self.height, self.width = rgb.shape[:2]

    def reduced_rgb(self, size_wh: tuple[int, int]) -> np.ndarray:
        """The whole picture resampled to (h, w, 3) uint8 RGB."""
        image = color.resample(self._rgb, size_wh)
        return image.copy() if image is self._rgb else image

    def rgb_patch(self, x0: int, y0: int, x1: int, y1: int) -> np.ndarray:
        """Pixels [y0:y1, x0:x1] as uint8 RGB; outside the picture the edge repeats."""
        return _patch_with_edges(self._inner_patch, x0, y0, x1, y1, self.width, self.height)

    def aligned_rgb(
        self, warp: np.ndarray, size_wh: tuple[int, int], *, black_outside: bool = False
    ) -> np.ndarray:
        """The picture warped by (2, 3) upright pixels -> result pixels: (h, w, 3) uint8 RGB."""
        return warp_patch(self._rgb, warp, size_wh, border=border_mode(black_outside))

    def luma_thumbnail(self) -> np.ndarray:
        """(18, 32) uint8: the green channel stands for luma."""
        if self._thumbnail is None:
            self._thumbnail = color.thumbnail(self._rgb[..., 1])
        return self._thumbnail

    def _inner_patch(self, x0: int, y0: int, x1: int, y1: int) -> np.ndarray:
        return self._rgb[y0:y1, x0:x1].copy()


class BlindFrame:
    """An instant without a picture: an input of keypoints only."""

    __slots__ = ("duration_pts", "height", "pts", "width")

    def __init__(self, pts: int, duration_pts: int, width: int, height: int) -> None:
        self.pts = pts
        self.duration_pts = duration_pts
        self.width = width
        self.height = height

    def reduced_rgb(self, size_wh: tuple[int, int]) -> np.ndarray:
        """Always fails: there are no pixels."""
        raise InputError("decode", "keypoints without a video have no pictures")

    def rgb_patch(self, x0: int, y0: int, x1: int, y1: int) -> np.ndarray:
        """Always fails: there are no pixels."""
        raise InputError("decode", "keypoints without a video have no pictures")

    def aligned_rgb(
        self, warp: np.ndarray, size_wh: tuple[int, int], *, black_outside: bool = False
    ) -> np.ndarray:
        """Always fails: there are no pixels."""
        raise InputError("decode", "keypoints without a video have no pictures")

    def luma_thumbnail(self) -> np.ndarray:
        """All zero, so that no scene ever changes."""
        return np.zeros(color.THUMBNAIL_WH[::-1], np.uint8)


def _patch_with_edges(
    read: Callable[[int, int, int, int], np.ndarray],
    x0: int,
    y0: int,
    x1: int,
    y1: int,
    width: int,
    height: int,
) -> np.ndarray:
    """What `read` gives for the part inside the picture, with the picture's edge repeated around it."""
    assert x0 < x1 and y0 < y1, f"empty patch {(x0, y0, x1, y1)}"
    if x0 >= 0 and y0 >= 0 and x1 <= width and y1 <= height:
        return read(x0, y0, x1, y1)
    # A patch wholly outside is made of the nearest row or column, so at least one is always read.
    left, top = min(max(x0, 0), width - 1), min(max(y0, 0), height - 1)
    right, bottom = max(min(x1, width), left + 1), max(min(y1, height), top + 1)
    inner = read(left, top, right, bottom)
    missing_x, missing_y = x1 - x0 - (right - left), y1 - y0 - (bottom - top)
    before_x, before_y = min(max(left - x0, 0), missing_x), min(max(top - y0, 0), missing_y)
    return cv2.copyMakeBorder(
        inner, before_y, missing_y - before_y, before_x, missing_x - before_x, cv2.BORDER_REPLICATE
    )
