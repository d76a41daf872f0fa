"""Workers of a study as Ray actors: hands out videos, watches them, replaces those that die or hang.

A worker has one video at a time. If it dies, or shows no progress for long, the video is tried once more in
a fresh process after all others; then it is a failure. So a bad video costs two processes, and chance none.
"""

from __future__ import annotations

import contextlib
import time
from collections import Counter, deque
from collections.abc import Callable, Generator, Sequence
from dataclasses import dataclass, field
from typing import Any

from cache.errors import UserError
from preprocessing.stage.cluster import running_ray
from preprocessing.stage.threads import THREAD_VARIABLES
from videofer.study.spec import StudySpec, VideoTask
from videofer.study.worker import Answer, StudyWorker

POLL_SECONDS = 0.5
SIGN_SECONDS = 1.0  # between two questions to a worker
SILENT_SECONDS = 300.0
MAX_LOST = 2  # processes a video may cost
GROUPS = {"signs": 1}  # threads of an actor besides the one that works

OnWork = Callable[[float], None]
"""Gets the media seconds of videos under way that are done, whenever that is known anew."""


@dataclass(eq=False)
class _Worker:
    """An actor with what it is at."""

    actor: Any
    task: VideoTask
    answer: Any  # reference to its answer
    asked: float = 0.0
    sign: Any = None  # reference to its sign of life
    beats: int = -1
    last_progress: float = field(default_factory=time.monotonic)
    share: float = 0.0


def run_videos(
    tasks: Sequence[VideoTask],
    spec: StudySpec,
    *,
    workers: int,
    address: str | None,
    silent_seconds: float = SILENT_SECONDS,
    on_work: OnWork = lambda _seconds: None,
) -> Generator[tuple[VideoTask, Answer], None, None]:
    """Yields each task with its answer, as they come. Closing the generator stops what is under way."""
    with running_ray(address, workers):
        crew = _Crew(tasks, spec, workers, silent_seconds)
        try:
            while crew.is_busy:
                yield from crew.turn()
                on_work(crew.media_seconds_under_way)
        finally:
            crew.stop()


class _Crew:
    """All workers of one run."""

    def __init__(
        self, tasks: Sequence[VideoTask], spec: StudySpec, workers: int, silent_seconds: float
    ) -> None:
        import ray

        as_actor: Any = ray.remote
        actor = as_actor(
            num_cpus=1,
            max_restarts=0,
            concurrency_groups=GROUPS,
            runtime_env={"env_vars": THREAD_VARIABLES},
        )(StudyWorker)
        self._new_actor: Callable[[], Any] = lambda: actor.remote(spec)
        self._size, self._silent_seconds = workers, silent_seconds
        self._queue, self._again = deque(tasks), deque[VideoTask]()
        self._busy: list[_Worker] = []
        self._idle: list[Any] = []
        self._lost: Counter[str] = Counter()

    @property
    def is_busy(self) -> bool:
        return bool(self._busy or self._queue or self._again)

    @property
    def media_seconds_under_way(self) -> float:
        return sum(worker.share * worker.task.duration_seconds for worker in self._busy)

    def turn(self) -> list[tuple[VideoTask, Answer]]:
        """Hand out, wait a moment, and gather what is done."""
        import ray

        self._hand_out()
        awaited = {worker.answer: worker for worker in self._busy}
        ready, _ = ray.wait(list(awaited), num_returns=1, timeout=POLL_SECONDS)
        if ready:  # and whatever else is
            ready, _ = ray.wait(list(awaited), num_returns=len(awaited), timeout=0)
        done = [found for reference in ready if (found := self._gather(awaited[reference])) is not None]
        done += [found for worker in list(self._busy) if (found := self._watch(worker)) is not None]
        return done

    def stop(self) -> None:
        """End all processes, whatever they are at."""
        for actor in [*self._idle, *(worker.actor for worker in self._busy)]:
            _kill(actor)
        self._busy, self._idle = [], []

    def _hand_out(self) -> None:
        while len(self._busy) < self._size and (self._queue or self._again):
            if self._queue:
                task, actor = self._queue.popleft(), self._idle.pop() if self._idle else self._new_actor()
            else:
                task, actor = self._again.popleft(), self._new_actor()  # in a fresh process
            self._busy.append(_Worker(actor, task, actor.work.remote(task)))
        if not self._queue:
            while self._idle:
                _kill(self._idle.pop())

    def _gather(self, worker: _Worker) -> tuple[VideoTask, Answer] | None:
        import ray

        try:
            answer = ray.get(worker.answer)
        except ray.exceptions.RayActorError as error:
            _refuse_bad_start(error)
            return self._lose(worker, "its process died")
        self._busy.remove(worker)
        self._idle.append(worker.actor)
        return worker.task, answer

    def _watch(self, worker: _Worker) -> tuple[VideoTask, Answer] | None:
        """Ask for a sign of life, and read the last one."""
        import ray

        now = time.monotonic()
        if worker.sign is not None and ray.wait([worker.sign], timeout=0)[0]:
            with contextlib.suppress(ray.exceptions.RayError):  # its answer tells
                beats, worker.share = ray.get(worker.sign)
                if beats != worker.beats:
                    worker.beats, worker.last_progress = beats, now
            worker.sign = None
        if worker.sign is None and now - worker.asked >= SIGN_SECONDS:
            worker.asked = now
            worker.sign = worker.actor.sign.options(concurrency_group="signs").remote()
        if now - worker.last_progress <= self._silent_seconds:
            return None
        _kill(worker.actor)
        return self._lose(worker, f"no progress for {self._silent_seconds:.0f} s")

    def _lose(self, worker: _Worker, why: str) -> tuple[VideoTask, Answer] | None:
        """The process is gone: its video is tried again, or given up."""
        self._busy.remove(worker)
        self._lost[worker.task.key] += 1
        if self._lost[worker.task.key] < MAX_LOST:
            self._again.append(worker.task)
            return None
        return worker.task, Answer(worker.task.key, failed=f"{why}, twice")


def _refuse_bad_start(error: Exception) -> None:
    """UserError where the worker could not even begin: the next one would fare no better."""
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    if any("Traceback" in line for line in lines):  # of the constructor: `work` returns its errors
        raise UserError(f"no worker starts: {lines[-1]}") from None


def _kill(actor: Any) -> None:
    import ray

    with contextlib.suppress(ray.exceptions.RayError, ValueError):
        ray.kill(actor, no_restart=True)
