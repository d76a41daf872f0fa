"""An estimate in words: what was measured, what was extrapolated, and what nobody knows yet."""

from __future__ import annotations

import math
from collections import defaultdict
from dataclasses import dataclass

from preprocessing.estimate.extrapolate import FEW, Estimate, Interval
from preprocessing.estimate.measure import Measured
from preprocessing.quantities import as_bytes, as_count, as_hours, as_number, as_share, as_time
from preprocessing.scale.archive import Archive
from preprocessing.scale.overheads import Overheads
from preprocessing.scale.plan import RunPlan, Setup, make_plan, plan_for_deadline

RAY_SECONDS = 4.0  # to start Ray on this machine; taken from other runs, not measured by the estimate
SHOWN_REASONS = 10
BUSY = "they waited {} of the time, for a slow disk or for other work on this machine"
NOUNS = {"video": "video", "image": "image", "frames": "folder of frames", "keypoints": "keypoint file"}


@dataclass(frozen=True)
class Forecast:
    """An estimate with the run that follows from it."""

    estimate: Estimate
    measured: Measured
    num_workers: int
    wall: Interval  # seconds
    deadline_hours: float | None = None
    for_deadline: RunPlan | None = None


def forecast(
    estimate: Estimate,
    measured: Measured,
    *,
    num_workers: int,
    cores_per_node: int,
    segment_seconds: float,
    deadline_hours: float | None = None,
) -> Forecast:
    """Simulate the run on this machine, and with `deadline_hours` on as many nodes as it takes."""
    start = measured.start_seconds + (RAY_SECONDS if estimate.num_inputs > 1 else 0.0)
    overheads = Overheads(worker_start_seconds=start)
    archive = Archive(estimate.durations_seconds, None, "probed and extrapolated")
    wall = start + estimate.still_seconds / num_workers
    if estimate.rates is not None and len(archive):
        setup = Setup(num_workers, cores_per_node, segment_seconds)
        wall = estimate.still_seconds / num_workers
        wall += make_plan(archive, estimate.rates, setup, overheads).wall_seconds
    work = estimate.worker_seconds
    spread = [bound / work.value if work.value else 1.0 for bound in (work.low, work.high)]
    interval = Interval(wall, *(start + (wall - start) * factor for factor in spread))
    plan = None
    if deadline_hours is not None and estimate.rates is not None and len(archive):
        left = deadline_hours * 3600 - estimate.still_seconds / cores_per_node
        setup = Setup(cores_per_node, cores_per_node, segment_seconds)
        plan = plan_for_deadline(archive, estimate.rates, setup, max(left, 1.0), overheads, spread[1])
    return Forecast(estimate, measured, num_workers, interval, deadline_hours, plan)


def text_of(result: Forecast) -> str:
    """Aligned lines for people."""
    estimate, measured = result.estimate, result.measured
    timed = estimate.num_timed
    few = f" (fewer than {FEW} excerpts: no interval)" if timed < FEW else ""

    def show(interval: Interval, how: str, scale: float = 1.0) -> str:
        write = {"time": as_time, "hours": as_hours, "bytes": as_bytes, "number": as_number}[how]
        text = write(interval.value * scale)
        if interval.high == interval.low:
            return text
        return f"{text} ({write(interval.low * scale)} to {write(interval.high * scale)})"

    def show_cost(interval: Interval, how: str, scale: float = 1.0) -> str:
        return show(Interval(interval.value, interval.value, interval.value) if few else interval, how, scale)

    workers = as_count(result.num_workers, "worker")
    kinds = ", ".join(as_count(number, NOUNS[kind]) for kind, number in sorted(estimate.kinds.items()))
    all_seen = estimate.num_looked == estimate.num_inputs
    looked = (
        "all" if all_seen else f"{estimate.num_looked:,} of {estimate.num_inputs:,}, of every kind and size"
    )
    rows = [
        ("inputs", f"{kinds or 'none'}; {as_bytes(estimate.bytes_read)}"),
        ("looked at", f"{looked}, in {as_time(measured.look_seconds)}"),
        (
            "video",
            f"{show(estimate.media_seconds, 'hours', 1)}{'' if all_seen else ', extrapolated by bytes'}",
        ),
    ]
    if timed:
        beside = ""
        if measured.num_beside > 1:
            more = as_share(measured.slowdown - 1, 1)
            beside = f"; {measured.num_beside} side by side take {more} longer each"
        rows += [
            (
                "timed",
                f"{as_count(timed, 'excerpt')} on one core, in {as_time(measured.alone_seconds)}{beside}",
            ),
            *([("", BUSY.format(as_share(measured.waited_share, 1)))] if measured.waited_share > 0.2 else []),
            (
                "work",
                f"{show_cost(estimate.worker_seconds, 'number', 1 / 3600)} core-hours, extrapolated{few}",
            ),
            ("store", show_cost(estimate.bytes_written, "bytes")),
            ("run", f"{show_cost(result.wall, 'time')} on {workers} of this machine"),
        ]
    if result.for_deadline is not None:
        rows.append(("deadline", _deadline(result.for_deadline, result.deadline_hours or math.nan)))
    failures = estimate.failures
    if failures.value or estimate.seen_failures:
        rows.append(("failures", f"{show(failures, 'number')} by their headers; more may show in decoding"))
    lines = [f"{name:<11}{value}" for name, value in rows]
    lines += [f"  would fail: {line}" for line in _reasons(estimate.seen_failures)]
    lines.append(
        "intervals hold 9 times in 10 as far as the sample tells; slower disks and lost workers are not in "
        "them. Nothing was written."
    )
    return "\n".join(lines)


def _deadline(plan: RunPlan, hours: float) -> str:
    nodes = as_count(plan.num_nodes, "node")
    cores = as_count(plan.setup.workers_per_node, "core")
    if plan.num_nodes == 1:
        return f"{hours:g} h: one node of {cores} is enough ({as_time(plan.wall_seconds)})"
    return f"{hours:g} h: {nodes} of {cores} ({as_time(plan.wall_seconds)}), at the upper end of the work"


def _reasons(failures: list[tuple[str, str, str]]) -> list[str]:
    """One line a failure while they are few, else a line a reason."""
    if len(failures) <= SHOWN_REASONS:
        return [f"{name!r}: {stage}: {reason}" for name, stage, reason in failures]
    groups: dict[str, list[str]] = defaultdict(list)
    for name, stage, reason in failures:
        groups[f"{stage}: {reason}"].append(name)
    largest = sorted(groups.items(), key=lambda item: -len(item[1]))
    lines = [
        f"{len(names)} of the sample: {why} (first: {names[0]!r})" for why, names in largest[:SHOWN_REASONS]
    ]
    return lines + (
        [f"and {len(largest) - SHOWN_REASONS} other reasons"] if len(largest) > SHOWN_REASONS else []
    )
