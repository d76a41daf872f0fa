"""Training from a store: the share of time in which the device had samples to compute with."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from tools.bench_train import STORE_BATCHES, waiting_row
from tools.gpu_bench.busy import gpu_samples
from videofer.recipe import load_recipe
from videofer.resources import config_path


@dataclass(frozen=True)
class TrainingFigures:
    """Of the second epoch; the GPU's own share is of both, with start and validation."""

    recipe: str
    samples_per_second: float
    busy_share: float  # of the time of the steps, not waiting for samples
    gpu_share: float | None


def measure(
    name: str, device: str, store: Path, out: Path, overrides: tuple[str, ...] = ()
) -> TrainingFigures:
    """Two epochs of a shipped recipe, into `out`."""
    path = config_path(f"train/{name}.yaml")
    size = load_recipe(path, list(overrides)).training.batch_size
    changes = ["training.epochs=2", f"training.samples_per_epoch={STORE_BATCHES[device] * size}", *overrides]
    with gpu_samples() as samples:
        row = waiting_row(load_recipe(path, changes), store, out)
    return TrainingFigures(
        recipe=name,
        samples_per_second=row["samples/s"],
        busy_share=1.0 - row["share of time waiting"],
        gpu_share=samples.mean_share,
    )
