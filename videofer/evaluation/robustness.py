"""What is left of a model where one modality fails at random: hidden faces, bodies out of the picture."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import partial
from typing import Literal

import pandas as pd
import torch
from torch import Tensor

from videofer.checkpoint import TrainedModel
from videofer.data.dataset import SampleDataset
from videofer.data.examples import Example, TrackReader
from videofer.evaluation.predict import prediction_table, run_trained
from videofer.evaluation.table import rows_of
from videofer.models import noise

Modality = Literal["face", "body"]


def with_failures(
    loaded: TrainedModel,
    reader: TrackReader,
    examples: Sequence[Example],
    modality: Modality,
    probabilities: Sequence[float] = (0.0, 0.25, 0.5, 0.75, 1.0),
    *,
    seed: int = 0,
) -> pd.DataFrame:
    """The model's answer with the modality hidden in a share of the labelled intervals.

    Columns: probability, num_hidden, war, uar, nll; a row for each of the probabilities. An interval that
    shows nothing any more is answered evenly, and counts.
    """
    windows = loaded.recipe.data.eval_windows
    dataset = SampleDataset(reader, examples, loaded.spec, training=False, windows=windows)
    everyone, rows = torch.arange(len(examples)), []
    for probability in probabilities:
        change = partial(hide, modality=modality, probability=probability, seed=seed)
        table = prediction_table(run_trained(loaded, dataset, change=change), examples, loaded)
        metrics = rows_of(table, loaded.labels, loaded.heads[-1]).measure(loaded.labels)
        rows.append(
            {
                "probability": probability,
                "num_hidden": int(_is_hidden(everyone, probability, seed).sum()),
                "war": metrics.war,
                "uar": metrics.uar,
                "nll": metrics.nll,
            }
        )
    return pd.DataFrame(rows)


def hide(
    batch: Mapping[str, Tensor], *, modality: Modality, probability: float, seed: int = 0
) -> dict[str, Tensor]:
    """The batch with the modality masked in a share of its labelled intervals, in all windows of each alike.

    What is hidden with one probability is hidden with any larger one: figures of several are comparable.
    """
    shown = ~_is_hidden(batch["example"], probability, seed)
    if modality == "face":
        return {**batch, "clip_mask": batch["clip_mask"] & shown[:, None]}
    return {**batch, "body_mask": batch["body_mask"] & shown}


def _is_hidden(example: Tensor, probability: float, seed: int) -> Tensor:
    """example (B,) int64 -> (B,) bool, the same wherever and beside whatever an example stands."""
    drawn = noise.uniform(example + (seed << 32), 1, noise.MODALITY_DROP)[:, 0]
    return drawn < probability
