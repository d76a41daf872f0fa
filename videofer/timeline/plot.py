"""Draw a timeline: for each person the faces along the time axis, the probabilities stacked, and the labels.

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

from videofer.emotions import colour
from videofer.timeline.compare import compare_with_truth, merge_labels, persons_by_presence
from videofer.timeline.faces import NUM_FACES, FaceSample, FaceStrips
from videofer.timeline.ours import MARK
from videofer.timeline.timeline import UNCERTAIN

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

    from videofer.timeline.timeline import Timeline

MAX_PERSONS = 6  # more panels than this are no picture any more: those who are seen longest are drawn
MAX_POINTS = 3000  # rows drawn a run; more are averaged, there are fewer pixels anyway
MAX_TITLE = 84  # letters; the middle of a longer one is left out

WIDTH = 14.0  # inches, as all of these
LEFT, RIGHT, TOP, BOTTOM = 0.95, 1.75, 0.95, 0.62
AREA_HEIGHT, LOW_AREA_HEIGHT, STRIP_HEIGHT, GAP, PANEL_GAP = 2.1, 1.15, 0.34, 0.09, 0.42
DPI = 150

AXIS_WIDTH = WIDTH - LEFT - RIGHT
INK, FAINT_INK, PAPER, GAP_FILL, HATCH = "#22262b", "#6b737c", "#ffffff", "#f4f5f7", "#cfd4da"
NEUTRAL = "#ccd1d7"  # paler than elsewhere: large areas of it must not outshine the emotions


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
    heights = []
    area_height = AREA_HEIGHT if len(drawn) <= 2 else LOW_AREA_HEIGHT
    for person in drawn:
        face_height = AXIS_WIDTH / NUM_FACES + GAP if _faces_of(faces, person) else 0.0
        num_strips = 2 if truth is not None and person == longest else 1
        heights.append(face_height + area_height + num_strips * (GAP + STRIP_HEIGHT))
    panel_gap = PANEL_GAP if len(drawn) > 1 else 0.0
    height = TOP + BOTTOM + sum(heights) + panel_gap * len(drawn)

    figure = Figure(figsize=(WIDTH, height), dpi=DPI, facecolor=PAPER)
    FigureCanvasAgg(figure)
    layout = _Layout(figure, height)
    _head(figure, timeline, title, truth, persons, len(drawn), height)
    axes: Axes | None = None
    for person in drawn:
        layout.skip(panel_gap)
        if person is not None and len(drawn) > 1:  # the name of the only one is in the head
            figure.text(LEFT / WIDTH, layout.top + 0.07 / height, _printable(timeline.name_of(person)),
                        color=INK, size=11, weight="bold", va="bottom", parse_math=False)  # fmt: skip
        rows = timeline.rows_of(person) if person is not None else timeline.rows.iloc[:0]
        axes = _panel(layout, rows, timeline.rows, _faces_of(faces, person), classes, duration,
                      truth if person == longest else None, area_height)  # fmt: skip
    assert axes is not None
    _time_axis(axes, duration)
    _legend(figure, classes, height, bool((timeline.rows["label"] == UNCERTAIN).any()))
    figure.savefig(file, format="png", dpi=DPI, facecolor=PAPER, metadata={"Software": MARK})


def _faces_of(faces: FaceStrips, person: int | None) -> Sequence[FaceSample]:
    return () if person is None else faces.get(person, ())


class _Layout:
    """Places axes from the top down, in inches."""

    def __init__(self, figure: Figure, height: float) -> None:
        self.figure, self.height, self.cursor = figure, height, TOP

    @property
    def top(self) -> float:
        """Upper edge of what comes next, as a fraction of the figure."""
        return 1 - self.cursor / self.height

    def skip(self, inches: float) -> None:
        self.cursor += inches

    def axes(self, inches: float, duration: float) -> Axes:
        """Bare axes of this height over the whole duration."""
        self.cursor += inches
        box = (
            LEFT / WIDTH,
            1 - self.cursor / self.height,
            AXIS_WIDTH / WIDTH,
            inches / self.height,
        )
        axes: Axes = self.figure.add_axes(box)
        axes.set_xlim(0, max(duration, 1e-6))
        axes.set_ylim(0, 1)
        axes.set_xticks([])
        axes.set_yticks([])
        for spine in axes.spines.values():
            spine.set_visible(False)
        axes.patch.set_alpha(0)
        return axes


def _panel(
    layout: _Layout,
    rows: pd.DataFrame,
    timeline: pd.DataFrame,
    faces: Sequence[FaceSample],
    classes: tuple[str, ...],
    duration: float,
    truth: pd.DataFrame | None,
    area_height: float,
) -> Axes:
    """One person: faces, stacked probabilities, labels, and the truth where it is known."""
    if faces:
        _draw_faces(layout.axes(AXIS_WIDTH / NUM_FACES, duration), faces, rows, duration)
        layout.skip(GAP)

    area = layout.axes(area_height, duration)
    _draw_gaps(area, rows, timeline, duration)
    for run in _runs(rows):
        _draw_stack(area, run, classes)
    area.set_yticks([0, 0.5, 1], ["0", "½", "1"], color=FAINT_INK, size=10)
    area.tick_params(axis="y", length=0, pad=5)
    area.axhline(0.5, color="white", lw=0.7, alpha=0.55, zorder=3)
    area.text(-0.047, 0.5, "probability", transform=area.transAxes, rotation=90, color=FAINT_INK, size=10,
              ha="center", va="center")  # fmt: skip

    layout.skip(GAP)
    strip = layout.axes(STRIP_HEIGHT, duration)
    _row_name(strip, "predicted")
    _draw_strip(strip, rows[rows["confidence"].notna()], duration)
    if truth is not None:
        layout.skip(GAP)
        strip = layout.axes(STRIP_HEIGHT, duration)
        _row_name(strip, "truth")
        _draw_strip(strip, truth[["t_start", "t_end", "label"]], duration)
    return strip


def _row_name(axes: Axes, text: str) -> None:
    axes.text(-0.008, 0.5, text, transform=axes.transAxes, ha="right", va="center", size=10, color=FAINT_INK)


def _draw_faces(axes: Axes, faces: Sequence[FaceSample], rows: pd.DataFrame, duration: float) -> None:
    from matplotlib.patches import Rectangle

    slot = duration / NUM_FACES
    t_start, t_end = rows["t_start"].to_numpy(), rows["t_end"].to_numpy()
    for face in faces:
        left = min(int(face.t / slot), NUM_FACES - 1) * slot + 0.03 * slot
        right = left + 0.94 * slot
        axes.imshow(face.crop, extent=(left, right, 0.06, 1), aspect="auto", interpolation="lanczos")
        at = np.flatnonzero((t_start <= face.t) & (face.t < t_end))
        label = str(rows["label"].iloc[at[0]]) if len(at) else UNCERTAIN
        if label != UNCERTAIN and np.isfinite(rows["confidence"].iloc[at[0]]):
            color = _color(label)
            axes.add_patch(Rectangle((left, 0.0), right - left, 0.06, color=color, lw=0, zorder=3))
    axes.set_xlim(0, duration)
    axes.set_ylim(0, 1)


def _draw_gaps(axes: Axes, rows: pd.DataFrame, timeline: pd.DataFrame, duration: float) -> None:
    """Grey where this person has no prediction; hatched, with the reason, where nobody is."""
    have = rows[rows["confidence"].notna()]
    for start, end in _complement(have, duration):
        axes.axvspan(start, end, facecolor=GAP_FILL, lw=0, zorder=0)
    nobody = merge_labels(timeline[timeline["person"].isna()])
    for start, end, reason in zip(nobody["t_start"], nobody["t_end"], nobody["label"], strict=True):
        hatch = "////" if reason == "no_person" else "xxxx"
        axes.axvspan(start, end, facecolor="none", edgecolor=HATCH, hatch=hatch, lw=0, zorder=0.5)
        if (end - start) / duration * AXIS_WIDTH > 1.1:
            text = {"no_person": "nobody seen", "not_decoded": "not decoded"}[reason]
            axes.text((start + end) / 2, 0.5, text, ha="center", va="center", size=11, color=FAINT_INK,
                      bbox={"fc": GAP_FILL, "ec": "none", "pad": 3}, zorder=1)  # fmt: skip


def _complement(rows: pd.DataFrame, duration: float) -> list[tuple[float, float]]:
    gaps, at = [], 0.0
    for start, end in zip(rows["t_start"], rows["t_end"], strict=True):
        if start > at + 1e-6:
            gaps.append((at, float(start)))
        at = max(at, float(end))
    if duration > at + 1e-6:
        gaps.append((at, duration))
    return gaps


def _runs(rows: pd.DataFrame) -> list[pd.DataFrame]:
    """Stretches of rows that follow each other without a gap and have a prediction."""
    rows = rows[rows["confidence"].notna()]
    if rows.empty:
        return []
    breaks = rows["t_start"].to_numpy()[1:] > rows["t_end"].to_numpy()[:-1] + 1e-6
    number = np.concatenate([[0], np.cumsum(breaks)])
    return [run for _, run in rows.groupby(number)]


def _draw_stack(axes: Axes, run: pd.DataFrame, classes: tuple[str, ...]) -> None:
    """Areas through the rows' centres, neutral on top so that emotions rise from the ground."""
    t_start, t_end = run["t_start"].to_numpy(), run["t_end"].to_numpy()
    p = run[[f"p_{name}" for name in classes]].to_numpy(dtype=np.float64)  # (R, n)
    x = (t_start + t_end) / 2
    if len(x) > MAX_POINTS:
        part = np.arange(len(x)) * MAX_POINTS // len(x)
        size = np.bincount(part)
        x = np.bincount(part, x) / size
        p = np.stack([np.bincount(part, column) / size for column in p.T], axis=1)
    x = np.concatenate([t_start[:1], x, t_end[-1:]])
    p = np.concatenate([p[:1], p, p[-1:]])
    order = stack_order(classes)
    tops = np.concatenate([np.zeros((len(x), 1)), np.cumsum(p[:, order], axis=1)], axis=1)
    for place, column in enumerate(order):
        axes.fill_between(
            x, tops[:, place], tops[:, place + 1], color=_color(classes[column]), lw=0, zorder=2
        )
        if place:
            axes.plot(x, tops[:, place], color="white", lw=0.6, alpha=0.8, zorder=2.5)


