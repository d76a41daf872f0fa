"""Everything that is known of a prediction table of multi targets, and of any table's dimensions."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from videofer.data.targets import POSITIVE
from videofer.evaluation import dimensions as of_dimensions
from videofer.evaluation import multilabel
from videofer.evaluation.bootstrap import NUM_DRAWS, draw_groups, interval, number_groups
from videofer.evaluation.dimensions import DimensionMetrics, measure_dimensions
from videofer.evaluation.measured import Measured, about
from videofer.evaluation.metrics import Interval, finite
from videofer.evaluation.multilabel import (
    MultilabelMetrics,
    as_questions,
    emotion_recognition_score,
    measure_multilabel,
)
from videofer.evaluation.reliability import Reliability, reliability
from videofer.evaluation.table import (
    TRUTH,
    answer_columns,
    check_table,
    dimension_columns,
    dimensions_in,
    has_raw,
    prob_columns,
    seen_by,
)

OF_SCORE = ("valence", "arousal", "dominance")
"""The dimensions of BoLD's score."""


@dataclass(frozen=True, kw_only=True)
class Score:
    """BoLD's ERS of one head."""

    value: float
    interval: Interval | None

    def to_json(self) -> dict[str, Any]:
        """A dict without NaN."""
        return {"value": finite(self.value), "interval": self.interval and list(self.interval)}


@dataclass(frozen=True, kw_only=True)
class MultiHead:
    """What is known of one head, over the labelled intervals in which its modality was seen."""

    metrics: MultilabelMetrics
    curves: tuple[Reliability | None, Reliability]  # of all questions, before and after calibration
    dimensions: DimensionMetrics | None
    score: Score | None  # where the table has valence, arousal and dominance


@dataclass(frozen=True, kw_only=True)
class MultiResults(Measured):
    """What is known of a prediction table of multi targets."""

    heads: dict[str, MultiHead]  # the model's answer last

    @property
    def answer(self) -> str:
        return list(self.heads)[-1]

    @property
    def metrics(self) -> dict[str, MultilabelMetrics]:
        return {head: one.metrics for head, one in self.heads.items()}

    def unknowns(self) -> list[str]:
        """What these figures cannot say, in sentences."""
        answer = self.heads[self.answer].metrics
        found = [
            "What anybody felt: the labels are what people who watched the videos called the expression.",
            "Whether people of different age, sex, skin colour or culture are read equally well: that is "
            "measured for targets of which one holds only.",
        ]
        if answer.intervals is None:
            found.append(f"How sure the figures are: {answer.intervals_note}.")
        one_sided = [
            name
            for name, count in zip(self.labels, answer.support, strict=True)
            if not 0 < count < answer.num_samples
        ]
        if one_sided:
            found.append(
                f"How {', '.join(one_sided)} would be told: no interval shows it, or all do, so it counts in "
                "no mean."
            )
        return [*found, *self.unknown_to_all()]

    def to_json(self) -> dict[str, Any]:
        """The content of metrics.json."""
        return {
            **super().to_json(),
            "targets": "multi",
            "not_known": self.unknowns(),
            "answer": self.answer,
            "heads": {head: _head_json(one) for head, one in self.heads.items()},
        }


def make_multi_results(
    table: pd.DataFrame,
    labels: Sequence[str],
    heads: Sequence[str],
    *,
    title: str,
    source: Mapping[str, Any],
    notes: Sequence[str] = (),
) -> MultiResults:
    """Measures everything. EvaluationError in one line where the table is wrong."""
    check_table(table, labels, heads, title)
    return MultiResults(
        **about(table, labels, title=title, source=source, notes=notes),
        heads={head: _head_results(table, labels, head) for head in heads},
    )


def dimensions_of(table: pd.DataFrame, head: str) -> DimensionMetrics | None:
    """Figures of the head's dimensions; None where the table has none."""
    names = dimensions_in(table, head)
    if not names:
        return None
    seen = seen_by(table, head)
    return measure_dimensions(
        seen[dimension_columns(head, names)].to_numpy(dtype=np.float64),
        seen[dimension_columns(TRUTH, names)].to_numpy(dtype=np.float64),
        names,
        groups=seen["subject"].astype(str).tolist(),
        seeds=seen["seed"].to_numpy() if "seed" in seen else None,
    )


def _head_results(table: pd.DataFrame, labels: Sequence[str], head: str) -> MultiHead:
    seen = seen_by(table, head)
    probs = seen[prob_columns(head, labels)].to_numpy(dtype=np.float64)
    truth = seen[prob_columns(TRUTH, labels)].to_numpy(dtype=np.float64)
    raw = None
    if has_raw(table, labels, head):
        raw = seen[prob_columns(head, labels, raw=True)].to_numpy(dtype=np.float64)
    metrics = measure_multilabel(
        probs,
        truth,
        labels,
        says=seen[answer_columns(head, labels)].to_numpy(dtype=bool),
        groups=seen["subject"].astype(str).tolist(),
        seeds=seen["seed"].to_numpy() if "seed" in seen else None,
    )
    dimensions = dimensions_of(table, head)
    return MultiHead(
        metrics=metrics,
        curves=(
            None if raw is None else reliability(*as_questions(raw, truth)),
            reliability(*as_questions(probs, truth)),
        ),
        dimensions=dimensions,
        score=None if dimensions is None else _score(seen, labels, head, metrics, dimensions),
    )


def _score(
    seen: pd.DataFrame,
    labels: Sequence[str],
    head: str,
    metrics: MultilabelMetrics,
    dimensions: DimensionMetrics,
) -> Score | None:
    """BoLD's, by the same draws of subjects for all that it is made of."""
    if not set(OF_SCORE) <= set(dimensions.names):
        return None
    value = emotion_recognition_score(
        np.array(dimensions.mean("r2")), np.array(metrics.figures["map"]), np.array(metrics.figures["mra"])
    )
    if metrics.intervals is None:
        return Score(value=float(value), interval=None)
    probs, found = (
        seen[columns].to_numpy(dtype=np.float64)
        for columns in (prob_columns(head, labels), dimension_columns(head, dimensions.names))
    )
    truth, rated = (
        seen[columns].to_numpy(dtype=np.float64)
        for columns in (prob_columns(TRUTH, labels), dimension_columns(TRUTH, dimensions.names))
    )
    names, group = number_groups(seen["subject"].astype(str).tolist())
    weights = draw_groups(len(names), NUM_DRAWS)
    seeds = seen["seed"].to_numpy() if "seed" in seen else np.zeros(len(seen))
    parts = [np.flatnonzero(seeds == one) for one in np.unique(seeds)]
    drawn = multilabel.drawn_figures(probs, truth >= POSITIVE, probs >= 0.5, group, parts, weights)
    sums = [of_dimensions.sums_per_group(found[p], rated[p], group[p], len(names)) for p in parts]
    r2 = of_dimensions.drawn_figures(sums, weights)["r2"].mean(axis=1)
    scores = emotion_recognition_score(r2, drawn["map"], drawn["mra"])
    return Score(value=float(value), interval=interval(scores))


def _head_json(one: MultiHead) -> dict[str, Any]:
    before, after = one.curves
    return {
        **one.metrics.to_json(),
        "reliability": {"before": before and before.to_json(), "after": after.to_json()},
        "dimensions": one.dimensions and one.dimensions.to_json(),
        "ers": one.score and one.score.to_json(),
    }
