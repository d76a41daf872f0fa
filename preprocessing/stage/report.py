"""The account of one run: plain data, as text for people and as JSON for machines (STORE/runs/)."""

from __future__ import annotations

import json
import os
import platform
import re
import time
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from cache.atomic import atomic_write
from cache.schema import FailureRecord
from preprocessing.quantities import as_bytes, as_count, as_share, as_time
from preprocessing.stage.cluster import usable_cores
from preprocessing.stage.costs import VideoCost
from preprocessing.stage.usage import DeviceUsage

if TYPE_CHECKING:
    from preprocessing.stage.plan import Plan
    from preprocessing.stage.totals import Totals

FINISHED, INTERRUPTED = "finished", "interrupted"
REMOVED = "removed"  # stage of a failure: see `preprocessing.stage.plan`
MAX_FAILURES = 1000  # in the report; all of them are in failures.jsonl
SHOWN_FAILURES = 20
SHOWN_SLOWEST = 3


@dataclass(frozen=True)
class RunReport:
    """What one run did and what it took. Times in seconds; sums are over all workers."""

    started_utc: str  # 2026-01-31T23:59:59Z
    ended: str  # "finished", "interrupted", or the error that ended the run
    num_inputs: int
    num_stored_before: int  # inputs whose content was in the store
    num_jobs: int  # distinct contents to do
    num_done: int
    num_failed: int
    num_skipped: int  # failed in an earlier run and were not tried again
    num_frames: int
    num_segments: int
    media_seconds: float
    wall_seconds: float
    work_seconds: float  # of the wall time: from the first worker's start to the end
    num_workers: int
    num_workers_lost: int
    worker_seconds: float  # spent on finished videos
    bytes_read: int  # sizes of the finished videos
    bytes_written: int  # sealed shards
    stage_seconds: dict[str, float]  # exclusive; "wait": workers that had nothing to do
    engines: dict[str, Any]
    machine: dict[str, Any] = field(default_factory=dict)
    slowest: list[VideoCost] = field(default_factory=list)
    sample: list[VideoCost] = field(default_factory=list)  # of the finished videos, for planning
    num_failures: int = 0  # inputs: of this run, unreadable, and failed before
    failures: list[FailureRecord] = field(default_factory=list)  # at most the first MAX_FAILURES
    devices: list[DeviceUsage] = field(default_factory=list)  # that ran networks for all workers
    num_with_warnings: int = 0  # finished videos; the store says of what
    first_warning: str = ""

    @property
    def num_left(self) -> int:
        """Contents that are neither stored nor failed: the next run does them."""
        return self.num_jobs - self.num_done - self.num_failed

    @property
    def file_name(self) -> str:
        """Unique on one machine: the start and the process."""
        return f"{self.started_utc.replace('-', '').replace(':', '')}-{self.machine.get('pid', 0)}.json"

    def to_json(self) -> dict[str, Any]:
        """As `from_json` reads it, with the rates that people ask for first."""
        rates = {
            "frames_per_second": self.num_frames / max(self.work_seconds, 1e-9),
            "video_hours_per_hour": self.media_seconds / max(self.work_seconds, 1e-9),
        }
        return {"rates": rates, **asdict(self)}

    @classmethod
    def from_json(cls, data: dict[str, Any]) -> RunReport:
        """Raises KeyError or TypeError where it is no report."""
        data = {"devices": [], "num_with_warnings": 0, "first_warning": "", **data}  # older reports have none
        values = {name: data[name] for name in cls.__dataclass_fields__}
        values["slowest"] = [VideoCost(**cost) for cost in values["slowest"]]
        values["sample"] = [VideoCost(**cost) for cost in values["sample"]]
        values["devices"] = [DeviceUsage.from_json(usage) for usage in values["devices"]]
        values["failures"] = [FailureRecord(**failure) for failure in values["failures"]]
        return cls(**values)

    def save(self, store: Path) -> Path:
        """Write STORE/runs/<UTC time>-<pid>.json, whole or not at all.

        Without what was removed from the store for good: its name shall not come back into it.
        """
        path = store / "runs" / self.file_name
        path.parent.mkdir(exist_ok=True)
        kept = [failure for failure in self.failures if failure.stage != REMOVED]
        with atomic_write(path) as file:
            file.write(replace(self, failures=kept).to_bytes())
        return path

    def to_bytes(self) -> bytes:
        """The JSON file."""
        return json.dumps(self.to_json(), indent=1).encode() + b"\n"


def make_report(
    *,
    ended: str,
    started: float,
    num_inputs: int,
    plan: Plan,
    totals: Totals,
    failures: Sequence[FailureRecord],
    wall_seconds: float,
    work_seconds: float,
    num_workers: int,
    engines: dict[str, Any],
    devices: Sequence[DeviceUsage] = (),
) -> RunReport:
    """The account of a run. `started` is in seconds since 1970; failures: of this run and from before."""
    costs = totals.costs
    return RunReport(
        started_utc=time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(started)),
        ended=ended,
        num_inputs=num_inputs,
        num_stored_before=plan.num_stored,
        num_jobs=len(plan.jobs),
        num_done=totals.num_done,
        num_failed=totals.num_failed,
        num_skipped=len(plan.failed_before),
        num_frames=totals.num_frames,
        num_segments=costs.num_segments,
        media_seconds=totals.media_seconds,
        wall_seconds=wall_seconds,
        work_seconds=work_seconds,
        num_workers=num_workers,
        num_workers_lost=totals.num_workers_lost,
        worker_seconds=costs.worker_seconds,
        bytes_read=costs.num_bytes,
        bytes_written=totals.bytes_written,
        stage_seconds=dict(costs.stage_seconds),
        engines=engines,
        machine={"pid": os.getpid(), "cores": usable_cores(), "architecture": platform.machine()},
        slowest=costs.slowest,
        sample=costs.sample,
        num_failures=len(failures),
        failures=list(failures)[:MAX_FAILURES],
        devices=list(devices),
        num_with_warnings=costs.num_with_warnings,
        first_warning=costs.first_warning,
    )


