"""Into which parts a store is split: by a column of its manifest, or by shares."""

from __future__ import annotations

import re
from collections.abc import Sequence

import numpy as np
import pandas as pd

from cache.errors import StoreError
from cache.schema import VideoRecord
from videofer.data.groups import linked_groups

REST = "rest"  # videos of which the column says nothing
_SAFE = re.compile(r"[^\w.-]+")


def by_column(
    videos: Sequence[VideoRecord], manifest: pd.DataFrame | None, column: str
) -> dict[str, list[str]]:
    """Keys by value of the column, as the name of a folder.

    Raises StoreError where a video has two values, or two values would be one folder.
    """
    if manifest is None or "key" not in manifest.columns:
        raise StoreError("the store has no manifest: split it by --fraction, or give it labels first")
    if column not in manifest.columns:
        raise StoreError(
            f"the manifest has no column {column!r}, it has {', '.join(map(str, manifest.columns))}"
        )
    parts: dict[str, list[str]] = {}
    values = {str(key): set(map(str, rows.dropna())) for key, rows in manifest.groupby("key")[column]}
    value_of: dict[str, str] = {}
    for video in videos:
        mine = values.get(video.key, set())
        if len(mine) > 1:
            raise StoreError(f"{video.names[0]!r} has several values of {column}: {', '.join(sorted(mine))}")
        name = next(iter(mine), "")
        safe = _SAFE.sub("_", name or REST).strip(".") or "_"
        if value_of.setdefault(safe, name) != name:
            values_text = " and ".join(
                repr(value) if value else "no value" for value in (value_of[safe], name)
            )
            raise StoreError(f"{values_text} of {column} would both be the part {safe!r}")
        parts.setdefault(safe, []).append(video.key)
    return dict(sorted(parts.items()))


def by_fraction(
    videos: Sequence[VideoRecord], manifest: pd.DataFrame | None, fraction: float, seed: int = 0
) -> dict[str, list[str]]:
    """Parts "a" with about this share of the videos and "b" with the others, no subject in both.

    Subjects who share a video stay together.
    """
    if not 0 < fraction < 1:
        raise StoreError(f"the fraction must be between 0 and 1, not {fraction:g}")
    group_of: dict[str, str] = {}
    if manifest is not None and {"key", "subject"} <= set(manifest.columns):
        known = manifest.dropna(subset=["subject"])
        subjects, keys = known["subject"].astype(str).tolist(), known["key"].astype(str).tolist()
        first: dict[int, str] = {}  # group -> its first subject
        for key, subject, number in zip(keys, subjects, linked_groups(subjects, keys).tolist(), strict=True):
            group_of[key] = f"subject {first.setdefault(number, subject)}"
    groups: dict[str, list[str]] = {}
    for video in videos:
        groups.setdefault(group_of.get(video.key, video.key), []).append(video.key)
    order = np.random.default_rng(seed).permutation(len(groups))
    names = sorted(groups)
    parts: dict[str, list[str]] = {"a": [], "b": []}
    for place in order.tolist():
        members = groups[names[place]]
        missing = fraction * len(videos) - len(parts["a"])
        parts["a" if missing >= len(members) / 2 else "b"] += members
    if not parts["a"] or not parts["b"]:
        raise StoreError(f"{len(groups)} subjects cannot be split into parts of {fraction:g} and the rest")
    return parts
