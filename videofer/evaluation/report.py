"""Evaluates a trained model on a store and saves figures, predictions and confusion matrices.

OUT/metrics.json            figures per head
    predictions.parquet     one row per labelled interval
    confusion_<head>.png    picture and table of the confusion matrix
    confusion_<head>.csv
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import pandas as pd

from cache.atomic import atomic_write
from cache.errors import UserError
from cache.reader import StoreReader
from videofer.checkpoint import LoadedModel, load_checkpoint
from videofer.data.examples import Example, make_examples
from videofer.evaluation.charts import save_confusion
from videofer.evaluation.labels import load_labels
from videofer.evaluation.metrics import Metrics
from videofer.evaluation.predict import heads_of, measure_heads, predict_examples

SplitName = Literal["train", "val", "test", "all"]


class EvaluationError(UserError, ValueError):
    """A model cannot be evaluated so. The message is one line for the user."""


@dataclass(frozen=True, kw_only=True)
class EvalReport:
    """What an evaluation found."""

    path: Path  # where it was saved
    split: SplitName
    metrics: dict[str, Metrics]
    """Per head, the model's answer last; each over the intervals where the head's modality was seen."""
    predictions: pd.DataFrame  # see `predict.predict_examples`
    unused: list[str]
    """A line for each row of the manifest that could not be used: its name and why."""


def evaluate(
    model: Path | LoadedModel,
    store: Path,
    out: Path,
    *,
    split: SplitName | None = None,
    manifest: Path | None = None,
    device: str | None = None,
) -> EvalReport:
    """Evaluates a run folder on labelled intervals of a store.

    `split`: "test": the manifest's test rows; "train", "val": the videos that the run trained on and was
    validated with; "all": every row; None: "test" where the manifest has such rows, else "all". With "test"
    and "all" it is refused to evaluate on subjects or videos that the model was trained on.
    `manifest`: a file of labels; None: the store's own.
    EvaluationError, CheckpointError, ManifestError or StoreError in one line.
    """
    import torch

    out = Path(out)
    device = device or ("cuda" if torch.cuda.is_available() else "cpu")
    loaded = model if isinstance(model, LoadedModel) else load_checkpoint(model, device=device)
    reader = StoreReader(Path(store))
    loaded.check_contract(reader.store.contract, f"store {store}")
    table, unused = load_labels(reader.store, manifest, loaded.labels)
    chosen: SplitName = split or ("test" if (table["split"] == "test").any() else "all")
    table = _select(table, chosen, loaded)
    examples, skipped = make_examples(table, reader.videos(), loaded.labels)
    if not examples:
        reason = f"; {skipped[0]}" if skipped else ""
        raise EvaluationError(f"{store}: no labelled interval in the split '{chosen}'{reason}")
    if chosen in ("test", "all"):
        _refuse_what_was_trained_on(examples, loaded, chosen)

    predictions, intervals = predict_examples(loaded, reader, examples)
    metrics = dict(measure_heads(intervals, examples, loaded.labels, heads_of(loaded)))
    report = EvalReport(
        path=out, split=chosen, metrics=metrics, predictions=predictions, unused=[*unused, *skipped]
    )
    _save(report, loaded, Path(store))
    return report


def _select(table: pd.DataFrame, split: SplitName, loaded: LoadedModel) -> pd.DataFrame:
    if split == "all":
        return table
    if split == "test":
        return table[table["split"] == "test"].reset_index(drop=True)
    if split in ("train", "val"):
        is_used = table["key"].isin(loaded.used["keys"][split]) & (table["split"] != "test")
        return table[is_used].reset_index(drop=True)
    raise EvaluationError(f"split must be train, val, test or all, not '{split}'")


def _refuse_what_was_trained_on(examples: Sequence[Example], loaded: LoadedModel, split: str) -> None:
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


def _save(report: EvalReport, loaded: LoadedModel, store: Path) -> None:
    out = report.path
    out.mkdir(parents=True, exist_ok=True)
    for head, metrics in report.metrics.items():
        table = pd.DataFrame(metrics.confusion, index=list(metrics.labels), columns=list(metrics.labels))
        table.index.name = "labelled"
        with atomic_write(out / f"confusion_{head}.csv") as file:
            file.write(table.to_csv().encode("utf-8"))
        title = f"{loaded.recipe.name}: {head}, {report.split} ({metrics.num_samples} samples)"
        with atomic_write(out / f"confusion_{head}.png") as file:
            save_confusion(metrics, file, title)
    with atomic_write(out / "predictions.parquet") as file:
        report.predictions.to_parquet(file)
    values = {
        "model": str(loaded.path),
        "store": str(store),
        "split": report.split,
        "labels": list(loaded.labels),
        "heads": metrics_json(report.metrics),
        "unused": report.unused,
    }
    with atomic_write(out / "metrics.json") as file:
        file.write(json.dumps(values, indent=2, ensure_ascii=False, allow_nan=False).encode("utf-8") + b"\n")


def metrics_json(metrics: Mapping[str, Metrics]) -> dict[str, object]:
    """Figures of several heads as JSON values."""
    return {head: values.to_json() for head, values in metrics.items()}
