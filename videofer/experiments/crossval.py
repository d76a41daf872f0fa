"""Cross-validation: every fold and seed is trained and tested by itself, and the predictions are pooled.

OUT/crossval.json           what was asked for, so that --resume can refuse anything else
    folds.csv               a row per seed and fold: who was tested, figures, why it failed
    seed_0/fold_1/manifest.csv, run/, evaluation/, result.json
    report.html, metrics.json, predictions.parquet, ...   of all folds together, see `evaluation.report`
    leaks/                  only where somebody or something stands on two sides, see `datasets.leaks`

Each fold is what `videofer train` and `videofer evaluate` do on its manifest; its test side is looked at
once, after training. Folds do not depend on the seed, so recipes and seeds are compared on the same ones.
"""

from __future__ import annotations

import hashlib
import time
from collections.abc import Generator, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from cache.atomic import atomic_write_text
from cache.store import Store
from preprocessing.config_file import dump_yaml, nearest
from videofer.data.examples import Example
from videofer.datasets.leaks import check as check_leaks
from videofer.evaluation.report import write_multi_report, write_report
from videofer.experiments.claim import CrossvalError, check_counts, claim
from videofer.experiments.fold_task import FoldResult, FoldTask, failed, finished, run_fold
from videofer.experiments.folds import Plan, Protocol, fold_manifest, group_names, plan_folds
from videofer.experiments.parallel import run_tasks
from videofer.experiments.progress import FoldEvent, FoldProgress, print_fold, watching
from videofer.experiments.rows import usable_rows
from videofer.recipe import Recipe
from videofer.training.inner import check_inner_folds
from videofer.training.split import Split, TrainingError, carve_validation

if TYPE_CHECKING:
    from videofer.evaluation.metrics import Metrics
    from videofer.evaluation.multilabel import MultilabelMetrics

_SPREAD = {"war": "WAR", "uar": "UAR", "macro_f1": "macro-F1", "map": "mAP", "mra": "mRA", "ccc": "CCC"}


@dataclass(frozen=True, kw_only=True)
class CrossvalReport:
    """What a cross-validation found."""

    path: Path
    plan: Plan
    results: list[FoldResult]  # also of the failed ones, in the order of seed and fold
    metrics: dict[str, Metrics] | dict[str, MultilabelMetrics]
    """Per head, pooled over the folds that finished with every seed."""
    notes: list[str]
    unused: list[str]
    """A line for each row of the manifest that could not be used: its name and why."""

    @property
    def failed(self) -> list[FoldResult]:
        """The folds that did not finish."""
        return [result for result in self.results if result.reason is not None]

    def spread(self) -> str:
        """Mean and standard deviation over the folds, as papers give them, of the model's answer."""
        head, lost = list(self.metrics)[-1], {result.fold for result in self.failed}
        kept = [result for result in self.results if result.fold not in lost]
        names = [name for name in _SPREAD if name in kept[0].figures[head]]
        rows = [{"fold": r.fold, **{name: r.figures[head][name] for name in names}} for r in kept]
        by_fold = pd.DataFrame(rows).astype(float).groupby("fold").mean()  # over the seeds
        if len(by_fold) < 2:
            return "one fold: no spread"
        shown = ", ".join(
            f"{_SPREAD[name]} {by_fold[name].mean():.3f} ± {by_fold[name].std():.3f}" for name in names
        )
        return f"{head}, mean and standard deviation over {len(by_fold)} folds: {shown}"


