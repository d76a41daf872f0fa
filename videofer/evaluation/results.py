"""Everything that is known of a prediction table: figures per head, calibration, folds, seeds, groups.

Made once, then written as metrics.json and shown as a page.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from videofer.evaluation.demographics import Breakdown, breakdown, choose_columns
from videofer.evaluation.dimensions import DimensionMetrics
from videofer.evaluation.measured import Measured, about
from videofer.evaluation.metrics import Metrics, finite, measure
from videofer.evaluation.modalities import SideBySide, side_by_side
from videofer.evaluation.multi_results import dimensions_of
from videofer.evaluation.pooled import Parts, parts_of
from videofer.evaluation.reliability import Reliability, reliability
from videofer.evaluation.table import (
    PUBLISHED,
    PUBLISHED_NAME,
    check_table,
    has_raw,
    rows_of,
    seen_by,
    target_of,
    tta_columns,
)


@dataclass(frozen=True, kw_only=True)
class HeadResults:
    """What is known of one head, over the labelled intervals in which its modality was seen."""

    metrics: Metrics
    raw: Metrics | None  # before calibration; None where those probabilities are not known
    curves: tuple[Reliability | None, Reliability]  # before and after calibration
    folds: Parts | None
    seeds: Parts | None
    breakdowns: list[Breakdown]
    dimensions: DimensionMetrics | None  # where the model has any


@dataclass(frozen=True, kw_only=True)
class Results(Measured):
    """What is known of a prediction table."""

    heads: dict[str, HeadResults]  # the model's answer last
    published: Metrics | None  # of the published mixture: only its decisions are known
    tta: dict[str, Metrics] | None  # per head, with test-time augmentation; None where it was not done
    side: SideBySide | None

    @property
    def answer(self) -> str:
        return list(self.heads)[-1]

    @property
    def metrics(self) -> dict[str, Metrics]:
        return {head: results.metrics for head, results in self.heads.items()}

    def unknowns(self) -> list[str]:
        """What these figures cannot say, in sentences."""
        answer = self.heads[self.answer]
        found = [
            "What anybody felt: the labels are what people who watched the videos called the expression."
        ]
        if not answer.breakdowns:
            found.append(
                "Whether people of different age, sex, skin colour or culture are read equally well: "
                "the manifest has no such columns."
            )
        if answer.metrics.intervals is None:
            found.append(f"How sure the figures are: {answer.metrics.intervals_note}.")
        elif answer.metrics.intervals["war"][0] == answer.metrics.intervals["war"][1]:
            found.append(
                f"How sure an accuracy of {answer.metrics.war:.0%} is: where all subjects are read alike, "
                "drawing subjects gives an interval without width."
            )
        absent = [name for name, count in zip(self.labels, answer.metrics.support, strict=True) if not count]
        if absent:
            found.append(f"How {', '.join(absent)} would be read: there is no labelled interval of it.")
        return [*found, *self.unknown_to_all()]

    def to_json(self) -> dict[str, Any]:
        """The content of metrics.json."""
        return {
            **super().to_json(),
            "not_known": self.unknowns(),
            "answer": self.answer,
            "heads": {head: _head_json(results) for head, results in self.heads.items()},
            "face_published": None if self.published is None else _published_json(self.published),
            "test_time_augmentation": self.tta and {head: one.to_json() for head, one in self.tta.items()},
            "side_by_side": None if self.side is None else self.side.to_json(),
        }


def make_results(
    table: pd.DataFrame,
    labels: Sequence[str],
    heads: Sequence[str],
    *,
    title: str,
    source: Mapping[str, Any],
    notes: Sequence[str] = (),
    by: Sequence[str] | None = None,
) -> Results:
    """Measures everything. EvaluationError in one line where the table is wrong."""
    check_table(table, labels, heads, title)
    columns = choose_columns(table, heads, by)
    return Results(
        **about(table, labels, title=title, source=source, notes=notes),
        heads={head: _head_results(table, labels, head, columns) for head in heads},
        published=_published(table, labels),
        tta=with_tta(table, labels, heads),
        side=side_by_side(table, labels, heads),
    )


def _head_results(
    table: pd.DataFrame, labels: Sequence[str], head: str, columns: Sequence[str]
) -> HeadResults:
    seen = seen_by(table, head)
    rows = rows_of(seen, labels, head)
    raw = rows_of(seen, labels, head, raw=True) if has_raw(table, labels, head) else None
    return HeadResults(
        metrics=rows.measure(labels),
        raw=None if raw is None else measure(raw.probs, raw.target, labels, seeds=raw.seeds),
        curves=(
            None if raw is None else reliability(raw.probs, raw.target, raw.seeds),
            reliability(rows.probs, rows.target, rows.seeds),
        ),
        folds=parts_of(seen, labels, head, "fold"),
        seeds=parts_of(seen, labels, head, "seed"),
        breakdowns=[breakdown(table, labels, head, column) for column in columns],
        dimensions=dimensions_of(table, head),
    )


def _published(table: pd.DataFrame, labels: Sequence[str]) -> Metrics | None:
    """Figures of the published mixture's decisions; its score is no probability."""
    if PUBLISHED not in table:
        return None
    seen = seen_by(table, "face")
    place = {name: index for index, name in enumerate(labels)}
    return measure(
        np.eye(len(labels))[[place[name] for name in seen[PUBLISHED]]],
        target_of(seen, labels),
        labels,
        groups=seen["subject"].astype(str).tolist(),
        seeds=seen["seed"].to_numpy() if "seed" in seen else None,
    )


def with_tta(table: pd.DataFrame, labels: Sequence[str], heads: Sequence[str]) -> dict[str, Metrics] | None:
    """Figures per head with test-time augmentation; None where the table does not have it."""
    if not set(tta_columns(heads[-1], labels)) <= set(table.columns):
        return None
    found = {}
    for head in heads:
        seen = seen_by(table, head)
        rows = rows_of(seen, labels, head)
        probs = seen[tta_columns(head, labels)].to_numpy(dtype=np.float64)
        found[head] = measure(probs, rows.target, labels, groups=rows.subjects, seeds=rows.seeds)
    return found


def _published_json(metrics: Metrics) -> dict[str, Any]:
    return {
        "name": PUBLISHED_NAME,
        "num_samples": metrics.num_samples,
        "war": finite(metrics.war),
        "uar": finite(metrics.uar),
        "intervals": metrics.intervals and {name: list(metrics.intervals[name]) for name in ("war", "uar")},
    }


def _head_json(results: HeadResults) -> dict[str, Any]:
    before, after = results.curves
    return {
        **results.metrics.to_json(),
        "before_calibration": results.raw
        and {name: finite(getattr(results.raw, name)) for name in ("war", "uar", "ece", "nll", "brier")},
        "reliability": {"before": before and before.to_json(), "after": after.to_json()},
        "folds": results.folds and results.folds.to_json(),
        "seeds": results.seeds and results.seeds.to_json(),
        "groups": [one.to_json() for one in results.breakdowns],
        "dimensions": results.dimensions and results.dimensions.to_json(),
    }
