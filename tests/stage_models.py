"""Small networks for tests of the process that runs networks for all workers."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from preprocessing.blob import Normaliser
from preprocessing.device import Device
from preprocessing.network import Answer, Network, Port
from tests.onnx_models import node, save_model

NORMALISE = Normaliser(mean=(123.675, 116.28, 103.53), std=(58.395, 57.12, 57.375))
SIZE_WH = (32, 24)


def small_model(path: Path, *, batch: int | str = "N", loses_batch: bool = False) -> Path:
    """Two outputs of a picture of SIZE_WH pixels; one of them may lose the dimension of the batch."""
    kernel = np.random.default_rng(0).normal(size=(5, 3, 4, 4)).astype(np.float32)
    axes = [0, 3] if loses_batch else [3]
    return save_model(
        path,
        input_shape=(batch, 3, SIZE_WH[1], SIZE_WH[0]),
        outputs={"maps": (batch, 5, 6, 8), "peaks": (5, 6) if loses_batch else (batch, 5, 6)},
        nodes=[
            node("Conv", ["image", "kernel"], ["maps"], strides=[4, 4]),
            node("ReduceMax", ["maps"], ["peaks"], axes=axes, keepdims=0),
        ],
        constants={"kernel": kernel},
    )


def pictures(num: int) -> list[np.ndarray]:
    """(24, 32, 3) uint8 noise."""
    rng = np.random.default_rng(0)
    return [rng.integers(0, 256, (SIZE_WH[1], SIZE_WH[0], 3), np.uint8) for _ in range(num)]


@dataclass(frozen=True)
class Doomed:
    """Opens a network that is no ONNX file, and that ends as its fate says.

    once: never. lost: it says what a lost GPU says. dies: it ends its process, always; with a `marker`, only
    until that file is there, which it makes. tell: never; its input has the device's name.
    """

    fate: str
    marker: Path | None = None

    def __call__(self, device: Device) -> Network:
        return _DoomedNetwork(self, device)


class _DoomedNetwork:
    def __init__(self, model: Doomed, device: Device) -> None:
        self._model = model
        self.inputs = [Port(device, ("N", 3, None, None))]
        self.outputs = [Port("mean", ("N", 1))]

    def run_batch(
        self, images_rgb: Sequence[np.ndarray], normalise: Normaliser, outputs: Sequence[str] | None = None
    ) -> list[Answer]:
        marker = self._model.marker
        if self._model.fate == "lost":
            raise RuntimeError("CUDA error: an illegal memory access was encountered")
        if self._model.fate == "dies" and not (marker and marker.exists()):
            if marker:
                marker.touch()
            os._exit(1)
        return [[normalise(image).mean(keepdims=True)] for image in images_rgb]
