"""What was removed from a store for good, so that it does not come back by accident.

`removals.jsonl` holds no names and no keys: only hashes of keys, when, and the reason that was given.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from cache.journal import Journal

DEFAULT_REASON = "removed from the store"


class Removals:
    """The journal of removals of one store, as it is now. Who adds to it holds the store's lock."""

    def __init__(self, store_dir: Path) -> None:
        self._journal = Journal(Path(store_dir) / "removals.jsonl")
        self._entries: dict[str, dict[str, Any]] = {}  # by hash of the key; the first one counts
        for entry in self._journal.entries():
            if isinstance(entry.get("key_sha256"), str):
                self._entries.setdefault(entry["key_sha256"], entry)

    def __len__(self) -> int:
        return len(self._entries)

    def __contains__(self, key: str) -> bool:
        return hash_of(key) in self._entries

    def reason(self, key: str) -> str | None:
        """Why a video with this key must not be stored, for the user; None where it may be."""
        entry = self._entries.get(hash_of(key))
        if entry is None:
            return None
        return f"this content was removed on {str(entry.get('time', '?'))[:10]}: {entry.get('reason', '?')}"

    def entries(self) -> list[dict[str, Any]]:
        """One for each removed content: `key_sha256`, `time` (ISO, UTC), `reason`."""
        return list(self._entries.values())

    def add(self, keys: Iterable[str], reason: str = DEFAULT_REASON) -> None:
        """Remember contents as removed, durably."""
        now = datetime.now(UTC).isoformat(timespec="seconds")
        self.take_over({"key_sha256": hash_of(key), "time": now, "reason": reason} for key in keys)

    def take_over(self, entries: Iterable[dict[str, Any]]) -> None:
        """Add entries of another store's journal that are not here yet, durably."""
        new = [entry for entry in entries if entry["key_sha256"] not in self._entries]
        for place, entry in enumerate(new, 1):
            self._journal.append(entry, durable=place == len(new))
            self._entries[entry["key_sha256"]] = entry


def hash_of(key: str) -> str:
    """What stands for a key in the journal."""
    return hashlib.sha256(f"videofer removed {key}".encode()).hexdigest()
