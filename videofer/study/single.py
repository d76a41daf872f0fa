"""The timeline of a single video and all its files, made in this process."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from cache.reader import StoreReader
from preprocessing.discover import place
from videofer.formats.names import safe_stem
from videofer.study.products import ProductOptions, write_products
from videofer.study.spec import STORE
from videofer.timeline.make import make_timeline

if TYPE_CHECKING:
    from preprocessing.stage.run import StageReport
    from videofer.checkpoint import TrainedModel
    from videofer.timeline.settings import TimelineSettings

MAKING = 0.5  # of the work is the timeline


def write_single(
    model: TrainedModel,
    stage: StageReport,
    out: Path,
    settings: TimelineSettings,
    formats: Sequence[str],
    options: ProductOptions,
    *,
    names: Mapping[int, str] | None = None,
    on_progress: Callable[[float], None] = lambda _share: None,
) -> list[Path]:
    """Files of the one video that `stage` has put into OUT/store; none where it failed there."""
    (source,) = stage.sources
    reader = StoreReader(out / STORE)
    key = stage.plan.keys.get(place(source.path))
    if key is None or key not in reader.store.keys():  # noqa: SIM118 (a store is no dict)
        return []
    timeline = make_timeline(
        model, reader, key, settings, names=names, on_progress=lambda share: on_progress(MAKING * share)
    )
    return write_products(
        timeline,
        out,
        safe_stem(Path(source.name).stem),
        formats,
        media=source.path.absolute(),
        reader=reader,
        options=options,
        on_progress=lambda share: on_progress(MAKING + (1 - MAKING) * share),
    )
