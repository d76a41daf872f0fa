"""A network as the engines use it: 8-bit pictures in, raw outputs out, wherever it runs.

`HERE`, the place of a worker on its own core, opens it in this process on one thread. On a machine with a GPU
the same engines are built at `preprocessing.stage.detector_actor.There`, which sends the pictures to the
process that holds the GPU. An engine prepares pictures, reads outputs, and knows nothing of this.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

import numpy as np

from preprocessing.blob import Normaliser
from preprocessing.device import CPU, Device
from preprocessing.onnx_session import open_session

Answer = list[np.ndarray]
"""The outputs of a network for one picture, each for a batch of one."""


@dataclass(frozen=True)
class Port:
    """An input or output of a network; a free dimension is a name or None."""

    name: str
    shape: tuple[int | str | None, ...]


class Network(Protocol):
    """An opened model with one input of pictures, (N, 3, H, W) or (N, H, W, 3).

    Where N is a number it takes one picture at a time; where it is free, any number of one size.
    """

    inputs: list[Port]
    outputs: list[Port]

    def run(
        self, image_rgb: np.ndarray, normalise: Normaliser, outputs: Sequence[str] | None = None
    ) -> Answer:
        """(H, W, 3) uint8 RGB -> the named outputs (all if none are named), each for a batch of one."""
        ...

    def run_batch(
        self, images_rgb: Sequence[np.ndarray], normalise: Normaliser, outputs: Sequence[str] | None = None
    ) -> list[Answer]:
        """The same for several pictures of one size, as `run` answers for each."""
        ...


class OpensNetwork(Protocol):
    """What opens a network that is no ONNX file: plain data that passes between processes.

    A frozen dataclass, so that equal ones are one network in the process that holds the GPU.
    """

    def __call__(self, device: Device) -> Network:
        """Open it there, on one thread where that is the CPU. WeightsError in one line if it cannot be."""
        ...


Model = Path | OpensNetwork
"""An ONNX file, or what opens a network of another make."""


class Place(Protocol):
    """Where the networks of engines run."""

    def network(self, model: Model) -> Network:
        """Open a model there. WeightsError in one line where it is none."""
        ...


class LocalNetwork:
    """An ONNX file in this process, on one thread of the CPU. Fulfils `Network`."""

    def __init__(self, path: Path) -> None:
        self._session = open_session(path)
        self.inputs = ports(self._session.get_inputs())
        self.outputs = ports(self._session.get_outputs())

    def run(
        self, image_rgb: np.ndarray, normalise: Normaliser, outputs: Sequence[str] | None = None
    ) -> Answer:
        """See `Network.run`."""
        arrays: Answer = self._session.run(outputs, {self.inputs[0].name: normalise(image_rgb)})
        return arrays

    def run_batch(
        self, images_rgb: Sequence[np.ndarray], normalise: Normaliser, outputs: Sequence[str] | None = None
    ) -> list[Answer]:
        """One by one: on one thread a batch is no faster, and no result can depend on its neighbours."""
        return [self.run(image, normalise, outputs) for image in images_rgb]


class BatchedNetwork:
    """An ONNX file on a device, in batches. Fulfils `Network`.

    On a GPU the last digits of a picture's answer hang on the size of its batch, as its libraries choose how
    to add up by that; never on what the other pictures show.
    """

    def __init__(self, path: Path, device: Device) -> None:
        """UserError where ONNX Runtime cannot use the device, WeightsError where the file is no model."""
        self._session = open_session(path, device)
        self.inputs = ports(self._session.get_inputs())
        self.outputs = ports(self._session.get_outputs())

    def run(
        self, image_rgb: np.ndarray, normalise: Normaliser, outputs: Sequence[str] | None = None
    ) -> Answer:
        """See `Network.run`."""
        return self.run_batch([image_rgb], normalise, outputs)[0]

    def run_batch(
        self, images_rgb: Sequence[np.ndarray], normalise: Normaliser, outputs: Sequence[str] | None = None
    ) -> list[Answer]:
        """See `Network.run_batch`. One by one where an output does not follow the size of the batch."""
        size = len(images_rgb)
        if isinstance(self.inputs[0].shape[0], int):
            return [self._run(normalise(image), outputs) for image in images_rgb]
        arrays = self._run(np.concatenate([normalise(image) for image in images_rgb]), outputs)
        if size == 1:
            return [arrays]
        if any(array.shape[:1] != (size,) for array in arrays):
            return [self._run(normalise(image), outputs) for image in images_rgb]
        return [[array[n : n + 1] for array in arrays] for n in range(size)]

    def _run(self, blob: np.ndarray, outputs: Sequence[str] | None) -> Answer:
        arrays: Answer = self._session.run(outputs, {self.inputs[0].name: blob})
        return arrays


@dataclass(frozen=True)
class Here:
    """This process: a worker's own core, or all of a device for ONNX files and torch. Fulfils `Place`."""

    device: Device = CPU
    batches: bool = False  # whether ONNX files get batches on a CPU, too

    def network(self, model: Model) -> Network:
        """See `Place.network`."""
        if not isinstance(model, Path):
            return model(self.device)
        return BatchedNetwork(model, self.device) if self.batches else LocalNetwork(model)


HERE = Here()
"""A worker's own core."""


def ports(nodes: Sequence[Any]) -> list[Port]:
    """Names and shapes of ONNX Runtime's node descriptions."""
    return [Port(node.name, tuple(node.shape)) for node in nodes]
