"""Hands jobs to workers, watches them, and commits what they finish. Only the driver writes records.

Blame: a video is given up only when it fails alone in a fresh process: at once if it hangs there or takes
too much memory, at the third time if the process dies, for that can come from outside. A worker that dies
or hangs for whatever reason sends its video there; every other video whose shard it had open is done again.
"""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field, replace

from cache.errors import UserError
from cache.schema import FailureRecord
from cache.store import Store
from preprocessing.discover import place
from preprocessing.pipeline import SegmentOutcome, assemble
from preprocessing.stage.job import Handle, Job, Pool, Reply, WorkerLostError

POLL_SECONDS = 0.1
MAX_DEATHS_ALONE = 3
STOP_SECONDS = 20.0  # for workers to seal what they finished, when the run is cut short


class StageError(UserError, RuntimeError):
    """The stage itself cannot work. The message is one line for the user."""


@dataclass(frozen=True)
class Watch:
    """When a worker is taken for hung. Times in seconds."""

    silent_seconds: float = 60.0  # no progress for so long
    deadline_base_seconds: float = 300.0  # one video: so long, and
    deadline_factor: float = 60.0  # so many times its media time done so far
    max_rss_bytes: int = 8 << 30
    start_seconds: float = 180.0  # for the first sign of life of a new worker


@dataclass
class Totals:
    """How far the stage is."""

    num_jobs: int
    num_done: int = 0
    num_failed: int = 0
    num_frames: int = 0
    media_seconds: float = 0.0
    num_workers_lost: int = 0


@dataclass
class _Worker:
    """A handle with what the driver knows of it."""

    handle: Handle
    born: float
    starting: bool = True  # until its first sign of life; a death before it is no video's fault
    job: Job | None = None
    alone: bool = False  # this job runs alone in this process
    used: bool = False
    sealing: bool = False
    started: float = 0.0  # when the request was made
    beats: int = -1
    last_progress: float = 0.0
    media_seconds: float = 0.0
    unsealed: list[tuple[Job, SegmentOutcome]] = field(default_factory=list)

    @property
    def busy(self) -> bool:
        return self.starting or self.job is not None or self.sealing


