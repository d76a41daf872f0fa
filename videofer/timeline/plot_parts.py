"""What pictures of timelines are made of: places for axes, faces, gaps, strips of labels, curves."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from videofer.emotions import colour
from videofer.timeline.compare import merge_labels
from videofer.timeline.faces import NUM_FACES, FaceSample
from videofer.timeline.timeline import UNCERTAIN, probability_columns

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

MAX_POINTS = 3000  # rows drawn a run; more are averaged, there are fewer pixels anyway

WIDTH = 14.0  # inches, as all of these
LEFT, RIGHT, TOP, BOTTOM = 0.95, 1.75, 0.95, 0.62
STRIP_HEIGHT, GAP = 0.34, 0.09
DPI = 150

AXIS_WIDTH = WIDTH - LEFT - RIGHT
INK, FAINT_INK, PAPER, GAP_FILL, HATCH = "#22262b", "#6b737c", "#ffffff", "#f4f5f7", "#cfd4da"
NEUTRAL = "#ccd1d7"  # paler than elsewhere: large areas of it must not outshine the emotions


class Layout:
    """Places axes from the top down, in inches."""

    def __init__(self, figure: Figure, height: float) -> None:
        self.figure, self.height, self.cursor = figure, height, TOP

    @property
    def top(self) -> float:
        """Upper edge of what comes next, as a fraction of the figure."""
        return 1 - self.cursor / self.height

    def skip(self, inches: float) -> None:
        """Leave so much empty."""
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


def row_name(axes: Axes, text: str) -> None:
    """At the left of axes, in the middle."""
    axes.text(-0.008, 0.5, text, transform=axes.transAxes, ha="right", va="center", size=10, color=FAINT_INK)


def draw_faces(
    axes: Axes, faces: Sequence[FaceSample], rows: pd.DataFrame, classes: Sequence[str], duration: float
) -> None:
    """Faces side by side, underlined by the colour of what is said of them."""
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
            color = colour_of(label, classes)
            axes.add_patch(Rectangle((left, 0.0), right - left, 0.06, color=color, lw=0, zorder=3))
    axes.set_xlim(0, duration)
    axes.set_ylim(0, 1)


def draw_gaps(axes: Axes, rows: pd.DataFrame, timeline: pd.DataFrame, duration: float) -> None:
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
            axes.text((start + end) / 2, sum(axes.get_ylim()) / 2, text, ha="center", va="center", size=11,
                      color=FAINT_INK, bbox={"fc": GAP_FILL, "ec": "none", "pad": 3}, zorder=1)  # fmt: skip


def _complement(rows: pd.DataFrame, duration: float) -> list[tuple[float, float]]:
    gaps, at = [], 0.0
    for start, end in zip(rows["t_start"], rows["t_end"], strict=True):
        if start > at + 1e-6:
            gaps.append((at, float(start)))
        at = max(at, float(end))
    if duration > at + 1e-6:
        gaps.append((at, duration))
    return gaps


def runs_of(rows: pd.DataFrame) -> list[pd.DataFrame]:
    """Stretches of rows that follow each other without a gap and have a prediction."""
    rows = rows[rows["confidence"].notna()]
    if rows.empty:
        return []
    breaks = rows["t_start"].to_numpy()[1:] > rows["t_end"].to_numpy()[:-1] + 1e-6
    number = np.concatenate([[0], np.cumsum(breaks)])
    return [run for _, run in rows.groupby(number)]


def curve_of(run: pd.DataFrame, classes: Sequence[str]) -> tuple[np.ndarray, np.ndarray]:
    """Times (P,) and probabilities (P, n) through the middles of the rows of a run, level at both ends."""
    t_start, t_end = run["t_start"].to_numpy(), run["t_end"].to_numpy()
    p = run[probability_columns(classes)].to_numpy(dtype=np.float64)  # (R, n)
    x = (t_start + t_end) / 2
    if len(x) > MAX_POINTS:
        part = np.arange(len(x)) * MAX_POINTS // len(x)
        size = np.bincount(part)
        x = np.bincount(part, x) / size
        p = np.stack([np.bincount(part, column) / size for column in p.T], axis=1)
    return np.concatenate([t_start[:1], x, t_end[-1:]]), np.concatenate([p[:1], p, p[-1:]])


def draw_strip(axes: Axes, rows: pd.DataFrame, classes: Sequence[str], duration: float) -> None:
    """Coloured labels along the axis; where the rows have a confidence, the paler the less confident.

    What is `uncertain` is hatched.
    """
    confidence = rows["confidence"].to_numpy(dtype=float) if "confidence" in rows else np.ones(len(rows))
    strength = 0.35 + 0.65 * np.clip((confidence - 0.2) / 0.7, 0, 1)
    colours = np.array([_rgb(colour_of(str(label), classes)) for label in rows["label"]]).reshape(-1, 3)
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
            axes.text((start + end) / 2, 0.48, printable(label), ha="center", va="center", size=10,
                      color="white" if dark else INK, parse_math=False)  # fmt: skip


def colour_of(label: str, classes: Sequence[str] = ()) -> str:
    """Of a class, #RRGGBB."""
    return NEUTRAL if label == "neutral" else colour(label, classes)


def _rgb(colour_text: str) -> tuple[float, float, float]:
    from matplotlib.colors import to_rgb

    return to_rgb(colour_text)


def printable(text: str) -> str:
    """The text with what the font lacks (and line breaks) as a question mark, instead of a warning."""
    from matplotlib.font_manager import FontProperties, findfont, get_font

    font = get_font(findfont(FontProperties()))
    return "".join(letter if letter >= " " and font.get_char_index(ord(letter)) else "?" for letter in text)
