"""Objects below one URL, by fsspec: listed, sent, fetched and deleted, with several tries each."""

from __future__ import annotations

import contextlib
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, TypeVar

from cache.atomic import PARTIAL_SUFFIX, fsync_file, publish
from cache.errors import StoreError

NUM_AT_ONCE = 8
NUM_TRIES = 4
FIRST_WAIT_SECONDS = 0.5  # before the second try; then twice as long each time

_VERSIONS = ("ETag", "etag", "md5Hash", "mtime", "LastModified", "last_modified", "updated", "created")
"""Fields of a listing that change when an object does; file systems differ."""

Entry = tuple[int, str]  # size and version of an object
Result = TypeVar("Result")
Progress = Callable[[int, int], None]


class RemoteError(StoreError):
    """The object store does not do what it is asked. One line that names the URL."""


class Counter:
    """Files moved so far, from several threads."""

    def __init__(self, total: int = 0, progress: Progress = lambda _done, _total: None) -> None:
        self.num_files = self.num_bytes = 0
        self._total, self._progress, self._lock = total, progress, threading.Lock()

    def add(self, num_bytes: int) -> None:
        with self._lock:
            self.num_files += 1
            self.num_bytes += num_bytes
            self._progress(self.num_files, self._total)


class Bucket:
    """The objects below a URL; their places are relative to it, with `/`."""

    def __init__(self, url: str, wait_seconds: float) -> None:
        """Raises RemoteError when nothing installed here opens such a URL."""
        import fsspec

        self.url = url
        self._wait_seconds = wait_seconds
        try:
            self._fs, root = fsspec.core.url_to_fs(url)
        except (ImportError, ValueError) as error:
            raise RemoteError(f"{url} cannot be opened: {error}") from None
        self._root = str(root).rstrip("/")

    def exists(self, place: str) -> bool:
        """Whether there is such an object."""
        return bool(self._try(lambda: self._fs.exists(f"{self._root}/{place}")))

    def read(self, place: str) -> bytes:
        """Content of a small object. Raises FileNotFoundError."""
        return bytes(self._try(lambda: self._fs.cat_file(f"{self._root}/{place}")))

    def list(self, folders: Sequence[str]) -> dict[str, Entry]:
        """Size and version of each object in these folders by its place; "" is the top."""
        found: dict[str, Entry] = {}
        self._fs.invalidate_cache()
        for folder in folders:
            where = f"{self._root}/{folder}" if folder else self._root
            try:
                entries = self._try(lambda where=where: self._fs.ls(where, detail=True))  # type: ignore[misc]
            except FileNotFoundError:
                continue
            for entry in entries:
                name = str(entry["name"]).rstrip("/").rpartition("/")[2]
                if entry["type"] == "file" and not name.startswith("."):
                    version = next((str(entry[field]) for field in _VERSIONS if entry.get(field)), "")
                    found[f"{folder}/{name}" if folder else name] = int(entry["size"]), version
        return found

    def put(self, files: Mapping[str, Path], counter: Counter) -> None:
        """Send files to their places, each whole or not at all."""

        def send(place: str) -> None:
            path = files[place]
            target = f"{self._root}/{place}"

            def once() -> None:
                self._fs.makedirs(target.rpartition("/")[0], exist_ok=True)
                if "file" in _protocols(self._fs):  # no object store: a name may show half a file
                    self._fs.put_file(str(path), f"{target}{PARTIAL_SUFFIX}")
                    self._fs.mv(f"{target}{PARTIAL_SUFFIX}", target)
                else:
                    self._fs.put_file(str(path), target)

            self._try(once)
            counter.add(path.stat().st_size)

        _at_once(send, list(files))

    def get(self, places: Sequence[str], path: Path, counter: Counter) -> None:
        """Fetch objects to their places below `path`, each whole or not at all."""

        def fetch(place: str) -> None:
            target = path / place
            temp = target.with_name(f".{target.name}.tmp")
            self._try(lambda: self._fs.get_file(f"{self._root}/{place}", str(temp)))
            fsync_file(temp)
            publish(temp, target)
            counter.add(target.stat().st_size)

        _at_once(fetch, places)

    def delete(self, places: Sequence[str]) -> None:
        """Delete objects; those that are gone already are no matter."""
        for place in places:
            with contextlib.suppress(FileNotFoundError):
                self._try(lambda place=place: self._fs.rm_file(f"{self._root}/{place}"))  # type: ignore[misc]

    def _try(self, do: Callable[[], Result]) -> Result:
        """Networks fail now and then: several tries. FileNotFoundError is an answer, not a failure."""
        for number in range(NUM_TRIES):
            try:
                return do()
            except FileNotFoundError:
                raise
            except Exception as error:  # every file system raises its own
                if number == NUM_TRIES - 1:
                    what = " ".join(str(error).split()) or type(error).__name__
                    raise RemoteError(f"{self.url} does not answer: {what}") from error
                time.sleep(self._wait_seconds * 2**number)
        raise AssertionError("unreachable")


def _at_once(do: Callable[[str], None], places: Sequence[str]) -> None:
    with ThreadPoolExecutor(NUM_AT_ONCE) as pool:
        for future in [pool.submit(do, place) for place in places]:
            future.result()


def _protocols(fs: Any) -> tuple[str, ...]:
    return (fs.protocol,) if isinstance(fs.protocol, str) else tuple(fs.protocol)
