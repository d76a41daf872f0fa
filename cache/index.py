"""The index: all commit records in one file, because reading 100,000 small files takes long.

It is a cache. Each of its records carries the stamp of the commit file that it was read from, and counts only
while that file has the same; so the index can be deleted at any time, is completed rather than made anew when
videos are added, and is simply not written where the store is read-only.
"""

from __future__ import annotations

import contextlib
import gc
import json
import os
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import google_crc32c

from cache.atomic import atomic_write
from cache.records import canonical_json, read_record, record_from_dict
from cache.schema import SCHEMA_VERSION, VideoRecord

SETTLED_SECONDS = 0.5  # a file that changed this recently may change again within the tick of its clock
MAX_SHARE_NEW = 0.02  # of all records: for fewer new ones the index is not written again

Stamp = list[int]  # modification time in ns, size and inode of a commit file


def load_records(store_dir: Path) -> list[VideoRecord]:
    """All commit records by name. Raises CorruptError when one is damaged."""
    commits, index = store_dir / "commits", store_dir / "index.json"
    with _no_garbage_collection():
        stamps = _stamps(commits)
        indexed = read_index(index)
        known = {name: record for name, (stamp, record) in indexed.items() if stamps.get(name) == stamp}
        records = [
            record_from_dict(known[name]) if name in known else read_record(commits / name) for name in stamps
        ]
        is_gone = any(name not in stamps for name in indexed)  # a removed video must not stay in there
        if is_gone or len(stamps) - len(known) > MAX_SHARE_NEW * len(stamps):
            with contextlib.suppress(OSError):  # a read-only store has no index
                _write_index(index, commits, stamps, known)
        return sorted(records, key=lambda record: (*record.names[:1], record.key))


def commit_names(commits: Path) -> list[str]:
    """File names of all commit records."""
    with os.scandir(commits) as entries:
        return [entry.name for entry in entries if _is_record(entry.name)]


def _is_record(name: str) -> bool:
    return name.endswith(".json") and not name.startswith(".")  # hidden ones are on their way


def _stamps(commits: Path) -> dict[str, Stamp]:
    """Of each commit file what changes whenever it is replaced."""
    with os.scandir(commits) as entries:
        stats = [(entry.name, entry.stat()) for entry in entries if _is_record(entry.name)]
    return {name: [stat.st_mtime_ns, stat.st_size, stat.st_ino] for name, stat in stats}


def read_index(index: Path) -> dict[str, tuple[Stamp, dict[str, Any]]]:
    """Stamps and records by file name; nothing where the index is missing, damaged or of another version."""
    try:
        header, body = index.read_bytes().split(b"\n", 1)
        if header != _header(body):
            return {}
        return {name: (stamp, record) for name, stamp, record in json.loads(body)}
    except (OSError, ValueError, TypeError):
        return {}


def _write_index(
    index: Path, commits: Path, stamps: dict[str, Stamp], known: dict[str, dict[str, Any]]
) -> None:
    settled_ns = time.time_ns() - SETTLED_SECONDS * 1e9
    entries = [
        # A file that was replaced since its stamp was taken does not count: its stamp is another now.
        [name, stamp, known.get(name) or json.loads((commits / name).read_bytes())["record"]]
        for name, stamp in stamps.items()
        if stamp[0] < settled_ns
    ]
    if not entries and not index.exists():
        return
    body = canonical_json(entries).encode()
    with atomic_write(index) as file:
        file.write(_header(body) + b"\n" + body)


def _header(body: bytes) -> bytes:
    return f"{SCHEMA_VERSION} {google_crc32c.value(body)}".encode()


@contextmanager
def _no_garbage_collection() -> Iterator[None]:
    """Millions of objects are made and none is garbage: looking for it takes three quarters of the time."""
    was_enabled = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if was_enabled:
            gc.enable()
