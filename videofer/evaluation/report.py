"""Evaluates a trained model on a store and saves what it finds, as figures, tables, pictures and a page.

OUT/report.html             everything, to look at; needs no other file and no network
    metrics.json            everything, to compute with
    predictions.parquet     the prediction table, see `table`
    per_class.csv           precision, recall, F1 and support per head and class
    confusion_<head>.png    picture and table of the confusion matrix
    confusion_<head>.csv
    reliability.png         accuracy against confidence, before and after calibration
    disagreements.csv       of a fused model: where face, body and fused do not say the same

Of multi targets there is neither confusion nor disagreement; per_class.csv has average precision and ROC
area.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date
from pathlib import Path
from typing import Any

import pandas as pd

from cache.atomic import atomic_write, atomic_write_text
from cache.reader import StoreReader
from videofer.checkpoint import TrainedModel
from videofer.data.examples import Example, make_examples
from videofer.evaluation.charts import save_confusion
from videofer.evaluation.dimensions import DimensionMetrics
from videofer.evaluation.labels import load_labels
from videofer.evaluation.metrics import Metrics
from videofer.evaluation.multi_results import MultiResults, Score, dimensions_of, make_multi_results
from videofer.evaluation.multilabel import PER_CLASS, MultilabelMetrics
from videofer.evaluation.predict import predict_examples
from videofer.evaluation.reliability import save_reliability
from videofer.evaluation.results import Results, make_results, with_tta
from videofer.evaluation.table import EvaluationError as EvaluationError
from videofer.evaluation.tta import WORDS, Views, predict_views


@dataclass(frozen=True, kw_only=True)
class EvalReport:
    """What an evaluation found."""

    path: Path  # where it was saved
    split: str
    metrics: dict[str, Metrics] | dict[str, MultilabelMetrics]
    """Per head, the model's answer last; each over the intervals where the head's modality was seen."""
    predictions: pd.DataFrame  # see `table`
    unused: list[str]
    """A line for each row of the manifest that could not be used: its name and why."""
    tta: dict[str, Metrics] | None = None
    """Per head, with test-time augmentation, where it was asked for."""
    dimensions: dict[str, DimensionMetrics] = field(default_factory=dict)
    """Per head, of a model with dimensions."""
    scores: dict[str, Score] = field(default_factory=dict)
    """Per head BoLD's ERS, of a model of multi targets with valence, arousal and dominance."""


def evaluate(
    model: str | Path | TrainedModel,
    store: Path,
    out: Path,
    *,
    split: str | None = None,
    manifest: Path | None = None,
    by: Sequence[str] | None = None,
    device: str | None = None,
    tta: Views | None = None,
) -> EvalReport:
    """Evaluates a run folder, an exported model or "builtin" on labelled intervals of a store.

    `split`: "test": the manifest's test rows; "train", "val": the videos that the run trained on and was
    validated with; "all": every row; None: "test" where the manifest has such rows, else "all". With "test"
    and "all" it is refused to evaluate on subjects or videos that the model was trained on.
    `manifest`: a file of labels; None: the store's own. `by`: columns of it to take groups from, besides
    those known as demographic. `tta`: also measure with test-time augmentation, see `tta`; the report's other
    figures are without.
    EvaluationError, CheckpointError, ManifestError or StoreError in one line.
    """
    from videofer.export import load_model

    loaded = model if isinstance(model, TrainedModel) else load_model(model, device)
    reader = StoreReader(Path(store))
    loaded.check_contract(reader.store.contract, f"store {store}")
    table, unused = load_labels(reader.store, manifest, loaded.labels)
    chosen = split or ("test" if (table["split"] == "test").any() else "all")
    table = _select(table, chosen, loaded)
    examples, skipped = make_examples(table, reader.videos(), loaded.recipe.target_spec())
    if not examples:
        reason = f"; {skipped[0]}" if skipped else ""
        raise EvaluationError(f"{store}: no labelled interval in the split '{chosen}'{reason}")
    if chosen in ("test", "all"):
        _refuse_what_was_trained_on(examples, loaded, chosen)

    unused = [*unused, *skipped]
    predictions = predict_examples(loaded, reader, examples, manifest=table)
    if tta is not None and loaded.thresholds is not None:
        raise EvaluationError("test-time augmentation is measured for data.targets single only")
    if tta is not None:
        predictions = predictions.assign(**predict_views(loaded, reader, examples, tta))
    facts: dict[str, Any] = {
        "title": f"{loaded.recipe.name}: {_SPLIT_NAMES[chosen]}",
        "source": {
            "model": loaded.title if loaded.release else str(loaded.path),
            "recipe": loaded.recipe.name,
            "store": str(store),
            "manifest": "the store's own" if manifest is None else str(manifest),
            "split": chosen,
            "windows per interval": loaded.recipe.data.eval_windows,
            **({} if tta is None else {"test-time augmentation": WORDS[tta]}),
            "date": date.today().isoformat(),
            "unused": unused,
        },
        "notes": _notes(chosen, loaded),
        "by": by,
    }
    metrics: dict[str, Metrics] | dict[str, MultilabelMetrics]
    scores: dict[str, Score] = {}
    if loaded.thresholds is None:
        metrics = write_report(predictions, loaded.labels, loaded.heads, Path(out), **facts)
    else:
        multi = write_multi_report(predictions, loaded.labels, loaded.heads, Path(out), **facts)
        metrics = multi.metrics
        scores = {head: one.score for head, one in multi.heads.items() if one.score is not None}
    dimensions = {head: dimensions_of(predictions, head) for head in loaded.heads}
    return EvalReport(
        path=Path(out),
        split=chosen,
        metrics=metrics,
        predictions=predictions,
        unused=unused,
        tta=None if tta is None else with_tta(predictions, loaded.labels, loaded.heads),
        dimensions={head: one for head, one in dimensions.items() if one is not None},
        scores=scores,
    )


