"""Runs a model over labelled intervals: windows through the network, averaged per interval.

Letters in shapes: M windows, N examples (labelled intervals), n classes.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
import torch
from torch import Tensor, nn
from torch.utils.data import DataLoader, Subset

from videofer.checkpoint import INPUTS, TrainedModel
from videofer.data.dataset import SampleDataset, collate
from videofer.data.examples import Example, TrackReader
from videofer.data.targets import POSITIVE
from videofer.datasets.manifest import COLUMNS as MANIFEST_COLUMNS
from videofer.datasets.manifest import soft_columns
from videofer.evaluation.calibration import HEADS, Calibration, complete, identity
from videofer.evaluation.dimensions import DimensionMetrics, measure_dimensions
from videofer.evaluation.metrics import Metrics, measure
from videofer.evaluation.multilabel import MultilabelMetrics, measure_multilabel
from videofer.evaluation.table import (
    BASE,
    POOLED,
    PUBLISHED,
    TRUTH,
    answer_columns,
    dimension_columns,
    prob_columns,
    words_of,
)
from videofer.models.targets import ignorance

if TYPE_CHECKING:
    from videofer.data.crops import CropCache

EVAL_BATCH_SIZE = 64

Batch = Mapping[str, Tensor]


@dataclass(frozen=True)
class WindowOutputs:
    """What a model says of M windows, on the CPU, in the order of the data set."""

    outputs: dict[str, Tensor]  # as `complete` gives them: log-probabilities (M, n) and "has_*" (M,)
    example: np.ndarray  # (M,) int64: which example the window is of

    def intervals(self, calibration: Calibration, num_examples: int) -> Intervals:
        """Calibrated probabilities averaged over the windows of each example that have the modality."""
        outputs = calibration.apply(self.outputs)
        is_multi = calibration.targets == "multi"
        has_face, has_body = self.outputs["has_face"].numpy(), self.outputs["has_body"].numpy()
        has = {"face": has_face, "body": has_body, "fused": has_face | has_body}
        probs, seen, dimensions = {}, {}, {}
        for head in HEADS:
            log_probs = outputs[head].double()
            # Of single targets float32 sums to 1 not quite.
            window_probs = (log_probs.exp() if is_multi else log_probs.softmax(dim=1)).numpy()
            mean, seen[head] = self._mean(window_probs, has[head], num_examples)
            unknown = math.exp(ignorance(window_probs.shape[1], calibration.targets))
            probs[head] = np.where(seen[head][:, None], mean, unknown)
            if f"{head}_dimensions" in self.outputs:
                values = self.outputs[f"{head}_dimensions"].double().numpy()
                mean, _ = self._mean(values, has[head], num_examples)
                dimensions[head] = np.where(seen[head][:, None], mean, np.nan)
        return Intervals(probs, seen, dimensions)

    def mean_score(self, name: str, has: str, num_examples: int) -> np.ndarray:
        """(N, n): a further output averaged over each example's windows with the modality, 0 without any."""
        values, chosen = self.outputs[name].double().numpy(), self.outputs[has].numpy()
        return self._mean(values, chosen, num_examples)[0]

    def _mean(
        self, values: np.ndarray, chosen: np.ndarray, num_examples: int
    ) -> tuple[np.ndarray, np.ndarray]:
        """(M, n), (M,) bool -> means (N, n) of each example's chosen windows, and whether it has any (N,)."""
        count = np.bincount(self.example, weights=chosen, minlength=num_examples)
        total = np.zeros((num_examples, values.shape[1]))
        np.add.at(total, self.example[chosen], values[chosen])
        return total / np.maximum(count, 1)[:, None], count > 0


@dataclass(frozen=True)
class Intervals:
    """What a model says of N labelled intervals, per head of HEADS."""

    probs: dict[str, np.ndarray]
    """(N, n) float64: rows of single targets sum to 1; where not seen uniform, of multi targets one half."""
    seen: dict[str, np.ndarray]  # (N,) bool: the head's modality was there in some window
    dimensions: dict[str, np.ndarray]  # (N, d) float64, NaN where not seen; empty for a model without


