"""Into which parts a store is split: by a column of its manifest, or by shares."""

from __future__ import annotations

import re
from collections.abc import Sequence

import numpy as np
import pandas as pd

from cache.errors import StoreError
from cache.schema import VideoRecord

REST = "rest"  # videos of which the column says nothing
_SAFE = re.compile(r"[^\w.-]+")


def by_column(
    videos: Sequence[VideoRecord], manifest: pd.DataFrame | None, column: str
) -> dict[str, list[str]]:
    """Keys by value of the column. Raises StoreError where a video has two values, or a name is unsafe."""
    if manifest is None or "key" not in manifest.columns:
        raise StoreError("the store has no manifest: split it by --fraction, or give it labels first")
    if column not in manifest.columns:
        raise StoreError(
            f"the manifest has no column {column!r}, it has {', '.join(map(str, manifest.columns))}"
        )
    parts: dict[str, list[str]] = {}
    values = {str(key): set(map(str, rows.dropna())) for key, rows in manifest.groupby("key")[column]}
    for video in videos:
        mine = values.get(video.key, set())
        if len(mine) > 1:
            raise StoreError(f"{video.names[0]!r} has several values of {column}: {', '.join(sorted(mine))}")
        name = mine.pop() if mine else REST
        safe = _SAFE.sub("_", name).strip(".") or "_"
        parts.setdefault(safe, []).append(video.key)
    return dict(sorted(parts.items()))


def by_fraction(
    videos: Sequence[VideoRecord], manifest: pd.DataFrame | None, fraction: float, seed: int = 0
) -> dict[str, list[str]]:
    """Parts "a" with about this share of the videos and "b" with the others, no subject in both."""
    if not 0 < fraction < 1:
        raise StoreError(f"the fraction must be between 0 and 1, not {fraction:g}")
    groups: dict[str, list[str]] = {}
    subjects: dict[str, str] = {}
    if manifest is not None and {"key", "subject"} <= set(manifest.columns):
        known = manifest.dropna(subset=["subject"])
        subjects = dict(zip(known["key"].astype(str), known["subject"].astype(str), strict=True))
    for video in videos:
        groups.setdefault(
            f"subject {subjects[video.key]}" if video.key in subjects else video.key, []
        ).append(video.key)
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
