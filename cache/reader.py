"""Reading tracks and crops: samples of scattered frames, by memory map, from many loader workers.

Crops never pass through the HDF5 library: their bytes are contiguous in the shard, so they are mapped. The
library only loads the tables of a segment, and no handle of it stays open, so a reader can be forked, pickled
and shared between threads.
"""

from __future__ import annotations

import mmap
from collections.abc import Iterable, Iterator
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, Literal

import google_crc32c
import numpy as np
from numpy.lib.stride_tricks import as_strided

from cache.codecs import decode_jpeg
from cache.errors import CorruptError, StoreError
from cache.lru import LRU
from cache.schema import PersonRecord, SegmentRecord, State, VideoRecord
from cache.sealed import (
    SegmentTables,
    group_of,
    load_tables,
    load_track_landmarks,
    load_tracks,
    open_segment,
    open_shard,
)
from cache.store import Store
from cache.track import PersonTrack, Piece, frame_times, join

__all__ = ["PersonTrack", "StoreReader"]

MAX_BYTES_PER_TRACK = 64 << 10  # a shard with no more for each wanted track is read into memory at once
MANY_TRACKS = 256  # the index of all records is read for more; for fewer, each record alone


@dataclass(frozen=True, eq=False)
class _OpenShard:
    """A mapped shard."""

    file: mmap.mmap
    memory: np.ndarray  # (bytes,) uint8: the whole file
    crop_size: int
    # Row i is the plain crop that begins at byte i: many are copied by one indexing. None: JPEG.
    windows: np.ndarray | None  # (bytes - S * S * 3 + 1, S, S, 3) uint8


