"""What a training run says while it runs: one event type, the line a person reads, and a file of events.

The file carries events from a Ray worker to the driver, which shows them as if it trained itself.
"""

from __future__ import annotations

import json
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass, fields
from pathlib import Path

_POLL_SECONDS = 0.3


@dataclass(frozen=True, kw_only=True)
class Event:
    """Where training stands. `val_*` are None within an epoch; afterwards they end it."""

    epoch: int  # counts from 0
    num_epochs: int
    samples_done: int  # in this epoch
    samples_in_epoch: int
    samples_per_second: float
    eta_seconds: float  # to the last epoch; early stopping may end sooner
    train_loss: float  # mean over the epoch so far
    learning_rate: float
    val_loss: float | None = None
    val_war: float | None = None
    val_uar: float | None = None
    is_best: bool = False
    part: str = ""  # of a longer work: "inner fold 2 of 5"

    @property
    def ends_epoch(self) -> bool:
        return self.val_loss is not None


Progress = Callable[[Event], None]


def line(event: Event) -> str:
    """One line without a newline: epoch, loss, validation figures, speed, time left."""
    width = len(str(event.num_epochs))
    parts = [event.part] if event.part else []
    parts.append(f"epoch {event.epoch + 1:{width}d}/{event.num_epochs}")
    if not event.ends_epoch:
        parts.append(f"{event.samples_done / max(event.samples_in_epoch, 1):4.0%}")
    parts.append(f"loss {event.train_loss:.3f}")
    if event.val_loss is not None and event.val_war is not None and event.val_uar is not None:
        star = "*" if event.is_best else " "
        parts.append(f"val loss {event.val_loss:.3f} acc {event.val_war:.3f} uar {event.val_uar:.3f}{star}")
    parts.append(f"{event.samples_per_second:.0f} samples/s")
    parts.append(f"{clock(event.eta_seconds)} left")
    return "  ".join(parts)


def print_progress(event: Event) -> None:
    """Prints a line for each epoch on stderr; on a terminal also the way through an epoch, in place."""
    terminal = sys.stderr.isatty()
    if event.ends_epoch:
        print(("\r\x1b[2K" if terminal else "") + line(event), file=sys.stderr, flush=True)
    elif terminal:
        print("\r\x1b[2K" + line(event), end="", file=sys.stderr, flush=True)


def silent(event: Event) -> None:
    """Says nothing."""


def append(path: Path, event: Event) -> None:
    """Adds an event to a file of JSON lines."""
    with path.open("a", encoding="utf-8") as file:
        file.write(json.dumps(asdict(event)) + "\n")


def parse(text: str) -> Event:
    """The event of one line of the file."""
    values = json.loads(text)
    return Event(**{field.name: values[field.name] for field in fields(Event)})


@contextmanager
def follow(path: Path, take: Callable[[str], None]) -> Iterator[None]:
    """While the block runs, passes each line appended to `path` to `take`, from a thread of its own."""
    position = path.stat().st_size if path.exists() else 0
    stop = threading.Event()

    def tail() -> None:
        nonlocal position
        while True:
            last_look = stop.is_set()  # looked at before reading, so that what came before the stop is read
            if path.exists():
                with path.open("rb") as file:
                    file.seek(position)
                    complete, newline, _ = file.read().rpartition(b"\n")
                position += len(complete) + len(newline)
                for text in complete.decode("utf-8").splitlines():
                    take(text)
            if last_look:
                return
            stop.wait(_POLL_SECONDS)

    thread = threading.Thread(target=tail, name=f"follow-{path.name}", daemon=True)
    thread.start()
    try:
        yield
    finally:
        stop.set()
        thread.join()


def clock(seconds: float) -> str:
    """Like 2:05, or 1:02:05."""
    whole = round(seconds)
    hours, minutes = whole // 3600, whole // 60 % 60
    return f"{hours}:{minutes:02d}:{whole % 60:02d}" if hours else f"{minutes}:{whole % 60:02d}"
