"""One fold with one seed: what `videofer train` and `videofer evaluate` do, in a folder of its own."""

from __future__ import annotations

import json
import time
import traceback
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from cache.atomic import atomic_write_text
from cache.errors import UserError
from videofer.checkpoint import WEIGHTS
from videofer.evaluation.metrics import finite
from videofer.evaluation.report import EvalReport, evaluate
from videofer.recipe import Recipe
from videofer.training.progress import silent
from videofer.training.run import train

FIGURES = ("num_samples", "war", "uar", "macro_f1")
OF_MULTI = ("map", "mra")  # also, of multi targets
_RESULT = "result.json"


@dataclass(frozen=True, kw_only=True)
class FoldTask:
    """One fold with one seed. Picklable."""

    recipe: Recipe  # with the seed
    store: Path
    path: Path  # its folder
    seed: int
    fold: int


@dataclass(frozen=True, kw_only=True)
class FoldResult:
    """What came of a fold."""

    seed: int
    fold: int
    figures: Mapping[str, Mapping[str, Any]]  # per head, the answer last; see `figures_of`
    num_epochs: int = 0
    seconds: float = 0.0  # with inner folds and test, since the last resumption
    reason: str | None = None  # why it failed, in one line


def run_fold(task: FoldTask, threads: int | None) -> FoldResult:
    """Trains and tests one fold, or goes on with it. Never raises: what went wrong is in the result."""
    began = time.monotonic()
    try:
        run, manifest = task.path / "run", task.path / "manifest.csv"
        if not (run / WEIGHTS).is_file():
            train(
                task.recipe, task.store, run, resume=True, manifest=manifest, threads=threads, progress=silent
            )
        report = evaluate(run, task.store, task.path / "evaluation", split="test", manifest=manifest)
        trained = json.loads((run / "metrics.json").read_text(encoding="utf-8"))
        result = FoldResult(
            seed=task.seed,
            fold=task.fold,
            figures={head: figures_of(report, head) for head in report.metrics},
            num_epochs=trained["num_epochs"],
            seconds=round(time.monotonic() - began, 1),
        )
        atomic_write_text(task.path / _RESULT, json.dumps(asdict(result), indent=2))
        return result
    except Exception as error:  # a fold must not take the others with it
        return failed(task, reason_of(error, task.path))


def reason_of(error: Exception, folder: Path) -> str:
    """Why a task failed, in one line; of an error of ours the trace goes into the folder's error.txt."""
    reason = " ".join(str(error).split()) or type(error).__name__
    if isinstance(error, UserError):
        return reason
    folder.mkdir(parents=True, exist_ok=True)
    atomic_write_text(folder / "error.txt", traceback.format_exc())
    return f"{type(error).__name__}: {reason} (see {folder / 'error.txt'})"


def finished(task: FoldTask) -> FoldResult | None:
    """The result of a fold that an earlier run has finished."""
    path = task.path / _RESULT
    return FoldResult(**json.loads(path.read_text(encoding="utf-8"))) if path.is_file() else None


def failed(task: FoldTask, reason: str) -> FoldResult:
    """The result of one that did not finish."""
    return FoldResult(seed=task.seed, fold=task.fold, figures={}, reason=reason)


def figures_of(report: EvalReport, head: str) -> dict[str, Any]:
    """FIGURES of a head, those of multi targets, and the mean CCC of dimensions, as far as there are any."""
    values = report.metrics[head].to_json()
    figures = {name: values[name] for name in (*FIGURES, *OF_MULTI) if name in values}
    if head in report.dimensions:
        figures["ccc"] = finite(report.dimensions[head].mean("ccc"))
    return figures
