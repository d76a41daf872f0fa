"""Finished segments of unfinished videos, `pending/<key>-<index>.json`, as upkeep sees them: JSON."""

from __future__ import annotations

import json
import re
from collections.abc import Collection
from pathlib import Path
from typing import Any

from cache.errors import CorruptError

_SHARD = re.compile(r"[^/\\]+\.h5")


def pending_files(store_dir: Path) -> dict[Path, str]:
    """The files, each with the key of its video."""
    paths = sorted((store_dir / "pending").glob("[!.]*.json"))
    return {path: path.stem.rpartition("-")[0] or path.stem for path in paths}


def shards_in_pending(store_dir: Path, *, without: Collection[str] = ()) -> set[str]:
    """Names of the shards that pending segments lie in, but for the videos `without`.

    Raises CorruptError, naming the file, when one cannot be read.
    """
    return {
        shard
        for path, key in pending_files(store_dir).items()
        if key not in without
        for shard in _shards(_read(path))
    }


def _read(path: Path) -> Any:
    try:
        return json.loads(path.read_bytes())
    except FileNotFoundError:  # a run is going on
        return None
    except ValueError as error:
        raise CorruptError(f"pending segment {path} is unreadable: {error}") from None


def _shards(value: Any) -> set[str]:
    """Every text that is the name of a shard, wherever it stands."""
    if isinstance(value, str):
        return {value} if _SHARD.fullmatch(value) else set()
    parts = value.values() if isinstance(value, dict) else value if isinstance(value, list) else ()
    return set().union(*(_shards(part) for part in parts))
