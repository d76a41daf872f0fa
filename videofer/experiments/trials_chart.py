"""A picture of a search: what each key had to do with the figure."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any, BinaryIO

from videofer.experiments.trial import Monitor, Trial, best_trial
from videofer.recipe import SearchRange

_COLUMNS = 3
_INK, _FAINT, _DONE, _BEST = "#22262b", "#9aa1a9", "#1f6f8b", "#c2552d"


def save_trials(
    trials: Sequence[Trial],
    search: Mapping[str, SearchRange],
    standing: Mapping[str, Any],
    monitor: Monitor,
    file: BinaryIO,
    title: str,
) -> None:
    """Writes a PNG: for each key a panel with the best figure of each trial against the key's value.

    standing: the values of the recipe as it stands, for the first trial. Hollow: stopped early.
    """
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    rows = math.ceil(len(search) / _COLUMNS)
    columns = min(len(search), _COLUMNS)
    figure = Figure(figsize=(1.0 + 3.4 * columns, 0.7 + 2.9 * rows), dpi=150, layout="constrained")
    FigureCanvasAgg(figure)
    panels = figure.subplots(rows, columns, squeeze=False, sharey=True)
    for axes in panels.flat[len(search) :]:
        axes.set_visible(False)
    shown = [trial for trial in trials if trial.history and trial.status != "failed"]
    best = best_trial(trials, monitor)
    for axes, (key, scope) in zip(panels.flat, search.items(), strict=False):
        place = _places(key, scope, standing, axes)
        spread = 0.3 if scope.values is not None else 0.0  # between the trials of one value
        for trial in shown:
            colour = _BEST if trial is best else _DONE
            hollow = trial.status == "stopped"
            axes.plot(
                place(trial.values.get(key, standing[key])) + spread * (trial.number * 0.618 % 1 - 0.5),
                trial.kept(monitor)[monitor],
                marker="D" if trial.number == 1 else "o",
                markersize=7 if trial is best else 5,
                color=colour,
                markerfacecolor="none" if hollow else colour,
                linestyle="none",
                zorder=3 if trial is best else 2,
            )
        axes.set_xlabel(key, fontsize=9, color=_INK)
        axes.tick_params(labelsize=8)
        axes.spines[["top", "right"]].set_visible(False)
        axes.grid(axis="y", color="#e6e9ed", linewidth=0.8)
    for row in panels:
        row[0].set_ylabel(f"{monitor}, best epoch", fontsize=9, color=_INK)
    note = "diamond: the recipe as it stands; red: the best; hollow: stopped early"
    figure.suptitle(f"{title}\n{note}", x=0.01, ha="left", fontsize=9.5, color=_INK)
    figure.savefig(file, format="png", metadata={"Software": None})


def _places(key: str, scope: SearchRange, standing: Mapping[str, Any], axes: Any) -> Any:
    """Sets the axis up and returns the function from a value of the key to its place on it."""
    if scope.values is None:
        if scope.log and standing[key] > 0:
            axes.set_xscale("log")
        return lambda value: value
    names = [str(value) for value in scope.values]
    if str(standing[key]) not in names:
        names.append(str(standing[key]))
    axes.set_xticks(range(len(names)), names)
    axes.set_xlim(-0.5, len(names) - 0.5)
    return lambda value: names.index(str(value))
