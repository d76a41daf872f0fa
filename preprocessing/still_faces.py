"""Where the face is in a small picture that shows one: FER2013's, and others cut to the face.

A picture as small as the face has no surroundings, and detectors miss it; so it is searched enlarged to
SEARCH_SIDE pixels, within a border of BORDER pixels that repeats its edge, and with a low threshold: of
FER2013's pictures YuNet finds the face in 99.5 %. Where none is found, it is taken to lie where it lies in
the others.

Letters in shapes: N pictures.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import cv2
import numpy as np

from cache.errors import UserError
from preprocessing import faces
from preprocessing.types import FaceDetector
from preprocessing.weights import EngineChoice

SEARCH_SIDE = 240  # pixels of the picture's longer side where a face is looked for
BORDER = 40
MIN_SCORE = 0.3  # the picture shows a face, so little evidence is enough to say where


class StillsError(UserError, ValueError):
    """The pictures cannot be stored as asked; one line for the user."""


@dataclass(frozen=True, eq=False)
class Placements:
    """Where the faces are, in pixels of each picture."""

    boxes_xyxy: np.ndarray  # (N, 4) float32
    landmarks_xy: np.ndarray  # (N, 5, 2) float32, order as in cache.schema.FaceBlock
    scores: np.ndarray  # (N,) float32; 0 where no face was found

    @property
    def found(self) -> np.ndarray:
        """(N,) bool."""
        return np.asarray(self.scores > 0)


@dataclass(frozen=True, eq=False)
class TypicalPlace:
    """Where faces lie in a picture of side 1: the median of those found."""

    box_xyxy: np.ndarray  # (4,) float32
    landmarks_xy: np.ndarray  # (5, 2) float32


def rgb_of(pixels: np.ndarray) -> np.ndarray:
    """(h, w) grey or (h, w, 3) RGB -> (h, w, 3) uint8: grey three times."""
    return np.repeat(pixels[..., None], 3, axis=2) if pixels.ndim == 2 else pixels


def whole_pictures(pictures: Sequence[np.ndarray], choice: EngineChoice) -> Placements:
    """Each picture (h, w) or (h, w, 3) uint8 is the face: by the detector `precropped`."""
    detector = faces.build(choice)
    found = [detector.detect([rgb_of(picture)])[0] for picture in pictures]
    return Placements(
        np.concatenate([one.boxes_xyxy for one in found]),
        np.concatenate([one.landmarks_xy for one in found]),
        np.concatenate([one.scores for one in found]),
    )


def find_faces(pictures: Sequence[np.ndarray], choice: EngineChoice) -> Placements:
    """The face of each picture (h, w) or (h, w, 3) uint8, NaN where none is found.

    Of several the one that is large and sure: with the highest product of its score and the side of its box.
    """
    detector = faces.build(choice, min_score=MIN_SCORE)
    rows = [_find_one(rgb_of(picture), detector) for picture in pictures]
    boxes, landmarks, scores = zip(*rows, strict=True)
    return Placements(np.stack(boxes), np.stack(landmarks), np.array(scores, np.float32))


def typical_place(pictures: Sequence[np.ndarray], choice: EngineChoice) -> TypicalPlace:
    """Where the faces of these pictures lie. StillsError where none is found in any."""
    placements = find_faces(pictures, choice)
    found = np.flatnonzero(placements.found).tolist()
    if not found:
        raise StillsError(f"no face was found in any of {len(pictures)} pictures: are they faces?")
    sizes_wh = np.array([pictures[place].shape[1::-1] for place in found], np.float32)  # (n, 2)
    return TypicalPlace(
        np.median(placements.boxes_xyxy[found] / np.tile(sizes_wh, 2), axis=0),
        np.median(placements.landmarks_xy[found] / sizes_wh[:, None], axis=0),
    )


def with_typical(placements: Placements, pictures: Sequence[np.ndarray], typical: TypicalPlace) -> Placements:
    """The same, and where no face was found the typical place; its score stays 0."""
    boxes, landmarks = placements.boxes_xyxy.copy(), placements.landmarks_xy.copy()
    for place in np.flatnonzero(~placements.found).tolist():
        size_wh = np.array(pictures[place].shape[1::-1], np.float32)
        boxes[place] = typical.box_xyxy * np.tile(size_wh, 2)
        landmarks[place] = typical.landmarks_xy * size_wh
    return Placements(boxes, landmarks, placements.scores)


def _find_one(rgb: np.ndarray, detector: FaceDetector) -> tuple[np.ndarray, np.ndarray, float]:
    """Box (4,), landmarks (5, 2) and score of the face in one picture."""
    height, width = rgb.shape[:2]
    scale = SEARCH_SIDE / max(height, width)
    size_wh = max(1, round(width * scale)), max(1, round(height * scale))
    large = cv2.resize(rgb, size_wh, interpolation=cv2.INTER_CUBIC if scale > 1 else cv2.INTER_AREA)
    large = cv2.copyMakeBorder(large, BORDER, BORDER, BORDER, BORDER, cv2.BORDER_REPLICATE)
    found = detector.detect([large])[0]
    if not len(found):
        return np.full(4, np.nan, np.float32), np.full((5, 2), np.nan, np.float32), 0.0
    sides = found.boxes_xyxy[:, 2:] - found.boxes_xyxy[:, :2]
    best = int((found.scores * np.sqrt(sides.clip(min=0).prod(axis=1))).argmax())
    factor = np.array([width / size_wh[0], height / size_wh[1]])
    box = (found.boxes_xyxy[best] - BORDER) * np.tile(factor, 2)
    landmarks = (found.landmarks_xy[best] - BORDER) * factor
    return box.astype(np.float32), landmarks.astype(np.float32), float(found.scores[best])
