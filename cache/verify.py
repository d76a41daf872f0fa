"""Checking a whole store: does every record have its bytes, and are they those that were written?"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np

from cache.atomic import PARTIAL_SUFFIX, TEMP_SUFFIX
from cache.errors import CorruptError, StoreError
from cache.journal import Journal
from cache.layout import KIND_CODES, crc32c
from cache.records import read_record
from cache.schema import SegmentRecord, VideoRecord
from cache.sealed import SegmentTables, load_rows, load_tables, open_segment
from cache.store import Store


@dataclass(frozen=True)
class Problem:
    """One finding. An error means that data is lost or wrong; a note, that there is something to clean up."""

    level: Literal["error", "note"]
    message: str

    def __str__(self) -> str:
        return f"{self.level}: {self.message}"


def verify(store: Store, *, deep: bool = False) -> list[Problem]:
    """All problems of a store; none found: []. `deep` also reads every byte and checks its checksum.

    Without it the tables of every segment are read: missing shards, wrong counts and records are found.
    """
    problems: list[Problem] = []
    videos: list[VideoRecord] = []
    all_readable = True
    for path in store.commit_paths():
        try:
            record = read_record(path)
        except (StoreError, OSError) as error:
            problems.append(Problem("error", str(error)))
            all_readable = False
            continue
        if record.key != path.stem:
            problems.append(Problem("error", f"commit record {path} is of video {record.key}"))
        videos.append(record)
    for video in videos:
        problems += [Problem("error", message) for message in _check_video(store, video, deep=deep)]
    return problems + _notes(store, videos, orphans_known=all_readable)


def _check_video(store: Store, video: VideoRecord, *, deep: bool) -> Iterator[str]:
    name = f"video {video.key} ({video.names[0]!r})" if video.names else f"video {video.key}"
    total = sum(segment.num_frames for segment in video.segments)
    if total != video.num_frames:
        yield f"{name}: its record says {video.num_frames} frames, its segments hold {total}"
    tracks = {(s.index, track.kind, track.local_id) for s in video.segments for track in s.tracks}
    for person in video.persons:
        wanted = {(index, "face", local_id) for index, local_id in person.faces}
        wanted |= {(index, "body", local_id) for index, local_id in person.bodies}
        for index, kind, local_id in sorted(wanted - tracks):
            yield f"{name}: person {person.id} names a missing {kind} track: {local_id} of segment {index}"
    last_pts: int | None = None
    for segment in video.segments:
        where = f"{name}, segment {segment.index}"
        try:
            path = store.shard_path(segment.shard)
            with open_segment(path, segment.group) as group:
                tables = load_tables(group)
                yield from (
                    f"{where}: {message}" for message in _check_tables(video, segment, tables, last_pts)
                )
                if deep:
                    yield from (f"{where}: {message}" for message in _check_rows(group))
                    yield from (f"{where}: {message}" for message in _check_crops(path, tables))
        except StoreError as error:
            yield f"{where}: {error}"
            continue
        if len(tables.pts):
            last_pts = int(tables.pts[-1])


def _check_tables(
    video: VideoRecord, segment: SegmentRecord, tables: SegmentTables, last_pts: int | None
) -> Iterator[str]:
    if (tables.video_key, tables.index) != (video.key, segment.index):
        yield f"{segment.group} of shard {segment.shard} is {tables.video_key}, segment {tables.index}"
    if len(tables.pts) != segment.num_frames:
        yield f"the record says {segment.num_frames} frames, shard {segment.shard} holds {len(tables.pts)}"
    pts = tables.pts if last_pts is None else np.append(last_pts, tables.pts)
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


def _check_crops(path: Path, tables: SegmentTables) -> Iterator[str]:
    with path.open("rb") as file:
        for number, (chunk, offset) in enumerate(
            zip(tables.chunks, tables.chunk_offsets.tolist(), strict=True)
        ):
            file.seek(offset)
            data = np.frombuffer(file.read(int(chunk["num_bytes"])), np.uint8)
            if crc32c(data) != int(chunk["crc32c"]):
                yield f"wrong checksum in {path}: face track {chunk['local_id']}, crop chunk {number}"


def _notes(store: Store, videos: list[VideoRecord], *, orphans_known: bool) -> list[Problem]:
    notes = []
    named = {segment.shard for video in videos for segment in video.segments}
    for path in sorted((store.path / "shards").iterdir()):
        if path.name.endswith(PARTIAL_SUFFIX):
            notes.append(f"{path} is left over, or a run is going on")
        elif orphans_known and path.name not in named:
            notes.append(f"no record names {path}")
    for folder in (store.path, store.path / "commits"):
        notes += [f"{path} is left over" for path in sorted(folder.glob(f".*{TEMP_SUFFIX}"))]
    failures = Journal(store.path / "failures.jsonl")
    notes += [f"line {number} of {failures.path} is torn" for number in failures.torn_lines()]
    return [Problem("note", note) for note in notes]
