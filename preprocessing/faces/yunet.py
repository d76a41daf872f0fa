"""YuNet face detector: small, fast, five landmarks. Two ways to run the same network.

`YuNetOnnx` runs the file with free input size through ONNX Runtime and decodes the outputs here;
`YuNetOpenCV` runs the published file through cv2.FaceDetectorYN, more slowly.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import cv2
import numpy as np

from preprocessing.blob import Normaliser
from preprocessing.faces.large_faces import with_large_faces
from preprocessing.network import HERE, Place
from preprocessing.nms import nms
from preprocessing.types import Faces
from preprocessing.weights import EngineChoice

DYNAMIC_FILE = "yunet_n_dynamic.onnx"
PUBLISHED_FILE = "face_detection_yunet_2023mar.onnx"

# Faces in real footage score 0.83 and more; hands, backs of heads and blurs stay under 0.75 almost always.
MIN_SCORE = 0.7
SURE_SCORE = 0.8
MIN_FACE_PIXELS = 10  # below that nothing is found reliably, and what is found makes no crop
MAX_IOU = 0.3
STRIDES = (8, 16, 32)
PAD_TO = 32  # the network halves its input five times


class YuNetOnnx:
    """YuNet through ONNX Runtime. A picture's result does not depend on its neighbours."""

    name = "yunet"
    sure_score = SURE_SCORE

    def __init__(
        self,
        choice: EngineChoice,
        place: Place = HERE,
        min_score: float = MIN_SCORE,
    ) -> None:
        self.provenance: dict[str, Any] = choice.provenance()
        self._min_score = min_score
        self._network = place.network(choice.weights[DYNAMIC_FILE].checked())
        self._normalise = Normaliser(bgr=True)  # the network wants BGR in [0, 255]
        self._outputs = [f"{part}_{stride}" for stride in STRIDES for part in ("cls", "obj", "bbox", "kps")]

    def detect(self, images_rgb: Sequence[np.ndarray]) -> list[Faces]:
        """Faces of each picture (h, w, 3) uint8 RGB, best first, in pixels of that picture."""
        return with_large_faces(images_rgb, self._search)

    def _search(self, images_rgb: Sequence[np.ndarray]) -> list[Faces]:
        """As `detect`, but for faces that are too large."""
        if len(images_rgb) == 0:
            return []
        padded = [_padded(image) for image in images_rgb]
        answers = self._network.run_batch(padded, self._normalise, self._outputs)
        sizes = [image.shape[1] for image in padded]
        return [self._read(outputs, cols) for outputs, cols in zip(answers, sizes, strict=True)]

    def _read(self, outputs: Sequence[np.ndarray], cols: int) -> Faces:
        """Faces in a picture of so many columns."""
        found = []
        for number, stride in enumerate(STRIDES):
            cls, obj, bbox, kps = (part[0] for part in outputs[4 * number : 4 * number + 4])
            square_score = (cls * obj)[:, 0]  # of each cell; both in [0, 1]
            (cells,) = np.nonzero(square_score >= self._min_score**2)
            if len(cells):
                corners = np.stack(np.divmod(cells, cols // stride)[::-1], axis=1)  # (n, 2) x, y of the cell
                found.append(
                    _decode(corners.astype(np.float32), square_score[cells], bbox[cells], kps[cells], stride)
                )
        if not found:
            return Faces(
                np.empty((0, 4), np.float32), np.empty((0, 5, 2), np.float32), np.empty(0, np.float32)
            )
        boxes, landmarks, scores = (np.concatenate(parts) for parts in zip(*found, strict=True))
        kept = nms(boxes, scores, MAX_IOU)
        return Faces(boxes[kept], landmarks[kept], scores[kept])


def _padded(image_rgb: np.ndarray) -> np.ndarray:
    """With black below and to the right, up to a size that the network takes."""
    height, width = image_rgb.shape[:2]
    below, right = -height % PAD_TO, -width % PAD_TO
    if not below and not right:
        return image_rgb
    return cv2.copyMakeBorder(image_rgb, 0, below, 0, right, cv2.BORDER_CONSTANT, value=(0, 0, 0))


def _decode(
    corners: np.ndarray, square_scores: np.ndarray, bbox: np.ndarray, kps: np.ndarray, stride: int
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Boxes (n, 4), landmarks (n, 5, 2) and scores (n,) of some cells of one stride, without tiny faces.

    corners (n, 2) in cells, square_scores (n,), bbox (n, 4) and kps (n, 10) as the network gives them.
    """
    centre = (corners + bbox[:, :2]) * stride
    half_size = np.exp(bbox[:, 2:]) * (stride / 2)
    boxes = np.concatenate([centre - half_size, centre + half_size], axis=1)
    landmarks = (kps.reshape(-1, 5, 2) + corners[:, None]) * stride
    large = 2 * half_size.min(axis=1) >= MIN_FACE_PIXELS
    return boxes[large], landmarks[large], np.sqrt(square_scores[large])


class YuNetOpenCV:
    """YuNet through OpenCV: the published file, which has a fixed input size of its own."""

    name = "yunet"
    sure_score = SURE_SCORE

    def __init__(self, choice: EngineChoice, min_score: float = MIN_SCORE) -> None:
        self.provenance: dict[str, Any] = choice.provenance()
        path = choice.weights[PUBLISHED_FILE].checked()
        log_level = cv2.utils.logging.getLogLevel()
        cv2.utils.logging.setLogLevel(cv2.utils.logging.LOG_LEVEL_ERROR)  # OpenCV 5 warns of its own default
        try:
            self._network = cv2.FaceDetectorYN.create(str(path), "", (320, 320), min_score, MAX_IOU, 5000)
        finally:
            cv2.utils.logging.setLogLevel(log_level)

    def detect(self, images_rgb: Sequence[np.ndarray]) -> list[Faces]:
        """Faces of each picture (h, w, 3) uint8 RGB, best first, in pixels of that picture."""
        return with_large_faces(images_rgb, lambda images: [self._detect_one(image) for image in images])

    def _detect_one(self, image_rgb: np.ndarray) -> Faces:
        height, width = image_rgb.shape[:2]
        self._network.setInputSize((width, height))
        _, found = self._network.detect(cv2.cvtColor(image_rgb, cv2.COLOR_RGB2BGR))
        table = np.zeros((0, 15), np.float32) if found is None else np.asarray(found, np.float32)
        table = table[table[:, 2:4].min(axis=1) >= MIN_FACE_PIXELS]
        table = table[np.argsort(-table[:, 14], kind="stable")]
        boxes = np.concatenate([table[:, :2], table[:, :2] + table[:, 2:4]], axis=1)
        return Faces(boxes, table[:, 4:14].reshape(-1, 5, 2), table[:, 14])
