"""Can a confidence be believed: accuracy against confidence, before and after calibration.

Letters in shapes: N samples, n classes.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, BinaryIO

import numpy as np

from videofer.evaluation.figures import NUM_BINS, bin_of, figures_of, sums_of_seeds
from videofer.evaluation.metrics import finite

INK, FAINT_INK, GRID = "#22262b", "#6b737c", "#dfe3e8"
BEFORE, AFTER = "#c2552d", "#1f6f8b"


@dataclass(frozen=True, kw_only=True)
class Reliability:
    """Samples by the confidence of the answer, in NUM_BINS bins of equal width (low, high]."""

    count: np.ndarray  # (bins,) int64
    confidence: np.ndarray  # (bins,) mean of the bin's samples; NaN where it has none
    accuracy: np.ndarray  # (bins,)
    ece: float

    def to_json(self) -> dict[str, Any]:
        """A dict without NaN."""
        return {
            "count": self.count.tolist(),
            "confidence": [finite(value) for value in self.confidence],
            "accuracy": [finite(value) for value in self.accuracy],
            "ece": finite(self.ece),
        }


def reliability(probs: np.ndarray, target: np.ndarray, seeds: np.ndarray | None = None) -> Reliability:
    """probs (N, n), target (N,) class indices.

    seeds (N,): their rows are pooled in the bins, and the calibration error is the mean over the seeds.
    """
    probs, num_classes = np.asarray(probs, dtype=np.float64), probs.shape[1]
    sums = sums_of_seeds(probs, target, np.zeros(len(target), dtype=np.int64), 1, seeds)
    confidence = probs.max(axis=1)
    place = bin_of(confidence)
    count = np.bincount(place, minlength=NUM_BINS)
    right = (probs.argmax(axis=1) == target).astype(np.float64)
    with np.errstate(invalid="ignore"):
        return Reliability(
            count=count,
            confidence=np.bincount(place, weights=confidence, minlength=NUM_BINS) / count,
            accuracy=np.bincount(place, weights=right, minlength=NUM_BINS) / count,
            ece=float(np.mean([figures_of(one[0], num_classes)["ece"] for one in sums])),
        )


def save_reliability(
    curves: Mapping[str, tuple[Reliability | None, Reliability]], file: BinaryIO, title: str
) -> None:
    """Writes a PNG. curves: per head before (None: not known) and after calibration."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    figure = Figure(figsize=(0.6 + 3.4 * len(curves), 4.9), dpi=150, layout="constrained")
    FigureCanvasAgg(figure)
    axes = figure.subplots(2, len(curves), squeeze=False, sharex=True, height_ratios=[3, 1])
    edges = np.linspace(0, 1, NUM_BINS + 1)
    for (head, (before, after)), (top, bottom) in zip(curves.items(), axes.T, strict=True):
        top.plot([0, 1], [0, 1], color=FAINT_INK, lw=0.8, ls=(0, (4, 3)), zorder=1)
        for curve, color, name in ((before, BEFORE, "before"), (after, AFTER, "after")):
            if curve is None:
                continue
            known = curve.count > 0
            size = 12 + 90 * curve.count[known] / max(curve.count.max(), 1)
            top.plot(curve.confidence[known], curve.accuracy[known], color=color, lw=1, alpha=0.6, zorder=2)
            top.scatter(
                curve.confidence[known],
                curve.accuracy[known],
                s=size,
                color=color,
                lw=0,
                alpha=0.85,
                zorder=3,
                clip_on=False,
            )
            top.plot([], [], "o-", color=color, ms=5, lw=1, label=f"{name}: ECE {curve.ece:.3f}")
            bottom.stairs(
                curve.count, edges, color=color, fill=curve is after, alpha=0.35 if curve is after else 1
            )
        top.set_title(f"{head} ({int(after.count.sum())})", loc="left", fontsize=10, color=INK)
        top.set(xlim=(0, 1), ylim=(0, 1.02), aspect="equal")
        top.legend(frameon=False, fontsize=8, loc="upper left")
        bottom.set_xlabel("confidence", fontsize=9)
        for ax in (top, bottom):
            ax.tick_params(labelsize=8, color=GRID, labelcolor=INK)
            ax.spines[["top", "right"]].set_visible(False)
            ax.spines[["left", "bottom"]].set_color(GRID)
    axes[0, 0].set_ylabel("share that is right", fontsize=9)
    axes[1, 0].set_ylabel("count", fontsize=9)
    figure.suptitle(title, x=0.01, ha="left", fontsize=11, color=INK)
    figure.savefig(file, format="png", metadata={"Software": None})
