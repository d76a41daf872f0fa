"""Media times of the sampled frames of a stream, of which only the newest are remembered."""

from __future__ import annotations

import math
from bisect import bisect_left, bisect_right
from collections.abc import Collection
from fractions import Fraction
from itertools import takewhile

import numpy as np


class FrameClock:
    """When each frame begins and ends. A frame ends where the next one begins, or where a hole does.

    Frames are numbered from 0. Times are those that a store gives for the same frames, to the last bit.
    """

    def __init__(self, time_base: Fraction, presentation_start: Fraction) -> None:
        self._ticks_per_pts = time_base.numerator * presentation_start.denominator
        self._start_ticks = presentation_start.numerator * time_base.denominator
        self._ticks_per_second = time_base.denominator * presentation_start.denominator
        self._times: dict[int, list[float]] = {}  # [start, end] of the newest frames, without gaps
        self._kept: dict[int, list[float]] = {}  # and of older ones that matter
        self.num_frames = 0
        self.holes: list[tuple[float, float]] = []
        """Media seconds that could not be decoded, half-open, rising; only the newest are remembered."""
        self._newest_pts = self._step_pts = 0

    def seconds(self, pts: int) -> float:
        """Media time of a moment of the stream, rounded once."""
        return (pts * self._ticks_per_pts - self._start_ticks) / self._ticks_per_second

    def append(self, pts: int, holes: Collection[tuple[int, int]] = ()) -> int:
        """The next frame, and the spans of pts before it that were lost; returns its number."""
        index = self.num_frames
        if index:
            self._step_pts = pts - self._newest_pts
            self._end(index - 1, pts, holes)
        for start, stop in holes:
            self.holes.append((self.seconds(start), self.seconds(stop)))
        self._times[index] = [self.seconds(pts), math.inf]  # still shown
        self._newest_pts = pts
        self.num_frames += 1
        return index

    def close(self, duration_pts: int) -> float:
        """The last frame lasts so long, or as long as the one before it; returns its end."""
        assert self.num_frames, "no frame has come"
        end_pts = self._newest_pts + (duration_pts if duration_pts > 0 else self._step_pts or 1)
        self._end(self.num_frames - 1, end_pts, ())
        return self.seconds(end_pts)

    def t_start(self, index: int) -> float:
        return (self._times.get(index) or self._kept[index])[0]

    def t_end(self, index: int) -> float:
        """inf for the newest frame."""
        return (self._times.get(index) or self._kept[index])[1]

    def times(self, first: int, stop: int) -> tuple[np.ndarray, np.ndarray]:
        """Starts and ends (n,) of the frames [first, stop) of the newest."""
        pairs = np.array([self._times[index] for index in range(first, stop)]).reshape(-1, 2)
        return pairs[:, 0], pairs[:, 1]

    def shown(self, t_start: float, t_end: float) -> tuple[int, int]:
        """Half-open range of those of the newest frames that may be shown in [t_start, t_end)."""
        newest = range(self.oldest, self.num_frames)
        first = bisect_right(newest, t_start, key=self.t_start) - 1
        stop = bisect_left(newest, t_end, key=self.t_start)
        return newest.start + max(first, 0), newest.start + stop

    @property
    def oldest(self) -> int:
        """From this frame on all are remembered."""
        return next(iter(self._times), self.num_frames)

    def forget(self, before_seconds: float, but: Collection[int]) -> None:
        """Drop frames that ended before a time, but for some; and holes."""
        for index in [*takewhile(lambda index: self._times[index][1] <= before_seconds, self._times)]:
            self._kept[index] = self._times.pop(index)
        for index in self._kept.keys() - set(but):
            del self._kept[index]
        self.holes = [hole for hole in self.holes if hole[1] > before_seconds]

    def __len__(self) -> int:
        """Frames that are remembered."""
        return len(self._times) + len(self._kept)

    def _end(self, index: int, pts: int, holes: Collection[tuple[int, int]]) -> None:
        self._times[index][1] = self.seconds(min([pts, *(start for start, _ in holes)]))
