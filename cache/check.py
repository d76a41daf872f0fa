"""Checking segments of sealed shards against their records: what one process does of a verification."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from cache.errors import CorruptError
from cache.layout import KIND_CODES, crc32c
from cache.schema import SegmentRecord
from cache.sealed import SegmentTables, load_landmarks, load_rows, load_tables, open_shard

_DAMAGE = (OSError, KeyError, RuntimeError, ValueError, TypeError, IndexError)  # what h5py says about it


@dataclass(frozen=True)
class SegmentCheck:
    """What was found in one segment."""

    problems: tuple[str, ...] = ()
    first_pts: int | None = None  # None: it holds no frame or could not be read
    last_pts: int | None = None


def check_segments(
    path: Path, segments: Sequence[tuple[SegmentRecord, str]], *, deep: bool
) -> list[SegmentCheck]:
    """Segments of one shard, each with the key of its video; the file is opened once.

    deep: also read every row and crop and check its sum.
    """
    try:
        with open_shard(path) as file:
            return [_check(file, path, segment, key, deep=deep) for segment, key in segments]
    except CorruptError as error:
        return [SegmentCheck((str(error),))] * len(segments)


def _check(file: Any, path: Path, segment: SegmentRecord, key: str, *, deep: bool) -> SegmentCheck:
    problems: list[str] = []
    try:
        if segment.group not in file:
            return SegmentCheck((f"shard {path} has no segment {segment.group}",))
        group = file[segment.group]
        tables = load_tables(group)
        problems += _check_tables(segment, key, tables)
        if deep:
            problems += _check_rows(group)
            problems += _check_crops(path, tables)
    except CorruptError as error:
        return SegmentCheck((*problems, str(error)))
    except _DAMAGE as error:
        return SegmentCheck((*problems, f"shard {path} is damaged: {error}"))
    if not len(tables.pts):
        return SegmentCheck(tuple(problems))
    return SegmentCheck(tuple(problems), int(tables.pts[0]), int(tables.pts[-1]))


def _check_tables(segment: SegmentRecord, key: str, tables: SegmentTables) -> Iterator[str]:
    if (tables.video_key, tables.index) != (key, segment.index):
        yield f"{segment.group} of shard {segment.shard} is {tables.video_key}, segment {tables.index}"
    pts = tables.pts
    if len(pts) != segment.num_frames:
        yield f"the record says {segment.num_frames} frames, shard {segment.shard} holds {len(pts)}"
    if np.any(np.diff(pts) <= 0) or (len(pts) and segment.end_pts <= pts[-1]):
        yield f"times in shard {segment.shard} do not increase"
    recorded = {
        (KIND_CODES[track.kind], track.local_id): (track.first_frame, track.num_frames)
        for track in segment.tracks
    }
    stored: dict[tuple[int, int], tuple[int, int]] = {}
    for kind, local_id, first_frame, num_frames, _ in tables.extents.tolist():
        first, num = stored.get((kind, local_id), (first_frame, 0))
        stored[kind, local_id] = first, num + num_frames
    for kind, local_id in sorted(recorded.keys() | stored.keys()):
        if recorded.get((kind, local_id)) != stored.get((kind, local_id)):
            name = next(name for name, code in KIND_CODES.items() if code == kind)
            yield (
                f"{name} track {local_id} has (first frame, frames) {recorded.get((kind, local_id))} in the "
                f"record, {stored.get((kind, local_id))} in shard {segment.shard}"
            )


def _check_rows(group: Any) -> Iterator[str]:
    for kind in KIND_CODES:
        try:
            load_rows(group, kind)
        except CorruptError as error:
            yield str(error)
    try:
        load_landmarks(group)
    except CorruptError as error:
        yield str(error)


def _check_crops(path: Path, tables: SegmentTables) -> Iterator[str]:
    with path.open("rb") as file:
        for number, (chunk, offset) in enumerate(
            zip(tables.chunks, tables.chunk_offsets.tolist(), strict=True)
        ):
            file.seek(offset)
            data = np.frombuffer(file.read(int(chunk["num_bytes"])), np.uint8)
            if crc32c(data) != int(chunk["crc32c"]):
                yield f"wrong checksum in {path}: face track {chunk['local_id']}, crop chunk {number}"
