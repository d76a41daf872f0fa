"""The prediction table: a row for each labelled interval, repeated for each seed where several are pooled.

    key, name, person, subject, t_start, t_end, label   of multi targets the classes that hold, with " + "
    label_p_<class>         of multi targets: the shares of the raters
    label_<dimension>       the rating of a dimension, in [-1, 1], NaN where there is none
    fold, seed              where folds and seeds are pooled
    further columns         of the manifest
    <head>_seen             the head's modality was there in some window of the interval
    <head>_label            the class of the largest probability; of multi targets those at their thresholds
    <head>_p_<class>        calibrated probabilities; those of multi targets do not sum to 1
    <head>_is_<class>       of multi targets: whether the class is said to be there
    <head>_<dimension>      in [-1, 1], where the model has dimensions
    <head>_raw_p_<class>    before calibration
    <head>_tta_p_<class>    calibrated, averaged over the views of test-time augmentation, where it was done
    face_published_label    by the published mixture of the face's heads

Letters in shapes: N rows, n classes.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, get_args

import numpy as np
import pandas as pd

from cache.errors import UserError
from videofer.data.targets import Dimension
from videofer.evaluation.metrics import Metrics, measure

INTERVAL = ("key", "name", "person", "t_start", "t_end")
"""The columns that say which labelled interval a row is of. One content may have several names, each with a
row of the manifest: a list of pictures in which one occurs twice counts it twice."""

BASE = ("key", "name", "person", "subject", "t_start", "t_end", "label")
POOLED = ("fold", "seed")
TRUTH = "label"
"""What stands before the columns of the truth, as a head's name before those of a head."""
CROSS_CORPUS = "cross-corpus"
"""What `experiments.crosscorpus` calls its protocol, in the source of its figures."""
PUBLISHED = "face_published_label"
PUBLISHED_NAME = "published mixture, for comparison"


def fold_words(source: Mapping[str, Any]) -> tuple[str, str]:
    """What one `fold` and several are, by the source of the figures: folds, or corpora tested on."""
    return ("corpus", "corpora") if source.get("protocol") == CROSS_CORPUS else ("fold", "folds")


class EvaluationError(UserError, ValueError):
    """A model cannot be evaluated so. The message is one line for the user."""


@dataclass(frozen=True)
class Rows:
    """What some rows of a table say by one head."""

    probs: np.ndarray  # (N, n) float64
    target: np.ndarray  # (N,) int64
    subjects: list[str]
    seeds: np.ndarray | None  # (N,)

    def measure(self, labels: Sequence[str]) -> Metrics:
        """Their figures."""
        return measure(self.probs, self.target, labels, groups=self.subjects, seeds=self.seeds)


def rows_of(table: pd.DataFrame, labels: Sequence[str], head: str, *, raw: bool = False) -> Rows:
    """All rows of the table by one head. raw: the probabilities before calibration."""
    return Rows(
        probs=table[prob_columns(head, labels, raw=raw)].to_numpy(dtype=np.float64),
        target=target_of(table, labels),
        subjects=table["subject"].astype(str).tolist(),
        seeds=table["seed"].to_numpy() if "seed" in table else None,
    )


def seen_by(table: pd.DataFrame, *heads: str) -> pd.DataFrame:
    """The rows in which the modalities of all these heads were there."""
    seen: pd.Series = table[[f"{head}_seen" for head in heads]].astype(bool).all(axis=1)
    return table.loc[seen]


def target_of(table: pd.DataFrame, labels: Sequence[str]) -> np.ndarray:
    """(N,) int64 class indices of the truth."""
    place = {name: index for index, name in enumerate(labels)}
    return np.array([place[name] for name in table["label"]], dtype=np.int64)


def prob_columns(head: str, labels: Sequence[str], *, raw: bool = False) -> list[str]:
    """Names of a head's columns of probabilities, in the order of the labels."""
    return [f"{head}_raw_p_{name}" if raw else f"{head}_p_{name}" for name in labels]


def dimension_columns(head: str, dimensions: Sequence[str]) -> list[str]:
    """Names of a head's columns of dimensions, or of TRUTH's."""
    return [f"{head}_{name}" for name in dimensions]


def dimensions_in(table: pd.DataFrame, head: str) -> list[str]:
    """The dimensions that the table holds of this head, with ratings."""
    return [
        name for name in get_args(Dimension) if {f"{TRUTH}_{name}", f"{head}_{name}"} <= set(table.columns)
    ]


def is_multi(table: pd.DataFrame, labels: Sequence[str]) -> bool:
    """Whether the targets are multi: each class has a share of the raters of its own."""
    return set(prob_columns(TRUTH, labels)) <= set(table.columns)


