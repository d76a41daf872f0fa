"""Probabilities of one person along the time axis in pixels: what a lane is drawn from."""

from __future__ import annotations

from itertools import pairwise

import numpy as np

from videofer.overlay.course import Course
from videofer.overlay.paint import RGB

FINER = 3  # columns computed for each drawn
GROUND: RGB = (34, 38, 45)
HATCH: RGB = (58, 64, 74)
HIDDEN = 0.45  # how much of the colour is left where the person is hidden
SAME_TIME_SECONDS = 1e-6
IN_VIEW = ("ok", "no_face")  # states in which the prediction is of what is seen now


class Curves:
    """A course with its scale, pixels per second."""

    def __init__(self, course: Course, pixels_per_second: float, size: int) -> None:
        """size: of letters nearby, by which the hatching goes."""
        self._course, self._scale, self._size = course, pixels_per_second, size
        self._runs = _runs(course)
        # The last entry is that of no row, which has the number -1.
        self._predicted = np.append(np.isfinite(course.confidence), False)
        self._sure = np.append(course.holds.any(axis=1), False)
        self._in_view = np.array([*(state in IN_VIEW for state in course.state), False])

    def _columns(self, x0: int, width: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Of the pixels [x0, x0 + width), FINER times as many: times, rows (w,), probabilities (w, n)."""
        t = (x0 + (np.arange(width * FINER) + 0.5) / FINER) / self._scale
        row = _rows_at(self._course, t)
        return t, row, self._smooth(t, row)

    def _strength(self, row: np.ndarray) -> np.ndarray:
        """(w,): 0 without a prediction, less than 1 where the person is hidden."""
        shown: np.ndarray = np.where(self._predicted[row], np.where(self._in_view[row], 1.0, HIDDEN), 0.0)
        return shown

    def _smooth(self, t: np.ndarray, row: np.ndarray) -> np.ndarray:
        """Probabilities (w, n) through the middles of the rows; 0 without a prediction."""
        course = self._course
        p = np.zeros((len(t), len(course.classes)))
        for start, stop in self._runs:
            inside = (row >= start) & (row < stop)
            if inside.any():
                middle = (course.t_start[start:stop] + course.t_end[start:stop]) / 2
                for column in range(p.shape[1]):
                    known = course.probabilities[start:stop, column]
                    p[inside, column] = np.interp(t[inside], middle, known)
        return p

    def _ground(self, x0: int, width: int, height: int) -> np.ndarray:
        """(height, width, 3): dark where the person is not there, hatched where there is no prediction."""
        ground = np.empty((height, width, 3))
        ground[:] = GROUND
        t = (x0 + np.arange(width) + 0.5) / self._scale
        there = _rows_at(self._course, t) >= 0
        pitch = max(6, round(self._size * 0.65))
        diagonal = (x0 + np.arange(width)[None] + np.arange(height)[:, None]) % pitch < pitch * 0.3
        ground[diagonal & there[None]] = HATCH
        return ground


def _rows_at(course: Course, t: np.ndarray) -> np.ndarray:
    """The row of each time (w,), -1 where there is none."""
    if not len(course.t_start):
        return np.full(len(t), -1)
    row = np.searchsorted(course.t_start, t, side="right") - 1
    there = (row >= 0) & (t < course.t_end[np.maximum(row, 0)])
    found: np.ndarray = np.where(there, row, -1)
    return found


def _runs(course: Course) -> list[tuple[int, int]]:
    """Rows [start, stop) that follow each other without a gap and have a prediction."""
    predicted = np.isfinite(course.confidence)
    gap = course.t_start[1:] > course.t_end[:-1] + SAME_TIME_SECONDS
    breaks = np.flatnonzero((predicted[1:] != predicted[:-1]) | gap) + 1
    edges = [0, *breaks.tolist(), len(predicted)]
    return [(a, b) for a, b in pairwise(edges) if a < b and predicted[a]]
