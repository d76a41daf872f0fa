"""The panel below the picture: a lane for each person with a ribbon that moves past a cursor, and a legend.

Of a model that says several classes at once a lane has a row for each class, see `class_rows`.

A short video is seen whole, and the cursor moves; of a longer one a window, in the middle of which the cursor
stands still but for the beginning and the end. What lies ahead of the cursor is dimmed.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import cv2
import numpy as np
from PIL import Image, ImageDraw

from videofer.overlay.aside import BACKGROUND, INK, Aside
from videofer.overlay.class_rows import ClassRows, classes_shown
from videofer.overlay.course import FAINT, STATE_WORDS, Course
from videofer.overlay.curves import GROUND
from videofer.overlay.footage import Colours
from videofer.overlay.lettering import draw, fitted, width_of
from videofer.overlay.paint import RGB, Planes, draw_lines, to_planes, to_samples
from videofer.overlay.ribbon import Ribbon
from videofer.overlay.tiles import Tiles

WHOLE_SECONDS = 30.0  # a video so short is seen whole
WINDOW_SECONDS = 20.0  # of a longer one
MAX_LANES = 6
AHEAD = 0.5  # brightness of what is still to come
TICK_STEPS = (0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1, 2, 5, 10, 20, 30, 60)  # seconds between times written


@dataclass(frozen=True)
class Lane:
    """A person with what is to be shown; `name` None is the lane of a video in which nobody is seen."""

    name: str | None
    course: Course


class Panel:
    """Draws itself into the planes of its part of the picture, for any media time."""

    def __init__(
        self,
        lanes: Sequence[Lane],
        more: int,
        width: int,
        unit: float,
        duration: float,
        colours: Colours,
        *,
        note: str,
    ) -> None:
        """more: persons without a lane. width: even. unit: 1 for a picture 640 wide. duration: seconds. note:
        what is said in the corner, shortened where it does not fit.
        """
        self._lanes, self._colours, self._unit, self.width = lanes, colours, unit, width
        self._duration = max(duration, 1e-3)
        self._size = max(10, round(11.5 * unit))  # of letters
        self._small = max(9, round(10 * unit))
        pad, gap = _even(10 * unit), _even(5 * unit)
        self._left = pad
        self._note = fitted(note, width - 2 * pad, self._small)
        self._strip_x = min(_even(138 * unit), _even(width * 0.4))
        self._strip_width = _even(width - self._strip_x - pad)
        window = self._duration if self._duration <= WHOLE_SECONDS else WINDOW_SECONDS
        self._window, self._scale = window, self._strip_width / window
        self._ruler_y, self._ruler_height = _even(5 * unit), _even(self._small * 1.5)
        lane_top = self._ruler_y + self._ruler_height
        self._ribbons: Sequence[Ribbon | ClassRows] = self._make_ribbons()
        self._lane_height = self._ribbons[0].height
        self._lane_y = [lane_top + i * (self._lane_height + gap) for i in range(len(lanes))]
        self._strips = [Tiles(ribbon.render, ribbon.height, colours) for ribbon in self._ribbons]
        self._ruler = Tiles(self._render_ruler, self._ruler_height, colours)
        self._lanes_end = self._lane_y[-1] + self._lane_height
        lines = self._legend_lines(more)
        line_height = _even(self._small * 1.6)
        self.height = _even(self._lanes_end + 6 * unit + line_height * len(lines) + 5 * unit)
        self._base = to_planes(self._render_base(lines, line_height), colours)
        self._aside = Aside(self._strip_x - self._left - self._left % 2, self._size, self._small, colours)
        self._behind = to_samples(np.array(BACKGROUND, np.float64), colours)

    def _make_ribbons(self) -> list[Ribbon] | list[ClassRows]:
        """What is drawn of each lane, all of one height."""
        lanes, unit, small = self._lanes, self._unit, self._small
        if lanes[0].course.thresholds is None:
            height, label_height = _even((26 if len(lanes) <= 3 else 17) * unit), _even(small * 1.45)
            gap = _even(2 * unit)
            return [Ribbon(lane.course, self._scale, height, label_height, gap, small) for lane in lanes]
        columns = classes_shown([lane.course for lane in lanes])
        row_height = max(_even((16 if len(columns) * len(lanes) <= 8 else 13) * unit), _even(small * 1.3))
        heading = _even(self._size * 1.6)
        return [
            ClassRows(lane.course, self._scale, columns, heading, row_height, BACKGROUND, small)
            for lane in lanes
        ]

    def draw(self, planes: Planes, t: float) -> None:
        """Into y (height, width), u and v (half as many): all of the panel at media time t."""
        for plane, base in zip(planes, self._base, strict=True):
            plane[...] = base
        start = min(max(t - self._window / 2, 0.0), self._duration - self._window)
        cursor = self._strip_x + (min(t, self._duration) - start) * self._scale
        self._put(
            planes, self._ruler.view(start * self._scale, self._strip_width), self._strip_x, self._ruler_y
        )
        for lane, ribbon, strip, y in zip(
            self._lanes, self._ribbons, self._strips, self._lane_y, strict=True
        ):
            self._put(planes, strip.view(start * self._scale, self._strip_width), self._strip_x, y)
            self._say(planes, lane, ribbon, y, t)
        self._dim(planes, cursor)
        self._put(
            planes, self._aside.line(self._ruler_height, _clock(t, 0.1), INK), self._left, self._ruler_y
        )
        line = np.array([[cursor, self._lane_y[0] - 3 * self._unit], [cursor, self._lanes_end]])
        draw_lines(planes, [line], BACKGROUND, 4 * self._unit, self._colours)
        draw_lines(planes, [line], INK, 1.6 * self._unit, self._colours)

    def _say(self, planes: Planes, lane: Lane, strip: Ribbon | ClassRows, y: int, t: float) -> None:
        """At the left of a lane: name, label and confidence; of several classes each, beside its row."""
        row = lane.course.row_at(t)
        words, rgb = "not in view", FAINT
        if row is not None:
            words, rgb = lane.course.words(row), lane.course.colour(row)
        heading = lane.name
        if heading is None:
            heading, words = STATE_WORDS["no_person"] if row is None else words, ""
        if isinstance(strip, Ribbon):
            said = self._aside.lane(self._lane_height, heading, words, rgb)
        else:
            said = self._aside.rows(strip, heading, words, lane.course, row)
        self._put(planes, said, self._left, y)

    def _put(self, planes: Planes, patch: Sequence[np.ndarray], x: int, y: int) -> None:
        for plane, samples, reduced in zip(planes, patch, (1, 2, 2), strict=True):
            height, width = samples.shape
            plane[y // reduced : y // reduced + height, x // reduced : x // reduced + width] = samples

    def _dim(self, planes: Planes, cursor: float) -> None:
        """The probabilities right of the cursor, nearer to the background; names stay legible."""
        x0, x1 = _even(cursor), self._strip_x + self._strip_width
        if x0 >= x1:
            return
        height = self._ribbons[0].dimmed_height
        for y in self._lane_y:
            for plane, behind, reduced in zip(planes, self._behind.tolist(), (1, 2, 2), strict=True):
                ahead = plane[y // reduced : (y + height) // reduced, x0 // reduced : x1 // reduced]
                ahead[...] = cv2.convertScaleAbs(ahead, alpha=AHEAD, beta=(1 - AHEAD) * behind)

    def _render_ruler(self, x0: int, width: int) -> np.ndarray:
        """Times along the axis."""
        image = Image.new("RGB", (width, self._ruler_height), BACKGROUND)
        pen = ImageDraw.Draw(image)
        room = width_of("0:00.00", self._small) * 1.6
        step = next((s for s in TICK_STEPS if s * self._scale >= room), None)
        if step is None:
            step = TICK_STEPS[-1] * np.ceil(room / (TICK_STEPS[-1] * self._scale))
        margin = room  # a time written at the edge of a tile is on both
        for number in range(
            max(0, int((x0 - margin) / self._scale / step)),
            int((x0 + width + margin) / self._scale / step) + 1,
        ):
            t = number * step
            if t > self._duration:
                break
            x = t * self._scale - x0
            pen.line((x, self._ruler_height - 3 * self._unit, x, self._ruler_height), fill=FAINT)
            text = _clock(t, step)
            ends_late = (t + width_of(text, self._small) / 2 / self._scale) > self._duration
            anchor = "lm" if number == 0 else "rm" if ends_late else "mm"
            draw(image, (x, self._ruler_height * 0.42), text, self._small, FAINT, anchor=anchor)
        return np.asarray(image, np.float64)

    def _legend_lines(self, more: int) -> list[list[tuple[str, RGB | None]]]:
        """Classes with their colours, and notes without one, in lines that fit."""
        course, first = self._lanes[0].course, self._ribbons[0]
        items: list[tuple[str, RGB | None]]
        if isinstance(first, ClassRows):  # their rows have names
            others = len(course.classes) - len(first.columns)
            count = f"{others} of {len(course.classes)} classes"
            items = [(f"{count} have no row", None)] if others else []
        else:
            items = [(name, course.class_colour(name)) for name in course.classes]
        if more:
            items.append((f"{more} more without a lane", None))
        items.append((self._note, None))
        lines: list[list[tuple[str, RGB | None]]] = [[]]
        used = 0
        for text, rgb in items:
            wide = self._legend_width(text, rgb)
            if lines[-1] and used + wide > self.width - 2 * self._left:
                lines.append([])
                used = 0
            lines[-1].append((text, rgb))
            used += wide
        return lines

    def _legend_width(self, text: str, rgb: RGB | None) -> int:
        return width_of(text, self._small) + round(self._small * (2.2 if rgb else 1.0))

    def _render_base(self, lines: list[list[tuple[str, RGB | None]]], line_height: int) -> np.ndarray:
        """What never changes: background, grounds of the lanes, legend."""
        image = Image.new("RGB", (self.width, self.height), BACKGROUND)
        pen = ImageDraw.Draw(image)
        for y in self._lane_y:
            pen.rectangle(
                (self._strip_x, y, self._strip_x + self._strip_width - 1, y + self._lane_height - 1),
                fill=GROUND,
            )
        top_of_line = self._lanes_end + 6 * self._unit
        mark = round(self._small * 0.8)
        for line in lines:
            x: float = self._left
            middle = top_of_line + line_height / 2
            for text, rgb in line:
                if rgb is None:  # notes stand at the right
                    if text == self._note:
                        x = max(x, self.width - self._left - width_of(text, self._small))
                    draw(image, (x, middle), text, self._small, FAINT)
                else:
                    top = round(middle - mark / 2)
                    pen.rectangle((x, top, x + mark - 1, top + mark - 1), fill=rgb)
                    draw(image, (x + 1.5 * mark, middle), text, self._small, (200, 205, 212))
                x += self._legend_width(text, rgb)
            top_of_line += line_height
        return np.asarray(image, np.float64)


def _even(value: float) -> int:
    return 2 * round(value / 2)


def _clock(t: float, step: float) -> str:
    """m:ss or h:mm:ss, with as many decimals as the step needs."""
    decimals = 0 if step >= 1 else 1 if step >= 0.1 else 2
    ticks = int(t * 10**decimals + 1e-6)
    whole, rest = divmod(ticks, 10**decimals)
    minutes, seconds = divmod(whole, 60)
    hours, minutes = divmod(minutes, 60)
    clock = f"{hours}:{minutes:02}:{seconds:02}" if hours else f"{minutes}:{seconds:02}"
    return f"{clock}.{rest:0{decimals}}" if decimals else clock
