"""Ribbons of probabilities along the time axis, of a model that says one class at a time."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from PIL import Image

from videofer.overlay.course import STATE_WORDS, Course
from videofer.overlay.curves import FINER, GROUND, HATCH, SAME_TIME_SECONDS, Curves
from videofer.overlay.lettering import draw, width_of
from videofer.overlay.paint import ink_on

SEAM = 0.3  # how white the line between two classes is


def stack_order(classes: Sequence[str]) -> list[int]:
    """Columns from the ground up: the classes as they come, neutral last."""
    return sorted(range(len(classes)), key=lambda column: classes[column] == "neutral")


class Ribbon(Curves):
    """One person's lane: stacked probabilities, and below them the labels with their names."""

    def __init__(
        self, course: Course, pixels_per_second: float, height: int, label_height: int, gap: int, size: int
    ) -> None:
        """height: of the probabilities; label_height: of the strip below; size: of its letters. Pixels."""
        super().__init__(course, pixels_per_second, size)
        self._height, self._label_height, self._gap = height, label_height, gap
        self._order = stack_order(course.classes)
        self._colours = np.array([course.class_colour(course.classes[i]) for i in self._order], np.float64)
        self._label_runs = _label_runs(course)

    @property
    def height(self) -> int:
        return self._height + self._gap + self._label_height

    @property
    def dimmed_height(self) -> int:
        """From the top: what is dimmed while it is still to come; names stay legible."""
        return self._height

    def render(self, x0: int, width: int) -> np.ndarray:
        """(height, width, 3) float64 RGB of the pixels [x0, x0 + width) of the whole ribbon."""
        out = np.empty((self.height, width, 3))
        out[:] = GROUND
        out[: self._height] = self._areas(x0, width)
        self._labels(out, x0, width)
        return out

    def _areas(self, x0: int, width: int) -> np.ndarray:
        """Stacked areas; each pixel has the mean colour of what covers it."""
        _, row, p = self._columns(x0, width)
        p = p[:, self._order]  # (w, n)
        tops = np.concatenate([np.zeros((len(row), 1)), np.cumsum(p, axis=1)], axis=1) * self._height
        edge = self._height - np.arange(self._height + 1)  # of the pixel rows, from the ground up
        above, below = edge[:-1, None, None], edge[1:, None, None]
        cover = np.clip(np.minimum(tops[None, :, 1:], above) - np.maximum(tops[None, :, :-1], below), 0, 1)
        colour = np.einsum("hwn,nc->hwc", cover, self._colours)
        seams = np.clip(1 - np.abs(tops[None, :, 1:-1] - (above + below) / 2) / 0.7, 0, 1)
        thick = (np.minimum(p[:, :-1], p[:, 1:]) * self._height > 1.5)[None]  # else it would all be seams
        colour += (255 - colour) * (SEAM * (seams * thick).max(axis=2, initial=0))[..., None]
        ground = self._ground(x0, width, self._height)
        strength = self._strength(row)[None, :, None]
        ground = np.repeat(ground, FINER, axis=1)
        unsure = (self._predicted & ~self._sure)[row][None, :, None]
        hatched = unsure & (ground != np.array(GROUND)).any(axis=2, keepdims=True)
        colour = np.where(hatched, 0.55 * colour, colour)
        mixed = strength * colour + (1 - strength) * ground
        fine: np.ndarray = mixed.reshape(self._height, width, FINER, 3).mean(axis=2)
        return fine

    def _labels(self, out: np.ndarray, x0: int, width: int) -> None:
        """The label strip: a colour for each stretch of one label, its name where there is room."""
        course, top = self._course, self._height + self._gap
        strip = Image.new("RGB", (width, self._label_height), GROUND)
        for start, stop, label in self._label_runs:
            left = course.t_start[start] * self._scale - x0
            right = course.t_end[stop - 1] * self._scale - x0
            if right < -1 or left > width + 1:
                continue
            sure = course.is_sure(start)
            rgb = course.colour(start) if sure else HATCH
            strip.paste(rgb, (round(left), 0, max(round(right) - 1, round(left) + 1), self._label_height))
            name = STATE_WORDS.get(label, label)
            room = right - left
            if width_of(name, self._size) + self._size <= room:
                ink = ink_on(rgb) if sure else (200, 205, 212)
                middle = (left + right) / 2, (self._label_height - 1) / 2
                draw(strip, middle, name, self._size, ink, anchor="mm")
        out[top:] = np.asarray(strip, np.float64)


def _label_runs(course: Course) -> list[tuple[int, int, str]]:
    """Rows [start, stop) of one label without a gap."""
    runs: list[tuple[int, int, str]] = []
    for row, label in enumerate(course.label):
        follows = runs and course.t_start[row] <= course.t_end[row - 1] + SAME_TIME_SECONDS
        if follows and runs[-1][2] == label:
            runs[-1] = runs[-1][0], row + 1, label
        else:
            runs.append((row, row + 1, label))
    return runs
