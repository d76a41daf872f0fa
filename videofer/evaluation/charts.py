"""An evaluation to look at: the confusion matrix as PNG, the figures as a table in the terminal."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, BinaryIO

import numpy as np

from videofer.evaluation.metrics import Metrics

if TYPE_CHECKING:
    from rich.console import Console


def save_confusion(metrics: Metrics, file: BinaryIO, title: str) -> None:
    """Writes a PNG: colour is the share of a true class, the cell says share in percent and count."""
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
    axes.set_yticks(
        range(size), [f"{name} ({n})" for name, n in zip(metrics.labels, total[:, 0], strict=True)]
    )
    axes.set_xlabel("predicted")
    axes.set_ylabel("labelled (samples)")
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


def print_metrics(metrics: Mapping[str, Metrics], title: str, console: Console | None = None) -> None:
    """Prints a table of the figures per modality, and one of the recall per class and modality."""
    from rich.console import Console
    from rich.table import Table

    console = console or Console()
    first = next(iter(metrics.values()))
    table = Table(title=title, title_justify="left", caption=first.intervals_note, caption_justify="left")
    for name in ("", "samples", "WAR", "UAR", "macro-F1", "ECE", "chance"):
        table.add_column(name, justify="left" if not name else "right")
    for name, values in metrics.items():
        table.add_row(
            name,
            str(values.num_samples),
            *(_with_interval(values, figure) for figure in ("war", "uar", "macro_f1")),
            f"{values.ece:.3f}",
            f"{values.chance:.3f}",
        )
    console.print(table)

    recall = Table(title="recall per class", title_justify="left")
    recall.add_column("class")
    recall.add_column("samples", justify="right")
    for name in metrics:
        recall.add_column(name, justify="right")
    widest = max(metrics.values(), key=lambda values: values.num_samples)
    for index, label in enumerate(first.labels):
        figures = (values.recall[index] for values in metrics.values())
        shown = ["-" if np.isnan(figure) else f"{figure:.2f}" for figure in figures]
        recall.add_row(label, str(widest.support[index]), *shown)
    console.print(recall)


def _with_interval(metrics: Metrics, name: str) -> str:
    value: float = getattr(metrics, name)
    if metrics.intervals is None:
        return f"{value:.3f}"
    low, high = metrics.intervals[name]
    return f"{value:.3f} [{low:.3f}, {high:.3f}]"
