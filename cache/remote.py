"""A store in an object store (S3, GCS, ... by fsspec): a copy here is worked on, and brought there.

The order makes a kill harmless at any point: first the shards, then the records that name them, so that what
a record there names is there. Nothing is deleted there but what was removed for good, and shards that no
record names, here or there. An object appears whole or not at all. One program at a time may push to a URL.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import re
import tempfile
import threading
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

from cache.errors import StoreError
from cache.objects import FIRST_WAIT_SECONDS, Bucket, Counter, Entry, Progress, RemoteError
from cache.place import refuse_strangers
from cache.pushed import Known, size_of
from cache.records import read_record
from cache.removals import Removals
from cache.store import Store

__all__ = ["Remote", "RemoteError", "default_local", "is_url", "mirrored"]

TOP_FILES = ("store.json", "failures.jsonl", "removals.jsonl", "manifest.parquet")
FOLDERS = ("", "shards", "commits")
PUSH_EVERY_SECONDS = 20.0

_URL = re.compile(r"[a-z][a-z0-9+.-]*(::|://)", re.IGNORECASE)


@dataclass(frozen=True)
class Transfer:
    """What a push or a pull moved."""

    num_files: int
    num_bytes: int
    num_deleted: int

    def __str__(self) -> str:
        return f"{self.num_files} files, {self.num_bytes / 1e6:.1f} MB, {self.num_deleted} deletions"


def is_url(text: str) -> bool:
    """Whether this names a place that fsspec opens, not a path here."""
    return _URL.match(text) is not None


def default_local(url: str) -> Path:
    """The copy here of the store at a URL, where nobody says another place: in the user's cache folder."""
    cache = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
    return cache / "videofer" / "stores" / hashlib.sha256(url.rstrip("/").encode()).hexdigest()[:16]


class Remote:
    """The store at one URL."""

    def __init__(self, url: str, *, wait_seconds: float = FIRST_WAIT_SECONDS) -> None:
        """Raises RemoteError when nothing installed here opens such a URL."""
        self.url = url.rstrip("/")
        self._bucket = Bucket(self.url, wait_seconds)

    def exists(self) -> bool:
        """Whether there is a store."""
        return self._bucket.exists("store.json")

    def push(self, store: Store, *, progress: Progress = lambda _done, _total: None) -> Transfer:
        """Bring the URL up to date with a store here. May go on beside a run that adds to the store.

        What is there and not here stays there, unless it was removed for good, here or there: then it is
        deleted there and not sent, also where this store still has it. What was changed only there since the
        last push or pull stays as it is. Raises RemoteError.
        """
        self._refuse_another(store)
        there, known = self._bucket.list(FOLDERS), Known(store.path, self.url)
        removals = self._take_over_removals(store.path, there)
        stale = {
            place
            for place, entry in there.items()
            if _group(place) != "shards/"
            and known.is_changed_there(place, store.path / place, entry)
            and self._differs(store.path / place, place, there)
        }
        records = {f"commits/{path.name}": path for path in store.commit_paths() if path.stem not in removals}
        records = {place: path for place, path in records.items() if place not in stale}
        videos = [video for video in store.videos() if f"commits/{video.key}.json" in records]
        named = {segment.shard for video in videos for segment in video.segments}
        dead = {p for p in there if p.startswith("commits/") and _key(p) in removals}
        named |= self._shards_named(
            p for p in there if p.startswith("commits/") and p not in {*records, *dead}
        )
        paths = {f"shards/{name}": store.shard_path(name) for name in sorted(named)} | records
        paths |= {name: store.path / name for name in TOP_FILES if name not in stale}
        new = {
            place: path
            for place, path in paths.items()
            if path.is_file()
            and not known.same(place, path, there.get(place))
            and self._differs(path, place, there)
        }
        counter = Counter(len(new), progress)
        self._bucket.put({p: path for p, path in new.items() if p == "removals.jsonl"}, counter)
        self._bucket.delete(sorted(dead))
        for group in ("shards/", "", "commits/"):
            self._bucket.put(
                {p: f for p, f in new.items() if _group(p) == group and p != "removals.jsonl"}, counter
            )
        unnamed = [p for p in there if p.startswith("shards/") and p.removeprefix("shards/") not in named]
        self._bucket.delete(unnamed)
        known.save(paths, self._bucket.list(FOLDERS), as_before=stale)
        return Transfer(counter.num_files, counter.num_bytes, len(dead) + len(unnamed))

    def push_new(self, store: Store, done: set[str]) -> None:
        """Push the records that are not in `done`, with their shards; then they are. Lists nothing."""
        removals = Removals(store.path)
        new = {
            path.name: path
            for path in store.commit_paths()
            if path.name not in done and path.stem not in removals
        }
        if not new:
            return
        if not done:
            self._refuse_another(store)
        named = {segment.shard for path in new.values() for segment in read_record(path).segments}
        shards = {f"shards/{shard}": store.shard_path(shard) for shard in named}
        counter = Counter()
        self._bucket.put({place: path for place, path in shards.items() if place not in done}, counter)
        tops = {name: store.path / name for name in TOP_FILES if (store.path / name).is_file()}
        self._bucket.put(tops, counter)
        self._bucket.put({f"commits/{name}": path for name, path in new.items()}, counter)
        done |= new.keys() | shards.keys()

    def pull(
        self, path: Path, *, shards: bool = True, progress: Progress = lambda _done, _total: None
    ) -> Transfer:
        """Bring a store here up to date with the URL, or make it. shards: fetch those that are not here.

        What was removed for good, here or there, is not fetched. What was changed only here since the last
        push or pull stays as it is. Raises RemoteError; StoreError when `path` holds another store.
        """
        if not self.exists():
            raise RemoteError(f"{self.url} is not a store: it has no store.json")
        path = Path(path)
        if not (path / "store.json").exists():  # a pull that was cut off left some of these
            refuse_strangers(path, {*FOLDERS, *TOP_FILES})
        for folder in (path / "shards", path / "commits"):
            folder.mkdir(parents=True, exist_ok=True)
        if (path / "store.json").exists():
            self._refuse_another(Store.open(path))
        there, known = self._bucket.list(FOLDERS), Known(path, self.url)
        removals = self._take_over_removals(path, there)
        named = {
            f"shards/{shard}"
            for file in (path / "commits").glob("[!.]*.json")
            for shard in _shards_in(file.read_bytes())
        }
        changed_here = {  # also shards that a removal dropped
            place
            for place, entry in there.items()
            if known.is_changed_here(place, path / place, entry)
            and (place not in named if _group(place) == "shards/" else (path / place).is_file())
        }
        wanted = [
            place
            for place, entry in there.items()
            if place not in changed_here
            and (_group(place) != "shards/" or shards)
            and not (_group(place) == "commits/" and _key(place) in removals)
            and not (_group(place) == "shards/" and size_of(path / place) == entry[0])
            and not known.same(place, path / place, entry)
            and place in {*TOP_FILES, place if "/" in place else ""} - {"removals.jsonl"}
        ]
        counter = Counter(len(wanted), progress)
        for group in ("shards/", "commits/", ""):  # store.json last: before it, this is no store
            places = [p for p in wanted if _group(p) == group]
            self._bucket.get([p for p in places if p != "store.json"], path, counter)
            self._bucket.get([p for p in places if p == "store.json"], path, counter)
        known.save({p: path / p for p in there if p not in changed_here}, there, as_before=changed_here)
        return Transfer(counter.num_files, counter.num_bytes, 0)

    def _differs(self, path: Path, place: str, there: dict[str, Entry]) -> bool:
        """Whether a file that nothing is known of has to be sent."""
        if place not in there or there[place][0] != path.stat().st_size:
            return True
        if place.startswith("shards/"):
            return False  # its name is its own, and it never changes
        return bool(self._bucket.read(place) != path.read_bytes())

    def _shards_named(self, places: Iterable[str]) -> set[str]:
        """Shards that records name which are only there."""
        found: set[str] = set()
        for place in places:
            found |= _shards_in(self._bucket.read(place))
        return found

    def _take_over_removals(self, path: Path, there: dict[str, Entry]) -> Removals:
        """What was removed for good there is removed for good here, too: all such removals."""
        removals = Removals(path)
        if "removals.jsonl" in there:
            with tempfile.TemporaryDirectory() as temp:
                self._bucket.get(["removals.jsonl"], Path(temp), Counter())
                removals.take_over(Removals(Path(temp)).entries())
        return removals

    def _refuse_another(self, store: Store) -> None:
        if not self.exists():
            return
        try:
            header = json.loads(self._bucket.read("store.json"))
            theirs = header["contract_hash"], header["codec"]
        except (ValueError, KeyError, TypeError):
            raise RemoteError(f"{self.url} holds a store.json that is unreadable") from None
        if theirs != (store.contract_hash, store.codec):
            raise RemoteError(
                f"{self.url} is a store with input contract {theirs[0]} and {theirs[1]} crops, "
                f"{store.path} has {store.contract_hash} and {store.codec}"
            )


