"""Looks at detected faces: clothing and face out of the searched picture, or the face through a network."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np

from preprocessing.align import similarity_from_landmarks
from preprocessing.onnx_session import open_session
from preprocessing.tracking.appearance import (
    EMBEDDING_SCALE,
    FACE_SCALE,
    Look,
    describe_clothing,
    describe_face,
    face_clothing_box,
    unit,
)
from preprocessing.types import Faces, Frame
from preprocessing.weights import WeightsError

COLUMN = np.array([-0.8, -0.3, 0.8, 3.0])  # in sides of the face: how far around it the person reaches
CLEAR_SHARE = 0.1  # of the clothing that may lie behind or before somebody else


@dataclass(frozen=True, eq=False)
class Sight:
    """One searched frame."""

    faces: Faces  # in source pixels
    picture_rgb: np.ndarray  # (h, w, 3) uint8, as it was searched
    factor_xy: np.ndarray  # (2,) source pixels per pixel of the picture
    seconds: float
    frame: Frame
    is_changed: bool  # so much since the last look that everybody may be somebody else


class FaceEmbedder:
    """Any ONNX network from aligned faces (N, 3, side, side), RGB in [-1, 1], to vectors (N, D); ArcFace is one."""

    def __init__(self, path: Path) -> None:
        """Raises WeightsError if the file is not such a network."""
        self._session = open_session(path)
        inputs, outputs = self._session.get_inputs(), self._session.get_outputs()
        shape = inputs[0].shape
        fits = len(inputs) == 1 and len(shape) == 4 and shape[1] == 3 and shape[2] == shape[3]
        if not (fits and isinstance(shape[2], int)) or len(outputs[0].shape) != 2:
            raise WeightsError(
                f"{path} is no face embedding: {shape} -> {outputs[0].shape}, "
                "expected (N, 3, side, side) -> (N, length)"
            )
        self._input_name, self._side = inputs[0].name, shape[2]

    def embed(self, frame: Frame, landmarks_xy: np.ndarray) -> np.ndarray:
        """Unit vector (D,) of the face with these landmarks (5, 2); empty where they make no face."""
        warp = similarity_from_landmarks(np.asarray(landmarks_xy, np.float32)[None], self._side)[0]
        if not np.isfinite(warp).all():
            return np.empty(0, np.float32)
        crop = frame.aligned_rgb(warp, (self._side, self._side)).astype(np.float32)
        blob = np.ascontiguousarray((crop / 127.5 - 1).transpose(2, 0, 1)[None])
        return unit(self._session.run(None, {self._input_name: blob})[0][0])


class FaceDescriber:
    """Makes looks as the spec's `appearance` wants them."""

    def __init__(self, appearance: str, embedder: FaceEmbedder | None) -> None:
        self.is_on = appearance != "none"
        self._embedder = embedder if appearance.startswith("onnx:") else None
        if appearance.startswith("onnx:") and embedder is None:
            raise ValueError(f"appearance {appearance} needs its network")
        self.face_scale = EMBEDDING_SCALE if self._embedder else FACE_SCALE

    def look(self, sight: Sight, n: int) -> Look:
        """At the n-th face. Clothing is left out where somebody else is before or behind it."""
        faces = sight.faces
        if self._embedder is not None:
            face = self._embedder.embed(sight.frame, faces.landmarks_xy[n])
        else:
            face = describe_face(sight.picture_rgb, faces.landmarks_xy[n] / sight.factor_xy)
        clothing = np.empty(0, np.float32)
        if is_clear(sight, n):
            box = face_clothing_box(faces.boxes_xyxy[n]) / np.tile(sight.factor_xy, 2)
            clothing = describe_clothing(sight.picture_rgb, box)
        return Look(clothing, face)


def is_clear(sight: Sight, n: int) -> bool:
    """Whether nobody else's head or body is where this face and its clothing are."""
    boxes = sight.faces.boxes_xyxy
    if len(boxes) == 1:
        return True
    own = face_clothing_box(boxes[n])
    own[1] = boxes[n, 1]  # the face too
    others = np.delete(boxes, n, axis=0)
    side = np.sqrt(np.prod(np.clip(others[:, 2:] - others[:, :2], 1, None), axis=1, keepdims=True))
    columns = others + side * COLUMN  # (N - 1, 4)
    width = np.minimum(own[2], columns[:, 2]) - np.maximum(own[0], columns[:, 0])
    height = np.minimum(own[3], columns[:, 3]) - np.maximum(own[1], columns[:, 1])
    covered = width.clip(min=0) * height.clip(min=0)
    return bool((covered <= CLEAR_SHARE * np.prod(own[2:] - own[:2])).all())
