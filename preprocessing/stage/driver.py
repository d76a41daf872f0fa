"""Hands jobs to workers, watches them, and has what they finish committed. Only the driver writes records.

Blame: a job is given up only when it fails alone in a fresh process: at once if it hangs there or takes too
much memory, at the second time if it crashes the process, and if the process is simply gone when chance is
no explanation any more (see `blame`). A worker that dies or hangs for whatever reason sends the job it was
at there; what waited behind that, and every other video whose shard it had open, is done again.
"""

from __future__ import annotations

import time
from collections import Counter, deque
from collections.abc import Callable, Sequence

from cache.errors import UserError
from cache.schema import FailureRecord
from cache.store import Store
from preprocessing.spec import PreprocessSpec
from preprocessing.stage.blame import Blame
from preprocessing.stage.job import KILLED, Job, Pool, Reply, WorkerLostError
from preprocessing.stage.pending import Pending
from preprocessing.stage.totals import Totals
from preprocessing.stage.videos import Finished, Videos
from preprocessing.stage.watch import Watch, WatchedWorker

POLL_SECONDS = 0.1
CHECK_SECONDS, CHECK_SECONDS_A_WORKER = 1.0, 0.02  # between two looks at the signs of life of all workers
QUEUE_DEPTH = 2  # jobs a worker has at once, where they are short: it never waits for the driver
SHORT_BYTES = 16 << 20  # a larger file takes so long that nobody feels the wait after it
MAX_CRASHES_ALONE = 2  # of a process by its own doing
MAX_DEATHS_ALONE = 30  # without a verdict: the next run may be luckier
MAX_SECONDS_ALONE = 1800.0  # that such deaths may cost
MAX_FAILED_STARTS = 3  # one after the other, with an error
MAX_DEAD_STARTS = 20  # one after the other, without a word
STOP_SECONDS = 20.0  # for workers to seal what they finished, when the run is cut short


class StageError(UserError, RuntimeError):
    """The stage itself cannot work. The message is one line for the user."""


