"""How a shard lies on disk, schema version 2: row types, names, and the append-only log they are kept in.

A segment is an HDF5 group of logs. A log is one or more datasets end to end, each contiguous and unfiltered,
so that its bytes sit at one known offset of the file and can be mapped. Their CRC32C is an attribute of the
dataset; for crops it is kept per crop, in its row, and per chunk. HDF5's own structures are checksummed only
where they fit into an object header: so no group has more than 8 links, and text is of fixed length. See
docs/store.md.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from typing import Any, Literal

import google_crc32c
import numpy as np

from cache.errors import CorruptError

BLOCK_BYTES = 4 << 20  # a log is written out in datasets of about this size
SEGMENTS = "segments"  # group of all segments of a shard
LOGS = ("pts", "faces", "bodies", "extents", "chunks", "crops")  # order of the attribute `log_lengths`
LANDMARKS = "landmarks"  # a further log where faces have dense ones: its row i belongs to row i of `faces`

KIND_CODES: dict[Literal["face", "body"], int] = {"face": 0, "body": 1}

FACE_ROW = np.dtype(
    [
        ("box_xyxy", "<f4", 4),
        ("landmarks_xy", "<f4", (5, 2)),
        ("warp", "<f4", (2, 3)),
        ("score", "<f4"),
        ("quality", "<f4", 3),
        ("crop_chunk", "<i4"),  # row of the segment's `chunks`; -1: no crop
        ("crop_start", "<u4"),  # bytes from the start of the chunk
        ("crop_bytes", "<u4"),
        ("crop_crc32c", "<u4"),  # of these bytes: a single crop can be checked without its chunk
        ("state", "u1"),
    ],
    align=True,
)

EXTENT_ROW = np.dtype(
    [
        ("kind", "<i4"),  # KIND_CODES
        ("local_id", "<i4"),
        ("first_frame", "<i4"),  # of the segment
        ("num_frames", "<i4"),
        ("first_row", "<i8"),  # in `faces` or `bodies`: these frames' rows are consecutive there
    ]
)

CHUNK_ROW = np.dtype(
    [
        ("local_id", "<i4"),  # of the face track
        ("num_crops", "<i4"),  # at most CHUNK_FRAMES
        ("block", "<i4"),  # number of the dataset in the log `crops`
        ("crc32c", "<u4"),
        ("offset", "<i8"),  # bytes from the start of that dataset
        ("num_bytes", "<i8"),
    ]
)


def body_row(num_joints: int) -> np.dtype[Any]:
    """Row type of `bodies`."""
    return np.dtype(
        [
            ("box_xyxy", "<f4", 4),
            ("keypoints", "<f4", (num_joints, 3)),
            ("score", "<f4"),
            ("state", "u1"),
        ],
        align=True,
    )


def rows_of_bodies(rows: np.ndarray) -> np.ndarray:
    """Void rows of a log `bodies` -> body_row(J): the number of joints follows from their size."""
    empty = body_row(0)
    if not len(rows):
        return rows.view(empty)
    num_joints, rest = divmod(rows.dtype.itemsize - empty.itemsize, 3 * 4)
    if rest or num_joints < 0:
        raise CorruptError(f"a row of bodies cannot have {rows.dtype.itemsize} bytes")
    return rows.view(body_row(num_joints))


def landmark_row(num_points: int) -> np.dtype[Any]:
    """Row type of `landmarks`."""
    return np.dtype([("points_xy", "<f4", (num_points, 2))])


def points_of_landmarks(rows: np.ndarray) -> np.ndarray:
    """Void rows of a log `landmarks` -> (n, P, 2) float32: the number of points follows from their size."""
    num_points, rest = divmod(rows.dtype.itemsize, landmark_row(1).itemsize)
    if rest:
        raise CorruptError(f"a row of landmarks cannot have {rows.dtype.itemsize} bytes")
    return np.asarray(rows.view(landmark_row(num_points))["points_xy"])


def crc32c(data: np.ndarray) -> int:
    """CRC32C over the bytes of a contiguous array."""
    view = data.reshape(-1).view(np.uint8)
    view.flags.writeable = False  # the library takes nothing else
    return int(google_crc32c.value(view))


class LogWriter:
    """Appends arrays along their first axis. Holds at most one block in memory."""

    def __init__(
        self, group: Any, name: str, *, block_bytes: int = BLOCK_BYTES, with_crc: bool = True
    ) -> None:
        self._group = group
        self._name = name
        self._block_bytes = block_bytes
        self._with_crc = with_crc
        self._pending: list[np.ndarray] = []
        self._pending_bytes = 0
        self._num_blocks = 0
        self.num_items = 0

    def append(self, items: np.ndarray) -> tuple[int, int]:
        """Add items, which must not change afterwards; (block, byte offset in it) where they will lie."""
        place = self._num_blocks, self._pending_bytes
        if not len(items):
            return place
        self._pending.append(items)
        self._pending_bytes += items.nbytes
        self.num_items += len(items)
        if self._pending_bytes >= self._block_bytes:
            self.flush()
        return place

    def flush(self) -> None:
        """Write what is pending as one dataset."""
        if not self._pending:
            return
        items = np.concatenate(self._pending)
        dataset = self._group.create_dataset(block_path(self._name, self._num_blocks), data=items)
        if self._with_crc:
            dataset.attrs["crc32c"] = np.uint32(crc32c(items))
        self._num_blocks += 1
        self._pending, self._pending_bytes = [], 0


def block_path(name: str, number: int) -> str:
    """Where in its segment one dataset of a log lies: nearly always there is only the first."""
    return name if number == 0 else f"more/{name}/{tree_path(number - 1)}"


def tree_path(number: int) -> str:
    """Path of the n-th item in a tree of groups that hold at most 4 items and 4 groups each."""
    path = f"{number % 4}"
    while (number := number // 4) > 0:
        number -= 1
        path = f"g{number % 4}/{path}"
    return path


def fixed_text(text: str) -> np.bytes_:
    """Text as an attribute that lies in the object header; HDF5 keeps a `str` in a heap without checksum."""
    return np.bytes_(text.encode())


def read_integers(owner: Any, name: str) -> np.ndarray:
    """Value of an attribute of a low-level HDF5 object as int64; far faster than `attrs[name]`."""
    from h5py import h5a

    attribute = h5a.open(owner, name.encode())
    value = np.empty(attribute.shape, np.int64)
    attribute.read(value)
    return value


def read_text(owner: Any, name: str) -> str:
    """Text that `fixed_text` made; "" where there is no such attribute."""
    from h5py import h5a

    if not h5a.exists(owner, name.encode()):
        return ""
    attribute = h5a.open(owner, name.encode())
    value = np.empty((), f"S{attribute.get_storage_size()}")
    attribute.read(value)
    return bytes(value.item()).decode()


def log_lengths(group: Any) -> dict[str, int]:
    """Items in each log of a segment, as its writer counted them."""
    return dict(zip(LOGS, read_integers(group.id, "log_lengths").tolist(), strict=True))


def log_blocks(group: Any, name: str, length: int) -> Iterator[Any]:
    """The datasets of a log of `length` items, in order, as h5py.h5d.DatasetID.

    Raises CorruptError when they do not hold that many.
    """
    from h5py import h5d

    found = 0
    for number in itertools.count():
        if found == length:
            return
        try:
            block = h5d.open(group.id, block_path(name, number).encode())
        except KeyError:
            break
        found += block.shape[0]
        if found > length:
            break
        yield block
    raise CorruptError(
        f"{name} of {group.name} in {group.file.filename} has {found} items, not {length}: "
        "a dataset is missing or damaged"
    )


def read_log(group: Any, name: str, length: int) -> np.ndarray:
    """A whole log, (length,) of its row type as void. Raises CorruptError when it is not as written."""
    blocks = [_read_block(block, group) for block in log_blocks(group, name, length)]
    return np.concatenate(blocks) if len(blocks) > 1 else blocks[0] if blocks else np.empty(0, "V1")


def _read_block(block: Any, group: Any) -> np.ndarray:
    """The bytes as they lie in the file: the row types are fixed, so nothing is asked of HDF5's own."""
    from h5py import h5i, h5s

    row_type = block.get_type()
    items = np.empty(block.shape, f"V{row_type.get_size()}")
    block.read(h5s.ALL, h5s.ALL, items, row_type)
    if crc32c(items) != int(read_integers(block, "crc32c")):
        raise CorruptError(f"wrong checksum in {h5i.get_name(block).decode()} of {group.file.filename}")
    return items
