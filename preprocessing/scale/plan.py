"""From an archive and measured rates to hours, cores and limits: sums first, then the simulated run."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from typing import Literal

import numpy as np

from cache.errors import UserError
from preprocessing.scale.archive import Archive, cut
from preprocessing.scale.overheads import Overheads
from preprocessing.scale.rates import Rates
from preprocessing.scale.simulate import Cluster, Hazards, Simulated, simulate

LEAD_SECONDS = 1.0  # decoded before and after a segment, see preprocessing.pipeline
MAX_WATCH_SHARE = 0.9  # of the driver's time; beyond, it has none for jobs
MAX_TRIES = 25  # of numbers of nodes for a deadline

Order = Literal["largest first", "random", "as listed"]


@dataclass(frozen=True)
class Setup:
    """How the run is to be made."""

    num_workers: int
    workers_per_node: int
    segment_seconds: float = 300.0  # math.inf: videos stay whole
    order: Order = "largest first"
    num_node_losses: int = 0  # spread evenly over the run
    deaths_per_worker_hour: float | None = None  # None: as measured
    seed: int = 0


@dataclass(frozen=True)
class RunPlan:
    """The plan and the arithmetic behind it. Seconds and bytes."""

    setup: Setup
    num_videos: int
    num_failures: int
    num_jobs: int
    media_seconds: float
    worker_seconds: float
    worker_seconds_low: float  # bounds of 90 %: how well the measured videos tell the mean
    worker_seconds_high: float
    longest_job_seconds: float
    bytes_read: float
    bytes_written: float
    run: Simulated
    startup_seconds: float  # before the first job, where all is in the store already
    driver_seconds: float  # for all jobs
    watch_share: float  # of the driver's time, for watching the workers

    @property
    def num_nodes(self) -> int:
        return math.ceil(self.setup.num_workers / self.setup.workers_per_node)

    @property
    def wall_seconds(self) -> float:
        return self.run.makespan_seconds

    @property
    def ideal_seconds(self) -> float:
        """Where every worker were busy to the end."""
        return self.worker_seconds / self.setup.num_workers

    @property
    def utilisation(self) -> float:
        """Share of the workers' time that was spent on jobs that were not lost."""
        return self.ideal_seconds / self.wall_seconds if self.wall_seconds else 1.0

    @property
    def driver_share(self) -> float:
        """How busy the driver is. At 1 more workers make nothing faster."""
        jobs = self.driver_seconds / self.wall_seconds if self.wall_seconds else 0.0
        return jobs + self.watch_share


def make_jobs(archive: Archive, rates: Rates, setup: Setup) -> np.ndarray:
    """(J,) worker seconds of every job, in the order in which they are handed out."""
    rng = np.random.default_rng(setup.seed)
    seconds, videos = cut(archive.durations_seconds, setup.segment_seconds)
    per_second = rates.draw(len(archive), rng)[videos]
    is_cut = np.bincount(videos, minlength=len(archive))[videos] > 1
    jobs: np.ndarray = rates.job_seconds + per_second * (seconds + 2 * LEAD_SECONDS * is_cut)
    if setup.order == "random":
        return rng.permutation(jobs)
    return np.sort(jobs)[::-1] if setup.order == "largest first" else jobs


def make_plan(
    archive: Archive, rates: Rates, setup: Setup, overheads: Overheads | None = None, scale: float = 1.0
) -> RunPlan:
    """Sums and one simulated run. scale: of all costs, for the ends of the interval."""
    overheads = overheads or Overheads()
    jobs = make_jobs(archive, rates, setup) * scale
    deaths = setup.deaths_per_worker_hour
    ideal = float(jobs.sum()) / setup.num_workers
    losses = tuple(ideal * (n + 1) / (setup.num_node_losses + 1) for n in range(setup.num_node_losses))
    watch_share = overheads.watch_seconds * setup.num_workers
    if watch_share >= MAX_WATCH_SHARE:
        raise UserError(
            f"one driver watches at most {MAX_WATCH_SHARE / overheads.watch_seconds:,.0f} workers, and not "
            f"{setup.num_workers:,}: split the archive into stores and merge them"
        )
    job_seconds = overheads.job_seconds + overheads.commit_seconds * len(archive) / len(jobs)
    cluster = Cluster(
        setup.num_workers,
        setup.workers_per_node,
        driver_seconds=job_seconds / (1 - watch_share),
        start_seconds=overheads.worker_start_seconds,
    )
    hazards = Hazards(rates.deaths_per_worker_hour if deaths is None else deaths, losses)
    run = simulate(jobs, cluster, hazards, np.random.default_rng(setup.seed))
    if run.num_never_done:
        raise UserError(
            f"all {math.ceil(setup.num_workers / setup.workers_per_node)} nodes are lost in this plan"
        )
    low, high = rates.interval()
    total = float(jobs.sum())
    bytes_read = archive.total_seconds * rates.bytes_read_per_second
    return RunPlan(
        setup=setup,
        num_videos=len(archive),
        num_failures=round(len(archive) * rates.failed_share),
        num_jobs=len(jobs),
        media_seconds=archive.total_seconds,
        worker_seconds=total,
        worker_seconds_low=total * low / rates.mean_per_second,
        worker_seconds_high=total * high / rates.mean_per_second,
        longest_job_seconds=float(jobs.max()),
        bytes_read=bytes_read if archive.num_bytes is None else float(archive.num_bytes.sum()),
        bytes_written=archive.total_seconds * rates.bytes_written_per_second,
        run=run,
        startup_seconds=(overheads.open_seconds + overheads.plan_seconds) * len(archive),
        driver_seconds=job_seconds * len(run.run_jobs),
        watch_share=watch_share,
    )


def plan_for_deadline(
    archive: Archive,
    rates: Rates,
    setup: Setup,
    deadline_seconds: float,
    overheads: Overheads | None = None,
    scale: float = 1.0,
) -> RunPlan:
    """The plan with the fewest nodes that keeps the deadline. UserError where no number of nodes does."""
    overheads = overheads or Overheads()
    total = float(make_jobs(archive, rates, setup).sum()) * scale
    num_nodes = max(1, math.ceil(total / deadline_seconds / setup.workers_per_node))
    for _ in range(MAX_TRIES):
        num_workers = num_nodes * setup.workers_per_node
        plan = make_plan(archive, rates, replace(setup, num_workers=num_workers), overheads, scale)
        if plan.wall_seconds <= deadline_seconds:
            return plan
        if plan.driver_seconds > deadline_seconds * (1 - plan.watch_share):
            raise UserError(
                f"one driver needs {plan.driver_seconds / 3600:.2g} h to hand out {plan.num_jobs:,} jobs, "
                f"more than {deadline_seconds / 3600:g} h: split the archive into stores and merge them"
            )
        if plan.longest_job_seconds + overheads.worker_start_seconds > deadline_seconds:
            raise UserError(
                f"the longest job alone takes {plan.longest_job_seconds / 3600:.2g} h: "
                "shorter segments are needed for this deadline"
            )
        num_nodes = max(num_nodes + 1, math.floor(num_nodes * plan.wall_seconds / deadline_seconds))
    raise UserError(
        f"no number of nodes up to {num_nodes:,} keeps a deadline of {deadline_seconds / 3600:g} h"
    )
