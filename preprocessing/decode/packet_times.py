"""The times of a stream's packets, read through PyAV without decoding: those that all other engines go by."""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import Any, BinaryIO

import av
import numpy as np

from preprocessing.decode.avi_times import AviTimes
from preprocessing.decode.container import ffmpeg_reason, find_stream, is_cut_off
from preprocessing.types import InputError, Probe, Source

STAGE = "decode"


@dataclass(frozen=True)
class PacketTimes:
    """All packets of one stream in presentation order, N of them."""

    pts: np.ndarray  # (N,) int64
    duration_pts: np.ndarray  # (N,) int64, 0 where the container says nothing
    is_shown: np.ndarray  # (N,) bool; an edit list hides packets that others are decoded from
    time_base: Fraction

    def __len__(self) -> int:
        return len(self.pts)

    @property
    def seconds(self) -> np.ndarray:
        """(N,) float64, on the container's own clock."""
        return self.pts * float(self.time_base)

    def shown(self) -> PacketTimes:
        """Those that have a picture for the viewer."""
        keep = self.is_shown
        return PacketTimes(self.pts[keep], self.duration_pts[keep], keep[keep], self.time_base)


def packet_times(container: Any, source: Source, probe: Probe) -> PacketTimes:
    """Of the chosen stream, from an open container to its end.

    Raises InputError("decode", ...) where the file shows damage: there, engines that number frames give
    pictures at wrong times, or end without a word.
    """
    if is_cut_off(source.path):
        raise InputError(STAGE, "the file is cut off")
    stream = find_stream(container, probe.stream_index, STAGE)
    avi_times = AviTimes(stream) if container.format.name == "avi" else None
    rows: list[tuple[int, int, bool]] = []
    num_corrupt = 0
    try:
        for packet in container.demux(stream):
            num_corrupt += packet.is_corrupt
            if avi_times is not None and packet.size:
                avi_times.correct(packet)
            if packet.pts is not None:
                rows.append((packet.pts, packet.duration or 0, not packet.is_discard))
    except (av.FFmpegError, OSError) as error:
        raise InputError(STAGE, f"damaged: {ffmpeg_reason(error)}") from error
    if num_corrupt:
        raise InputError(STAGE, f"damaged: {num_corrupt} packets are not whole")
    if not any(is_shown for _, _, is_shown in rows):
        raise InputError(STAGE, "no frame has a time")
    pts, durations, shown = np.array(sorted(rows), np.int64).T
    return PacketTimes(pts, durations, shown.astype(bool), probe.time_base)


def path_or_file(path: Path, file: BinaryIO) -> str | BinaryIO:
    """What a native library can open: the path, or the open file where its name is no valid Unicode."""
    name = str(path.absolute())
    return file if any("\udc80" <= letter <= "\udcff" for letter in name) else name