def run_windows(
    model: nn.Module,
    dataset: SampleDataset,
    device: torch.device,
    *,
    rank: int = 0,
    num_processes: int = 1,
    loader_workers: int = 0,
) -> WindowOutputs:
    """The model's outputs for all windows of the data set, in eval mode; the model's mode is restored.

    With several processes each computes every num_processes-th window and all get all (a collective call).
    """

    def outputs(batch: Batch) -> dict[str, Tensor]:
        inputs = {name: batch[name].to(device, non_blocking=True) for name in INPUTS if name in batch}
        return complete(model(inputs))

    mine = range(rank, len(dataset), num_processes)
    was_training = model.training
    model.eval()
    parts = _run(outputs, dataset, mine, loader_workers, pin_memory=device.type == "cuda")
    model.train(was_training)
    places = np.fromiter(mine, dtype=np.int64)
    if num_processes > 1:
        gathered: list[Any] = [None] * num_processes
        torch.distributed.all_gather_object(gathered, (parts, places))
        parts = [part for process in gathered for part in process[0]]
        places = np.concatenate([process[1] for process in gathered])
    return _join(parts, places)


def run_trained(
    loaded: TrainedModel, dataset: SampleDataset, *, change: Callable[[Batch], Batch] | None = None
) -> WindowOutputs:
    """The same for a loaded or exported model. change: what is done to a batch before it is read."""

    return run_outputs(lambda batch: loaded.outputs(batch if change is None else change(batch)), dataset)


def run_outputs(outputs: Callable[[Batch], dict[str, Tensor]], dataset: SampleDataset) -> WindowOutputs:
    """What a function of a batch gives for all windows of the data set."""
    parts = _run(outputs, dataset, range(len(dataset)), 0, pin_memory=False)
    return _join(parts, np.arange(len(dataset)))


def _run(
    outputs: Callable[[Batch], dict[str, Tensor]],
    dataset: SampleDataset,
    places: range,
    loader_workers: int,
    *,
    pin_memory: bool,
) -> list[dict[str, Tensor]]:
    loader = DataLoader(
        Subset(dataset, places),
        batch_size=EVAL_BATCH_SIZE,
        num_workers=loader_workers,
        collate_fn=collate,
        pin_memory=pin_memory,
    )
    with torch.inference_mode():
        return [
            {"example": batch["example"], **{name: value.cpu() for name, value in outputs(batch).items()}}
            for batch in loader
        ]


def _join(parts: Sequence[Mapping[str, Tensor]], places: np.ndarray) -> WindowOutputs:
    order = torch.from_numpy(np.argsort(places))
    joined = {name: torch.cat([part[name] for part in parts])[order] for name in parts[0]}
    return WindowOutputs(joined, joined.pop("example").numpy())


def predict_examples(
    loaded: TrainedModel,
    reader: TrackReader,
    examples: Sequence[Example],
    *,
    manifest: pd.DataFrame | None = None,
    cache: CropCache | None = None,
) -> pd.DataFrame:
    """The prediction table (see `table`) of labelled intervals, in their order.

    `manifest`: the table that the examples were made from, whose further columns are kept.
    """
    dataset = SampleDataset(
        reader, examples, loaded.spec, training=False, windows=loaded.recipe.data.eval_windows, cache=cache
    )
    return prediction_table(run_trained(loaded, dataset), examples, loaded, manifest=manifest)


