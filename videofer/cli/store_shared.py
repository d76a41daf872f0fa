"""What the commands on a store share: arguments, a counting progress, numbers of processes."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from cache.store import Store

StorePath = Annotated[Path, typer.Argument(metavar="STORE")]
MIN_SHARDS_A_PROCESS = 2  # starting one takes as long as reading some
LINE_EVERY_SECONDS = 10.0


@contextmanager
def counting(what: str) -> Iterator[Callable[[int, int], None]]:
    """A bar with rate and ETA on a terminal, a line now and then elsewhere; to standard error."""
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

    console = Console(file=sys.stderr)
    began = spoke = time.monotonic()
    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TextColumn("{task.fields[rate]}"),
        TimeRemainingColumn(),
    )
    with Progress(*columns, console=console, disable=not console.is_terminal, transient=True) as bar:
        task = bar.add_task(what, total=None, rate="")

        def progress(done: int, total: int) -> None:
            nonlocal spoke
            now = time.monotonic()
            rate = done / max(now - began, 1e-6)
            bar.update(task, completed=done, total=total, rate=f"{rate:.0f}/s")
            if not console.is_terminal and now - spoke > LINE_EVERY_SECONDS:
                spoke = now
                left = f", {rate:.0f}/s, {(total - done) / rate:.0f} s left" if done else ""
                print(f"{what}: {done}/{total}{left}", file=sys.stderr)

        yield progress


def processes_for(store: Store, wanted: int | None) -> int:
    """As many as were asked for, else as are worth starting."""
    from preprocessing.stage.cluster import usable_cores

    if wanted is not None:
        return wanted
    num_shards = sum(1 for _ in (store.path / "shards").glob("*.h5"))
    return max(1, min(usable_cores(), num_shards // MIN_SHARDS_A_PROCESS))
