"""The second decoder: decord (the decord2 wheels). Pixels from decord, times from the container through PyAV.

Kept as a check on the first and for those who ask for it: it converts every frame to RGB, reads stills of no
kind and knows no mirroring. What it cannot read as PyAV does is an InputError; a caller may then fall back.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO

import av
import numpy as np

from preprocessing.decode.container import ffmpeg_reason, find_stream, open_container, open_regular_file
from preprocessing.decode.frames import PixelFrame
from preprocessing.decode.limits import Limits
from preprocessing.types import Frame, InputError, Probe, Source

STAGE = "decode"
TIME_TOLERANCE_SECONDS = 0.002  # decord rounds to milliseconds in some containers


class DecordDecoder:
    """Fulfils `preprocessing.types.Decoder` for video files."""

    name = "decord"

    def __init__(self, limits: Limits | None = None) -> None:
        self.limits = limits or Limits()
        self.warnings: list[str] = []

    def frames(self, source: Source, probe: Probe) -> Iterator[Frame]:
        """Every frame of the chosen stream in presentation order. Raises InputError("decode", ...)."""
        import decord

        self.warnings = []
        decord.logging.set_level(decord.logging.QUIET)
        if probe.mirrored:
            raise InputError(STAGE, "decord does not mirror pictures")
        times = _container_times(source, probe)
        with open_regular_file(source.path, STAGE) as file:
            try:
                reader = decord.VideoReader(_for_decord(source.path, file), ctx=decord.cpu(0), num_threads=1)
                starts = np.asarray(reader.get_frame_timestamp(range(len(reader))))[:, 0]
            except (decord.DECORDError, RuntimeError, IndexError) as error:
                raise InputError(STAGE, f"decord cannot open it: {_first_line(error)}") from error
            _check_times(starts, times[:, 0], probe)
            # decord counts packets that an edit list hides, but libavcodec keeps their pictures to itself.
            shown = times[times[:, 2] == 1]
            for index, (pts, duration_pts, _) in enumerate(shown.tolist()):
                try:
                    rgb = reader.next().asnumpy()
                except (decord.DECORDError, RuntimeError, StopIteration) as error:
                    raise InputError(
                        STAGE, f"decord stops after {index} frames of {len(shown)}: {_first_line(error)}"
                    ) from error
                if rgb.shape != (probe.height, probe.width, 3):
                    raise InputError(
                        STAGE,
                        f"decord gives {rgb.shape[1]}x{rgb.shape[0]} pixels instead of "
                        f"{probe.width}x{probe.height}",
                    )
                yield PixelFrame(rgb, pts, duration_pts)


def _container_times(source: Source, probe: Probe) -> np.ndarray:
    """(T, 3) int64 of all packets in presentation order: pts, duration, 1 if shown or 0 if only decoded."""
    with open_container(source.path, STAGE) as container:
        best = container.streams.best("video")
        if best is None or best.index != probe.stream_index:
            raise InputError(STAGE, "decord would read another of the video streams")
        try:
            times = [
                (packet.pts, packet.duration or 0, not packet.is_discard)
                for packet in container.demux(find_stream(container, probe.stream_index, STAGE))
                if packet.pts is not None
            ]
        except (av.FFmpegError, OSError) as error:
            raise InputError(STAGE, f"damaged: {ffmpeg_reason(error)}") from error
    if not any(is_shown for _, _, is_shown in times):
        raise InputError(STAGE, "no frame has a time")
    return np.array(sorted(times), np.int64)


def _check_times(starts: np.ndarray, pts: np.ndarray, probe: Probe) -> None:
    """decord and the container must mean the same frames: as many, at the same distances."""
    if len(starts) != len(pts):
        raise InputError(STAGE, f"decord counts {len(starts)} frames, the container {len(pts)}")
    seconds = (pts - pts[0]).astype(np.float64) * float(probe.time_base)
    drift = float(np.abs((starts - starts[0]) - seconds).max(initial=0.0))
    if drift > TIME_TOLERANCE_SECONDS:
        raise InputError(STAGE, f"decord's times differ from the container's by {drift:.3f} s")


def _for_decord(path: Path, file: BinaryIO) -> str | BinaryIO:
    """The path where decord can take it; a name that is no valid Unicode: the open file, read as a whole."""
    name = str(path.absolute())
    return file if any("\udc80" <= letter <= "\udcff" for letter in name) else name


def _first_line(error: BaseException) -> str:
    """Without the stack trace behind the first line and without the clock and source positions in it."""
    text = str(error).strip() or type(error).__name__
    return re.sub(r"\[\d\d:\d\d:\d\d\] \S+:\d+: ", "", text.splitlines()[0])
