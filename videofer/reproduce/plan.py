"""What a run of a system on a copy of its data set will do, found before anything is written.

The copy is read, the recipe and the preprocessing are complete, the folds are made: what would fail after
hours fails here, in one line.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from preprocessing.config_file import validate
from preprocessing.spec import PreprocessSpec
from videofer.datasets.adapter import Reading, more
from videofer.datasets.adapters import ADAPTERS
from videofer.datasets.copy import read_copy
from videofer.ensembles.recipe import Ensemble, is_ensemble, load_ensemble_recipe
from videofer.experiments.folds import Plan as Folds
from videofer.experiments.folds import Protocol, plan_folds
from videofer.recipe import Recipe, load_recipe
from videofer.reproduce.bodies import body_keys
from videofer.reproduce.systems import ReproduceError, System
from videofer.resources import config_path

PREPROCESS, DATASET = "preprocess.", "dataset."
"""How keys of `--set` begin that are not the recipe's."""
_HINTS = {
    "fps": "the joints' rate (fps)",
    "size": "the pictures' size (size, as WIDTHxHEIGHT)",
}


@dataclass(frozen=True, kw_only=True, eq=False)
class Plan:
    """All that a run is determined by."""

    system: System
    data: Path
    options: tuple[str, ...]  # of the adapter, KEY=VALUE
    reading: Reading  # the whole copy, by the label set of the system
    left_out: Mapping[str, int]  # rows of classes that this label set does not have
    table: pd.DataFrame  # rows that are used: those of the reading, or some of them
    recipe: Recipe | Ensemble
    recipe_text: str  # the recipe's file as it is
    spec: PreprocessSpec
    protocol: Protocol
    folds: Folds
    seeds: tuple[int, ...]
    changes: tuple[str, ...]  # what the user set otherwise
    notes: tuple[str, ...]  # what is not as published, beside what the recipe says at its head

    @property
    def recipes(self) -> dict[str, Recipe]:
        """Name -> recipe of each member of an ensemble; "" -> the one recipe of another system."""
        return dict(self.recipe.members) if isinstance(self.recipe, Ensemble) else {"": self.recipe}

    @property
    def first(self) -> Recipe:
        """The recipe; of an ensemble the first member's, which says what samples and classes are."""
        return next(iter(self.recipes.values()))

    @property
    def why_a_trial(self) -> tuple[str, ...]:
        """Why the figures are not those of the system on the whole set; empty where they are."""
        found = ["the copy is synthetic: nobody in it exists"] if self.reading.is_synthetic else []
        if len(self.table) < len(self.reading.table):
            found.append(f"{len(self.table):,} of {len(self.reading.table):,} labelled videos are used")
        coverage = self.reading.coverage
        if coverage.is_whole is False:
            of = f"{coverage.found:,} of {coverage.expected:,} videos" if coverage.expected else ""
            found.append(f"the copy is not whole: {of or f'{len(coverage.missing):,} missing'}")
        asked_for = tuple(f"{DATASET}{name}=" for name in self.system.needs)
        if others := [change for change in self.changes if not change.startswith(asked_for)]:
            found.append(f"set otherwise: {', '.join(others)}")
        return tuple(found)


def make_plan(
    system: System,
    data: Path,
    *,
    changes: Sequence[str] = (),
    seeds: Sequence[int] = (0,),
    max_videos: int | None = None,
) -> Plan:
    """Reads the copy and everything else. UserErrors in one line.

    changes: KEY=VALUE of the recipe, of the preprocessing as `preprocess.KEY`, of what the data set lets
    choose as `dataset.KEY`. max_videos: take so many rows, spread over folds, subjects and classes.
    """
    own = {
        start: [c.removeprefix(start) for c in changes if c.startswith(start)]
        for start in (PREPROCESS, DATASET)
    }
    for_recipe = [change for change in changes if not change.startswith((PREPROCESS, DATASET))]
    options = _options(system, own[DATASET])
    reading, left_out = read_copy(data, system.dataset, system.labels or None, options=options)
    whole, protocol, notes = _divided(system, reading.table)
    if protocol == "official":
        _look_for_the_test(system, whole, reading, options)
    table = whole if max_videos is None else some_of(whole, max_videos)
    file = config_path(system.recipe)
    recipe, absent = _recipe(system, file, reading, table, for_recipe)
    first = recipe.first if isinstance(recipe, Ensemble) else recipe
    if absent:
        notes.append(f"the copy has no {', no '.join(absent)}: left out of the classes")
    spec = _spec(system, reading, first, own[PREPROCESS])
    classes = first.data.classes
    is_known = shares(table, classes).sum(axis=1) > 0  # of several targets none may hold
    known = table if first.data.targets == "multi" else table[is_known].reset_index(drop=True)
    folds = plan_folds(
        known.assign(key=known["name"]),
        shares(known, classes),
        classes,
        protocol=protocol,
        num_folds=system.num_folds,
        targets=first.data.targets,
    )
    return Plan(
        system=system,
        data=data,
        options=tuple(options),
        reading=reading,
        left_out=left_out,
        table=table,
        recipe=recipe,
        recipe_text=file.read_text(encoding="utf-8"),
        spec=spec,
        protocol=protocol,
        folds=folds,
        seeds=tuple(seeds),
        changes=tuple(changes),
        notes=(*system.notes, *notes),
    )


