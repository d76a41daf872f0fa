"""What a cross-validation says while it runs: a line for each fold that ends, and how far the others are."""

from __future__ import annotations

import sys
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from videofer.experiments.fold_task import FoldResult, FoldTask
from videofer.training.progress import clock

_EVERY_SECONDS = 30.0


@dataclass(frozen=True, kw_only=True)
class FoldEvent:
    """A fold has ended."""

    result: FoldResult
    num_done: int  # with those of an earlier run
    num_folds: int  # of all seeds
    folds_per_hour: float
    eta_seconds: float


FoldProgress = Callable[[FoldEvent], None]


def fold_line(event: FoldEvent) -> str:
    """One line without a newline."""
    result = event.result
    width = len(str(event.num_folds))
    head = f"{event.num_done:{width}d}/{event.num_folds}  seed {result.seed} fold {result.fold}"
    rate = f"{event.folds_per_hour:.3g} folds/h  {clock(event.eta_seconds)} left"
    if result.reason is not None:
        return f"{head}  FAILED: {result.reason}  {rate}"
    *_, figures = result.figures.values()  # of the model's answer
    shown = "  ".join(f"{name} {_figure(figures[key])}" for name, key in (("acc", "war"), ("uar", "uar")))
    return f"{head}  {shown}  {result.num_epochs} epochs  {clock(result.seconds)}  {rate}"


def print_fold(event: FoldEvent) -> None:
    """Prints the line on stderr."""
    print(fold_line(event), file=sys.stderr, flush=True)


@contextmanager
def watching(tasks: Sequence[FoldTask], every_seconds: float = _EVERY_SECONDS) -> Iterator[None]:
    """While the block runs, says now and then on stderr how many epochs of all folds are done.

    The folds train in other processes, on other machines perhaps: what is counted is what they have written.
    """
    stop = threading.Event()
    begun, began = sum(map(_epochs_done, tasks)), time.monotonic()

    def tell() -> None:
        while not stop.wait(every_seconds):
            print(_course(tasks, begun, time.monotonic() - began), file=sys.stderr, flush=True)

    thread = threading.Thread(target=tell, name="crossval-progress", daemon=True)
    thread.start()
    try:
        yield
    finally:
        stop.set()
        thread.join()


def _course(tasks: Sequence[FoldTask], begun: int, seconds: float) -> str:
    done = sum(map(_epochs_done, tasks))
    most = sum(_most_epochs(task) for task in tasks)
    rate = (done - begun) / max(seconds, 1e-9)
    left = f"at most {clock((most - done) / rate)} left" if done > begun else "no epoch ended yet"
    return f"epoch {done} of {most} in all folds  {rate * 60:.3g} epochs/min  {left}"


def _epochs_done(task: FoldTask) -> int:
    """Of its run and of the inner folds; all of them for a fold that has ended, however early it stopped."""
    if (task.path / "result.json").is_file():
        return _most_epochs(task)
    run = task.path / "run"
    return sum(_num_rows(path) for path in (run / "history.csv", *run.glob("state/inner_*/history.csv")))


def _most_epochs(task: FoldTask) -> int:
    settings = task.recipe.training
    return settings.epochs * (1 + settings.inner_folds)


def _num_rows(path: Path) -> int:
    try:
        return max(0, len(path.read_text(encoding="utf-8").splitlines()) - 1)
    except OSError:  # not there yet, or an inner fold that has just been cleared away
        return 0


def _figure(value: float | None) -> str:
    return "-" if value is None else f"{value:.3f}"