class Driver:
    """One run over a list of jobs. The caller holds the store's lock."""

    def __init__(
        self,
        store: Store,
        pool: Pool,
        num_workers: int,
        watch: Watch | None = None,
        on_progress: Callable[[Totals], None] = lambda _totals: None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._store, self._pool, self._num_workers = store, pool, num_workers
        self._watch = watch or Watch()
        self._on_progress = on_progress
        self._clock = clock
        self._workers: list[_Worker] = []
        self._queue: deque[Job] = deque()
        self._suspects: deque[Job] = deque()  # to be run alone in a fresh process
        self._failures: list[FailureRecord] = []
        self._failed_before = {failure.path for failure in store.failures()}
        self._deaths_at_start = 0
        self.totals = Totals(0)

    def run(self, jobs: list[Job]) -> list[FailureRecord]:
        """Process every job; returns the failures, which are recorded in the store as well."""
        self._queue.extend(jobs)
        self.totals = Totals(len(jobs))
        try:
            while True:
                self._assign()
                busy = [w for w in self._workers if w.busy]
                if not self._queue and not self._suspects and all(w.starting for w in busy):
                    if not any(w.unsealed for w in self._workers):
                        break
                    self._seal_all()
                    busy = [w for w in self._workers if w.busy]
                self._pool.wait([w.handle for w in busy], POLL_SECONDS)
                for worker in busy:
                    self._attend(worker)
        finally:
            self._stop()
        return self._failures

    # --- handing out -----------------------------------------------------------------------------

    def _assign(self) -> None:
        """Give every idle worker a job, and start as many workers as there is work for."""
        for worker in [w for w in self._workers if not w.busy]:
            if self._suspects and not worker.used:
                self._start(worker, self._suspects.popleft(), alone=True)
            elif self._suspects and worker.unsealed:
                self._request_seal(worker)  # to make room for a fresh one
            elif self._suspects:
                self._remove(worker)
            elif self._queue:
                self._start(worker, self._queue.popleft(), alone=False)
        num_wanted = len(self._suspects) + len(self._queue)
        num_wanted -= sum(worker.starting for worker in self._workers)
        for _ in range(min(num_wanted, self._num_workers - len(self._workers))):
            now = self._clock()
            self._workers.append(_Worker(self._pool.spawn(), born=now, last_progress=now))

    def _start(self, worker: _Worker, job: Job, *, alone: bool) -> None:
        job.attempts += 1
        worker.job, worker.alone, worker.used = job, alone, True
        worker.started = worker.last_progress = self._clock()
        worker.media_seconds = 0.0
        worker.handle.submit(job)

    def _request_seal(self, worker: _Worker) -> None:
        worker.sealing = True
        worker.started = worker.last_progress = self._clock()
        worker.handle.seal()

    def _seal_all(self) -> None:
        for worker in self._workers:
            if worker.unsealed and not worker.busy:
                self._request_seal(worker)

    # --- watching --------------------------------------------------------------------------------

    def _attend(self, worker: _Worker) -> None:
        try:
            if worker.starting:
                worker.starting = worker.handle.vitals() is None
                if worker.starting and self._clock() - worker.born > self._watch.start_seconds:
                    self._bury(worker, f"no sign of life {self._watch.start_seconds:.0f} s after the start")
                elif not worker.starting:
                    self._deaths_at_start = 0
                return
            reply = worker.handle.reply()
            if reply is not None and reply.hopeless:
                worker.unsealed.clear()  # they cannot be sealed either
                raise StageError(reply.hopeless)
            if reply is not None and reply.unfit:
                raise WorkerLostError(reply.unfit)
            if reply is not None:
                self._take(worker, reply)
                return
            reason = self._overdue(worker)
        except WorkerLostError as error:
            if worker.job is not None and worker.alone:
                worker.job.deaths_alone += 1
            self._bury(worker, str(error))
            return
        if reason is not None:
            if worker.job is not None and worker.alone:
                worker.job.deaths_alone = MAX_DEATHS_ALONE
            self._bury(worker, reason)

    def _overdue(self, worker: _Worker) -> str | None:
        """Why the worker must be ended, None while it may go on."""
        now, vitals = self._clock(), worker.handle.vitals()
        if vitals is None:
            if now - worker.born > self._watch.start_seconds:
                return (
                    f"the worker gave no sign of life for {self._watch.start_seconds:.0f} s after its start"
                )
            worker.started = worker.last_progress = now
            return None
        self._deaths_at_start = 0
        if vitals.beats != worker.beats:
            worker.beats, worker.last_progress = vitals.beats, now
            worker.media_seconds = vitals.media_seconds
        if now - worker.last_progress > self._watch.silent_seconds:
            return f"no progress for {self._watch.silent_seconds:.0f} s"
        allowed = self._watch.deadline_base_seconds + self._watch.deadline_factor * worker.media_seconds
        if now - worker.started > allowed:
            return f"not done after {allowed:.0f} s"
        if vitals.rss_bytes > self._watch.max_rss_bytes:
            return f"used more than {self._watch.max_rss_bytes / 2**30:.1f} GiB of memory"
        return None

    def _bury(self, worker: _Worker, reason: str) -> None:
        """The worker is dead or must die: save what can be, send its job to run alone or give it up."""
        self.totals.num_workers_lost += 1
        job = worker.job
        self._remove(worker)
        for lost, _ in worker.unsealed:
            lost.attempts -= 1
            self._queue.append(lost)
        if worker.starting:
            self._deaths_at_start += 1
            if self._deaths_at_start >= 3:
                raise StageError(f"workers cannot start: {reason}")
        elif job is not None and job.deaths_alone >= MAX_DEATHS_ALONE:
            self._fail(job, "worker", "WorkerLostError", reason)
        elif job is not None:
            self._suspects.append(job)

    def _remove(self, worker: _Worker) -> None:
        worker.handle.kill()
        self._workers.remove(worker)

    # --- finishing -------------------------------------------------------------------------------

    def _take(self, worker: _Worker, reply: Reply) -> None:
        job, worker.job, worker.sealing = worker.job, None, False
        if job is not None and reply.outcome is not None:
            worker.unsealed.append((job, reply.outcome))
            self.totals.num_done += 1
            self.totals.num_frames += reply.outcome.record.num_frames
            self.totals.media_seconds += reply.outcome.t_end - reply.outcome.t_start
            self._on_progress(self.totals)
        elif job is not None:
            self._fail(job, reply.failed_stage, reply.failed_error, reply.failed_reason)
        self._commit(worker, reply.sealed)
        if worker.alone:
            worker.alone = False
            if worker.unsealed:
                self._request_seal(worker)

    def _commit(self, worker: _Worker, sealed: list[str]) -> None:
        """Commit, in one go, every video whose shard has its final name."""
        finished = [u for u in worker.unsealed if u[1].record.shard in sealed]
        if not finished:
            return
        worker.unsealed = [u for u in worker.unsealed if u[1].record.shard not in sealed]
        self._store.commit_all(
            [
                replace(assemble(job.source, job.key, outcome), names=[s.name for s in job.sources])
                for job, outcome in finished
            ]
        )
        for job, outcome in finished:
            for source in job.sources:
                if place(source.path) in self._failed_before:
                    self._store.clear_failure(place(source.path))
            if outcome.damage:
                self._record(job.failures("decode", "InputError", f"{outcome.damage}; the rest is stored"))

    def _fail(self, job: Job, stage: str, error: str, reason: str) -> None:
        self.totals.num_failed += 1
        self._record(job.failures(stage, error, reason))
        self._on_progress(self.totals)

    def _record(self, failures: list[FailureRecord]) -> None:
        for failure in failures:
            self._store.record_failure(failure)
        self._failures += failures

    def _stop(self) -> None:
        """End all workers. After an interruption they give their finished videos first."""
        for worker in self._workers:
            if worker.unsealed and worker.job is not None:
                worker.handle.interrupt()
        self._seal_all()
        limit = self._clock() + STOP_SECONDS
        while (waiting := [w for w in self._workers if w.busy and w.unsealed]) and self._clock() < limit:
            self._pool.wait([w.handle for w in waiting], POLL_SECONDS)
            for worker in waiting:
                try:
                    reply = worker.handle.reply()
                except WorkerLostError as error:
                    reply = Reply(unfit=str(error))
                if reply is None:
                    continue
                if reply.unfit or reply.hopeless:
                    worker.unsealed.clear()
                    continue
                if reply.interrupted:
                    worker.job = None
                self._take(worker, reply)
                if worker.unsealed and not worker.busy:
                    self._request_seal(worker)
        for worker in list(self._workers):
            self._remove(worker)
        self._pool.close()
