"""Ribbons of probabilities along the time axis, drawn in tiles as they come into view.

A ribbon is a picture as long as the video, of which a few tiles exist at a time. A view of it may begin at a
fraction of a pixel, so that it glides.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Sequence
from itertools import pairwise

import cv2
import numpy as np
from PIL import Image

from videofer.overlay.course import STATE_WORDS, Course
from videofer.overlay.footage import Colours
from videofer.overlay.lettering import draw, width_of
from videofer.overlay.paint import RGB, ink_on, to_planes

TILE_WIDTH = 512  # pixels, even
MAX_TILES = 8  # kept
FINER = 3  # columns computed for each drawn
GROUND: RGB = (34, 38, 45)
HATCH: RGB = (58, 64, 74)
SEAM = 0.3  # how white the line between two classes is
HIDDEN = 0.45  # how much of the colour is left where the person is hidden
SAME_TIME_SECONDS = 1e-6
IN_VIEW = ("ok", "no_face")  # states in which the prediction is of what is seen now


class Tiles:
    """A picture of any length, made tile by tile by `render(x0, width) -> (height, width, 3) RGB`."""

    def __init__(self, render: Callable[[int, int], np.ndarray], height: int, colours: Colours) -> None:
        self.height = height
        self._render = render
        self._colours = colours
        self._tiles: OrderedDict[int, list[np.ndarray]] = OrderedDict()

    def view(self, x: float, width: int) -> list[np.ndarray]:
        """Planes of the pixels [x, x + width), width even: y (h, w), u and v (h / 2, w / 2) uint8."""
        return [
            _slid(plane, x / reduced - first * (TILE_WIDTH // reduced), width // reduced)
            for (first, plane), reduced in zip(self._stretch(x, width), (1, 2, 2), strict=True)
        ]

    def _stretch(self, x: float, width: int) -> list[tuple[int, np.ndarray]]:
        first = int(x // TILE_WIDTH)
        last = int((x + width + 2) // TILE_WIDTH)  # one chroma sample beyond, to slide into
        tiles = [self._tile(number) for number in range(first, last + 1)]
        return [(first, np.concatenate(planes, axis=1)) for planes in zip(*tiles, strict=True)]

    def _tile(self, number: int) -> list[np.ndarray]:
        if number not in self._tiles:
            rgb = self._render(number * TILE_WIDTH, TILE_WIDTH)
            self._tiles[number] = to_planes(rgb, self._colours)
            if len(self._tiles) > MAX_TILES:
                self._tiles.popitem(last=False)
        self._tiles.move_to_end(number)
        return self._tiles[number]


def _slid(plane: np.ndarray, x: float, width: int) -> np.ndarray:
    """Columns [x, x + width) of a plane; between two samples it is their mean by distance."""
    whole = int(np.floor(x))
    share = x - whole
    left = plane[:, whole : whole + width]
    if share < 1 / 512:
        return left
    right = plane[:, whole + 1 : whole + 1 + width]
    mixed: np.ndarray = cv2.addWeighted(left, 1 - share, right, share, 0)
    return mixed


def stack_order(classes: Sequence[str]) -> list[int]:
    """Columns from the ground up: the classes as they come, neutral last."""
    return sorted(range(len(classes)), key=lambda column: classes[column] == "neutral")


class Ribbon:
    """One person's lane: stacked probabilities, and below them the labels with their names."""

    def __init__(
        self, course: Course, pixels_per_second: float, height: int, label_height: int, gap: int, size: int
    ) -> None:
        """height: of the probabilities; label_height: of the strip below; size: of its letters. Pixels."""
        self._course = course
        self._scale = pixels_per_second
        self._height, self._label_height, self._gap, self._size = height, label_height, gap, size
        self._order = stack_order(course.classes)
        self._colours = np.array([course.class_colour(course.classes[i]) for i in self._order], np.float64)
        self._runs = _runs(course)
        self._label_runs = _label_runs(course)
        # The last entry is that of no row, which has the number -1.
        self._predicted = np.append(np.isfinite(course.confidence), False)
        self._sure = np.array([*(course.is_sure(row) for row in range(len(course.label))), False])
        self._in_view = np.array([*(state in IN_VIEW for state in course.state), False])

    @property
    def height(self) -> int:
        return self._height + self._gap + self._label_height

    def render(self, x0: int, width: int) -> np.ndarray:
        """(height, width, 3) float64 RGB of the pixels [x0, x0 + width) of the whole ribbon."""
        out = np.empty((self.height, width, 3))
        out[:] = GROUND
        out[: self._height] = self._areas(x0, width)
        self._labels(out, x0, width)
        return out

    def _areas(self, x0: int, width: int) -> np.ndarray:
        """Stacked areas; each pixel has the mean colour of what covers it."""
        t = (x0 + (np.arange(width * FINER) + 0.5) / FINER) / self._scale
        row = _rows_at(self._course, t)
        p = self._smooth(t, row)[:, self._order]  # (w, n)
        tops = np.concatenate([np.zeros((len(t), 1)), np.cumsum(p, axis=1)], axis=1) * self._height
        edge = self._height - np.arange(self._height + 1)  # of the pixel rows, from the ground up
        above, below = edge[:-1, None, None], edge[1:, None, None]
        cover = np.clip(np.minimum(tops[None, :, 1:], above) - np.maximum(tops[None, :, :-1], below), 0, 1)
        colour = np.einsum("hwn,nc->hwc", cover, self._colours)
        seams = np.clip(1 - np.abs(tops[None, :, 1:-1] - (above + below) / 2) / 0.7, 0, 1)
        thick = (np.minimum(p[:, :-1], p[:, 1:]) * self._height > 1.5)[None]  # else it would all be seams
        colour += (255 - colour) * (SEAM * (seams * thick).max(axis=2, initial=0))[..., None]
        ground = self._ground(x0, width)
        predicted, sure, in_view = (table[row] for table in (self._predicted, self._sure, self._in_view))
        strength = np.where(predicted, np.where(in_view, 1.0, HIDDEN), 0.0)[None, :, None]
        ground = np.repeat(ground, FINER, axis=1)
        hatched = (predicted & ~sure)[None, :, None] & (ground != np.array(GROUND)).any(axis=2, keepdims=True)
        colour = np.where(hatched, 0.55 * colour, colour)
        mixed = strength * colour + (1 - strength) * ground
        fine: np.ndarray = mixed.reshape(self._height, width, FINER, 3).mean(axis=2)
        return fine

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

    def _ground(self, x0: int, width: int) -> np.ndarray:
        """(height, width, 3): dark where the person is not there, hatched where there is no prediction."""
        ground = np.empty((self._height, width, 3))
        ground[:] = GROUND
        t = (x0 + np.arange(width) + 0.5) / self._scale
        there = _rows_at(self._course, t) >= 0
        pitch = max(6, round(self._size * 0.65))
        diagonal = (x0 + np.arange(width)[None] + np.arange(self._height)[:, None]) % pitch < pitch * 0.3
        ground[diagonal & there[None]] = HATCH
        return ground

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
