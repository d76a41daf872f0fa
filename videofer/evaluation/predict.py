"""Runs a model over labelled intervals: windows through the network, averaged per interval.

Letters in shapes: M windows, N examples (labelled intervals), n classes.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
import torch
from torch import Tensor, nn
from torch.utils.data import DataLoader, Subset

from videofer.checkpoint import INPUTS, LoadedModel
from videofer.data.dataset import SampleDataset, collate
from videofer.data.examples import Example, TrackReader
from videofer.evaluation.calibration import HEADS, Calibration, complete

if TYPE_CHECKING:
    from videofer.data.crops import CropCache

EVAL_BATCH_SIZE = 64


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
            window_probs = np.exp(outputs[head].double().numpy())
            count = np.bincount(self.example, weights=has[head], minlength=num_examples)
            total = np.zeros((num_examples, window_probs.shape[1]))
            np.add.at(total, self.example[has[head]], window_probs[has[head]])
            seen[head] = count > 0
            uniform = 1.0 / window_probs.shape[1]
            probs[head] = np.where(seen[head][:, None], total / np.maximum(count, 1)[:, None], uniform)
        return Intervals(probs, seen)


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
    mine = range(rank, len(dataset), num_processes)
    loader = DataLoader(
        Subset(dataset, mine),
        batch_size=EVAL_BATCH_SIZE,
        num_workers=loader_workers,
        collate_fn=collate,
        pin_memory=device.type == "cuda",
    )
    parts: list[dict[str, Tensor]] = []
    was_training = model.training
    model.eval()
    with torch.inference_mode():
        for batch in loader:
            inputs = {name: batch[name].to(device, non_blocking=True) for name in INPUTS if name in batch}
            completed = complete(model(inputs))
            parts.append({"example": batch["example"], **{k: v.cpu() for k, v in completed.items()}})
    model.train(was_training)
    places = np.fromiter(mine, dtype=np.int64)
    if num_processes > 1:
        gathered: list[Any] = [None] * num_processes
        torch.distributed.all_gather_object(gathered, (parts, places))
        parts = [part for process in gathered for part in process[0]]
        places = np.concatenate([process[1] for process in gathered])
    order = torch.from_numpy(np.argsort(places))
    joined = {name: torch.cat([part[name] for part in parts])[order] for name in parts[0]}
    return WindowOutputs(joined, joined.pop("example").numpy())


def predict_examples(
    loaded: LoadedModel,
    reader: TrackReader,
    examples: Sequence[Example],
    *,
    cache: CropCache | None = None,
) -> tuple[pd.DataFrame, Intervals]:
    """Calibrated predictions for labelled intervals.

    The table has a row per example: `key, name, person, subject, t_start, t_end, label`, and for each head
    `<head>_seen`, `<head>_label` and `<head>_p_<class>`.
    """
    dataset = SampleDataset(
        reader, examples, loaded.spec, training=False, windows=loaded.recipe.data.eval_windows, cache=cache
    )
    windows = run_windows(loaded.model, dataset, loaded.device)
    intervals = windows.intervals(loaded.calibration, len(examples))
    return prediction_table(examples, intervals, loaded.labels, heads_of(loaded)), intervals


def heads_of(loaded: LoadedModel) -> tuple[str, ...]:
    """The heads that the model really has: one of a single modality has no fused head of its own."""
    return loaded.model.config.heads


def prediction_table(
    examples: Sequence[Example], intervals: Intervals, labels: Sequence[str], heads: Sequence[str]
) -> pd.DataFrame:
    """See `predict_examples`."""
    columns: dict[str, Any] = {
        "key": [e.key for e in examples],
        "name": [e.name for e in examples],
        "person": [e.person_id for e in examples],
        "subject": [e.subject for e in examples],
        "t_start": [e.t_start for e in examples],
        "t_end": [e.t_end for e in examples],
        "label": [labels[e.label] for e in examples],
    }
    for head in heads:
        probs = intervals.probs[head]
        columns[f"{head}_seen"] = intervals.seen[head]
        columns[f"{head}_label"] = [labels[place] for place in probs.argmax(axis=1)]
        columns |= {f"{head}_p_{name}": probs[:, place] for place, name in enumerate(labels)}
    return pd.DataFrame(columns)


def targets(examples: Sequence[Example]) -> np.ndarray:
    """(N,) int64 class indices."""
    return np.array([example.label for example in examples], dtype=np.int64)


def measure_heads(
    intervals: Intervals, examples: Sequence[Example], labels: Sequence[str], heads: Sequence[str]
) -> Mapping[str, Any]:
    """`Metrics` per head, each over the examples where its modality was seen."""
    from videofer.evaluation.metrics import measure

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
