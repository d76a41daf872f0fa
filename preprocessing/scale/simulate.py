"""A run as a sequence of events: workers take jobs from one queue, die, and lose what they had not sealed.

The same rules as `preprocessing.stage`: one driver hands out jobs one after the other, each worker does one
at a time, a worker that dies is replaced, and its unsealed jobs go to the end of the queue.
"""

from __future__ import annotations

import heapq
from collections import deque
from dataclasses import dataclass, field

import numpy as np

READY = -1  # in place of a job: a worker has started


@dataclass(frozen=True)
class Cluster:
    """What the jobs run on. Times in seconds."""

    num_workers: int
    workers_per_node: int = 1_000_000_000  # one node has them all
    driver_seconds: float = 0.0  # of the driver's time for a job; it does one at a time
    start_seconds: float = 0.0  # of a worker process until it takes a job

    def __post_init__(self) -> None:
        if self.num_workers < 1 or self.workers_per_node < 1:
            raise ValueError("a cluster has at least one worker, and at least one on each node")


@dataclass(frozen=True)
class Hazards:
    """What goes wrong."""

    deaths_per_worker_hour: float = 0.0
    node_losses_seconds: tuple[float, ...] = ()  # when a node goes for good: the first, the second, ...
    seal_seconds: float = 300.0  # a worker that dies loses the jobs it finished since its last seal


@dataclass(frozen=True)
class Simulated:
    """One simulated run. Runs of jobs in the order of their ends; a job that was lost has several."""

    makespan_seconds: float
    run_starts: np.ndarray  # (R,) float64 seconds
    run_ends: np.ndarray  # (R,) float64
    run_jobs: np.ndarray  # (R,) int64: index of the job
    run_was_lost: np.ndarray  # (R,) bool: cut short by a death
    num_redone: int  # jobs that were finished, not sealed, and lost with their worker
    num_deaths: int
    num_never_done: int  # jobs for which no worker was left

    @property
    def busy_seconds(self) -> float:
        return float(np.sum(self.run_ends - self.run_starts))

    def num_busy_at(self, seconds: np.ndarray) -> np.ndarray:
        """(N,) times -> (N,) workers that have a job then."""
        started = np.searchsorted(np.sort(self.run_starts), seconds, side="right")
        ended = np.searchsorted(np.sort(self.run_ends), seconds, side="right")
        busy: np.ndarray = started - ended
        return busy


@dataclass
class _Worker:
    node: int
    dies_at: float
    sealed_at: float
    unsealed: list[int] = field(default_factory=list)


def simulate(
    job_seconds: np.ndarray,
    cluster: Cluster,
    hazards: Hazards | None = None,
    rng: np.random.Generator | None = None,
) -> Simulated:
    """Run jobs (J,), in this order, to their end. Deterministic for a seed.

    Without hazards this is list scheduling: makespan <= total / workers + (1 - 1 / workers) * longest job.
    """
    return _Simulation(job_seconds, cluster, hazards or Hazards(), rng or np.random.default_rng(0)).run()


class _Simulation:
    """The state of one simulated run."""

    def __init__(
        self, job_seconds: np.ndarray, cluster: Cluster, hazards: Hazards, rng: np.random.Generator
    ) -> None:
        self.cluster, self.hazards, self.rng = cluster, hazards, rng
        self.seconds: list[float] = np.asarray(job_seconds, np.float64).tolist()
        self.queue = deque(range(len(self.seconds)))
        # (time, order, worker, start, job or READY, dies): the next events, the earliest first
        self.events: list[tuple[float, int, int, float, int, bool]] = []
        self.num_events = 0
        self.workers = [self._born(0.0, n // cluster.workers_per_node) for n in range(cluster.num_workers)]
        self.idle: list[int] = []
        self.driver_free = 0.0
        self.starts: list[float] = []
        self.ends: list[float] = []
        self.jobs: list[int] = []
        self.lost: list[bool] = []
        self.num_deaths = self.num_redone = 0

    def run(self) -> Simulated:
        for number in range(len(self.workers)):
            self._happens(self.cluster.start_seconds, number)
        while self.events:
            now, _, number, start, job, dies = heapq.heappop(self.events)
            if job == READY:
                self._assign(number, now)
                continue
            self.starts.append(start)
            self.ends.append(now)
            self.jobs.append(job)
            self.lost.append(dies)
            if dies:
                self._die(number, now, job)
                continue
            worker = self.workers[number]
            worker.unsealed.append(job)
            if now - worker.sealed_at >= self.hazards.seal_seconds:
                worker.unsealed.clear()
                worker.sealed_at = now
            self._assign(number, now)
        return Simulated(
            makespan_seconds=max(self.ends, default=0.0),
            run_starts=np.array(self.starts),
            run_ends=np.array(self.ends),
            run_jobs=np.array(self.jobs, np.int64),
            run_was_lost=np.array(self.lost, bool),
            num_redone=self.num_redone,
            num_deaths=self.num_deaths,
            num_never_done=len(self.queue),
        )

    def _happens(
        self, when: float, number: int, start: float = 0.0, job: int = READY, dies: bool = False
    ) -> None:
        self.num_events += 1
        heapq.heappush(self.events, (when, self.num_events, number, start, job, dies))

    def _assign(self, number: int, now: float) -> None:
        """Give a free worker the next job, or let it wait for one that is lost elsewhere."""
        if not self.queue:
            self.idle.append(number)
            return
        job = self.queue.popleft()
        start = max(now, self.driver_free)
        self.driver_free = start + self.cluster.driver_seconds
        start = self.driver_free
        worker = self.workers[number]
        end = start + self.seconds[job]
        dies = worker.dies_at < end
        if dies:  # one that died while it was idle is noticed when it gets a job
            end = max(worker.dies_at, start)
        self._happens(end, number, start, job, dies)

    def _die(self, number: int, now: float, job: int) -> None:
        worker = self.workers[number]
        self.num_deaths += 1
        self.num_redone += len(worker.unsealed)
        self.queue.extend([*worker.unsealed, job])
        if worker.dies_at < self._node_end(worker.node):
            self.workers[number] = self._born(now + self.cluster.start_seconds, worker.node)
            self._happens(now + self.cluster.start_seconds, number)
        else:
            worker.unsealed = []
        idle, self.idle = self.idle, []
        for other in idle:
            self._assign(other, now)

    def _born(self, now: float, node: int) -> _Worker:
        rate = self.hazards.deaths_per_worker_hour / 3600
        own = now + float(self.rng.exponential(1 / rate)) if rate > 0 else np.inf
        return _Worker(node, min(own, self._node_end(node)), now)

    def _node_end(self, node: int) -> float:
        losses = self.hazards.node_losses_seconds
        return losses[node] if node < len(losses) else np.inf
