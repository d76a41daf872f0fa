"""A lane of a model that says several classes at once: a row for each class, filled where it holds.

Only classes that somebody in the video ever shows have rows: of 26 that a model knows that may be five.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from videofer.overlay.course import Course
from videofer.overlay.curves import FINER, GROUND, Curves
from videofer.overlay.paint import RGB

MAX_ROWS = 18  # of all lanes together: more leave no picture
MIN_ROWS = 3  # of a lane
PALE = 0.3  # how much of the colour is left where a class does not hold
LINE: RGB = (222, 227, 233)
LINE_STRENGTH = 0.45
DOT_PIXELS = 3  # of the line of a threshold, and between two


def classes_shown(courses: Sequence[Course]) -> list[int]:
    """Columns of the classes that have rows, in their order: those that hold longest, if ever."""
    classes = courses[0].classes
    seconds = sum(((one.t_end - one.t_start) @ one.holds for one in courses), np.zeros(len(classes)))
    room = max(MIN_ROWS, MAX_ROWS // len(courses))
    longest = np.argsort(-seconds, kind="stable")[:room]
    return sorted(column for column in longest.tolist() if seconds[column] > 0) or list(
        range(min(len(classes), MIN_ROWS))
    )


class ClassRows(Curves):
    """One person's rows below a heading, which is left empty here."""

    def __init__(
        self,
        course: Course,
        pixels_per_second: float,
        columns: Sequence[int],
        heading: int,
        row_height: int,
        ground: RGB,
        size: int,
    ) -> None:
        """heading, row_height: pixels, even; columns: of the classes; ground: beside the rows."""
        super().__init__(course, pixels_per_second, size)
        self.columns, self.row_height = list(columns), row_height
        self._heading, self._background = heading, ground
        self.height = heading + row_height * len(self.columns)

    @property
    def dimmed_height(self) -> int:
        """From the top: what is dimmed while it is still to come."""
        return self.height

    def row_y(self, place: int) -> int:
        """The upper edge of a row."""
        return self._heading + place * self.row_height

    def render(self, x0: int, width: int) -> np.ndarray:
        """(height, width, 3) float64 RGB of the pixels [x0, x0 + width) of the whole lane."""
        out = np.empty((self.height, width, 3))
        out[:] = self._background
        _, row, p = self._columns(x0, width)
        for place, column in enumerate(self.columns):
            y = self.row_y(place)
            out[y : y + self.row_height - 2] = self._row(x0, width, column, p[:, column], row)
        return out

    def _row(self, x0: int, width: int, column: int, p: np.ndarray, row: np.ndarray) -> np.ndarray:
        """(height, width, 3): one class; its probabilities and the rows, (w,), are in FINER columns."""
        course, height = self._course, self.row_height - 2
        assert course.thresholds is not None
        threshold = float(course.thresholds[column])
        colour = np.array(course.class_colour(course.classes[column]), np.float64)
        level = np.arange(height)[::-1, None]  # of the lower edges of the pixels, from the ground up
        cover = np.clip(p[None] * height - level, 0, 1)
        cover *= (np.where(p >= threshold, 1.0, PALE) * self._strength(row))[None]
        ground = np.repeat(self._ground(x0, width, height), FINER, axis=1)
        ground[:, self._predicted[row]] = GROUND  # the hatching is for what is not known
        mixed = cover[..., None] * colour + (1 - cover[..., None]) * ground
        fine: np.ndarray = mixed.reshape(height, width, FINER, 3).mean(axis=2)
        line = min(height - 1, round(height * (1 - threshold)))
        dots = (x0 + np.arange(width)) // DOT_PIXELS % 2 == 0
        fine[line, dots] += LINE_STRENGTH * (np.array(LINE, np.float64) - fine[line, dots])
        return fine
