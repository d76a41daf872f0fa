"""One process that holds a GPU and runs the networks for all workers of a node.

Workers send reduced pictures and crops, 8 bits a channel; whole frames never leave them. Each network has a
lane: see `preprocessing.stage.lane`.
"""

from __future__ import annotations

import asyncio
import os
import sys
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from uuid import uuid4

import numpy as np

from preprocessing.blob import Normaliser
from preprocessing.device import CPU, FIRST_GPU, Device
from preprocessing.network import Answer, Here, Model, Network, Port
from preprocessing.stage.lane import MAX_BATCH, DeviceLostError, Lane
from preprocessing.stage.usage import BusyClock, DeviceUsage


class DetectorActor:
    """Runs networks in batches. Its methods are coroutines: hundreds of requests wait side by side."""

    def __init__(self, device: Device = FIRST_GPU, max_batch: int = MAX_BATCH) -> None:
        self._here = Here(device)
        self._max_batch = max_batch
        self._clock = BusyClock()
        self._lanes: dict[Model, asyncio.Task[Lane]] = {}
        self._birth = uuid4().hex

    async def open(self, model: Model) -> tuple[list[Port], list[Port]]:
        """Load a model once; its inputs and outputs. WeightsError or UserError where that cannot be done."""
        network = (await self._lane(model)).network
        return network.inputs, network.outputs

    async def run(
        self,
        model: Model,
        images_rgb: Sequence[np.ndarray],
        normalise: Normaliser,
        outputs: tuple[str, ...] | None = None,
    ) -> list[Answer]:
        """As `Network.run_batch`. Opens the model where a restarted actor does not have it yet.

        A device that is lost ends the process: Ray starts another, and asks that again.
        """
        lane = await self._lane(model)
        try:
            return await lane.run(images_rgb, normalise, outputs)
        except DeviceLostError as error:
            print(f"the device is lost, starting anew: {error}", file=sys.stderr, flush=True)
            os._exit(1)

    async def usage(self) -> tuple[str, DeviceUsage]:
        """What this process did so far, with a name that no other process has."""
        lanes = [task.result() for task in self._lanes.values() if task.done() and not task.exception()]
        used = [lane.usage for lane in lanes]
        return self._birth, DeviceUsage(self._here.device, self._clock.seconds, used)

    async def _lane(self, model: Model) -> Lane:
        """Of a model, which is opened by the first who asks; where that fails, by the next one again."""
        task = self._lanes.get(model)
        if task is None:
            task = self._lanes[model] = asyncio.create_task(self._open(model))
        try:
            return await asyncio.shield(task)
        except Exception:
            if self._lanes.get(model) is task:
                del self._lanes[model]
            raise

    async def _open(self, model: Model) -> Lane:
        """On the thread that will run it."""
        thread = ThreadPoolExecutor(1)
        network = await asyncio.get_running_loop().run_in_executor(thread, open_network, self._here, model)
        return Lane(name_of(model), network, self._clock, self._max_batch, thread)


def open_network(here: Here, model: Model) -> Network:
    """Open a model here. torch computes in full float32 and one way on a GPU: nothing else uses it here."""
    if here.device != CPU and not isinstance(model, Path):
        import torch

        torch.backends.cudnn.allow_tf32 = torch.backends.cuda.matmul.allow_tf32 = False
        torch.backends.cudnn.deterministic = True
    return here.network(model)


def name_of(model: Model) -> str:
    """For people."""
    return model.stem if isinstance(model, Path) else str(model)
