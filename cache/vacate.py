"""Moving whole videos out of a shard, so that it can be thrown or set away."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path

from cache.atomic import atomic_write, atomic_write_all, fsync_dir
from cache.errors import StoreError
from cache.journal import Journal
from cache.pending import pending_files, shards_in_pending
from cache.records import canonical_json, record_to_bytes
from cache.rewrite import by_shard, copy_segments, moved
from cache.schema import SegmentRecord, VideoRecord
from cache.store import Store


def vacate(
    store: Store, shard: str, records: Iterable[VideoRecord]
) -> tuple[list[VideoRecord], dict[str, str]]:
    """Copy the segments of these videos that lie in a shard into a new one, and let the records say so.

    Returns the videos as they are now, and why each video was not moved: key -> reason. Those keep their
    records as they were. A kill leaves each record at the old or the new place, where its segment is.
    """
    records = list(records)
    damaged: dict[str, str] = {}
    keys = {id(segment): record.key for record in records for segment in record.segments}

    def note(segment: SegmentRecord, reason: str) -> None:
        damaged[keys[id(segment)]] = reason

    folder = store.path / "shards"
    places = copy_segments(by_shard(folder, records, {shard}), folder, on_damaged=note)
    changed = [
        moved(record, places)
        for record in records
        if record.key not in damaged and any(segment.shard == shard for segment in record.segments)
    ]
    write_records(store, changed)
    by_key = {record.key: record for record in changed}
    return [by_key.get(record.key, record) for record in records], damaged


def write_records(store: Store, records: Iterable[VideoRecord]) -> None:
    """Replace commit records, each whole or not at all."""
    commits = store.path / "commits"
    atomic_write_all({commits / f"{record.key}.json": record_to_bytes(record) for record in records})


def unlink_all(paths: Iterable[Path]) -> list[str]:
    """Remove files that may be gone already, durably; names of those that were there."""
    removed, folders = [], set()
    for path in paths:
        if path.exists():
            path.unlink()
            removed.append(path.name)
            folders.add(path.parent)
    for folder in folders:
        fsync_dir(folder)
    return removed


def drop_pending(store: Store, shards: set[str]) -> list[str]:
    """Forget finished segments of unfinished videos that lie in these shards: they are done again."""
    keys = set(pending_files(store.path).values())
    touched = {key for key in keys if shards & shards_in_pending(store.path, without=keys - {key})}
    return unlink_all(path for path, key in pending_files(store.path).items() if key in touched)


def keep_lines(journal: Journal, keep: Iterable[dict[str, object]]) -> None:
    """Replace a journal by these entries, atomically."""
    with atomic_write(journal.path) as file:
        for entry in keep:
            file.write(canonical_json(entry).encode() + b"\n")


def renamed(record: VideoRecord, names: Iterable[str]) -> VideoRecord:
    """The record with further names."""
    return replace(record, names=list(dict.fromkeys([*record.names, *names])))


def known_keys(store: Store, wanted: Iterable[str]) -> dict[str, list[str]]:
    """What a user calls videos, by name or key -> the keys. Raises StoreError for what is not there.

    Also inputs that failed: parts of them may be here, and their names are.
    """
    by_name: dict[str, set[str]] = {}
    found = [(video.key, video.names) for video in store.videos()]
    found += [(failure.key, [failure.name]) for failure in store.failures() if failure.key is not None]
    for key, names in found:
        for name in (*names, key):
            by_name.setdefault(name, set()).add(key)
    wanted = list(wanted)
    for name in wanted:
        if name not in by_name:
            close = next((known for known in by_name if known.endswith("/" + name)), None)
            hint = f"; did you mean {close!r}?" if close else ""
            raise StoreError(f"{store.path} has no video {name!r}{hint}")
    return {name: sorted(by_name[name]) for name in wanted}
