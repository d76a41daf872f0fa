"""Training from a store: the share of time in which the device had samples to compute with."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from preprocessing.device import Device
from tools.bench_train import STORE_BATCHES, waiting_row
from tools.gpu_bench.busy import gpu_samples
from videofer.recipe import Recipe, load_recipe
from videofer.resources import config_path


@dataclass(frozen=True)
class TrainingFigures:
    """Of the second epoch; the GPU's own share is of both, with start and validation."""

    recipe: str
    samples_per_second: float
    busy_share: float  # of the time of the steps, not waiting for samples
    gpu_share: float | None


def recipe_of(name: str, device: Device) -> Recipe:
    """A shipped recipe for two epochs, as long as the device can do in minutes."""
    path = config_path(f"train/{name}.yaml")
    num_samples = STORE_BATCHES[device.partition(":")[0]] * load_recipe(path, []).training.batch_size
    return load_recipe(path, ["training.epochs=2", f"training.samples_per_epoch={num_samples}"])


def measure(recipe: Recipe, store: Path, out: Path) -> TrainingFigures:
    """Trains it, into `out`."""
    with gpu_samples() as samples:
        row = waiting_row(recipe, store, out)
    return TrainingFigures(
        recipe=recipe.name,
        samples_per_second=row["samples/s"],
        busy_share=1.0 - row["share of time waiting"],
        gpu_share=samples.mean_share,
    )
