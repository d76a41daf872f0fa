"""One network in the process that holds a GPU, and the pictures of all workers that wait for it.

While one batch computes the next one gathers: pictures that wait go together if they have one size and are to
be normalised and answered alike, whatever video they come from. Nobody waits for a batch to fill.
"""

from __future__ import annotations

import asyncio
import time
from collections import OrderedDict, deque
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

import numpy as np

from preprocessing.batches import is_memory
from preprocessing.blob import Normaliser
from preprocessing.network import Answer, Network
from preprocessing.stage.usage import BusyClock, NetworkUsage

MAX_BATCH = 64
LOST_DEVICE = ("CUDA error", "CUDA failure", "CUDNN failure", "CUBLAS failure", "CUDNN_STATUS")


class DeviceLostError(Exception):
    """The device answers nothing more in this process; a new one may find it well again."""


@dataclass(frozen=True, eq=False)
class _Picture:
    """One that waits."""

    image_rgb: np.ndarray
    answer: asyncio.Future[Answer]


@dataclass(frozen=True)
class _Kind:
    """Pictures that can go in one batch."""

    shape: tuple[int, ...]
    normalise: Normaliser
    outputs: tuple[str, ...] | None


class Lane:
    """Runs one network, one batch after the other, on a thread of its own."""

    def __init__(
        self, name: str, network: Network, clock: BusyClock, max_batch: int, thread: ThreadPoolExecutor
    ) -> None:
        """thread: the one on which the network was opened. A network that takes one picture gets one."""
        self.name, self.network = name, network
        takes_many = not isinstance(network.inputs[0].shape[0], int)
        self.max_batch = max_batch if takes_many else 1
        self._clock, self._thread = clock, thread
        self._waiting: OrderedDict[_Kind, deque[_Picture]] = OrderedDict()
        self._server: asyncio.Task[None] | None = None
        self._num_pictures, self._num_batches, self._busy_seconds = 0, 0, 0.0

    async def run(
        self, images_rgb: Sequence[np.ndarray], normalise: Normaliser, outputs: tuple[str, ...] | None = None
    ) -> list[Answer]:
        """As `Network.run_batch`. Raises RuntimeError for a picture that the network fails on alone, and
        DeviceLostError where no picture can be answered any more."""
        loop = asyncio.get_running_loop()
        pictures = [_Picture(image, loop.create_future()) for image in images_rgb]
        for picture in pictures:
            kind = _Kind(picture.image_rgb.shape, normalise, outputs)
            self._waiting.setdefault(kind, deque()).append(picture)
        if self._server is None or self._server.done():
            self._server = asyncio.create_task(self._serve())
        answers = await asyncio.gather(*(each.answer for each in pictures), return_exceptions=True)
        for answer in answers:
            if isinstance(answer, BaseException):
                raise answer
        return [answer for answer in answers if not isinstance(answer, BaseException)]

    @property
    def usage(self) -> NetworkUsage:
        """So far."""
        return NetworkUsage(self.name, self._num_pictures, self._num_batches, self._busy_seconds)

    async def _serve(self) -> None:
        """Until nobody waits: each kind in turn, so that none waits for ever behind another."""
        while self._waiting:
            kind, waiting = self._waiting.popitem(last=False)
            batch = [waiting.popleft() for _ in range(min(self.max_batch, len(waiting)))]
            if waiting:
                self._waiting[kind] = waiting
            await self._answer(kind, batch)

    async def _answer(self, kind: _Kind, batch: list[_Picture]) -> None:
        """Give each of a batch its answer or its error."""
        failed: Exception | None = None
        try:
            answers = await asyncio.get_running_loop().run_in_executor(
                self._thread, self._infer, kind, [picture.image_rgb for picture in batch]
            )
        except Exception as error:  # those who asked must not wait for ever
            failed = RuntimeError(str(error))  # which holds nothing of the batch in the device's memory
        if failed is not None:
            await self._bear(kind, batch, failed)
            return
        for picture, answer in zip(batch, answers, strict=True):
            if not picture.answer.done():  # who asked may have gone
                picture.answer.set_result(answer)

    async def _bear(self, kind: _Kind, batch: list[_Picture], error: Exception) -> None:
        """A batch failed: its halves may not, and a bad picture fails alone."""
        if is_lost(error) or len(batch) == 1:
            # Errors of libraries may not pass to a worker.
            kept = DeviceLostError if is_lost(error) else RuntimeError
            for picture in batch:
                if not picture.answer.done():
                    picture.answer.set_exception(kept(" ".join(str(error).split())[:500]))
            return
        middle = (len(batch) + 1) // 2
        await self._answer(kind, batch[:middle])
        await self._answer(kind, batch[middle:])

    def _infer(self, kind: _Kind, images_rgb: list[np.ndarray]) -> list[Answer]:
        began = time.perf_counter()
        try:
            with self._clock.busy():
                answers = self.network.run_batch(images_rgb, kind.normalise, kind.outputs)
        finally:
            self._busy_seconds += time.perf_counter() - began
        assert len(answers) == len(images_rgb), f"{self.name} gave {len(answers)} answers"
        self._num_pictures += len(images_rgb)
        self._num_batches += 1
        return answers


def is_lost(error: Exception) -> bool:
    """Whether the device fails in this process for good, as after an illegal access to its memory."""
    return not is_memory(error) and any(words in str(error) for words in LOST_DEVICE)
