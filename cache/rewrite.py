"""Segments copied from shard to shard as they are, byte for byte: nothing is decoded or encoded again.

A segment is self-contained below its HDF5 group, so the group is copied with its attributes and checksums.
The copy is read back and every checksum of it is checked before it takes its name.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import replace
from itertools import groupby
from operator import itemgetter
from pathlib import Path
from typing import Any
from uuid import uuid4

from cache.atomic import PARTIAL_SUFFIX, fsync_file, publish
from cache.check import check_segments
from cache.errors import CorruptError, StoreError
from cache.layout import SEGMENTS, tree_path
from cache.schema import SegmentRecord, VideoRecord
from cache.sealed import open_shard

Place = tuple[str, str]  # shard and HDF5 group of a segment
MAX_SHARD_BYTES = 1 << 30
_CONTENT = ("schema_version", "codec", "crop_size", "jpeg_quality")


def place_of(segment: SegmentRecord) -> Place:
    """Where a segment lies."""
    return segment.shard, segment.group


def moved(record: VideoRecord, places: dict[Place, Place]) -> VideoRecord:
    """The record with its segments at their new places; those that did not move stay."""
    segments = [
        replace(segment, shard=shard, group=group)
        for segment in record.segments
        for shard, group in [places.get(place_of(segment), place_of(segment))]
    ]
    return replace(record, segments=segments)


def copy_segments(
    sources: Sequence[tuple[Path, SegmentRecord, str]],
    target_shards: Path,
    *,
    max_bytes: int = MAX_SHARD_BYTES,
    on_damaged: Callable[[SegmentRecord, str], None] | None = None,
) -> dict[Place, Place]:
    """Copy segments into new shards in the folder `target_shards`; from old to new places.

    sources: file of the shard, segment and key of its video; best in the order of the files.
    on_damaged: takes a segment that cannot be copied or fails its checks, and why; it is left out then.
    Without it CorruptError is raised, and nothing new remains but sealed shards that no record names.
    Shards begin anew after `max_bytes` and where codec or crop size change.
    """
    places: dict[Place, Place] = {}
    copier: _Copier | None = None
    try:
        for path, members in groupby(sources, key=itemgetter(0)):  # each file is opened twice, not by segment
            whole = list(_whole([(segment, key) for _, segment, key in members], path, on_damaged))
            if not whole:
                continue
            with open_shard(path) as file:
                content = _content(file)
                for segment, key in whole:
                    if copier is not None and (copier.content != content or copier.num_bytes >= max_bytes):
                        copier.seal()
                        copier = None
                    if copier is None:
                        copier = _Copier(target_shards, content)
                    try:
                        places[place_of(segment)] = copier.add(file, segment, key)
                    except CorruptError as error:
                        if on_damaged is None:
                            raise
                        on_damaged(segment, str(error))
        if copier is not None:
            copier.seal()
            copier = None
    finally:
        if copier is not None:
            copier.discard()
    return places


def segments_in(path: Path) -> list[tuple[str, str]]:
    """Group and video key of every segment that a sealed shard holds, named by records or not.

    Raises CorruptError.
    """
    with open_shard(path) as file:
        found: list[tuple[str, str]] = []
        _walk(file[SEGMENTS], found)
        return found


def link_or_copy(source: Path, target: Path) -> None:
    """The same file at a second place: one on disk where the file system can, else a durable copy."""
    import shutil

    try:
        target.hardlink_to(source)
    except OSError:
        temp = target.with_name(f"{target.name}{PARTIAL_SUFFIX}")
        shutil.copyfile(source, temp)
        fsync_file(temp)
        publish(temp, target)


def by_shard(
    folder: Path, records: Iterable[VideoRecord], shards: set[str]
) -> list[tuple[Path, SegmentRecord, str]]:
    """`sources` of `copy_segments`: the segments of these videos that lie in these shards."""
    found = [
        (folder / segment.shard, segment, record.key)
        for record in records
        for segment in record.segments
        if segment.shard in shards
    ]
    return sorted(found, key=lambda item: (item[1].shard, item[2], item[1].index))


class _Copier:
    """One new shard that grows by copied segments."""

    def __init__(self, folder: Path, content: dict[str, Any]) -> None:
        import h5py

        self.content = content
        self._name = f"{uuid4().hex}.h5"
        self._path = folder / self._name
        self._partial = folder / f"{self._name}{PARTIAL_SUFFIX}"
        self._file = h5py.File(self._partial, "x", libver=("v110", "v110"), locking=False)
        for name, value in content.items():
            self._file.attrs[name] = value
        self._added: list[tuple[SegmentRecord, str]] = []

    @property
    def num_bytes(self) -> int:
        return int(self._file.id.get_filesize())

    def add(self, file: Any, segment: SegmentRecord, key: str) -> Place:
        group = f"/{SEGMENTS}/{tree_path(len(self._added))}"
        parent, _, name = group.rpartition("/")
        try:
            file.copy(segment.group, self._file.require_group(parent), name=name)
        except (OSError, RuntimeError, KeyError, ValueError) as error:
            raise CorruptError(
                f"{segment.group} of shard {segment.shard} cannot be copied: {error}"
            ) from error
        self._added.append((replace(segment, shard=self._name, group=group), key))
        return self._name, group

    def seal(self) -> None:
        """As `cache.shard.ShardWriter` does it: closed, on the disk, checked, renamed."""
        self._file.attrs["num_segments"] = len(self._added)
        self._file.attrs["complete"] = True
        self._file.close()
        fsync_file(self._partial)
        for check in check_segments(self._partial, self._added, deep=True):
            for problem in check.problems:
                raise StoreError(f"the copy of a segment does not read back: {problem}")
        publish(self._partial, self._path)

    def discard(self) -> None:
        self._file.close()
        self._partial.unlink(missing_ok=True)


def _whole(
    segments: list[tuple[SegmentRecord, str]],
    path: Path,
    on_damaged: Callable[[SegmentRecord, str], None] | None,
) -> Iterator[tuple[SegmentRecord, str]]:
    """Those of a shard's segments that pass every check."""
    checks = check_segments(path, segments, deep=True)
    for (segment, key), check in zip(segments, checks, strict=True):
        if not check.problems:
            yield segment, key
        elif on_damaged is None:
            raise CorruptError(check.problems[0])
        else:
            on_damaged(segment, check.problems[0])


def _content(file: Any) -> dict[str, Any]:
    return {name: file.attrs[name] for name in _CONTENT}


def _walk(group: Any, found: list[tuple[str, str]]) -> None:
    for child in group.values():
        if "video_key" in child.attrs:
            found.append((child.name, child.attrs["video_key"].decode()))
        elif hasattr(child, "values"):
            _walk(child, found)
