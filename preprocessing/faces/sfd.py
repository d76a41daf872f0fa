"""S3FD with the landmarks of FAN: the pair that face-alignment runs when nothing else is asked for.

The detector (Zhang et al., "S3FD: Single Shot Scale-invariant Face Detector", ICCV 2017) gives boxes only.
The five landmarks are taken from the 68 that FAN finds in each box, as face-alignment finds them: the middle
of each eye, the tip of the nose, the outer corners of the mouth.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from preprocessing.blob import Normaliser
from preprocessing.landmarks.fan import Fan
from preprocessing.landmarks.layouts import five_of_68
from preprocessing.network import HERE, Answer, Place
from preprocessing.nms import nms
from preprocessing.torch_network import TorchFile
from preprocessing.types import Faces
from preprocessing.weights import EngineChoice

NORMALISE = Normaliser(mean=(104.0, 117.0, 123.0), bgr=True)
STRIDES = (4, 8, 16, 32, 64, 128)
ANCHOR = 4  # strides: side of the box that each cell starts from
CENTRE_VARIANCE, SIZE_VARIANCE = 0.1, 0.2
MIN_SCORE = 0.5  # face-alignment's; its weights could not be had to measure it on footage
MAX_IOU = 0.3


class SFD:
    """Fulfils `preprocessing.types.FaceDetector`."""

    name = "face-alignment:sfd"
    sure_score = MIN_SCORE

    def __init__(self, choice: EngineChoice, place: Place = HERE, min_score: float = MIN_SCORE) -> None:
        """Raises WeightsError where the files are not those of S3FD and FAN."""
        self.provenance: dict[str, Any] = choice.provenance()
        self._min_score = min_score
        self._network = place.network(TorchFile(choice.weights["detector"].checked(), "s3fd"))
        self._fan = Fan(place, choice.weights["landmarks"].checked())

    def detect(self, images_rgb: Sequence[np.ndarray]) -> list[Faces]:
        """Faces of each picture (h, w, 3) uint8 RGB, best first, in pixels of that picture."""
        found = [decode(answer, self._min_score) for answer in self._network.run_batch(images_rgb, NORMALISE)]
        rows = [(image, box) for image, (boxes, _) in zip(images_rgb, found, strict=True) for box in boxes]
        points = self._fan.in_pictures([image for image, _ in rows], [box for _, box in rows])  # (N, 68, 2)
        landmarks = five_of_68(points)
        starts = np.cumsum([0, *(len(scores) for _, scores in found)])
        return [
            Faces(boxes, landmarks[start : start + len(scores)], scores)
            for start, (boxes, scores) in zip(starts, found, strict=False)
        ]


def decode(answer: Answer, min_score: float) -> tuple[np.ndarray, np.ndarray]:
    """Boxes (n, 4) and scores (n,) float32, best first, from the classes and boxes of all strides."""
    all_boxes, all_scores = [], []
    for n, stride in enumerate(STRIDES):
        classes, offsets = answer[2 * n][0], answer[2 * n + 1][0]  # (2, h, w), (4, h, w)
        scores = 1 / (1 + np.exp((classes[0] - classes[1]).astype(np.float64)))
        y, x = np.nonzero(scores >= min_score)
        side = ANCHOR * stride
        x_offset, y_offset, log_width, log_height = offsets[:, y, x].astype(np.float64)
        centre = np.stack([x, y], axis=1) * stride + stride / 2
        centre = centre + np.stack([x_offset, y_offset], axis=1) * CENTRE_VARIANCE * side
        half = np.exp(np.stack([log_width, log_height], axis=1) * SIZE_VARIANCE) * (side / 2)
        all_boxes.append(np.concatenate([centre - half, centre + half], axis=1))
        all_scores.append(scores[y, x])
    boxes = np.concatenate(all_boxes).astype(np.float32)
    scores = np.concatenate(all_scores).astype(np.float32)
    kept = nms(boxes, scores, MAX_IOU)
    return boxes[kept], scores[kept]
