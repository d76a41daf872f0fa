"""What passes between driver and workers: jobs, replies and signs of life. All of it is small and pickles."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Protocol

from cache.schema import FailureRecord
from preprocessing.discover import place
from preprocessing.pipeline import SegmentOutcome
from preprocessing.types import Source


@dataclass
class Job:
    """One distinct content to preprocess, with every source that has it."""

    key: str
    sources: list[Source]  # the first is read, all their names are kept
    attempts: int = 0
    deaths_alone: int = 0  # of workers that ran nothing else

    @property
    def source(self) -> Source:
        return self.sources[0]

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
    failed_stage: str = ""
    failed_error: str = ""  # class of the error
    failed_reason: str = ""
    sealed: list[str] = field(default_factory=list)  # shards that have their final name since the last reply
    interrupted: bool = False  # the video was given up, as asked
    unfit: str = ""  # an error that nobody foresaw: why this worker must not go on
    hopeless: str = ""  # why no worker can go on: the store cannot be written


@dataclass(frozen=True)
class Vitals:
    """Sign of life of a worker. `beats` grows while it makes progress."""

    beats: int
    num_frames: int
    media_seconds: float
    rss_bytes: int


class WorkerLostError(Exception):
    """The process behind a handle is gone; the message says how, as far as known."""


class Handle(Protocol):
    """One worker process as the driver sees it. At most one request is under way."""

    def submit(self, job: Job) -> None: ...

    def seal(self) -> None: ...

    def reply(self) -> Reply | None:
        """The answer to the last request if it is there. Raises WorkerLostError."""
        ...

    def vitals(self) -> Vitals | None:
        """The newest sign of life, None as long as there was none. Never blocks."""
        ...

    def interrupt(self) -> None:
        """Ask for the video under way to be given up, so that what was finished before can be sealed."""
        ...

    def kill(self) -> None:
        """End the process at once, whatever it hangs in."""
        ...


class Pool(Protocol):
    """Makes workers, in child processes or on a cluster."""

    def spawn(self) -> Handle: ...

    def wait(self, handles: list[Handle], timeout_seconds: float) -> None:
        """Return when one of the handles may have a reply, at the latest after the timeout."""
        ...

    def close(self) -> None: ...
