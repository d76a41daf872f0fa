"""Two sets of predictions of the same labelled intervals: the difference of their figures, how sure it is.

Both are drawn together, so what makes a subject easy or hard for both drops out: a difference can be certain
although the intervals of the two figures overlap.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from videofer.evaluation.bootstrap import (
    NUM_DRAWS,
    draw_groups,
    drawn_figures,
    interval,
    number_groups,
    why_no_interval,
)
from videofer.evaluation.figures import FIGURES, sums_of_seeds
from videofer.evaluation.metrics import Interval, Metrics, finite
from videofer.evaluation.table import INTERVAL, Rows, one_row_each, rows_of


@dataclass(frozen=True, kw_only=True)
class Paired:
    """B against A on the same labelled intervals."""

    a: Metrics
    b: Metrics
    difference: dict[str, float]
    """B minus A, of FIGURES."""
    intervals: dict[str, Interval] | None
    """95 % intervals of the differences, or None."""
    recall_difference: tuple[float, ...]
    """B minus A per class; NaN where a class has no sample."""
    recall_intervals: tuple[Interval, ...] | None
    outcomes: dict[str, int]
    """Labelled intervals by who is right: both, only_a, only_b, neither. Several seeds decide together, by
    the mean of their probabilities (see `is_of_ensembles`)."""
    intervals_note: str

    @property
    def is_of_ensembles(self) -> bool:
        """Whether `outcomes` are those of several seeds together, which are better than each alone."""
        return max(self.a.num_seeds, self.b.num_seeds) > 1

    @property
    def p_value(self) -> float:
        """Exact McNemar test of `outcomes`. It takes labelled intervals for independent, which those of one
        subject are not: the bootstrap over subjects is the safer judge."""
        return mcnemar(self.outcomes["only_a"], self.outcomes["only_b"])

    def to_json(self) -> dict[str, Any]:
        """A dict without NaN."""
        labels = self.a.labels
        return {
            "a": self.a.to_json(),
            "b": self.b.to_json(),
            "difference": {name: finite(value) for name, value in self.difference.items()},
            "intervals": self.intervals and {name: list(ends) for name, ends in self.intervals.items()},
            "recall_difference": {
                label: finite(value) for label, value in zip(labels, self.recall_difference, strict=True)
            },
            "recall_intervals": self.recall_intervals
            and {
                label: None if np.isnan(ends[0]) else list(ends)
                for label, ends in zip(labels, self.recall_intervals, strict=True)
            },
            "outcomes": self.outcomes,
            "outcomes_are_of_ensembles": self.is_of_ensembles,
            "mcnemar_p": self.p_value,
            "intervals_note": self.intervals_note,
        }


def paired(
    table_a: pd.DataFrame, head_a: str, table_b: pd.DataFrame, head_b: str, labels: Sequence[str]
) -> Paired:
    """Compares two prediction tables, or two heads of one, that hold the same labelled intervals.

    Either may hold several seeds: a figure is then their mean.
    """
    rows_a, rows_b = rows_of(table_a, labels, head_a), rows_of(table_b, labels, head_b)
    a, b = rows_a.measure(labels), rows_b.measure(labels)
    names, _ = number_groups(rows_a.subjects)
    assert set(names) == set(rows_b.subjects), "both tables hold the same subjects"
    intervals, recall_intervals = None, None
    note = why_no_interval(len(names))
    if note is None:
        weights = draw_groups(len(names))
        (drawn_a, recall_a), (drawn_b, recall_b) = (
            drawn_figures(_sums(rows, names, len(labels)), weights, len(labels)) for rows in (rows_a, rows_b)
        )
        intervals = {name: interval(drawn_b[name] - drawn_a[name]) for name in FIGURES}
        recall_intervals = tuple(interval(column) for column in (recall_b - recall_a).T)
        note = f"95 % percentile intervals, {NUM_DRAWS} paired bootstrap draws of {len(names)} subjects"
    return Paired(
        a=a,
        b=b,
        difference={name: getattr(b, name) - getattr(a, name) for name in FIGURES},
        intervals=intervals,
        recall_difference=tuple(y - x for x, y in zip(a.recall, b.recall, strict=True)),
        recall_intervals=recall_intervals,
        outcomes=_outcomes(table_a, head_a, table_b, head_b, labels),
        intervals_note=note,
    )


def mcnemar(only_a: int, only_b: int) -> float:
    """Two-sided exact p-value: how often a fair coin tossed `only_a + only_b` times is at least so uneven."""
    tosses, ways, tail = only_a + only_b, 1, 1  # ways: binomial coefficient; tail: their sum up to here
    for heads in range(min(only_a, only_b)):
        ways = ways * (tosses - heads) // (heads + 1)
        tail += ways
    return float(min(1.0, 2 * tail / 2**tosses))


def _sums(rows: Rows, names: Sequence[str], num_classes: int) -> list[np.ndarray]:
    place = {name: index for index, name in enumerate(names)}
    group = np.array([place[subject] for subject in rows.subjects], dtype=np.int64)
    return sums_of_seeds(rows.probs, rows.target, group, len(names), rows.seeds)


def _outcomes(
    table_a: pd.DataFrame, head_a: str, table_b: pd.DataFrame, head_b: str, labels: Sequence[str]
) -> dict[str, int]:
    index = list(INTERVAL)
    right = [
        one.set_index(index)[f"{head}_label"] == one.set_index(index)["label"]
        for one, head in (
            (one_row_each(t, labels, [head]), head) for t, head in ((table_a, head_a), (table_b, head_b))
        )
    ]
    right_a, right_b = right[0].to_numpy(), right[1].reindex(right[0].index).to_numpy(dtype=bool)
    return {
        "both": int((right_a & right_b).sum()),
        "only_a": int((right_a & ~right_b).sum()),
        "only_b": int((~right_a & right_b).sum()),
        "neither": int((~right_a & ~right_b).sum()),
    }
