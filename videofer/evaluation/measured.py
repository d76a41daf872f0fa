"""What the results of every kind of target say alike of their table: what it is, how much it holds."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import pandas as pd

from videofer.evaluation.table import INTERVAL, num_seeds


@dataclass(frozen=True, kw_only=True)
class Measured:
    """A prediction table that was measured. `about` makes the values of these fields."""

    title: str
    labels: tuple[str, ...]
    source: Mapping[str, Any]  # what was measured: model, store, split, ...
    notes: tuple[str, ...]
    num_samples: int  # labelled intervals, each counted once
    num_videos: int
    num_subjects: int
    num_unnamed: int  # labelled intervals whose subject the manifest does not name
    num_folds: int
    num_seeds: int

    def unknown_to_all(self) -> list[str]:
        """What figures of no kind can say of this table, in sentences."""
        found = []
        if self.num_unnamed:
            found.append(
                f"Who is seen in {self.num_unnamed} of {self.num_samples} labelled intervals: the manifest "
                "names no subject, and each such video counts as a subject of its own. Where one person is "
                "in several videos, the 95 % intervals are too narrow."
            )
        if self.num_seeds == 1:
            found.append("How far another training run would differ: there is one seed.")
        return found

    def to_json(self) -> dict[str, Any]:
        """The first part of metrics.json."""
        return {
            "title": self.title,
            "source": dict(self.source),
            "notes": list(self.notes),
            "labels": list(self.labels),
            "num_samples": self.num_samples,
            "num_videos": self.num_videos,
            "num_subjects": self.num_subjects,
            "num_folds": self.num_folds,
            "num_seeds": self.num_seeds,
        }


def about(
    table: pd.DataFrame, labels: Sequence[str], *, title: str, source: Mapping[str, Any], notes: Sequence[str]
) -> dict[str, Any]:
    """The fields of `Measured` for a prediction table that was checked."""
    each = table.drop_duplicates(list(INTERVAL))
    return {
        "title": title,
        "labels": tuple(labels),
        "source": source,
        "notes": tuple(notes),
        "num_samples": len(each),
        "num_videos": each["key"].nunique(),
        "num_subjects": each["subject"].nunique(),
        "num_unnamed": int((each["subject"].astype(str) == each["key"].astype(str)).sum()),
        "num_folds": table["fold"].nunique() if "fold" in table else 1,
        "num_seeds": num_seeds(table),
    }
