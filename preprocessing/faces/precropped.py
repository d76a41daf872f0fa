"""Pictures that are face crops already: the whole picture is the face, nothing is searched for."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from preprocessing.align import TEMPLATE
from preprocessing.types import Faces
from preprocessing.weights import EngineChoice


class Precropped:
    """One face a picture, its landmarks where the template has them.

    The crop is the square around the picture's centre whose side is the picture's longer side: a square
    picture becomes its crop by scaling alone, of an oblong one nothing is lost.
    """

    name = "precropped"
    sure_score = 0.0

    def __init__(self, choice: EngineChoice) -> None:
        self.provenance: dict[str, Any] = choice.provenance()

    def detect(self, images_rgb: Sequence[np.ndarray]) -> list[Faces]:
        """One face for each picture (h, w, 3) uint8 RGB, in pixels of that picture, with score 1."""
        return [_whole(width, height) for height, width, _ in (image.shape for image in images_rgb)]


def _whole(width: int, height: int) -> Faces:
    side = max(width, height)
    corner = np.array([width - side, height - side]) / 2
    landmarks = (corner + TEMPLATE * side)[None].astype(np.float32)
    return Faces(np.array([[0, 0, width, height]], np.float32), landmarks, np.ones(1, np.float32))