def write_report(
    table: pd.DataFrame,
    labels: Sequence[str],
    heads: Sequence[str],
    out: Path,
    *,
    title: str,
    source: Mapping[str, Any],
    notes: Sequence[str] = (),
    by: Sequence[str] | None = None,
) -> dict[str, Metrics]:
    """Measures a prediction table and writes the files above. Returns the figures per head.

    `heads`: the answer last. `source`: what was measured, of JSON values. EvaluationError in one line where
    the table is wrong or lacks a column of `by`.
    """
    from videofer.evaluation.page import report_page

    results = make_results(table, labels, heads, title=title, source=source, notes=notes, by=by)
    _write(table, results, per_class_table(results), report_page(results), out)
    for head, metrics in results.metrics.items():
        confusion = pd.DataFrame(metrics.confusion, index=list(labels), columns=list(labels))
        atomic_write_text(out / f"confusion_{head}.csv", confusion.to_csv(index_label="labelled"))
        with atomic_write(out / f"confusion_{head}.png") as file:
            save_confusion(metrics, file, f"{title}, {head} ({metrics.num_samples} intervals)")
    if results.side is not None:
        atomic_write_text(out / "disagreements.csv", results.side.disagreements.to_csv(index=False))
    return results.metrics


def write_multi_report(
    table: pd.DataFrame,
    labels: Sequence[str],
    heads: Sequence[str],
    out: Path,
    *,
    title: str,
    source: Mapping[str, Any],
    notes: Sequence[str] = (),
    by: Sequence[str] | None = None,
) -> MultiResults:
    """The same for a table of multi targets, of which there are no figures by groups."""
    from videofer.evaluation.page import multi_page

    if by:
        raise EvaluationError("figures by groups are of data.targets single only")
    results = make_multi_results(table, labels, heads, title=title, source=source, notes=notes)
    _write(table, results, multi_per_class(results), multi_page(results), out)
    return results


def _write(
    table: pd.DataFrame, results: Results | MultiResults, per_class: pd.DataFrame, page: str, out: Path
) -> None:
    """The files that there are of all targets."""
    out.mkdir(parents=True, exist_ok=True)
    with atomic_write(out / "predictions.parquet") as file:
        table.to_parquet(file)
    atomic_write_text(out / "per_class.csv", per_class.to_csv(index=False))
    with atomic_write(out / "reliability.png") as file:
        save_reliability({head: one.curves for head, one in results.heads.items()}, file, results.title)
    values = json.dumps(results.to_json(), indent=2, ensure_ascii=False, allow_nan=False)
    atomic_write_text(out / "metrics.json", values + "\n")
    atomic_write_text(out / "report.html", page)


def per_class_table(results: Results) -> pd.DataFrame:
    """A row per head and class."""
    rows = []
    for head, metrics in results.metrics.items():
        for place, label in enumerate(metrics.labels):
            ends = (None, None) if metrics.recall_intervals is None else metrics.recall_intervals[place]
            rows.append(
                {
                    "head": head,
                    "class": label,
                    "support": metrics.support[place],
                    "precision": metrics.precision[place],
                    "recall": metrics.recall[place],
                    "recall_low": ends[0],
                    "recall_high": ends[1],
                    "f1": metrics.f1[place],
                }
            )
    return pd.DataFrame(rows)


def multi_per_class(results: MultiResults) -> pd.DataFrame:
    """The same of multi targets."""
    return pd.DataFrame(
        [
            {
                "head": head,
                "class": label,
                "support": metrics.support[place],
                **{name: metrics.per_class[name][place] for name in PER_CLASS},
            }
            for head, metrics in results.metrics.items()
            for place, label in enumerate(metrics.labels)
        ]
    )


_SPLIT_NAMES = {
    "train": "training videos",
    "val": "validation videos",
    "test": "test split",
    "all": "all labelled intervals",
}


def _notes(split: str, loaded: TrainedModel) -> tuple[str, ...]:
    if split == "train":
        return ("The model was trained on these videos: the figures say nothing of new subjects.",)
    if split == "val":
        what = loaded.chosen_by_validation.capitalize()
        return (f"{what} was chosen on these subjects: on new ones expect less.",)
    return ()


def _select(table: pd.DataFrame, split: str, loaded: TrainedModel) -> pd.DataFrame:
    if split == "all":
        return table
    if split == "test":
        return table[table["split"] == "test"].reset_index(drop=True)
    if split in ("train", "val"):
        is_used = table["key"].isin(loaded.used["keys"][split]) & (table["split"] != "test")
        return table[is_used].reset_index(drop=True)
    raise EvaluationError(f"split must be train, val, test or all, not '{split}'")


def _refuse_what_was_trained_on(examples: Sequence[Example], loaded: TrainedModel, split: str) -> None:
    keys, subjects = (
        {*loaded.used[kind]["train"], *loaded.used[kind]["val"]} for kind in ("keys", "subjects")
    )
    for example in examples:
        if example.key in keys or example.subject in subjects:
            what = f"video '{example.name}'" if example.key in keys else f"subject '{example.subject}'"
            raise EvaluationError(
                f"the split '{split}' holds {what}, which the model was trained or validated with: give a "
                "manifest with a column 'split', or ask for the split 'train' or 'val'"
            )