def prediction_table(
    windows: WindowOutputs,
    examples: Sequence[Example],
    loaded: TrainedModel,
    *,
    manifest: pd.DataFrame | None = None,
) -> pd.DataFrame:
    """See `predict_examples`."""
    labels, thresholds = loaded.labels, loaded.thresholds
    calibrated = windows.intervals(loaded.calibration, len(examples))
    raw = windows.intervals(identity(loaded.calibration.targets), len(examples))
    truth = np.stack([e.target for e in examples]).astype(np.float64)
    columns: dict[str, Any] = {
        "key": [e.key for e in examples],
        "name": [e.name for e in examples],
        "person": [e.person_id for e in examples],
        "subject": [e.subject for e in examples],
        "t_start": [e.t_start for e in examples],
        "t_end": [e.t_end for e in examples],
        "label": [labels[e.label] for e in examples],
    }
    if thresholds is not None:
        columns["label"] = words_of(truth >= POSITIVE, labels)
        columns |= dict(zip(prob_columns(TRUTH, labels), truth.T, strict=True))
    dimensions = loaded.recipe.data.dimensions
    if dimensions:
        rated = np.stack([e.dimensions for e in examples]).astype(np.float64)
        columns |= dict(zip(dimension_columns(TRUTH, dimensions), rated.T, strict=True))
    if manifest is not None:
        columns |= _further_columns(manifest.iloc[[e.row for e in examples]])
    for head in loaded.heads:
        probs = calibrated.probs[head]
        columns[f"{head}_seen"] = calibrated.seen[head]
        if thresholds is None:
            columns[f"{head}_label"] = [labels[place] for place in probs.argmax(axis=1)]
        else:
            says = probs >= np.array(thresholds)
            columns[f"{head}_label"] = words_of(says, labels)
            columns |= dict(zip(answer_columns(head, labels), says.T, strict=True))
        for kind, values in (("p", probs), ("raw_p", raw.probs[head])):
            columns |= {f"{head}_{kind}_{name}": values[:, place] for place, name in enumerate(labels)}
        if dimensions:
            found = calibrated.dimensions[head]
            columns |= dict(zip(dimension_columns(head, dimensions), found.T, strict=True))
    if "face_published" in windows.outputs:
        score = windows.mean_score("face_published", "has_face", len(examples))
        columns[PUBLISHED] = [labels[place] for place in score.argmax(axis=1)]
    return pd.DataFrame(columns)


def _further_columns(manifest: pd.DataFrame) -> dict[str, list[Any]]:
    """The columns of a manifest that are neither videofer's own nor soft labels, as text where mixed."""
    own = {*MANIFEST_COLUMNS, *BASE, *soft_columns(manifest)}
    columns = {}
    for name in map(str, manifest.columns):
        if name in own:
            continue
        values = manifest[name].tolist()
        if manifest[name].dtype == object:
            values = [None if pd.isna(value) else str(value) for value in values]
        is_taken = name in POOLED or name.startswith(tuple(f"{head}_" for head in (*HEADS, TRUTH)))
        columns[f"manifest_{name}" if is_taken else name] = values
    return columns


def targets(examples: Sequence[Example]) -> np.ndarray:
    """(N,) int64 class indices."""
    return np.array([example.label for example in examples], dtype=np.int64)


def measure_heads(
    intervals: Intervals,
    examples: Sequence[Example],
    labels: Sequence[str],
    heads: Sequence[str],
    thresholds: Sequence[float] | None = None,
) -> dict[str, Metrics | MultilabelMetrics]:
    """Figures per head, each over the examples where its modality was seen. thresholds: of multi targets."""
    subjects = np.array([example.subject for example in examples], dtype=object)
    found: dict[str, Metrics | MultilabelMetrics] = {}
    for head in heads:
        seen = intervals.seen[head]
        probs, groups = intervals.probs[head][seen], subjects[seen].tolist()
        if thresholds is None:
            found[head] = measure(probs, targets(examples)[seen], labels, groups=groups)
        else:
            truth = np.stack([example.target for example in examples])[seen]
            says = probs >= np.array(thresholds)
            found[head] = measure_multilabel(probs, truth, labels, says=says, groups=groups)
    return found


def measure_head_dimensions(
    intervals: Intervals, examples: Sequence[Example], names: Sequence[str], heads: Sequence[str]
) -> dict[str, DimensionMetrics]:
    """The same of the dimensions; empty for a model without."""
    if not names:
        return {}
    truth = np.stack([example.dimensions for example in examples]).astype(np.float64)
    subjects = np.array([example.subject for example in examples], dtype=object)
    return {
        head: measure_dimensions(
            intervals.dimensions[head][seen], truth[seen], names, groups=subjects[seen].tolist()
        )
        for head, seen in ((head, intervals.seen[head]) for head in heads)
    }
