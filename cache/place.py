"""Whether a folder may become a store: a store mixed with somebody's files cannot be told from them again."""

from __future__ import annotations

from collections.abc import Set
from pathlib import Path

from cache.atomic import TEMP_SUFFIX
from cache.errors import StoreError


def refuse_strangers(path: Path, known: Set[str]) -> None:
    """StoreError where there is a file, or a folder that holds anything but those names and left-overs."""
    try:
        names = sorted(entry.name for entry in path.iterdir())
    except FileNotFoundError:
        return
    except NotADirectoryError:
        file = next((one for one in (path, *path.parents) if one.is_file()), path)
        raise StoreError(f"{file} is a file, not a folder for a store") from None
    strangers = [n for n in names if n not in known and not (n[0] == "." and n.endswith(TEMP_SUFFIX))]
    if strangers:
        raise StoreError(f"{path} is neither empty nor a store: it holds {strangers[0]!r}")
