"""How well dimensions of affect (valence, arousal, dominance) are told: CCC, R2 and RMSE, with intervals.

    CCC   concordance correlation coefficient (Lin, Biometrics 45, 1989): 1 where prediction and rating are
          equal, 0 for a constant; unlike a correlation it falls where means or spreads differ
    R2    coefficient of determination: 0 for the mean of the ratings, below that for worse
    RMSE  root of the mean squared error; ratings lie in [-1, 1], so a third of it is a sixth of the scale

All follow from seven sums, so that a bootstrap over subjects draws sums (see `bootstrap`). A rating that is
not known counts nowhere. Where several seeds predicted the same intervals, figures are means over the seeds.

Letters in shapes: N samples, d dimensions, G groups, ... anything in front.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from videofer.evaluation.bootstrap import NUM_DRAWS, draw_groups, interval, number_groups, why_no_interval
from videofer.evaluation.metrics import Interval, finite

FIGURES = ("ccc", "r2", "rmse")


@dataclass(frozen=True, kw_only=True)
class DimensionMetrics:
    """The figures of one head. Undefined ones (fewer than two different ratings) are NaN."""

    names: tuple[str, ...]
    num_samples: tuple[int, ...]
    """Per dimension, intervals with a rating."""
    num_groups: int
    """Distinct subjects; 0 where they are not known."""
    num_seeds: int
    figures: dict[str, tuple[float, ...]]
    """FIGURES, each a value per dimension."""
    intervals: dict[str, tuple[Interval, ...]] | None
    """95 %, by drawing subjects."""
    mean_intervals: dict[str, Interval] | None
    intervals_note: str

    def mean(self, figure: str) -> float:
        """Over the dimensions."""
        return float(np.mean(self.figures[figure]))

    def to_json(self) -> dict[str, Any]:
        """A dict without NaN."""
        return {
            "num_samples": dict(zip(self.names, self.num_samples, strict=True)),
            "num_groups": self.num_groups,
            "num_seeds": self.num_seeds,
            **{
                figure: {name: finite(value) for name, value in zip(self.names, values, strict=True)}
                for figure, values in self.figures.items()
            },
            "mean": {figure: finite(self.mean(figure)) for figure in FIGURES},
            "intervals": self.intervals
            and {
                figure: {name: _ends(ends) for name, ends in zip(self.names, values, strict=True)}
                for figure, values in self.intervals.items()
            },
            "mean_intervals": self.mean_intervals
            and {figure: _ends(ends) for figure, ends in self.mean_intervals.items()},
            "intervals_note": self.intervals_note,
        }


def measure_dimensions(
    found: np.ndarray,
    truth: np.ndarray,
    names: Sequence[str],
    *,
    groups: Sequence[str] | None = None,
    seeds: np.ndarray | None = None,
    num_bootstrap: int = NUM_DRAWS,
    seed: int = 0,
) -> DimensionMetrics:
    """found (N, d) against truth (N, d), NaN where there is no rating.

    groups (N,): subjects, where they are known. seeds (N,): of the model that predicted the row.
    ValueError where shapes disagree.
    """
    if found.shape != truth.shape or found.shape[1:] != (len(names),):
        raise ValueError(f"found {found.shape} and truth {truth.shape} must be (N, {len(names)})")
    known = groups is not None and any(groups)
    group_names, group = number_groups(groups if known and groups is not None else [""] * len(found))
    which = (
        np.zeros(len(found), dtype=np.int64) if seeds is None else np.unique(seeds, return_inverse=True)[1]
    )
    num_seeds = int(which.max()) + 1 if len(which) else 1
    sums = [
        sums_per_group(found[rows], truth[rows], group[rows], max(len(group_names), 1))
        for rows in (which == value for value in range(num_seeds))
    ]
    by_seed = [figures_of(one.sum(axis=0)) for one in sums]
    num_groups = len(group_names) if known else 0
    note, intervals, mean_intervals = why_no_interval(num_groups), None, None
    if note is None:
        drawn = drawn_figures(sums, draw_groups(num_groups, num_bootstrap, seed))
        intervals = {name: tuple(interval(column) for column in drawn[name].T) for name in FIGURES}
        mean_intervals = {name: interval(drawn[name].mean(axis=1)) for name in FIGURES}
        note = f"95 % percentile intervals, {num_bootstrap} bootstrap draws of {num_groups} subjects"
    counts = sums[0][..., 0].sum(axis=0)
    return DimensionMetrics(
        names=tuple(names),
        num_samples=tuple(int(count) for count in counts),
        num_groups=num_groups,
        num_seeds=num_seeds,
        figures={name: tuple(np.mean([one[name] for one in by_seed], axis=0).tolist()) for name in FIGURES},
        intervals=intervals,
        mean_intervals=mean_intervals,
        intervals_note=note,
    )


def sums_per_group(found: np.ndarray, truth: np.ndarray, group: np.ndarray, num_groups: int) -> np.ndarray:
    """found, truth (N, d), group (N,) int -> (G, d, 7): count, x, y, x^2, y^2, x y, (x - y)^2."""
    known = np.isfinite(truth)
    x, y = np.where(known, found, 0.0), np.where(known, truth, 0.0)
    parts = np.stack([known.astype(np.float64), x, y, x * x, y * y, x * y, np.square(x - y)], axis=2)
    sums = np.zeros((num_groups, found.shape[1], parts.shape[2]))
    np.add.at(sums, group, parts)
    return sums


def figures_of(sums: np.ndarray) -> dict[str, np.ndarray]:
    """Sums (..., 7) -> FIGURES, each (...)."""
    count = sums[..., 0]
    with np.errstate(invalid="ignore", divide="ignore"):
        x, y, xx, yy, xy, squared_error = (sums[..., place] / count for place in range(1, 7))
        spread = np.where(_differ(yy - y * y), yy - y * y, np.nan)  # of the ratings
        ccc = 2 * (xy - x * y) / (xx - x * x + spread + np.square(x - y))
        return {"ccc": ccc, "r2": 1 - squared_error / spread, "rmse": np.sqrt(squared_error)}


def drawn_figures(sums: Sequence[np.ndarray], weights: np.ndarray) -> dict[str, np.ndarray]:
    """FIGURES of each draw, each (D, d): means over the seeds. weights (D, G): see `draw_groups`."""
    by_seed = [figures_of(np.einsum("wg,gdm->wdm", weights, one)) for one in sums]
    return {name: np.mean([one[name] for one in by_seed], axis=0) for name in FIGURES}


def _differ(variance: np.ndarray) -> np.ndarray:
    """Whether there is a spread, and not only what rounding leaves of none."""
    found: np.ndarray = variance > 1e-12
    return found


def _ends(ends: Interval) -> list[float] | None:
    return None if np.isnan(ends[0]) else list(ends)
