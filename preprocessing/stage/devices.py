"""The processes that run networks for all workers, as the driver sees them: their start, places and usage."""

from __future__ import annotations

import itertools
import math
import time
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

from cache.errors import UserError
from preprocessing.device import CPU, Device
from preprocessing.engines import EngineChoices, build_engines
from preprocessing.network import Place
from preprocessing.stage.detector_actor import DetectorActor
from preprocessing.stage.remote import PlaceLostError, There
from preprocessing.stage.usage import DeviceUsage

START_SECONDS = 60.0  # for the processes on the GPUs
USAGE_SECONDS = 5.0  # between two questions for the usage, and for the answer to the last one
MAX_REQUESTS = 1000  # that wait side by side
DECODING_SHARE = 0.4  # of each GPU, for workers that decode on it; its process has more: two never share one


class Devices:
    """One process on each GPU that Ray knows; on `cpu`, one process that stands for a GPU."""

    def __init__(self, device: Device, *, share: float = 1.0) -> None:
        """share: of each GPU. UserError in one line where there is no GPU, or none is free."""
        import ray

        self._device = device
        resources: dict[str, float] = ray.cluster_resources()  # type: ignore[no-untyped-call]
        num = 1 if device == CPU else int(resources.get("GPU", 0))
        if num == 0:
            raise UserError("no GPU: Ray found none on this machine or cluster (see `videofer doctor`)")
        options = {
            "num_cpus": 0,
            "num_gpus": 0 if device == CPU else share,
            "max_restarts": -1,
            "max_concurrency": MAX_REQUESTS,
        }
        as_actor: Any = ray.remote(DetectorActor)
        self._actors = [as_actor.options(**options).remote(device) for _ in range(num)]
        self._tallies = [_Tally(actor) for actor in self._actors]
        try:
            ray.get([actor.usage.remote() for actor in self._actors], timeout=START_SECONDS)
        except ray.exceptions.GetTimeoutError:
            self.close()
            waited = f"{START_SECONDS:.0f} s"
            raise UserError(f"no GPU became free within {waited}: other jobs hold them") from None
        except ray.exceptions.RayError as error:
            self.close()
            raise UserError(f"the process on the GPU does not start: {_last_line(error)}") from None

    def __len__(self) -> int:
        return len(self._actors)

    def places(self) -> Iterator[Place]:
        """Of the next worker's networks: each process in turn, for ever."""
        return itertools.cycle([There(actor, self._device) for actor in self._actors])

    def load(self, choices: EngineChoices) -> None:
        """Open the networks of these engines everywhere: what cannot be had is known before any work.

        WeightsError or UserError in one line.
        """
        for actor in self._actors:
            try:
                build_engines(choices, There(actor, self._device))
            except PlaceLostError as error:
                raise UserError(str(error)) from error

    def poll(self) -> None:
        """Called often: asks for the usage now and then, so that little is lost with a process."""
        for tally in self._tallies:
            tally.poll()

    def usage(self) -> list[DeviceUsage]:
        """Of every process, those that it took the place of included."""
        return [
            replace(tally.last(), device=CPU if self._device == CPU else f"cuda:{n}")
            for n, tally in enumerate(self._tallies)
        ]

    def close(self) -> None:
        """End the processes."""
        import ray

        for actor in self._actors:
            ray.kill(actor, no_restart=True)


class _Tally:
    """Adds up what one actor did, over its restarts."""

    def __init__(self, actor: Any) -> None:
        self._actor = actor
        self._request: Any = None
        self._asked = time.monotonic()
        self._birth = ""
        self._before = DeviceUsage("", 0.0)  # of processes that died
        self._newest = DeviceUsage("", 0.0)

    def poll(self) -> None:
        import ray

        if self._request is not None and ray.wait([self._request], timeout=0)[0]:
            self._take()
        if self._request is None and time.monotonic() - self._asked >= USAGE_SECONDS:
            self._ask()

    def last(self) -> DeviceUsage:
        """After a last question, which may stay without an answer."""
        import ray

        self._ask()
        if ray.wait([self._request], timeout=USAGE_SECONDS)[0]:
            self._take()
        return self._before + self._newest

    def _ask(self) -> None:
        self._asked = time.monotonic()
        self._request = self._actor.usage.remote()

    def _take(self) -> None:
        import ray

        request, self._request = self._request, None
        try:
            birth, usage = ray.get(request)
        except ray.exceptions.RayError:  # dead just now; the next one is asked later
            return
        if self._birth and birth != self._birth:
            self._before = replace(self._before + self._newest, num_restarts=self._before.num_restarts + 1)
        self._birth, self._newest = birth, usage


def decoding_share(num_gpus: int, num_workers: int) -> float:
    """What each worker reserves of a GPU to decode there: Ray hides GPUs from those that reserve nothing.

    As many workers as lie on the fullest GPU fit into DECODING_SHARE of it. Ray counts in ten thousandths.
    """
    on_each = -(-num_workers // num_gpus)
    return max(1, math.floor(DECODING_SHARE * 10_000 / on_each)) / 10_000


def _last_line(error: Exception) -> str:
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    return lines[-1].removeprefix("cache.errors.UserError: ")
