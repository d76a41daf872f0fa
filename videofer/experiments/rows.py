"""The labelled rows of a store that a recipe can use: what folds and corpora are made of."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd

from cache.store import Store
from videofer.data.examples import Example, make_examples
from videofer.evaluation.labels import load_labels
from videofer.experiments.claim import CrossvalError
from videofer.recipe import Recipe


@dataclass(frozen=True, eq=False)
class Rows:
    """N rows of a manifest joined with the store, each of which gives a sample."""

    table: pd.DataFrame  # of N rows
    examples: tuple[Example, ...]  # N; `Example.row` counts the rows of the manifest, not these
    target: np.ndarray  # (N, n) float, shares of the recipe's classes
    unused: tuple[str, ...]  # a line for each row that gives none


def usable_rows(store: Store, labels: Path | None, recipe: Recipe) -> Rows:
    """Joins and reads them. labels: a file; None: the store's own. CrossvalError where no row is usable."""
    table, missing = load_labels(store, labels, recipe.data.classes)
    examples, skipped = make_examples(table, store.videos(), recipe.target_spec())
    if not examples:
        why = [*skipped, *missing]
        reason = f" ({why[0]})" if why else ""
        raise CrossvalError(f"{store.path}: no row has a sample of {', '.join(recipe.data.classes)}{reason}")
    return Rows(
        table=table.iloc[[example.row for example in examples]].reset_index(drop=True),
        examples=tuple(examples),
        target=np.stack([example.target for example in examples]),
        unused=(*missing, *skipped),
    )
