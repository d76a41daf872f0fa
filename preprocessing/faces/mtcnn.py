"""MTCNN face detector of facenet-pytorch: its weights come inside its wheel, so it is always there."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np

from preprocessing.types import Faces
from preprocessing.weights import EngineChoice

MIN_FACE_PIXELS = 20
MIN_SCORE = 0.82  # the lowest true face of our footage has 0.83; above it, hands near a face at times
STAGE_THRESHOLDS = (0.6, 0.7, 0.7)
WEIGHT_FILES = ("pnet.pt", "rnet.pt", "onet.pt")


def bundled_weights() -> list[Path]:
    """The three files inside the wheel. ImportError if facenet-pytorch is not installed."""
    from importlib.util import find_spec

    spec = find_spec("facenet_pytorch")
    if spec is None or spec.origin is None:
        raise ImportError("facenet-pytorch is not installed")
    return [Path(spec.origin).parent / "data" / name for name in WEIGHT_FILES]


class MTCNN:
    """Cascade of three small networks on an image pyramid; the score is the last one's probability.

    Pictures pass one by one: the cascade's own batches make a result depend on its neighbours in the
    last digits, and a threshold makes much of a last digit.
    """

    name = "mtcnn"
    sure_score = 0.9

    def __init__(self, choice: EngineChoice, min_score: float = MIN_SCORE) -> None:
        for file in choice.weights.values():
            file.checked()
        import facenet_pytorch
        import torch

        self.provenance: dict[str, Any] = choice.provenance()
        self._min_score = min_score
        self._cascade = facenet_pytorch.MTCNN(
            keep_all=True, min_face_size=MIN_FACE_PIXELS, thresholds=list(STAGE_THRESHOLDS), device="cpu"
        )
        self._cascade.to(memory_format=torch.channels_last)  # a quarter faster, most of it in the pooling

    def detect(self, images_rgb: Sequence[np.ndarray]) -> list[Faces]:
        """Faces of each picture (h, w, 3) uint8 RGB, best first, in pixels of that picture."""
        with _one_thread():
            return [self._detect_one(image) for image in images_rgb]

    def _detect_one(self, image_rgb: np.ndarray) -> Faces:
        if min(image_rgb.shape[:2]) < MIN_FACE_PIXELS:  # the cascade fails where its pyramid has no level
            return NO_FACES
        boxes, scores, landmarks = self._cascade.detect(np.ascontiguousarray(image_rgb), landmarks=True)
        if boxes is None:
            return NO_FACES
        scores = np.asarray(scores, np.float32)
        kept = np.argsort(-scores, kind="stable")
        kept = kept[scores[kept] >= self._min_score]
        return Faces(
            np.asarray(boxes, np.float32)[kept], np.asarray(landmarks, np.float32)[kept], scores[kept]
        )


NO_FACES = Faces(np.zeros((0, 4), np.float32), np.zeros((0, 5, 2), np.float32), np.zeros(0, np.float32))


@contextmanager
def _one_thread() -> Iterator[None]:
    """torch on one thread inside the block only: training in the same process keeps its own number."""
    import torch

    num_threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(num_threads)
