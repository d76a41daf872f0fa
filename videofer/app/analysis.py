"""What the app does with one video: the same functions that `videofer timeline` calls, with progress."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from cache.errors import UserError
from videofer.emotions import PERCEIVED

if TYPE_CHECKING:
    from preprocessing.spec import PreprocessSpec
    from preprocessing.stage.totals import Totals
    from videofer.checkpoint import TrainedModel
    from videofer.study.products import ProductOptions
    from videofer.timeline.settings import TimelineSettings

Report = Callable[[str, float], None]
"""Told of the stage and of the share of all that is done, in [0, 1]. May raise to end the work."""

# Shares of the whole at which a stage begins, as measured on an interview of 20 s with one face.
READING, MODEL = 0.0, 0.5


@dataclass(frozen=True, kw_only=True)
class Plan:
    """How every video is analysed."""

    model: TrainedModel
    spec: PreprocessSpec
    settings: TimelineSettings
    formats: tuple[str, ...]
    options: ProductOptions
    weights_dir: Path | None = None
    num_workers: int | None = None


def analyse(plan: Plan, video: Path, folder: Path, report: Report) -> str:
    """Write `folder/store` and `folder/results`; returns the name of the report in results.

    Raises UserError, one line, where the video cannot be analysed.
    """
    from preprocessing.stage.run import preprocess
    from videofer.study.single import MAKING, write_single
    from videofer.study.spec import STORE

    def told(share: float) -> None:
        stage = "recognising expressions" if share < MAKING else "writing the report"
        report(stage, MODEL + share * (1 - MODEL))

    report("reading the video", READING)
    done = preprocess(
        [video], folder / STORE, plan.spec, weights_dir=plan.weights_dir, num_workers=plan.num_workers,
        progress=_Watcher(_duration_seconds(video), report),
    )  # fmt: skip
    if done.failures:
        raise UserError(done.failures[0].reason)
    made = write_single(
        plan.model, done, folder, plan.settings, plan.formats, plan.options,
        results=folder / "results", on_progress=told,
    )  # fmt: skip
    return next(path.name for path in made.paths if path.suffix == ".html")


def _duration_seconds(video: Path) -> float | None:
    from preprocessing.probe import probe
    from preprocessing.types import InputError, Source

    try:
        return probe(Source(video, video.name, "video")).duration
    except InputError:
        return None  # the stage says why


class _Watcher:
    """Fulfils `preprocessing.stage.run.Progress` for one video."""

    def __init__(self, duration_seconds: float | None, report: Report) -> None:
        self._duration_seconds, self._report = duration_seconds, report

    def hashing(self, _num_done: int, _num_sources: int) -> None:
        self._report("reading the video", READING)

    def working(self, totals: Totals) -> None:
        seconds = totals.media_seconds + totals.media_seconds_under_way
        share = min(1.0, seconds / self._duration_seconds) if self._duration_seconds else 0.0
        self._report("finding faces", READING + share * (MODEL - READING))

    def note(self, message: str) -> None:
        """Nobody reads it here; it stands in the report."""


def about(plan: Plan, library: Path, max_bytes: int) -> dict[str, Any]:
    """What the page tells of the model and of where things lie."""
    return {
        "model": plan.model.title,
        "reports": PERCEIVED,
        "classes": list(plan.model.labels),
        "folder": str(library),
        "max_bytes": max_bytes,
    }
