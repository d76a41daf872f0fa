"""Workers as Ray actors, on this machine or on a cluster."""

from __future__ import annotations

import contextlib
import itertools
import time
from collections import deque
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from cache.errors import UserError
from preprocessing.device import Device
from preprocessing.engines import EngineChoices
from preprocessing.network import HERE, Place
from preprocessing.spec import PreprocessSpec
from preprocessing.stage.cluster import start_ray
from preprocessing.stage.devices import DECODING_SHARE, Devices, decoding_share
from preprocessing.stage.job import Handle, Job, Reply, Vitals, WorkerLostError
from preprocessing.stage.threads import THREAD_VARIABLES
from preprocessing.stage.usage import DeviceUsage
from preprocessing.stage.worker import Worker, new_crash_file, take_crash

VITALS_SECONDS = 0.9  # between two questions; asked at every turn of the driver they would keep it busy
GROUPS = {"signs": 1}  # threads of an actor besides the one that works


class RayHandle:
    """One actor. Its second thread answers `vitals` while the first one works."""

    def __init__(self, actor: Any, crash_file: Path) -> None:
        self._actor = actor
        self._crash_file = crash_file
        self._requests: deque[Any] = deque()
        self._newest: Vitals | None = None
        self._vitals_request: Any = None
        self._asked = 0.0
        self._ask()

    @property
    def awaited(self) -> Any:
        """What to wait for: the oldest answer that is under way, or the first sign of life."""
        return self._requests[0] if self._requests else self._vitals_request

    def submit(self, job: Job) -> None:
        self._requests.append(self._actor.process.remote(job))

    def seal(self) -> None:
        self._requests.append(self._actor.seal.remote())

    def reply(self) -> Reply | None:
        if not self._requests or not _is_ready(self._requests[0]):
            return None
        reply = self._get(self._requests.popleft())
        assert isinstance(reply, Reply)
        return reply

    def vitals(self) -> Vitals | None:
        if self._vitals_request is not None and _is_ready(self._vitals_request):
            self._newest = self._get(self._vitals_request)
            self._vitals_request = None
        if self._vitals_request is None and time.monotonic() - self._asked >= VITALS_SECONDS:
            self._ask()
        return self._newest

    def interrupt(self) -> None:
        with contextlib.suppress(_ray_error()):
            self._actor.interrupt.options(concurrency_group="signs").remote()

    def kill(self) -> None:
        import ray

        with contextlib.suppress(_ray_error(), ValueError):
            ray.kill(self._actor, no_restart=True)
        take_crash(self._crash_file)

    def _ask(self) -> None:
        self._asked = time.monotonic()
        self._vitals_request = self._actor.vitals.options(concurrency_group="signs").remote()

    def _get(self, request: Any) -> Any:
        import ray

        try:
            return ray.get(request)
        except _ray_error() as error:
            crash = take_crash(self._crash_file)
            lines = [line.strip() for line in str(error).splitlines() if line.strip()]
            if any("Traceback" in line for line in lines):  # in the constructor: methods return their errors
                raise WorkerLostError(lines[-1], at_start=True) from None
            raise WorkerLostError(crash or "the worker process died", crashed=bool(crash)) from None


class RayPool:
    """Starts one actor per core asked for."""

    def __init__(
        self,
        store_dir: Path,
        spec: PreprocessSpec,
        choices: EngineChoices,
        *,
        num_workers: int,
        address: str | None = None,
        device: Device | None = None,
    ) -> None:
        """device: what runs the networks for all workers, a process on each GPU or one on the `cpu`;
        None: each worker runs them on its own core. Raises UserError or WeightsError in one line.
        """
        import ray

        self._ours = start_ray(address, num_workers)
        self._places: Iterator[Place] = itertools.repeat(HERE)  # of each worker's networks
        self._devices: Devices | None = None
        self.device_usage: list[DeviceUsage] = []
        decodes_there, share = choices.decoder == "torchcodec:cuda", 0.0
        if device is not None:
            try:
                self._devices = Devices(device, share=1 - DECODING_SHARE if decodes_there else 1)
                self._devices.load(choices)
            except UserError:
                self.close()
                raise
            self._places = self._devices.places()
            if decodes_there:
                share = decoding_share(len(self._devices), num_workers)
        as_actor: Any = ray.remote  # its stubs know no concurrency groups
        self._actor = as_actor(
            num_cpus=1,
            num_gpus=share,
            max_restarts=0,
            concurrency_groups=GROUPS,
            runtime_env={"env_vars": THREAD_VARIABLES},
        )(Worker)
        self._store_dir = store_dir
        self._arguments = (store_dir, spec, choices)

    def spawn(self) -> RayHandle:
        crash_file = new_crash_file(self._store_dir)
        actor = self._actor.remote(*self._arguments, crash_file, next(self._places))
        return RayHandle(actor, crash_file)

    def wait(self, handles: list[Handle], timeout_seconds: float) -> list[Handle]:
        import ray

        if self._devices is not None:
            self._devices.poll()
        owners = {h.awaited: h for h in handles if isinstance(h, RayHandle) and h.awaited is not None}
        if not owners:
            time.sleep(timeout_seconds)
            return []
        ready, others = ray.wait(list(owners), num_returns=1, timeout=timeout_seconds)
        if ready and others:
            ready += ray.wait(others, num_returns=len(others), timeout=0)[0]
        return [owners[request] for request in ready]

    def close(self) -> None:
        import ray

        if self._devices is not None:
            self.device_usage = self._devices.usage()
            self._devices.close()
            self._devices = None
        if self._ours:
            ray.shutdown()


def _is_ready(request: Any) -> bool:
    import ray

    return bool(ray.wait([request], timeout=0)[0])


def _ray_error() -> type[Exception]:
    """All that Ray says of actors and nodes that are gone."""
    import ray

    error: type[Exception] = ray.exceptions.RayError
    return error