def stack_order(classes: Sequence[str]) -> list[int]:
    """Columns from the ground up: the classes as they come, neutral last."""
    return sorted(range(len(classes)), key=lambda column: classes[column] == "neutral")


def _draw_strip(axes: Axes, rows: pd.DataFrame, duration: float) -> None:
    """Coloured labels along the axis; where the rows have a confidence, the paler the less confident.

    What is `uncertain` is hatched.
    """
    confidence = rows["confidence"].to_numpy(dtype=float) if "confidence" in rows else np.ones(len(rows))
    strength = 0.35 + 0.65 * np.clip((confidence - 0.2) / 0.7, 0, 1)
    colours = np.array([_rgb(_color(str(label))) for label in rows["label"]]).reshape(-1, 3)
    shades = 1 - strength[:, None] * (1 - colours)
    shades[(rows["label"] == UNCERTAIN).to_numpy(bool)] = _rgb(GAP_FILL)
    t_start, t_end = rows["t_start"].to_numpy(dtype=float), rows["t_end"].to_numpy(dtype=float)
    axes.broken_barh(list(zip(t_start, t_end - t_start, strict=True)), (0, 1), facecolors=shades, lw=0,
                     antialiased=False)  # fmt: skip
    merged = merge_labels(rows)
    for start, end, label in zip(merged["t_start"], merged["t_end"], merged["label"], strict=True):
        if label == UNCERTAIN:
            axes.axvspan(start, end, facecolor="none", edgecolor=HATCH, hatch="////", lw=0)
        axes.axvline(start, color="white", lw=1.2)
        if (end - start) / duration * AXIS_WIDTH > 0.092 * len(label) + 0.08:  # inches a letter
            shade = shades[(t_start >= start) & (t_start < end)].mean(axis=0)
            dark = float(shade @ (0.299, 0.587, 0.114)) < 0.53
            axes.text((start + end) / 2, 0.48, _printable(label), ha="center", va="center", size=10,
                      color="white" if dark else INK, parse_math=False)  # fmt: skip


