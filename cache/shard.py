"""Writing a shard: segments of videos, streamed block by block into one HDF5 file.

A shard is `<uuid>.h5.partial` while it grows. It takes its name when it is closed, on the disk and checked,
and never changes afterwards. A crash costs at most the shard that was open.
"""

from __future__ import annotations

import contextlib
import time
from contextlib import AbstractContextManager
from fractions import Fraction
from pathlib import Path
from typing import Any, get_args
from uuid import uuid4

from cache.atomic import PARTIAL_SUFFIX, fsync_file, publish
from cache.errors import CorruptError
from cache.layout import SEGMENTS, fixed_text, tree_path
from cache.schema import SCHEMA_VERSION, Codec, SegmentRecord
from cache.sealed import open_shard
from cache.segment import SegmentWriter

__all__ = ["SegmentWriter", "ShardWriter"]


class ShardWriter:
    """Writes shards into `store_dir/shards`, in a worker process. Knows no driver and no commits.

    One segment at a time. The first segment creates the file, so an idle worker leaves nothing. After an
    OSError (the disk is full) the open shard is lost: `discard` it and end the process, for HDF5 does not
    recover from a failed write.
    """

    def __init__(
        self,
        store_dir: Path,
        *,
        codec: Codec,
        crop_size: int,
        jpeg_quality: int = 95,
        max_bytes: int = 1 << 30,
        max_age_seconds: float = 300,
    ) -> None:
        if codec not in get_args(Codec):
            raise ValueError(f"codec must be one of {get_args(Codec)}, got {codec!r}")
        self.folder = store_dir / "shards"
        self.codec: Codec = codec
        self.crop_size = crop_size
        self.jpeg_quality = jpeg_quality
        self.max_bytes = max_bytes
        self.max_age_seconds = max_age_seconds
        self._file: Any = None  # h5py.File
        self._name = ""
        self._opened_at = 0.0
        self._next_group = 0
        self._finished: dict[str, int] = {}  # group -> frames
        self._segment: SegmentWriter | None = None

    @property
    def partial(self) -> Path:
        """Where the open shard is growing."""
        return self.folder / f"{self._name}{PARTIAL_SUFFIX}"

    @property
    def should_rotate(self) -> bool:
        """The open shard is big or old enough to be sealed, and no segment is being written."""
        if self._file is None or self._segment is not None:
            return False
        age_seconds = time.monotonic() - self._opened_at
        return age_seconds >= self.max_age_seconds or int(self._file.id.get_filesize()) >= self.max_bytes

    def begin_segment(
        self,
        video_key: str,
        segment_index: int,
        time_base: Fraction,
        *,
        encoding: AbstractContextManager[None] | None = None,
    ) -> SegmentWriter:
        """Start one segment of a video; it must be finished or aborted before the next begins.

        encoding: entered around each batch of JPEG encodings, so that a caller may time them.
        """
        if self._segment is not None:
            raise ValueError(f"segment {self._segment.group_name} of {self._name} is still open")
        if self._file is None:
            self._open()
        group = self._file.create_group(f"{SEGMENTS}/{tree_path(self._next_group)}")
        self._next_group += 1
        group.attrs["video_key"] = fixed_text(video_key)
        group.attrs["segment_index"] = segment_index
        group.attrs["time_base"] = (time_base.numerator, time_base.denominator)
        self._segment = SegmentWriter(
            group,
            segment_index,
            shard=self._name,
            codec=self.codec,
            crop_size=self.crop_size,
            jpeg_quality=self.jpeg_quality,
            on_close=self._close_segment,
            encoding=encoding,
        )
        return self._segment

    def withdraw(self, record: SegmentRecord) -> None:
        """Take a finished segment out of the open shard again."""
        if record.shard != self._name or record.group not in self._finished:
            raise ValueError(f"segment {record.group} of {record.shard} is not in the open shard")
        del self._file[record.group]
        del self._finished[record.group]

    def seal(self) -> str | None:
        """Close the shard, check it and give it its name, which is returned; None when it holds nothing.

        Raises CorruptError when the file does not read back; the partial is left for inspection.
        """
        if self._segment is not None:
            raise ValueError(f"segment {self._segment.group_name} of {self._name} is still open")
        if not self._finished:
            self.discard()
            return None
        file, finished = self._file, self._finished
        self._file, self._finished = None, {}
        file.attrs["num_segments"] = len(finished)
        file.attrs["complete"] = True
        file.close()
        fsync_file(self.partial)
        _check_reads_back(self.partial, finished)
        publish(self.partial, self.folder / self._name)
        return self._name

    def discard(self) -> None:
        """Throw the open shard away, if there is one."""
        if self._segment is not None:
            self._segment.closed = True
            self._segment = None
        if self._file is None:
            return
        self.partial.unlink(missing_ok=True)  # first: after a failed write, HDF5 may crash in closing
        with contextlib.suppress(Exception):
            self._file.close()
        self._file = None
        self._finished = {}

    def _open(self) -> None:
        import h5py

        self._name = f"{uuid4().hex}.h5"
        # v110: every piece of metadata carries a checksum, and a file that was not closed says so
        self._file = h5py.File(self.partial, "x", libver=("v110", "v110"), locking=False)
        self._file.attrs["schema_version"] = SCHEMA_VERSION
        self._file.attrs["codec"] = fixed_text(self.codec)
        self._file.attrs["crop_size"] = self.crop_size
        self._file.attrs["jpeg_quality"] = self.jpeg_quality
        self._opened_at = time.monotonic()
        self._next_group = 0

    def _close_segment(self, group: str, num_frames: int | None) -> None:
        self._segment = None
        if num_frames is None:
            del self._file[group]
        else:
            self._finished[group] = num_frames


def _check_reads_back(path: Path, finished: dict[str, int]) -> None:
    with open_shard(path) as file:
        if not file.attrs["complete"] or int(file.attrs["num_segments"]) != len(finished):
            raise CorruptError(f"shard {path} does not read back: it is not complete")
        for group, num_frames in finished.items():
            if int(file[group].attrs["num_frames"]) != num_frames:
                raise CorruptError(f"shard {path} does not read back: {group} is not as written")