class StoreReader:
    """Serves tracks and crops of a store. Pickles to its path; opens everything lazily in each process.

    `cache_bytes` bounds the tracks and, apart from them, the tables that are kept; crops are never kept,
    the operating system does that better. `check_crc` checks each crop at its first read from a track.
    """

    def __init__(
        self, path: Path, *, check_crc: bool = True, max_open_shards: int = 64, cache_bytes: int = 256 << 20
    ) -> None:
        self.store = Store.open(path)
        self.path = self.store.path
        self._check_crc = check_crc
        self._max_open_shards = max_open_shards
        self._cache_bytes = cache_bytes
        self._shards: LRU[_OpenShard] = LRU(max_open_shards, lambda _: 1)
        self._tables: LRU[SegmentTables] = LRU(cache_bytes, lambda tables: tables.nbytes + 1000)
        self._tracks: LRU[PersonTrack] = LRU(cache_bytes, lambda track: track.nbytes + 4000)
        self._records: LRU[VideoRecord] = LRU(1024, lambda _: 1)

    def __reduce__(self) -> tuple[Any, ...]:
        return _open_reader, (self.path, self._check_crc, self._max_open_shards, self._cache_bytes)

    def videos(self) -> list[VideoRecord]:
        """All committed videos by name."""
        return self.store.videos()

    def video(self, key: str) -> VideoRecord:
        """The record of one video. Raises StoreError when there is none."""
        return self._records.get(key, lambda: self.store.video(key))

    def times(self, key: str) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """pts (T,) int64, t_start and t_end (T,) float64 seconds of media time, of all sampled frames.

        A frame ends where the next sampled one starts; the last one at the end of the last segment.
        """
        return self._times(self.video(key))

    def _times(self, video: VideoRecord) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        pts = [self._segment_tables(video.key, segment).pts for segment in video.segments]
        return frame_times(video, np.concatenate([np.empty(0, np.int64), *pts]))

    def track(self, key: str, person_id: int) -> PersonTrack:
        """One person of a video. Raises StoreError when there is no such video or person."""
        found = self._tracks.find((key, person_id))
        if found is not None:
            return found
        return self._tracks.get((key, person_id), lambda: self._load_track(self.video(key), person_id))

    def tracks(self, wanted: Iterable[tuple[str, int]]) -> Iterator[PersonTrack]:
        """Many persons, by key and id, each once and in the order of the shards they begin in.

        Each shard is opened once for all of its tracks: where they are short, as of stills, opening it for
        each took most of the time. Raises as `track`.
        """
        pairs = list(dict.fromkeys(wanted))
        records = {video.key: video for video in self.videos()} if len(pairs) > MANY_TRACKS else {}
        by_shard: dict[str, list[tuple[VideoRecord, int]]] = {}
        for key, person_id in pairs:
            video = records.get(key) or self.video(key)
            shard = video.segments[0].shard if video.segments else ""
            by_shard.setdefault(shard, []).append((video, person_id))
        for shard, persons in by_shard.items():
            with self._open_for(shard, len(persons)) as file:
                for video, person_id in persons:
                    yield self._tracks.get(
                        (video.key, person_id), partial(self._load_track, video, person_id, file)
                    )

    def read_crops(self, track: PersonTrack, rows: np.ndarray) -> np.ndarray:
        """Crops of the given rows (n,) of a track, in this order, repeats allowed: (n, S, S, 3) uint8 RGB.

        Raises StoreError when a row has no crop, CorruptError when its bytes are not those written.
        """
        rows = np.asarray(rows, dtype=np.int64)
        places = self._checked_places(track, rows)
        positions = places[:, 0]
        first = int(positions[0]) if len(rows) else 0
        if len(track._segments) == 1 or np.count_nonzero(positions == first) == len(rows):
            return _read(self._shard(track, first), places)
        parts = [np.flatnonzero(positions == position) for position in np.unique(positions)]
        crops = [_read(self._shard(track, int(positions[part[0]])), places[part]) for part in parts]
        return np.concatenate(crops)[np.argsort(np.concatenate(parts))]

    def read_jpegs(self, track: PersonTrack, rows: np.ndarray) -> list[bytes]:
        """The same crops as they are stored, JPEG files. Raises StoreError for a store of plain pixels."""
        if self.store.codec != "jpeg":
            raise StoreError(f"{self.path} holds plain pixels, not JPEG files")
        files = []
        for position, _, start, size, _ in self._checked_places(track, np.asarray(rows, np.int64)).tolist():
            files.append(self._shard(track, position).memory[start : start + size].tobytes())
        return files

    def _checked_places(self, track: PersonTrack, rows: np.ndarray) -> np.ndarray:
        """Where the crops of rows (n,) lie: (n, 5), rows of PersonTrack._crops; checked."""
        places: np.ndarray = track._crops.take(rows, axis=0)
        if np.count_nonzero(track._checked[rows]) != len(rows):
            self._check(track, rows, places)
        return places

    def _check(self, track: PersonTrack, rows: np.ndarray, places: np.ndarray) -> None:
        """The first read of some of these crops: ask the disk for all of them at once, then check each."""
        if not track.has_crop[rows].all():
            self._refuse(track, rows)
        if self._check_crc:
            new = [
                (self._shard(track, position), chunk, start, start + size, crc, row)
                for (position, chunk, start, size, crc), row in zip(
                    places.tolist(), rows.tolist(), strict=True
                )
                if not track._checked[row]
            ]
            for shard, _, start, end, _, _ in new:
                page = start - start % mmap.PAGESIZE
                shard.file.madvise(mmap.MADV_WILLNEED, page, end - page)
            for shard, chunk, start, end, crc, row in new:
                if google_crc32c.value(shard.memory[start:end]) != crc:
                    segment = track._segments[int(track._crops[row, 0])]
                    raise CorruptError(
                        f"wrong checksum in {self.store.shard_path(segment.shard)}: video {track.video_key}, "
                        f"segment {segment.index}, person {track.person_id}, row {row}, crop chunk {chunk}"
                    )
        track._checked[rows] = True

    def _shard(self, track: PersonTrack, position: int) -> _OpenShard:
        """The mapped shard of one of the track's segments."""
        segment = track._segments[position]
        found = self._shards.find(segment.shard)
        return found or self._shards.get(segment.shard, lambda: self._open_shard(track.video_key, segment))

    def _open_shard(self, key: str, segment: SegmentRecord) -> _OpenShard:
        tables = self._segment_tables(key, segment)
        path = self.store.shard_path(segment.shard)
        with path.open("rb") as opened:
            file = mmap.mmap(opened.fileno(), 0, access=mmap.ACCESS_READ)
        memory = np.frombuffer(file, np.uint8)
        windows = _windows(memory, tables.crop_size) if tables.codec == "plain" else None
        return _OpenShard(file, memory, tables.crop_size, windows)

    def _load_track(self, video: VideoRecord, person_id: int, file: Any = None) -> PersonTrack:
        """file: an open shard, from which segments are read that lie in it."""
        person = next((person for person in video.persons if person.id == person_id), None)
        if person is None:
            known = [person.id for person in video.persons]
            raise StoreError(
                f"video {video.key} of {self.path} has no person {person_id}, its persons are {known}"
            )
        pieces = self._load_pieces(video, person, file)
        return join(video, person_id, pieces, *self._times(video))

    def _load_pieces(self, video: VideoRecord, person: PersonRecord, file: Any) -> list[Piece]:
        """Rows of every local track of a person; each file is opened once."""
        pieces: list[Piece] = []
        first_frame = 0
        for position, segment in enumerate(video.segments):
            wanted: dict[Literal["face", "body"], list[int]] = {
                "face": [local_id for index, local_id in person.faces if index == segment.index],
                "body": [local_id for index, local_id in person.bodies if index == segment.index],
            }
            if any(wanted.values()):
                with self._open_segment(segment, file) as group:
                    tables = self._segment_tables(video.key, segment, group)
                    for kind, local_ids in wanted.items():
                        tracks = load_tracks(group, tables.extents, kind, local_ids)
                        landmarks = load_track_landmarks(group, tables, kind, local_ids)
                        for (start, rows), points in zip(tracks, landmarks, strict=True):
                            piece = Piece(
                                kind=kind,
                                segment=position,
                                first_frame=first_frame + start,
                                rows=rows,
                                landmarks=points,
                                layout=tables.layout,
                                landmark_layout=tables.landmark_layout,
                                chunk_offsets=tables.chunk_offsets,
                                crop_size=tables.crop_size,
                            )
                            pieces.append(piece)
            first_frame += segment.num_frames
        return pieces

    def _open_for(self, shard: str, num_tracks: int) -> AbstractContextManager[Any]:
        """A shard, from which so many tracks are wanted; None for "", of videos without segments."""
        if not shard:
            return nullcontext()
        path = self.store.shard_path(shard)
        is_small = path.is_file() and path.stat().st_size <= num_tracks * MAX_BYTES_PER_TRACK
        return open_shard(path, in_memory=is_small)

    def _open_segment(self, segment: SegmentRecord, file: Any) -> AbstractContextManager[Any]:
        """A segment as h5py.Group: of an open shard if it lies there, else opened for it."""
        path = self.store.shard_path(segment.shard)
        if file is not None and file.filename == str(path):
            return nullcontext(group_of(file, segment.group))
        return open_segment(path, segment.group)

    def _segment_tables(self, key: str, segment: SegmentRecord, group: Any = None) -> SegmentTables:
        """Tables of a segment, kept or read: from `group` if its file is open already."""

        def load() -> SegmentTables:
            if group is not None:
                return _load_checked(group, key, segment)
            with open_segment(self.store.shard_path(segment.shard), segment.group) as opened:
                return _load_checked(opened, key, segment)

        return self._tables.get((segment.shard, segment.group), load)

    def _refuse(self, track: PersonTrack, rows: np.ndarray) -> None:
        row = int(rows[~track.has_crop[rows]][0])
        state = State(int(track.face_state[row])).name.lower()
        raise StoreError(
            f"video {track.video_key}, person {track.person_id}: row {row} has no crop, its face is {state}"
        )


