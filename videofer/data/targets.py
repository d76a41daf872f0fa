"""What a row of a manifest says that a model is to learn: shares of the classes, and dimensions of affect.

Single targets: one class holds, or shares of the raters that sum to one. Multi targets: each class has a
share of its own, from 0 to 1, and several may hold, or none.

Dimensions are the columns `valence`, `arousal`, `dominance`. They lie in [-1, 1], or on the scale that the
row's column `dimension_scale` states, like "1 to 9", and are brought to [-1, 1]. An empty cell is not known.

Face and body may have labels of their own, in the columns `label_face` and `label_body`: what annotators saw
there, which is neutral where somebody was happy with the hands alone. An empty cell means the row's label.

Letters in shapes: n classes, d dimensions.
"""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
import pandas as pd

from videofer import emotions
from videofer.datasets.manifest import DIMENSION_SCALE, ManifestError
from videofer.models.targets import Targets

Dimension = Literal["valence", "arousal", "dominance"]

POSITIVE = 0.5
"""Of multi targets: a class holds for evaluation where at least this share of the raters saw it."""

BRANCH_LABELS = {"face": "label_face", "body": "label_body"}
"""The column of each branch's own label."""

_SCALE = re.compile(r"(-?\d+(?:\.\d+)?) to (-?\d+(?:\.\d+)?)")


@dataclass(frozen=True)
class TargetSpec:
    """What is read of a row."""

    classes: tuple[str, ...]
    targets: Targets = "single"
    dimensions: tuple[Dimension, ...] = ()
    branch_labels: bool = False
    """Whether face and body have labels of their own."""


def target_of(row: Mapping[Any, Any], spec: TargetSpec) -> np.ndarray | str:
    """(n,) float32 shares of the classes, or why there are none. Soft columns count before the label.

    ManifestError where a share of multi targets is above 1.
    """
    columns = {name: row.get(f"p_{name}") for name in spec.classes}
    soft = {name: float(value) for name, value in columns.items() if value is not None and not pd.isna(value)}
    if soft:
        target = np.array([soft.get(name, 0.0) for name in spec.classes], dtype=np.float64)
        if spec.targets == "multi":
            if target.max() > 1:
                raise ManifestError(
                    f"{row['name']}: p_{spec.classes[target.argmax()]} is {target.max():g}, but data.targets "
                    "multi needs shares of raters from 0 to 1"
                )
            return target.astype(np.float32)
        if target.sum() <= 0:
            return "its soft label lies wholly outside the recipe's classes"
        shares: np.ndarray = (target / target.sum()).astype(np.float32)
        return shares
    label = row["label"]
    if pd.isna(label):
        return "has no label"
    if label not in spec.classes:
        return f"the label '{label}' is not among the recipe's classes"
    target = np.zeros(len(spec.classes), dtype=np.float64)
    target[spec.classes.index(label)] = 1
    return target.astype(np.float32)


def branch_targets_of(row: Mapping[Any, Any], spec: TargetSpec, target: np.ndarray) -> dict[str, np.ndarray]:
    """(n,) float32 of each branch of BRANCH_LABELS, where they have labels of their own; else nothing.

    target: of the row, and so of a branch whose cell is empty. All zero where the branch's label is none of
    the classes: then there is nothing to learn for it. ManifestError for a word that is no emotion.
    """
    if not spec.branch_labels:
        return {}
    found = {}
    for branch, column in BRANCH_LABELS.items():
        value = row.get(column)
        if value is None or pd.isna(value) or not str(value).strip():
            found[branch] = target
            continue
        try:
            label = emotions.canonical(str(value), spec.classes)
        except ValueError as error:
            raise ManifestError(f"{row['name']}: {column}: {error}") from None
        found[branch] = np.array([name == label for name in spec.classes], dtype=np.float32)
    return found


def dimensions_of(row: Mapping[Any, Any], spec: TargetSpec) -> np.ndarray:
    """(d,) float32 in [-1, 1], NaN where not known. ManifestError for a value that is not on its scale."""
    if not spec.dimensions:
        return np.empty(0, dtype=np.float32)
    low, high = _scale_of(row)
    values = [_on_scale(row, name, low, high) for name in spec.dimensions]
    return np.array(values, dtype=np.float32)


def _on_scale(row: Mapping[Any, Any], name: str, low: float, high: float) -> float:
    value = row.get(name)
    if value is None or pd.isna(value) or not str(value).strip():
        return math.nan
    try:
        number = float(value)
    except ValueError:
        number = math.nan
    if not low <= number <= high:
        raise ManifestError(
            f"{row['name']}: {name} is {str(value)[:30]!r}, not a number from {low:g} to {high:g}; another "
            f"scale is stated by a column {DIMENSION_SCALE}, like '1 to 9'"
        )
    return 2 * (number - low) / (high - low) - 1


def _scale_of(row: Mapping[Any, Any]) -> tuple[float, float]:
    """The ends of the row's scale."""
    text = row.get(DIMENSION_SCALE)
    if text is None or pd.isna(text) or not str(text).strip():
        return -1.0, 1.0
    match = _SCALE.fullmatch(str(text).strip())
    low, high = map(float, match.groups()) if match else (0.0, 0.0)
    if not low < high:
        raise ManifestError(f"{row['name']}: {DIMENSION_SCALE} is {str(text)[:30]!r}, not like '1 to 9'")
    return low, high
