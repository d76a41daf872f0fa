"""Canonical face crops: the template, the similarity transform onto it, the warp, and a crop's quality.

Coordinates are continuous: pixel i covers [i, i + 1), so scaling a picture scales its coordinates.
The transform is fitted to the eyes and the nose, not to the mouth: a smile must not move the crop.
Letters in shapes: N faces, S crop side in pixels.
"""

from __future__ import annotations

import math
from functools import lru_cache

import cv2
import numpy as np

TEMPLATE = (
    np.array(
        [[38.2946, 51.6963], [73.5318, 51.5014], [56.0252, 71.7366], [41.5493, 92.3655], [70.7299, 92.2041]]
    )
    / 112
)
"""(5, 2) float64: where the landmarks lie in a crop of side 1, as ArcFace's alignment puts them."""

ANCHORS = (0, 1, 2)  # the eyes and the nose; they come first


def similarity_from_landmarks(landmarks_xy: np.ndarray, size: int) -> np.ndarray:
    """The rotation, uniform scale and shift that best carry eyes and nose onto the template.

    landmarks_xy (N, 5, 2) in source pixels -> (N, 2, 3) float32, source pixels -> crop pixels; never
    a reflection. All NaN where a landmark is not finite or the three points coincide.
    """
    # As complex numbers a similarity is z -> a z + b, and its least-squares fit is one division.
    points = np.ascontiguousarray(np.asarray(landmarks_xy)[:, : len(ANCHORS)], np.float64)  # (N, 3, 2)
    z = points.view(np.complex128)[..., 0]  # (N, 3)
    w_mean, w_centred = _target(size)
    z_mean = z.sum(axis=1) / len(ANCHORS)
    z_centred = z - z_mean[:, None]
    spread = (z_centred.real**2 + z_centred.imag**2).sum(axis=1)
    spread[~(spread > 1e-6)] = np.nan
    with np.errstate(invalid="ignore"):
        a = (z_centred.conj() @ w_centred) / spread
    b = w_mean - a * z_mean
    warps = np.empty((len(z), 2, 3), np.float32)
    warps[:, 0, 0] = warps[:, 1, 1] = a.real
    warps[:, 1, 0] = a.imag
    warps[:, 0, 1] = -a.imag
    warps[:, 0, 2], warps[:, 1, 2] = b.real, b.imag
    return warps


@lru_cache
def _target(size: int) -> tuple[complex, np.ndarray]:
    """Mean and centred places (3,) of the anchors in a crop of that size, as complex numbers."""
    target = TEMPLATE[: len(ANCHORS)] * size
    w = target[:, 0] + 1j * target[:, 1]
    return complex(w.mean()), w - w.mean()


def apply_warp(warp: np.ndarray, points_xy: np.ndarray) -> np.ndarray:
    """Carries points (..., 2) by one warp (2, 3)."""
    return np.asarray(points_xy @ warp[:, :2].T + warp[:, 2])


def invert_warp(warp: np.ndarray) -> np.ndarray:
    """The (2, 3) float64 transform that undoes a warp."""
    return np.asarray(cv2.invertAffineTransform(np.asarray(warp, np.float64)))


def source_bounds(warp: np.ndarray, size_wh: tuple[int, int], margin: int = 2) -> tuple[int, int, int, int]:
    """Half-open box (x0, y0, x1, y1) of the source pixels that a warped picture of that size is made of."""
    width, height = size_wh
    corners = np.array([[0, 0], [width, 0], [0, height], [width, height]], np.float64)
    corners = apply_warp(invert_warp(warp), corners)
    x0, y0 = np.floor(corners.min(axis=0)).astype(int) - margin
    x1, y1 = np.ceil(corners.max(axis=0)).astype(int) + margin
    return int(x0), int(y0), int(x1), int(y1)


def border_mode(black_outside: bool) -> int:
    """OpenCV's name for what lies outside a picture: black, or its edge repeated."""
    return cv2.BORDER_CONSTANT if black_outside else cv2.BORDER_REPLICATE


