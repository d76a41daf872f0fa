"""Paint for planes of 8-bit YUV 4:2:0: colours, lines, and stamps with transparency.

Everything is drawn into the samples as decoded, in the stream's own matrix and range, so that a picture is
never converted as a whole. Coordinates are pixels of the picture; chroma has half as many.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache

import cv2
import numpy as np

from preprocessing.color import planar_format
from videofer.overlay.footage import FULL_RANGE, LIMITED_RANGE, UNSPECIFIED, Colours

Planes = Sequence[np.ndarray]
"""y (H, W), u and v (H / 2, W / 2), uint8, writeable."""

RGB = tuple[int, int, int]

_SUBPIXEL_BITS = 4  # OpenCV draws at sixteenths of a pixel


@lru_cache(maxsize=16)
def _from_rgb(colours: Colours) -> tuple[np.ndarray, np.ndarray]:
    """Matrix (3, 3) and offset (3,) that take RGB in [0, 255] to samples."""
    sample_range = FULL_RANGE if colours.full_range else LIMITED_RANGE
    layout = planar_format("yuv420p", colours.matrix, sample_range)
    if layout is None:  # a matrix that nothing here knows: BT.601, as libswscale takes it
        layout = planar_format("yuv420p", UNSPECIFIED, sample_range)
    assert layout is not None
    matrix = np.linalg.inv(layout.matrix[:, :3].astype(np.float64))
    return matrix, -matrix @ layout.matrix[:, 3]


def to_samples(rgb: np.ndarray, colours: Colours) -> np.ndarray:
    """(..., 3) RGB in [0, 255] -> (..., 3) float64 y, u, v in [0, 255]."""
    matrix, offset = _from_rgb(colours)
    samples: np.ndarray = np.clip(rgb @ matrix.T + offset, 0, 255)
    return samples


def to_planes(rgb: np.ndarray, colours: Colours) -> list[np.ndarray]:
    """(H, W, 3) RGB in [0, 255], sides even -> y (H, W), u and v (H / 2, W / 2) uint8."""
    height, width = rgb.shape[:2]
    samples = to_samples(rgb, colours)
    chroma = samples[..., 1:].reshape(height // 2, 2, width // 2, 2, 2).mean(axis=(1, 3))
    return [np.rint(plane).astype(np.uint8) for plane in (samples[..., 0], chroma[..., 0], chroma[..., 1])]


def rgb_of(colour: str) -> RGB:
    """#RRGGBB -> (r, g, b)."""
    return int(colour[1:3], 16), int(colour[3:5], 16), int(colour[5:7], 16)


def ink_on(rgb: RGB) -> RGB:
    """Black or white: whichever reads better on a colour (relative luminance of WCAG 2)."""
    linear = [c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in (v / 255 for v in rgb)]
    luminance = float(np.dot(linear, (0.2126, 0.7152, 0.0722)))
    return (0, 0, 0) if luminance > 0.179 else (255, 255, 255)


def draw_lines(
    planes: Planes,
    lines: Sequence[np.ndarray],
    rgb: RGB,
    thickness: float,
    colours: Colours,
    *,
    closed: bool = False,
) -> None:
    """Anti-aliased lines through points (n, 2) at fractions of a pixel."""
    samples = to_samples(np.array(rgb, np.float64), colours)
    scale = 1 << _SUBPIXEL_BITS
    for plane, value, reduced in zip(planes, samples.tolist(), (1, 2, 2), strict=True):
        points = [np.rint(((line + 0.5) / reduced - 0.5) * scale).astype(np.int32)[:, None] for line in lines]
        width = max(1, round(thickness / reduced))
        cv2.polylines(plane, points, closed, value, width, cv2.LINE_AA, _SUBPIXEL_BITS)


