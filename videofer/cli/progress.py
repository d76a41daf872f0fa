"""What a person sees while the stage works: a bar with videos a second, hours of video an hour and ETA."""

from __future__ import annotations

import sys
import time
from types import TracebackType
from typing import TYPE_CHECKING

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

if TYPE_CHECKING:
    from preprocessing.stage.totals import Totals

PLAIN_EVERY_SECONDS = 10.0


class StageProgress:
    """A bar on a terminal, a line now and then elsewhere. Writes to standard error."""

    def __init__(self) -> None:
        self._console = Console(file=sys.stderr)
        self._bar = Progress(
            TextColumn("{task.description}"),
            BarColumn(),
            MofNCompleteColumn(),
            TextColumn("{task.fields[rate]}"),
            TimeRemainingColumn(),
            console=self._console,
            disable=not self._console.is_terminal,
        )
        self._hash_task = self._bar.add_task("reading", total=None, rate="", visible=False)
        self._work_task = self._bar.add_task("videos", total=None, rate="", visible=False)
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
        self._bar.update(self._hash_task, completed=num_done, total=num_sources, visible=True)

    def working(self, totals: Totals) -> None:
        now = time.monotonic()
        if not self._began:
            self._began = now - 1e-3
        done = totals.num_done + totals.num_failed
        seconds = now - self._began
        rate = f"{done / seconds:.1f} videos/s, {totals.media_seconds / seconds:.1f} h of video per h"
        self._bar.update(self._work_task, completed=done, total=totals.num_jobs, rate=rate, visible=True)
        if not self._console.is_terminal and now - self._spoke > PLAIN_EVERY_SECONDS:
            self._spoke = now
            left = (totals.num_jobs - done) * seconds / max(1, done)
            self.note(f"{done}/{totals.num_jobs} videos, {rate}, {left:.0f} s left")
