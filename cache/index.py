"""The index: all commit records in one file, because reading 100,000 small files takes long.

It is a cache. It carries a fingerprint of the commits folder and is rebuilt whenever that differs, so it can
be deleted at any time and is simply not written where the store is read-only.
"""

from __future__ import annotations

import contextlib
import json
import time
from dataclasses import asdict
from pathlib import Path

import google_crc32c

from cache.atomic import atomic_write
from cache.records import canonical_json, read_record, record_from_dict
from cache.schema import SCHEMA_VERSION, VideoRecord

SETTLED_SECONDS = 0.5  # a folder that changed this recently may change again within the tick of its clock


def load_records(store_dir: Path) -> list[VideoRecord]:
    """All commit records by name. Raises CorruptError when one is damaged."""
    commits, index = store_dir / "commits", store_dir / "index.json"
    fingerprint = _fingerprint(commits)
    records = _read_index(index, fingerprint)
    if records is None:
        records = [read_record(path) for path in commits.glob("[!.]*.json")]
        records.sort(key=lambda record: (record.names[:1], record.key))
        settled = time.time_ns() - commits.stat().st_mtime_ns > SETTLED_SECONDS * 1e9
        if settled and _fingerprint(commits) == fingerprint:
            with contextlib.suppress(OSError):  # a read-only store has no index
                _write_index(index, fingerprint, records)
    return records


def _fingerprint(commits: Path) -> str:
    """Changes with every commit and every added name: each renames a file into the folder."""
    mtime_ns = commits.stat().st_mtime_ns
    names = sorted(path.name for path in commits.glob("[!.]*.json"))
    digest = google_crc32c.value("\n".join(names).encode())
    return f"{SCHEMA_VERSION}-{mtime_ns}-{len(names)}-{digest}"


def _read_index(index: Path, fingerprint: str) -> list[VideoRecord] | None:
    try:
        header, body = index.read_bytes().split(b"\n", 1)
        if header != _header(fingerprint, body):
            return None
        return [record_from_dict(record) for record in json.loads(body)]
    except (OSError, ValueError):
        return None


def _write_index(index: Path, fingerprint: str, records: list[VideoRecord]) -> None:
    body = canonical_json([asdict(record) for record in records]).encode()
    with atomic_write(index) as file:
        file.write(_header(fingerprint, body) + b"\n" + body)


def _header(fingerprint: str, body: bytes) -> bytes:
    return f"{fingerprint} {google_crc32c.value(body)}".encode()
