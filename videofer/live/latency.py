"""How late rows are: in media time, and by the clock on the wall."""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

KEPT_ROWS = 20_000  # the newest, of which percentiles are taken
KEPT_ARRIVALS = 2_000  # frames


class Latency:
    """Watches one stream.

    The lag of a row is how far the stream had come beyond the row's end when the row was emitted. Its latency
    is the time on the clock from the arrival of the frame at the row's end to the emission of the row: lag
    and computing together where frames come as they happen, computing alone where a file is read.
    """

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._began = clock()
        self._arrivals: deque[tuple[float, float]] = deque(maxlen=KEPT_ARRIVALS)  # media, wall seconds
        self._lags: deque[float] = deque(maxlen=KEPT_ROWS)
        self._latencies: deque[float] = deque(maxlen=KEPT_ROWS)
        self._first_seconds = 0.0

    def arrived(self, seconds: float) -> None:
        """A frame of this media time is there."""
        if not self._arrivals:
            self._first_seconds = seconds
        self._arrivals.append((seconds, self._clock()))

    def emitted(self, events: Sequence[dict[str, Any]], seconds: float) -> None:
        """Events leave now, when the stream has come to this media time."""
        if not events:
            return
        now = self._clock()
        for event in events:
            if event["event"] == "row":
                self._lags.append(max(0.0, seconds - event["t_end"]))
                self._latencies.append(now - self._arrival(event["t_end"]))

    def figures(self) -> dict[str, Any]:
        """For the last event: seconds, as percentiles over the newest rows."""
        wall = self._clock() - self._began
        media = self._arrivals[-1][0] - self._first_seconds if self._arrivals else 0.0
        return {
            "lag_seconds": _percentiles(self._lags),
            "latency_seconds": _percentiles(self._latencies),
            "wall_seconds": round(wall, 3),
            "times_real_time": round(media / wall, 2) if wall > 0 else None,
        }

    def _arrival(self, seconds: float) -> float:
        """When the first frame at or after a media time came."""
        found = self._arrivals[-1][1]
        for media, wall in reversed(self._arrivals):
            if media < seconds:
                break
            found = wall
        return found


def _percentiles(values: Sequence[float] | deque[float]) -> dict[str, float] | None:
    if not values:
        return None
    p50, p95 = np.percentile(np.array(values), (50, 95)).tolist()
    return {"p50": round(p50, 3), "p95": round(p95, 3), "max": round(max(values), 3)}
