"""SCRFD-2.5G with landmarks, the ONNX file that face-alignment loads for it.

Guo et al., "Sample and Computation Redistribution for Efficient Face Detection", ICLR 2022. face-alignment
drops the landmarks. What we changed besides: the pictures go in as RGB and with black borders, as InsightFace
runs its network; face-alignment 1.5 gives it BGR.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import cv2
import numpy as np

from preprocessing.blob import Normaliser
from preprocessing.network import HERE, Answer, Place
from preprocessing.nms import nms
from preprocessing.types import Faces
from preprocessing.weights import EngineChoice, WeightsError

NORMALISE = Normaliser(mean=(127.5, 127.5, 127.5), std=(128.0, 128.0, 128.0))
SIDE = 640  # pixels of the square that a picture is fitted into, at its top left
STRIDES = (8, 16, 32)
ANCHORS = 2  # a cell
MIN_SCORE = 0.5  # face-alignment's; its weights could not be had to measure it on footage
MAX_IOU = 0.4
_COLUMNS = (1, 4, 10)  # score, box, landmarks


class SCRFD:
    """Fulfils `preprocessing.types.FaceDetector`."""

    name = "face-alignment:scrfd"
    sure_score = MIN_SCORE

    def __init__(self, choice: EngineChoice, place: Place = HERE, min_score: float = MIN_SCORE) -> None:
        """Raises WeightsError where the file is no SCRFD with landmarks."""
        self.provenance: dict[str, Any] = choice.provenance()
        self._min_score = min_score
        path = choice.weights["detector"].checked()
        self._network = place.network(path)
        if len(self._network.outputs) != len(STRIDES) * len(_COLUMNS):
            raise WeightsError(
                f"{path} is no SCRFD with landmarks: it has {len(self._network.outputs)} outputs, not 9"
            )

    def detect(self, images_rgb: Sequence[np.ndarray]) -> list[Faces]:
        """Faces of each picture (h, w, 3) uint8 RGB, best first, in pixels of that picture."""
        inputs, scales = [], []
        for image in images_rgb:
            height, width = image.shape[:2]
            scale = SIDE / max(height, width)
            size_wh = max(1, round(width * scale)), max(1, round(height * scale))
            square = np.zeros((SIDE, SIDE, 3), np.uint8)
            square[: size_wh[1], : size_wh[0]] = cv2.resize(image, size_wh)
            inputs.append(square)
            scales.append(np.array([size_wh[0] / width, size_wh[1] / height]))
        answers = self._network.run_batch(inputs, NORMALISE)
        return [decode(answer, scale, self._min_score) for answer, scale in zip(answers, scales, strict=True)]


def decode(answer: Answer, scale_xy: np.ndarray, min_score: float) -> Faces:
    """Nine outputs, three a stride, in any order -> faces, best first, divided by the scale."""
    scores, sides, points, cells = [], [], [], []
    for stride in STRIDES:
        grid = SIDE // stride
        one = {n: _of(answer, grid * grid * ANCHORS, n) for n in _COLUMNS}
        y, x, _ = np.indices((grid, grid, ANCHORS))
        (kept,) = np.nonzero(one[1][:, 0] >= min_score)
        scores.append(one[1][kept, 0])
        sides.append(one[4][kept] * stride)
        points.append(one[10][kept].reshape(-1, 5, 2) * stride)
        cells.append(np.stack([x.ravel(), y.ravel()], axis=1)[kept] * stride)
    score, side, point, cell = (np.concatenate(part) for part in (scores, sides, points, cells))
    boxes = np.concatenate([cell - side[:, :2], cell + side[:, 2:]], axis=1) / np.tile(scale_xy, 2)
    landmarks = (cell[:, None] + point) / scale_xy
    best = nms(boxes, score, MAX_IOU)
    return Faces(
        boxes[best].astype(np.float32), landmarks[best].astype(np.float32), score[best].astype(np.float32)
    )


def _of(answer: Answer, num_rows: int, num_columns: int) -> np.ndarray:
    """The output of so many rows and columns; files differ in their order and in a leading dimension of 1."""
    for array in answer:
        if array.shape[-1] == num_columns and array.size == num_rows * num_columns:
            return array.reshape(num_rows, num_columns)
    raise WeightsError(f"no SCRFD with landmarks: it has no output of {num_rows} x {num_columns}")