def _load_checked(group: Any, key: str, segment: SegmentRecord) -> SegmentTables:
    """Tables of a segment. Raises CorruptError when they are not those that the record means."""
    tables = load_tables(group)
    if (tables.video_key, tables.index, len(tables.pts)) != (key, segment.index, segment.num_frames):
        raise CorruptError(
            f"{segment.group} of shard {group.file.filename} holds {len(tables.pts)} frames of segment "
            f"{tables.index} of video {tables.video_key}, the record says {segment.num_frames} of segment "
            f"{segment.index} of {key}"
        )
    return tables


def _read(shard: _OpenShard, places: np.ndarray) -> np.ndarray:
    """Crops (n, S, S, 3) at places (n, 5), PersonTrack._crops, all of them in this shard."""
    if shard.windows is not None:
        plain: np.ndarray = shard.windows[places[:, 2]]
        return plain
    crops = np.empty((len(places), shard.crop_size, shard.crop_size, 3), np.uint8)
    for crop, (_, _, start, size, _) in zip(crops, places.tolist(), strict=True):
        decode_jpeg(shard.memory[start : start + size], crop)
    return crops


def _windows(memory: np.ndarray, size: int) -> np.ndarray:
    shape = max(0, len(memory) - size * size * 3 + 1), size, size, 3
    return as_strided(memory, shape, (1, size * 3, 3, 1), writeable=False)


def _open_reader(path: Path, check_crc: bool, max_open_shards: int, cache_bytes: int) -> StoreReader:
    return StoreReader(path, check_crc=check_crc, max_open_shards=max_open_shards, cache_bytes=cache_bytes)
