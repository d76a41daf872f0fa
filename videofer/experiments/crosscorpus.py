"""Cross-corpus: trained on one store, tested on others that played no part in it.

OUT/crosscorpus.json        what was asked for, so that --resume can refuse anything else
    corpora.csv             a row per seed and test corpus: figures, why it failed
    seed_0/manifest.csv, run/, CORPUS/manifest.csv, CORPUS/evaluation/
    report.html, metrics.json, ...  of all seeds and test corpora, see `evaluation.report`

The classes are those of the recipe that all corpora have. The model is that of the training corpus, every
row of it; validation subjects are its own, and no figure of a test corpus chooses anything.
"""

from __future__ import annotations

import hashlib
import json
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pandas as pd

from cache.atomic import atomic_write_text
from preprocessing.config_file import dump_yaml
from videofer.checkpoint import WEIGHTS
from videofer.datasets.leaks import check_corpora
from videofer.evaluation.report import evaluate, write_multi_report, write_report
from videofer.evaluation.table import CROSS_CORPUS
from videofer.experiments.claim import CrossvalError, check_counts, claim
from videofer.experiments.corpora import (
    Corpus,
    common_classes,
    corpus_names,
    open_corpora,
    refuse_common_content,
)
from videofer.experiments.fold_task import figures_of, reason_of
from videofer.experiments.parallel import run_tasks
from videofer.recipe import Recipe
from videofer.training.progress import silent
from videofer.training.run import train as train_run

if TYPE_CHECKING:
    from collections.abc import Callable

    from videofer.evaluation.metrics import Metrics
    from videofer.evaluation.multilabel import MultilabelMetrics


@dataclass(frozen=True, kw_only=True)
class CrossTask:
    """One seed: trained once, tested on every corpus. Picklable."""

    recipe: Recipe
    train: Path  # store
    tests: tuple[tuple[str, Path], ...]  # name and store of each
    path: Path  # its folder
    seed: int


@dataclass(frozen=True, kw_only=True)
class CrossResult:
    """What came of a seed."""

    seed: int
    figures: Mapping[str, Mapping[str, Mapping[str, Any]]]  # corpus -> head, the answer last
    seconds: float = 0.0
    reason: str | None = None  # why it failed, in one line


@dataclass(frozen=True, kw_only=True)
class CrossReport:
    """What a cross-corpus run found."""

    path: Path
    classes: tuple[str, ...]
    train: str
    tests: tuple[str, ...]
    results: list[CrossResult]
    metrics: dict[str, Metrics] | dict[str, MultilabelMetrics]  # per head, over all test corpora and seeds
    notes: list[str]
    unused: list[str]

    @property
    def failed(self) -> list[CrossResult]:
        return [result for result in self.results if result.reason is not None]


