"""The course of a run: RUN/history.csv, a row per epoch, and RUN/curves.png, the same to look at."""

from __future__ import annotations

import csv
import io
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from cache.atomic import atomic_write, atomic_write_text

if TYPE_CHECKING:
    from matplotlib.axes import Axes

History = Sequence[dict[str, float]]

_INK, _FAINT, _GRID, _BEST = "#22262b", "#6b737c", "#e6e9ed", "#d1495b"
_TRAIN, _VAL, _SECOND = "#2f6690", "#e08e0b", "#3a9d7a"
_TERM_COLOURS = ("#8fb8de", "#5fa8a0", "#a78bbf", "#c9a66b", "#9aa5b1", "#d59bb0")
_NOT_TERMS = ("total", "relabelled", "lr", "gradient_norm", "samples_per_second", "waiting_share")
_NAMED_ENDS = 0.055  # of the axis: names beside the lines keep at least this distance
_DPI = 150


def save_history(out: Path, history: History) -> None:
    """Replaces RUN/history.csv: the column `epoch`, counted from 1, and a column per figure."""
    text = io.StringIO(newline="")
    names = list(dict.fromkeys(name for figures in history for name in figures))
    writer = csv.DictWriter(text, ["epoch", *names], lineterminator="\n")
    writer.writeheader()
    writer.writerows({"epoch": place + 1, **figures} for place, figures in enumerate(history))
    atomic_write_text(out / "history.csv", text.getvalue())


def save_curves(out: Path, history: History, best: int, *, title: str, chance: float) -> None:
    """Replaces RUN/curves.png: losses, validation figures, learning rate and gradients over the epochs.

    best: the epoch whose weights are kept, counted from 0. chance: what guessing evenly would reach.
    """
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure
    from matplotlib.layout_engine import ConstrainedLayoutEngine

    layout = ConstrainedLayoutEngine(w_pad=0.12, h_pad=0.08, hspace=0.04, wspace=0.03)
    figure = Figure(figsize=(12.8, 7.2), dpi=_DPI, layout=layout, facecolor="white")
    FigureCanvasAgg(figure)
    grid = figure.add_gridspec(2, 2, height_ratios=(2.6, 1))
    losses, validation = figure.add_subplot(grid[0, 0]), figure.add_subplot(grid[0, 1])
    rate, norm = figure.add_subplot(grid[1, 0]), figure.add_subplot(grid[1, 1])
    _draw_losses(losses, history)
    _draw_validation(validation, history, best, chance)
    _draw_single(rate, history, "train/lr", "learning rate")
    _draw_single(norm, history, "train/gradient_norm", "gradient norm, before clipping")
    for axes in (losses, validation, rate, norm):
        _finish(axes, len(history), best)
    figure.suptitle(title, x=0.012, ha="left", fontsize=17, fontweight="bold", color=_INK)
    at_best = history[best]
    figure.text(
        0.988,
        0.985,
        f"epoch {best + 1} is kept:  UAR {at_best['val/uar']:.3f},  accuracy {at_best['val/war']:.3f}",
        ha="right",
        va="top",
        fontsize=13,
        color=_BEST,
    )
    picture = io.BytesIO()
    figure.savefig(picture, format="png", metadata={"Software": None})
    with atomic_write(out / "curves.png") as file:
        file.write(picture.getvalue())


