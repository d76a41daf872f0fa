"""What passes between driver and workers: jobs, replies and signs of life. All of it is small and pickles."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Protocol

from cache.schema import FailureRecord
from preprocessing.discover import place
from preprocessing.part import SegmentOutcome
from preprocessing.stage.usage import DeviceUsage
from preprocessing.types import Source, Span

READ = "read"  # stage of failures that are the disk's or the network's, not the video's
KILLED = "WorkersKilled"  # error of a job whose workers were ended from outside


def is_passing(stage: str, error: str) -> bool:
    """Whether a failure says nothing of the video: the next run tries it again, nothing is committed."""
    return stage == READ or error == KILLED


@dataclass
class Job:
    """One distinct content to preprocess, or one span of it, with every source that has it."""

    key: str
    sources: list[Source]  # the first is read, all their names are kept
    num_bytes: int = 0
    stamp: tuple[int, int] | None = None  # size and mtime in ns of the file when it was hashed
    span: Span | None = None  # None: all of it, unless the worker finds that it must be cut
    attempts: int = 0

    @property
    def source(self) -> Source:
        return self.sources[0]

    @property
    def name(self) -> str:
        """Tells it from all others of a run."""
        return self.key if self.span is None else f"{self.key}-{self.span.index}"

    def failures(self, stage: str, error: str, reason: str) -> list[FailureRecord]:
        """One record for each source of this content."""
        return [
            FailureRecord(s.name, place(s.path), self.key, stage, error, reason, max(1, self.attempts))
            for s in self.sources
        ]


@dataclass(frozen=True)
class Reply:
    """A worker's answer to one job, or to the request to seal."""

    outcome: SegmentOutcome | None = None
    spans: list[Span] = field(default_factory=list)  # the video is to be cut so; nothing else was done
    failed_stage: str = ""
    failed_error: str = ""  # class of the error
    failed_reason: str = ""
    sealed: list[str] = field(default_factory=list)  # shards that have their final name since the last reply
    interrupted: bool = False  # the video was given up, as asked
    unfit: str = ""  # an error that nobody foresaw: why this worker must not go on
    hopeless: str = ""  # why no worker can go on: the store cannot be written
    no_place: str = ""  # why none can go on, though they can seal: nothing runs their networks any more
    seconds: dict[str, float] = field(default_factory=dict)  # `wait` before it, `write` of sealing


@dataclass(frozen=True)
class Vitals:
    """Sign of life of a worker. `beats` grows while it makes progress."""

    beats: int
    num_frames: int
    media_seconds: float  # of the job under way
    rss_bytes: int


class WorkerLostError(Exception):
    """The process behind a handle is gone; the message says how, as far as known."""

    def __init__(self, reason: str, *, at_start: bool = False, crashed: bool = False) -> None:
        """at_start: it could not set itself up. crashed: by its own doing, not ended from outside."""
        super().__init__(reason)
        self.at_start, self.crashed = at_start, crashed


class Handle(Protocol):
    """One worker process as the driver sees it. Requests are answered one by one, in their order."""

    def submit(self, job: Job) -> None: ...

    def seal(self) -> None: ...

    def reply(self) -> Reply | None:
        """The answer to the oldest open request if it is there. Raises WorkerLostError."""
        ...

    def vitals(self) -> Vitals | None:
        """The newest sign of life, None as long as there was none. Never blocks. Raises WorkerLostError."""
        ...

    def interrupt(self) -> None:
        """Ask for all open jobs to be given up, so that what was finished before can be sealed."""
        ...

    def kill(self) -> None:
        """End the process at once, whatever it hangs in. Never raises."""
        ...


class Pool(Protocol):
    """Makes workers, in child processes or on a cluster."""

    def spawn(self) -> Handle: ...

    def wait(self, handles: list[Handle], timeout_seconds: float) -> Sequence[Handle]:
        """Those that may have something to say, as soon as there are any, at the latest after the timeout."""
        ...

    def close(self) -> None: ...

    @property
    def device_usage(self) -> list[DeviceUsage]:
        """Of the processes that ran networks for all workers, once the pool is closed."""
        ...
