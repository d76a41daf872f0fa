"""Draw a timeline: for each person the faces along the time axis, the probabilities stacked, and the labels.

Of a model that says several classes at once: a row for each class in their place, see `plot_several`.

Grey is time without a prediction, hatched where nobody is seen or nothing was decoded; labels are the
paler, the less sure they are, and hatched where they are `uncertain`. matplotlib is used without pyplot, so
that nothing global is touched and any thread may draw.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO

import numpy as np
import pandas as pd

from videofer.timeline.compare import compare_with_truth, persons_by_presence
from videofer.timeline.faces import NUM_FACES, FaceSample, FaceStrips
from videofer.timeline.ours import MARK
from videofer.timeline.plot_parts import (
    AXIS_WIDTH,
    BOTTOM,
    DPI,
    FAINT_INK,
    GAP,
    GAP_FILL,
    HATCH,
    INK,
    LEFT,
    PAPER,
    RIGHT,
    STRIP_HEIGHT,
    TOP,
    WIDTH,
    Layout,
    colour_of,
    curve_of,
    draw_faces,
    draw_gaps,
    draw_strip,
    printable,
    row_name,
    runs_of,
)
from videofer.timeline.plot_several import draw_rows, row_height
from videofer.timeline.timeline import UNCERTAIN

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

    from videofer.timeline.timeline import Timeline

MAX_PERSONS = 6  # more panels than this are no picture any more: those who are seen longest are drawn
MAX_TITLE = 84  # letters; the middle of a longer one is left out
AREA_HEIGHT, LOW_AREA_HEIGHT, PANEL_GAP = 2.1, 1.15, 0.42  # inches


def plot_timeline(
    timeline: Timeline,
    file: Path | BinaryIO,
    *,
    faces: FaceStrips | None = None,
    truth: pd.DataFrame | None = None,
    title: str | None = None,
) -> None:
    """Write the picture of a timeline as PNG to a path or an open file.

    faces: person -> pictures (`face_strips`). truth: t_start, t_end, label, drawn as a strip below the
    labels of the person who is seen longest. title: by default the name of the video.
    """
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    classes, duration = timeline.classes, timeline.duration_seconds
    persons = persons_by_presence(timeline.rows)
    drawn: list[int | None] = [*sorted(persons[:MAX_PERSONS])] or [None]
    faces = faces or {}

    longest = persons[0] if persons else None
    answer = _Answer(timeline, timeline.thresholds, len(drawn))
    heights = []
    for person in drawn:
        face_height = AXIS_WIDTH / NUM_FACES + GAP if _faces_of(faces, person) else 0.0
        truth_height = GAP + STRIP_HEIGHT if truth is not None and person == longest else 0.0
        heights.append(face_height + answer.height + truth_height)
    panel_gap = PANEL_GAP if len(drawn) > 1 else 0.0
    height = TOP + BOTTOM + sum(heights) + panel_gap * len(drawn)

    figure = Figure(figsize=(WIDTH, height), dpi=DPI, facecolor=PAPER)
    FigureCanvasAgg(figure)
    layout = Layout(figure, height)
    _head(figure, timeline, title, truth, persons, len(drawn), height)
    axes: Axes | None = None
    for person in drawn:
        layout.skip(panel_gap)
        if person is not None and len(drawn) > 1:  # the name of the only one is in the head
            figure.text(LEFT / WIDTH, layout.top + 0.07 / height, printable(timeline.name_of(person)),
                        color=INK, size=11, weight="bold", va="bottom", parse_math=False)  # fmt: skip
        rows = timeline.rows_of(person) if person is not None else timeline.rows.iloc[:0]
        if _faces_of(faces, person):
            strip = layout.axes(AXIS_WIDTH / NUM_FACES, duration)
            draw_faces(strip, _faces_of(faces, person), rows, classes, duration)
            layout.skip(GAP)
        axes = answer.draw(layout, rows)
        if truth is not None and person == longest:
            layout.skip(GAP)
            axes = layout.axes(STRIP_HEIGHT, duration)
            row_name(axes, "truth")
            draw_strip(axes, truth[["t_start", "t_end", "label"]], classes, duration)
    assert axes is not None
    _time_axis(axes, duration)
    if answer.thresholds is None:
        _legend(figure, classes, height, bool((timeline.rows["label"] == UNCERTAIN).any()))
    figure.savefig(file, format="png", dpi=DPI, facecolor=PAPER, metadata={"Software": MARK})


def _faces_of(faces: FaceStrips, person: int | None) -> Sequence[FaceSample]:
    return () if person is None else faces.get(person, ())


class _Answer:
    """What the model says of a person: one class at a time as a stack, several as rows."""

    def __init__(self, timeline: Timeline, thresholds: np.ndarray | None, num_panels: int) -> None:
        self.timeline, self.thresholds = timeline, thresholds
        num_classes = len(timeline.classes)
        self._area_height = AREA_HEIGHT if num_panels <= 2 else LOW_AREA_HEIGHT
        self._row_height = row_height(num_classes * num_panels)
        is_stack = thresholds is None
        self.height = (
            self._area_height + GAP + STRIP_HEIGHT if is_stack else self._row_height * num_classes
        )  # inches

    def draw(self, layout: Layout, rows: pd.DataFrame) -> Axes:
        """One person's rows, into the next places; the lowest axes."""
        timeline, duration = self.timeline, self.timeline.duration_seconds
        if self.thresholds is not None:
            return draw_rows(
                layout, self._row_height, rows, timeline.rows, timeline.classes, self.thresholds, duration
            )
        area = layout.axes(self._area_height, duration)
        draw_gaps(area, rows, timeline.rows, duration)
        for run in runs_of(rows):
            _draw_stack(area, run, timeline.classes)
        area.set_yticks([0, 0.5, 1], ["0", "½", "1"], color=FAINT_INK, size=10)
        area.tick_params(axis="y", length=0, pad=5)
        area.axhline(0.5, color="white", lw=0.7, alpha=0.55, zorder=3)
        area.text(-0.047, 0.5, "probability", transform=area.transAxes, rotation=90, color=FAINT_INK, size=10,
                  ha="center", va="center")  # fmt: skip
        layout.skip(GAP)
        strip = layout.axes(STRIP_HEIGHT, duration)
        row_name(strip, "predicted")
        draw_strip(strip, rows[rows["confidence"].notna()], timeline.classes, duration)
        return strip