def some_of(table: pd.DataFrame, num_rows: int) -> pd.DataFrame:
    """So many rows: of each side or fold, subject and class the first, then the second ones. In order."""
    label = table["label"].astype(object)
    soft = [str(column) for column in table.columns if str(column).startswith("p_")]
    if soft:
        label = label.where(label.notna(), table[soft].fillna(0).to_numpy().argmax(axis=1))
    has_sides = table["split"].notna().any() or table["fold"].notna().any()
    parts = [table["split"], table["fold"]] if has_sides else [table["subject"]]
    keys = [part.astype(object) for part in [*parts, label]]
    turn = table.groupby(keys, sort=False, dropna=False).cumcount()
    chosen = np.sort(np.argsort(turn.to_numpy(), kind="stable")[:num_rows])
    return table.iloc[chosen].reset_index(drop=True)


def shares(table: pd.DataFrame, classes: Sequence[str]) -> np.ndarray:
    """(N, n) float64: the labels of a manifest as shares of the classes, the soft ones before the hard one.

    Zeros where the label is none of them.
    """
    hard = (table["label"].to_numpy(dtype=object)[:, None] == np.array(classes, dtype=object)).astype(float)
    columns = [f"p_{name}" for name in classes]
    soft = table.reindex(columns=columns).to_numpy(dtype=np.float64)
    found: np.ndarray = np.where(np.isfinite(soft).any(axis=1)[:, None], np.nan_to_num(soft), hard)
    return found


def _options(system: System, given: Sequence[str]) -> list[str]:
    """What the adapter is told. ReproduceError where it needs what only the user knows."""
    given = [*system.options, *given]
    keys = {option.partition("=")[0] for option in given}
    lacking = [name for name in system.needs if name not in keys]
    if lacking:
        what = " and ".join(_HINTS[name] for name in lacking)
        advice = " ".join(f"--set {DATASET}{name}=..." for name in lacking)
        title = ADAPTERS[system.dataset].title
        raise ReproduceError(f"{system.name}: {title} does not say {what}: give {advice}")
    return given


def _divided(system: System, table: pd.DataFrame) -> tuple[pd.DataFrame, Protocol, list[str]]:
    """The table with a held-out part where the protocol by subjects is not to be had, and what to say."""
    if not system.holdout or table["subject"].notna().any():
        return table, system.protocol, []
    keys = [table[name] for name in ("label", "action") if name in table]
    place = table.groupby(keys, sort=False, dropna=False).cumcount() + 1
    split = np.where(place % system.holdout == 0, "test", "train").astype(object)
    if not (split == "test").any():
        raise ReproduceError(
            f"{system.name}: the copy names no subjects, and no class has {system.holdout} takes, of which "
            f"one is held out: say who acts by --set {DATASET}pattern=... with a group `subject`"
        )
    note = (
        f"the copy names no subjects: every {system.holdout}th take of a class is the test, whoever acts, as "
        "published; whoever is tested was probably trained on as well"
    )
    return table.assign(split=split), "official", [note]


def _look_for_the_test(system: System, table: pd.DataFrame, reading: Reading, options: Sequence[str]) -> None:
    """ReproduceError where the copy has none of what the official protocol tests."""
    if table["fold"].notna().any() or (table["split"] == "test").any():
        return
    missing = reading.coverage.missing
    what = f"; missing: {missing[0]}{more(len(missing) - 1)}" if missing else ""
    chosen = f" ({', '.join(options)}; --set {DATASET}KEY=VALUE chooses otherwise)" if options else ""
    raise ReproduceError(f"{system.name}: {reading.root} has nothing of the test list{chosen}{what}")


def _recipe(
    system: System, file: Path, reading: Reading, table: pd.DataFrame, changes: Sequence[str]
) -> tuple[Recipe | Ensemble, list[str]]:
    """The recipe with the classes that there are, in its own order if it has them; and what is absent."""
    load: Any = load_ensemble_recipe if is_ensemble(file) else load_recipe
    recipe = load(file, [*system.keys])
    first = recipe.first if isinstance(recipe, Ensemble) else recipe
    wanted = reading.labels.classes
    classes = first.data.classes if set(first.data.classes) == set(wanted) else list(wanted)
    there = shares(table, classes).sum(axis=0) > 0
    absent = [name for name, is_there in zip(classes, there, strict=True) if not is_there]
    kept = [name for name in classes if name not in absent]
    if any(change.partition("=")[0].strip() == "data.classes" for change in changes):
        absent, kept = [], classes
    if len(kept) < 2:
        raise ReproduceError(
            f"{system.name}: the copy has labels of {len(kept)} of the {len(classes)} classes: "
            f"`videofer datasets inspect {reading.root}` says what is there"
        )
    return load(file, [*system.keys, f"data.classes=[{', '.join(kept)}]", *changes]), absent


def _spec(system: System, reading: Reading, recipe: Recipe, changes: Sequence[str]) -> PreprocessSpec:
    """Crops as large as the model takes them, bodies where it looks at them."""
    face, keys = recipe.model.face, list[str]()
    if system.dataset == "fer2013":
        from videofer.datasets.fer2013_store import AS_IT_IS

        values = AS_IT_IS.model_dump()
        return validate(values, PreprocessSpec, source=system.name, overrides=[*system.preprocess, *changes])
    if face is not None:
        keys.append(f"crop_size={min(512, max(112, face.input_size))}")
    keys += [*_said(reading.preprocess), *system.preprocess]
    named = {key.partition("=")[0] for key in [*keys, *changes]}
    if recipe.model.body is not None and not {"pose", "skeleton"} <= named:
        keys += body_keys(recipe, reading, named)
    return validate({}, PreprocessSpec, source=system.name, overrides=[*keys, *changes])


def _said(options: str) -> list[str]:
    """The options that a reading gives for `videofer preprocess`, as keys: `--faces x`, `--set key=value`."""
    words = iter(options.split())
    return [
        value if word == "--set" else f"{word.removeprefix('--')}={value}"
        for word, value in zip(words, words, strict=True)
    ]
