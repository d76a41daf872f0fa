"""When a worker is taken for hung, and what the driver knows of each."""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass, field

from preprocessing.stage.job import Handle, Job
from preprocessing.stage.videos import Finished


@dataclass(frozen=True)
class Watch:
    """When a worker is taken for hung. Times in seconds."""

    silent_seconds: float = 60.0  # no progress for so long
    deadline_base_seconds: float = 300.0  # one job: so long, and
    deadline_factor: float = 60.0  # so many times its media time done so far
    max_rss_bytes: int = 8 << 30
    start_seconds: float = 180.0  # for the first sign of life of a new worker


@dataclass(eq=False)
class WatchedWorker:
    """A handle with what the driver knows of it."""

    handle: Handle
    born: float
    starting: bool = True  # until its first sign of life; a death before it is no video's fault
    jobs: deque[Job] = field(default_factory=deque)  # the first is being done, the others wait in the worker
    alone: bool = False  # its job runs alone in this process
    used: bool = False
    sealing: bool = False
    started: float = 0.0  # when the request under way was made or came to the front
    beats: int = -1
    last_progress: float = 0.0
    media_seconds: float = 0.0
    unsealed: list[Finished] = field(default_factory=list)

    @property
    def busy(self) -> bool:
        return self.starting or bool(self.jobs) or self.sealing

    def begin(self, now: float) -> None:
        """What is at the front of its requests is begun now."""
        self.started = self.last_progress = now
        self.media_seconds = 0.0

    def why_overdue(self, watch: Watch, now: float) -> str | None:
        """Why the worker must be ended, None while it may go on. Raises WorkerLostError."""
        vitals = self.handle.vitals()
        if vitals is None or not self.busy:
            return None
        if vitals.beats != self.beats:
            self.beats, self.last_progress = vitals.beats, now
            self.media_seconds = vitals.media_seconds
        if now - self.last_progress > watch.silent_seconds:
            return f"no progress for {watch.silent_seconds:.0f} s"
        allowed = watch.deadline_base_seconds + watch.deadline_factor * self.media_seconds
        if now - self.started > allowed:
            return f"not done after {allowed:.0f} s"
        if vitals.rss_bytes > watch.max_rss_bytes:
            return f"used more than {watch.max_rss_bytes / 2**30:.1f} GiB of memory"
        return None
