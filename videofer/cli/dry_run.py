"""`videofer preprocess --dry-run`: look at a sample of the inputs, time excerpts, say what a run takes."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

import typer

from cache.errors import UserError
from videofer.cli.errors import DONE

if TYPE_CHECKING:
    from preprocessing.spec import PreprocessSpec
    from preprocessing.types import Probe, Source

SECONDS = 20.0  # for looking and timing, starts of processes not counted
SHOWN_INPUTS = 20


def dry_run(
    inputs: list[Path],
    out: Path | None,
    spec: PreprocessSpec,
    *,
    weights_dir: Path | None,
    num_workers: int | None,
    seconds: float,
    deadline_hours: float | None,
    cores_per_node: int | None,
    report: Path | None,
    skip: Callable[[Path], bool],
) -> int:
    """Print the estimate; with `report`, keep the measured rates for `videofer plan`. Opens the store for
    reading at most (out: None where it is elsewhere)."""
    from preprocessing.discover import discover
    from preprocessing.engines import engines_of
    from preprocessing.estimate import text
    from preprocessing.estimate.extrapolate import extrapolate
    from preprocessing.estimate.measure import measure
    from preprocessing.quantities import as_count
    from preprocessing.stage.cluster import usable_cores
    from preprocessing.stage.run import describe
    from preprocessing.types import InputError
    from videofer.cli.progress import StageProgress

    sources, lost = discover(inputs, sidecars=spec.pose == "sidecar", frames_fps=spec.frames_fps, skip=skip)
    choices = engines_of(spec, weights_dir)
    known = stored_already(out, sources)
    sources = [source for source, is_stored in zip(sources, known, strict=True) if not is_stored]
    workers = num_workers or usable_cores()
    try:
        with StageProgress() as progress:
            progress.note(describe(choices))
            measured = measure(
                sources, spec, choices, num_workers=workers, seconds=seconds, note=progress.note
            )
    except RuntimeError as error:
        raise UserError(f"workers cannot start: {error}") from None
    result = text.forecast(
        extrapolate(sources, measured),
        measured,
        num_workers=workers,
        cores_per_node=cores_per_node or usable_cores(),
        segment_seconds=spec.segment_seconds,
        deadline_hours=deadline_hours,
    )
    if len(sources) <= SHOWN_INPUTS:
        for index, source in enumerate(sources):
            facts = measured.looks.get(index)
            if facts is not None and not isinstance(facts, InputError):
                typer.echo(line_of(source, facts))
    typer.echo(text.text_of(result))
    for failure in lost:
        typer.echo(f"  would fail: {failure.name!r}: {failure.stage}: {failure.reason}")
    if any(known):
        num = sum(known)
        typer.echo(
            f"{as_count(num, 'input')} {'is' if num == 1 else 'are'} in the store already, not counted above"
        )
    if report is not None:
        rates = result.estimate.rates
        if rates is None:
            raise UserError(f"no video could be timed: there is nothing to write to {report}")
        rates.save(report)
    return DONE


def line_of(source: Source, facts: Probe) -> str:
    """One input in a line."""
    duration = "?" if facts.duration is None else f"{facts.duration:.2f}"
    return f"{source.name!r}: {source.kind}, {facts.width}x{facts.height}, {facts.codec}, {duration} s"


def stored_already(out: Path | None, sources: list[Source]) -> list[bool]:
    """Of each input, whether the store holds a file of this path, size and time. No video is read."""
    from cache.store import Store

    if out is None or not (out / "store.json").exists():
        return [False] * len(sources)
    store = Store.open(out)
    keys = store.keys()
    known = []
    for source in sources:
        try:
            stat = source.path.stat()
            place = os.fspath(source.path.absolute())
            key = store.hash_cache.get(place, stat.st_size, stat.st_mtime_ns)
        except OSError:
            key = None
        known.append(source.sidecar is None and key is not None and key in keys)
    return known
