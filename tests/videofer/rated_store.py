"""A small store whose intervals show several classes at once and are rated on three dimensions."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from cache.store import Store
from tests.videofer.training_store import CLASSES, make_training_store, small_recipe
from videofer.recipe import Recipe

SHARES = {"neutral": (0.9, 0.1, 0.0), "anger": (0.0, 1.0, 0.2), "happiness": (0.7, 0.0, 0.8)}
"""Of the raters; happiness is calm as well."""
RATINGS = {"neutral": (5.0, 2.0, 5.0), "anger": (2.0, 8.0, 8.0), "happiness": (8.0, 6.0, 5.5)}
"""Valence, arousal, dominance, from 1 to 9."""
DIMENSIONS = ["valence", "arousal", "dominance"]


def make_rated_store(path: Path, **options: Any) -> Store:
    """`make_training_store` with soft labels and ratings that face and body tell; one has no valence."""
    store = make_training_store(path, **options)
    table = store.manifest()
    assert table is not None
    rng = np.random.default_rng(0)
    for place, name in enumerate(CLASSES):
        table[f"p_{name}"] = [SHARES[label][place] for label in table["label"]]
    for place, name in enumerate(DIMENSIONS):
        ratings = np.array([RATINGS[label][place] for label in table["label"]])
        table[name] = np.clip(ratings + rng.normal(0, 0.3, len(table)), 1, 9)
    table.loc[0, "valence"] = np.nan
    table["dimension_scale"] = "1 to 9"
    store.write_manifest(table)
    return store


def rated_recipe(*, targets: str = "multi", **training: Any) -> Recipe:
    """`small_recipe` of these targets and dimensions."""
    plain = small_recipe(**training)
    data = {**plain.data.model_dump(), "targets": targets, "dimensions": DIMENSIONS}
    return Recipe.model_validate({**plain.model_dump(), "data": data})