def crossval(
    recipe: Recipe,
    store: Path,
    out: Path,
    *,
    protocol: Protocol = "kfold",
    num_folds: int = 5,
    group_by: str | None = None,
    seeds: Sequence[int] = (0,),
    workers: int = 1,
    ray_address: str | None = None,
    manifest: Path | None = None,
    resume: bool = False,
    by: Sequence[str] | None = None,
    progress: FoldProgress = print_fold,
) -> CrossvalReport:
    """Trains and tests every fold with every seed, `workers` at once, and writes a report on all of them.

    `group_by`: the column of the manifest that takes the subject's place. `manifest`: a file of labels; None:
    the store's own. `resume`: go on with what `out` holds; finished folds are not touched again. `by`:
    columns that the report also groups by. Errors for the user are UserErrors in one line; a fold that fails
    is in the report, unless all do.
    """
    store, out = Path(store), Path(out)
    check_counts(seeds, workers)
    opened = Store.open(store)
    rows = usable_rows(opened, manifest, recipe)
    table, target = rows.table, rows.target
    plan = plan_folds(
        table,
        target,
        recipe.data.classes,
        protocol=protocol,
        num_folds=num_folds,
        group_by=group_by,
        targets=recipe.data.targets,
    )
    _check_columns(table, by or ())
    _check_trainable(recipe, plan, table, rows.examples)
    manifests = {fold.number: _csv(fold_manifest(table, plan, fold)) for fold in plan.folds}
    claim(out, _identity(recipe, plan, manifests), resume)
    leaks = check_leaks(store, table, sides=_sides(plan, len(table)))
    if leaks.pairs:
        leaks.save(out / "leaks")
    tasks = [
        FoldTask(
            recipe=_with_seed(recipe, seed),
            store=store.absolute(),
            path=(out / f"seed_{seed}" / f"fold_{fold.number}").absolute(),
            seed=seed,
            fold=fold.number,
        )
        for seed in seeds
        for fold in plan.folds
    ]
    for task in tasks:
        task.path.mkdir(parents=True, exist_ok=True)
        atomic_write_text(task.path / "manifest.csv", manifests[task.fold])
    results = _run_all(tasks, workers, ray_address, progress)
    atomic_write_text(out / "folds.csv", _csv(_folds_table(plan, results)))
    if all(result.reason is not None for result in results):
        raise CrossvalError(f"no fold finished; fold {results[0].fold}: {results[0].reason}")
    notes = [plan.note, *_failure_notes(results), *leaks.notes()]
    metrics = _pool(recipe, store, out, tasks, results, notes, by)
    return CrossvalReport(
        path=out, plan=plan, results=results, metrics=metrics, notes=notes, unused=list(rows.unused)
    )


def _sides(plan: Plan, num_rows: int) -> list[str]:
    """By which fold each row is tested; "train" where by none."""
    sides = ["train"] * num_rows
    for fold in plan.folds:
        for row in np.flatnonzero(fold.is_test).tolist():
            sides[row] = f"fold {fold.number}"
    return sides


def _run_all(
    tasks: Sequence[FoldTask], workers: int, address: str | None, progress: FoldProgress
) -> list[FoldResult]:
    results = {task.path: finished(task) for task in tasks}
    waiting = [task for task in tasks if results[task.path] is None]
    num_kept, began = len(tasks) - len(waiting), time.monotonic()
    with watching(waiting), closing(_run_waiting(waiting, workers, address)) as running:
        for number, (task, result) in enumerate(running, start=1):
            results[task.path] = result
            seconds = time.monotonic() - began
            progress(
                FoldEvent(
                    result=result,
                    num_done=num_kept + number,
                    num_folds=len(tasks),
                    folds_per_hour=number / max(seconds, 1e-9) * 3600,
                    eta_seconds=seconds / number * (len(waiting) - number),
                )
            )
    done = [results[task.path] for task in tasks]
    return [result for result in done if result is not None]


def _run_waiting(
    tasks: Sequence[FoldTask], workers: int, address: str | None
) -> Generator[tuple[FoldTask, FoldResult], None, None]:
    if workers == 1 and address is None:
        for task in tasks:
            yield task, run_fold(task, None)
        return
    for task, result in run_tasks(run_fold, tasks, workers=workers, address=address):
        yield task, result if isinstance(result, FoldResult) else failed(task, result)


