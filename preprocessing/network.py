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

from preprocessing.batches import Batches
from preprocessing.blob import Normaliser
from preprocessing.device import CPU, Device
from preprocessing.onnx_session import open_session

BATCH = 8  # pictures that pass together on a GPU: 8 of 512x288 are 14 MB
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

    def run_batch(
        self, images_rgb: Sequence[np.ndarray], normalise: Normaliser, outputs: Sequence[str] | None = None
    ) -> list[Answer]:
        """Pictures (H, W, 3) uint8 RGB of one size -> of each the named outputs (all if none are named).

        An output is an array for a batch of one, and does not depend on the other pictures.
        """
        ...


def run_one(
    network: Network, image_rgb: np.ndarray, normalise: Normaliser, outputs: Sequence[str] | None = None
) -> Answer:
    """What a network answers to a single picture, see `Network.run_batch`."""
    return network.run_batch([image_rgb], normalise, outputs)[0]


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

    @property
    def device(self) -> Device:
        """What they run on: it stands in what is stored of a video, for last digits depend on it."""
        ...

    def network(self, model: Model) -> Network:
        """Open a model there. WeightsError in one line where it is none."""
        ...


class LocalNetwork:
    """An ONNX file in this process, on one thread of the CPU. Fulfils `Network`."""

    def __init__(self, path: Path) -> None:
        self._session = open_session(path)
        self.inputs = ports(self._session.get_inputs())
        self.outputs = ports(self._session.get_outputs())

    def run_batch(
        self, images_rgb: Sequence[np.ndarray], normalise: Normaliser, outputs: Sequence[str] | None = None
    ) -> list[Answer]:
        """One by one: on one thread a batch is no faster, and no result can depend on its neighbours."""
        name = self.inputs[0].name
        return [self._session.run(outputs, {name: normalise(image)}) for image in images_rgb]


class BatchedNetwork:
    """An ONNX file on a GPU, in batches of one size, filled up with zeros. Fulfils `Network`.

    See `preprocessing.batches` for why, and for what happens where memory is short.
    """

    def __init__(self, path: Path, device: Device, batch: int = BATCH) -> None:
        """UserError where ONNX Runtime cannot use the device, WeightsError where the file is no model."""
        self._session = open_session(path, device)
        self.inputs = ports(self._session.get_inputs())
        self.outputs = ports(self._session.get_outputs())
        fixed = self.inputs[0].shape[0]
        self._batches = Batches(fixed, can_shrink=False) if isinstance(fixed, int) else Batches(batch)

    def run_batch(
        self, images_rgb: Sequence[np.ndarray], normalise: Normaliser, outputs: Sequence[str] | None = None
    ) -> list[Answer]:
        """See `Network.run_batch`. One by one from the first output on that does not follow the batch."""

        def compute(some: Sequence[np.ndarray], size: int) -> list[Answer] | None:
            arrays = self._run(some, size, normalise, outputs)
            if size == 1:
                return [arrays]
            if any(array.shape[:1] != (size,) for array in arrays):
                return None
            return [[array[n : n + 1] for array in arrays] for n in range(len(some))]

        return self._batches.run(images_rgb, compute)

    def _run(
        self,
        images_rgb: Sequence[np.ndarray],
        size: int,
        normalise: Normaliser,
        outputs: Sequence[str] | None,
    ) -> Answer:
        """The outputs for a batch of that size, of which these are the first pictures."""
        blobs = [normalise(image) for image in images_rgb]
        filling = np.zeros((size - len(blobs), *blobs[0].shape[1:]), np.float32)
        arrays: Answer = self._session.run(outputs, {self.inputs[0].name: np.concatenate([*blobs, filling])})
        return arrays


@dataclass(frozen=True)
class Here:
    """This process: a worker's own core, or a GPU that it holds. Fulfils `Place`."""

    device: Device = CPU

    def network(self, model: Model) -> Network:
        """See `Place.network`."""
        if not isinstance(model, Path):
            return model(self.device)
        return LocalNetwork(model) if self.device == CPU else BatchedNetwork(model, self.device)


HERE = Here()
"""A worker's own core."""


def ports(nodes: Sequence[Any]) -> list[Port]:
    """Names and shapes of ONNX Runtime's node descriptions."""
    return [Port(node.name, tuple(node.shape)) for node in nodes]
