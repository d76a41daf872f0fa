"""The one photograph behind all synthetic faces, brought to a neutral expression.

`skimage.data.astronaut` (NASA, public domain) ships inside a dependency, so no download is needed. The
face is cut out, turned upright and its smile is closed. Everything downstream speaks *face units*: the
distance between the pupils is 1, u points to the right of the image and v down, the origin is between
the pupils. The canvas holds `EYE_PIXELS` pixels for one face unit.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache

import cv2
import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float32]

EYE_PIXELS = 56.0
CANVAS_WH = (216, 244)
ORIGIN_XY = (108.0, 116.0)  # canvas position of the point between the pupils
MOUTH_V = 0.955  # line on which the closed lips meet
CHIN_V = 1.72
NOSE_V = 0.66

# Read off the photograph, in its pixels.
_PUPILS = np.array([[203.0, 101.0], [247.0, 103.5]])
# fmt: off
_HEAD_OUTLINE = [
    (248, 19), (241, 20), (237, 17), (227, 17), (219, 19), (212, 23), (205, 23), (194, 31), (187, 39),
    (175, 45), (164, 53), (158, 60), (156, 66), (155, 76), (157, 98), (159, 104), (168, 114), (171, 118),
    (175, 127), (182, 132), (186, 142), (190, 151), (194, 158), (199, 164.5), (203, 169.5), (207, 173.5),
    (213, 177), (221, 178.5), (229, 178), (236, 175), (242, 171.5), (248, 167), (253, 161), (258, 154.5),
    (262, 146), (265.5, 137), (272, 133), (288, 117), (294, 107), (295, 102), (298, 92), (297, 73), (294, 66),
    (294, 58), (284, 41), (275, 32),
]
_SKIN_OUTLINE = [
    (181, 134), (172, 129), (168, 120), (171, 117), (178, 119), (180, 105), (183, 92), (186, 80), (190, 74),
    (196, 76), (205, 78), (215, 80), (228, 80.5), (240, 82.5), (250, 85), (262, 89), (267, 92), (269, 103),
    (270.5, 115), (269, 128), (276, 130), (272, 138), (268, 150), (258, 170), (240, 182), (222, 185),
    (200, 180), (186, 165),
]
# fmt: on


@dataclass(frozen=True)
class Head:
    """A head on the canvas, all (H, W) or (H, W, 3) float32; pictures in [0, 255], masks in [0, 1]."""

    rgb: Array
    alpha: Array
    skin: Array
    hair: Array


def face_grid() -> tuple[Array, Array]:
    """Face units (u, v) of every canvas pixel, each (H, W)."""
    width, height = CANVAS_WH
    u = (np.arange(width, dtype=np.float32) - ORIGIN_XY[0]) / EYE_PIXELS
    v = (np.arange(height, dtype=np.float32) - ORIGIN_XY[1]) / EYE_PIXELS
    grid_u, grid_v = np.meshgrid(u, v)
    return grid_u, grid_v


def to_canvas(points_uv: NDArray[np.floating] | list[tuple[float, float]]) -> NDArray[np.float64]:
    """(N, 2) face units -> (N, 2) canvas pixels."""
    return np.asarray(points_uv, dtype=np.float64) * EYE_PIXELS + ORIGIN_XY


def bump(u: Array, v: Array, centre: tuple[float, float], radius: tuple[float, float]) -> Array:
    """A Gaussian hill of height 1."""
    exponent = ((u - centre[0]) / radius[0]) ** 2 + ((v - centre[1]) / radius[1]) ** 2
    return np.asarray(np.exp(-0.5 * exponent), dtype=np.float32)


def soft_polygon(points_uv: NDArray[np.floating] | list[tuple[float, float]], blur_pixels: float) -> Array:
    """Filled polygon in face units as a feathered mask (H, W) in [0, 1]."""
    mask = np.zeros(CANVAS_WH[::-1], np.uint8)
    corners = np.rint(to_canvas(points_uv) * 16).astype(np.int32)
    cv2.fillPoly(mask, [corners], 255, cv2.LINE_AA, 4)
    return np.asarray(cv2.GaussianBlur(mask.astype(np.float32) / 255, (0, 0), blur_pixels), np.float32)


def soft_strokes(strokes_uv: list[list[tuple[float, float]]], width: float, blur_pixels: float) -> Array:
    """Polylines of a width in face units as a feathered mask (H, W) in [0, 1]."""
    mask = np.zeros(CANVAS_WH[::-1], np.uint8)
    lines = [np.rint(to_canvas(stroke) * 16).astype(np.int32) for stroke in strokes_uv]
    cv2.polylines(mask, lines, False, 255, max(1, round(width * EYE_PIXELS)), cv2.LINE_AA, 4)
    return np.asarray(cv2.GaussianBlur(mask.astype(np.float32) / 255, (0, 0), blur_pixels), np.float32)


def sample(picture: Array, u: Array, v: Array) -> Array:
    """Look a canvas picture up at face units (u, v)."""
    map_x = np.asarray(u * EYE_PIXELS + ORIGIN_XY[0], dtype=np.float32)
    map_y = np.asarray(v * EYE_PIXELS + ORIGIN_XY[1], dtype=np.float32)
    looked_up = cv2.remap(picture, map_x, map_y, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)
    return np.asarray(looked_up, np.float32)


def _photo_to_face() -> NDArray[np.float64]:
    """(2, 3) affine: photograph pixels -> face units."""
    span = _PUPILS[1] - _PUPILS[0]
    scale = float(np.hypot(*span))
    cos, sin = span / scale
    rotation = np.array([[cos, sin], [-sin, cos]]) / scale
    return np.hstack([rotation, -rotation @ _PUPILS.mean(axis=0)[:, None]])


@cache
def neutral_head() -> Head:
    """The photographed head with lips closed. Deterministic; built once a process."""
    from skimage.data import astronaut

    to_face = _photo_to_face()
    to_pixels = to_face * EYE_PIXELS
    to_pixels[:, 2] += ORIGIN_XY
    photograph: NDArray[np.uint8] = astronaut()  # type: ignore[no-untyped-call]
    rgb = cv2.warpAffine(photograph, to_pixels, CANVAS_WH, flags=cv2.INTER_CUBIC).astype(np.float32)

    def outline(points: list[tuple[float, float]]) -> NDArray[np.float64]:
        return np.asarray(np.asarray(points) @ to_face[:, :2].T + to_face[:, 2])

    alpha = soft_polygon(outline(_HEAD_OUTLINE), 1.1)
    skin = soft_polygon(outline(_SKIN_OUTLINE), 1.8) * alpha
    rgb = _close_mouth(rgb)
    rgb = _fade_smile_folds(rgb)
    return Head(rgb, alpha, skin, np.clip(alpha - skin, 0, 1))


def _close_mouth(rgb: Array) -> Array:
    """Pull the lips over the teeth, the corners down and in: every column is stretched piecewise."""
    u, v = face_grid()
    shrink = 0.20 * np.exp(-0.5 * ((v - 0.95) / 0.22) ** 2) * np.exp(-0.5 * (u / 0.55) ** 2)
    source_u = u * (1 + shrink)
    s = (source_u - 0.02) / 0.445
    inside = np.clip(s**2, 0, 1)
    upper = 0.900 - 0.030 * inside  # lower edge of the upper lip, a little above the teeth
    lower = 1.135 - 0.262 * inside  # upper edge of the lower lip
    fade = np.clip((2.0 - np.abs(s)) / 1.0, 0, 1)
    meet = upper + (MOUTH_V - upper) * fade**2 * (3 - 2 * fade)
    top, bottom = 0.62, 1.66
    above = top + (v - top) * (upper - top) / (meet - top)
    below = bottom - (bottom - v) * (bottom - lower) / (bottom - meet)
    source_v = np.where(v < meet, above, below)
    source_v = np.where((v < top) | (v > bottom), v, source_v)
    return sample(rgb, source_u.astype(np.float32), source_v.astype(np.float32))


def _fade_smile_folds(rgb: Array) -> Array:
    """Smooth the creases from the nose to the corners and the bags below the eyes, which smiling made."""
    folds = [[(side * 0.27, 0.62), (side * 0.46, 0.78), (side * 0.56, 0.98)] for side in (-1, 1)]
    bags = [[(side * 0.30, 0.20), (side * 0.52, 0.24), (side * 0.74, 0.18)] for side in (-1, 1)]
    mask = np.clip(soft_strokes(folds, 0.20, 3.5) * 1.1 + soft_strokes(bags, 0.07, 2.0) * 0.6, 0, 0.95)
    smooth = cv2.GaussianBlur(rgb, (0, 0), 7)
    mixed: Array = rgb + mask[..., None] * (smooth - rgb)
    return mixed
