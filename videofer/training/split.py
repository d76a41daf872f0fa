"""What one run trains on and validates with: labelled intervals split by subject, refused where they leak."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from cache.errors import UserError
from cache.schema import VideoRecord
from cache.store import Store
from preprocessing.config_file import nearest
from videofer.checkpoint import seen_contract
from videofer.data.examples import Example, make_examples
from videofer.data.groups import linked_groups
from videofer.data.targets import BRANCH_LABELS
from videofer.datasets.manifest import soft_columns
from videofer.evaluation.labels import load_labels
from videofer.recipe import Recipe, TrainingRecipe

_NUM_DRAWS = 64


class TrainingError(UserError, ValueError):
    """Training cannot begin or go on. The message is one line for the user."""


@dataclass(frozen=True, kw_only=True)
class Split:
    """The labelled intervals of one training run. Those of the test split are in neither list."""

    train: list[Example]
    val: list[Example]

    def used(self) -> dict[str, dict[str, list[str]]]:
        """Keys of the videos and names of the subjects, for the run's metrics.json."""
        parts = {"train": self.train, "val": self.val}
        return {
            "keys": {name: sorted({e.key for e in examples}) for name, examples in parts.items()},
            "subjects": {name: sorted({e.subject for e in examples}) for name, examples in parts.items()},
        }

    def fingerprint(self) -> str:
        """Hash of all that training sees of the examples: a resumed run must see the same."""
        digest = hashlib.sha256()
        for example in (*self.train, *self.val):
            values = (example.key, example.person_id, example.t_start, example.t_end, example.weight)
            digest.update(repr((*values, example.still)).encode() + example.target.tobytes())
            digest.update(example.dimensions.tobytes())
            for branch, own in sorted(example.branch_targets.items()):
                digest.update(branch.encode() + own.tobytes())
        return f"{len(self.train)}+{len(self.val)}:{digest.hexdigest()[:16]}"


@dataclass(frozen=True, kw_only=True)
class Prepared:
    """A split, and what belongs to it."""

    split: Split
    contract: Mapping[str, Any]  # of the store, with the skeleton that the recipe brings its bodies to
    unused: list[str]  # a line for each row of the manifest that gives no example: its name and why
    modalities: frozenset[str]  # of "face", "body", "landmarks": the store has them of somebody trained on


def prepare(recipe: Recipe, store: Path, manifest: Path | None) -> Prepared:
    """Joins the labels with the store and splits them.

    `manifest`: a file; None: the store's own. Validation is the manifest's split "val" where it has one, else
    `training.val_subjects`, else subjects drawn by the seed. TrainingError, or an error of manifest or store,
    where there is nothing to train on or a subject would be on two sides.
    """
    opened = Store.open(store)
    table, unused = load_labels(opened, manifest, recipe.data.classes)
    refuse_leaks(table)
    _check_branch_labels(table, recipe, f"the manifest of {store}" if manifest is None else str(manifest))
    videos = opened.videos()
    examples, skipped = make_examples(table, videos, recipe.target_spec())
    split_of = table["split"].fillna("train").tolist()
    sides: dict[str, list[Example]] = {"train": [], "val": [], "test": []}
    for example in examples:
        sides[split_of[example.row]].append(example)
    if not sides["train"]:
        why = _why_nothing(table, [*unused, *skipped], len(sides["test"]), recipe.data.classes)
        raise TrainingError(f"{store}: no labelled interval to train on: {why}")
    if not sides["val"]:
        sides["train"], sides["val"] = carve_validation(sides["train"], recipe.training)
    elif recipe.training.val_subjects is not None:
        raise TrainingError("training.val_subjects is given, but the manifest has a split 'val' already")
    split = Split(train=sides["train"], val=sides["val"])
    persons = {(video.key, person.id): person for video in videos for person in video.persons}
    trained = [persons[example.key, example.person_id] for example in split.train]
    keys = {example.key for example in split.train}
    modalities = {
        "face": any(p.faces for p in trained),
        "body": any(p.bodies for p in trained),
        "landmarks": any(_has_landmarks(video) for video in videos if video.key in keys),
    }
    return Prepared(
        split=split,
        contract=seen_contract(opened.contract, recipe),
        unused=[*unused, *skipped],
        modalities=frozenset(name for name, is_there in modalities.items() if is_there),
    )


def _check_branch_labels(table: pd.DataFrame, recipe: Recipe, where: str) -> None:
    """TrainingError where face and body are to have labels of their own, and there are none. where: table."""
    if recipe.target_spec().branch_labels and not set(BRANCH_LABELS.values()) & set(table.columns):
        raise TrainingError(
            f"model.fusion.branch_labels is own, but {where} has no column "
            f"{' or '.join(BRANCH_LABELS.values())}: add them, or set it to same"
        )


def _has_landmarks(video: VideoRecord) -> bool:
    """Whether dense landmarks were looked for; a face without any is masked."""
    name: str = video.provenance.get("landmarks", {}).get("name", "none")
    return name != "none"