@contextlib.contextmanager
def mirrored(
    url: str,
    local: Path | None = None,
    *,
    note: Callable[[str], None] = lambda _text: None,
    every_seconds: float = PUSH_EVERY_SECONDS,
    remote: Remote | None = None,
) -> Iterator[Path]:
    """A copy here of the store at a URL, to be worked on; what is committed in it is pushed while it is.

    Records are fetched first, so that what is there is not done again; shards are not. Pushes that fail are
    noted and tried again. Raises RemoteError, naming the copy, when the last one fails: nothing is lost then.
    """
    remote = remote or Remote(url)
    path = local or default_local(url)
    path.parent.mkdir(parents=True, exist_ok=True)
    if remote.exists():
        remote.pull(path, shards=False)
    ended = threading.Event()
    done = {record.name for record in (path / "commits").glob("[!.]*.json")}

    def push_now_and_then() -> None:
        while not ended.wait(every_seconds):
            try:
                if (path / "store.json").exists():
                    remote.push_new(Store.open(path), done)
            except (StoreError, OSError) as error:
                note(f"{error}; it is tried again")

    thread = threading.Thread(target=push_now_and_then, name="push", daemon=True)
    thread.start()
    try:
        yield path
    finally:
        ended.set()
        thread.join()
        if (path / "store.json").exists():
            try:
                remote.push(Store.open(path))
            except StoreError as error:
                raise RemoteError(
                    f"{error}; everything is in {path}: bring it there by `videofer store push {path} {url}`"
                ) from error


def _group(place: str) -> str:
    return place.rpartition("/")[0] + "/" if "/" in place else ""


def _shards_in(record: bytes) -> set[str]:
    """Shards that a commit record names."""
    return set(re.findall(r'"shard":"([^"/]+\.h5)"', record.decode(errors="replace")))


def _key(place: str) -> str:
    return place.removeprefix("commits/").removesuffix(".json")
