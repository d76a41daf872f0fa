"""Draw an agreement: both sides along the time axis, where they differ, and the figures below.

From the top: the probabilities of a timeline, its labels, the labels of the reference, and a band that is
dark where the two differ; then Cohen's kappa and the other figures, the confusion in seconds, and how late
each onset was said. matplotlib without pyplot: nothing global is touched.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO

import numpy as np
import pandas as pd

from videofer.annotations.agreement import Agreement
from videofer.annotations.agreement_panels import (
    CONFUSION_WIDTH,
    PANEL_HEIGHT,
    draw_confusion,
    draw_figures,
    draw_onsets,
)
from videofer.annotations.drawing import (
    EMPTY,
    FAINT,
    INK,
    PAPER,
    WIDTH,
    bare,
    clock,
    ink_on,
    printable,
    shade,
    short,
    time,
)
from videofer.annotations.sides import Side
from videofer.timeline.compare import merge_labels
from videofer.timeline.timeline import probability_columns

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

DPI = 150
LEFT, RIGHT, TOP, BOTTOM = 1.55, 0.45, 1.12, 0.95  # inches, as all of these
AREA, STRIP, BAND, GAP, AXIS_GAP, PANEL_TITLE = 1.7, 0.42, 0.16, 0.09, 0.75, 0.62
CONFUSION_LEFT, ONSETS_LEFT, ONSETS_WIDTH = 5.3, 10.25, 3.3
SAME, DIFFERS = "#e3e7eb", "#3a3f46"
LEAST_WIDE = 0.05  # narrower labels have no white edges, these would hide them
MAX_TITLE, MAX_ROW_NAME = 88, 16  # letters


def plot_agreement(agreement: Agreement, said: Side, reference: Side, file: Path | BinaryIO) -> None:
    """Write the picture as PNG. The sides are those that were compared."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    with_area = next((side for side in (said, reference) if side.rows is not None), None)
    upper = (AREA + GAP if with_area else 0.0) + 2 * STRIP + BAND + 2 * GAP
    height = TOP + upper + AXIS_GAP + PANEL_TITLE + PANEL_HEIGHT + BOTTOM
    figure = Figure(figsize=(WIDTH, height), dpi=DPI, facecolor=PAPER)
    FigureCanvasAgg(figure)
    start, end = _span(said, reference)
    _head(figure, agreement, height)

    top = TOP
    if with_area is not None:
        area = _axes(figure, height, top, AREA, start, end)
        _draw_probabilities(area, with_area)
        top += AREA + GAP
    for side, name in zip((said, reference), _row_names(said, reference), strict=True):
        strip = _axes(figure, height, top, STRIP, start, end)
        _row_name(strip, name)
        _draw_labels(strip, side.labels, end - start)
        top += STRIP + GAP
    band = _axes(figure, height, top, BAND, start, end)
    _row_name(band, "they differ")
    _draw_differences(band, said.labels, reference.labels)
    _time_axis(band, end)

    top += BAND + AXIS_GAP + PANEL_TITLE
    draw_figures(figure, height, top, agreement)
    draw_confusion(_panel(figure, height, top, CONFUSION_LEFT, CONFUSION_WIDTH), agreement)
    draw_onsets(_panel(figure, height, top, ONSETS_LEFT, ONSETS_WIDTH), agreement)
    figure.savefig(file, format="png", dpi=DPI, facecolor=PAPER, metadata={"Software": None})


def _row_names(said: Side, reference: Side) -> tuple[str, str]:
    """What the strips are called: by what they are, or, of two of a kind, by their titles."""
    if said.kind != reference.kind:
        return said.kind, reference.kind
    return short(said.title, MAX_ROW_NAME), short(reference.title, MAX_ROW_NAME)


def _span(said: Side, reference: Side) -> tuple[float, float]:
    """What is drawn: a timeline from 0 to its end, of annotations what they speak of."""
    sides = (said, reference)
    if any(side.kind == "timeline" for side in sides):
        return 0.0, max(side.duration_seconds for side in sides)
    start = min(float(side.labels["t_start"].min()) for side in sides)
    return start, max(float(side.labels["t_end"].max()) for side in sides)


def _axes(figure: Figure, height: float, top: float, tall: float, start: float, end: float) -> Axes:
    """Bare axes over the whole time, placed in inches from the top."""
    wide = WIDTH - LEFT - RIGHT
    box = (LEFT / WIDTH, 1 - (top + tall) / height, wide / WIDTH, tall / height)
    axes: Axes = figure.add_axes(box)
    axes.set_xlim(start, max(end, start + 1e-6))
    axes.set_ylim(0, 1)
    bare(axes)
    axes.set_facecolor(EMPTY)
    return axes


def _panel(figure: Figure, height: float, top: float, left: float, wide: float) -> Axes:
    box = (left / WIDTH, 1 - (top + PANEL_HEIGHT) / height, wide / WIDTH, PANEL_HEIGHT / height)
    axes: Axes = figure.add_axes(box)
    return axes