def _why_nothing(table: pd.DataFrame, unused: Sequence[str], num_test: int, classes: Sequence[str]) -> str:
    labels = sorted(table["label"].dropna().unique())
    if table.empty:
        return f"no name of the manifest is a video of the store ({unused[0]})"
    if not labels and not soft_columns(table):
        return "the manifest has no labels; it needs a column 'label', or 'p_<class>' for soft ones"
    if labels and not soft_columns(table) and not set(labels) & set(classes):
        return f"the labels are {', '.join(labels[:5])}, but data.classes are {', '.join(classes)}"
    if num_test:
        return f"all {num_test} usable rows are in the split 'test'"
    return f"no row can be used ({unused[0]})"


def refuse_leaks(table: pd.DataFrame) -> None:
    """TrainingError where a subject, or the content of a video, is in several splits of a joined manifest.

    A row without a split counts as train.
    """
    split = table["split"].fillna("train")
    for column in ("subject", "key"):
        known = table[column].notna()
        splits = split[known].groupby(table.loc[known, column]).unique()
        leaking = splits[splits.map(len) > 1]
        if len(leaking):
            value, sides = leaking.index[0], " and ".join(sorted(leaking.iloc[0]))
            names = " and ".join(f"'{n}'" for n in table.loc[table[column] == value, "name"].unique()[:2])
            what = f"subject '{value}'" if column == "subject" else f"the content of {names}"
            more = f" (and {len(leaking) - 1} more)" if len(leaking) > 1 else ""
            raise TrainingError(f"{what} is in the splits {sides}{more}")


def carve_validation(
    examples: Sequence[Example], recipe: TrainingRecipe
) -> tuple[list[Example], list[Example]]:
    """Splits training examples into training and validation by subject.

    Examples of the same video stay together, so subjects who share one count as one. TrainingError where no
    such split exists.
    """
    groups = _groups(examples)
    names = [sorted({example.subject for example in group}) for group in groups]
    if recipe.val_subjects is not None:
        chosen = _named_groups(names, recipe.val_subjects)
    elif len(groups) < 2:
        raise TrainingError(
            f"all labelled intervals are of subject '{names[0][0]}' or share a video with theirs: another "
            "subject is needed to validate with"
        )
    else:
        chosen = _draw_groups(groups, recipe.val_fraction, recipe.seed)
    train = [e for place, group in enumerate(groups) if place not in chosen for e in group]
    val = [e for place, group in enumerate(groups) if place in chosen for e in group]
    if not train or not val:
        side = "train on" if not train else "validate with"
        raise TrainingError(f"training.val_subjects leaves nobody of {len(groups)} subjects to {side}")
    return sorted(train, key=lambda e: e.row), sorted(val, key=lambda e: e.row)


def _groups(examples: Sequence[Example]) -> list[list[Example]]:
    """Examples that must stay on one side: connected by a common subject or video. Sorted by subject."""
    number = linked_groups([e.subject for e in examples], [e.key for e in examples])
    groups: list[list[Example]] = [[] for _ in range(int(number.max()) + 1)]
    for example, place in sorted(zip(examples, number, strict=True), key=lambda x: (x[0].subject, x[0].row)):
        groups[place].append(example)
    return groups


def _named_groups(names: Sequence[Sequence[str]], wanted: Sequence[str]) -> set[int]:
    everybody = [name for group in names for name in group]
    for name in wanted:
        if name not in everybody:
            guess = nearest(name, everybody)
            hint = f"; did you mean '{guess}'?" if guess else ""
            raise TrainingError(f"training.val_subjects: no training subject '{name}'{hint}")
    chosen = {place for place, group in enumerate(names) if set(group) & set(wanted)}
    for place in chosen:
        rest = sorted(set(names[place]) - set(wanted))
        if rest:
            raise TrainingError(f"training.val_subjects: add '{rest[0]}', who shares a video with them")
    return chosen


def _draw_groups(groups: Sequence[Sequence[Example]], fraction: float, seed: int) -> set[int]:
    """Of some random orders the one whose first groups come nearest to the fraction of every class.

    Where it can be had, the groups that are left have every class: it cannot be learned from the others.
    """
    rng = np.random.default_rng(seed)
    counts = np.stack([np.sum([example.target for example in group], axis=0) for group in groups])
    total = counts.sum(axis=0)  # (n,)
    best: tuple[float, list[int]] = (float("inf"), [])
    for _ in range(_NUM_DRAWS):
        order = rng.permutation(len(groups))
        held = counts[order].cumsum(axis=0)[:-1]  # at least one group, never all
        distance = np.abs(held - fraction * total).sum(axis=1)
        distance += total.sum() * ((held >= total - 1e-6) & (total > 0)).sum(axis=1)
        if distance.min() < best[0] - 1e-6:
            best = (float(distance.min()), order[: int(distance.argmin()) + 1].tolist())
    return set(best[1])
