"""What a person looks like, in numbers that need no trained weights: of the clothing, and of the face.

Comparable within one video only: the same camera, the same day, the same clothes. Both are read from the
reduced picture that was searched anyway. They are unit vectors, their dot product is their similarity.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import cv2
import numpy as np

from preprocessing.align import similarity_from_landmarks

CANVAS = 64  # pixels of the square that a face and its hair are warped into before they are described
FACE_PART = 0.5  # of it that the crop's template fills; the rest is hair, ears and background
MIN_PATCH_PIXELS = 6  # sides of a patch of clothing below which it says nothing

FIRST_LOOK_SECONDS = 0.4  # from the first look at a person to the second; then twice as long each time
RAREST_LOOK_SECONDS = 5.0

CLOTHING_SCALE = 0.06  # a person's own clothing differs by so much between two parts of a video, at most
FACE_SCALE = 0.06  # and the own face, plain descriptor
EMBEDDING_SCALE = 0.6  # and a face embedding: the cosine of two pictures of one person is above 0.4

_HUES = 12
_GREYS = 5
_LEVELS = 8
# Places on the canvas, as slices of rows and columns.
_HAIR = (slice(6, 20), slice(14, 50))
_SKIN = (slice(24, 48), slice(20, 44))
_INNER = (slice(16, 48), slice(16, 48))
_CELLS = np.add.outer(
    np.arange(32) // 8 * 32, np.arange(32) // 8 * 8
)  # first of the 8 bins of each pixel's cell


@dataclass(frozen=True)
class Look:
    """One sight of a person. An empty vector: that part was not seen well enough."""

    clothing: np.ndarray  # (34,) or (0,)
    face: np.ndarray  # (161,), of an embedding its own length, or (0,)


class Looks:
    """The mean of all looks at one track so far, and when the next one is worth while."""

    def __init__(self) -> None:
        self._clothing: np.ndarray | None = None
        self._face: np.ndarray | None = None
        self._due_seconds = -np.inf
        self.num_looks = 0

    def is_due(self, seconds: float) -> bool:
        """Whether one more look would add much: soon at first, then ever more rarely."""
        return seconds >= self._due_seconds

    def add(self, look: Look, seconds: float) -> None:
        """Takes in one more; an empty one only puts off the next."""
        if not len(look.clothing) and not len(look.face):
            self._due_seconds = seconds + FIRST_LOOK_SECONDS
            return
        wait_seconds = FIRST_LOOK_SECONDS * 2.0 ** min(self.num_looks, 30)  # a track may have thousands
        self._due_seconds = seconds + min(wait_seconds, RAREST_LOOK_SECONDS)
        if len(look.clothing):
            self._clothing = look.clothing + (0 if self._clothing is None else self._clothing)
        if len(look.face):
            self._face = look.face + (0 if self._face is None else self._face)
        self.num_looks += 1

    @property
    def clothing(self) -> np.ndarray:
        """Unit vector, empty if never seen."""
        return unit(self._clothing) if self._clothing is not None else np.empty(0, np.float32)

    @property
    def face(self) -> np.ndarray:
        """Unit vector, empty if never seen."""
        return unit(self._face) if self._face is not None else np.empty(0, np.float32)


def difference(a: Sequence[np.ndarray], b: Sequence[np.ndarray], scales: Sequence[float]) -> float | None:
    """How unlike two people look: 1 is as much as one person differs from oneself.

    a, b: the same parts of each, empty where not seen; the mean over the parts that both have. None where
    they have none in common.
    """
    parts = [
        (1.0 - float(np.dot(x, y))) / scale
        for x, y, scale in zip(a, b, scales, strict=True)
        if len(x) and len(x) == len(y)
    ]
    return float(np.mean(parts)) if parts else None


def describe_clothing(picture_rgb: np.ndarray, box_xyxy: np.ndarray) -> np.ndarray:
    """Colours of the upper and the lower half of a box; empty where too little of it is in the picture."""
    height, width = picture_rgb.shape[:2]
    x0, y0, x1, y1 = np.rint(box_xyxy).astype(int)
    left, top, right, bottom = max(x0, 0), max(y0, 0), min(x1, width), min(y1, height)
    too_narrow = right - left < max(MIN_PATCH_PIXELS, 0.8 * (x1 - x0))
    if too_narrow or bottom - top < max(MIN_PATCH_PIXELS, 0.5 * (y1 - y0)):
        return np.empty(0, np.float32)
    patch = cv2.resize(picture_rgb[top:bottom, left:right], (16, 24), interpolation=cv2.INTER_AREA)
    lab = _lab(patch)
    return unit(np.concatenate([_colours(lab[:12]), _colours(lab[12:])]))


def describe_face(picture_rgb: np.ndarray, landmarks_xy: np.ndarray) -> np.ndarray:
    """Edges of the face, colours and brightness of the hair, brightness of the skin. landmarks: (5, 2)."""
    warp = similarity_from_landmarks(np.asarray(landmarks_xy, np.float32)[None], 1)[0].astype(np.float64)
    if not np.isfinite(warp).all():
        return np.empty(0, np.float32)
    warp *= CANVAS * FACE_PART
    warp[:, 2] += CANVAS * (1 - FACE_PART) / 2
    warp[1, 2] += CANVAS / 16  # rather hair above than neck below
    if np.hypot(warp[0, 0], warp[1, 0]) < 0.5:  # a large face: shrunk first, or its edges would be noise
        picture_rgb = cv2.resize(picture_rgb, None, fx=0.5, fy=0.5, interpolation=cv2.INTER_AREA)
        warp[:, :2] *= 2
    warp[:, 2] += warp[:, :2] @ (0.5, 0.5) - 0.5  # OpenCV counts from pixel centres
    size = (CANVAS, CANVAS)
    canvas = cv2.warpAffine(picture_rgb, warp, size, flags=cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)
    lab = _lab(canvas)
    hair = lab[_HAIR]
    parts = [_edges(lab[_INNER][..., 0]), _colours(hair), _levels(hair[..., 0]), _levels(lab[_SKIN][..., 0])]
    return unit(np.concatenate([unit(part) for part in parts]))


def unit(vector: np.ndarray) -> np.ndarray:
    """The vector at length 1, float32; zeros stay zeros."""
    return np.asarray(vector / max(float(np.linalg.norm(vector)), 1e-9), np.float32)


def _lab(picture_rgb: np.ndarray) -> np.ndarray:
    return cv2.cvtColor(picture_rgb, cv2.COLOR_RGB2LAB).astype(np.float32)


def _colours(lab: np.ndarray) -> np.ndarray:
    """Soft histogram (17,) of hues and, as far as a pixel is pale, of greys; roots, so that products compare.

    Brightness moves a pixel a little between neighbouring greys, and not at all between hues.
    """
    a, b = lab[..., 1] - 128, lab[..., 2] - 128
    colourful = np.clip((np.hypot(a, b) - 4) / 16, 0, 1)
    hue = np.mod(np.arctan2(b, a) / (2 * np.pi), 1) * _HUES
    hues = _soft_counts(hue, colourful, _HUES + 1)
    hues[0] += hues[-1]  # the circle closes
    greys = _soft_counts(lab[..., 0] / 255 * (_GREYS - 1), 1 - colourful, _GREYS)
    return np.asarray(np.sqrt(np.concatenate([hues[:-1], greys])))


def _levels(luma: np.ndarray) -> np.ndarray:
    """Soft histogram (8,) of brightness; roots."""
    return np.asarray(np.sqrt(_soft_counts(luma / 255 * (_LEVELS - 1), np.ones_like(luma), _LEVELS)))


def _soft_counts(position: np.ndarray, weight: np.ndarray, num_bins: int) -> np.ndarray:
    """Weights shared between the two bins beside each position in [0, num_bins - 1]."""
    position, weight = position.ravel(), weight.ravel()
    low = np.clip(position.astype(int), 0, num_bins - 2)
    part = np.clip(position - low, 0, 1)
    counts = np.bincount(low, weight * (1 - part), num_bins)
    return counts + np.bincount(low + 1, weight * part, num_bins)


def _edges(luma: np.ndarray) -> np.ndarray:
    """Orientations (128,) of the edges in 4 x 4 cells of (32, 32) luma, normalised (a small HOG)."""
    smooth = cv2.GaussianBlur(luma, (0, 0), 0.8)
    dx, dy = cv2.Sobel(smooth, cv2.CV_32F, 1, 0), cv2.Sobel(smooth, cv2.CV_32F, 0, 1)
    bins = (np.mod(np.arctan2(dy, dx) / np.pi, 1) * 8).astype(int) % 8
    cells = np.bincount((_CELLS + bins).ravel(), np.hypot(dx, dy).ravel(), 128).reshape(16, 8)
    cells = cells / (np.linalg.norm(cells, axis=1, keepdims=True) + 0.05 * np.linalg.norm(cells) + 1e-6)
    return np.asarray((cells - cells.mean()).ravel())
