"""One process that holds the GPU and runs the networks for all workers of a node.

Workers send reduced pictures and crops, 8 bits a channel; whole frames never leave them. While one batch is
on the GPU the next one gathers: pictures of all videos that wait for the same network in the same size go
together. With more workers than cores (they wait for answers) the GPU is kept busy.
"""

from __future__ import annotations

import asyncio
import itertools
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from cache.errors import UserError
from preprocessing.blob import Normaliser
from preprocessing.network import Answer, Model, Place, Port, ports
from preprocessing.onnx_session import open_session

MAX_BATCH = 64
START_SECONDS = 60.0  # for the processes on the GPUs
MAX_REQUESTS = 1000  # that wait side by side
GPU = "CUDAExecutionProvider"


def require_provider(provider: str) -> None:
    """Raises UserError where ONNX Runtime cannot use it."""
    import onnxruntime

    known = onnxruntime.get_available_providers()
    if provider not in known:
        raise UserError(
            f"ONNX Runtime here has no {provider} (it has {', '.join(known)}): "
            "put onnxruntime-gpu in the place of onnxruntime"
        )


class DetectorActor:
    """Runs networks in batches. Its methods are coroutines: hundreds of requests wait side by side."""

    def __init__(self, provider: str = GPU, max_batch: int = MAX_BATCH) -> None:
        require_provider(provider)
        self._provider, self._max_batch = provider, max_batch
        self._lanes: dict[Path, _Lane] = {}

    async def open(self, path: Path) -> tuple[list[Port], list[Port]]:
        """Load a model once; its inputs and outputs."""
        if path not in self._lanes:
            self._lanes[path] = _Lane(path, self._provider, self._max_batch)
        lane = self._lanes[path]
        return lane.inputs, lane.outputs

    async def run(self, path: Path, image_rgb: np.ndarray, normalise: Normaliser) -> Answer:
        """All outputs for one picture. Opens the model where a restarted actor does not have it yet."""
        await self.open(path)
        return await self._lanes[path].run(image_rgb, normalise)

    async def batch_sizes(self) -> list[int]:
        """Pictures of each batch so far."""
        return [size for lane in self._lanes.values() for size in lane.batch_sizes]


@dataclass(frozen=True, eq=False)
class _Request:
    """A picture that waits."""

    image_rgb: np.ndarray
    normalise: Normaliser
    answer: asyncio.Future[Answer]

    def fits(self, other: _Request) -> bool:
        """Whether both can go in one batch."""
        return self.image_rgb.shape == other.image_rgb.shape


class _Lane:
    """One network and the pictures that wait for it."""

    def __init__(self, path: Path, provider: str, max_batch: int) -> None:
        self._session = open_session(path, provider)
        self.inputs, self.outputs = ports(self._session.get_inputs()), ports(self._session.get_outputs())
        has_free_batch = not isinstance(self.inputs[0].shape[0], int)
        self._max_batch = max_batch if has_free_batch else 1
        self._waiting: list[_Request] = []
        self._server: asyncio.Task[None] | None = None
        self.batch_sizes: list[int] = []

    async def run(self, image_rgb: np.ndarray, normalise: Normaliser) -> Answer:
        request = _Request(image_rgb, normalise, asyncio.get_running_loop().create_future())
        self._waiting.append(request)
        if self._server is None or self._server.done():
            self._server = asyncio.create_task(self._serve())
        return await request.answer

    async def _serve(self) -> None:
        while self._waiting:
            first = self._waiting[0]
            batch = [request for request in self._waiting if request.fits(first)][: self._max_batch]
            self._waiting = [request for request in self._waiting if request not in batch]
            try:
                answers = await asyncio.to_thread(self._infer, batch)
            except Exception as error:  # those who asked must not wait for ever
                for request in batch:
                    request.answer.set_exception(RuntimeError(str(error)))
                continue
            for request, answer in zip(batch, answers, strict=True):
                request.answer.set_result(answer)

    def _infer(self, batch: Sequence[_Request]) -> list[Answer]:
        self.batch_sizes.append(len(batch))
        blob = np.concatenate([request.normalise(request.image_rgb) for request in batch])  # (N, 3, H, W)
        arrays = self._session.run(None, {self.inputs[0].name: blob})
        assert all(len(array) == len(batch) for array in arrays), "an output without a batch dimension"
        return [[array[n : n + 1] for array in arrays] for n in range(len(batch))]


def places_on_gpus(provider: str) -> Iterator[Place]:
    """Starts an actor on each GPU that Ray knows; the places there, in turn, for ever.

    UserError where there is no GPU, or ONNX Runtime cannot use it.
    """
    import ray

    resources: dict[str, float] = ray.cluster_resources()  # type: ignore[no-untyped-call]
    num_gpus = int(resources.get("GPU", 0))
    if num_gpus == 0:
        raise UserError("no GPU: Ray found none on this machine or cluster")
    options = {"num_cpus": 0, "num_gpus": 1, "max_restarts": -1, "max_concurrency": MAX_REQUESTS}
    as_actor: Any = ray.remote(DetectorActor)
    actors = [as_actor.options(**options).remote(provider) for _ in range(num_gpus)]
    try:
        ray.get([actor.batch_sizes.remote() for actor in actors], timeout=START_SECONDS)
    except ray.exceptions.GetTimeoutError:
        raise UserError(f"no GPU became free within {START_SECONDS:.0f} s: other jobs hold them") from None
    except ray.exceptions.RayError as error:
        lines = [line.strip() for line in str(error).splitlines() if line.strip()]
        raise UserError(lines[-1].removeprefix("cache.errors.UserError: ")) from error
    return itertools.cycle([There(actor) for actor in actors])


@dataclass(frozen=True)
class There:
    """The process behind an actor. Fulfils `preprocessing.network.Place`."""

    actor: Any

    def network(self, model: Model) -> RemoteNetwork:
        """See `Place.network`."""
        assert isinstance(model, Path), "only ONNX files so far"
        return RemoteNetwork(self.actor, model)


class RemoteNetwork:
    """Fulfils `preprocessing.network.Network` by asking the actor."""

    def __init__(self, actor: Any, path: Path) -> None:
        import ray

        self._actor, self._path = actor, path
        self.inputs, self.outputs = ray.get(actor.open.remote(path))
        self._place = {port.name: n for n, port in enumerate(self.outputs)}

    def run(
        self, image_rgb: np.ndarray, normalise: Normaliser, outputs: Sequence[str] | None = None
    ) -> Answer:
        """See `Network.run`."""
        return self.run_batch([image_rgb], normalise, outputs)[0]

    def run_batch(
        self, images_rgb: Sequence[np.ndarray], normalise: Normaliser, outputs: Sequence[str] | None = None
    ) -> list[Answer]:
        """See `Network.run_batch`."""
        import ray

        requests = [self._actor.run.remote(self._path, image, normalise) for image in images_rgb]
        answers: list[Answer] = ray.get(requests)
        if outputs is None:
            return answers
        return [[answer[self._place[name]] for name in outputs] for answer in answers]
