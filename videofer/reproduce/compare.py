"""A run's figures beside the published ones: which of them its interval holds, and which it may not judge."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Literal

from cache.atomic import atomic_write_text
from videofer.reproduce.outcome import Outcome
from videofer.reproduce.plan import Plan
from videofer.reproduce.published import Published, published

Verdict = Literal["inside", "below", "above", "no interval", "another protocol", "other data", "no figure"]
"""Where our interval lies: around the published number, below it, above it; or why that cannot be said."""

SINGLE = ("war", "uar", "f1")
MULTI = ("ers", "map", "mra", "ccc", "r2", "f1")
PERCENT = ("war", "uar", "f1")
"""Figures that people give in percent."""
_NAMES = {"f1": "macro_f1"}  # published metric -> its name in metrics.json, where that is another
TITLES = {
    "war": "WAR (accuracy)", "uar": "UAR (mean recall)", "f1": "macro-F1", "ers": "ERS", "map": "mAP",
    "mra": "mean ROC AUC", "r2": "mean R²", "ccc": "mean CCC",
}  # fmt: skip


@dataclass(frozen=True, kw_only=True)
class Figure:
    """One of our figures, on everything that was tested, pooled over the folds."""

    head: str
    metric: str
    value: float | None  # None: undefined
    low: float | None  # ends of the 95 % interval, where there is one
    high: float | None
    fold_mean: float | None  # over the folds, as most papers report it
    fold_sd: float | None


@dataclass(frozen=True, kw_only=True)
class Compared:
    """A published number beside ours."""

    system: str
    metric: str
    published: float
    source: str
    note: str
    branch: str
    on_test: bool
    is_reproduced: bool  # it is of the system that was run again
    ours: Figure
    verdict: Verdict


@dataclass(frozen=True, kw_only=True)
class Result:
    """The figures of a run, and the published ones that stand beside them."""

    system: str
    why_a_trial: tuple[str, ...]  # empty: the whole set as the recipe says
    intervals_note: str
    figures: tuple[Figure, ...]  # per head, the answer last; see `metrics_of`
    compared: tuple[Compared, ...]  # those of the system first

    @property
    def main(self) -> tuple[Figure, ...]:
        """Of the model's answer."""
        return tuple(one for one in self.figures if one.head == self.figures[-1].head)


def compare(plan: Plan, outcome: Outcome) -> Result:
    """Sets every published number of the data set and label set beside ours."""
    figures = tuple(
        figure_of(of_head, head, metric)
        for head, of_head in outcome.heads.items()
        for metric in metrics_of(of_head)
    )
    rows = [one for one in published(plan.system.dataset) if one.labels == plan.system.labels]
    compared = [_compared(one, plan, outcome) for one in rows]
    note = str(outcome.heads[outcome.answer]["intervals_note"])
    if not plan.table["subject"].notna().any():  # then each video counts as somebody
        note = re.sub("subjects$", "videos, whose subjects are not known", note)
    return Result(
        system=plan.system.name,
        why_a_trial=plan.why_a_trial,
        intervals_note=note,
        figures=figures,
        compared=tuple(sorted(compared, key=_order)),
    )


def metrics_of(figures: Mapping[str, Any]) -> list[str]:
    """Which figures a head is told by, from its part of metrics.json."""
    if figures.get("targets") == "multi":
        return [metric for metric in MULTI if _found(figures, metric)[0] is not None]
    return [*SINGLE, *(["ccc"] if figures.get("dimensions") else [])]


def figure_of(figures: Mapping[str, Any], head: str, metric: str) -> Figure:
    """A figure of a head, from its part of metrics.json."""
    value, ends = _found(figures, metric)
    low, high = ends or (None, None)
    folds, name = figures.get("folds") or {}, _NAMES.get(metric, metric)
    return Figure(
        head=head,
        metric=metric,
        value=value,
        low=low,
        high=high,
        fold_mean=folds.get("mean", {}).get(name),
        fold_sd=folds.get("sd", {}).get(name),
    )


