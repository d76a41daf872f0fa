"""Results in the form papers use: a row per system, figures with intervals or the spread over folds.

Rows are read from folders of `evaluate`, `crossval` and `crosscorpus`; `paper_table_text` writes them down.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Literal

from videofer.evaluation.table import EvaluationError, fold_words

Spread = Literal["interval", "folds", "none"]

METRICS: dict[str, tuple[str, str, bool]] = {
    "war": ("WAR", "accuracy", True),
    "uar": ("UAR", "mean recall over the classes that occur", True),
    "f1": ("F1", "macro-averaged", True),
    "weighted_f1": ("wF1", "F1 weighted by the classes' samples", True),
    "map": ("mAP", "mean average precision over classes", True),
    "mra": ("mRA", "mean area under the ROC curve over classes", True),
    "ers": ("ERS", "score of BoLD, 1/2 (mR2 + 1/2 (mAP + mRA))", False),
    "ccc": ("CCC", "concordance, mean over dimensions", False),
    "r2": ("R2", "mean over dimensions", False),
    "rmse": ("RMSE", "mean over dimensions, less is better", False),
    "ece": ("ECE", "expected calibration error, less is better", True),
}
"""Name -> title, what it is, whether it is shown in percent."""

LESS_IS_BETTER = frozenset({"rmse", "ece"})

_STORED = {"f1": "macro_f1"}
_BY_DEFAULT = ("war", "uar", "f1")
_BY_DEFAULT_MULTI = ("map", "mra", "f1", "ers")
_OF_DIMENSIONS = ("ccc", "r2", "rmse")


@dataclass(frozen=True)
class Cell:
    """A figure as it is, a share say, and how sure it is."""

    value: float
    low: float | None = None  # of the 95 % interval
    high: float | None = None
    sd: float | None = None  # over the folds or corpora; `value` is then their mean


@dataclass(frozen=True, kw_only=True)
class PaperRow:
    """One system."""

    system: str
    num_samples: int | None = None
    num_subjects: int | None = None
    num_folds: int = 1
    folds_are: str = "folds"  # or the corpora that one model was tested on
    num_seeds: int = 1
    labels: tuple[str, ...] = ()
    cells: Mapping[str, Cell] = field(default_factory=dict)  # by metric
    recalls: Mapping[str, Cell] = field(default_factory=dict)  # by class
    source: str = ""  # of a published number
    note: str = ""


def read_rows(
    path: Path, name: str | None = None, *, heads: bool = False, spread: Spread = "interval"
) -> list[PaperRow]:
    """The row of a folder, heads: a row for each branch of the model, its answer last.

    name: of the system; None: that of its recipe. EvaluationError in one line where it is no evaluation, or
    the spread over folds is wanted of one that has none.
    """
    file = Path(path) / "metrics.json"
    if not file.is_file():
        raise EvaluationError(f"{path} is not an evaluation: it has no metrics.json")
    try:
        values = json.loads(file.read_text(encoding="utf-8"))
        every, labels = values["heads"], tuple(values["labels"])
        answer = values["answer"]
        system = name or str(values["source"].get("recipe") or values["title"])
        _, folds_are = fold_words(values["source"])
        several = [head for head in every if head != answer] if heads else []
        rows = []
        for head in [*several, answer]:
            one = every[head]
            rows.append(
                PaperRow(
                    system=f"{system}, {head}" if several else system,
                    num_samples=int(one["num_samples"]),
                    num_subjects=int(values["num_subjects"]),
                    num_folds=int(values["num_folds"]),
                    folds_are=folds_are,
                    num_seeds=int(values["num_seeds"]),
                    labels=labels,
                    cells=_cells(one, spread),
                    recalls=_recalls(one),
                )
            )
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise EvaluationError(
            f"{file} is not that of an evaluation ({type(error).__name__}: {error})"
        ) from None
    if spread == "folds" and not any(cell.sd is not None for row in rows for cell in row.cells.values()):
        raise EvaluationError(f"{path} has no figures of several {folds_are}: give --spread interval")
    return rows


def choose_metrics(rows: Sequence[PaperRow], wanted: Sequence[str] = ()) -> list[str]:
    """Which columns a table has: the wanted ones, else those that are usual for what the rows have."""
    for name in wanted:
        if name not in METRICS:
            raise EvaluationError(f"no metric is called '{name}' (there are {', '.join(METRICS)})")
        if not any(name in row.cells for row in rows):
            there = dict.fromkeys(metric for row in rows for metric in row.cells)
            raise EvaluationError(f"no run has the metric '{name}' (they have {', '.join(there)})")
    if wanted:
        return list(wanted)
    is_multi = any("map" in row.cells and row.labels for row in rows)
    usual = [*(_BY_DEFAULT_MULTI if is_multi else _BY_DEFAULT), "ccc"]
    return [name for name in usual if any(name in row.cells for row in rows)]


def with_distinct_names(rows: Iterable[tuple[Path, PaperRow]]) -> list[PaperRow]:
    """Systems of one name get the folder's beside it."""
    pairs = list(rows)
    names = [row.system for _, row in pairs]
    return [
        replace(row, system=f"{row.system} ({path.name})") if names.count(row.system) > 1 else row
        for path, row in pairs
    ]


