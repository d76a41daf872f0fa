"""Reading tracks and crops: samples of scattered frames, by memory map, from many loader workers.

Crops never pass through the HDF5 library: their bytes are contiguous in the shard, so they are mapped. The
library only loads the tables of a segment, and no handle of it stays open, so a reader can be forked, pickled
and shared between threads.
"""

from __future__ import annotations

import mmap
from pathlib import Path
from typing import Any, Literal

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view

from cache.codecs import decode_jpeg
from cache.errors import CorruptError, StoreError
from cache.layout import crc32c
from cache.lru import LRU
from cache.schema import PersonRecord, SegmentRecord, State, VideoRecord
from cache.sealed import SegmentTables, load_tables, load_tracks, open_segment
from cache.store import Store
from cache.track import PersonTrack, Piece, frame_times, join

__all__ = ["PersonTrack", "StoreReader"]


class StoreReader:
    """Serves tracks and crops of a store. Pickles to its path; opens everything lazily in each process.

    `cache_bytes` bounds the tracks and, apart from them, the tables that are kept; crops are never kept,
    the operating system does that better. `check_crc` checks each chunk of crops at its first read.
    """

    def __init__(
        self, path: Path, *, check_crc: bool = True, max_open_shards: int = 64, cache_bytes: int = 256 << 20
    ) -> None:
        self.store = Store.open(path)
        self.path = self.store.path
        self._check_crc = check_crc
        self._max_open_shards = max_open_shards
        self._cache_bytes = cache_bytes
        self._maps: LRU[np.ndarray] = LRU(max_open_shards, lambda _: 1)
        self._windows: LRU[np.ndarray] = LRU(max_open_shards, lambda _: 1)
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
        video = self.video(key)
        pts = [self._segment_tables(key, segment).pts for segment in video.segments]
        return frame_times(video, np.concatenate([np.empty(0, np.int64), *pts]))

    def track(self, key: str, person_id: int) -> PersonTrack:
        """One person of a video. Raises StoreError when there is no such video or person."""
        return self._tracks.get((key, person_id), lambda: self._load_track(key, person_id))

    def read_crops(self, track: PersonTrack, rows: np.ndarray) -> np.ndarray:
        """Crops of the given rows (n,) of a track, in this order, repeats allowed: (n, S, S, 3) uint8 RGB.

        Raises StoreError when a row has no crop, CorruptError when its bytes are not those written.
        """
        rows = np.asarray(rows, dtype=np.int64)
        places = track._crops[rows]
        positions = set(places[:, 0].tolist())
        if -1 in positions:
            self._refuse(track, rows)
        if len(positions) <= 1:
            segment = track._segments[min(positions, default=0)]
            return self._read_places(track.video_key, segment, places)
        parts = [np.flatnonzero(places[:, 0] == position) for position in positions]
        crops = np.concatenate(
            [
                self._read_places(track.video_key, track._segments[position], places[part])
                for position, part in zip(positions, parts, strict=True)
            ]
        )
        return crops[np.argsort(np.concatenate(parts))]

    def _read_places(self, key: str, segment: SegmentRecord, places: np.ndarray) -> np.ndarray:
        """Crops (n, S, S, 3) at places (n, 4), PersonTrack._crops, all of them in one segment."""
        tables = self._segment_tables(key, segment)
        _, chunks, starts, sizes = places.T
        if self._check_crc and not tables.checked[chunks].all():
            self._check_chunks(tables, chunks, key, segment)
        shape = len(places), tables.crop_size, tables.crop_size, 3
        if tables.codec == "plain":
            # Row i of this view is the crop that begins at byte i: all crops are copied by one indexing.
            crop_bytes = tables.crop_size**2 * 3
            windows = self._windows.get(
                segment.shard, lambda: sliding_window_view(self._map(segment.shard), crop_bytes)
            )
            crops: np.ndarray = windows[starts].reshape(shape)
            return crops
        memory = self._map(segment.shard)
        crops = np.empty(shape, np.uint8)
        for crop, start, end in zip(crops, starts.tolist(), (starts + sizes).tolist(), strict=True):
            decode_jpeg(memory[start:end], crop)
        return crops

    def _check_chunks(
        self,
        tables: SegmentTables,
        chunks: np.ndarray,
        key: str,
        segment: SegmentRecord,
    ) -> None:
        memory = self._map(segment.shard)
        for chunk in np.unique(chunks[~tables.checked[chunks]]).tolist():
            start, entry = int(tables.chunk_offsets[chunk]), tables.chunks[chunk]
            if crc32c(memory[start : start + int(entry["num_bytes"])]) != int(entry["crc32c"]):
                raise CorruptError(
                    f"wrong checksum in {self.store.shard_path(segment.shard)}: video {key}, "
                    f"segment {segment.index}, face track {entry['local_id']}, crop chunk {chunk}"
                )
            tables.checked[chunk] = True

    def _map(self, shard: str) -> np.ndarray:
        """The whole file as bytes."""
        return self._maps.get(shard, lambda: _map_file(self.store.shard_path(shard)))

    def _load_track(self, key: str, person_id: int) -> PersonTrack:
        video = self.video(key)
        person = next((person for person in video.persons if person.id == person_id), None)
        if person is None:
            known = [person.id for person in video.persons]
            raise StoreError(f"video {key} of {self.path} has no person {person_id}, its persons are {known}")
        pieces = self._load_pieces(video, person)
        return join(video, person_id, pieces, *self.times(key))

    def _load_pieces(self, video: VideoRecord, person: PersonRecord) -> list[Piece]:
        """Rows of every local track of a person; each file is opened once."""
        pieces: list[Piece] = []
        first_frame = 0
        for position, segment in enumerate(video.segments):
            wanted: dict[Literal["face", "body"], list[int]] = {
                "face": [local_id for index, local_id in person.faces if index == segment.index],
                "body": [local_id for index, local_id in person.bodies if index == segment.index],
            }
            if any(wanted.values()):
                with open_segment(self.store.shard_path(segment.shard), segment.group) as group:
                    tables = self._segment_tables(video.key, segment, group)
                    for kind, local_ids in wanted.items():
                        for start, rows in load_tracks(group, tables.extents, kind, local_ids):
                            first = first_frame + start
                            pieces.append(
                                Piece(kind, position, first, rows, tables.layout, tables.chunk_offsets)
                            )
            first_frame += segment.num_frames
        return pieces

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


def _map_file(path: Path) -> np.ndarray:
    with path.open("rb") as file:
        return np.frombuffer(mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ), np.uint8)


def _open_reader(path: Path, check_crc: bool, max_open_shards: int, cache_bytes: int) -> StoreReader:
    return StoreReader(path, check_crc=check_crc, max_open_shards=max_open_shards, cache_bytes=cache_bytes)
