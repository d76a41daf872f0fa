"""What a person sees while timelines are made: a bar on a terminal, a line now and then elsewhere."""

from __future__ import annotations

from typing import TYPE_CHECKING

from videofer.cli.progress import BarOrLines

if TYPE_CHECKING:
    from videofer.study.run import StudyTotals


class TimelineProgress(BarOrLines):
    """How far the timeline of one video is, or those of a study."""

    def __init__(self) -> None:
        super().__init__("state")
        self._task = self._bar.add_task("timelines", total=1.0, state="", visible=False)

    def video(self, share: float) -> None:
        """How far a single video is, in [0, 1]."""
        self._bar.update(self._task, completed=share, visible=True)

    def study(self, totals: StudyTotals) -> None:
        """How far many are. By media time: long videos come first, so that the first take the longest."""
        media = min(totals.media_seconds, totals.media_seconds_done + totals.media_seconds_under_way)
        share = media / totals.media_seconds if totals.media_seconds > 0 else 0.0
        state = study_state(totals, self.seconds())
        self._bar.update(self._task, completed=share, state=state, visible=True)
        self.line(f"timelines: {state}", share)


def study_state(totals: StudyTotals, seconds: float) -> str:
    """12/40, 1 failed, 0.8 videos/s, 9.3 h of video per h."""
    done = totals.num_done + totals.num_failed
    failed = f", {totals.num_failed} failed" if totals.num_failed else ""
    media = totals.media_seconds_done + totals.media_seconds_under_way
    return (
        f"{done}/{totals.num_videos}{failed}, {done / seconds:.1f} videos/s, "
        f"{media / seconds:.1f} h of video per h"
    )