def remarks(rows: Sequence[PaperRow], metrics: Sequence[str], spread: Spread) -> list[str]:
    """What a reader must know of a table, in sentences."""
    own = [row for row in rows if row.labels]
    found = ["; ".join(f"{METRICS[name][0]}: {METRICS[name][1]}" for name in metrics) + "."]
    cells = [cell for row in own for cell in row.cells.values()]
    if spread == "folds":
        found += _what_is_spread(own)
    elif spread == "interval" and any(cell.low is not None for cell in cells):
        whose = "subjects (over videos where subjects are not known)"
        pooled = ", ".join(dict.fromkeys(row.folds_are for row in own))
        found.append(
            f"In brackets 95 % intervals by a bootstrap over {whose}, pooled over {pooled} and seeds."
        )
    if spread == "interval" and own and any(all(c.low is None for c in row.cells.values()) for row in own):
        found.append("No interval where there are fewer than ten subjects.")
    if len({(row.num_samples, frozenset(row.labels)) for row in own}) > 1:
        found.append("The rows are of different intervals or classes: their figures are not to be compared.")
    reported: dict[tuple[str, str], list[str]] = {}
    for row in rows:
        if row.source:
            reported.setdefault((row.source, row.note), []).append(row.system)
    for (source, note), systems in reported.items():
        found.append(f"{', '.join(systems)}: as reported, {source}{f' ({note})' if note else ''}.")
    return found


def _what_is_spread(own: Sequence[PaperRow]) -> list[str]:
    """Of means with a standard deviation: over what, a sentence for each where the rows differ in it."""
    kinds: dict[str, list[str]] = {}
    for row in own:
        kinds.setdefault(row.folds_are, []).append(row.system)
    if len(kinds) < 2:
        return [f"Means over the {kind} and their standard deviation." for kind in kinds]
    return [
        f"{', '.join(systems)}: means over the {kind} and their standard deviation."
        for kind, systems in kinds.items()
    ]


def _cells(one: Mapping[str, Any], spread: Spread) -> dict[str, Cell]:
    folds, intervals = one.get("folds") or {}, one.get("intervals") or {}
    cells = {}
    for name in METRICS:
        stored = _STORED.get(name, name)
        if name in _OF_DIMENSIONS or name == "ers":
            continue
        if one.get(stored) is None:
            continue
        if spread == "folds":
            mean, sd = (folds.get(key, {}).get(stored) for key in ("mean", "sd"))
            if mean is not None:
                cells[name] = Cell(mean, sd=sd)
            continue
        low, high = (intervals.get(stored) or (None, None)) if spread == "interval" else (None, None)
        cells[name] = Cell(one[stored], low, high)
    score, dimensions = one.get("ers") or {}, one.get("dimensions") or {}
    if spread == "folds":
        return cells  # of these there are no figures by folds
    if score.get("value") is not None:
        low, high = score.get("interval") or (None, None)
        cells["ers"] = Cell(score["value"], low, high)
    for name in _OF_DIMENSIONS:
        value = (dimensions.get("mean") or {}).get(name)
        if value is not None:
            low, high = (dimensions.get("mean_intervals") or {}).get(name) or (None, None)
            cells[name] = Cell(value, low, high)
    if spread == "none":
        return {name: Cell(cell.value) for name, cell in cells.items()}
    return cells


def _recalls(one: Mapping[str, Any]) -> dict[str, Cell]:
    recalls, ends = one.get("recall") or {}, one.get("recall_intervals") or {}
    found = {}
    for label, value in recalls.items():
        if value is not None:
            low, high = ends.get(label) or (None, None)
            found[label] = Cell(value, low, high)
    return found
