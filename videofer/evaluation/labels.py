"""The labels of a store's videos: its own manifest or a file, joined with what the store holds."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import pandas as pd

from cache.store import Store
from videofer.datasets.manifest import ManifestError, join_store, normalise, read_manifest


def load_labels(
    store: Store, manifest: Path | None, classes: Sequence[str]
) -> tuple[pd.DataFrame, list[str]]:
    """The manifest with a column `key` (see `join_store`), and a line for each name the store has not got.

    `manifest`: a file; None: the store's own. ManifestError in one line where there is none or it is wrong.
    """
    if manifest is not None:
        table = read_manifest(manifest, classes=classes)
    else:
        stored = store.manifest()
        if stored is None:
            raise ManifestError(f"{store.path} has no labels: give a manifest")
        table = normalise(stored, source=f"the manifest of {store.path}", classes=classes)
    return join_store(table, store.videos())
