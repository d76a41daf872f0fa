"""The left column of the panel: who each lane is about, and what is said of them now."""

from __future__ import annotations

from collections.abc import Callable, Hashable

import numpy as np
from PIL import Image, ImageDraw

from videofer.overlay.class_rows import ClassRows
from videofer.overlay.course import FAINT, Course
from videofer.overlay.footage import Colours
from videofer.overlay.lettering import draw, fitted, width_of
from videofer.overlay.paint import RGB, to_planes

BACKGROUND: RGB = (21, 24, 29)
INK: RGB = (240, 242, 245)
WORDS: RGB = (214, 219, 226)
MAX_TEXTS = 256  # pictures of text kept
DIMMED = 0.35  # how much of its colour the mark of a class has that does not hold


class Aside:
    """Pictures of text, as planes, of one width in pixels. size, small: of letters."""

    def __init__(self, width: int, size: int, small: int, colours: Colours) -> None:
        self._width, self._size, self._small, self._colours = width, size, small, colours
        self._mark = round(small * 0.8)
        self._texts: dict[Hashable, list[np.ndarray]] = {}

    def line(self, height: int, text: str, rgb: RGB) -> list[np.ndarray]:
        """One line."""
        return self._kept(
            (height, text, rgb), height, lambda image: draw(image, (0, height / 2), text, self._small, rgb)
        )

    def lane(self, height: int, heading: str, words: str, rgb: RGB) -> list[np.ndarray]:
        """A heading, and words with their colour."""

        def paint(image: Image.Image) -> None:
            room, mark = self._width - self._size // 2, self._mark
            shown = fitted(heading, room, self._size, bold=True)
            draw(image, (0, height * 0.28), shown, self._size, INK, bold=True)
            if words:
                self._square(image, height * 0.72, rgb)
            fits = fitted(words, room - 2 * mark, self._small)
            draw(image, (1.6 * mark, height * 0.72), fits, self._small, WORDS)

        return self._kept((height, heading, words, rgb), height, paint)

    def rows(
        self, lane: ClassRows, heading: str, words: str, course: Course, row: int | None
    ) -> list[np.ndarray]:
        """A heading, with words where there is no answer; classes beside their rows, bright if they hold."""
        has_answer = row is not None and course.is_predicted(row)
        said = [self._of_class(course, row if has_answer else None, column) for column in lane.columns]

        def paint(image: Image.Image) -> None:
            shown = fitted(heading, self._width, self._size, bold=True)
            middle = lane.row_y(0) * 0.46
            draw(image, (0, middle), shown, self._size, INK, bold=True)
            if not has_answer:
                x = width_of(shown, self._size, bold=True) + self._mark
                draw(image, (x, middle), fitted(words, self._width - x, self._small), self._small, FAINT)
            for place, (name, value, mark, ink) in enumerate(said):
                y = lane.row_y(place) + (lane.row_height - 2) / 2
                self._square(image, y, mark)
                room = self._width - round(self._small * 0.6)
                draw(image, (room, y), value, self._small, ink, anchor="rm")
                left = 1.6 * self._mark
                free = round(room - left - self._mark - width_of("100 %", self._small))
                fits = fitted(name, free, self._small)
                draw(image, (left, y), fits, self._small, ink)

        return self._kept((lane.height, heading, words, has_answer, *said), lane.height, paint)

    def _of_class(self, course: Course, row: int | None, column: int) -> tuple[str, str, RGB, RGB]:
        """Name, probability, colours of the mark and the letters."""
        name = course.classes[column]
        red, green, blue = course.class_colour(name)
        faint = (round(red * DIMMED), round(green * DIMMED), round(blue * DIMMED))
        if row is None:
            return name, "", faint, FAINT
        value = f"{100 * course.probabilities[row, column]:.0f} %"
        holds = bool(course.holds[row, column])
        return name, value, (red, green, blue) if holds else faint, INK if holds else FAINT

    def _square(self, image: Image.Image, middle: float, rgb: RGB) -> None:
        top = round(middle - self._mark / 2)
        ImageDraw.Draw(image).rectangle((0, top, self._mark - 1, top + self._mark - 1), fill=rgb)

    def _kept(self, key: Hashable, height: int, paint: Callable[[Image.Image], None]) -> list[np.ndarray]:
        if key not in self._texts:
            if len(self._texts) >= MAX_TEXTS:
                self._texts.clear()
            image = Image.new("RGB", (self._width, height), BACKGROUND)
            paint(image)
            self._texts[key] = to_planes(np.asarray(image), self._colours)
        return self._texts[key]