def _color(label: str) -> str:
    return NEUTRAL if label == "neutral" else colour(label)


def _rgb(colour_text: str) -> tuple[float, float, float]:
    from matplotlib.colors import to_rgb

    return to_rgb(colour_text)


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
    facts = [f"{model.reports} by the model {_printable(model.title)}; the paler a label, the less sure"]
    if len(persons) == 1 and timeline.name_of(persons[0]) != f"person {persons[0]}":
        facts.insert(0, _printable(timeline.name_of(persons[0])))
    if len(persons) != 1:
        facts.append(f"{len(persons)} persons" if persons else "nobody seen")
    if len(persons) > num_drawn:
        facts.append(f"the {num_drawn} seen longest are drawn")
    if truth is not None and persons:
        result = compare_with_truth(timeline.rows, truth)
        facts.append(f"{100 * result.share_right:.0f} % of the time as the truth says")
    name = title if title is not None else timeline.video.name
    if len(name) > MAX_TITLE:
        name = f"{name[: MAX_TITLE // 3]} … {name[-(MAX_TITLE * 2 // 3) :]}"
    figure.text(LEFT / WIDTH, 1 - 0.42 / height, _printable(name), size=17, weight="bold", color=INK,
                va="center", parse_math=False)  # fmt: skip
    figure.text(LEFT / WIDTH, 1 - 0.72 / height, "  ·  ".join(facts), size=11, color=FAINT_INK, va="center",
                parse_math=False)  # fmt: skip


def _legend(figure: Figure, classes: tuple[str, ...], height: float, has_unsure: bool) -> None:
    from matplotlib.patches import Patch

    order = stack_order(classes)[::-1]  # as in the picture, from the top
    handles = [Patch(color=_color(classes[column]), label=_printable(classes[column])) for column in order]
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


def _printable(text: str) -> str:
    """The text with what the font lacks (and line breaks) as a question mark, instead of a warning."""
    from matplotlib.font_manager import FontProperties, findfont, get_font

    font = get_font(findfont(FontProperties()))
    return "".join(letter if letter >= " " and font.get_char_index(ord(letter)) else "?" for letter in text)
