"""What a person sees while timelines are made: a bar on a terminal, a line now and then elsewhere."""

from __future__ import annotations

import time
from types import TracebackType
from typing import TYPE_CHECKING

from preprocessing.quantities import as_time
from videofer.cli.progress import PLAIN_EVERY_SECONDS, bar_on_stderr

if TYPE_CHECKING:
    from videofer.study.run import StudyTotals


class TimelineProgress:
    """One bar, of one video or of a study. Writes to standard error."""

    def __init__(self) -> None:
        self._console, self._bar = bar_on_stderr("state")
        self._task = self._bar.add_task("timelines", total=1.0, state="", visible=False)
        self._began = 0.0
        self._spoke = time.monotonic()

    def __enter__(self) -> TimelineProgress:
        self._bar.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._bar.stop()

    def video(self, share: float) -> None:
        """How far a single video is, in [0, 1]."""
        self._bar.update(self._task, completed=share, visible=True)

    def study(self, totals: StudyTotals) -> None:
        """How far many are. By media time: long videos come first, so that the first take the longest."""
        now = time.monotonic()
        if not self._began:
            self._began = now - 1e-3
        seconds = now - self._began
        media = min(totals.media_seconds, totals.media_seconds_done + totals.media_seconds_under_way)
        share = media / totals.media_seconds if totals.media_seconds > 0 else 0.0
        state = study_state(totals, seconds)
        self._bar.update(self._task, completed=share, state=state, visible=True)
        if not self._console.is_terminal and now - self._spoke > PLAIN_EVERY_SECONDS:
            self._spoke = now
            left = f"{as_time(seconds * (1 - share) / share)} left" if share else "nothing done yet"
            self._console.print(f"timelines: {state}, {left}", highlight=False, markup=False, soft_wrap=True)


def study_state(totals: StudyTotals, seconds: float) -> str:
    """12/40, 1 failed, 0.8 videos/s, 9.3 h of video per h."""
    done = totals.num_done + totals.num_failed
    failed = f", {totals.num_failed} failed" if totals.num_failed else ""
    media = totals.media_seconds_done + totals.media_seconds_under_way
    return (
        f"{done}/{totals.num_videos}{failed}, {done / seconds:.1f} videos/s, "
        f"{media / seconds:.1f} h of video per h"
    )
