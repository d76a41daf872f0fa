"""Workers of a study as Ray actors: hands out videos, watches them, replaces those that die or hang.

A worker has one video at a time. If it dies, or shows no progress for long, the video is tried once more in
a fresh process after all others; then it is a failure. So a bad video costs two processes, and chance none.
"""

from __future__ import annotations

import contextlib
import math
import time
from collections import Counter, deque
from collections.abc import Callable, Generator, Sequence
from dataclasses import dataclass, field
from typing import Any

from cache.errors import UserError
from preprocessing.device import CPU
from preprocessing.stage.cluster import running_ray
from preprocessing.stage.threads import THREAD_VARIABLES
from videofer.study.spec import StudySpec, VideoTask
from videofer.study.worker import Answer, StudyWorker

POLL_SECONDS = 0.5
SIGN_SECONDS = 1.0  # between two questions to a worker
SILENT_SECONDS = 300.0  # at a video, without progress
START_SECONDS = 180.0  # for a process to begin
MAX_LOST = 2  # processes a video may cost
MAX_DEAD_STARTS = 5
GROUPS = {"signs": 1}  # threads of an actor besides the one that works

OnWork = Callable[[float], None]
"""Gets the media seconds of videos under way that are done, whenever that is known anew."""


def gpu_share(num_workers: int) -> float:
    """What each of so many workers has of the GPUs: a part of one, or whole ones. Ray runs already."""
    import ray

    resources: dict[str, float] = ray.cluster_resources()  # type: ignore[no-untyped-call]
    num_gpus = int(resources.get("GPU", 0))
    if num_gpus >= num_workers:
        return num_gpus // num_workers
    # So many workers share a GPU that none is left without; Ray counts in ten thousandths.
    return math.floor(1e4 / math.ceil(num_workers / max(num_gpus, 1))) / 1e4


@dataclass(eq=False)
class _Worker:
    """An actor with what it is at."""

    actor: Any
    awaited: Any  # reference to its first sign of life, then to its answer; None while it waits
    task: VideoTask | None = None
    used: bool = False
    asked: float = 0.0
    sign: Any = None  # reference to a later sign of life
    beats: int = -1
    last_progress: float = field(default_factory=time.monotonic)
    share: float = 0.0


def run_videos(
    tasks: Sequence[VideoTask],
    spec: StudySpec,
    *,
    workers: int,
    address: str | None,
    worker: type = StudyWorker,
    silent_seconds: float = SILENT_SECONDS,
    on_work: OnWork = lambda _seconds: None,
) -> Generator[tuple[VideoTask, Answer], None, None]:
    """Yields each task with its answer, as they come. Closing the generator stops what is under way.

    worker: what does the work, with the methods of a `StudyWorker`. Raises UserError where none can start.
    """
    with running_ray(address, workers):
        crew = _Crew(tasks, spec, worker, workers, silent_seconds)
        try:
            while crew.is_busy:
                yield from crew.turn()
                on_work(crew.media_seconds_under_way)
        finally:
            crew.stop()


