"""The log of a run: RUN/train.log of the first process, RUN/state/rank_N.log of the others.

Everything is said through LOGGER; this package prints nothing. Who wants it on a console adds a handler, as
`videofer train` does.
"""

from __future__ import annotations

import logging
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from videofer.training.place import Place
from videofer.training.state import STATE_DIR

LOGGER = logging.getLogger("videofer.training")
_FORMAT = "%(asctime)s %(levelname)s %(message)s"  # `message` takes it apart again


def log_path(out: Path, rank: int) -> Path:
    """Where a process writes its log."""
    return out / "train.log" if rank == 0 else out / STATE_DIR / f"rank_{rank}.log"


@contextmanager
def log_to_file(out: Path, place: Place) -> Iterator[None]:
    """While the block runs, appends what is said to this process's file; at last, the error that ended it."""
    path = log_path(out, place.rank)
    path.parent.mkdir(parents=True, exist_ok=True)
    handler = logging.FileHandler(path, encoding="utf-8")
    handler.setFormatter(logging.Formatter(_FORMAT))
    level = LOGGER.level
    LOGGER.addHandler(handler)
    LOGGER.setLevel(logging.DEBUG)
    try:
        LOGGER.debug(f"process {place.rank} of {place.num_processes}, pid {os.getpid()}, {place.device}")
        yield
    except BaseException as error:
        LOGGER.debug(f"ended by {type(error).__name__}: {error}")
        raise
    finally:
        LOGGER.removeHandler(handler)
        LOGGER.setLevel(level)
        handler.close()


@contextmanager
def log_to_console() -> Iterator[None]:
    """While the block runs, shows people on stderr what is said, without what the progress lines say."""
    handler = logging.StreamHandler()
    handler.setLevel(logging.INFO)
    level = LOGGER.level
    LOGGER.addHandler(handler)
    LOGGER.setLevel(logging.INFO)
    try:
        yield
    finally:
        LOGGER.removeHandler(handler)
        LOGGER.setLevel(level)


def repeat(line: str) -> None:
    """Says here what another process has written to its log, if it is for people."""
    _, _, rest = line.partition(",")  # the time ends with ",milliseconds"
    _, level, message = (*rest.split(" ", 2), "", "")[:3]
    if level in ("INFO", "WARNING"):
        LOGGER.log(getattr(logging, level), message)
