"""A store of preprocessed videos: a folder of immutable shards, and the records that say what is in it.

What no commit record names does not exist. Only the driver writes here (workers write shards, see
`cache.shard`); a lock keeps a second one out. Everything written survives a kill: files appear whole or not
at all, and the index is a cache that is rebuilt from the commit records.
"""

from __future__ import annotations

import fcntl
import hashlib
import json
import os
import re
import socket
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict, fields, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from cache.atomic import PARTIAL_SUFFIX, atomic_write, finish_writing, sweep_temps, write_together
from cache.errors import StoreError
from cache.index import commit_names, load_records
from cache.journal import HashCache, Journal
from cache.pending import shards_in_pending
from cache.place import refuse_strangers
from cache.records import canonical_json, read_record, record_to_bytes
from cache.schema import SCHEMA_VERSION, Codec, FailureRecord, VideoRecord

if TYPE_CHECKING:
    import pandas as pd

__all__ = ["Store", "StoreError", "contract_hash", "describe_differences"]

COMMITTING = "committing.json"  # what is being committed, until it is
_HEADER_KEYS = {"spec", "contract", "contract_hash", "codec"}
KEY_PATTERN = re.compile(r"[A-Za-z0-9_-]{1,128}")  # a key is a file name


class Store:
    """One store on disk. Make it by `Store.create` or `Store.open`."""

    def __init__(self, path: Path, header: dict[str, Any]) -> None:
        self.path = path
        self.spec: dict[str, Any] = header["spec"]
        self.contract: dict[str, Any] = header["contract"]
        self.contract_hash: str = header["contract_hash"]
        self.codec: Codec = header["codec"]
        self.hash_cache = HashCache(path / "hashes.jsonl")
        self._failures = Journal(path / "failures.jsonl")

    @classmethod
    def create(cls, path: Path, *, spec: dict[str, Any], contract: dict[str, Any], codec: Codec) -> Store:
        """Make a new store; its folder may exist if it is empty. Raises StoreError when it is not."""
        path = Path(path)
        if (path / "store.json").exists():
            raise StoreError(f"{path} is a store already")
        refuse_strangers(path, {"shards", "commits"})
        for folder in (path / "shards", path / "commits"):
            folder.mkdir(parents=True, exist_ok=True)
        header = {
            "schema_version": SCHEMA_VERSION,
            "codec": codec,
            "contract_hash": contract_hash(contract),
            "contract": contract,
            "spec": spec,
        }
        with atomic_write(path / "store.json") as file:  # last: before it, this is no store
            file.write(json.dumps(json.loads(canonical_json(header)), indent=2).encode() + b"\n")
        return cls.open(path)

    @classmethod
    def open(cls, path: Path, *, contract: dict[str, Any] | None = None) -> Store:
        """Open a store; with `contract`, only if it was made under this one.

        Raises StoreError: not a store, another schema version, another contract (naming the fields).
        """
        path = Path(path)
        try:
            header = json.loads((path / "store.json").read_bytes())
            version = header["schema_version"]
            if version == SCHEMA_VERSION and not header.keys() >= _HEADER_KEYS:
                raise KeyError
        except (FileNotFoundError, NotADirectoryError):
            raise StoreError(f"{path} is not a store: it has no store.json") from None
        except (ValueError, KeyError, TypeError):
            raise StoreError(f"{path} is not a store: its store.json is unreadable") from None
        if version != SCHEMA_VERSION:
            raise StoreError(f"{path} has schema version {version}, this program reads {SCHEMA_VERSION}")
        if header["contract_hash"] != contract_hash(header["contract"]):
            raise StoreError(f"{path}/store.json was changed: its input contract does not match its hash")
        if contract is not None and contract_hash(contract) != header["contract_hash"]:
            differences = describe_differences(header["contract"], contract)
            raise StoreError(f"{path} has another input contract: {differences}; take another folder")
        return cls(path, header)

    @contextmanager
    def lock(self) -> Iterator[None]:
        """Hold the store for writing. Raises StoreError, naming the holder, when another driver has it.

        The lock ends with its process, however it ends. A commit that was cut short is finished first.
        """
        descriptor = os.open(self.path / "lock", os.O_RDWR | os.O_CREAT, 0o666)
        try:
            try:
                fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                holder = os.pread(descriptor, 4096, 0).decode(errors="replace").strip() or "another process"
                raise StoreError(f"{self.path} is in use by {holder}") from None
            os.ftruncate(descriptor, 0)
            since = time.strftime("%Y-%m-%d %H:%M:%S")
            holder = f"process {os.getpid()} on {socket.gethostname()} since {since}"
            os.pwrite(descriptor, holder.encode(), 0)
            try:
                finish_writing(self.path / COMMITTING)
                yield
            finally:
                os.ftruncate(descriptor, 0)
        finally:
            os.close(descriptor)

    def commit(self, record: VideoRecord) -> bool:
        """Make a finished video exist, durably. False, and nothing changes, when its key is there already.

        Raises StoreError when a shard it names is not sealed.
        """
        return self.commit_all([record])[0]

    def commit_all(
        self, records: Sequence[VideoRecord], also: Mapping[Path, bytes] | None = None
    ) -> list[bool]:
        """`commit` for all videos of a shard that was sealed: one wait for the disk, and all of them or none.

        also: further files of the store that belong to the same shard. If only some of its videos existed
        after a kill, the others would be done again, and their bytes would stay in it for nothing.
        """
        contents: dict[Path, bytes] = dict(also or {})
        committed = []
        for record in records:
            path = self._commit_path(record.key)
            committed.append(path not in contents and not path.exists())
            if committed[-1]:
                self._require_sealed(record)
                contents[path] = record_to_bytes(record)
        if contents:
            write_together(self.path / COMMITTING, contents)
        return committed

    def add_name(self, key: str, name: str) -> None:
        """Remember a further name of the same content."""
        record = self.video(key)
        if name not in record.names:
            with atomic_write(self._commit_path(key)) as file:
                file.write(record_to_bytes(replace(record, names=[*record.names, name])))

    def keys(self) -> set[str]:
        """Keys of all committed videos, by a listing of the folder."""
        return {name.removesuffix(".json") for name in commit_names(self.path / "commits")}

    def videos(self) -> list[VideoRecord]:
        """All committed videos by name. Raises StoreError when a record is damaged."""
        return load_records(self.path)

    def video(self, key: str) -> VideoRecord:
        """The record of one video. Raises StoreError when there is none."""
        try:
            return read_record(self._commit_path(key))
        except FileNotFoundError:
            raise StoreError(f"{self.path} has no video with key {key}") from None

    def commit_paths(self) -> list[Path]:
        """Files of the commit records."""
        return sorted((self.path / "commits").glob("[!.]*.json"))

    def shard_path(self, shard: str) -> Path:
        """Where a shard of this name lies. Raises StoreError when the name would lead elsewhere."""
        if Path(shard).name != shard or not shard.endswith(".h5"):
            raise StoreError(f"{shard!r} is not the name of a shard")
        return self.path / "shards" / shard

    def record_failure(self, failure: FailureRecord) -> None:
        """Remember that an input could not be stored."""
        self._failures.append(asdict(failure))

    def clear_failure(self, path: str) -> None:
        """Forget the failures of an input, e.g. because it is stored now.

        Callers ask only for paths that have one: reading the journal each time would be quadratic.
        """
        self._failures.append({"path": path, "cleared": True})

    def failures(self) -> list[FailureRecord]:
        """The latest failure of each path that has one, in the order of their first failing."""
        names = {field.name for field in fields(FailureRecord)}
        latest: dict[str, FailureRecord] = {}
        for entry in self._failures.entries():
            if entry.get("cleared"):
                latest.pop(entry.get("path", ""), None)
            elif names <= entry.keys():
                latest[entry["path"]] = FailureRecord(**{name: entry[name] for name in names})
        return list(latest.values())

    def sweep_partials(self) -> list[str]:
        """Remove what dead runs left: partial shards, sealed shards that no record names, temporary files.

        Shards of pending segments stay. Only while holding the lock, before the workers start. Returns the
        names removed. Raises StoreError when a commit record or a pending segment is damaged, because then it
        is not known which shards are in use.
        """
        named = {segment.shard for video in self.videos() for segment in video.segments}
        named |= shards_in_pending(self.path)
        removed = []
        for path in sorted((self.path / "shards").iterdir()):
            if path.name.endswith(PARTIAL_SUFFIX) or (path.suffix == ".h5" and path.name not in named):
                path.unlink()
                removed.append(path.name)
        for folder in (self.path, self.path / "commits", self.path / "pending"):
            removed += sweep_temps(folder)
        return removed

    def write_manifest(self, manifest: pd.DataFrame) -> None:
        """Replace manifest.parquet, atomically."""
        with atomic_write(self.path / "manifest.parquet") as file:
            manifest.to_parquet(file)

    def manifest(self) -> pd.DataFrame | None:
        """The table of labels, None when the store has none."""
        import pandas as pd

        path = self.path / "manifest.parquet"
        return pd.read_parquet(path) if path.exists() else None

    def _require_sealed(self, record: VideoRecord) -> None:
        for shard in {segment.shard for segment in record.segments}:
            if not self.shard_path(shard).is_file():
                raise StoreError(f"cannot commit {record.key}: its shard {shard} is not in {self.path}")

    def _commit_path(self, key: str) -> Path:
        if not KEY_PATTERN.fullmatch(key):
            raise StoreError(f"{key!r} is not a video key: letters, digits, - and _ only")
        return self.path / "commits" / f"{key}.json"


def contract_hash(contract: dict[str, Any]) -> str:
    """First 16 hex digits of the SHA-256 of the canonical JSON."""
    return hashlib.sha256(canonical_json(contract).encode()).hexdigest()[:16]


def describe_differences(stored: dict[str, Any], given: dict[str, Any]) -> str:
    """One line that names each top-level field in which two contracts or specs differ, with both values."""
    absent = "(absent)"
    stored, given = json.loads(canonical_json(stored)), json.loads(canonical_json(given))
    return "; ".join(
        f"{name}: stored {stored.get(name, absent)}, given {given.get(name, absent)}"
        for name in sorted(stored.keys() | given.keys())
        if stored.get(name, absent) != given.get(name, absent)
    )
