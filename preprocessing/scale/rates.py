"""What a second of video costs, as a finished run measured it."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np

from cache.errors import UserError
from preprocessing.stage.costs import VideoCost
from preprocessing.stage.report import RunReport

_ARRAYS = ("per_second", "weights", "durations_seconds")
BLINK_SECONDS = 2.0
LEAST_SHARE = 0.1  # of a video's time that is its length's, however short it is


@dataclass(frozen=True)
class Rates:
    """Costs on one worker, beside as many others as the run had. Seconds of worker time."""

    job_seconds: float  # of a job, however short
    per_second: np.ndarray  # (M,) worker seconds a second of video: one measured video each
    weights: np.ndarray  # (M,) seconds of these videos, sum 1: how often each counts
    bytes_read_per_second: float  # of video
    bytes_written_per_second: float
    failed_share: float  # of videos
    deaths_per_worker_hour: float
    durations_seconds: np.ndarray  # (M,) of the measured videos
    described: str

    @property
    def mean_per_second(self) -> float:
        return float(self.per_second @ self.weights)

    def save(self, path: Path) -> None:
        """As `read_rates` reads it."""
        lists = {name: getattr(self, name).tolist() for name in _ARRAYS}
        path.write_text(json.dumps({**asdict(self), **lists}, indent=1) + "\n")

    def draw(self, num_videos: int, rng: np.random.Generator) -> np.ndarray:
        """(num_videos,) costs a second: each that of a measured video, longer ones more often."""
        drawn: np.ndarray = rng.choice(self.per_second, size=num_videos, p=self.weights)
        return drawn

    def interval(self, share: float = 0.9, rounds: int = 2000, seed: int = 0) -> tuple[float, float]:
        """Bounds of the mean cost a second, by a bootstrap over the measured videos."""
        rng = np.random.default_rng(seed)
        picks = rng.integers(0, len(self.weights), (rounds, len(self.weights)))
        weights = self.weights[picks]
        means = (self.per_second[picks] * weights).sum(axis=1) / weights.sum(axis=1)
        low, high = np.quantile(means, [(1 - share) / 2, (1 + share) / 2])
        return float(low), float(high)


def read_rates(path: Path) -> Rates:
    """From a report, from the rates of a dry run, or from the newest report with finished videos of a store.

    UserError, in one line, otherwise.
    """
    if path.is_file():
        return _saved(path) or rates_of(_report(path), str(path))
    reports = sorted((path / "runs").glob("*.json"), reverse=True)
    for file in reports:
        report = _report(file)
        if any(cost.media_seconds > 0 for cost in report.sample):
            return rates_of(report, str(file))
    if reports:
        raise UserError(f"none of the {len(reports)} reports in {path / 'runs'} has a finished video")
    raise UserError(f"{path} is neither a run report nor a store with reports in runs/")


def rates_of(report: RunReport, described: str) -> Rates:
    """What one run measured. UserError where it finished no video."""
    sample = [cost for cost in report.sample if cost.media_seconds > 0 and cost.worker_seconds > 0]
    if not sample:
        raise UserError(f"{described}: no video was finished in this run")
    job_seconds = fit_job_seconds(sample)
    sample = without_blinks(sample)
    media = np.array([cost.media_seconds for cost in sample])
    work = np.array([cost.worker_seconds for cost in sample])
    jobs = np.array([max(1, cost.num_segments) for cost in sample])
    tried = report.num_done + report.num_failed
    hours = report.num_workers * report.work_seconds / 3600
    return Rates(
        job_seconds=job_seconds,
        per_second=np.maximum(work - job_seconds * jobs, LEAST_SHARE * work) / media,
        weights=media / media.sum(),
        bytes_read_per_second=report.bytes_read / max(report.media_seconds, 1e-9),
        bytes_written_per_second=report.bytes_written / max(report.media_seconds, 1e-9),
        failed_share=report.num_failed / tried if tried else 0.0,
        deaths_per_worker_hour=report.num_workers_lost / hours if hours > 0 else 0.0,
        durations_seconds=media,
        described=described,
    )


def without_blinks(sample: list[VideoCost]) -> list[VideoCost]:
    """Without videos so short that they tell what opening costs, not what a second of video does.

    All of them where they are most of what was measured.
    """
    longer = [cost for cost in sample if cost.media_seconds >= BLINK_SECONDS]
    share = sum(cost.media_seconds for cost in longer) / sum(cost.media_seconds for cost in sample)
    return longer if share > 0.5 else sample


def fit_job_seconds(sample: list[VideoCost]) -> float:
    """Worker seconds of a job of length 0: the intercept of cost over length, by relative least squares.

    0 where the videos do not differ enough in length to tell it from the rest.
    """
    jobs = np.array([max(1, cost.num_segments) for cost in sample], np.float64)
    media = np.array([cost.media_seconds for cost in sample])
    work = np.array([cost.worker_seconds for cost in sample])
    seconds_a_job = media / jobs
    if len(sample) < 5 or seconds_a_job.max() < 2 * seconds_a_job.min():
        return 0.0
    sides = np.stack([jobs / work, media / work], axis=1)
    (per_job, per_second), *_ = np.linalg.lstsq(sides, np.ones(len(sample)), rcond=None)
    if per_second <= 0:
        return 0.0
    return float(np.clip(per_job, 0.0, np.median(work / jobs)))


def _saved(path: Path) -> Rates | None:
    """What `Rates.save` wrote; None where it is something else."""
    try:
        data = json.loads(path.read_bytes())
        return Rates(**{**data, **{name: np.array(data[name], np.float64) for name in _ARRAYS}})
    except (ValueError, KeyError, TypeError, OSError):
        return None


def _report(path: Path) -> RunReport:
    try:
        return RunReport.from_json(json.loads(path.read_bytes()))
    except (ValueError, KeyError, TypeError, OSError):
        raise UserError(f"{path} is no report of a run") from None
