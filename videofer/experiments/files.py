"""Text files of an experiment."""

from __future__ import annotations

from pathlib import Path

from cache.atomic import atomic_write


def write_text(path: Path, text: str) -> None:
    """Writes a file that is there whole or not at all, also after a kill."""
    with atomic_write(path) as file:
        file.write(text.encode("utf-8"))
