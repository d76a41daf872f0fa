"""Facial expressions as a warp: a few muscles move the subject's neutral face, the lips part over a mouth.

An expression is a vector of `ACTIONS`, each 0 at rest and about 1 when fully shown. The warp is an
inverse map, `source = output - sum(action * muscle)`, so one `cv2.remap` makes a frame.
"""

from __future__ import annotations

from functools import lru_cache

import cv2
import numpy as np
from numpy.typing import NDArray

from videofer.synthetic.photo import (
    CHIN_V,
    EYE_PIXELS,
    MOUTH_V,
    NOSE_V,
    ORIGIN_XY,
    Array,
    bump,
    face_grid,
    soft_strokes,
)
from videofer.synthetic.subjects import Subject, accessories, build_head

ACTIONS = (
    "brow_raise",
    "brow_knit",
    "inner_brow",
    "eye_widen",
    "eye_close",
    "corner_up",
    "corner_down",
    "mouth_narrow",
    "nose_wrinkle",
    "mouth_open",
)
ACTION = {name: index for index, name in enumerate(ACTIONS)}

# action: (centre u, centre v, radius u, radius v, move u, move v) of the image's right half; mirrored.
_MUSCLES: dict[str, tuple[tuple[float, float, float, float, float, float], ...]] = {
    "brow_raise": ((0.52, -0.40, 0.42, 0.15, 0.0, -0.21),),
    "brow_knit": ((0.30, -0.25, 0.20, 0.15, -0.10, 0.17), (0.75, -0.32, 0.16, 0.12, 0.0, -0.05)),
    "inner_brow": ((0.26, -0.28, 0.17, 0.15, -0.02, -0.18), (0.78, -0.24, 0.18, 0.13, 0.0, 0.09)),
    "corner_up": ((0.44, 0.93, 0.22, 0.16, 0.13, -0.13), (0.65, 0.55, 0.25, 0.20, 0.02, -0.07)),
    "corner_down": ((0.40, 0.98, 0.20, 0.14, 0.02, 0.15), (0.0, 1.05, 0.24, 0.12, 0.0, -0.05)),
    "mouth_narrow": ((0.40, 0.97, 0.20, 0.18, -0.12, 0.0),),
    "nose_wrinkle": ((0.24, 0.62, 0.16, 0.14, 0.02, -0.09), (0.14, 0.87, 0.24, 0.10, 0.0, -0.08)),
}
_EYE_GAIN = {"eye_widen": 0.28, "eye_close": -1.1}
_ROI_U, _ROI_V = (-1.45, 1.45), (-1.0, 2.15)
_MOUTH_HALF = 0.37
_TEETH = np.array([226, 220, 206], np.float32)
_CAVITY = np.array([58, 20, 22], np.float32)
_TONGUE = np.array([150, 74, 74], np.float32)


class FaceRenderer:
    """Draws one subject's head for any expression. Built once a subject, then about 2 ms a frame."""

    def __init__(self, subject: Subject) -> None:
        head = build_head(subject)
        self._subject = subject
        self._mouth_half = _MOUTH_HALF * subject.mouth_width
        self._rgba = np.dstack([head.rgb, head.alpha * 255]).clip(0, 255).astype(np.uint8)
        grid_u, grid_v = face_grid()
        rows = np.flatnonzero((grid_v[:, 0] >= _ROI_V[0]) & (grid_v[:, 0] <= _ROI_V[1]))
        columns = np.flatnonzero((grid_u[0] >= _ROI_U[0]) & (grid_u[0] <= _ROI_U[1]))
        self._roi = (slice(rows[0], rows[-1] + 1), slice(columns[0], columns[-1] + 1))
        self._u, self._v = grid_u[self._roi], grid_v[self._roi]
        rows = np.flatnonzero((self._v[:, 0] > 0.6) & (self._v[:, 0] < 1.9))
        columns = np.flatnonzero(np.abs(self._u[0]) < 0.75)
        self._mouth_area = (slice(rows[0], rows[-1] + 1), slice(columns[0], columns[-1] + 1))
        self._muscles = _muscle_fields(self._u, self._v)
        self._creases = _crease_masks(self._roi)
        self._base = np.ascontiguousarray(head.rgb[self._roi])
        self._accessories = accessories(subject)

    def render(self, actions: NDArray[np.floating]) -> NDArray[np.uint8]:
        """actions (len(ACTIONS),) -> head on the canvas, (H, W, 4) uint8 RGBA."""
        skew = self._subject.asymmetry
        move = _weighted_sum(np.concatenate([actions * (1 - skew), actions * (1 + skew)]), self._muscles)
        u, v = self._u - move[0], self._v - move[1]
        opening = float(max(actions[ACTION["mouth_open"]], 0.0))
        v, gap, depth = self._part_lips(u, v, opening)

        shade = _weighted_sum(actions, self._creases)
        texture = self._rgba.copy()
        gain = cv2.merge([np.clip(1 - shade, 0, 1)] * 3)
        texture[self._roi][..., :3] = cv2.multiply(self._base, gain)
        map_x = (u * EYE_PIXELS + ORIGIN_XY[0]).astype(np.float32)
        map_y = (v * EYE_PIXELS + ORIGIN_XY[1]).astype(np.float32)
        patch = cv2.remap(texture, map_x, map_y, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)
        if opening > 0.01:
            near = self._mouth_area
            cover = gap[1][near][..., None]
            lips = patch[near][..., :3]
            lips[...] = lips + cover * (_mouth_interior(u[near], depth[near], gap[0][near]) - lips)
        texture[self._roi] = patch
        if self._accessories is not None:
            opaque = self._accessories[..., 3:] / 255
            texture[..., :3] = texture[..., :3] * (1 - opaque) + self._accessories[..., :3] * opaque
            texture[..., 3] = np.maximum(texture[..., 3], self._accessories[..., 3])
        return texture

    def _part_lips(self, u: Array, v: Array, opening: float) -> tuple[Array, tuple[Array, Array], Array]:
        """Source v, (height of the gap, how much of each pixel it covers), and depth below the upper lip."""
        s = u / self._mouth_half
        height = opening * 0.50 * np.sqrt(np.clip(1 - s**2, 0, 1))
        jaw = opening * 0.14 * (0.5 + 0.5 * np.cos(np.clip(np.abs(u) / 1.1, 0, 1) * np.pi))
        upper, lower = MOUTH_V - 0.22 * height, MOUTH_V + 0.78 * height
        chin = CHIN_V + jaw
        above = NOSE_V + (v - NOSE_V) * (MOUTH_V - NOSE_V) / (upper - NOSE_V)
        below = MOUTH_V + (v - lower) * (CHIN_V - MOUTH_V) / (chin - lower)
        source = np.where(v < upper, above, np.where(v < chin, below, v - jaw))
        source = np.where(v < NOSE_V, v, source)
        cover = np.clip((v - upper) * EYE_PIXELS + 0.5, 0, 1) * np.clip((lower - v) * EYE_PIXELS + 0.5, 0, 1)
        cover = cover * np.clip(height * EYE_PIXELS - 0.5, 0, 1)
        return source.astype(np.float32), (height, cover.astype(np.float32)), v - upper


