"""Workers as Ray actors, on this machine or on a cluster."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from preprocessing.engines import EngineChoices
from preprocessing.spec import PreprocessSpec
from preprocessing.stage.cluster import start_ray
from preprocessing.stage.job import Handle, Job, Reply, Vitals, WorkerLostError
from preprocessing.stage.worker import THREAD_VARIABLES, Worker


class RayHandle:
    """One actor. Its second thread answers `vitals` while the first one works."""

    def __init__(self, actor: Any) -> None:
        self._actor = actor
        self._request: Any = None
        self._vitals_request: Any = actor.vitals.remote()
        self._newest: Vitals | None = None

    @property
    def awaited(self) -> Any:
        """What to wait for: the answer that is under way, or the first sign of life."""
        return self._vitals_request if self._request is None else self._request

    def submit(self, job: Job) -> None:
        self._request = self._actor.process.remote(job)

    def seal(self) -> None:
        self._request = self._actor.seal.remote()

    def reply(self) -> Reply | None:
        import ray

        if self._request is None or not ray.wait([self._request], timeout=0)[0]:
            return None
        request, self._request = self._request, None
        try:
            reply = ray.get(request)
        except ray.exceptions.RayActorError as error:
            raise WorkerLostError(_one_line(error)) from None
        assert isinstance(reply, Reply)
        return reply

    def vitals(self) -> Vitals | None:
        import ray

        if ray.wait([self._vitals_request], timeout=0)[0]:
            try:
                self._newest = ray.get(self._vitals_request)
            except ray.exceptions.RayActorError as error:
                raise WorkerLostError(_one_line(error)) from None
            self._vitals_request = self._actor.vitals.remote()
        return self._newest

    def interrupt(self) -> None:
        self._actor.interrupt.remote()

    def kill(self) -> None:
        import ray

        ray.kill(self._actor, no_restart=True)


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
    ) -> None:
        import ray

        self._ours = start_ray(address, num_workers)
        actor = ray.remote(Worker)
        self._actor = actor.options(
            num_cpus=1, max_restarts=0, max_concurrency=2, runtime_env={"env_vars": THREAD_VARIABLES}
        )
        self._arguments = (store_dir, spec, choices)

    def spawn(self) -> RayHandle:
        return RayHandle(self._actor.remote(*self._arguments))

    def wait(self, handles: list[Handle], timeout_seconds: float) -> None:
        import ray

        awaited = [h.awaited for h in handles if isinstance(h, RayHandle)]
        if awaited:
            ray.wait(awaited, num_returns=1, timeout=timeout_seconds)

    def close(self) -> None:
        import ray

        if self._ours:
            ray.shutdown()


def _one_line(error: Exception) -> str:
    """The error raised in the actor's constructor, or that its process is gone."""
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    return lines[-1] if any("Traceback" in line for line in lines) else "the worker process died"
