"""From decoded planes to RGB: only the region asked for, with the stream's own colour matrix and range.

PyAV hands out the planes as the codec made them. Converting a whole picture costs more than decoding it,
so a region is cut out of the planes first (or the planes are reduced first) and then converted. Planar
YUV of any subsampling, 8 to 16 bits, and grey are done here; every other format (packed, palette, RGB)
goes through libswscale as a whole picture, once a frame.

What a stream leaves unsaid is taken as FFmpeg takes it: BT.601, limited range (grey: full range).
Chroma is not interpolated between its samples, as in libswscale's own fast conversion.
Coordinates here are those of the stored picture, before any rotation.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import cv2
import numpy as np

from preprocessing.align import border_mode, warp_patch

# (Kr, Kb) of the luma equation by AVColorSpace number
_BT601 = (0.299, 0.114)
_LUMA_WEIGHTS = {
    1: (0.2126, 0.0722),  # BT.709
    2: _BT601,  # unspecified
    4: (0.30, 0.11),  # FCC
    5: _BT601,  # BT.470 BG
    6: _BT601,  # SMPTE 170M
    7: (0.212, 0.087),  # SMPTE 240M
    9: (0.2627, 0.0593),  # BT.2020, non-constant luminance
    10: (0.2627, 0.0593),  # BT.2020, constant luminance, treated as libswscale does
}
_RANGE_UNSPECIFIED, _RANGE_FULL = 0, 2
_SUBSAMPLING_SHIFTS = {
    "420": (1, 1),
    "422": (1, 0),
    "444": (0, 0),
    "440": (0, 1),
    "411": (2, 0),
    "410": (2, 2),
}
_PLANAR_NAME = re.compile(r"(yuvj?|yuva)(4\d\d)p(?:(9|10|12|14|16)le)?")
_GRAY_NAME = re.compile(r"gray(?:(9|10|12|14|16)le)?")

THUMBNAIL_WH = (32, 18)


@dataclass(frozen=True)
class PlanarFormat:
    """How the planes of a frame become RGB: `rgb = matrix[:, :3] @ (y, u, v) + matrix[:, 3]`."""

    num_planes: int  # 3, or 1 for grey
    shift_x: int  # log2 of the chroma subsampling
    shift_y: int
    dtype: type[np.uint8] | type[np.uint16]
    bits: int
    black: int  # the luma of black
    matrix: np.ndarray  # (3, 4) float32, from samples to [0, 255]; grey has no chroma columns: (3, 2)


@lru_cache(maxsize=64)
def planar_format(name: str, colorspace: int, color_range: int) -> PlanarFormat | None:
    """Conversion for an FFmpeg pixel format, or None where only libswscale knows it.

    `colorspace` and `color_range` are FFmpeg's numbers as PyAV reports them for a frame.
    """
    if gray := _GRAY_NAME.fullmatch(name):
        bits = int(gray[1] or 8)
        full = color_range in (_RANGE_UNSPECIFIED, _RANGE_FULL)
        colored = _matrix(_BT601, bits, full)
        gain, black = float(colored[0, 0]), 0 if full else 16 << (bits - 8)
        matrix = np.tile(np.array([gain, -gain * black], np.float32), (3, 1))
        return PlanarFormat(1, 0, 0, np.uint8 if bits == 8 else np.uint16, bits, black, matrix)
    planar = _PLANAR_NAME.fullmatch(name)
    if planar is None or planar[2] not in _SUBSAMPLING_SHIFTS or colorspace not in _LUMA_WEIGHTS:
        return None
    bits = int(planar[3] or 8)
    full = planar[1] == "yuvj" or color_range == _RANGE_FULL
    shift_x, shift_y = _SUBSAMPLING_SHIFTS[planar[2]]
    matrix = _matrix(_LUMA_WEIGHTS[colorspace], bits, full)
    black = 0 if full else 16 << (bits - 8)
    return PlanarFormat(3, shift_x, shift_y, np.uint8 if bits == 8 else np.uint16, bits, black, matrix)


def _matrix(luma_weights: tuple[float, float], bits: int, full_range: bool) -> np.ndarray:
    """(3, 4) float32: samples of so many bits to RGB in [0, 255]."""
    kr, kb = luma_weights
    kg = 1 - kr - kb
    unit = 1 << (bits - 8)
    black, luma_span, chroma_span = (0, 256 * unit - 1, 256 * unit - 1)
    if not full_range:
        black, luma_span, chroma_span = (16 * unit, 219 * unit, 224 * unit)
    ycc_to_rgb = np.array(
        [
            [1, 0, 2 * (1 - kr)],
            [1, -2 * (1 - kb) * kb / kg, -2 * (1 - kr) * kr / kg],
            [1, 2 * (1 - kb), 0],
        ]
    )
    scaled = ycc_to_rgb * (255 / np.array([luma_span, chroma_span, chroma_span]))
    offset = -scaled @ np.array([black, 128 * unit, 128 * unit])
    return np.column_stack([scaled, offset]).astype(np.float32)


def frame_format(frame: Any) -> PlanarFormat | None:
    """The conversion for an `av.VideoFrame`."""
    return planar_format(frame.format.name, int(frame.colorspace), int(frame.color_range))


def frame_planes(frame: Any, layout: PlanarFormat) -> list[np.ndarray]:
    """Views on the planes of an `av.VideoFrame`, (h, w) each, valid as long as the frame lives."""
    item_bytes = np.dtype(layout.dtype).itemsize
    return [
        np.frombuffer(plane, layout.dtype).reshape(-1, plane.line_size // item_bytes)[
            : plane.height, : plane.width
        ]
        for plane in frame.planes[: layout.num_planes]
    ]


def region_to_rgb(
    planes: list[np.ndarray], layout: PlanarFormat, x0: int, y0: int, x1: int, y1: int
) -> np.ndarray:
    """Pixels [y0:y1, x0:x1], all inside the stored picture, as (y1-y0, x1-x0, 3) uint8 RGB."""
    luma = planes[0][y0:y1, x0:x1]
    if layout.num_planes == 1:
        return _gray_to_rgb(luma, layout)
    sx, sy = layout.shift_x, layout.shift_y
    cx0, cy0 = x0 >> sx, y0 >> sy
    cx1, cy1 = -(-x1 >> sx), -(-y1 >> sy)  # rounded up: the last odd column has a chroma sample of its own
    left, top = x0 - (cx0 << sx), y0 - (cy0 << sy)
    chroma = [
        _repeat(plane[cy0:cy1, cx0:cx1], sx, sy)[top : top + y1 - y0, left : left + x1 - x0]
        for plane in planes[1:]
    ]
    return _samples_to_rgb(cv2.merge([luma, *chroma]), layout)


def picture_to_reduced_rgb(
    planes: list[np.ndarray], layout: PlanarFormat, size_wh: tuple[int, int]
) -> np.ndarray:
    """The whole stored picture resampled to (h, w, 3) uint8 RGB: the planes are resampled, then converted."""
    resampled = [resample(plane, size_wh) for plane in planes]
    if layout.num_planes == 1:
        return _gray_to_rgb(resampled[0], layout)
    return _samples_to_rgb(cv2.merge(resampled), layout)


def warped_rgb(
    planes: list[np.ndarray],
    layout: PlanarFormat,
    warp: np.ndarray,
    size_wh: tuple[int, int],
    *,
    black_outside: bool = False,
) -> np.ndarray:
    """The picture warped by (2, 3) stored pixels -> result pixels: (h, w, 3) uint8 RGB of the given size.

    The planes are warped, then only the result is converted. Outside the picture its edge repeats, or all
    is black. Subsampled chroma is warped to half the size, which is what a 4:2:0 JPEG keeps of it.
    """
    border = border_mode(black_outside)
    luma = warp_patch(planes[0], warp, size_wh, border=border, border_level=layout.black)
    if layout.num_planes == 1:
        return _gray_to_rgb(luma, layout)
    width, height = size_wh
    half_x, half_y = layout.shift_x > 0 and width % 2 == 0, layout.shift_y > 0 and height % 2 == 0
    to_chroma = np.array(warp, np.float64)
    to_chroma[:, 0] *= 1 << layout.shift_x
    to_chroma[:, 1] *= 1 << layout.shift_y
    to_chroma[0] /= 1 + half_x
    to_chroma[1] /= 1 + half_y
    chroma_wh = (width >> half_x, height >> half_y)
    neutral = 128 << (layout.bits - 8)
    chroma = [
        _repeat(warp_patch(p, to_chroma, chroma_wh, border=border, border_level=neutral), half_x, half_y)
        for p in planes[1:]
    ]
    return _samples_to_rgb(cv2.merge([luma, *chroma]), layout)


def resample(image: np.ndarray, size_wh: tuple[int, int]) -> np.ndarray:
    """To a new size: averages areas when shrinking, interpolates when growing.

    Halves as often as it can: OpenCV has that vectorised, areas of uneven ratios are ten times slower.
    """
    width, height = size_wh
    while _halves(image.shape[1], width) and _halves(image.shape[0], height):
        image = cv2.resize(image, (image.shape[1] // 2, image.shape[0] // 2), interpolation=cv2.INTER_AREA)
    ratio_x, ratio_y = image.shape[1] / width, image.shape[0] / height
    if ratio_x == ratio_y == 1:
        return image
    is_whole = ratio_x.is_integer() and ratio_y.is_integer()
    is_area = min(ratio_x, ratio_y) >= 1 and (is_whole or max(ratio_x, ratio_y) > 2)
    return cv2.resize(image, size_wh, interpolation=cv2.INTER_AREA if is_area else cv2.INTER_LINEAR)


def _halves(size: int, target: int) -> bool:
    return size >= 2 * target and size % 2 == 0


def thumbnail(luma: np.ndarray, bits: int = 8) -> np.ndarray:
    """(18, 32) uint8 from an (h, w) plane: means of a sparse grid of samples, cheaper than a true resize."""
    step_y = max(1, luma.shape[0] // (4 * THUMBNAIL_WH[1]))
    step_x = max(1, luma.shape[1] // (4 * THUMBNAIL_WH[0]))
    sparse = np.ascontiguousarray(luma[::step_y, ::step_x])
    small = resample(sparse, THUMBNAIL_WH)
    levels: np.ndarray = small if bits == 8 else (small >> (bits - 8)).astype(np.uint8)
    return levels


def _samples_to_rgb(samples: np.ndarray, layout: PlanarFormat) -> np.ndarray:
    rgb = cv2.transform(samples, layout.matrix)  # rounds and saturates to the samples' own type
    if layout.dtype is np.uint8:
        return rgb
    return np.minimum(rgb, 255).astype(np.uint8)


def _gray_to_rgb(luma: np.ndarray, layout: PlanarFormat) -> np.ndarray:
    levels = luma * layout.matrix[0, 0] + layout.matrix[0, 1]
    gray = np.clip(np.rint(levels), 0, 255).astype(np.uint8)
    return np.repeat(gray[..., None], 3, axis=2)


def _repeat(plane: np.ndarray, shift_x: int, shift_y: int) -> np.ndarray:
    """Each sample repeated 2**shift_x times along rows and 2**shift_y times along columns.

    A sample times 0x0101 is two equal samples side by side: far faster than np.repeat or cv2.resize.
    """
    narrow = plane.dtype
    wide, twice = (np.uint16, 0x0101) if narrow == np.uint8 else (np.uint32, 0x0001_0001)
    for _ in range(shift_x):
        plane = np.multiply(plane, twice, dtype=wide).view(narrow)
    return np.repeat(plane, 1 << shift_y, axis=0) if shift_y else plane