def warp_patch(
    patch: np.ndarray,
    warp: np.ndarray,
    size_wh: tuple[int, int],
    patch_origin: tuple[int, int] = (0, 0),
    border: int = cv2.BORDER_REPLICATE,
    border_level: int = 0,
) -> np.ndarray:
    """Resamples a picture, a patch or one plane of it, (h, w) or (h, w, C), to the given size.

    `patch_origin` (x, y) is the source position of the patch's first pixel. A source twice as fine as
    the result or finer is first shrunk by area averages, so it does not alias. Only the pixels that the
    result is made of are touched.
    """
    # Single numbers, not arrays: this runs for every plane of every crop.
    (a, b, shift_x), (c, d, shift_y) = np.asarray(warp, np.float64).tolist()
    shift_x += a * patch_origin[0] + b * patch_origin[1]  # now from patch pixels
    shift_y += c * patch_origin[0] + d * patch_origin[1]
    scale = math.sqrt(abs(a * d - b * c))
    factor = int(1 / scale + 1e-6) if scale > 0 else 1
    if factor > 1:
        to_result = np.array([[a, b, shift_x], [c, d, shift_y]])
        x0, x1, y0, y1 = _shrinkable(to_result, size_wh, patch.shape, factor)
        width, height = max(1, round((x1 - x0) / factor)), max(1, round((y1 - y0) / factor))
        patch = cv2.resize(patch[y0:y1, x0:x1], (width, height), interpolation=cv2.INTER_AREA)
        shift_x, shift_y = shift_x + a * x0 + b * y0, shift_y + c * x0 + d * y0
        factor_x, factor_y = (x1 - x0) / width, (y1 - y0) / height
        a, b, c, d = a * factor_x, b * factor_y, c * factor_x, d * factor_y
    # OpenCV counts from pixel centres, we count from pixel edges.
    shift_x += (a + b) * 0.5 - 0.5
    shift_y += (c + d) * 0.5 - 0.5
    centred = np.array([[a, b, shift_x], [c, d, shift_y]])
    result = cv2.warpAffine(
        patch, centred, size_wh, flags=cv2.INTER_LINEAR, borderMode=border, borderValue=(border_level,) * 4
    )
    return np.asarray(result)


def _shrinkable(
    warp: np.ndarray, size_wh: tuple[int, int], shape: tuple[int, ...], factor: int
) -> tuple[int, int, int, int]:
    """(x0, x1, y0, y1) of the pixels of a picture that matter, whole multiples of the factor where it is
    large enough, at least one pixel."""
    x0, y0, x1, y1 = source_bounds(warp, size_wh, margin=2 * factor)

    def fit(low: int, high: int, limit: int) -> tuple[int, int]:
        low, high = min(max(low, 0), limit - 1), max(min(high, limit), 1)
        low, high = low // factor * factor, -(-high // factor) * factor
        return low, max(min(high, limit), low + 1)

    return *fit(x0, x1, shape[1]), *fit(y0, y1, shape[0])


def warp_face(
    patch_rgb: np.ndarray, warp: np.ndarray, size: int, patch_origin: tuple[int, int] = (0, 0)
) -> np.ndarray:
    """One aligned crop (S, S, 3) uint8 RGB; `patch_origin` (x, y) as in `warp_patch`."""
    return warp_patch(patch_rgb, warp, (size, size), patch_origin)


def quality(crop_rgb: np.ndarray, warp: np.ndarray) -> np.ndarray:
    """(3,) float32, the columns of cache.schema.QUALITY_NAMES.

    face_pixels: side in source pixels of the square that became the crop; sharpness: variance of the
    Laplacian of the crop's luma; brightness: mean luma in [0, 255].
    """
    luma = cv2.cvtColor(crop_rgb, cv2.COLOR_RGB2GRAY)
    scale = math.hypot(warp[0, 0], warp[1, 0])
    edges = cv2.Laplacian(luma, cv2.CV_16S)
    variance = cv2.norm(edges, cv2.NORM_L2SQR) / edges.size - cv2.mean(edges)[0] ** 2
    return np.array([crop_rgb.shape[0] / scale, variance, cv2.mean(luma)[0]], np.float32)