def text_of(report: RunReport) -> str:
    """The report for people: what was done, where the time went, and every failure with its reason."""
    if report.num_jobs:
        lines = [_headline(report), *_figures(report)]
    elif report.ended == FINISHED:
        lines = [f"nothing to do: {report.num_stored_before} of {report.num_inputs} inputs are in the store"]
    else:
        lines = [f"{report.ended} before the first video was handed out"]
    if report.num_failures:
        lines.append(f"failed: {report.num_failures} (all in failures.jsonl of the store)")
        lines += [f"  {line}" for line in _failure_lines(report.failures)]
    if report.num_with_warnings:
        lines.append(
            f"{as_count(report.num_with_warnings, 'video')} with warnings "
            "(videofer store info STORE --videos has all)"
        )
        lines.append(f"  {report.first_warning}")
    return "\n".join(lines)


def _headline(report: RunReport) -> str:
    done = f"stored {as_count(report.num_done, 'video')} in {as_time(report.wall_seconds)}"
    parts = [f"{report.num_failed} failed" if report.num_failed else ""]
    parts.append(f"{report.num_stored_before} were in the store already" if report.num_stored_before else "")
    parts.append(f"{report.num_skipped} failed before" if report.num_skipped else "")
    parts.append(f"{report.num_left} left to do" if report.num_left else "")
    line = "; ".join([done, *filter(None, parts)])
    if report.ended == INTERRUPTED:
        return f"interrupted: {line}"
    return line if report.ended == FINISHED else f"ended early ({report.ended}): {line}"


def _figures(report: RunReport) -> list[str]:
    """Aligned lines: speed, share of the stages, workers, data, slowest videos."""
    seconds = max(report.work_seconds, 1e-9)
    rows = [
        (
            "speed",
            f"{report.num_frames / seconds:,.0f} frames/s, {report.media_seconds / seconds:,.1f} hours of "
            f"video per hour ({report.num_frames:,} frames, {as_time(report.media_seconds)} of video)",
        )
    ]
    stages = {name: value for name, value in report.stage_seconds.items() if name != "wait"}
    if total := sum(stages.values()):
        shares = sorted(stages.items(), key=lambda item: -item[1])
        rows.append(("time went to", ", ".join(f"{name} {as_share(value, total)}" for name, value in shares)))
    busy = as_share(min(report.worker_seconds, seconds * report.num_workers), seconds * report.num_workers)
    lost = f"; {report.num_workers_lost} lost and replaced" if report.num_workers_lost else ""
    rows.append(("workers", f"{report.num_workers}, busy {busy} of {as_time(report.work_seconds)}{lost}"))
    rows += [(usage.device, _of_device(usage, seconds)) for usage in report.devices]
    data = f"{as_bytes(report.bytes_read)} read, {as_bytes(report.bytes_written)} written"
    if report.media_seconds > 0 and report.bytes_written:
        data += f" ({as_bytes(report.bytes_written / report.media_seconds * 3600)} an hour of video)"
    rows.append(("data", data))
    if len(report.slowest) > 1:
        slowest = [
            f"{cost.name!r} {as_time(cost.worker_seconds)} for {as_time(cost.media_seconds)}"
            for cost in report.slowest[:SHOWN_SLOWEST]
        ]
        rows.append(("slowest", ", ".join(slowest)))
    return [f"  {name:<13}{value}" for name, value in rows]


def _of_device(usage: DeviceUsage, seconds: float) -> str:
    """How busy it was, in what batches, and with which networks."""
    busy = as_share(min(usage.busy_seconds, seconds), seconds)
    text = f"busy {busy} of {as_time(seconds)}, {as_count(usage.num_pictures, 'picture')}"
    if usage.num_batches:
        each = [f"{n.name} {n.num_pictures:,} in {n.mean_batch:.1f}" for n in usage.networks if n.num_batches]
        text += f" in batches of {usage.mean_batch:.1f}" + (f" ({', '.join(each)})" if len(each) > 1 else "")
    if usage.num_restarts:
        text += f"; died and came back {as_count(usage.num_restarts, 'time')}"
    return text


def _failure_lines(failures: Sequence[FailureRecord]) -> list[str]:
    """One line each while they are few; else one line a reason, with its number and an example."""
    if len(failures) <= SHOWN_FAILURES:
        return [f"{failure.name!r}: {failure.stage}: {failure.reason}" for failure in failures]
    groups: dict[tuple[str, str], list[FailureRecord]] = defaultdict(list)
    for failure in failures:
        groups[failure.stage, re.sub(r"\d+(\.\d+)?", "#", failure.reason)].append(failure)
    largest = sorted(groups.values(), key=lambda group: -len(group))
    lines = [
        f"{as_count(len(group), 'time')} {group[0].stage}: {group[0].reason} (first: {group[0].name!r})"
        for group in largest[:SHOWN_FAILURES]
    ]
    if len(largest) > SHOWN_FAILURES:
        lines.append(f"and {as_count(len(largest) - SHOWN_FAILURES, 'other reason')}")
    return lines
