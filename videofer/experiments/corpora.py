"""Several corpora side by side: the classes that all of them have, and nobody taken for somebody else.

Each corpus is a store with labels. Names of subjects say nothing across corpora ("s1" is somebody in each),
so they get the corpus before them; what two corpora share is found by content alone.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd

from cache.store import Store
from videofer.checkpoint import contract_differences, seen_contract
from videofer.emotions.label_sets import shared_classes
from videofer.experiments.claim import CrossvalError
from videofer.experiments.rows import usable_rows
from videofer.recipe import Recipe

MIN_CLASSES = 2


@dataclass(frozen=True, eq=False)
class Corpus:
    """A store and what of its labels can be used."""

    name: str
    path: Path
    table: pd.DataFrame  # joined with the store; every row gives a sample of some class of the recipe
    target: np.ndarray  # (N, n) float, shares of the recipe's classes
    unused: tuple[str, ...]  # a line for each row that gives none

    def classes(self, of: Sequence[str]) -> tuple[str, ...]:
        """Those of the recipe's classes that some row has."""
        there = self.target.sum(axis=0) > 0 if len(self.target) else np.zeros(len(of), bool)
        return tuple(name for name, has in zip(of, there, strict=True) if has)

    def manifest(self, split: str) -> pd.DataFrame:
        """Its rows as one side of a division, whatever lists it has of its own; subjects with its name."""
        table = self.table.drop(columns=["key", "fold"])
        own = table["subject"]
        table["subject"] = own.where(own.isna(), f"{self.name}:" + own.astype(str))
        table["split"] = table["split"].where(table["split"] == "val", split) if split == "train" else split
        return table.assign(corpus=self.name)


def open_corpora(recipe: Recipe, stores: Mapping[str, tuple[Path, Path | None]]) -> list[Corpus]:
    """Reads them. stores: name -> store and a file of labels, None: the store's own. UserErrors in one line.

    CrossvalError where their input contracts differ, or a corpus has no sample of the recipe's classes.
    """
    corpora, first = [], None
    for name, (path, labels) in stores.items():
        store = Store.open(path)
        if first is None:
            first = seen_contract(store.contract, recipe)
        elif differing := contract_differences(first, store.contract, recipe):
            what = "; ".join(differing).replace("the model was trained with", "in the first")
            raise CrossvalError(f"the store {path} does not go with the first one: {what}")
        rows = usable_rows(store, labels, recipe)
        corpora.append(Corpus(name, path, rows.table, rows.target, rows.unused))
    return corpora


def common_classes(recipe: Recipe, corpora: Sequence[Corpus]) -> tuple[tuple[str, ...], list[str]]:
    """The recipe's classes that every corpus has, and lines that say which others which corpus has."""
    wanted = tuple(recipe.data.classes)
    common = wanted
    for one in corpora:
        common = shared_classes(common, one.classes(wanted))
    if len(common) < MIN_CLASSES:
        have = "; ".join(f"{one.name}: {', '.join(one.classes(wanted))}" for one in corpora)
        raise CrossvalError(
            f"the corpora share {len(common)} of the recipe's classes, at least 2 are needed ({have})"
        )
    lines = [f"classes: {', '.join(common)}"]
    for one in corpora:
        extra = [name for name in one.classes(wanted) if name not in common]
        if extra:
            share = one.target[:, [wanted.index(name) for name in extra]].sum(axis=1) > 0.5
            lines.append(
                f"{one.name}: {', '.join(extra)} left out, {int(share.sum()):,} of {len(one.table):,} rows"
            )
    nowhere = [name for name in wanted if all(name not in one.classes(wanted) for one in corpora)]
    if nowhere:
        lines.append(f"of the recipe's classes no corpus has {', '.join(nowhere)}")
    return common, lines


def refuse_common_content(train: Corpus, tests: Sequence[Corpus]) -> None:
    """CrossvalError where a video of a test corpus is also trained on."""
    names = train.table.drop_duplicates("key").set_index("key")["name"]
    for one in tests:
        common = one.table[one.table["key"].isin(names.index)].drop_duplicates("key")
        if len(common):
            row = common.iloc[0]
            more = f" (and {len(common) - 1:,} more videos)" if len(common) > 1 else ""
            raise CrossvalError(
                f"'{names[row['key']]}' of {train.name} and '{row['name']}' of {one.name} are the same "
                f"file{more}: the model would be tested on what it knows; leave them out of the labels of one"
            )


def corpus_names(stores: Sequence[Path]) -> list[str]:
    """A short name for each store, distinct: its folder's, with as many folders before it as are needed."""
    parts = [path.absolute().parts for path in stores]
    names = []
    for own in parts:
        for depth in range(1, len(own) + 1):
            tail = own[-depth:]
            if sum(other[-depth:] == tail for other in parts) == 1:
                break
        names.append("/".join(part.strip("/") for part in tail))
    return names
