"""What a person sees while bytes come: a bar with rate and ETA, or a line now and then; on standard error."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from preprocessing.quantities import as_bytes, as_time

LINE_EVERY_SECONDS = 10.0


@contextmanager
def transferring(what: str) -> Iterator[Callable[[int, int | None], None]]:
    """Gives the function to call with the bytes that are done and, if it is known, how many there will be."""
    from rich.console import Console
    from rich.progress import BarColumn, DownloadColumn, Progress, TextColumn, TimeRemainingColumn
    from rich.progress import TransferSpeedColumn as SpeedColumn

    console = Console(file=sys.stderr)
    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        DownloadColumn(),
        SpeedColumn(),
        TimeRemainingColumn(),
    )
    began = spoke = time.monotonic()
    before: int | None = None  # what an earlier run had brought: no work of this one
    with Progress(*columns, console=console, disable=not console.is_terminal, transient=True) as bar:
        task = bar.add_task(what, total=None)

        def progress(done: int, total: int | None) -> None:
            nonlocal spoke, before
            before = done if before is None else before
            bar.update(task, completed=done, total=total)
            now = time.monotonic()
            if not console.is_terminal and now - spoke > LINE_EVERY_SECONDS:
                spoke = now
                print(f"{what}: {_state(done, total, (done - before) / (now - began))}", file=sys.stderr)

        yield progress


def _state(done: int, total: int | None, rate: float) -> str:
    parts = [
        as_bytes(done) if total is None else f"{as_bytes(done)} of {as_bytes(total)}",
        f"{as_bytes(rate)}/s",
    ]
    if total is not None and rate > 0:
        parts.append(f"{as_time((total - done) / rate)} left")
    return ", ".join(parts)
