"""Crops on their way into a segment: encoded, gathered into chunks of 16 a track, checksummed."""

from __future__ import annotations

from contextlib import AbstractContextManager, nullcontext
from typing import Any

import numpy as np

from cache.codecs import encode_jpeg
from cache.layout import CHUNK_ROW, LogWriter, crc32c
from cache.schema import CHUNK_FRAMES, Codec

MAX_PENDING_BYTES = 32 << 20  # of all open chunks together: a crowd must not fill the memory


class CropLog:
    """Gathers the crops of each track into chunks of 16 and writes the chunks one behind the other."""

    def __init__(
        self,
        group: Any,
        codec: Codec,
        crop_size: int,
        jpeg_quality: int,
        encoding: AbstractContextManager[None] | None = None,
    ) -> None:
        """encoding: entered around each batch of JPEG encodings, so that a caller may time them."""
        self.log = LogWriter(group, "crops", with_crc=False)  # the chunks have their own
        self._codec = codec
        self._crop_bytes = crop_size * crop_size * 3
        self._jpeg_quality = jpeg_quality
        self._encoding = encoding or nullcontext()
        self._open: dict[int, _OpenChunk] = {}  # by local id of the track
        self._pending_bytes = 0
        self._table: dict[int, tuple[int, int, int, int, int, int]] = {}  # CHUNK_ROW by chunk
        self._num_chunks = 0

    def append(self, local_id: int, crops: np.ndarray) -> np.ndarray:
        """crops (n, S, S, 3) -> (4, n) int64: chunk, start and size in bytes, and CRC32C of each."""
        places = np.empty((4, len(crops)), np.int64)
        done = 0
        while done < len(crops):
            chunk = self._open.get(local_id)
            if chunk is None:
                chunk = self._open[local_id] = _OpenChunk(self._num_chunks)
                self._num_chunks += 1
            num = min(CHUNK_FRAMES - chunk.num_crops, len(crops) - done)
            part = crops[done : done + num]
            if self._codec == "plain":
                encoded, sizes = list(part.copy()), np.full(num, self._crop_bytes)
            else:
                with self._encoding:
                    encoded = [encode_jpeg(crop, self._jpeg_quality) for crop in part]
                sizes = np.array([len(data) for data in encoded])
            places[0, done : done + num] = chunk.number
            places[1, done : done + num] = chunk.num_bytes + np.cumsum(sizes) - sizes
            places[2, done : done + num] = sizes
            places[3, done : done + num] = [crc32c(data) for data in encoded]
            chunk.parts += encoded
            chunk.num_crops += num
            chunk.num_bytes += int(sizes.sum())
            self._pending_bytes += int(sizes.sum())
            done += num
            if chunk.num_crops == CHUNK_FRAMES:
                self._write(local_id)
        if self._pending_bytes > MAX_PENDING_BYTES:
            self._write_all()  # short chunks, but bounded memory
        return places

    def finish(self) -> np.ndarray:
        """Write the rest; the table of all chunks, CHUNK_ROW."""
        self._write_all()
        return np.array([self._table[number] for number in range(self._num_chunks)], CHUNK_ROW)

    def _write_all(self) -> None:
        for local_id in list(self._open):
            self._write(local_id)

    def _write(self, local_id: int) -> None:
        chunk = self._open.pop(local_id)
        data = np.concatenate(chunk.parts)
        block, offset = self.log.append(data)
        self._table[chunk.number] = (local_id, chunk.num_crops, block, crc32c(data), offset, chunk.num_bytes)
        self._pending_bytes -= chunk.num_bytes


class _OpenChunk:
    """Up to 16 encoded crops of one track."""

    def __init__(self, number: int) -> None:
        self.number = number
        self.num_crops = 0
        self.num_bytes = 0
        self.parts: list[np.ndarray] = []
