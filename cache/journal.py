"""Append-only files of JSON lines: one object a line, a torn line costs only itself."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any


class Journal:
    """A file of JSON objects that only grows. One writer at a time; readers at any time."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def append(self, entry: dict[str, Any], *, durable: bool = True) -> None:
        """Add one line; `durable` waits for the disk."""
        line = json.dumps(entry, allow_nan=False).encode() + b"\n"  # ASCII: also lone surrogates survive
        descriptor = os.open(self.path, os.O_RDWR | os.O_CREAT | os.O_APPEND, 0o666)
        try:
            size = os.fstat(descriptor).st_size
            if size and os.pread(descriptor, 1, size - 1) != b"\n":
                line = b"\n" + line  # a writer was killed in the middle of its line
            os.write(descriptor, line)
            if durable:
                os.fsync(descriptor)
        finally:
            os.close(descriptor)

    def entries(self) -> list[dict[str, Any]]:
        """All whole lines in order; torn ones are skipped, they were never finished."""
        return [entry for _, entry in self._lines() if entry is not None]

    def torn_lines(self) -> list[int]:
        """Numbers, from 1, of lines that cannot be read."""
        return [number for number, entry in self._lines() if entry is None]

    def _lines(self) -> list[tuple[int, dict[str, Any] | None]]:
        try:
            content = self.path.read_bytes()
        except FileNotFoundError:
            return []
        return [(n, _parse(line)) for n, line in enumerate(content.split(b"\n"), 1) if line]


def _parse(line: bytes) -> dict[str, Any] | None:
    try:
        entry = json.loads(line)
    except ValueError:
        return None
    return entry if isinstance(entry, dict) else None


class HashCache:
    """Remembers the content key of files by path, size and mtime, so that an archive is not read twice.

    A mere cache: losing it costs time, nothing else. Paths are strings as `os.fspath` gives them.
    """

    def __init__(self, path: Path) -> None:
        self._journal = Journal(path)
        self._keys: dict[tuple[str, int, int], str] | None = None

    def get(self, path: str, size: int, mtime_ns: int) -> str | None:
        """Key of the file as it was when last hashed with this size and time; None when unknown."""
        return self._load().get((path, size, mtime_ns))

    def put(self, path: str, size: int, mtime_ns: int, key: str) -> None:
        known = self._load()
        if known.get((path, size, mtime_ns)) == key:
            return
        known[path, size, mtime_ns] = key
        entry = {"path": path, "size": size, "mtime_ns": mtime_ns, "key": key}
        self._journal.append(entry, durable=False)

    def _load(self) -> dict[tuple[str, int, int], str]:
        if self._keys is None:
            self._keys = {
                (entry["path"], entry["size"], entry["mtime_ns"]): entry["key"]
                for entry in self._journal.entries()
                if {"path", "size", "mtime_ns", "key"} <= entry.keys()
            }
        return self._keys
