"""Timelines by hand of a model that says several classes at once: no model, no store."""

from __future__ import annotations

import dataclasses

import numpy as np
import pandas as pd

from tests.videofer.timeline_examples import example_timeline
from videofer.timeline.several import paths_at
from videofer.timeline.timeline import Timeline, probability_columns

CLASSES = ("happiness", "surprise", "engagement", "esteem", "sadness", "fear")
THRESHOLDS = (0.5, 0.35, 0.6, 0.4, 0.3, 0.7)


def several_timeline(
    *,
    num_persons: int = 1,
    duration_seconds: float = 12.0,
    classes: tuple[str, ...] = CLASSES,
    thresholds: tuple[float, ...] = THRESHOLDS,
    names: tuple[str, ...] = (),
    p: np.ndarray | None = None,
) -> Timeline:
    """Classes that come and go by themselves, in a video as `example_timeline` has it.

    p: (R, n), what person 0 has in its first rows instead.
    """
    example = example_timeline(
        num_persons=num_persons, duration_seconds=duration_seconds, classes=classes, names=names
    )
    rows = example.rows.copy()
    columns = probability_columns(classes)
    middle = ((rows["t_start"] + rows["t_end"]) / 2).to_numpy()[:, None]
    person = rows["person"].fillna(-1).to_numpy(np.float64)[:, None]
    number = np.arange(len(classes))[None]
    waves = np.sin(middle * (0.45 + 0.13 * number) + 1.7 * number + 2.1 * person)
    waves += 0.35 * np.sin(middle * (1.9 + 0.31 * number) + number * person)
    values = 1 / (1 + np.exp(-2.6 * (waves - 0.25 - 0.12 * number)))
    if p is not None:
        values[np.flatnonzero(person[:, 0] == 0)[: len(p)]] = p
    values[rows["confidence"].isna()] = np.nan
    rows[columns] = values
    rows[probability_columns(classes, "face")] = values.astype(np.float32)
    path, reaches = paths_at(values, np.array(thresholds))
    known = path >= 0
    likeliest = np.array(classes, dtype=object)[path]
    rows["label"] = np.where(known, np.where(reaches, likeliest, "uncertain"), rows["state"])
    rows["confidence"] = np.where(known, values[np.arange(len(values)), path], np.nan)
    rows[["valence", "arousal"]] = np.nan
    calibration = {"targets": "multi", "thresholds": list(thresholds), "temperatures": {"face": 1.2}}
    model = dataclasses.replace(example.model, calibration=calibration)
    return dataclasses.replace(example, rows=pd.DataFrame(rows), model=model)
