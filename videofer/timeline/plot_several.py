"""The panel of a person in the picture of a model that says several classes at once: a row for each class.

A row has the curve of its class's probability over a pale area, the class's threshold as a thin line, and is
filled where the class holds. At its right stand the name and the share of the person's time in which it does.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from videofer.timeline.plot_parts import (
    FAINT_INK,
    HATCH,
    INK,
    Layout,
    colour_of,
    curve_of,
    draw_gaps,
    printable,
    runs_of,
)
from videofer.timeline.several import holding, time_shares
from videofer.timeline.timeline import probability_columns

if TYPE_CHECKING:
    from matplotlib.axes import Axes

ROWS_HEIGHT = 13.0  # inches of all rows of a picture together, unless that makes them too high or too low
ROW_HEIGHT, LOW_ROW_HEIGHT = 0.46, 0.22
FULL = 0.84  # of a row's height is probability 1
PALE = 0.2


def row_height(num_rows: int) -> float:
    """Inches of each of the rows of a picture."""
    return float(np.clip(ROWS_HEIGHT / num_rows, LOW_ROW_HEIGHT, ROW_HEIGHT))


def draw_rows(
    layout: Layout,
    height: float,
    rows: pd.DataFrame,
    timeline: pd.DataFrame,
    classes: Sequence[str],
    thresholds: np.ndarray,
    duration: float,
) -> Axes:
    """One person's rows, the first class on top. height: inches of a row; thresholds: (n,)."""
    num_classes = len(classes)
    axes = layout.axes(height * num_classes, duration)
    axes.set_ylim(0, num_classes)
    draw_gaps(axes, rows, timeline, duration)
    bases = num_classes - 1.0 - np.arange(num_classes)
    for run in runs_of(rows):
        x, p = curve_of(run, classes)
        for place, (name, base) in enumerate(zip(classes, bases.tolist(), strict=True)):
            _draw_curve(axes, x, p[:, place], base, float(thresholds[place]), colour_of(name, classes))
    seconds = (rows["t_end"] - rows["t_start"]).to_numpy(np.float64)
    holds = holding(rows[probability_columns(classes)].to_numpy(np.float64), thresholds)
    shares = time_shares(seconds, holds)
    size = 9.5 if height >= 0.3 else 8.5
    for place, (name, base) in enumerate(zip(classes, bases.tolist(), strict=True)):
        level = base + FULL * float(thresholds[place])
        axes.axhline(base, color=HATCH, lw=0.8, zorder=3)
        axes.axhline(level, color="white", lw=2.4, alpha=0.45, zorder=2.8)  # to be seen on what is filled
        axes.axhline(level, color=INK, lw=0.8, ls=(0, (1, 2.5)), zorder=3)
        _side_text(axes, -0.008, level, f"{100 * thresholds[place]:.0f} %", FAINT_INK, size - 2, "right")
        middle = base + FULL / 2
        axes.plot(
            [1.016], [middle], "s", color=colour_of(name, classes), ms=size * 0.62,
            transform=axes.get_yaxis_transform(), clip_on=False,
        )  # fmt: skip
        _side_text(axes, 1.027, middle, printable(name), INK, size, "left")
        if len(rows):
            said = "-" if shares[place] == 0 else f"{max(1, round(100 * shares[place]))} %"
            _side_text(axes, 1.148, middle, said, FAINT_INK, size, "right")
    return axes


def _draw_curve(axes: Axes, x: np.ndarray, p: np.ndarray, base: float, threshold: float, colour: str) -> None:
    """One run of one class: x (P,) seconds, p (P,)."""
    x, p = _with_crossings(x, p, threshold)
    top = base + FULL * p
    axes.fill_between(x, base, top, color=colour, alpha=PALE, lw=0, zorder=1.5)
    axes.fill_between(x, base, top, where=(p >= threshold).tolist(), color=colour, lw=0, zorder=2)
    axes.plot(x, top, color=colour, lw=0.9, zorder=2.2, solid_joinstyle="round")


def _with_crossings(x: np.ndarray, p: np.ndarray, threshold: float) -> tuple[np.ndarray, np.ndarray]:
    """The curve x, p (P,) with the points at which it crosses the threshold: there its filling ends."""
    at = np.flatnonzero((p[1:] >= threshold) != (p[:-1] >= threshold))
    share = (threshold - p[at]) / (p[at + 1] - p[at])
    crossings = x[at] + share * (x[at + 1] - x[at])
    return np.insert(x, at + 1, crossings), np.insert(p, at + 1, threshold)


def _side_text(axes: Axes, x: float, y: float, text: str, colour: str, size: float, side: str) -> None:
    """Beside the axes: x as a share of their width, y in rows."""
    axes.text(
        x, y, text, transform=axes.get_yaxis_transform(), ha=side, va="center", size=size, color=colour,
        parse_math=False, clip_on=False,
    )  # fmt: skip
