"""MTCNN face detector of facenet-pytorch: its weights come inside its wheel, so it is always there."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from preprocessing.batches import Batches
from preprocessing.blob import Normaliser
from preprocessing.device import CPU, Device, require_device
from preprocessing.network import HERE, Answer, Place, Port
from preprocessing.torch_network import one_thread
from preprocessing.types import Faces
from preprocessing.weights import EngineChoice

MIN_FACE_PIXELS = 20
MIN_SCORE = 0.82  # the lowest true face of our footage has 0.83; above it, hands near a face at times
STAGE_THRESHOLDS = (0.6, 0.7, 0.7)
WEIGHT_FILES = ("pnet.pt", "rnet.pt", "onet.pt")
MOST = 64  # pictures that pass together on a GPU
PIXELS = Normaliser()  # the cascade takes RGB as it is


def bundled_weights() -> list[Path]:
    """The three files inside the wheel. ImportError if facenet-pytorch is not installed."""
    from importlib.util import find_spec

    spec = find_spec("facenet_pytorch")
    if spec is None or spec.origin is None:
        raise ImportError("facenet-pytorch is not installed")
    return [Path(spec.origin).parent / "data" / name for name in WEIGHT_FILES]


class MTCNN:
    """Cascade of three small networks on an image pyramid; the score is the last one's probability."""

    name = "mtcnn"
    sure_score = 0.9

    def __init__(self, choice: EngineChoice, min_score: float = MIN_SCORE, place: Place = HERE) -> None:
        for file in choice.weights.values():
            file.checked()
        self.provenance: dict[str, Any] = choice.provenance()
        self._min_score = min_score
        self._cascade = place.network(Cascade())

    def detect(self, images_rgb: Sequence[np.ndarray]) -> list[Faces]:
        """Faces of each picture (h, w, 3) uint8 RGB, best first, in pixels of that picture."""
        # The cascade fails where its pyramid has no level.
        large = [image for image in images_rgb if min(image.shape[:2]) >= MIN_FACE_PIXELS]
        answers = iter(self._cascade.run_batch(large, PIXELS) if large else [])
        return [
            self._read(next(answers)) if min(image.shape[:2]) >= MIN_FACE_PIXELS else NO_FACES
            for image in images_rgb
        ]

    def _read(self, answer: Answer) -> Faces:
        boxes, landmarks, scores = (array[0] for array in answer)
        kept = np.argsort(-scores, kind="stable")
        kept = kept[scores[kept] >= self._min_score]
        return Faces(boxes[kept], landmarks[kept], scores[kept])


NO_FACES = Faces(np.zeros((0, 4), np.float32), np.zeros((0, 5, 2), np.float32), np.zeros(0, np.float32))


@dataclass(frozen=True)
class Cascade:
    """Opens the cascade with the weights of its wheel. Fulfils `preprocessing.network.OpensNetwork`."""

    batches: bool = False  # also on a CPU

    def __call__(self, device: Device) -> CascadeNetwork:
        """On a device. UserError where torch has none of that name."""
        return CascadeNetwork(device, batches=self.batches or device != CPU)

    def __str__(self) -> str:
        return "mtcnn"


class CascadeNetwork:
    """The cascade as a network whose outputs are found faces. Fulfils `preprocessing.network.Network`.

    On a CPU pictures pass one by one: a batch makes the last digits depend on the neighbours, and a threshold
    makes much of a last digit. On a GPU as many pass together as there are, as its time goes to starting
    small kernels.
    """

    def __init__(self, device: Device, *, batches: bool) -> None:
        import facenet_pytorch
        import torch

        require_device(device)
        self.inputs = [Port("image", ("N", None, None, 3))]
        self.outputs = [
            Port("boxes", ("N", "F", 4)),
            Port("landmarks", ("N", "F", 5, 2)),
            Port("scores", ("N", "F")),
        ]
        self._batches = Batches(MOST if batches else 1, filled=False)
        self._cascade = facenet_pytorch.MTCNN(
            keep_all=True, min_face_size=MIN_FACE_PIXELS, thresholds=list(STAGE_THRESHOLDS), device=device
        )
        self._cascade.to(memory_format=torch.channels_last)  # a quarter faster, most of it in the pooling

    def run_batch(
        self, images_rgb: Sequence[np.ndarray], normalise: Normaliser, outputs: Sequence[str] | None = None
    ) -> list[Answer]:
        """See `Network.run_batch`: boxes (1, F, 4), landmarks (1, F, 5, 2), scores (1, F), float32.

        Each picture has its own number of faces F.
        """
        assert normalise == PIXELS, "the cascade normalises its crops itself"
        with one_thread():
            found = self._batches.run(images_rgb, lambda some, _size: self._detect(np.stack(some)))
        if outputs is None:
            return found
        places = [[port.name for port in self.outputs].index(name) for name in outputs]
        return [[answer[place] for place in places] for answer in found]

    def _detect(self, images_rgb: np.ndarray) -> list[Answer]:
        """(N, h, w, 3) uint8, as one batch."""
        boxes, scores, landmarks = self._cascade.detect(images_rgb, landmarks=True)
        return [_answer(*each) for each in zip(boxes, landmarks, scores, strict=True)]


def _answer(boxes: Any, landmarks: Any, scores: Any) -> Answer:
    """What the cascade says of one picture, None for no face, as arrays for a batch of one."""
    if boxes is None:
        boxes, landmarks, scores = NO_FACES.boxes_xyxy, NO_FACES.landmarks_xy, NO_FACES.scores
    return [np.asarray(array, np.float32)[None] for array in (boxes, landmarks, scores)]
