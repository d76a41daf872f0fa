"""What a person sees while the stage works: a bar with videos a second, hours of video an hour and ETA."""

from __future__ import annotations

import sys
import time
from types import TracebackType
from typing import TYPE_CHECKING

from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn, TimeRemainingColumn

from preprocessing.quantities import as_time

if TYPE_CHECKING:
    from preprocessing.stage.totals import Totals

PLAIN_EVERY_SECONDS = 10.0


def bar_on_stderr(*fields: str) -> tuple[Console, Progress]:
    """A bar with these fields of its tasks beside it; silent where standard error is no terminal."""
    console = Console(file=sys.stderr)
    columns = [TextColumn(f"{{task.fields[{field}]}}") for field in fields]
    bar = Progress(
        TextColumn("{task.description}"),
        BarColumn(),
        *columns,
        TimeRemainingColumn(),
        console=console,
        disable=not console.is_terminal,
    )
    return console, bar


class StageProgress:
    """A bar on a terminal, a line now and then elsewhere. Writes to standard error."""

    def __init__(self) -> None:
        self._console, self._bar = bar_on_stderr("count", "rate")
        self._hash_task = self._bar.add_task("reading", total=None, count="", rate="", visible=False)
        self._work_task = self._bar.add_task("videos", total=None, count="", rate="", visible=False)
        self._began = 0.0
        self._spoke = time.monotonic()

    def __enter__(self) -> StageProgress:
        self._bar.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._bar.stop()

    def note(self, message: str) -> None:
        self._console.print(message, highlight=False, markup=False, soft_wrap=True)

    def hashing(self, num_done: int, num_sources: int) -> None:
        count = f"{num_done}/{num_sources}"
        self._bar.update(self._hash_task, completed=num_done, total=num_sources, count=count, visible=True)

    def working(self, totals: Totals) -> None:
        """The bar goes by bytes: large files come first, so that the first videos take the longest."""
        now = time.monotonic()
        if not self._began:
            self._began = now - 1e-3
        done = totals.num_done + totals.num_failed
        seconds = now - self._began
        count = f"{done}/{totals.num_jobs}"
        media_seconds = totals.media_seconds + totals.media_seconds_under_way
        rate = f"{done / seconds:.1f} videos/s, {media_seconds / seconds:.1f} h of video per h"
        share = share_done(totals)
        self._bar.update(self._work_task, completed=share, total=1.0, count=count, rate=rate, visible=True)
        if not self._console.is_terminal and now - self._spoke > PLAIN_EVERY_SECONDS:
            self._spoke = now
            left = f"{as_time(seconds * (1 - share) / share)} left" if share else "nothing done yet"
            self.note(f"{count} videos, {rate}, {left}")


def share_done(totals: Totals) -> float:
    """How much of the work is done, in [0, 1], never too much: large files come first.

    By bytes, of which a cut video has its own only when it is whole; or by segments, if that is more.
    """
    if totals.num_bytes <= 0:
        return (totals.num_done + totals.num_failed) / max(1, totals.num_jobs)
    segments = totals.num_segments_done / max(1, totals.num_segments)
    return min(1.0, max(totals.num_bytes_done / totals.num_bytes, segments))
