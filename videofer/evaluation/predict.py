"""Runs a model over labelled intervals: windows through the network, averaged per interval.

Letters in shapes: M windows, N examples (labelled intervals), n classes.
"""

from __future__ import annotations

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
from videofer.datasets.manifest import COLUMNS as MANIFEST_COLUMNS
from videofer.datasets.manifest import soft_columns
from videofer.evaluation.calibration import HEADS, IDENTITY, Calibration, complete
from videofer.evaluation.metrics import Metrics, measure
from videofer.evaluation.table import BASE, POOLED, PUBLISHED

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
        has_face, has_body = self.outputs["has_face"].numpy(), self.outputs["has_body"].numpy()
        has = {"face": has_face, "body": has_body, "fused": has_face | has_body}
        probs, seen = {}, {}
        for head in HEADS:
            window_probs = outputs[head].double().softmax(dim=1).numpy()  # float32 sums to 1 not quite
            total, count = self._sum(window_probs, has[head], num_examples)
            seen[head] = count > 0
            uniform = 1.0 / window_probs.shape[1]
            probs[head] = np.where(seen[head][:, None], total / np.maximum(count, 1)[:, None], uniform)
        return Intervals(probs, seen)

    def mean_score(self, name: str, has: str, num_examples: int) -> np.ndarray:
        """(N, n): a further output averaged over each example's windows with the modality, 0 without any."""
        total, count = self._sum(self.outputs[name].double().numpy(), self.outputs[has].numpy(), num_examples)
        mean: np.ndarray = total / np.maximum(count, 1)[:, None]
        return mean

    def _sum(
        self, values: np.ndarray, chosen: np.ndarray, num_examples: int
    ) -> tuple[np.ndarray, np.ndarray]:
        """(M, n), (M,) bool -> sums (N, n) and counts (N,) of the chosen windows of each example."""
        count = np.bincount(self.example, weights=chosen, minlength=num_examples)
        total = np.zeros((num_examples, values.shape[1]))
        np.add.at(total, self.example[chosen], values[chosen])
        return total, count


@dataclass(frozen=True)
class Intervals:
    """What a model says of N labelled intervals, per head of HEADS."""

    probs: dict[str, np.ndarray]  # (N, n) float64, rows sum to 1; uniform where not seen
    seen: dict[str, np.ndarray]  # (N,) bool: the head's modality was there in some window


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
    labels = loaded.labels
    calibrated = windows.intervals(loaded.calibration, len(examples))
    raw = windows.intervals(IDENTITY, len(examples))
    columns: dict[str, Any] = {
        "key": [e.key for e in examples],
        "name": [e.name for e in examples],
        "person": [e.person_id for e in examples],
        "subject": [e.subject for e in examples],
        "t_start": [e.t_start for e in examples],
        "t_end": [e.t_end for e in examples],
        "label": [labels[e.label] for e in examples],
    }
    if manifest is not None:
        columns |= _further_columns(manifest.iloc[[e.row for e in examples]])
    for head in loaded.heads:
        columns[f"{head}_seen"] = calibrated.seen[head]
        columns[f"{head}_label"] = [labels[place] for place in calibrated.probs[head].argmax(axis=1)]
        for kind, probs in (("p", calibrated.probs[head]), ("raw_p", raw.probs[head])):
            columns |= {f"{head}_{kind}_{name}": probs[:, place] for place, name in enumerate(labels)}
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
        is_taken = name in POOLED or name.startswith(tuple(f"{head}_" for head in HEADS))
        columns[f"manifest_{name}" if is_taken else name] = values
    return columns


def targets(examples: Sequence[Example]) -> np.ndarray:
    """(N,) int64 class indices."""
    return np.array([example.label for example in examples], dtype=np.int64)


def measure_heads(
    intervals: Intervals, examples: Sequence[Example], labels: Sequence[str], heads: Sequence[str]
) -> dict[str, Metrics]:
    """Figures per head, each over the examples where its modality was seen."""
    truth, subjects = targets(examples), [example.subject for example in examples]
    return {
        head: measure(
            intervals.probs[head][seen],
            truth[seen],
            labels,
            groups=[subject for subject, is_seen in zip(subjects, seen, strict=True) if is_seen],
        )
        for head, seen in ((head, intervals.seen[head]) for head in heads)
    }