class Driver:
    """One run over a list of jobs. The caller holds the store's lock."""

    def __init__(
        self,
        store: Store,
        pool: Pool,
        num_workers: int,
        spec: PreprocessSpec,
        *,
        pending: Pending | None = None,
        watch: Watch | None = None,
        on_progress: Callable[[Totals], None] = lambda _totals: None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._store, self._pool, self._num_workers = store, pool, num_workers
        self._watch = watch or Watch()
        self._on_progress = on_progress
        self._clock = clock
        self._workers: list[WatchedWorker] = []
        self._queue: deque[Job] = deque()
        self._suspects: deque[Job] = deque()  # to be run alone in a fresh process
        self._put_off: deque[Job] = deque()  # suspects whose turn comes when all else is done
        self._blame = Blame()
        self._crashes_alone: Counter[str] = Counter()
        self._failed_starts = self._dead_starts = self._dead_seals = 0
        self._stopped = False
        self.totals = Totals(0)
        self._videos = Videos(store, spec, pending or Pending(store, spec), self.totals)

    def run(self, jobs: Sequence[Job]) -> list[FailureRecord]:
        """Process every job; returns the failures, which are recorded in the store as well."""
        self._queue.extend(jobs)
        totals = self.totals
        totals.num_jobs = totals.num_segments = len(jobs)
        totals.num_bytes = sum(job.num_bytes for job in jobs)
        checked = self._clock()
        try:
            while True:
                if self._stopped:
                    raise KeyboardInterrupt
                self._assign()
                busy = [w for w in self._workers if w.busy]
                if all(w.starting for w in busy) and not (self._queue or self._suspects or self._put_off):
                    break
                ready = {id(handle) for handle in self._pool.wait([w.handle for w in busy], POLL_SECONDS)}
                now = self._clock()
                check_all = now - checked >= max(CHECK_SECONDS, CHECK_SECONDS_A_WORKER * len(self._workers))
                if check_all:
                    checked = now
                for worker in busy:
                    if check_all or id(worker.handle) in ready:
                        self._attend(worker)
                if check_all:
                    totals.media_seconds_under_way = sum(w.media_seconds for w in self._workers if w.jobs)
                    self._on_progress(totals)
        finally:
            self._stop()
        return self._videos.failures

    @property
    def failures(self) -> list[FailureRecord]:
        """Those of this run so far."""
        return self._videos.failures

    def stop(self) -> None:
        """Let `run` end soon by KeyboardInterrupt; may be called from a signal handler."""
        self._stopped = True

    # --- handing out -----------------------------------------------------------------------------

    def _assign(self) -> None:
        """Give every worker something to do, and start as many workers as there is work for."""
        if not self._queue and not self._suspects:
            self._suspects, self._put_off = self._put_off, deque()
        for worker in list(self._workers):
            if worker.busy:
                continue
            if self._suspects and not worker.used:
                self._start(worker, self._suspects.popleft(), alone=True)
            elif worker.unsealed and (self._suspects or not self._queue):
                self._request_seal(worker)  # to make room for a fresh one, or because nothing is left to do
            elif self._suspects:
                self._remove(worker)
            elif self._queue:
                self._start(worker, self._queue.popleft(), alone=False)
        for worker in self._workers:  # now that none is idle
            self._prefetch(worker)
        num_wanted = len(self._suspects) + len(self._queue)
        num_wanted -= sum(worker.starting for worker in self._workers)
        for _ in range(min(num_wanted, self._num_workers - len(self._workers))):
            now = self._clock()
            self._workers.append(WatchedWorker(self._pool.spawn(), born=now, last_progress=now))

    def _prefetch(self, worker: WatchedWorker) -> None:
        """A short job more, to be there when the one under way is done."""
        while (
            worker.jobs
            and self._queue
            and not worker.alone
            and not self._suspects
            and len(worker.jobs) < QUEUE_DEPTH
            and self._queue[0].num_bytes <= SHORT_BYTES
            and self._queue[0].span is None
        ):
            self._submit(worker, self._queue.popleft())

    def _start(self, worker: WatchedWorker, job: Job, *, alone: bool) -> None:
        worker.alone, worker.used = alone, True
        self._submit(worker, job)
        worker.begin(self._clock())

    def _submit(self, worker: WatchedWorker, job: Job) -> None:
        job.attempts += 1
        worker.jobs.append(job)
        worker.handle.submit(job)

    def _request_seal(self, worker: WatchedWorker) -> None:
        worker.sealing = True
        worker.begin(self._clock())
        worker.handle.seal()

    # --- watching --------------------------------------------------------------------------------

    def _attend(self, worker: WatchedWorker) -> None:
        """Take the worker's answers, look at its signs of life, end it if it must be."""
        try:
            if worker.starting:
                self._await_start(worker)
                return
            while (reply := worker.handle.reply()) is not None:
                if reply.hopeless:
                    worker.unsealed.clear()  # they cannot be sealed either
                    raise StageError(reply.hopeless)
                if reply.no_place:
                    worker.jobs.popleft()  # what it finished before can be sealed
                    raise StageError(reply.no_place)
                if reply.unfit:
                    self._convict(worker, reply.unfit)
                    return
                self._take(worker, reply)
                if not worker.jobs:
                    return
            reason = worker.why_overdue(self._watch, self._clock())
        except WorkerLostError as error:
            self._mourn(worker, error)
            return
        if reason is not None:
            self._convict(worker, reason)

    def _await_start(self, worker: WatchedWorker) -> None:
        worker.starting = worker.handle.vitals() is None
        if not worker.starting:
            self._failed_starts = self._dead_starts = 0
        elif self._clock() - worker.born > self._watch.start_seconds:
            reason = f"no sign of life {self._watch.start_seconds:.0f} s after the start"
            raise WorkerLostError(reason, at_start=True)

    # --- losses ----------------------------------------------------------------------------------

    def _convict(self, worker: WatchedWorker, reason: str) -> None:
        """The worker hangs, swells or broke down: there is a reason in the job itself, if it ran alone."""
        job = self._bury(worker)
        if job is None:
            return
        self._blame.saw(job.name, self._clock() - worker.started, died=False, alone=worker.alone)
        if worker.alone:
            self._fail(job, reason)
        else:
            self._suspects.append(job)

    def _mourn(self, worker: WatchedWorker, error: WorkerLostError) -> None:
        """The worker's process is gone, for whatever reason."""
        job = self._bury(worker)
        if worker.starting:
            self._failed_starts += error.at_start
            self._dead_starts += not error.at_start
            if self._failed_starts >= MAX_FAILED_STARTS or self._dead_starts >= MAX_DEAD_STARTS:
                raise StageError(f"workers cannot start: {error}")
        if worker.sealing:
            self._dead_seals += 1
            if self._dead_seals >= MAX_DEAD_STARTS:
                raise StageError(f"workers cannot finish their shards: {error}")
        if job is None:
            return
        seconds = self._clock() - worker.started
        self._blame.saw(job.name, seconds, died=not error.crashed, alone=worker.alone)
        if not worker.alone:
            self._suspects.append(job)
        elif error.crashed:
            self._crashes_alone[job.name] += 1
            if self._crashes_alone[job.name] >= MAX_CRASHES_ALONE:
                self._fail(job, str(error))
            else:
                self._suspects.append(job)
        elif self._blame.is_guilty(job.name):
            number = self._blame.num_deaths_alone(job.name)
            self._fail(job, f"its worker died {number} times when it ran alone: {error}")
        elif self._is_enough(job):
            number = self._blame.num_deaths_alone(job.name)
            reason = f"its worker was ended from outside {number} times; the next run tries it again"
            self._videos.fail(job, "worker", KILLED, reason)
            self._on_progress(self.totals)
        else:
            self._put_off.append(job)

    def _is_enough(self, job: Job) -> bool:
        """Whether no more is to be spent on a job whose workers are ended again and again."""
        deaths = self._blame.num_deaths_alone(job.name)
        seconds = self._blame.seconds_alone(job.name)
        return deaths >= MAX_DEATHS_ALONE or (deaths > 2 and seconds > MAX_SECONDS_ALONE)

    def _bury(self, worker: WatchedWorker) -> Job | None:
        """Take a worker out and save what can be; the job that it was at, if it was at one."""
        self.totals.num_workers_lost += 1
        self._remove(worker)
        for waiting in reversed(list(worker.jobs)[1:]):
            waiting.attempts -= 1
            self._queue.appendleft(waiting)
        for lost in worker.unsealed:
            lost.job.attempts -= 1
            self._queue.append(lost.job)
            self._tell(lost, -1)
        return worker.jobs[0] if worker.jobs else None

    def _remove(self, worker: WatchedWorker) -> None:
        worker.handle.kill()
        self._workers.remove(worker)

    # --- finishing -------------------------------------------------------------------------------

    def _take(self, worker: WatchedWorker, reply: Reply) -> None:
        """One answer, the oldest that was asked for."""
        job = None
        if worker.sealing:
            worker.sealing = False
            self._dead_seals = 0
        elif worker.jobs:
            job = worker.jobs.popleft()
        seconds = self._clock() - worker.started
        worker.begin(self._clock())
        if job is not None and not reply.interrupted:
            self._blame.saw(job.name, seconds, died=False, alone=worker.alone)
        if job is not None and reply.outcome is not None:
            stage_seconds = Counter(reply.outcome.stage_seconds)
            stage_seconds.update(reply.seconds)
            finished = Finished(job, reply.outcome, seconds, dict(stage_seconds))
            worker.unsealed.append(finished)
            self._tell(finished, +1)
        elif job is not None and reply.spans:
            self._queue.extendleft(reversed(self._videos.cut(job, reply.spans)))
        elif job is not None and reply.failed_stage:
            self._videos.fail(job, reply.failed_stage, reply.failed_error, reply.failed_reason)
        if reply.sealed:
            self._commit(worker, set(reply.sealed))
        self._on_progress(self.totals)
        if worker.alone:
            worker.alone = False
            if worker.unsealed:
                self._request_seal(worker)

    def _tell(self, finished: Finished, sign: int) -> None:
        """Count what a worker finished, or what was lost with it after all."""
        totals, outcome = self.totals, finished.outcome
        totals.num_segments_done += sign
        totals.num_frames += sign * outcome.record.num_frames
        totals.media_seconds += sign * (outcome.t_end - outcome.t_start)
        if finished.job.span is None:
            totals.num_done += sign
            totals.num_bytes_done += sign * finished.job.num_bytes

    def _commit(self, worker: WatchedWorker, sealed: set[str]) -> None:
        """All that lies in shards that have their final names now."""
        finished = [item for item in worker.unsealed if item.outcome.record.shard in sealed]
        worker.unsealed = [item for item in worker.unsealed if item.outcome.record.shard not in sealed]
        self.totals.bytes_written += sum(self._store.shard_path(name).stat().st_size for name in sealed)
        self._videos.seal(finished)

    def _fail(self, job: Job, reason: str) -> None:
        self._videos.fail(job, "worker", "WorkerLostError", reason)
        self._on_progress(self.totals)

    def _stop(self) -> None:
        """End all workers. After an interruption they give their finished videos first."""
        try:
            for worker in self._workers:
                if worker.unsealed and worker.jobs:
                    worker.handle.interrupt()
            limit = self._clock() + STOP_SECONDS
            while self._clock() < limit:
                for worker in self._workers:
                    if worker.unsealed and not worker.busy:
                        self._request_seal(worker)
                waiting = [w for w in self._workers if w.unsealed]
                if not waiting:
                    break
                self._pool.wait([w.handle for w in waiting], POLL_SECONDS)
                for worker in waiting:
                    self._take_last(worker)
        finally:
            for worker in list(self._workers):
                self._remove(worker)
            self._pool.close()

    def _take_last(self, worker: WatchedWorker) -> None:
        try:
            reply = worker.handle.reply()
        except WorkerLostError:
            worker.unsealed.clear()
            return
        if reply is None:
            return
        if reply.unfit or reply.hopeless:
            worker.unsealed.clear()
            return
        if reply.no_place:
            worker.jobs.popleft()
            return
        self._take(worker, reply)
