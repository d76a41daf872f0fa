"""A plan in words and figures: what it stands on, what comes out, and what limits first."""

from __future__ import annotations

from typing import Any

from preprocessing.quantities import as_bytes, as_count, as_hours, as_number, as_share, as_time
from preprocessing.scale.archive import Archive
from preprocessing.scale.plan import RunPlan
from preprocessing.scale.rates import Rates


def text_of(plan: RunPlan, archive: Archive, rates: Rates, upper: RunPlan | None = None) -> str:
    """Aligned lines. upper: the plan at the upper end of the interval, where there is a deadline."""
    run, setup = plan.run, plan.setup
    num_measured = len(rates.per_second)
    measured = as_count(num_measured, "video")
    rows = [
        (
            "archive",
            f"{as_count(plan.num_videos, 'video')}, {as_hours(plan.media_seconds)} ({archive.described})",
        ),
        (
            "measured",
            f"{as_number(rates.mean_per_second)} s of one core a second of video, "
            f"{as_time(rates.job_seconds)} a job; from {measured} of {rates.described}",
        ),
        (
            "work",
            f"{as_number(plan.worker_seconds / 3600)} core-hours (90 % interval "
            f"{as_number(plan.worker_seconds_low / 3600)} to {as_number(plan.worker_seconds_high / 3600)}"
            f"{': few videos were measured' if num_measured < 30 else ''})",
        ),
        ("store", f"{as_bytes(plan.bytes_written)}; {as_bytes(plan.bytes_read)} are read"),
        (
            "jobs",
            f"{plan.num_jobs:,}, the longest {as_time(plan.longest_job_seconds)}, handed out {setup.order}; "
            f"about {as_count(plan.num_failures, 'video')} will fail",
        ),
        (
            "run",
            f"{as_time(plan.wall_seconds)} on {as_count(plan.num_nodes, 'node')} of "
            f"{as_count(min(setup.workers_per_node, setup.num_workers), 'core')} "
            f"({as_share(plan.utilisation, 1.0)} of their time is useful work)",
        ),
    ]
    if upper is not None:
        rows.append(("", f"{as_count(upper.num_nodes, 'node')} at the upper end of the interval"))
    if run.num_deaths:
        rows.append(
            (
                "deaths",
                f"{as_count(run.num_deaths, 'worker')} lost, {as_count(run.num_redone, 'job')} done twice",
            )
        )
    lines = [f"{name:<10}{value}" for name, value in rows]
    lines.append("what limits, the closest first:")
    return "\n".join(lines + [f"  {line}" for line in limits(plan)])


def limits(plan: RunPlan) -> list[str]:
    """Cores, driver, longest job and data, by how near each is to deciding the length of the run."""
    wall = max(plan.wall_seconds, 1e-9)
    shares = [
        (plan.utilisation, f"cores: busy {as_share(plan.utilisation, 1.0)} of the run"),
        (
            plan.driver_share,
            f"the driver: busy {as_share(plan.driver_share, 1.0)}, with {plan.num_jobs / wall:.3g} jobs/s, "
            f"watching {as_count(plan.setup.num_workers, 'worker')}",
        ),
        (
            plan.longest_job_seconds / wall,
            f"the longest job: {as_share(plan.longest_job_seconds, wall)} of the run",
        ),
    ]
    lines = [line for _, line in sorted(shares, key=lambda item: -item[0])]
    lines.append(
        f"not simulated: the disks must give {as_bytes(plan.bytes_read / wall)}/s and take "
        f"{as_bytes(plan.bytes_written / wall)}/s; a run that continues this store when it is full "
        f"needs {as_time(plan.startup_seconds)} before its first job"
    )
    return lines


def to_json(plan: RunPlan, archive: Archive, rates: Rates) -> dict[str, Any]:
    """The same figures for machines."""
    return {
        "archive": {
            "num_videos": plan.num_videos,
            "hours": plan.media_seconds / 3600,
            "durations_from": archive.described,
        },
        "measured": {
            "worker_seconds_per_second": rates.mean_per_second,
            "job_seconds": rates.job_seconds,
            "num_videos": len(rates.per_second),
            "from": rates.described,
        },
        "core_hours": plan.worker_seconds / 3600,
        "core_hours_interval_90": [plan.worker_seconds_low / 3600, plan.worker_seconds_high / 3600],
        "bytes_written": plan.bytes_written,
        "bytes_read": plan.bytes_read,
        "num_jobs": plan.num_jobs,
        "longest_job_seconds": plan.longest_job_seconds,
        "num_failures": plan.num_failures,
        "num_workers": plan.setup.num_workers,
        "num_nodes": plan.num_nodes,
        "order": plan.setup.order,
        "wall_hours": plan.wall_seconds / 3600,
        "utilisation": plan.utilisation,
        "driver_share": plan.driver_share,
        "num_deaths": plan.run.num_deaths,
        "num_jobs_redone": plan.run.num_redone,
        "startup_seconds": plan.startup_seconds,
    }
