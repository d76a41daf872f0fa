"""The lower half of the picture of an agreement: its figures, the confusion in seconds, the onsets."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from videofer.annotations.agreement import NO_ANSWER, Agreement
from videofer.annotations.drawing import FAINT, INK, LINE, WIDTH, bare, figure, printable, shade, time
from videofer.emotions import in_order

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure
    from matplotlib.lines import Line2D

FIGURES_LEFT, FIGURES_TEXT = 0.55, 2.0  # inches
PANEL_HEIGHT, CONFUSION_WIDTH = 3.3, 3.55
SHOWN_SECONDS = 0.05  # less is an empty cell


def draw_figures(picture: Figure, height: float, top: float, agreement: Agreement) -> None:
    """The four figures, large, with what they mean. height: of the picture, top: from its top, inches."""
    score, lag = agreement.segments, figure(agreement.onset_lag_seconds, "+")
    entries = [
        (figure(agreement.kappa), "Cohen's kappa over time", "1 is perfect, 0 is chance"),
        (f"{100 * agreement.share_same:.0f} %", "of the time the same",
         f"of {time(agreement.seconds_compared)}"),
        (figure(score.f1), "segment F1 at IoU 0.5",
         f"{score.num_matched} found of {score.num_truth}, {score.num_said} said"),
        (f"{lag} s", "median onset lag", f"{len(agreement.onsets)} on both sides"),
    ]  # fmt: skip
    step = PANEL_HEIGHT / len(entries)
    for place, (value, name, detail) in enumerate(entries):
        y = 1 - (top + (place + 0.5) * step) / height
        picture.text(FIGURES_LEFT / WIDTH, y, value, size=22, weight="bold", color=INK, va="center")
        picture.text(FIGURES_TEXT / WIDTH, y + 0.11 / height, name, size=11, color=INK, va="center")
        picture.text(FIGURES_TEXT / WIDTH, y - 0.12 / height, detail, size=9.5, color=FAINT, va="center")


def draw_confusion(axes: Axes, agreement: Agreement) -> None:
    """Seconds; colour is the share of a label of the reference."""
    table = agreement.confusion
    if not table[NO_ANSWER].sum() > SHOWN_SECONDS:
        table = table.drop(columns=NO_ANSWER)
    used = [name for name in table.index if table.loc[name].sum() > 0 or table[name].sum() > 0]
    columns = [name for name in table.columns if name in used or name == NO_ANSWER]
    table = table.loc[used]
    seconds = table[columns].to_numpy(dtype=float)
    share = seconds / np.maximum(seconds.sum(axis=1, keepdims=True), 1e-9)
    axes.imshow(share, cmap="Blues", vmin=0, vmax=1.15, aspect="auto")
    size = 10 if max(seconds.shape) <= 6 else 8.5
    for row, column in np.ndindex(*seconds.shape):
        if seconds[row, column] >= SHOWN_SECONDS:
            ink = "white" if share[row, column] > 0.6 else INK
            value = seconds[row, column]
            text = f"{value:.0f}" if value >= 100 else f"{value:.1f}"
            axes.text(column, row, text, ha="center", va="center", size=size, color=ink)
    axes.set_xticks(range(len(columns)), [printable(name) for name in columns], rotation=38, ha="right",
                    rotation_mode="anchor", size=size, color=INK, parse_math=False)  # fmt: skip
    axes.set_yticks(range(len(table)), [printable(str(name)) for name in table.index], size=size, color=INK,
                    parse_math=False)  # fmt: skip
    axes.set_xticks(np.arange(len(columns) + 1) - 0.5, minor=True)
    axes.set_yticks(np.arange(len(table) + 1) - 0.5, minor=True)
    axes.grid(which="minor", color="white", linewidth=1.6)
    axes.tick_params(which="both", length=0)
    axes.tick_params(axis="y", pad=20)
    for row, label in enumerate(table.index):  # the colours of the picture, in place of a legend
        axes.add_artist(_swatch(axes, str(label), 1 - (row + 0.5) / len(table)))
    for spine in axes.spines.values():
        spine.set_visible(False)
    _panel_title(axes, "Seconds: the reference down, said across")


def draw_onsets(axes: Axes, agreement: Agreement) -> None:
    """A dot for each onset that both sides have, by emotion; the line is the median."""
    _panel_title(axes, "Onsets: said, less the reference")
    for spine in ("top", "right", "left"):
        axes.spines[spine].set_visible(False)
    axes.spines["bottom"].set_color(LINE)
    onsets = agreement.onsets
    if onsets.empty:
        bare(axes)
        axes.text(0.5, 0.5, "no segment is on both sides", transform=axes.transAxes, ha="center", color=FAINT)
        return
    labels = in_order(onsets["label"])[::-1]
    lags = onsets["error_seconds"].to_numpy(dtype=float)
    # A few that are far off must not press all the others together: they stand at the edge, as arrows.
    reach = max(min(float(np.abs(lags).max()) * 1.15, float(np.quantile(np.abs(lags), 0.9)) * 2), 0.1)
    size = 52 if len(lags) <= 60 else 24
    axes.set_xlim(-reach, reach)
    axes.set_ylim(-0.6, len(labels) - 0.4)
    axes.axvline(0, color="#b9c0c8", lw=1.2, zorder=1)
    axes.axvline(agreement.onset_lag_seconds, color=INK, lw=1.3, ls=(0, (4, 2)), zorder=2)
    axes.text(agreement.onset_lag_seconds, len(labels) - 0.42, "median", ha="center", va="bottom", size=9,
              color=INK)  # fmt: skip
    for place, label in enumerate(labels):
        here = lags[(onsets["label"] == label).to_numpy()]
        y = place + (np.arange(len(here)) - (len(here) - 1) / 2) * min(0.14, 0.7 / max(len(here), 1))
        far = np.abs(here) > reach
        axes.hlines(y, 0, np.clip(here, -reach, reach), color=shade(label), lw=1.6, alpha=0.55, zorder=2)
        for chosen, marker in ((~far, "o"), (far & (here < 0), "<"), (far & (here > 0), ">")):
            x = here[chosen] if marker == "o" else np.sign(here[chosen]) * 0.975 * reach
            axes.scatter(x, y[chosen], s=size, color=shade(label), marker=marker, edgecolor="white", lw=0.9,
                         zorder=3)  # fmt: skip
    axes.set_yticks(range(len(labels)), [printable(label) for label in labels], size=10, color=INK,
                    parse_math=False)  # fmt: skip
    axes.tick_params(axis="y", length=0)
    axes.tick_params(axis="x", length=3, color=LINE, labelsize=10, labelcolor=INK)
    axes.locator_params(axis="x", nbins=5)
    axes.xaxis.set_major_formatter(
        lambda t, _: "0" if abs(t) < 1e-9 else f"{t:+g} s".replace("-", "\N{MINUS SIGN}")
    )
    for side, word in ((0, "said earlier"), (1, "said later")):
        axes.text(side, -0.42 / PANEL_HEIGHT, word, transform=axes.transAxes, size=9.5, color=FAINT,
                  ha="right" if side else "left", va="top")  # fmt: skip


def _swatch(axes: Axes, label: str, y: float) -> Line2D:
    """A square of the label's colour left of the axes; y in axes coordinates."""
    from matplotlib.lines import Line2D

    x = -0.13 / CONFUSION_WIDTH
    return Line2D([x], [y], marker="s", ms=9, color=shade(label), transform=axes.transAxes, clip_on=False)


def _panel_title(axes: Axes, text: str) -> None:
    axes.text(0, 1 + 0.24 / PANEL_HEIGHT, text, transform=axes.transAxes, size=11, weight="bold", color=INK,
              ha="left", va="bottom")  # fmt: skip
