"""Figures per value of a manifest column: is everybody read equally well?

A group's figures are those of its labelled intervals. Groups differ in more than the column's value, and a
group of a few subjects says little: each has its counts, and an interval only with enough subjects.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from videofer.evaluation.bootstrap import draw_groups, drawn_figures, interval, number_groups, why_no_interval
from videofer.evaluation.figures import sums_of_seeds
from videofer.evaluation.metrics import Interval, Metrics, finite
from videofer.evaluation.table import EvaluationError, further_columns, rows_of, seen_by

KNOWN = (
    "gender", "sex", "age", "age_group", "ethnicity", "race", "skin", "skin_tone", "skin_type", "skin_colour",
    "skin_color", "fitzpatrick", "nationality", "country", "region", "culture", "language", "native_language",
    "glasses", "beard", "handedness",
)  # fmt: skip
"""Columns that are looked at without being asked for; compared in lower case with "_" for blanks."""

MAX_VALUES = 8
"""Numbers with more values than this are cut into thirds."""

MAX_GROUPS = 20
"""Of words with more values than this, the rarest are taken together."""

NOT_GIVEN = "not given"


@dataclass(frozen=True, kw_only=True)
class Gap:
    """How far the best group is from the worst, by one figure."""

    best: str
    worst: str
    difference: float
    interval: Interval | None
    """95 %, by drawing subjects. The two were chosen for being best and worst, so an interval that leaves out
    0 is weaker evidence than one for two groups chosen beforehand."""


@dataclass(frozen=True, kw_only=True)
class Breakdown:
    """Figures of one head per value of one column."""

    column: str
    note: str  # how values became groups; empty where each is one
    groups: dict[str, Metrics]  # in the order of tables
    gaps: dict[str, Gap]  # "war", "uar": of the groups whose value is given, if there are at least two

    @property
    def uneven(self) -> bool:
        """Whether the groups hold different classes, so that their UAR are means over different ones."""
        present = {tuple(count > 0 for count in metrics.support) for metrics in self.groups.values()}
        return len(present) > 1

    def to_json(self) -> dict[str, Any]:
        """A dict without NaN."""
        return {
            "column": self.column,
            "note": self.note,
            "groups": {name: metrics.to_json() for name, metrics in self.groups.items()},
            "gaps": {
                name: {
                    "best": gap.best,
                    "worst": gap.worst,
                    "difference": finite(gap.difference),
                    "interval": gap.interval and list(gap.interval),
                }
                for name, gap in self.gaps.items()
            },
        }


def choose_columns(table: pd.DataFrame, heads: Sequence[str], by: Sequence[str] | None) -> list[str]:
    """The columns known by name, and those asked for. EvaluationError for one that is not there."""
    further = further_columns(table, heads)
    for name in by or ():
        if name not in further:
            has = f"it has {', '.join(further)}" if further else "it has no further ones"
            raise EvaluationError(f"the manifest has no column '{name}' to take groups from; {has}")
    known = [name for name in further if name.strip().lower().replace(" ", "_").replace("-", "_") in KNOWN]
    return list(dict.fromkeys([*known, *(by or ())]))


def breakdown(table: pd.DataFrame, labels: Sequence[str], head: str, column: str) -> Breakdown:
    """Figures per value of the column, over the rows in which the head's modality was seen."""
    table = seen_by(table, head)
    groups, order, note = cut(table[column], table["subject"])
    metrics = {}
    for name in order:
        metrics[name] = rows_of(table[groups == name], labels, head).measure(labels)
    given = {name: one for name, one in metrics.items() if name != NOT_GIVEN}
    gaps = {}
    if len(given) > 1:
        for figure in ("war", "uar"):
            best = max(given, key=lambda name: getattr(given[name], figure))
            worst = min(given, key=lambda name: getattr(given[name], figure))
            gaps[figure] = Gap(
                best=best,
                worst=worst,
                difference=getattr(given[best], figure) - getattr(given[worst], figure),
                interval=_gap_interval(table, groups, labels, head, best, worst, figure),
            )
    return Breakdown(column=column, note=note, groups=metrics, gaps=gaps)


def cut(values: pd.Series, subjects: pd.Series) -> tuple[np.ndarray, list[str], str]:
    """A column's values (N,) -> names of the groups (N,), their order, and how they were made."""
    given = values.notna().to_numpy() & (values.astype(str).str.strip() != "").to_numpy()
    numbers = pd.to_numeric(values.where(given), errors="coerce")
    groups = np.full(len(values), NOT_GIVEN, dtype=object)
    note = ""
    truths = values[given].map(lambda value: isinstance(value, (bool, np.bool_)))
    if given.any() and numbers[given].notna().all() and not truths.any():
        amounts = numbers.to_numpy(dtype=np.float64)
        distinct = np.unique(amounts[given])
        if len(distinct) > MAX_VALUES:
            names, place = _thirds(amounts, given, subjects)
            groups[given] = np.array(names, dtype=object)[place[given]]
            order = names
            note = "numbers, cut into thirds of the subjects"
        else:
            groups[given] = [f"{value:g}" for value in amounts[given]]
            order = [f"{value:g}" for value in distinct]
    else:
        words = values[given].astype(str).str.strip()
        counts = words.value_counts()
        order = sorted(counts.index)
        if len(order) > MAX_GROUPS:
            kept = set(counts.index[: MAX_GROUPS - 1])
            rest = f"{len(order) - len(kept)} others"
            words = words.where(words.isin(kept), rest)
            order = [*sorted(kept), rest]
            note = f"the {len(kept)} most frequent values; the others are taken together"
        groups[given] = words.to_numpy(dtype=object)
    order = [name for name in order if (groups == name).any()]
    return groups, order + ([NOT_GIVEN] if not given.all() else []), note


def _thirds(amounts: np.ndarray, given: np.ndarray, subjects: pd.Series) -> tuple[list[str], np.ndarray]:
    """Names of three groups of numbers, and the place of each (N,); a subject's value counts once."""
    once = pd.DataFrame({"subject": subjects.to_numpy()[given], "amount": amounts[given]}).drop_duplicates()
    low, high = np.quantile(once["amount"], [1 / 3, 2 / 3], method="lower")
    names = [f"up to {low:g}", f"over {low:g} to {high:g}", f"over {high:g}"]
    return names, (amounts > low).astype(np.int64) + (amounts > high)


def _gap_interval(
    table: pd.DataFrame,
    groups: np.ndarray,
    labels: Sequence[str],
    head: str,
    best: str,
    worst: str,
    figure: str,
) -> Interval | None:
    """None where one of both has too few subjects. Subjects are drawn, with their rows of both groups."""
    parts = [table[groups == name] for name in (best, worst)]
    if any(why_no_interval(part["subject"].nunique()) for part in parts):
        return None
    names, _ = number_groups(pd.concat([part["subject"] for part in parts]).tolist())
    place = {name: index for index, name in enumerate(names)}
    weights = draw_groups(len(names))
    drawn = []
    for part in parts:
        rows = rows_of(part, labels, head)
        group = np.array([place[subject] for subject in rows.subjects], dtype=np.int64)
        sums = sums_of_seeds(rows.probs, rows.target, group, len(names), rows.seeds)
        drawn.append(drawn_figures(sums, weights, len(labels))[0][figure])
    return interval(drawn[0] - drawn[1])
