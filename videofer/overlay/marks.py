"""What is drawn into the picture itself: boxes, skeletons, labels with name, answer and probabilities."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from PIL import Image, ImageDraw

from videofer.overlay.course import FAINT, Course
from videofer.overlay.footage import Colours
from videofer.overlay.lettering import draw, fitted, width_of
from videofer.overlay.motion import MIN_JOINT_SCORE, Whereabouts
from videofer.overlay.paint import RGB, Planes, Stamp, draw_dots, draw_lines
from videofer.overlay.ribbon import stack_order

SHADE: RGB = (16, 18, 22)
INK: RGB = (255, 255, 255)
BONE: RGB = (235, 240, 245)
NOTHING = np.array((70, 76, 86), np.float64)
LABEL_ALPHA = 214
MAX_LABELS = 64  # pictures kept
ARC_POINTS = 6  # of a rounded corner
FINER = 4  # labels are drawn so much larger and reduced: round corners without steps


@dataclass(frozen=True, eq=False)
class Figure:
    """A person to be marked."""

    id: int
    name: str
    course: Course
    whereabouts: Whereabouts


class Marks:
    """Marks persons in pictures of one video."""

    def __init__(
        self, figures: Sequence[Figure], scale: float, unit: float, colours: Colours, *, skeleton: bool
    ) -> None:
        """scale: pixels of the picture by those of the video. unit: 1 for a picture 640 wide."""
        self._figures, self._scale, self._unit, self._colours = figures, scale, unit, colours
        self._skeleton = skeleton
        self._labels: dict[tuple[int, int], Stamp] = {}
        self._places: dict[int, int] = {}  # where a person's label was last: it stays there while it can

    def draw(self, planes: Planes, t: float) -> None:
        """Into y (H, W), u, v (H / 2, W / 2) at media time t."""
        taken: list[tuple[int, int, int, int]] = []
        for figure in self._figures:
            row = figure.course.row_at(t)
            if row is None:
                continue
            if self._skeleton:
                self._draw_skeleton(planes, figure, t)
            face = figure.whereabouts.face_at(t)
            box = face if face is not None else figure.whereabouts.body_at(t)
            if box is None:
                continue
            box = box * self._scale
            self._draw_box(planes, box, figure, row)
            taken.append(self._put_label(planes, box, figure, row, taken))

    def _draw_box(self, planes: Planes, box: np.ndarray, figure: Figure, row: int) -> None:
        """Whole where the label is sure and seen; corners only where not."""
        x0, y0, x1, y1 = box
        radius = min(7 * self._unit, (x1 - x0) / 4, (y1 - y0) / 4)
        thickness = max(2.0, 1.8 * self._unit)
        course = figure.course
        whole = course.is_sure(row) and course.state[row] != "absent"
        corners = [_corner(x, y, dx, dy, radius) for x, y, dx, dy in
                   ((x0, y0, 1, 1), (x1, y0, -1, 1), (x1, y1, -1, -1), (x0, y1, 1, -1))]  # fmt: skip
        if whole:
            lines = [np.concatenate(corners)]
        else:
            reach = min(x1 - x0, y1 - y0) * 0.22
            lines = [_extended(corner, reach) for corner in corners]
        draw_lines(planes, lines, SHADE, thickness * 2, self._colours, closed=whole)
        draw_lines(planes, lines, course.colour(row), thickness, self._colours, closed=whole)

    def _draw_skeleton(self, planes: Planes, figure: Figure, t: float) -> None:
        joints = figure.whereabouts.joints_at(t)
        if joints is None:
            return
        seen = joints[:, 2] >= MIN_JOINT_SCORE
        points = joints[:, :2] * self._scale
        bones: list[np.ndarray] = []
        thin: list[np.ndarray] = []
        fine = figure.whereabouts.fine
        for a, b in figure.whereabouts.bones:
            if seen[a] and seen[b]:
                (thin if a in fine or b in fine else bones).append(points[[a, b]])
        seen[list(fine)] = False
        if thin:
            draw_lines(planes, thin, BONE, max(1.0, 0.7 * self._unit), self._colours)
        if bones:
            draw_lines(planes, bones, SHADE, max(3.0, 3.2 * self._unit), self._colours)
            draw_lines(planes, bones, BONE, max(1.0, 1.4 * self._unit), self._colours)
        row = figure.course.row_at(t)
        rgb = FAINT if row is None else figure.course.colour(row)
        draw_dots(planes, points[seen], SHADE, 4.2 * self._unit, self._colours)
        draw_dots(planes, points[seen], rgb, 3.0 * self._unit, self._colours)

    def _put_label(
        self,
        planes: Planes,
        box: np.ndarray,
        figure: Figure,
        row: int,
        taken: Sequence[tuple[int, int, int, int]],
    ) -> tuple[int, int, int, int]:
        """Above the box, below it, or inside: where there is room in the picture and no other label."""
        label = self._label(figure, row)
        height, width = planes[0].shape
        gap = 4 * self._unit
        x = int(np.clip(round(box[0]), 0, max(0, width - label.width)))
        lowest = max(0, height - label.height)
        tops = [round(box[1] - gap - label.height), round(box[3] + gap)]
        spots = {
            place: (x, top, x + label.width, top + label.height)
            for place, top in enumerate(tops)
            if 0 <= top <= lowest
        }
        top = int(np.clip(round(box[1] + gap), 0, lowest))
        spots[2] = x, top, x + label.width, top + label.height
        last = self._places.get(figure.id, 0)
        order = sorted(spots, key=lambda place: (place != last or place == 2, place))
        free = (p for p in order if not any(_overlap(spots[p], other) for other in taken))
        place = next(free, order[0])
        self._places[figure.id] = place
        label.put(planes, *spots[place][:2])
        return spots[place]

    def _label(self, figure: Figure, row: int) -> Stamp:
        key = figure.id, row
        if key not in self._labels:
            if len(self._labels) >= MAX_LABELS:
                self._labels.clear()
            self._labels[key] = Stamp(_label_picture(figure, row, self._unit), self._colours)
        return self._labels[key]


def _label_picture(figure: Figure, row: int, unit: float) -> np.ndarray:
    """(h, w, 4): name, answer, and below them all probabilities as one bar."""
    course = figure.course
    size = max(10, round(11.5 * unit))
    pad, text_height, bar_height = round(7 * unit), round(size * 1.7), max(4, round(4.5 * unit))
    height = text_height + bar_height + max(4, round(4 * unit))
    name = fitted(figure.name, round(150 * unit), size, bold=True)
    words = course.words(row)
    name_width, words_width = width_of(name, size, bold=True), width_of(words, size)
    edge = round(4 * unit)
    gap = round(7 * unit) if name else 0
    width = edge + pad + name_width + gap + words_width + pad
    mask = Image.new("L", (width * FINER, height * FINER), 0)
    ImageDraw.Draw(mask).rounded_rectangle(
        (0, 0, width * FINER - 1, height * FINER - 1), radius=4 * unit * FINER, fill=255
    )
    shape = np.asarray(mask.resize((width, height), Image.Resampling.BOX), np.float64) / 255
    image = Image.new("RGB", (width, height), SHADE)
    ImageDraw.Draw(image).rectangle((0, 0, edge - 1, height - 1), fill=course.colour(row))
    draw(image, (edge + pad, text_height / 2), name, size, INK, bold=True)
    draw(image, (edge + pad + name_width + gap, text_height / 2), words, size, (222, 227, 233))
    rgb = np.array(image)
    if course.is_predicted(row):
        rgb[text_height : text_height + bar_height, edge + pad : width - pad] = _bar(
            course, row, width - edge - 2 * pad
        )
    # Letters and colours stand fully; only the ground lets the picture through.
    brightness = np.abs(rgb.astype(np.float64) - SHADE).max(axis=2)
    alpha = np.minimum(255, LABEL_ALPHA + brightness)
    return np.dstack([rgb, np.rint(alpha * shape).astype(np.uint8)])


def _bar(course: Course, row: int, width: int) -> np.ndarray:
    """(width, 3): the probabilities side by side, neutral last; pixels are mixed where two meet.

    Of several classes at once: one field for each that holds, all of one width.
    """
    order = stack_order(course.classes)
    p = course.probabilities[row][order] if course.thresholds is None else course.holds[row][order] * 1.0
    edges = np.concatenate([[0], np.cumsum(p / max(p.sum(), 1e-9))]) * width
    pixel = np.arange(width)[:, None]
    share = np.clip(np.minimum(edges[1:], pixel + 1) - np.maximum(edges[:-1], pixel), 0, 1)
    colours = np.array([course.class_colour(course.classes[i]) for i in order], np.float64)
    rest = 1 - share.sum(axis=1, keepdims=True)  # all of it where nothing holds
    bar: np.ndarray = np.rint(share @ colours + rest * NOTHING)
    return bar


def _corner(x: float, y: float, dx: int, dy: int, radius: float) -> np.ndarray:
    """Points (ARC_POINTS, 2) of a rounded corner, in the order in which they go round the box clockwise."""
    angle = np.linspace(0, np.pi / 2, ARC_POINTS)
    if dx * dy < 0:
        angle = angle[::-1]
    # From the side that runs up or down to the one that runs left or right.
    return np.stack(
        [x + dx * radius * (1 - np.cos(angle)), y + dy * radius * (1 - np.sin(angle))], axis=1
    ).clip(-1e4, 1e5)


def _extended(corner: np.ndarray, reach: float) -> np.ndarray:
    """The arc of a corner with straight ends, as long as `reach`."""
    first, last = corner[0] - corner[1], corner[-1] - corner[-2]
    ends = [np.round(v / max(np.abs(v).max(), 1e-9)) * reach for v in (first, last)]
    return np.concatenate([[corner[0] + ends[0]], corner, [corner[-1] + ends[1]]])


def _overlap(one: tuple[int, int, int, int], other: tuple[int, int, int, int]) -> bool:
    return one[0] < other[2] and other[0] < one[2] and one[1] < other[3] and other[1] < one[3]
