"""An evaluation to look at: the confusion matrix as PNG, figures as tables in the terminal."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, BinaryIO

import numpy as np

from videofer.evaluation.dimensions import DimensionMetrics
from videofer.evaluation.metrics import Metrics
from videofer.evaluation.multilabel import MultilabelMetrics

if TYPE_CHECKING:
    from rich.console import Console

    from videofer.evaluation.comparison import Comparison


ROOM_FOR_ONE_LINE = 128
"""Columns of a terminal in which figures and intervals stand side by side."""

_FIGURES = {"war": "WAR", "uar": "UAR", "macro_f1": "macro-F1", "ece": "ECE"}
_FIGURES_OF_MULTI = {"map": "mAP", "mra": "mRA", "macro_f1": "macro-F1", "uar": "UAR", "ece": "ECE"}


def save_confusion(metrics: Metrics, file: BinaryIO, title: str) -> None:
    """Writes a PNG: colour is the share of a true class, the cell says share in percent and count.

    Of several seeds the counts are the sum, those beside the classes each interval's once.
    """
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    counts = metrics.confusion
    total = counts.sum(axis=1, keepdims=True)
    share = counts / np.maximum(total, 1)
    size = len(metrics.labels)
    figure = Figure(figsize=(2.2 + 0.72 * size, 1.9 + 0.66 * size), dpi=150, layout="constrained")
    FigureCanvasAgg(figure)
    axes = figure.add_subplot()
    image = axes.imshow(share, cmap="Blues", vmin=0, vmax=1)
    for row, column in np.ndindex(size, size):
        if counts[row, column]:
            colour = "white" if share[row, column] > 0.55 else "#1a2a3a"
            text = f"{share[row, column]:.0%}\n{counts[row, column]}"
            axes.text(column, row, text, ha="center", va="center", fontsize=8, color=colour, linespacing=1.1)
    axes.set_xticks(range(size), metrics.labels, rotation=40, ha="right", rotation_mode="anchor")
    names = [f"{name} ({n})" for name, n in zip(metrics.labels, metrics.support, strict=True)]
    axes.set_yticks(range(size), names)
    axes.set_xlabel("predicted")
    axes.set_ylabel("labelled (intervals)")
    axes.set_xticks(np.arange(size + 1) - 0.5, minor=True)
    axes.set_yticks(np.arange(size + 1) - 0.5, minor=True)
    axes.grid(which="minor", color="white", linewidth=1.5)
    axes.tick_params(which="both", length=0)
    for spine in axes.spines.values():
        spine.set_visible(False)
    axes.set_title(
        f"{title}\nWAR {metrics.war:.3f}   UAR {metrics.uar:.3f}   macro-F1 {metrics.macro_f1:.3f}",
        fontsize=10,
        loc="left",
    )
    bar = figure.colorbar(image, ax=axes, shrink=0.8, ticks=[0, 0.5, 1], format="{x:.0%}")
    bar.outline.set_visible(False)  # type: ignore[operator]
    figure.savefig(file, format="png", metadata={"Software": None})


def print_metrics(
    metrics: Mapping[str, Metrics | MultilabelMetrics], title: str, console: Console | None = None
) -> None:
    """Prints a table of the figures per modality, and one of the recall per class and modality."""
    from rich.console import Console
    from rich.table import Table

    console = console or Console()
    first = next(iter(metrics.values()))
    shown_ones = _FIGURES if isinstance(first, Metrics) else _FIGURES_OF_MULTI
    table = Table(title=title, title_justify="left", caption=_notes(first), caption_justify="left")
    for name in ("", "samples", *shown_ones.values()):
        table.add_column(name, justify="left" if not name else "right")
    between = " " if console.width >= ROOM_FOR_ONE_LINE else "\n"
    for name, values in metrics.items():
        table.add_row(
            name,
            str(values.num_samples),
            *(_with_interval(values, figure, between) for figure in shown_ones),
        )
    console.print(table)

    what = "recall" if isinstance(first, Metrics) else "ROC area"
    per_class = Table(title=f"{what} per class", title_justify="left")
    per_class.add_column("class")
    per_class.add_column("samples", justify="right")
    for name in metrics:
        per_class.add_column(name, justify="right")
    widest = max(metrics.values(), key=lambda values: values.num_samples)
    for index, label in enumerate(first.labels):
        figures = (_of_class(values, index) for values in metrics.values())
        shown = ["-" if np.isnan(figure) else f"{figure:.2f}" for figure in figures]
        per_class.add_row(label, str(widest.support[index]), *shown)
    console.print(per_class)


def print_dimensions(dimensions: Mapping[str, DimensionMetrics], console: Console | None = None) -> None:
    """Prints a table of the figures per head and dimension; nothing where there are none."""
    from rich.console import Console
    from rich.table import Table

    if not dimensions:
        return
    table = Table(title="dimensions, in [-1, 1]", title_justify="left")
    for name in ("", "dimension", "rated", "CCC", "R2", "RMSE"):
        table.add_column(name, justify="left" if name in ("", "dimension") else "right")
    for head, one in dimensions.items():
        for place, name in enumerate(one.names):
            cells = [f"{one.figures[figure][place]:.3f}" for figure in ("ccc", "r2", "rmse")]
            if one.intervals is not None:
                low, high = one.intervals["ccc"][place]
                cells[0] += f" [{low:.3f}, {high:.3f}]"
            table.add_row(head, name, str(one.num_samples[place]), *cells)
    (console or Console()).print(table)


def _of_class(metrics: Metrics | MultilabelMetrics, place: int) -> float:
    return metrics.recall[place] if isinstance(metrics, Metrics) else metrics.per_class["roc_area"][place]


def print_comparison(comparison: Comparison, console: Console | None = None) -> None:
    """Prints a table of both sides and their difference for each pair of heads, and McNemar's test."""
    from rich.console import Console
    from rich.table import Table

    console = console or Console()
    a, b = comparison.a, comparison.b
    between = " " if console.width >= ROOM_FOR_ONE_LINE else "\n"
    for name, one in comparison.pairs.items():
        outcomes = one.outcomes
        ensembles = " (the seeds of a side together)" if one.is_of_ensembles else ""
        caption = (
            f"A: {a.path}, B: {b.path}, {one.a.num_samples} labelled intervals. {one.intervals_note}. Only A "
            f"right: {outcomes['only_a']}, only B right: {outcomes['only_b']}{ensembles}, exact McNemar "
            f"p = {one.p_value:.2g}"
        )
        table = Table(title=name, title_justify="left", caption=caption, caption_justify="left")
        for column in ("", "A", "B", "B - A"):
            table.add_column(column, justify="left" if not column else "right")
        for figure, title in (("war", "WAR"), ("uar", "UAR"), ("macro_f1", "macro-F1"), ("ece", "ECE")):
            difference = f"{one.difference[figure]:+.3f}"
            if one.intervals is not None:
                low, high = one.intervals[figure]
                difference += f"{between}[{low:+.3f}, {high:+.3f}]"
            table.add_row(
                title,
                _with_interval(one.a, figure, between),
                _with_interval(one.b, figure, between),
                difference,
            )
        console.print(table)
    print_recall_differences(comparison, console)


