"""Looks at detected faces: clothing and face out of the searched picture, or the face through a network."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from preprocessing.align import similarity_from_landmarks
from preprocessing.blob import Normaliser
from preprocessing.network import HERE, Place, run_one
from preprocessing.tracking.appearance import (
    EMBEDDING_SCALE,
    FACE_SCALE,
    Look,
    describe_clothing,
    describe_face,
    unit,
)
from preprocessing.types import Faces, Frame
from preprocessing.weights import WeightsError

NORMALISER = Normaliser(mean=(127.5, 127.5, 127.5), std=(127.5, 127.5, 127.5))
# Parts of a person, in sides of the face, to be added to its box (x0, y0, x1, y1).
HEAD = np.array([-0.35, -0.2, 0.35, 0.0])
CLOTHING = np.array([-0.4, 1.7, 0.4, 1.7])
COLUMN = np.array([-0.8, -0.3, 0.8, 3.0])
FREE_SHARE = 0.05  # of a part, that may lie behind or before somebody else


@dataclass(frozen=True, eq=False)
class Sight:
    """One searched frame."""

    faces: Faces  # in source pixels
    picture_rgb: np.ndarray  # (h, w, 3) uint8, as it was searched
    factor_xy: np.ndarray  # (2,) source pixels per pixel of the picture
    seconds: float
    frame: Frame
    is_changed: bool  # so much since the last look that everybody may be somebody else
    looks: dict[int, Look] = field(default_factory=dict)  # that were made of it so far


class FaceEmbedder:
    """Any ONNX network from aligned faces (N, 3, side, side), RGB in [-1, 1], to vectors (N, D): ArcFace."""

    def __init__(self, path: Path, place: Place = HERE) -> None:
        """Raises WeightsError if the file is not such a network."""
        self._network = place.network(path)
        shape, vector = self._network.inputs[0].shape, self._network.outputs[0].shape
        is_picture = len(self._network.inputs) == 1 and len(shape) == 4 and shape[1] == 3
        if not is_picture or not isinstance(shape[2], int) or shape[2] != shape[3] or len(vector) != 2:
            raise WeightsError(
                f"{path} is no face embedding: {shape} -> {vector}, "
                "expected (N, 3, side, side) -> (N, length)"
            )
        self._side = shape[2]

    def embed(self, frame: Frame, landmarks_xy: np.ndarray) -> np.ndarray:
        """Unit vector (D,) of the face with these landmarks (5, 2); empty where they make no face."""
        warp = similarity_from_landmarks(np.asarray(landmarks_xy, np.float32)[None], self._side)[0]
        if not np.isfinite(warp).all():
            return np.empty(0, np.float32)
        crop = frame.aligned_rgb(warp, (self._side, self._side))
        return unit(run_one(self._network, crop, NORMALISER)[0][0])


class FaceDescriber:
    """Makes looks as the spec's `appearance` wants them."""

    def __init__(self, appearance: str, embedder: FaceEmbedder | None) -> None:
        self.is_on = appearance != "none"
        self._embedder = embedder if appearance.startswith("onnx:") else None
        if appearance.startswith("onnx:") and embedder is None:
            raise ValueError(f"appearance {appearance} needs its network")
        self.face_scale = EMBEDDING_SCALE if self._embedder else FACE_SCALE

    @staticmethod
    def sees_face(sight: Sight, n: int) -> bool:
        """Whether nobody else's head is before, behind or close beside the n-th."""
        return is_free(sight, n, HEAD, HEAD)

    def look(self, sight: Sight, n: int) -> Look:
        """At the n-th face. What somebody else is before, behind or close beside is left out."""
        if n not in sight.looks:
            sight.looks[n] = self._make(sight, n)
        return sight.looks[n]

    def _make(self, sight: Sight, n: int) -> Look:
        faces = sight.faces
        face = clothing = np.empty(0, np.float32)
        if self.sees_face(sight, n):
            if self._embedder is not None:
                face = self._embedder.embed(sight.frame, faces.landmarks_xy[n])
            else:
                face = describe_face(sight.picture_rgb, faces.landmarks_xy[n] / sight.factor_xy)
        if is_free(sight, n, CLOTHING, COLUMN):
            box = (faces.boxes_xyxy[n] + _side(faces.boxes_xyxy[n]) * CLOTHING) / np.tile(sight.factor_xy, 2)
            clothing = describe_clothing(sight.picture_rgb, box)
        return Look(clothing, face)


def is_free(sight: Sight, n: int, part: np.ndarray, others_part: np.ndarray) -> bool:
    """Whether a part of the n-th person, in sides of the face around it, is clear of a part of all others."""
    boxes = sight.faces.boxes_xyxy
    if len(boxes) == 1:
        return True
    own = boxes[n] + _side(boxes[n]) * part
    others = np.delete(boxes, n, axis=0)
    others = others + _side(others) * others_part  # (N - 1, 4)
    width = np.minimum(own[2], others[:, 2]) - np.maximum(own[0], others[:, 0])
    height = np.minimum(own[3], others[:, 3]) - np.maximum(own[1], others[:, 1])
    covered = width.clip(min=0) * height.clip(min=0)
    return bool((covered <= FREE_SHARE * np.prod(own[2:] - own[:2])).all())


def _side(boxes_xyxy: np.ndarray) -> np.ndarray:
    """(..., 1) root of the area."""
    sides = np.clip(boxes_xyxy[..., 2:] - boxes_xyxy[..., :2], 1, None)
    return np.asarray(np.sqrt(sides.prod(axis=-1, keepdims=True)))
