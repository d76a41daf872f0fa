"""The second decoder: decord (the decord2 wheels). Pixels from decord, times from the container through PyAV.

Kept as a check on the first and for those who ask for it: it converts every frame to RGB, reads stills of no
kind and knows no mirroring. What it cannot read as PyAV does is an InputError; a caller may then fall back.
"""

from __future__ import annotations

import ctypes
import re
import sys
from collections.abc import Iterator
from importlib.util import find_spec
from typing import Any

import numpy as np

from preprocessing.decode.container import open_container, open_regular_file
from preprocessing.decode.frames import PixelFrame
from preprocessing.decode.limits import Limits
from preprocessing.decode.packet_times import STAGE, PacketTimes, packet_times, path_or_file
from preprocessing.types import Frame, InputError, Probe, Source

TIME_TOLERANCE_SECONDS = 0.002  # decord rounds to milliseconds in some containers


class DecordDecoder:
    """Fulfils `preprocessing.types.Decoder` for video files."""

    name = "decord"

    def __init__(self, limits: Limits | None = None) -> None:
        self.limits = limits or Limits()
        self.warnings: list[str] = []

    @staticmethod
    def usable() -> str | None:
        """Why it cannot be used here and what mends that, in one line; None where it can."""
        if find_spec("decord") is None:
            return "decord2 is not installed: pip install decord2"
        try:
            load_decord()
        except Exception as error:  # of the loader, or of a library of the same name that is none
            return f"decord cannot be loaded ({_first_line(error)}): pip install --force-reinstall decord2"
        return None

    def frames(self, source: Source, probe: Probe) -> Iterator[Frame]:
        """Every frame of the chosen stream in presentation order. Raises InputError("decode", ...)."""
        decord = load_decord()
        self.warnings = []
        decord.logging.set_level(decord.logging.QUIET)
        errors = (decord.DECORDError, decord.DECORDLimitReachedError, RuntimeError)
        if probe.mirrored:
            raise InputError(STAGE, "decord does not mirror pictures")
        times = _container_times(source, probe)
        with open_regular_file(source.path, STAGE) as file:
            try:
                reader = decord.VideoReader(path_or_file(source.path, file), ctx=decord.cpu(0), num_threads=1)
                starts = np.asarray(reader.get_frame_timestamp(range(len(reader))))[:, 0]
            except (*errors, IndexError) as error:
                raise InputError(STAGE, f"decord cannot open it: {_first_line(error)}") from error
            _check_times(starts, times)
            # decord counts packets that an edit list hides, but libavcodec keeps their pictures to itself.
            shown = times.shown()
            for index in range(len(shown)):
                try:
                    rgb = reader.next().asnumpy()
                except (*errors, StopIteration) as error:
                    raise InputError(
                        STAGE, f"decord stops after {index} frames of {len(shown)}: {_first_line(error)}"
                    ) from error
                if rgb.shape != (probe.height, probe.width, 3):
                    raise InputError(
                        STAGE,
                        f"decord gives {' x '.join(map(str, rgb.shape))} values instead of "
                        f"{probe.height} x {probe.width} x 3",
                    )
                yield PixelFrame(rgb, int(shown.pts[index]), int(shown.duration_pts[index]))


def load_decord() -> Any:
    """The module, imported so that it leaves the libraries of others alone.

    By itself it loads every CUDA library that pip has installed, and its own FFmpeg, for the whole process:
    torch, imported later, then calls NVBLAS for its sums and crashes, and PyAV runs on decord's FFmpeg. It
    needs neither: on the processor it uses no CUDA, and its functions are called by their own handle.
    """
    if "decord" in sys.modules:
        return sys.modules["decord"]
    hidden, shared = sys.modules.get("nvidia"), ctypes.RTLD_GLOBAL
    sys.modules["nvidia"] = None  # type: ignore[assignment]  # as if there were no such packages
    ctypes.RTLD_GLOBAL = ctypes.RTLD_LOCAL  # type: ignore[misc]
    try:
        import decord
    finally:
        ctypes.RTLD_GLOBAL = shared  # type: ignore[misc]
        del sys.modules["nvidia"]
        if hidden is not None:
            sys.modules["nvidia"] = hidden
    return decord


def _container_times(source: Source, probe: Probe) -> PacketTimes:
    """Of all packets. InputError where decord would read another stream."""
    with open_container(source.path, STAGE) as container:
        best = container.streams.best("video")
        if best is None or best.index != probe.stream_index:
            raise InputError(STAGE, "decord would read another of the video streams")
        return packet_times(container, source, probe)


def _check_times(starts: np.ndarray, times: PacketTimes) -> None:
    """decord and the container must mean the same frames: as many, at the same distances."""
    if len(starts) != len(times):
        raise InputError(STAGE, f"decord counts {len(starts)} frames, the container {len(times)}")
    apart = (starts - starts[0]) - (times.seconds - times.seconds[0])
    if (drift := float(np.abs(apart).max(initial=0.0))) > TIME_TOLERANCE_SECONDS:
        raise InputError(STAGE, f"decord's times differ from the container's by {drift:.3f} s")


def _first_line(error: BaseException) -> str:
    """Without the stack trace behind the first line and without the clock and source positions in it."""
    text = str(error).strip() or type(error).__name__
    return re.sub(r"\[\d\d:\d\d:\d\d\] \S+:\d+: ", "", text.splitlines()[0])