def _found(figures: Mapping[str, Any], metric: str) -> tuple[float | None, Sequence[float | None] | None]:
    """The value and the ends of its interval."""
    if metric == "ers":
        score = figures.get("ers") or {}
        return score.get("value"), score.get("interval")
    if metric in ("ccc", "r2"):
        dimensions = figures.get("dimensions") or {}
        return dimensions.get("mean", {}).get(metric), (dimensions.get("mean_intervals") or {}).get(metric)
    name = _NAMES.get(metric, metric)
    return figures.get(name), (figures.get("intervals") or {}).get(name)


def verdict_of(figure: Figure, number: float) -> Verdict:
    """Where our interval lies."""
    if figure.value is None:
        return "no figure"
    if figure.low is None or figure.high is None:
        return "no interval"
    if number < figure.low:
        return "above"
    return "below" if number > figure.high else "inside"


def save_result(result: Result, path: Path) -> None:
    """Writes result.json."""
    text = json.dumps(asdict(result), indent=2, ensure_ascii=False, allow_nan=False)
    atomic_write_text(path, text + "\n")


def sentence(result: Result) -> str:
    """What came of it, in one sentence for people."""
    first = next((one for one in result.compared if one.is_reproduced), None)
    if first is None or first.ours.value is None:
        shown = [f"{TITLES[one.metric]} {in_words(one)}" for one in result.main[:2]]
        return ", ".join(shown)
    ours = f"{TITLES[first.metric]} {in_words(first.ours)}"
    number = in_units(first.published, first.metric)
    where = {
        "inside": f"the published {number} lies inside the interval",
        "below": f"the published {number} lies above the interval",
        "above": f"the published {number} lies below the interval",
        "no interval": f"published: {number}; there is no interval to judge by",
        "another protocol": f"published, by another protocol: {number}",
        "other data": f"published, of people who exist: {number}",
    }[first.verdict]
    return f"{ours}; {where}"


def in_words(figure: Figure) -> str:
    """ "61.2 % [55.0, 67.4]"."""
    if figure.value is None:
        return "-"
    if figure.low is None or figure.high is None:
        return in_units(figure.value, figure.metric)
    low, high = (in_units(end, figure.metric).removesuffix(" %") for end in (figure.low, figure.high))
    return f"{in_units(figure.value, figure.metric)} [{low}, {high}]"


def in_units(value: float, metric: str) -> str:
    """For people: "61.2 %", or "0.288"."""
    return f"{100 * value:.1f} %" if metric in PERCENT else f"{value:.3f}"


def _compared(one: Published, plan: Plan, outcome: Outcome) -> Compared:
    branches = {"face": "face", "body": "body", "whole": "fused"}
    head = branches[one.branch] if branches[one.branch] in outcome.heads else outcome.answer
    ours = figure_of(outcome.heads[head], head, one.metric)
    verdict = verdict_of(ours, one.value) if one.protocol == plan.protocol else "another protocol"
    return Compared(
        system=one.system,
        metric=one.metric,
        published=one.value,
        source=one.source,
        note=one.note,
        branch=one.branch,
        on_test=one.on_test,
        is_reproduced=bool(plan.system.reproduces) and one.system == plan.system.reproduces,
        ours=ours,
        verdict="other data" if plan.reading.is_synthetic else verdict,
    )


def _order(one: Compared) -> tuple[bool, bool]:
    """The system's own first, of them the whole before the branches; the others as they come."""
    return (not one.is_reproduced, one.is_reproduced and one.branch != "whole")


def reported_by(compared: Iterable[Compared], head: str, metric: str) -> list[Compared]:
    """Those of the reproduced system that stand beside this figure."""
    return [one for one in compared if one.is_reproduced and one.ours.head == head and one.metric == metric]