def _draw_stack(axes: Axes, run: pd.DataFrame, classes: tuple[str, ...]) -> None:
    """Areas through the rows' centres, neutral on top so that emotions rise from the ground."""
    x, p = curve_of(run, classes)
    order = stack_order(classes)
    tops = np.concatenate([np.zeros((len(x), 1)), np.cumsum(p[:, order], axis=1)], axis=1)
    for place, column in enumerate(order):
        axes.fill_between(
            x, tops[:, place], tops[:, place + 1], color=colour_of(classes[column], classes), lw=0, zorder=2
        )
        if place:
            axes.plot(x, tops[:, place], color="white", lw=0.6, alpha=0.8, zorder=2.5)


def stack_order(classes: Sequence[str]) -> list[int]:
    """Columns from the ground up: the classes as they come, neutral last."""
    return sorted(range(len(classes)), key=lambda column: classes[column] == "neutral")


def _head(
    figure: Figure,
    timeline: Timeline,
    title: str | None,
    truth: pd.DataFrame | None,
    persons: list[int],
    num_drawn: int,
    height: float,
) -> None:
    model = timeline.model
    is_single = timeline.thresholds is None
    key = (
        "the paler a label, the less sure"
        if is_single
        else "filled where a class holds: it reaches its threshold, the dotted line; at the right, how long"
    )
    facts = [f"{model.reports} by the model {printable(model.title)}; {key}"]
    if len(persons) == 1 and timeline.name_of(persons[0]) != f"person {persons[0]}":
        facts.insert(0, printable(timeline.name_of(persons[0])))
    if len(persons) != 1:
        facts.append(f"{len(persons)} persons" if persons else "nobody seen")
    if len(persons) > num_drawn:
        facts.append(f"the {num_drawn} seen longest are drawn")
    if truth is not None and persons and is_single:
        result = compare_with_truth(timeline.rows, truth)
        facts.append(f"{100 * result.share_right:.0f} % of the time as the truth says")
    name = title if title is not None else timeline.video.name
    if len(name) > MAX_TITLE:
        name = f"{name[: MAX_TITLE // 3]} … {name[-(MAX_TITLE * 2 // 3) :]}"
    figure.text(LEFT / WIDTH, 1 - 0.42 / height, printable(name), size=17, weight="bold", color=INK,
                va="center", parse_math=False)  # fmt: skip
    figure.text(LEFT / WIDTH, 1 - 0.72 / height, "  ·  ".join(facts), size=11, color=FAINT_INK, va="center",
                parse_math=False)  # fmt: skip


def _legend(figure: Figure, classes: tuple[str, ...], height: float, has_unsure: bool) -> None:
    from matplotlib.patches import Patch

    order = stack_order(classes)[::-1]  # as in the picture, from the top
    handles = [
        Patch(color=colour_of(classes[column], classes), label=printable(classes[column])) for column in order
    ]
    if has_unsure:
        handles.append(Patch(facecolor=GAP_FILL, edgecolor=HATCH, hatch="//////", lw=0, label=UNCERTAIN))
    figure.legend(
        handles=handles, loc="upper left", bbox_to_anchor=(1 - (RIGHT - 0.18) / WIDTH, 1 - TOP / height),
        frameon=False, fontsize=11, labelcolor=INK, handlelength=1.0, handleheight=1.0, borderpad=0,
        borderaxespad=0, labelspacing=0.62,
    )  # fmt: skip


def _time_axis(axes: Axes, duration: float) -> None:
    from matplotlib.ticker import FuncFormatter, MaxNLocator

    if duration > 120:
        steps: list[float] = [1, 1.5, 3, 6, 10]
        form: Any = FuncFormatter(_clock)
    else:
        steps, form = [1, 2, 2.5, 5, 10], FuncFormatter(lambda t, _: f"{t:g} s")
    axes.xaxis.set_major_locator(MaxNLocator(12, steps=steps))
    axes.xaxis.set_major_formatter(form)
    axes.tick_params(axis="x", length=4, color=FAINT_INK, labelcolor=INK, labelsize=11, pad=4)


def _clock(seconds: float, _: Any = None) -> str:
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{rest:02}" if hours else f"{minutes}:{rest:02}"
