"""The page's charts as values for plotly.js: confusion matrices and reliability diagrams.

Plotly takes some HTML in texts (links too), so every name that comes from outside is escaped.
"""

from __future__ import annotations

from html import escape
from typing import Any

import numpy as np

from videofer.evaluation.figures import NUM_BINS
from videofer.evaluation.metrics import Metrics
from videofer.evaluation.reliability import AFTER, BEFORE, FAINT_INK, GRID, INK, Reliability

BLUES = [[0, "#f7f9fb"], [0.25, "#c9dcea"], [0.5, "#7fb0d3"], [0.75, "#3479ad"], [1, "#0b3c6b"]]
FONT = {"family": "system-ui, sans-serif", "size": 12, "color": INK}
MAX_CELL_TEXTS = 12
"""Classes up to which a confusion matrix has room for numbers."""


def confusion_chart(metrics: Metrics) -> dict[str, Any]:
    """Colour is the share of a true class; `shares` and `counts` are the cells' texts to choose from."""
    counts = metrics.confusion
    share = counts / np.maximum(counts.sum(axis=1, keepdims=True), 1)
    names = [escape(name) for name in metrics.labels]
    size = len(names)
    shown = size <= MAX_CELL_TEXTS
    font_size = 13 if size <= 5 else 11 if size <= 8 else 10
    texts = {
        "shares": [[f"{100 * value:.0f}" if value else "" for value in row] for row in share],
        "counts": [[str(count) if count else "" for count in row] for row in counts],
    }
    hover = [
        [
            f"labelled {truth}, taken for {said}<br>{counts[i, j]} of {counts[i].sum()} ({share[i, j]:.1%})"
            for j, said in enumerate(names)
        ]
        for i, truth in enumerate(names)
    ]
    tick = 12 if size <= 8 else 10 if size <= 14 else 8
    gap = 1.5 if size <= 14 else 0.5
    axis = {
        "showgrid": False,
        "zeroline": False,
        "ticks": "",
        "tickfont": {"size": tick},
        "automargin": True,
        "ticklabelstandoff": 3,
    }
    heatmap = {
        "type": "heatmap", "z": share.tolist(), "x": names, "y": names, "zmin": 0, "zmax": 1,
        "colorscale": BLUES, "showscale": False, "xgap": gap, "ygap": gap, "text": texts["shares"],
        "texttemplate": "%{text}" if shown else "", "textfont": {"size": font_size},
        "hovertext": hover, "hovertemplate": "%{hovertext}<extra></extra>",
    }  # fmt: skip
    return {
        "data": [heatmap],
        "layout": _layout(
            {"l": 10, "r": 6, "t": 8, "b": 10},
            xaxis={**axis, "tickangle": -45, "constrain": "domain", "title": {"text": "said", "standoff": 6}},
            yaxis={
                **axis, "autorange": "reversed", "scaleanchor": "x", "constrain": "domain",
                "title": {"text": "labelled", "standoff": 6},
            },
        ),
        "aspect": 1.02,
        **texts,
    }  # fmt: skip


def reliability_chart(before: Reliability | None, after: Reliability) -> dict[str, Any]:
    """Points: accuracy against confidence; bars below: counts per bin."""
    largest = max(int(curve.count.max()) for curve in (before, after) if curve is not None)
    data: list[dict[str, Any]] = [
        {
            "type": "scatter", "x": [0, 1], "y": [0, 1], "mode": "lines", "hoverinfo": "skip",
            "line": {"color": FAINT_INK, "width": 1, "dash": "dash"},
        }
    ]  # fmt: skip
    centres = (np.arange(NUM_BINS) + 0.5) / NUM_BINS
    for curve, color, name in ((before, BEFORE, "before"), (after, AFTER, "after")):
        if curve is None:
            continue
        known = curve.count > 0
        count = curve.count[known]
        data.append(
            {
                "type": "scatter", "mode": "lines+markers", "name": name,
                "x": curve.confidence[known].tolist(), "y": curve.accuracy[known].tolist(),
                "customdata": count.tolist(), "line": {"color": color, "width": 1.2},
                "marker": {
                    "color": color, "size": (5 + 13 * np.sqrt(count / max(largest, 1))).tolist(),
                    "opacity": 0.8, "line": {"width": 0},
                },
                "hovertemplate": f"{name}: confidence %{{x:.2f}}, right %{{y:.2f}}"
                "<br>%{customdata} intervals<extra></extra>",
            }
        )  # fmt: skip
        is_after = curve is after
        data.append(
            {
                "type": "bar", "name": name, "x": centres.tolist(), "y": curve.count.tolist(), "yaxis": "y2",
                "width": (0.9 if is_after else 0.5) / NUM_BINS,
                "marker": {"color": color, "opacity": 0.4 if is_after else 0.75, "line": {"width": 0}},
                "hovertemplate": f"{name}: %{{y}} intervals<extra></extra>",
            }
        )  # fmt: skip
    data.sort(key=lambda trace: trace["type"] == "bar" and trace["name"] == "before")  # narrow bars in front
    axis = {"gridcolor": GRID, "zeroline": False, "ticks": "", "tickfont": {"size": 11}}
    return {
        "data": data,
        "layout": _layout(
            {"l": 46, "r": 8, "t": 8, "b": 40},
            barmode="overlay",
            xaxis={
                **axis, "range": [-0.02, 1.02], "dtick": 0.25, "anchor": "y2",
                "title": {"text": "confidence", "standoff": 8},
            },
            yaxis={
                **axis, "range": [-0.02, 1.04], "dtick": 0.25, "domain": [0.3, 1],
                "title": {"text": "share that is right", "standoff": 6},
            },
            yaxis2={**axis, "domain": [0, 0.21], "nticks": 3, "rangemode": "tozero"},
        ),
        "aspect": 1.12,
    }  # fmt: skip


def _layout(margin: dict[str, int], **more: Any) -> dict[str, Any]:
    return {
        "margin": margin, "font": FONT, "paper_bgcolor": "rgba(0,0,0,0)", "plot_bgcolor": "rgba(0,0,0,0)",
        "showlegend": False, "dragmode": False,
        "hoverlabel": {"bgcolor": INK, "bordercolor": INK, "font": {"color": "#ffffff", "size": 12}},
        **more,
    }  # fmt: skip