def print_recall_differences(comparison: Comparison, console: Console) -> None:
    """Prints the recall per class of both answers and its difference."""
    from rich.table import Table

    one = comparison.answer
    table = Table(title=f"recall per class, {next(iter(comparison.pairs))}", title_justify="left")
    for column in ("class", "samples", "A", "B", "B - A"):
        table.add_column(column, justify="left" if column == "class" else "right")
    for place, label in enumerate(one.a.labels):
        if not one.a.support[place]:
            continue
        difference = f"{one.recall_difference[place]:+.2f}"
        if one.recall_intervals is not None:
            low, high = one.recall_intervals[place]
            difference += f" [{low:+.2f}, {high:+.2f}]"
        figures = (f"{side.recall[place]:.2f}" for side in (one.a, one.b))
        table.add_row(label, str(one.a.support[place]), *figures, difference)
    console.print(table)


def _notes(metrics: Metrics | MultilabelMetrics) -> str:
    notes = [f"chance {metrics.chance:.3f}", metrics.intervals_note]
    if isinstance(metrics, MultilabelMetrics):
        notes[0] = f"guessing: mAP {metrics.prevalence:.3f}, mRA and UAR 0.500"
        if metrics.num_present < len(metrics.labels):
            notes.append(
                f"means over the {metrics.num_present} of {len(metrics.labels)} classes that some intervals "
                "show and some do not"
            )
    elif metrics.num_present < len(metrics.labels):
        notes.append(
            f"UAR and macro-F1 over the {metrics.num_present} of {len(metrics.labels)} classes that occur"
        )
    if metrics.num_seeds > 1:
        notes.append(f"means over {metrics.num_seeds} seeds")
    return "; ".join(notes)


def _with_interval(metrics: Metrics | MultilabelMetrics, name: str, between: str = " ") -> str:
    value: float = getattr(metrics, name) if isinstance(metrics, Metrics) else metrics.figures[name]
    if metrics.intervals is None:
        return f"{value:.3f}"
    low, high = (f"{end:.3f}".removeprefix("0") for end in metrics.intervals[name])
    return f"{value:.3f}{between}[{low}, {high}]"
