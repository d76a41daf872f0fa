"""All weights in one file, for a machine without network: a tar with a manifest of hashes at its head.

What is unpacked is held to the manifest, and what the registry knows to the registry as well: a pack cannot
bring another file under a known name. Only plain files that the manifest names are read, and none goes
anywhere but into the folder.
"""

from __future__ import annotations

import hashlib
import io
import json
import re
import tarfile
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import IO, Literal

from pydantic import TypeAdapter, ValidationError

from cache.atomic import atomic_write
from preprocessing.weights.check import OtherFileError, check, check_hash
from preprocessing.weights.choice import sha256_of
from preprocessing.weights.order import is_plain_name
from preprocessing.weights.present import Present
from preprocessing.weights.record import Record, read_record, record_of, write_record
from preprocessing.weights.registry import Registry, Weight, WeightsError

MANIFEST = "manifest.json"
FORMAT: Literal["videofer weights 1"] = "videofer weights 1"
LARGEST_MANIFEST = 1 << 20
BLOCK = 1 << 20


@dataclass(frozen=True)
class _Manifest:
    format: Literal["videofer weights 1"]
    files: list[Record]


Progress = Callable[[int, int], None]
"""Called with the bytes that are done and how many there are in all."""


def pack(target: Path, files: Sequence[Present], progress: Progress | None = None) -> list[Record]:
    """Writes files with their records into a new tar at `target`, whole or not at all.

    Each is checked first. WeightsError if one is not what it should be, if there are none, or if there is
    something at `target`.
    """
    if target.exists():
        raise WeightsError(f"{target} is there already")
    if not files:
        raise WeightsError("there are no weights here to pack: `videofer weights fetch` brings some")
    records = [_record(one) for one in files]
    manifest = json.dumps(asdict(_Manifest(FORMAT, records)), indent=2).encode()
    total, done = sum(record.num_bytes for record in records), 0
    with atomic_write(target) as file, tarfile.open(fileobj=file, mode="w", format=tarfile.PAX_FORMAT) as tar:
        tar.addfile(_plain(MANIFEST, len(manifest)), io.BytesIO(manifest))
        for one, record in zip(files, records, strict=True):
            with one.path.open("rb") as content:
                tar.addfile(_plain(record.file, record.num_bytes), content)
            done += record.num_bytes
            if progress is not None:
                progress(done, total)
    return records


def contents(path: Path, registry: Registry) -> list[Record]:
    """What a pack says that it holds; the licences of known files are those of the registry. WeightsError."""
    with _opened(path) as tar:
        return _manifest(tar, path, registry)


def unpack(path: Path, folder: Path, registry: Registry, progress: Progress | None = None) -> list[Path]:
    """Brings the files of a pack into a folder, each checked and whole or not there; those that are new.

    A file that is there already stays if it is the same. WeightsError if the pack is damaged or is none, if
    a file is not what the manifest or the registry says, or if another of its name is there: those before it
    stay.
    """
    with _opened(path) as tar:
        records = {record.file: record for record in _manifest(tar, path, registry)}
        folder.mkdir(parents=True, exist_ok=True)
        total, done = sum(record.num_bytes for record in records.values()), 0
        written: list[Path] = []
        while (member := tar.next()) is not None:
            record = records.pop(member.name, None)
            if record is None or not member.isreg() or member.size != record.num_bytes:
                raise WeightsError(f"{path} has a member {member.name!r} that its manifest does not name")
            content = tar.extractfile(member)
            assert content is not None  # it is a plain file
            if _bring(content, record, folder, registry.find(record.file), path):
                written.append(folder / record.file)
            done += record.num_bytes
            if progress is not None:
                progress(done, total)
    if records:
        raise WeightsError(f"{path} is cut off: {', '.join(records)} not in it")
    return written


def _bring(content: IO[bytes], record: Record, folder: Path, known: Weight | None, path: Path) -> bool:
    """One file into the folder; False if it was there."""
    target = folder / record.file
    if target.exists():
        if sha256_of(target) != record.sha256:
            raise WeightsError(f"{target} is there and is another file than that in {path}: remove it first")
        return False
    hasher = hashlib.sha256()
    with atomic_write(target) as file:
        while block := content.read(BLOCK):
            hasher.update(block)
            file.write(block)
        found = hasher.hexdigest()
        try:
            check_hash(found, known, read_record(target))
            check_hash(found, None, record)
        except OtherFileError as error:
            raise WeightsError(f"{record.file} in {path} is not {error}; not used") from error
        write_record(target, record)
    return True


def _record(one: Present) -> Record:
    """What the manifest says of a file, which is checked for it."""
    check(one.path, one.known)
    sha256, num_bytes = sha256_of(one.path), one.path.stat().st_size
    record = read_record(one.path)
    if record is None:
        assert one.known is not None  # one that is not known is here because it has a record
        return record_of(one.known, sha256, num_bytes)
    return replace(record, file=one.path.name, sha256=sha256, num_bytes=num_bytes)


def _plain(name: str, num_bytes: int) -> tarfile.TarInfo:
    """The same for the same files, whoever packs them and when."""
    info = tarfile.TarInfo(name)
    info.size, info.mode = num_bytes, 0o644
    return info


@contextmanager
def _opened(path: Path) -> Iterator[tarfile.TarFile]:
    """A plain tar, never a compressed one: that could be a hundred times as large as it looks."""
    try:
        with tarfile.open(path, "r:") as tar:
            yield tar
    except (tarfile.TarError, EOFError) as error:
        raise WeightsError(f"{path} is no whole pack of weights: {error}") from error


def _manifest(tar: tarfile.TarFile, path: Path, registry: Registry) -> list[Record]:
    first = tar.next()
    if first is None or first.name != MANIFEST or not first.isreg() or first.size > LARGEST_MANIFEST:
        raise WeightsError(f"{path} is no pack of weights: it does not begin with {MANIFEST}")
    content = tar.extractfile(first)
    assert content is not None  # it is a plain file
    try:
        manifest = TypeAdapter(_Manifest).validate_json(content.read(), strict=True)
    except ValidationError as error:
        wrong = error.errors()[0]
        where = ".".join(map(str, wrong["loc"]))
        raise WeightsError(f"the manifest of {path} is none: {where}: {wrong['msg']}") from error
    for record in manifest.files:
        if not is_plain_name(record.file) or not re.fullmatch("[0-9a-f]{64}", record.sha256):
            raise WeightsError(f"the manifest of {path} names {record.file!r}, which is no file of weights")
    return [_as_known(record, registry.find(record.file)) for record in manifest.files]


def _as_known(record: Record, known: Weight | None) -> Record:
    """What the registry says of a file's licence holds, whatever the pack says."""
    if known is None:
        return record
    return replace(
        record, url=known.url, licence=known.licence, commercial=known.commercial, citation=known.citation
    )
