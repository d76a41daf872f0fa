"""A network as the engines use it: one 8-bit picture in, raw outputs out, wherever it runs.

`LocalNetwork` runs in this process on one thread. On a machine with a GPU the same engines are built on
`preprocessing.stage.detector_actor.RemoteNetwork`, which sends the picture to the process that holds the GPU.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

import numpy as np

from preprocessing.blob import Normaliser
from preprocessing.onnx_session import open_session


@dataclass(frozen=True)
class Port:
    """An input or output of a network; a free dimension is a name or None."""

    name: str
    shape: tuple[int | str | None, ...]


class Network(Protocol):
    """An opened model with one input of pictures, (N, 3, H, W) or (N, H, W, 3)."""

    inputs: list[Port]
    outputs: list[Port]

    def run(
        self, image_rgb: np.ndarray, normalise: Normaliser, outputs: Sequence[str] | None = None
    ) -> list[np.ndarray]:
        """(H, W, 3) uint8 RGB -> the named outputs (all if none are named), each for a batch of one."""
        ...


OpenNetwork = Callable[[Path], Network]
"""Opens a model file. Raises WeightsError in one line where it is none."""


class LocalNetwork:
    """Fulfils `Network` in this process, on one thread of the CPU."""

    def __init__(self, path: Path) -> None:
        self._session = open_session(path)
        self.inputs = ports(self._session.get_inputs())
        self.outputs = ports(self._session.get_outputs())

    def run(
        self, image_rgb: np.ndarray, normalise: Normaliser, outputs: Sequence[str] | None = None
    ) -> list[np.ndarray]:
        """See `Network.run`."""
        arrays: list[np.ndarray] = self._session.run(outputs, {self.inputs[0].name: normalise(image_rgb)})
        return arrays


def ports(nodes: Sequence[Any]) -> list[Port]:
    """Names and shapes of ONNX Runtime's node descriptions."""
    return [Port(node.name, tuple(node.shape)) for node in nodes]
