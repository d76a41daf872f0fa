"""What is known to be equal in a store here and in its copy at a URL."""

from __future__ import annotations

import contextlib
import hashlib
import json
from collections.abc import Collection
from pathlib import Path
from typing import Any

from cache.atomic import atomic_write_text
from cache.objects import Entry


class Known:
    """What is known to be equal here and there, so that 100,000 small records need not be compared."""

    def __init__(self, store_dir: Path, url: str) -> None:
        digest = hashlib.sha256(url.encode()).hexdigest()[:8]
        self._path = store_dir / f"pushed-{digest}.json"
        self._known: dict[str, list[Any]] = {}
        with contextlib.suppress(OSError, ValueError):
            self._known = dict(json.loads(self._path.read_bytes()))

    def same(self, place: str, path: Path, entry: Entry | None) -> bool:
        """Whether neither file has changed since they were equal."""
        known = self._known.get(place)
        return entry is not None and known is not None and known == [*_stat(path), *entry]

    def is_changed_here(self, place: str, path: Path, entry: Entry) -> bool:
        """Whether the file here has changed or gone since they were equal, and the one there has not."""
        known = self._known.get(place)
        return known is not None and known[2:] == [*entry] and known[:2] != [*_stat(path)]

    def is_changed_there(self, place: str, path: Path, entry: Entry) -> bool:
        """Whether the file there has changed since they were equal, and the one here has not."""
        known = self._known.get(place)
        return known is not None and known[2:] != [*entry] and known[:2] == [*_stat(path)]

    def save(
        self, paths: dict[str, Path], there: dict[str, Entry], *, as_before: Collection[str] = ()
    ) -> None:
        """These are equal now, where they are here and there with one size. as_before: what stays known."""
        known = {
            p: [*_stat(f), *there[p]] for p, f in paths.items() if p in there and size_of(f) == there[p][0]
        }
        known |= {place: self._known[place] for place in as_before}
        atomic_write_text(self._path, json.dumps(known))


def forget_records(store_dir: Path, keys: Collection[str]) -> None:
    """Keep no key of these videos in what is known of any URL."""
    gone = {f"commits/{key}.json" for key in keys}
    for path in sorted(store_dir.glob("pushed-*.json")):
        try:
            known = dict(json.loads(path.read_bytes()))
        except ValueError:
            path.unlink()  # it is a cache, and of no use
            continue
        kept = {p: entry for p, entry in known.items() if p not in gone}
        if len(kept) < len(known):
            atomic_write_text(path, json.dumps(kept))


def _stat(path: Path) -> tuple[int, int]:
    """Size and time; -1 where there is no file."""
    try:
        stat = path.stat()
    except FileNotFoundError:
        return -1, -1
    return stat.st_size, stat.st_mtime_ns


def size_of(path: Path) -> int:
    """Bytes; -1 where there is no file."""
    return _stat(path)[0]
