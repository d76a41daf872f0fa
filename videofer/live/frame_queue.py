"""Frames on their way from the thread that reads a live stream to the engine."""

from __future__ import annotations

import threading
import time
from collections import deque
from collections.abc import Callable, Iterator
from dataclasses import dataclass

from preprocessing.decode.continuity import LOST_SECONDS
from preprocessing.types import Frame, Probe

Holes = list[tuple[int, int]]


@dataclass(frozen=True)
class Fed:
    """One sampled frame."""

    source_index: int  # among the decoded ones
    frame: Frame
    holes: Holes  # spans of pts lost before it, half-open


class Splice:
    """Puts the times of several connections behind each other, on the clock of the first."""

    def __init__(self, facts: Probe, clock: Callable[[], float] = time.monotonic) -> None:
        self._base = self._facts = facts
        self._clock = clock
        self._first_pts: int | None = None  # of this connection, where it is not the first
        self._shift_pts = 0  # in the first one's time base
        self._is_first = True
        self._index_before = self._newest_index = 0
        self._newest: tuple[int, int, float] | None = None  # pts, duration, wall seconds of the newest frame

    def begin(self, facts: Probe) -> None:
        """The next connection."""
        self._facts, self._first_pts = facts, None
        self._is_first = self._newest is None
        self._index_before = self._newest_index + 1

    def placed(self, index: int, frame: Frame, holes: Holes) -> Fed:
        """The frame at its time in the whole stream. Frames of later connections are changed."""
        now = self._clock()
        if not self._is_first:
            assert self._newest is not None
            ratio = self._facts.time_base / self._base.time_base
            if self._first_pts is None:
                self._first_pts = frame.pts
                pts, duration, wall = self._newest
                self._shift_pts = pts + max(1, duration, round((now - wall) / self._base.time_base))
                holes = [(pts + duration, self._shift_pts)]
                if (self._shift_pts - pts - duration) * self._base.time_base < LOST_SECONDS:
                    holes = []
            else:
                holes = [(self._moved(a, ratio), self._moved(b, ratio)) for a, b in holes]
            frame.pts = self._moved(frame.pts, ratio)
            frame.duration_pts = round(frame.duration_pts * ratio)
            index += self._index_before
        self._newest, self._newest_index = (frame.pts, frame.duration_pts, now), index
        return Fed(index, frame, holes)

    def _moved(self, pts: int, ratio: object) -> int:
        assert self._first_pts is not None
        return self._shift_pts + round((pts - self._first_pts) * ratio)  # type: ignore[operator]


class FrameQueue:
    """Frames from one thread to another, at most `size` of them. Where it may, it drops the oldest."""

    def __init__(self, size: int, *, may_drop: bool, facts: Probe) -> None:
        self._size, self._may_drop = size, may_drop
        self._least_pts = LOST_SECONDS / facts.time_base
        self._waiting: deque[Fed] = deque()
        self._changed = threading.Condition()
        self._error: BaseException | None = None
        self._is_done = self._is_stopped = False
        self._lost: Holes = []  # holes before frames that were dropped
        self._dropped_from: int | None = None  # pts of the first of those that were dropped in a row
        self.num_dropped = 0

    def put(self, fed: Fed) -> bool:
        """Append one; waits for room, or makes it. False once the reader wants no more."""
        with self._changed:
            while len(self._waiting) >= self._size and not self._is_stopped:
                if self._may_drop:
                    self._drop()
                else:
                    self._changed.wait()
            self._waiting.append(fed)
            self._changed.notify_all()
            return not self._is_stopped

    def end(self) -> None:
        """No more will come."""
        with self._changed:
            self._is_done = True
            self._changed.notify_all()

    def fail(self, error: BaseException) -> None:
        """No more will come, because of this; the reader gets it behind the last frame."""
        self._error = error
        self.end()

    def stop(self) -> None:
        """The reader wants no more."""
        with self._changed:
            self._is_stopped = True
            self._changed.notify_all()

    def __iter__(self) -> Iterator[Fed]:
        while True:
            with self._changed:
                while not self._waiting and not self._is_done and not self._is_stopped:
                    self._changed.wait()
                if self._is_stopped or not self._waiting:
                    break
                fed = self._taken(self._waiting.popleft())
                self._changed.notify_all()
            yield fed
        if self._error is not None and not self._is_stopped:
            raise self._error

    def _drop(self) -> None:
        oldest = self._waiting.popleft()
        self.num_dropped += 1
        self._lost += oldest.holes
        if self._dropped_from is None:
            self._dropped_from = oldest.frame.pts

    def _taken(self, fed: Fed) -> Fed:
        """With the holes that dropping made before it."""
        if self._dropped_from is None:
            return fed
        pts = fed.frame.pts
        holes = [*self._lost, *fed.holes]
        if pts - self._dropped_from >= self._least_pts:
            holes = [(min([self._dropped_from, *(a for a, _ in holes)]), pts)]
        self._lost, self._dropped_from = [], None
        return Fed(fed.source_index, fed.frame, holes)
