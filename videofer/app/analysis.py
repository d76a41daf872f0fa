"""What the app does with one video: the same functions that `videofer timeline` calls, with progress."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from cache.errors import UserError

if TYPE_CHECKING:
    from preprocessing.spec import PreprocessSpec
    from preprocessing.stage.totals import Totals
    from videofer.checkpoint import TrainedModel
    from videofer.study.products import ProductOptions
    from videofer.timeline.settings import TimelineSettings

Report = Callable[[str, float], None]
"""Told of the stage and of the share of all that is done, in [0, 1]. May raise to end the work."""

# Shares of the whole at which a stage begins, as measured on an interview of 20 s with one face.
READING, MODEL, WRITING = 0.0, 0.5, 0.7


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
    names: Mapping[int, str] = field(default_factory=dict)


def analyse(plan: Plan, video: Path, folder: Path, report: Report) -> str:
    """Write `folder/store` and `folder/results`; returns the name of the report in results.

    Raises UserError, one line, where the video cannot be analysed.
    """
    from cache.reader import StoreReader
    from preprocessing.stage.run import preprocess
    from videofer.study.products import write_products
    from videofer.timeline.make import make_timeline

    report("reading the video", READING)
    done = preprocess(
        [video], folder / "store", plan.spec, weights_dir=plan.weights_dir, num_workers=plan.num_workers,
        progress=_Watcher(_duration_seconds(video), report),
    )  # fmt: skip
    if done.failures:
        raise UserError(done.failures[0].reason)
    reader = StoreReader(folder / "store")
    record = reader.videos()[0]
    timeline = make_timeline(
        plan.model, reader, record.key, plan.settings,
        on_progress=lambda share: report("recognising expressions", MODEL + share * (WRITING - MODEL)),
    )  # fmt: skip
    report("writing the report", WRITING)
    paths = write_products(
        timeline, folder / "results", video.stem, plan.formats, media=video, reader=reader,
        options=plan.options,
        on_progress=lambda share: report("writing the report", WRITING + share * (1 - WRITING)),
    )  # fmt: skip
    report("writing the report", 1.0)
    return next(path.name for path in paths if path.suffix == ".html")


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
        "model": plan.model.path.name,
        "classes": list(plan.model.labels),
        "folder": str(library),
        "max_bytes": max_bytes,
    }