def answer_columns(head: str, labels: Sequence[str]) -> list[str]:
    """Names of a head's columns of answers, of multi targets."""
    return [f"{head}_is_{name}" for name in labels]


def words_of(says: np.ndarray, labels: Sequence[str]) -> list[str]:
    """says (N, n) bool -> for each row the names of its classes, with " + " between them; "" for none."""
    return [" + ".join(name for name, one in zip(labels, row, strict=True) if one) for row in says]


def tta_columns(head: str, labels: Sequence[str]) -> list[str]:
    """Names of a head's columns of probabilities with test-time augmentation."""
    return [f"{head}_tta_p_{name}" for name in labels]


def has_raw(table: pd.DataFrame, labels: Sequence[str], head: str) -> bool:
    """Whether the table has the probabilities before calibration."""
    return set(prob_columns(head, labels, raw=True)) <= set(table.columns)


def further_columns(table: pd.DataFrame, heads: Sequence[str]) -> list[str]:
    """The manifest's further columns."""
    own = tuple(f"{head}_{kind}" for head in heads for kind in ("seen", "label"))
    probs = tuple(f"{head}_{kind}" for head in heads for kind in ("p_", "raw_p_", "tta_p_"))
    return [
        name
        for name in map(str, table.columns)
        if name not in (*BASE, *POOLED, *own, PUBLISHED) and not name.startswith(probs)
    ]


def one_row_each(table: pd.DataFrame, labels: Sequence[str], heads: Sequence[str]) -> pd.DataFrame:
    """One row for each labelled interval: probabilities averaged over the seeds. In the table's order."""
    if num_seeds(table) == 1:
        return table.reset_index(drop=True)
    kinds = [raw for head in heads for raw in (False, True) if not raw or has_raw(table, labels, head)]
    columns = [
        name
        for head in heads
        for raw in dict.fromkeys(kinds)
        for name in prob_columns(head, labels, raw=raw)
        if name in table
    ]
    groups = table.groupby(list(INTERVAL), sort=False)
    averaged = groups.first().reset_index()
    averaged[columns] = groups[columns].mean().to_numpy()
    for head in heads:
        probs = averaged[prob_columns(head, labels)].to_numpy()
        averaged[f"{head}_label"] = [labels[place] for place in probs.argmax(axis=1)]
    return averaged[[name for name in table.columns if name not in POOLED]]


def num_seeds(table: pd.DataFrame) -> int:
    return table["seed"].nunique() if "seed" in table else 1


def check_table(table: pd.DataFrame, labels: Sequence[str], heads: Sequence[str], source: str) -> None:
    """EvaluationError in one line where figures of this table would be wrong. source: named in it."""
    multi = is_multi(table, labels)
    needed = [*BASE, *(name for head in heads for name in (f"{head}_seen", *prob_columns(head, labels)))]
    needed += [name for head in heads if multi for name in answer_columns(head, labels)]
    missing = [name for name in needed if name not in table]
    if missing:
        raise EvaluationError(f"{source}: the prediction table lacks the column '{missing[0]}'")
    if not len(table):
        raise EvaluationError(f"{source}: the prediction table has no rows")
    strange = sorted(set(table["label"]) - set(labels))
    if strange and not multi:
        raise EvaluationError(f"{source}: the label '{strange[0]}' is not among {', '.join(labels)}")
    seed = table["seed"] if "seed" in table else pd.Series(0, index=table.index)
    doubled = table[table[list(INTERVAL)].assign(seed=seed).duplicated()]
    if len(doubled):
        row = doubled.iloc[0]
        raise EvaluationError(
            f"{source}: {row['name']}, person {row['person']}, {row['t_start']:g} to {row['t_end']:g} s "
            "stands twice"
        )
    facts = [*INTERVAL, "label", "subject", *(f"{head}_seen" for head in heads)]
    per_interval = table.drop_duplicates(facts)[list(INTERVAL)]
    if len(per_interval) * seed.nunique() != len(table) or per_interval.duplicated().any():
        raise EvaluationError(f"{source}: its seeds do not hold the same labelled intervals")
    for head in heads:
        probs = table[prob_columns(head, labels)].to_numpy(dtype=np.float64)
        if multi:
            if not ((probs >= 0) & (probs <= 1)).all():
                raise EvaluationError(f"{source}: the probabilities of '{head}' are not all from 0 to 1")
        elif not (np.isfinite(probs).all() and np.allclose(probs.sum(axis=1), 1, atol=1e-3)):
            raise EvaluationError(f"{source}: the probabilities of '{head}' are not numbers that sum to 1")