def _pool(
    recipe: Recipe,
    store: Path,
    out: Path,
    tasks: Sequence[FoldTask],
    results: Sequence[FoldResult],
    notes: Sequence[str],
    by: Sequence[str] | None,
) -> dict[str, Metrics] | dict[str, MultilabelMetrics]:
    """The report on the folds that finished with every seed: then all seeds hold the same intervals."""
    lost = {result.fold for result in results if result.reason is not None}
    kept = [task for task in tasks if task.fold not in lost]
    if not kept:
        raise CrossvalError(f"{out}: no fold finished with every seed, so there is nothing to pool")
    tables = [
        pd.read_parquet(task.path / "evaluation" / "predictions.parquet").assign(
            fold=task.fold, seed=task.seed
        )
        for task in kept
    ]
    seeds = sorted({task.seed for task in tasks})
    figures = next(result.figures for result in results if result.reason is None)
    source = {
        "recipe": recipe.name,
        "store": str(store),
        "protocol": notes[0],
        "seeds": ", ".join(str(seed) for seed in seeds),
    }
    table, heads = pd.concat(tables, ignore_index=True), list(figures)
    facts: dict[str, Any] = {
        "title": f"{recipe.name}: cross-validation",
        "source": source,
        "notes": notes,
        "by": by,
    }
    if recipe.data.targets == "multi":
        return write_multi_report(table, recipe.data.classes, heads, out, **facts).metrics
    return write_report(table, recipe.data.classes, heads, out, **facts)


def _folds_table(plan: Plan, results: Sequence[FoldResult]) -> pd.DataFrame:
    tested = {fold.number: fold for fold in plan.folds}
    rows = []
    for result in results:
        fold = tested[result.fold]
        figures = {
            f"{head}_{name}": value
            for head, values in result.figures.items()
            for name, value in values.items()
        }
        own = {"seed": result.seed, "fold": result.fold, "groups": " ".join(fold.groups)}
        own |= {"num_test": int(fold.is_test.sum()), "num_epochs": result.num_epochs}
        rows.append({**own, "seconds": result.seconds, **figures, "reason": result.reason})
    return pd.DataFrame(rows)


def _failure_notes(results: Sequence[FoldResult]) -> list[str]:
    failed = [result for result in results if result.reason is not None]
    if not failed:
        return []
    lost = ", ".join(str(fold) for fold in sorted({result.fold for result in failed}))
    return [f"{len(failed)} of {len(results)} did not finish: the folds {lost} are missing from all figures"]


def _check_columns(table: pd.DataFrame, by: Sequence[str]) -> None:
    for column in by:
        if column not in table.columns:
            guess = nearest(column, [str(name) for name in table.columns])
            hint = (
                f"; did you mean '{guess}'?" if guess else f" (columns: {', '.join(map(str, table.columns))})"
            )
            raise CrossvalError(f"the manifest has no column '{column}' to report by{hint}")


def _check_trainable(recipe: Recipe, plan: Plan, table: pd.DataFrame, examples: Sequence[Example]) -> None:
    """Refuses at once what every fold would fail by, after a long time perhaps."""
    settings = recipe.training
    if settings.val_subjects is not None and (len(plan.folds) > 1 or plan.column != "subject"):
        raise CrossvalError(
            "training.val_subjects names subjects of one split; for cross-validation give "
            "--set training.val_subjects=null, and they are drawn for each fold"
        )
    names = group_names(table, plan.column)
    known = [
        replace(example, subject=name or example.key, row=row)
        for row, (example, name) in enumerate(zip(examples, names, strict=True))
    ]
    for fold in plan.folds:
        side = fold_manifest(table, plan, fold)["split"]
        train = [example for example in known if side[example.row] == "train"]
        val = [example for example in known if side[example.row] == "val"]
        try:
            if not val:
                train, val = carve_validation(train, settings)
            check_inner_folds(Split(train=train, val=val), recipe)
        except TrainingError as error:
            raise CrossvalError(f"fold {fold.number} cannot be trained: {error}") from None


def _identity(recipe: Recipe, plan: Plan, manifests: Mapping[int, str]) -> dict[str, Any]:
    digest = hashlib.sha256("".join(manifests[number] for number in sorted(manifests)).encode())
    return {
        "recipe": dump_yaml(_with_seed(recipe, 0)),
        "protocol": plan.protocol,
        "column": plan.column,
        "num_folds": len(plan.folds),
        "manifests": digest.hexdigest()[:16],
    }


def _with_seed(recipe: Recipe, seed: int) -> Recipe:
    return recipe.model_copy(update={"training": recipe.training.model_copy(update={"seed": seed})})


def _csv(table: pd.DataFrame) -> str:
    return table.to_csv(index=False)