def _head(figure: Figure, agreement: Agreement, height: float) -> None:
    title = f"{agreement.said}  and  {agreement.reference}"
    figure.text(LEFT / WIDTH, 1 - 0.44 / height, printable(short(title, MAX_TITLE)), size=17, weight="bold",
                color=INK, va="center", parse_math=False)  # fmt: skip
    facts = [f"{time(agreement.seconds_compared)} compared"]
    silent = agreement.seconds_reference - agreement.seconds_compared
    if silent > 0.05:
        facts.append(f"no answer for another {time(silent)} of the reference")
    if agreement.tolerance_seconds:
        facts.append(f"{agreement.tolerance_seconds:g} s around its changes do not count")
    facts.append("perceived expression")
    figure.text(LEFT / WIDTH, 1 - 0.76 / height, "  ·  ".join(facts), size=11, color=FAINT, va="center")


def _row_name(axes: Axes, text: str) -> None:
    axes.text(-0.009, 0.5, printable(text), transform=axes.transAxes, ha="right", va="center", size=10.5,
              color=FAINT, parse_math=False)  # fmt: skip


def _draw_probabilities(axes: Axes, side: Side) -> None:
    """Stacked, neutral on top, with gaps where there is no prediction."""
    assert side.rows is not None
    rows = side.rows[side.rows["confidence"].notna()]
    order = sorted(range(len(side.classes)), key=lambda place: side.classes[place] == "neutral")
    breaks = np.flatnonzero(rows["t_start"].to_numpy()[1:] > rows["t_end"].to_numpy()[:-1] + 1e-6) + 1
    for run in np.split(np.arange(len(rows)), breaks):
        if not len(run):
            continue
        part = rows.iloc[run]
        t_start, t_end = part["t_start"].to_numpy(dtype=float), part["t_end"].to_numpy(dtype=float)
        p = part[probability_columns(side.classes)].to_numpy(dtype=float)[:, order]
        x = np.concatenate([t_start[:1], (t_start + t_end) / 2, t_end[-1:]])
        tops = np.cumsum(np.concatenate([p[:1], p, p[-1:]]), axis=1)
        tops = np.concatenate([np.zeros((len(x), 1)), tops], axis=1)
        for place, column in enumerate(order):
            color = shade(side.classes[column])
            axes.fill_between(x, tops[:, place], tops[:, place + 1], color=color, lw=0, zorder=2)
            if place:
                axes.plot(x, tops[:, place], color="white", lw=0.5, alpha=0.75, zorder=3)
    axes.set_yticks([0, 0.5, 1], ["0", "½", "1"], color=FAINT, size=10)
    axes.tick_params(axis="y", length=0, pad=5)
    axes.text(-0.047, 0.5, "probability", transform=axes.transAxes, rotation=90, color=FAINT, size=10,
              ha="center", va="center")  # fmt: skip


def _draw_labels(axes: Axes, labels: pd.DataFrame, duration: float) -> None:
    merged = merge_labels(labels)
    starts, ends = merged["t_start"].to_numpy(dtype=float), merged["t_end"].to_numpy(dtype=float)
    shades = [shade(label) for label in merged["label"]]
    axes.broken_barh(list(zip(starts, ends - starts, strict=True)), (0, 1), facecolors=shades, lw=0)
    wide = (ends - starts) / duration * (WIDTH - LEFT - RIGHT)  # inches
    lines = np.concatenate([starts[wide > LEAST_WIDE], ends[wide > LEAST_WIDE]])
    axes.vlines(lines, 0, 1, color="white", lw=1.1)
    for start, end, label, color, inches in zip(starts, ends, merged["label"], shades, wide, strict=True):
        if inches > 0.096 * len(label) + 0.1:  # a letter
            axes.text((start + end) / 2, 0.47, printable(label), ha="center", va="center", size=10.5,
                      color=ink_on(color), parse_math=False)  # fmt: skip


def _draw_differences(axes: Axes, said: pd.DataFrame, reference: pd.DataFrame) -> None:
    """Dark where both say something and not the same, pale where they agree, nothing where one is silent."""
    edges = np.unique(
        np.concatenate([said["t_start"], said["t_end"], reference["t_start"], reference["t_end"]])
    )
    middles = (edges[:-1] + edges[1:]) / 2
    a, b = _label_at(said, middles), _label_at(reference, middles)
    both = np.array([bool(x) and bool(y) for x, y in zip(a, b, strict=True)])
    for differs, grey in ((False, SAME), (True, DIFFERS)):
        chosen = both & ((a != b) == differs)
        axes.broken_barh(
            list(zip(edges[:-1][chosen], np.diff(edges)[chosen], strict=True)), (0, 1), facecolors=grey, lw=0
        )


def _label_at(labels: pd.DataFrame, times: np.ndarray) -> np.ndarray:
    at = np.searchsorted(labels["t_start"].to_numpy(dtype=float), times, side="right") - 1
    inside = (at >= 0) & (times < labels["t_end"].to_numpy(dtype=float)[np.maximum(at, 0)])
    found: np.ndarray = np.where(inside, labels["label"].to_numpy(dtype=object)[np.maximum(at, 0)], "")
    return found


def _time_axis(axes: Axes, end: float) -> None:
    from matplotlib.ticker import MaxNLocator

    form: Any = (lambda t, _: f"{t:g} s") if end <= 120 else clock
    axes.xaxis.set_major_locator(
        MaxNLocator(12, steps=[1, 2, 2.5, 5, 10] if end <= 120 else [1, 1.5, 3, 6, 10])
    )
    axes.xaxis.set_major_formatter(form)
    axes.tick_params(axis="x", length=4, color=FAINT, labelcolor=INK, labelsize=11, pad=4)