def _draw_losses(axes: Axes, history: History) -> None:
    """The terms of the loss, the last of them the model's answer, beside the same figure of the answer on the
    validation subjects."""
    *others, answer = [
        name for name in history[0] if name.startswith("train/") and name[6:] not in _NOT_TERMS
    ]
    ends = [
        _line(axes, history, name, _TERM_COLOURS[place % len(_TERM_COLOURS)], _term(name), width=1.3)
        for place, name in enumerate(others)
    ]
    ends.append(_line(axes, history, answer, _TRAIN, f"{_term(answer)}, training", width=2.6))
    ends.append(_line(axes, history, "val/loss", _VAL, "validation", width=2.6))
    # A validation loss that is huge for some epochs would leave the others no room: it is cut off.
    highest = [max(figures[name] for figures in history) for name in (*others, answer)]
    validation = sorted(figures["val/loss"] for figures in history)
    axes.set_ylim(0, 1.05 * max(*highest, min(validation[-1], 2 * validation[len(validation) // 2])))
    _name_lines(axes, ends)
    is_likelihood = not any(name.endswith(("_rank", "_landmarks", "_dimensions")) for name in others)
    axes.set_title("negative log-likelihood" if is_likelihood else "terms of the loss", loc="left")


def _draw_validation(axes: Axes, history: History, best: int, chance: float) -> None:
    axes.axhline(chance, color=_FAINT, linewidth=1, linestyle=(0, (1, 3)))
    ends = [
        _line(axes, history, "val/war", _TRAIN, "accuracy", width=1.6),
        _line(axes, history, "val/uar", _SECOND, "UAR", width=2.6),
        (chance, "chance", _FAINT),
    ]
    axes.set_ylim(0, 1.02)
    axes.set_yticks([0, 0.2, 0.4, 0.6, 0.8, 1.0])
    _name_lines(axes, ends)
    axes.plot([best + 1], [history[best]["val/uar"]], "o", color=_BEST, markersize=7, zorder=5)
    axes.set_title("validation subjects", loc="left")


def _draw_single(axes: Axes, history: History, name: str, title: str) -> None:
    _line(axes, history, name, _FAINT, "", width=1.8)
    axes.set_ylim(bottom=0)
    axes.set_title(title, loc="left")


def _term(name: str) -> str:
    return {"train/face_weights": "face"}.get(name, name.removeprefix("train/").replace("_", " "))


def _line(
    axes: Axes, history: History, name: str, colour: str, label: str, *, width: float
) -> tuple[float, str, str]:
    """Draws a figure over the epochs. Returns its last value, name and colour."""
    values = [figures[name] for figures in history]
    marker: dict[str, Any] = {"marker": "o", "markersize": 4} if len(values) < 12 else {}
    axes.plot(
        range(1, len(values) + 1), values, color=colour, linewidth=width, solid_capstyle="round", **marker
    )
    return values[-1], label, colour


def _name_lines(axes: Axes, ends: list[tuple[float, str, str]]) -> None:
    """Writes each line's name beside its end, in its colour; names that would touch are moved apart."""
    low, high = axes.get_ylim()
    ends = sorted(ends)
    places = [min((value - low) / (high - low), 1.0) for value, _, _ in ends]
    for place in range(1, len(places)):
        places[place] = max(places[place], places[place - 1] + _NAMED_ENDS)
    places[-1] = min(places[-1], 1.0)
    for place in reversed(range(len(places) - 1)):
        places[place] = min(places[place], places[place + 1] - _NAMED_ENDS)
    for at, (_, label, colour) in zip(places, ends, strict=True):
        axes.text(1.012, at, label, transform=axes.transAxes, color=colour, va="center", fontsize=11)


def _finish(axes: Axes, num_epochs: int, best: int) -> None:
    from matplotlib.ticker import MaxNLocator

    axes.axvline(best + 1, color=_BEST, linewidth=1.2, linestyle=(0, (4, 3)), zorder=1)
    margin = 0.02 * max(num_epochs, 2)
    axes.set_xlim(1 - margin, max(num_epochs, 2) + margin)
    axes.xaxis.set_major_locator(MaxNLocator(nbins=9, integer=True, steps=[1, 2, 5, 10]))
    axes.set_xlabel("epoch", color=_FAINT)
    axes.grid(axis="y", color=_GRID, linewidth=1)
    axes.set_axisbelow(True)
    axes.tick_params(colors=_FAINT, length=0, labelsize=11)
    axes.set_title(axes.get_title("left"), loc="left", color=_INK, fontsize=13, fontweight="bold")
    for side, spine in axes.spines.items():
        spine.set_visible(side == "bottom")
        spine.set_color(_GRID)
