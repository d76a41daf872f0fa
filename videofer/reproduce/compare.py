"""A run's figures beside the published ones: which of them its interval holds, and which it may not judge."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Literal

from cache.atomic import atomic_write_text
from videofer.reproduce.outcome import Outcome
from videofer.reproduce.plan import Plan
from videofer.reproduce.published import Published, published

Verdict = Literal["inside", "below", "above", "no interval", "another protocol", "no figure"]
"""Where our interval lies: around the published number, below it, above it; or why that cannot be said."""

OURS = {"war": "war", "uar": "uar", "f1": "macro_f1"}
"""Published metric -> the name in metrics.json."""
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
    figures: tuple[Figure, ...]  # WAR, UAR and macro-F1 per head, the answer last
    compared: tuple[Compared, ...]  # those of the system first

    @property
    def main(self) -> tuple[Figure, ...]:
        """Of the model's answer."""
        return tuple(one for one in self.figures if one.head == self.figures[-1].head)


def compare(plan: Plan, outcome: Outcome) -> Result:
    """Sets every published number of the data set and label set beside ours."""
    figures = tuple(figure_of(outcome.heads[head], head, metric) for head in outcome.heads for metric in OURS)
    rows = [one for one in published(plan.system.dataset) if one.labels == plan.system.labels]
    compared = [_compared(one, plan, outcome) for one in rows]
    return Result(
        system=plan.system.name,
        why_a_trial=plan.why_a_trial,
        intervals_note=str(outcome.heads[outcome.answer]["intervals_note"]),
        figures=figures,
        compared=tuple(sorted(compared, key=_order)),
    )


def figure_of(figures: Mapping[str, Any], head: str, metric: str) -> Figure:
    """A figure of a head, from its part of metrics.json."""
    name = OURS.get(metric, metric)
    ends = (figures.get("intervals") or {}).get(name) or (None, None)
    folds = figures.get("folds") or {}
    return Figure(
        head=head,
        metric=metric,
        value=figures.get(name),
        low=ends[0],
        high=ends[1],
        fold_mean=folds.get("mean", {}).get(name),
        fold_sd=folds.get("sd", {}).get(name),
    )


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
    number = _percent(first.published)
    where = {
        "inside": f"the published {number} lies inside the interval",
        "below": f"the published {number} lies above the interval",
        "above": f"the published {number} lies below the interval",
        "no interval": f"published: {number}; there is no interval to judge by",
        "another protocol": f"published, by another protocol: {number}",
    }[first.verdict]
    return f"{ours}; {where}"


def in_words(figure: Figure) -> str:
    """ "61.2 % [55.0, 67.4]"."""
    if figure.value is None:
        return "-"
    if figure.low is None or figure.high is None:
        return _percent(figure.value)
    return f"{_percent(figure.value)} [{100 * figure.low:.1f}, {100 * figure.high:.1f}]"


def _compared(one: Published, plan: Plan, outcome: Outcome) -> Compared:
    branches = {"face": "face", "body": "body", "whole": "fused"}
    head = branches[one.branch] if branches[one.branch] in outcome.heads else outcome.answer
    ours = figure_of(outcome.heads[head], head, one.metric)
    fits = one.protocol == plan.protocol
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
        verdict=verdict_of(ours, one.value) if fits else "another protocol",
    )


def _order(one: Compared) -> tuple[bool, bool]:
    """The system's own first, of them the whole before the branches; the others as they come."""
    return (not one.is_reproduced, one.is_reproduced and one.branch != "whole")


def _percent(value: float) -> str:
    return f"{100 * value:.1f} %"


def reported_by(compared: Iterable[Compared], head: str, metric: str) -> list[Compared]:
    """Those of the reproduced system that stand beside this figure."""
    return [one for one in compared if one.is_reproduced and one.ours.head == head and one.metric == metric]