def draw_dots(planes: Planes, points: np.ndarray, rgb: RGB, radius: float, colours: Colours) -> None:
    """Filled circles at points (n, 2)."""
    samples = to_samples(np.array(rgb, np.float64), colours)
    scale = 1 << _SUBPIXEL_BITS
    for plane, value, reduced in zip(planes, samples.tolist(), (1, 2, 2), strict=True):
        centres = np.rint(((points + 0.5) / reduced - 0.5) * scale).astype(int)
        size = max(scale // 2, round(radius / reduced * scale))
        for x, y in centres.tolist():
            cv2.circle(plane, (x, y), size, value, -1, cv2.LINE_AA, _SUBPIXEL_BITS)


def fill(planes: Planes, box: tuple[int, int, int, int], rgb: RGB, colours: Colours) -> None:
    """An opaque rectangle (x0, y0, x1, y1); chroma goes by its even part."""
    x0, y0, x1, y1 = box
    y, u, v = to_samples(np.array(rgb, np.float64), colours).round().astype(np.uint8).tolist()
    planes[0][y0:y1, x0:x1] = y
    planes[1][y0 // 2 : (y1 + 1) // 2, x0 // 2 : (x1 + 1) // 2] = u
    planes[2][y0 // 2 : (y1 + 1) // 2, x0 // 2 : (x1 + 1) // 2] = v


class Stamp:
    """A small picture with transparency that is put into many pictures: made once, blended cheaply."""

    def __init__(self, rgba: np.ndarray, colours: Colours) -> None:
        """rgba (h, w, 4) uint8, alpha not multiplied in."""
        self.height, self.width = rgba.shape[:2]
        self._rgba = rgba
        self._colours = colours
        alpha = _weights(rgba[..., 3].astype(np.float64))
        luma = to_samples(rgba[..., :3].astype(np.float64), colours)[..., 0]
        self._luma = _prepared(luma, alpha)
        self._chroma: dict[tuple[int, int], list[tuple[np.ndarray, np.ndarray]]] = {}

    def put(self, planes: Planes, x: int, y: int) -> None:
        """Blend with its upper left corner at (x, y); what lies outside the picture is cut off."""
        _blend(planes[0], self._luma, x, y)
        odd = x % 2, y % 2
        if odd not in self._chroma:  # where the stamp lies among the chroma samples
            self._chroma[odd] = self._reduced(*odd)
        for plane, prepared in zip(planes[1:], self._chroma[odd], strict=True):
            _blend(plane, prepared, (x - odd[0]) // 2, (y - odd[1]) // 2)

    def _reduced(self, odd_x: int, odd_y: int) -> list[tuple[np.ndarray, np.ndarray]]:
        height, width = self.height + odd_y, self.width + odd_x
        padded = np.zeros((height + height % 2, width + width % 2, 4))
        padded[odd_y:height, odd_x:width] = self._rgba
        blocks = padded.reshape(padded.shape[0] // 2, 2, padded.shape[1] // 2, 2, 4)
        alpha = blocks[..., 3].mean(axis=(1, 3))
        weighted = (blocks[..., :3] * blocks[..., 3:]).mean(axis=(1, 3))
        rgb = weighted / np.maximum(alpha, 1e-9)[..., None]
        samples = to_samples(rgb, self._colours)
        return [_prepared(samples[..., i], _weights(alpha)) for i in (1, 2)]


def _weights(alpha: np.ndarray) -> np.ndarray:
    """Alpha in [0, 255] as weights in [0, 256]."""
    weights: np.ndarray = np.rint(alpha * (256 / 255)).astype(np.uint16)
    return weights


def _prepared(samples: np.ndarray, weights: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """What `_blend` multiplies with and adds, both uint16."""
    return (256 - weights).astype(np.uint16), (np.rint(samples) * weights + 128).astype(np.uint16)


def _blend(plane: np.ndarray, prepared: tuple[np.ndarray, np.ndarray], x: int, y: int) -> None:
    keep, add = prepared
    height, width = plane.shape
    x0, y0 = max(x, 0), max(y, 0)
    x1, y1 = min(x + keep.shape[1], width), min(y + keep.shape[0], height)
    if x0 >= x1 or y0 >= y1:
        return
    part = slice(y0 - y, y1 - y), slice(x0 - x, x1 - x)
    region = plane[y0:y1, x0:x1]
    region[...] = (region * keep[part] + add[part]) >> 8
