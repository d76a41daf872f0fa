"""What is finished, failed and open of every video of a run, and what of it is on the disk.

A video that is not cut is committed when its shard is sealed. One in several spans is committed when all of
them are sealed or given up; until then its sealed segments wait in `pending/`, not in memory.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

from cache.schema import FailureRecord
from cache.store import Store
from preprocessing.assemble import assemble
from preprocessing.discover import place
from preprocessing.part import SegmentOutcome
from preprocessing.spec import PreprocessSpec
from preprocessing.stage.costs import VideoCost
from preprocessing.stage.job import Job, is_passing
from preprocessing.stage.pending import Pending
from preprocessing.stage.totals import Totals
from preprocessing.types import Span


@dataclass(frozen=True)
class Finished:
    """What a worker has done and not sealed yet."""

    job: Job
    outcome: SegmentOutcome
    worker_seconds: float
    stage_seconds: dict[str, float]


@dataclass
class _Video:
    """A video in several spans."""

    job: Job  # the whole
    spans: list[Span]
    sealed: set[int] = field(default_factory=set)
    failed: dict[int, tuple[str, str, str]] = field(default_factory=dict)  # stage, error, reason
    worker_seconds: float = 0.0
    stage_seconds: Counter[str] = field(default_factory=Counter)

    @property
    def is_over(self) -> bool:
        return len(self.sealed) + len(self.failed) == len(self.spans)


class Videos:
    """Keeps the books of one driver; only it writes commit records and failures."""

    def __init__(self, store: Store, spec: PreprocessSpec, pending: Pending, totals: Totals) -> None:
        self._store, self._spec, self._pending, self._totals = store, spec, pending, totals
        self._cut: dict[str, _Video] = {}  # by key
        self._failed_before = {failure.path for failure in store.failures()}
        self.failures: list[FailureRecord] = []

    def cut(self, job: Job, spans: Sequence[Span]) -> list[Job]:
        """A video is to be done in these spans: jobs for those that an earlier run did not finish."""
        video = self._cut[job.key] = _Video(job, list(spans))
        there = self._pending.spans(job.key)
        video.sealed = {span.index for span in spans if there.get(span.index) == span}
        self._totals.num_segments += len(spans) - 1
        self._totals.num_segments_done += len(video.sealed)
        if video.is_over:
            self._close(video)
        return [replace(job, span=span, attempts=0) for span in spans if span.index not in video.sealed]

    def seal(self, finished: Sequence[Finished]) -> None:
        """What lies in a sealed shard: commit it, or keep it until its video is whole."""
        whole = [item for item in finished if item.job.span is None]
        parts = [item for item in finished if item.job.span is not None]
        kept = self._pending.files((item.job, item.outcome) for item in parts)
        self._commit([(item.job, [item.outcome], []) for item in whole], kept)
        for item in whole:
            self._count(item.job, [item.outcome], item.worker_seconds, item.stage_seconds)
        for item in parts:
            video = self._cut[item.job.key]
            assert item.job.span is not None
            video.sealed.add(item.job.span.index)
            video.worker_seconds += item.worker_seconds
            video.stage_seconds.update(item.stage_seconds)
            if video.is_over:
                self._close(video)

    def fail(self, job: Job, stage: str, error: str, reason: str) -> None:
        """A video or a part of one is given up."""
        if job.span is None:
            self._give_up(job, stage, error, reason)
            return
        video = self._cut[job.key]
        video.failed[job.span.index] = stage, error, reason
        self._totals.num_segments_done += 1
        if video.is_over:
            self._close(video)

    def _close(self, video: _Video) -> None:
        """All spans of a video are sealed or given up."""
        del self._cut[video.job.key]
        stage, error, reason = next(iter(video.failed.values()), ("", "", ""))
        passing = next((failure for failure in video.failed.values() if is_passing(*failure[:2])), None)
        if passing is not None:  # what is pending waits for the next run
            self._give_up(video.job, *passing)
            return
        if not video.sealed:
            self._give_up(video.job, stage, error, reason)
            return
        outcomes = [self._pending.load(video.job.key, index) for index in sorted(video.sealed)]
        failed = [span for span in video.spans if span.index in video.failed]
        self._commit([(video.job, outcomes, failed)])
        self._pending.remove(video.job.key)
        self._totals.num_done += 1
        self._totals.num_bytes_done += video.job.num_bytes
        self._count(video.job, outcomes, video.worker_seconds, video.stage_seconds)
        if failed:
            parts = f"{len(failed)} of {len(video.spans)} parts failed; the rest is stored"
            self._record(video.job.failures(stage, error, f"{reason} ({parts})"))

    def _commit(
        self,
        videos: Sequence[tuple[Job, list[SegmentOutcome], list[Span]]],
        kept: Mapping[Path, bytes] | None = None,
    ) -> None:
        """Commit videos and, in the same go, keep parts of others; say what is lost of them."""
        self._store.commit_all(
            [assemble(job.sources, job.key, parts, self._spec, failed) for job, parts, failed in videos], kept
        )
        for job, parts, failed in videos:
            for source in job.sources:
                if place(source.path) in self._failed_before:
                    self._store.clear_failure(place(source.path))
            if not failed and (reason := _what_is_lost(parts)):
                self._record(job.failures("decode", "InputError", f"{reason}; the rest is stored"))

    def _count(
        self,
        job: Job,
        outcomes: Sequence[SegmentOutcome],
        worker_seconds: float,
        stage_seconds: Mapping[str, float],
    ) -> None:
        self._totals.costs.saw(
            VideoCost(
                name=job.source.name,
                media_seconds=sum(outcome.t_end - outcome.t_start for outcome in outcomes),
                num_frames=sum(outcome.record.num_frames for outcome in outcomes),
                num_segments=len(outcomes),
                num_bytes=job.num_bytes,
                worker_seconds=worker_seconds,
                stage_seconds=dict(stage_seconds),
                # damage is a failure as well, which the account has already
                warning=next((text for one in outcomes for text in one.warnings if text != one.damage), ""),
            )
        )

    def _give_up(self, job: Job, stage: str, error: str, reason: str) -> None:
        self._totals.num_failed += 1
        self._totals.num_bytes_done += job.num_bytes
        self._record(job.failures(stage, error, reason))

    def _record(self, failures: list[FailureRecord]) -> None:
        for failure in failures:
            self._store.record_failure(failure)
        self.failures += failures


def _what_is_lost(parts: Sequence[SegmentOutcome]) -> str:
    """One line on what of a video is not decoded; "" if all is."""
    if (damage := next((part.damage for part in parts if part.damage), None)) is not None:
        return damage
    lost = [span for part in parts for span in part.not_decoded]
    if not lost:
        return ""
    seconds = float(sum(stop - start for start, stop in lost) * parts[0].probe.time_base)
    where = "1 place" if len(lost) == 1 else f"{len(lost)} places"
    return f"damaged: {seconds:.1f} s at {where} could not be decoded"
