"""The timeline of a single video and all its files, made in this process."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from cache.reader import StoreReader
from preprocessing.discover import place
from videofer.formats.names import safe_stems
from videofer.study.inputs import names_in
from videofer.study.products import ProductOptions, write_products
from videofer.study.spec import STORE
from videofer.timeline.make import make_timeline

if TYPE_CHECKING:
    from preprocessing.stage.run import StageReport
    from videofer.checkpoint import TrainedModel
    from videofer.timeline.settings import TimelineSettings

MAKING = 0.5  # of the work is the timeline


@dataclass(frozen=True)
class Single:
    """What was made of one video; nothing where it failed."""

    paths: Sequence[Path] = ()
    warnings: Sequence[str] = ()  # of preprocessing: what could not be decoded, above all


def write_single(
    model: TrainedModel,
    stage: StageReport,
    out: Path,
    settings: TimelineSettings,
    formats: Sequence[str],
    options: ProductOptions,
    *,
    results: Path | None = None,
    names: Mapping[int, str] | None = None,
    on_progress: Callable[[float], None] = lambda _share: None,
) -> Single:
    """Files of the one video that `stage` has put into OUT/store; none where it failed there.

    They go into OUT, or into the folder `results`. on_progress: the share done, up to MAKING the timeline.
    """
    results = results or out
    (source,) = stage.sources
    reader = StoreReader(out / STORE)
    key = stage.plan.keys.get(place(source.path))
    if key is None or key not in reader.store.keys():  # noqa: SIM118 (a store is no dict)
        return Single()
    timeline = make_timeline(
        model, reader, key, settings, names=names, on_progress=lambda share: on_progress(MAKING * share)
    )
    paths = write_products(
        timeline,
        results,
        safe_stems([Path(source.name).name], names_in(results, [source.path]))[0],
        formats,
        media=source.path.absolute(),
        reader=reader,
        options=options,
        on_progress=lambda share: on_progress(MAKING + (1 - MAKING) * share),
    )
    return Single(paths, tuple(timeline.provenance.get("warnings") or ()))
