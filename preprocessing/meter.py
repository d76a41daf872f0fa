"""Where the time of a worker goes: seconds per stage, each counted once."""

from __future__ import annotations

import time
from collections.abc import Callable
from types import TracebackType

STAGES = ("decode", "convert", "detect", "align", "landmarks", "pose", "track", "encode", "write", "wait")
"""The parts that preprocessing consists of; any other name would be a mistake."""


class Meter:
    """Exclusive wall-clock seconds per stage. Not for several threads.

    `with meter.stage("detect"):` counts for detect until the block ends; a stage begun inside pauses it.
    One reading of the clock per change of stage: about a microsecond per block.
    """

    def __init__(self, clock: Callable[[], float] = time.perf_counter) -> None:
        self._clock = clock
        self._seconds = dict.fromkeys(STAGES, 0.0)
        self._stages = {name: _Stage(self, name) for name in STAGES}
        self._open: list[str] = []
        self._since = 0.0

    def stage(self, name: str) -> _Stage:
        """The block of one stage, to be used in a `with`. KeyError if there is no such stage."""
        return self._stages[name]

    @property
    def seconds(self) -> dict[str, float]:
        """Seconds of every stage that took any, in the order of STAGES; open ones count up to now."""
        self._settle()
        return {name: seconds for name, seconds in self._seconds.items() if seconds > 0}

    def _settle(self) -> None:
        """Give the time since the last change to the innermost open stage."""
        now = self._clock()
        if self._open:
            self._seconds[self._open[-1]] += now - self._since
        self._since = now


class _Stage:
    """One stage's block; the same object serves every use, also nested ones."""

    __slots__ = ("_meter", "_name")

    def __init__(self, meter: Meter, name: str) -> None:
        self._meter, self._name = meter, name

    def __enter__(self) -> None:
        self._meter._settle()
        self._meter._open.append(self._name)

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._meter._settle()
        self._meter._open.pop()