def crosscorpus(
    recipe: Recipe,
    train: Path,
    tests: Sequence[Path],
    out: Path,
    *,
    seeds: Sequence[int] = (0,),
    workers: int = 1,
    ray_address: str | None = None,
    train_manifest: Path | None = None,
    test_manifests: Sequence[Path] = (),
    resume: bool = False,
    by: Sequence[str] | None = None,
    progress: Callable[[str], None] = lambda _line: None,
) -> CrossReport:
    """Trains on one store with each seed, tests on the others, and writes one report.

    Manifests: files of labels in the place of the stores' own; of the tests as many as there are tests, or
    none. `by`: columns that the report also groups by. UserErrors in one line; a seed that fails is in the
    report, unless all do.
    """
    train, out, tests = Path(train), Path(out), [Path(path) for path in tests]
    check_counts(seeds, workers)
    _check(train, tests, test_manifests)
    names = corpus_names([train, *tests])
    labels = [train_manifest, *(test_manifests or (None for _ in tests))]
    corpora = open_corpora(recipe, dict(zip(names, zip([train, *tests], labels, strict=True), strict=True)))
    classes, notes = common_classes(recipe, corpora)
    learned, tested = corpora[0], corpora[1:]
    refuse_common_content(learned, tested)
    recipe = _with_classes(recipe, classes)
    manifests = {one.name: one.manifest("test").to_csv(index=False) for one in tested}
    manifests[learned.name] = learned.manifest("train").to_csv(index=False)
    claim(
        out, _identity(recipe, names, manifests), resume, file="crosscorpus.json", what="a cross-corpus run"
    )
    progress("looking for copies of videos across the corpora")
    leaks = check_corpora({one.name: (one.path, one.table) for one in corpora})
    notes = [f"trained on {learned.name}, tested on {', '.join(names[1:])}", *notes, *leaks.notes()]
    if leaks.pairs:
        leaks.save(out / "leaks")
    tasks = [_task(recipe, seed, learned, tested, out) for seed in seeds]
    for task in tasks:
        _write(task.path / "manifest.csv", manifests[learned.name])
        for name, _ in task.tests:
            _write(folder_of(task, name) / "manifest.csv", manifests[name])
    results = _run_all(tasks, workers, ray_address, progress)
    _write(out / "corpora.csv", _figures_table(results).to_csv(index=False))
    if all(result.reason is not None for result in results):
        raise CrossvalError(f"no seed finished; seed {results[0].seed}: {results[0].reason}")
    metrics = _pool(recipe, out, tasks, results, notes, by)
    unused = [f"{one.name}: {line}" for one in corpora for line in one.unused]
    return CrossReport(
        path=out, classes=classes, train=names[0], tests=tuple(names[1:]),
        results=results, metrics=metrics, notes=notes, unused=unused,
    )  # fmt: skip


def run_cross(task: CrossTask, threads: int | None) -> CrossResult:
    """Trains and tests one seed, or goes on with it. Never raises: what went wrong is in the result."""
    began = time.monotonic()
    try:
        run, figures = task.path / "run", {}
        if not (run / WEIGHTS).is_file():
            train_run(
                task.recipe, task.train, run,
                resume=True, manifest=task.path / "manifest.csv", threads=threads, progress=silent,
            )  # fmt: skip
        for name, store in task.tests:
            folder = folder_of(task, name)
            report = evaluate(
                run, store, folder / "evaluation", split="test", manifest=folder / "manifest.csv"
            )
            figures[name] = {head: figures_of(report, head) for head in report.metrics}
        result = CrossResult(seed=task.seed, figures=figures, seconds=round(time.monotonic() - began, 1))
        _write(
            task.path / "result.json", json.dumps({"figures": figures, "seconds": result.seconds}, indent=2)
        )
        return result
    except Exception as error:  # a seed must not take the others with it
        return CrossResult(seed=task.seed, figures={}, reason=reason_of(error, task.path))


def folder_of(task: CrossTask, name: str) -> Path:
    """Where the test on a corpus lies."""
    return task.path / name.replace("/", "_")


def _finished(task: CrossTask) -> CrossResult | None:
    path = task.path / "result.json"
    if not path.is_file():
        return None
    return CrossResult(seed=task.seed, **json.loads(path.read_text(encoding="utf-8")))


def _run_all(
    tasks: Sequence[CrossTask], workers: int, address: str | None, progress: Callable[[str], None]
) -> list[CrossResult]:
    results = {task.seed: _finished(task) for task in tasks}
    waiting = [task for task in tasks if results[task.seed] is None]
    if workers == 1 and address is None:
        for task in waiting:
            progress(f"seed {task.seed}: training")
            results[task.seed] = _told(run_cross(task, None), progress)
    else:
        for task, result in run_tasks(run_cross, waiting, workers=workers, address=address):
            if isinstance(result, str):
                result = CrossResult(seed=task.seed, figures={}, reason=result)
            results[task.seed] = _told(result, progress)
    done = [results[task.seed] for task in tasks]
    return [result for result in done if result is not None]


def _told(result: CrossResult, progress: Callable[[str], None]) -> CrossResult:
    if result.reason is not None:
        progress(f"seed {result.seed} FAILED: {result.reason}")
    for name, heads in result.figures.items():
        *_, answer = heads.values()
        shown = "  ".join(
            f"{key} {'-' if answer.get(key) is None else format(answer[key], '.3f')}"
            for key in ("war", "uar")
        )
        progress(f"seed {result.seed}  {name}  {shown}")
    return result


