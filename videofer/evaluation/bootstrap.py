"""Percentile intervals by drawing whole groups (subjects) with replacement, all their samples with them.

Samples of one subject resemble each other: intervals that drew single samples would be too narrow. Pooled
over folds and seeds, a subject is drawn with its samples of all of them.

Letters in shapes: D draws, G groups, n classes, M sums (see `figures`).
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from videofer.evaluation.figures import FIGURES, class_figures, confusion_of, figures_of

MIN_GROUPS = 10
"""Below this many groups a bootstrap over them says nothing: no interval is given."""

NUM_DRAWS = 1000


def draw_groups(num_groups: int, num_draws: int = NUM_DRAWS, seed: int = 0) -> np.ndarray:
    """(D, G) float64: how often each group is in each draw. Rows sum to the number of groups."""
    drawn = np.random.default_rng(seed).integers(num_groups, size=(num_draws, num_groups))
    cell = drawn + num_groups * np.arange(num_draws)[:, None]
    counts = np.bincount(cell.ravel(), minlength=num_draws * num_groups)
    return counts.reshape(num_draws, num_groups).astype(np.float64)


def interval(values: np.ndarray) -> tuple[float, float]:
    """The middle 95 % of drawn figures (D,). A draw in which the figure is undefined does not count."""
    known = values[np.isfinite(values)]
    if not len(known):
        return float("nan"), float("nan")
    low, high = np.percentile(known, [2.5, 97.5])
    return float(low), float(high)


def number_groups(groups: Sequence[str] | np.ndarray) -> tuple[list[str], np.ndarray]:
    """Names of N samples' groups -> the distinct names, and (N,) int64 places in them."""
    names, place = np.unique(np.asarray(groups, dtype=str), return_inverse=True)
    return names.tolist(), place.reshape(-1)


def why_no_interval(num_groups: int) -> str | None:
    """A sentence where there are too few groups for an interval, None where there are enough."""
    if num_groups == 0:
        return "no intervals: the subjects of the samples are not known"
    if num_groups < MIN_GROUPS:
        return f"no intervals: at least {MIN_GROUPS} subjects are needed, here are {num_groups}"
    return None


def drawn_figures(
    sums: Sequence[np.ndarray], weights: np.ndarray, num_classes: int
) -> tuple[dict[str, np.ndarray], np.ndarray]:
    """Figures of each draw: FIGURES, each (D,), and the recall per class (D, n). Means over the seeds.

    sums: per seed (G, M), see `figures.sums_per_group`. weights: (D, G), see `draw_groups`.
    """
    by_seed = [weights @ one_seed for one_seed in sums]  # each (D, M)
    figures = [figures_of(drawn, num_classes) for drawn in by_seed]
    recalls = [class_figures(confusion_of(drawn, num_classes))[0] for drawn in by_seed]
    means = {name: np.mean([one[name] for one in figures], axis=0) for name in FIGURES}
    return means, np.mean(recalls, axis=0)
