"""Reading one sealed shard: its segments' tables and rows, and where the bytes of the crops lie.

Whatever the HDF5 library says about damaged bytes becomes a CorruptError that names the file.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np

from cache.errors import CorruptError
from cache.layout import (
    CHUNK_ROW,
    EXTENT_ROW,
    FACE_ROW,
    KIND_CODES,
    LANDMARKS,
    log_blocks,
    log_lengths,
    points_of_landmarks,
    read_integers,
    read_log,
    read_text,
    rows_of_bodies,
)
from cache.schema import Codec


@dataclass(frozen=True, eq=False)
class SegmentTables:
    """The small tables of one segment, and where its crops lie."""

    video_key: str
    index: int
    codec: Codec
    crop_size: int
    layout: str  # of the joints
    landmark_layout: str  # of the faces' dense landmarks, "" where they have none
    end_pts: int
    pts: np.ndarray  # (T,) int64
    extents: np.ndarray  # EXTENT_ROW
    chunks: np.ndarray  # CHUNK_ROW
    chunk_offsets: np.ndarray  # (num_chunks,) int64, bytes from the start of the file

    @property
    def nbytes(self) -> int:
        """Memory of all arrays."""
        return sum(value.nbytes for value in vars(self).values() if isinstance(value, np.ndarray))


@contextmanager
def open_shard(path: Path, *, in_memory: bool = False) -> Iterator[Any]:
    """A sealed shard as h5py.File. Raises CorruptError when it is missing or damaged.

    in_memory: the file is read at once, which is faster where most of its many tables are wanted.
    """
    import h5py

    driver = {"driver": "core", "backing_store": False} if in_memory else {}
    try:
        with h5py.File(path, "r", locking=False, **driver) as file:  # no lock: sealed shards never change
            yield file
    except FileNotFoundError:
        raise CorruptError(f"shard {path} is missing") from None
    except (OSError, KeyError, RuntimeError, ValueError, TypeError, IndexError) as error:
        raise CorruptError(f"shard {path} is damaged: {error}") from error


@contextmanager
def open_segment(path: Path, group: str) -> Iterator[Any]:
    """One segment of a sealed shard as h5py.Group."""
    with open_shard(path) as file:
        yield group_of(file, group)


def group_of(file: Any, group: str) -> Any:
    """One segment of an open shard. Raises CorruptError when it has none of that name."""
    try:
        return file[group]
    except KeyError as error:
        raise CorruptError(f"shard {file.filename} has no segment {group}: {error.args[0]}") from None


def load_tables(group: Any) -> SegmentTables:
    """Everything of a segment but the rows of its tracks and its crops."""
    from h5py import h5i

    file, root = group.file, h5i.get_file_id(group.id)
    lengths = log_lengths(group)
    chunks = read_log(group, "chunks", lengths["chunks"]).view(CHUNK_ROW)
    blocks = np.array(
        [block.get_offset() for block in log_blocks(group, "crops", lengths["crops"])], np.int64
    )
    offsets = (blocks[chunks["block"]] if len(chunks) else blocks[:0]) + chunks["offset"]
    if len(chunks) and int((offsets + chunks["num_bytes"]).max()) > Path(file.filename).stat().st_size:
        raise CorruptError(f"shard {file.filename} is cut short")
    return SegmentTables(
        video_key=read_text(group.id, "video_key"),
        index=int(read_integers(group.id, "segment_index")),
        codec=read_text(root, "codec"),  # type: ignore[arg-type]
        crop_size=int(read_integers(root, "crop_size")),
        layout=read_text(group.id, "layout"),
        landmark_layout=read_text(group.id, "landmark_layout"),
        end_pts=int(read_integers(group.id, "end_pts")),
        pts=read_log(group, "pts", lengths["pts"]).view("<i8"),
        extents=read_log(group, "extents", lengths["extents"]).view(EXTENT_ROW),
        chunks=chunks,
        chunk_offsets=offsets,
    )


def load_rows(group: Any, kind: Literal["face", "body"]) -> np.ndarray:
    """Rows of all tracks of a kind, FACE_ROW or body_row(J), as the extents order them."""
    lengths = log_lengths(group)
    if kind == "face":
        return read_log(group, "faces", lengths["faces"]).view(FACE_ROW)
    return rows_of_bodies(read_log(group, "bodies", lengths["bodies"]))


def load_landmarks(group: Any) -> np.ndarray:
    """Dense landmarks (n, P, 2) float32 of all rows of faces, in their order; P = 0 where there are none."""
    num_rows = log_lengths(group)["faces"]
    if not num_rows or not read_text(group.id, "landmark_layout"):
        return np.empty((num_rows, 0, 2), np.float32)
    return points_of_landmarks(read_log(group, LANDMARKS, num_rows))


def load_tracks(
    group: Any, extents: np.ndarray, kind: Literal["face", "body"], local_ids: Sequence[int]
) -> list[tuple[int, np.ndarray]]:
    """Of each local track its first frame in the segment and its rows. Raises CorruptError when it lacks."""
    if not local_ids:
        return []
    return _take_tracks(group, load_rows(group, kind), extents, kind, local_ids)


def load_track_landmarks(
    group: Any, tables: SegmentTables, kind: Literal["face", "body"], local_ids: Sequence[int]
) -> list[np.ndarray]:
    """Of each local track its dense landmarks (n, P, 2), (0, 0, 2) where it has none. Raises CorruptError."""
    if kind == "body" or not tables.landmark_layout or not local_ids:
        return [np.empty((0, 0, 2), np.float32)] * len(local_ids)
    tracks = _take_tracks(group, load_landmarks(group), tables.extents, kind, local_ids)
    return [points for _, points in tracks]


def _take_tracks(
    group: Any,
    log: np.ndarray,
    extents: np.ndarray,
    kind: Literal["face", "body"],
    local_ids: Sequence[int],
) -> list[tuple[int, np.ndarray]]:
    """First frame and items of local tracks, from a log that has an item for each row of that kind."""
    tracks = []
    for local_id in local_ids:
        mine = extents[(extents["kind"] == KIND_CODES[kind]) & (extents["local_id"] == local_id)]
        if not len(mine):
            raise CorruptError(f"{group.name} of shard {group.file.filename} has no {kind} track {local_id}")
        spans = zip(mine["first_row"].tolist(), mine["num_frames"].tolist(), strict=True)
        rows = np.concatenate([log[first : first + num] for first, num in spans])
        if len(rows) != mine["num_frames"].sum():
            raise CorruptError(
                f"{group.name} of shard {group.file.filename}: {kind} track {local_id} is cut short"
            )
        tracks.append((int(mine["first_frame"][0]), rows))
    return tracks