class _Crew:
    """All workers of one run."""

    def __init__(
        self, tasks: Sequence[VideoTask], spec: StudySpec, worker: type, size: int, silent_seconds: float
    ) -> None:
        import ray

        as_actor: Any = ray.remote
        actor = as_actor(
            num_cpus=1,
            num_gpus=0 if spec.device == CPU else gpu_share(size),
            max_restarts=0,
            concurrency_groups=GROUPS,
            runtime_env={"env_vars": THREAD_VARIABLES},
        )(worker)
        self._new_actor: Callable[[], Any] = lambda: actor.remote(spec)
        self._size, self._silent_seconds = size, silent_seconds
        self._queue, self._again = deque(tasks), deque[VideoTask]()
        self._workers: list[_Worker] = []
        self._lost: Counter[str] = Counter()
        self._dead_starts = 0  # one after the other

    @property
    def is_busy(self) -> bool:
        return bool(self._queue or self._again or any(worker.task for worker in self._workers))

    @property
    def media_seconds_under_way(self) -> float:
        return sum(worker.share * worker.task.duration_seconds for worker in self._workers if worker.task)

    def turn(self) -> list[tuple[VideoTask, Answer]]:
        """Hand out, wait a moment, and gather what is done."""
        import ray

        self._hand_out()
        awaited = {worker.awaited: worker for worker in self._workers if worker.awaited is not None}
        ready, _ = ray.wait(list(awaited), num_returns=1, timeout=POLL_SECONDS)
        if ready:  # and whatever else is
            ready, _ = ray.wait(list(awaited), num_returns=len(awaited), timeout=0)
        done = [self._gather(awaited[reference]) for reference in ready]
        done += [self._watch(worker) for worker in list(self._workers)]
        return [one for one in done if one is not None]

    def stop(self) -> None:
        """End all processes, whatever they are at."""
        for worker in list(self._workers):
            self._dismiss(worker)

    def _hand_out(self) -> None:
        """Give each worker that waits a video; start as many as there is work for; end the others."""
        for worker in [one for one in self._workers if one.awaited is None]:
            if self._queue:
                self._begin(worker, self._queue.popleft())
            elif self._again and not worker.used:
                self._begin(worker, self._again.popleft())
            else:
                self._dismiss(worker)
        num_starting = sum(worker.task is None for worker in self._workers)
        num_waiting = len(self._queue) + len(self._again) - num_starting
        for _ in range(min(num_waiting, self._size - len(self._workers))):
            actor = self._new_actor()
            self._workers.append(_Worker(actor, actor.sign.options(concurrency_group="signs").remote()))

    def _begin(self, worker: _Worker, task: VideoTask) -> None:
        worker.task, worker.used, worker.share = task, True, 0.0
        worker.awaited = worker.actor.work.remote(task)
        worker.last_progress = time.monotonic()

    def _gather(self, worker: _Worker) -> tuple[VideoTask, Answer] | None:
        """Take what a worker says: that it is there, or its answer."""
        import ray

        task = worker.task
        try:
            said = ray.get(worker.awaited)
        except ray.exceptions.RayError as error:
            return self._lose(worker, "its process died", error)
        self._dead_starts, worker.awaited, worker.task = 0, None, None
        return None if task is None else (task, said)

    def _watch(self, worker: _Worker) -> tuple[VideoTask, Answer] | None:
        """Ask for a sign of life, and read the last one."""
        import ray

        if worker.awaited is None:
            return None
        now = time.monotonic()
        if worker.sign is not None and ray.wait([worker.sign], timeout=0)[0]:
            with contextlib.suppress(ray.exceptions.RayError):  # its answer tells
                beats, worker.share = ray.get(worker.sign)
                if beats != worker.beats:
                    worker.beats, worker.last_progress = beats, now
            worker.sign = None
        if worker.task is not None and worker.sign is None and now - worker.asked >= SIGN_SECONDS:
            worker.asked = now
            worker.sign = worker.actor.sign.options(concurrency_group="signs").remote()
        allowed = self._silent_seconds if worker.task is not None else START_SECONDS
        if now - worker.last_progress <= allowed:
            return None
        return self._lose(worker, f"no progress for {allowed:.0f} s", None)

    def _lose(self, worker: _Worker, why: str, error: Exception | None) -> tuple[VideoTask, Answer] | None:
        """A process is gone, or must go: its video is tried again, or given up."""
        task = worker.task
        self._dismiss(worker)
        if task is None:  # no video's fault
            self._dead_starts += 1
            if self._dead_starts >= MAX_DEAD_STARTS or _is_its_own(error):
                raise UserError(f"no worker starts: {why if error is None else _last_line(error)}")
            return None
        self._lost[task.key] += 1
        if self._lost[task.key] < MAX_LOST:
            self._again.append(task)
            return None
        return task, Answer(task.key, failed=f"{why}, twice")

    def _dismiss(self, worker: _Worker) -> None:
        import ray

        self._workers.remove(worker)
        with contextlib.suppress(ray.exceptions.RayError, ValueError):
            ray.kill(worker.actor, no_restart=True)


def _is_its_own(error: Exception | None) -> bool:
    """Whether a worker told why it could not begin: the next one would say the same."""
    return "Traceback" in str(error)


def _last_line(error: Exception) -> str:
    return [line.strip() for line in str(error).splitlines() if line.strip()][-1]
