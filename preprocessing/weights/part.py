"""The part of a file that has come so far: on disk, so that a later run goes on where this one was stopped.

Beside `NAME.partial` stands `NAME.partial.json`: the address it comes from and what the server said of the
file's version (ETag, date, length). The part is continued only where all of that is still the same. Whoever
holds the part has a lock on it, which the system takes back when its process dies, however it dies.
"""

from __future__ import annotations

import fcntl
import json
import logging
import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import BinaryIO

from cache.atomic import publish

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class Version:
    """Which version of which file a part belongs to. Empty strings: the server said nothing of it."""

    url: str
    etag: str
    date: str
    num_bytes: int | None

    @property
    def validator(self) -> str:
        """What a server compares to see whether its file is still the same; a weak ETag is no such thing."""
        return self.etag if self.etag and not self.etag.startswith("W/") else self.date


class Part:
    """An open `NAME.partial` whose lock this process holds."""

    def __init__(self, path: Path, file: BinaryIO) -> None:
        self.path = path
        self._file = file  # unbuffered, and whatever is written goes to its end
        self._note = path.with_name(path.name + ".json")
        self._fresh = path.with_name(path.name + ".json.new")  # a note that is being written

    @property
    def num_bytes(self) -> int:
        return os.fstat(self._file.fileno()).st_size

    def version(self) -> Version | None:
        """What the bytes that are here belong to; None if that is not known."""
        try:
            return Version(**json.loads(self._note.read_text(encoding="utf-8")))
        except (OSError, ValueError, TypeError):
            return None

    def restart(self, version: Version | None = None) -> None:
        """Drops what is here; what comes now belongs to `version`. Empty first: never old bytes, new note."""
        self._file.truncate(0)
        if version is None:
            self._note.unlink(missing_ok=True)
            return
        self._fresh.write_text(json.dumps(asdict(version)), encoding="utf-8")
        self._fresh.replace(self._note)

    def append(self, block: bytes) -> None:
        """Writes all of it, or raises: a disk that is nearly full takes a piece first, without an error."""
        rest = memoryview(block)
        while rest:
            rest = rest[self._file.write(rest) :]

    def become(self, target: Path) -> None:
        """It is the whole file and was checked: it gets its name, for good also after a power cut."""
        os.fsync(self._file.fileno())
        publish(self.path, target)
        self._forget()

    def remove(self) -> None:
        """Nothing is left of it."""
        self._forget()
        self.path.unlink(missing_ok=True)

    def _forget(self) -> None:
        self._note.unlink(missing_ok=True)
        self._fresh.unlink(missing_ok=True)  # of a process that was killed


@contextmanager
def hold(path: Path) -> Iterator[Part]:
    """The part at `path`, made if there is none; waits for another process that has it. OSError."""
    while True:
        file = path.open("ab", buffering=0)
        try:
            _lock(file, path)
            if _is_still_there(file, path):
                part = Part(path, file)
                try:
                    yield part
                finally:
                    if not part.num_bytes and _is_still_there(file, path):
                        part.remove()  # nothing came: no traces of it
                return
        finally:
            file.close()  # the lock goes with it


def _lock(file: BinaryIO, path: Path) -> None:
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        logger.warning("another process is downloading %s: waiting for it", path.stem)
        fcntl.flock(file, fcntl.LOCK_EX)


def _is_still_there(file: BinaryIO, path: Path) -> bool:
    """Whether the locked file still has its name: whoever held it before may have finished and renamed it."""
    try:
        return os.path.samestat(os.fstat(file.fileno()), path.stat())
    except FileNotFoundError:
        return False