@lru_cache(maxsize=1)
def face_renderer(subject: Subject) -> FaceRenderer:
    """The last subject's renderer: videos are made subject by subject, and building one costs 0.1 s."""
    return FaceRenderer(subject)


def _weighted_sum(weights: NDArray[np.floating], fields: Array) -> Array:
    """Sum of weights (n,) * fields (n, ...). No BLAS: its threads would fight over the workers' cores."""
    total = np.zeros(fields.shape[1:], np.float32)
    for weight, field in zip(weights, fields, strict=True):
        if abs(weight) > 1e-4:
            total += np.float32(weight) * field
    return total


def _muscle_fields(u: Array, v: Array) -> Array:
    """(2 sides * actions, 2, h, w) float32: displacement in face units at action 1; left half first."""
    fields = np.zeros((2, len(ACTIONS), 2, *u.shape), np.float32)
    for side_index, side in enumerate((-1, 1)):
        half = 1 / (1 + np.exp(-side * u / 0.06))  # each side moves its own half
        for name, muscles in _MUSCLES.items():
            for cu, cv, ru, rv, du, dv in muscles:
                hill = bump(u, v, (side * cu, cv), (ru, rv)) * half
                fields[side_index, ACTION[name], 0] += side * du * hill
                fields[side_index, ACTION[name], 1] += dv * hill
        for name, gain in _EYE_GAIN.items():
            hill = bump(u, v, (side * 0.5, 0.02), (0.30, 0.125))
            fields[side_index, ACTION[name], 1] += gain * (v - 0.02) * hill
    return fields.reshape(-1, 2, *u.shape)


def _crease_masks(roi: tuple[slice, slice]) -> Array:
    """(actions, h, w) float32: how much each action darkens the skin at 1."""

    def mirrored(stroke: list[tuple[float, float]]) -> list[list[tuple[float, float]]]:
        return [stroke, [(-x, y) for x, y in stroke]]

    folds = mirrored([(0.27, 0.64), (0.47, 0.76), (0.58, 0.98)])
    masks = np.zeros((len(ACTIONS), roi[0].stop - roi[0].start, roi[1].stop - roi[1].start), np.float32)

    def add(name: str, strokes: list[list[tuple[float, float]]], width: float, darkness: float) -> None:
        masks[ACTION[name]] += darkness * soft_strokes(strokes, width, 2.0)[roi]

    add("brow_knit", mirrored([(0.09, -0.38), (0.07, -0.12)]), 0.05, 0.30)
    add("brow_knit", mirrored([(0.22, -0.16), (0.45, -0.19), (0.65, -0.17)]), 0.06, 0.30)
    add("nose_wrinkle", [[(-0.12, 0.12), (0.12, 0.12)], [(-0.10, 0.22), (0.10, 0.22)]], 0.03, 0.35)
    add("nose_wrinkle", folds, 0.07, 0.26)
    add("corner_up", folds, 0.06, 0.26)
    add("corner_down", mirrored([(0.46, 1.0), (0.52, 1.2)]), 0.07, 0.22)
    add("brow_raise", [[(-0.6, -0.52), (0, -0.56), (0.6, -0.52)], [(-0.5, -0.63), (0.5, -0.63)]], 0.03, 0.30)
    add("inner_brow", [[(-0.25, -0.47), (0, -0.44), (0.25, -0.47)]], 0.04, 0.35)
    return masks


def _mouth_interior(u: Array, depth: Array, height: Array) -> Array:
    """Colours between the lips (h, w, 3): upper teeth, the dark, the tongue."""
    teeth = np.clip((0.125 - depth) * EYE_PIXELS * 0.6, 0, 1) * np.clip((0.31 - np.abs(u)) / 0.05, 0, 1)
    edge = 1 - 0.25 * np.abs(np.sin(u * 24)) ** 8  # gaps between the teeth
    tongue = np.clip((depth - height + 0.14) / 0.10, 0, 1) * np.clip(1 - np.abs(u) / 0.28, 0, 1)
    colours = _CAVITY + tongue[..., None] * (_TONGUE - _CAVITY)
    mixed: Array = colours + teeth[..., None] * (_TEETH * edge[..., None] - colours)
    return mixed
