"""Figures per fold and per seed, with mean and standard deviation over them, as papers report them.

They stand beside the pooled figures, not in their place: a small fold's UAR is noisy, and the spread over
folds is that of the folds' subjects as much as of the model.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from videofer.evaluation.bootstrap import number_groups
from videofer.evaluation.figures import FIGURES, figures_of, sums_per_group
from videofer.evaluation.metrics import finite
from videofer.evaluation.table import num_seeds, rows_of


@dataclass(frozen=True, kw_only=True)
class Parts:
    """Figures of one head per fold, or per seed."""

    values: list[str]  # names of the folds
    num_samples: list[int]
    num_groups: list[int]  # subjects
    figures: dict[str, np.ndarray]  # FIGURES, each a value for each part; means over the seeds

    def mean(self, name: str) -> float:
        return float(np.mean(self.figures[name]))

    def sd(self, name: str) -> float:
        """Of the parts, n - 1."""
        return float(np.std(self.figures[name], ddof=1))

    def to_json(self) -> dict[str, Any]:
        """A dict without NaN."""
        return {
            "parts": [
                {
                    "value": value,
                    "num_samples": self.num_samples[place],
                    "num_groups": self.num_groups[place],
                    **{name: finite(self.figures[name][place]) for name in FIGURES},
                }
                for place, value in enumerate(self.values)
            ],
            "mean": {name: finite(self.mean(name)) for name in FIGURES},
            "sd": {name: finite(self.sd(name)) for name in FIGURES},
        }


def parts_of(table: pd.DataFrame, labels: Sequence[str], head: str, column: str) -> Parts | None:
    """Figures per value of "fold" or "seed"; None where the table has not at least two of them."""
    if column not in table or table[column].nunique() < 2 or not len(table):
        return None
    rows = rows_of(table, labels, head)
    names = sorted(table[column].unique().tolist())
    place = {name: index for index, name in enumerate(names)}
    part = np.array([place[value] for value in table[column]], dtype=np.int64)
    seeds = rows.seeds if rows.seeds is not None and column != "seed" else np.zeros(len(part))
    by_seed = [
        figures_of(sums_per_group(rows.probs[of], rows.target[of], part[of], len(names)), len(labels))
        for of in (seeds == value for value in np.unique(seeds))
    ]
    repeats = num_seeds(table) if column != "seed" else 1
    subjects = [number_groups(table.loc[table[column] == name, "subject"].tolist())[0] for name in names]
    return Parts(
        values=[str(name) for name in names],
        num_samples=(np.bincount(part) // repeats).tolist(),
        num_groups=[len(names) for names in subjects],
        figures={name: np.mean([one[name] for one in by_seed], axis=0) for name in FIGURES},
    )