def _pool(
    recipe: Recipe,
    out: Path,
    tasks: Sequence[CrossTask],
    results: Sequence[CrossResult],
    notes: Sequence[str],
    by: Sequence[str] | None,
) -> dict[str, Metrics] | dict[str, MultilabelMetrics]:
    kept = [task for task, result in zip(tasks, results, strict=True) if result.reason is None]
    several = len(kept[0].tests) > 1
    tables = []
    for task in kept:
        for place, (name, _) in enumerate(task.tests, start=1):
            table = pd.read_parquet(folder_of(task, name) / "evaluation" / "predictions.parquet")
            table = table.assign(seed=task.seed, corpus=name)
            tables.append(table.assign(fold=place) if several else table)
    figures = next(result.figures for result in results if result.reason is None)
    source = {
        "recipe": recipe.name,
        "train": str(kept[0].train),
        "test": ", ".join(str(store) for _, store in kept[0].tests),
        "protocol": CROSS_CORPUS,
        "seeds": ", ".join(str(task.seed) for task in kept),
    }
    table, heads = pd.concat(tables, ignore_index=True), list(next(iter(figures.values())))
    facts: dict[str, Any] = {
        "title": f"{recipe.name}: cross-corpus",
        "source": source,
        "notes": [*notes, *_failures(results)],
    }
    if recipe.data.targets == "multi":
        return write_multi_report(table, recipe.data.classes, heads, out, by=by, **facts).metrics
    groups = list(dict.fromkeys([*(by or ()), *(["corpus"] if several else [])]))
    return write_report(table, recipe.data.classes, heads, out, by=groups or None, **facts)


def _figures_table(results: Sequence[CrossResult]) -> pd.DataFrame:
    rows: list[dict[str, Any]] = []
    for result in results:
        if result.reason is not None:
            rows.append({"seed": result.seed, "reason": result.reason})
        for name, heads in result.figures.items():
            values = {f"{head}_{key}": v for head, each in heads.items() for key, v in each.items()}
            rows.append({"seed": result.seed, "corpus": name, "seconds": result.seconds, **values})
    return pd.DataFrame(rows)


def _failures(results: Sequence[CrossResult]) -> list[str]:
    failed = [str(result.seed) for result in results if result.reason is not None]
    return (
        [f"the seeds {', '.join(failed)} did not finish and are missing from all figures"] if failed else []
    )


def _task(recipe: Recipe, seed: int, learned: Corpus, tested: Sequence[Corpus], out: Path) -> CrossTask:
    training = recipe.training.model_copy(update={"seed": seed})
    return CrossTask(
        recipe=recipe.model_copy(update={"training": training}),
        train=learned.path.absolute(),
        tests=tuple((one.name, one.path.absolute()) for one in tested),
        path=(out / f"seed_{seed}").absolute(),
        seed=seed,
    )


def _with_classes(recipe: Recipe, classes: Sequence[str]) -> Recipe:
    return recipe.model_copy(update={"data": recipe.data.model_copy(update={"classes": list(classes)})})


def _identity(recipe: Recipe, names: Sequence[str], manifests: Mapping[str, str]) -> dict[str, Any]:
    digest = hashlib.sha256("".join(manifests[name] for name in names).encode())
    own = recipe.model_copy(update={"training": recipe.training.model_copy(update={"seed": 0})})
    return {"recipe": dump_yaml(own), "corpora": ", ".join(names), "manifests": digest.hexdigest()[:16]}


def _check(train: Path, tests: Sequence[Path], labels: Sequence[Path]) -> None:
    if not tests:
        raise CrossvalError("give a store to test on: --test STORE")
    if labels and len(labels) != len(tests):
        raise CrossvalError(
            f"{len(labels)} manifests for {len(tests)} test stores: give one for each, or none"
        )
    seen: set[Path] = set()
    for path in (train, *tests):
        if path.resolve() in seen:
            raise CrossvalError(f"{path} is given twice: a corpus is trained on or tested on, once")
        seen.add(path.resolve())


def _write(path: Path, text: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    atomic_write_text(path, text)
