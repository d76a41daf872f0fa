"""The manifest's rows and the videos they are of."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from cache.errors import CorruptError
from cache.schema import VideoRecord
from cache.store import Store

if TYPE_CHECKING:
    import pandas as pd


def read_labels(store: Store) -> pd.DataFrame | None:
    """The manifest as it is. Raises CorruptError when it is unreadable."""
    try:
        return store.manifest()
    except (OSError, ValueError) as error:  # pyarrow's errors are of these kinds
        what = " ".join(str(error).split())
        raise CorruptError(f"{store.path / 'manifest.parquet'} is unreadable: {what}") from error


def labels_of(store: Store, videos: Sequence[VideoRecord] | None = None) -> pd.DataFrame | None:
    """The manifest with a column `key`; None when there is none.

    Preprocessing writes that column. A table that was put there without it is joined by equal names; rows of
    unknown names have no key (None).
    """
    table = read_labels(store)
    if table is None or "key" in table.columns or "name" not in table.columns:
        return table
    keys = {name: v.key for v in (store.videos() if videos is None else videos) for name in v.names}
    return table.assign(key=table["name"].map(keys))
