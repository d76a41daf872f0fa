"""RetinaFace on MobileNet-0.25 (Deng et al., "RetinaFace", CVPR 2020), the weights that face-alignment loads.

It finds five landmarks with each face; face-alignment drops them. What we changed besides: the pictures go in
as BGR, as the network was trained (Pytorch_Retinaface reads them by OpenCV and subtracts the means of BGR);
face-alignment 1.5 gives it RGB.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache
from typing import Any

import numpy as np

from preprocessing.blob import Normaliser
from preprocessing.network import HERE, Answer, Place
from preprocessing.nms import nms
from preprocessing.torch_network import TorchFile
from preprocessing.types import Faces
from preprocessing.weights import EngineChoice

NORMALISE = Normaliser(mean=(104.0, 117.0, 123.0), bgr=True)
ANCHORS = {8: (16, 32), 16: (64, 128), 32: (256, 512)}  # sides of the boxes that each stride starts from
CENTRE_VARIANCE, SIZE_VARIANCE = 0.1, 0.2
MIN_SCORE = 0.5  # face-alignment's; its weights could not be had to measure it on footage
MAX_IOU = 0.4


class RetinaFace:
    """Fulfils `preprocessing.types.FaceDetector`."""

    name = "face-alignment:retinaface"
    sure_score = MIN_SCORE

    def __init__(self, choice: EngineChoice, place: Place = HERE, min_score: float = MIN_SCORE) -> None:
        """Raises WeightsError where the file is not that of RetinaFace."""
        self.provenance: dict[str, Any] = choice.provenance()
        self._min_score = min_score
        self._network = place.network(TorchFile(choice.weights["detector"].checked(), "retinaface"))

    def detect(self, images_rgb: Sequence[np.ndarray]) -> list[Faces]:
        """Faces of each picture (h, w, 3) uint8 RGB, best first, in pixels of that picture."""
        answers = self._network.run_batch(images_rgb, NORMALISE)
        return [
            decode(answer, image.shape[:2], self._min_score)
            for answer, image in zip(answers, images_rgb, strict=True)
        ]


def decode(answer: Answer, size_hw: tuple[int, ...], min_score: float) -> Faces:
    """Boxes (1, A, 4), class probabilities (1, A, 2) and landmarks (1, A, 10) -> faces, best first."""
    offsets, classes, points = (array[0].astype(np.float64) for array in answer)
    scores = classes[:, 1]
    (cells,) = np.nonzero(scores >= min_score)
    anchors = anchors_of(size_hw[0], size_hw[1])[cells]
    centre, side = anchors[:, :2], anchors[:, 2:]  # (n, 2), (n, 1)
    middle = centre + offsets[cells, :2] * CENTRE_VARIANCE * side
    half = side * np.exp(offsets[cells, 2:] * SIZE_VARIANCE) / 2
    landmarks = centre[:, None] + points[cells].reshape(-1, 5, 2) * CENTRE_VARIANCE * side[:, None]
    boxes = np.concatenate([middle - half, middle + half], axis=1)
    kept = nms(boxes, scores[cells], MAX_IOU)
    return Faces(
        boxes[kept].astype(np.float32),
        landmarks[kept].astype(np.float32),
        scores[cells][kept].astype(np.float32),
    )


@lru_cache(maxsize=8)
def anchors_of(height: int, width: int) -> np.ndarray:
    """(A, 3) centre and side in pixels, in the order of the network's rows: stride, row, column, side."""
    parts = []
    for stride, sides in ANCHORS.items():
        y, x, side = np.meshgrid(
            np.arange(-(-height // stride)) * stride + stride / 2,
            np.arange(-(-width // stride)) * stride + stride / 2,
            np.array(sides, np.float64),
            indexing="ij",
        )
        parts.append(np.stack([x.ravel(), y.ravel(), side.ravel()], axis=1))
    return np.concatenate(parts)
