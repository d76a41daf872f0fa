"""What a person sees while the stage works: a bar with videos a second, hours of video an hour and ETA."""

from __future__ import annotations

import sys
import time
from types import TracebackType
from typing import TYPE_CHECKING, Self

from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn, TimeRemainingColumn

from preprocessing.quantities import as_time

if TYPE_CHECKING:
    from preprocessing.stage.totals import Totals

PLAIN_EVERY_SECONDS = 10.0


class BarOrLines:
    """On standard error: a bar on a terminal, a line now and then elsewhere."""

    def __init__(self, *fields: str) -> None:
        """fields: those of the bar's tasks that are shown beside it."""
        self._console = Console(file=sys.stderr)
        self._bar = Progress(
            TextColumn("{task.description}"),
            BarColumn(),
            *(TextColumn(f"{{task.fields[{field}]}}") for field in fields),
            TimeRemainingColumn(),
            console=self._console,
            disable=not self._console.is_terminal,
        )
        self._began = 0.0
        self._spoke = time.monotonic()

    def __enter__(self) -> Self:
        self._bar.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._bar.stop()

    def note(self, message: str) -> None:
        """A line of its own."""
        self._console.print(message, highlight=False, markup=False, soft_wrap=True)

    def seconds(self) -> float:
        """Since this was asked first; above 0."""
        now = time.monotonic()
        if not self._began:
            self._began = now - 1e-3
        return now - self._began

    def line(self, state: str, share: float) -> None:
        """Where no bar is seen, and none was written lately: the state, and how long the rest may take."""
        now = time.monotonic()
        if self._console.is_terminal or now - self._spoke <= PLAIN_EVERY_SECONDS:
            return
        self._spoke = now
        left = f"{as_time(self.seconds() * (1 - share) / share)} left" if share else "nothing done yet"
        self.note(f"{state}, {left}")


class StageProgress(BarOrLines):
    """How far preprocessing is."""

    def __init__(self) -> None:
        super().__init__("count", "rate")
        self._hash_task = self._bar.add_task("reading", total=None, count="", rate="", visible=False)
        self._work_task = self._bar.add_task("videos", total=None, count="", rate="", visible=False)

    def hashing(self, num_done: int, num_sources: int) -> None:
        count = f"{num_done}/{num_sources}"
        self._bar.update(self._hash_task, completed=num_done, total=num_sources, count=count, visible=True)

    def working(self, totals: Totals) -> None:
        """The bar goes by bytes: large files come first, so that the first videos take the longest."""
        done = totals.num_done + totals.num_failed
        seconds = self.seconds()
        count = f"{done}/{totals.num_jobs}"
        media_seconds = totals.media_seconds + totals.media_seconds_under_way
        rate = f"{done / seconds:.1f} videos/s, {media_seconds / seconds:.1f} h of video per h"
        share = share_done(totals)
        self._bar.update(self._work_task, completed=share, total=1.0, count=count, rate=rate, visible=True)
        self.line(f"{count} videos, {rate}", share)


def share_done(totals: Totals) -> float:
    """How much of the work is done, in [0, 1], never too much: large files come first.

    By bytes, of which a cut video has its own only when it is whole; or by segments, if that is more.
    """
    if totals.num_bytes <= 0:
        return (totals.num_done + totals.num_failed) / max(1, totals.num_jobs)
    segments = totals.num_segments_done / max(1, totals.num_segments)
    return min(1.0, max(totals.num_bytes_done / totals.num_bytes, segments))
