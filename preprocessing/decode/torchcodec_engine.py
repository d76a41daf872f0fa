"""The third decoder: torchcodec, on the processor or on a GPU. Times from the container through PyAV.

It decodes with the FFmpeg of the system, where the others bring their own; on a GPU with the video engine of
the card. It converts every frame to RGB and knows no mirroring. What it cannot read as PyAV does is an
InputError; a caller may then fall back.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from importlib import import_module
from importlib.util import find_spec
from typing import Any

import numpy as np

from cache.errors import UserError
from preprocessing.decode.container import open_container, open_regular_file
from preprocessing.decode.frames import PixelFrame
from preprocessing.decode.limits import Limits
from preprocessing.decode.packet_times import STAGE, packet_times, path_or_file
from preprocessing.device import CPU, FIRST_GPU, Device, require_device
from preprocessing.types import Frame, InputError, Probe, Source

TIME_TOLERANCE_SECONDS = 1e-4  # its times are the container's, as floating-point numbers
BATCH_BYTES = 8 << 20  # of pictures that are decoded, and come from the GPU, at once
MAX_BATCH = 32  # pictures

INSTALL = "pip install 'torchcodec>=0.12'"
INSTALL_FFMPEG = "apt-get install ffmpeg (Debian, Ubuntu) or conda install -c conda-forge ffmpeg"
_REFUSED = "Could not load libtorchcodec"
_CAUSE = re.compile(r"^OSError: (?!Could not load)(.+)$", re.MULTILINE)
_NO_FFMPEG = re.compile(r"lib(av|sw)\w+\.\S+: cannot open shared object file")


class TorchCodecDecoder:
    """Fulfils `preprocessing.types.Decoder` for video files."""

    def __init__(self, limits: Limits | None = None, device: Device = CPU) -> None:
        self.limits = limits or Limits()
        self.device = device
        self.name = "torchcodec" if device == CPU else "torchcodec:cuda"  # other pictures, by a few levels
        self.warnings: list[str] = []

    @classmethod
    def on_gpu(cls, limits: Limits | None = None) -> TorchCodecDecoder:
        """Decodes on the first GPU that the process sees."""
        return cls(limits, FIRST_GPU)

    @staticmethod
    def usable() -> str | None:
        """Why it cannot be used here and what mends that, in one line; None where it can. Imports torch."""
        if find_spec("torchcodec") is None:
            return f"torchcodec is not installed: {INSTALL}"
        try:
            reader_class()(b"no video")  # asks for FFmpeg first, then refuses the content
        except Exception as error:
            return why_unloadable(str(error))
        return None

    @classmethod
    def usable_on_gpu(cls) -> str | None:
        """The same for decoding on a GPU."""
        if (why := cls.usable()) is not None:
            return why
        try:
            require_device(FIRST_GPU)
        except UserError as error:
            return str(error)
        return None

    def frames(self, source: Source, probe: Probe) -> Iterator[Frame]:
        """Every frame of the chosen stream in presentation order. Raises InputError("decode", ...)."""
        self.warnings = []
        if probe.mirrored:
            raise InputError(STAGE, "torchcodec does not mirror pictures")
        with open_container(source.path, STAGE, self.limits) as container:
            times = packet_times(container, source, probe).shown()
        size = min(MAX_BATCH, max(1, BATCH_BYTES // (3 * probe.width * probe.height)))
        with open_regular_file(source.path, STAGE) as file:
            try:
                reader = reader_class()(
                    path_or_file(source.path, file),
                    stream_index=probe.stream_index,
                    dimension_order="NHWC",
                    num_ffmpeg_threads=1,
                    device=self.device,
                    seek_mode="exact",  # reads all packets first: frames are numbered by their times
                )
            except (RuntimeError, ValueError, TypeError) as error:
                raise InputError(STAGE, f"torchcodec cannot open it: {_reason(error)}") from error
            if len(reader) != len(times):
                raise InputError(STAGE, f"torchcodec counts {len(reader)} frames, the container {len(times)}")
            for first in range(0, len(times), size):
                pictures, seconds = _decode(reader, first, min(first + size, len(times)))
                if first == 0:
                    shift = seconds[0] - times.seconds[0]  # FFmpeg's versions do not agree where AVI begins
                    if self.device != CPU and reader.cpu_fallback:
                        self.warnings.append(f"not decoded on the GPU: {reader.cpu_fallback}")
                _check(pictures, seconds - shift, times.seconds[first : first + size], probe)
                for index, rgb in enumerate(pictures, first):
                    yield PixelFrame(rgb, int(times.pts[index]), int(times.duration_pts[index]))


def reader_class() -> Any:
    """What torchcodec calls VideoDecoder. Raises RuntimeError where it cannot be loaded (before 0.14)."""
    return import_module("torchcodec.decoders").VideoDecoder


def _decode(reader: Any, first: int, stop: int) -> tuple[np.ndarray, np.ndarray]:
    """Frames [first, stop): (n, h, w, 3) uint8 RGB, upright, and (n,) seconds on torchcodec's clock."""
    try:
        batch = reader.get_frames_in_range(first, stop)
    except (RuntimeError, ValueError, IndexError) as error:
        raise InputError(
            STAGE, f"torchcodec fails between frames {first} and {stop} of {len(reader)}: {_reason(error)}"
        ) from error
    return batch.data.cpu().numpy(), batch.pts_seconds.cpu().numpy()


def _check(pictures: np.ndarray, seconds: np.ndarray, expected_seconds: np.ndarray, probe: Probe) -> None:
    """InputError where these are not the frames that the container has there."""
    if (drift := float(np.abs(seconds - expected_seconds).max())) > TIME_TOLERANCE_SECONDS:
        raise InputError(STAGE, f"torchcodec's times differ from the container's by {drift:.3f} s")
    _, height, width, _ = pictures.shape
    if (width, height) != (probe.width, probe.height):
        raise InputError(
            STAGE, f"torchcodec gives {width}x{height} pixels instead of {probe.width}x{probe.height}"
        )


def why_unloadable(message: str) -> str | None:
    """What an error of torchcodec says of its installation, in one line; None if it is about the input."""
    if _REFUSED not in message:
        return None
    others = [cause for cause in _CAUSE.findall(message) if not _NO_FFMPEG.search(cause)]
    if others:  # one FFmpeg is there, and something else is not
        return f"torchcodec cannot be loaded ({others[0]}): {INSTALL}, with torch 2.11 or newer"
    return f"torchcodec finds no FFmpeg of this system: {INSTALL_FFMPEG}"


def _reason(error: BaseException) -> str:
    """The first line, without the name of the class and the place in the source before it."""
    text = str(error).strip() or type(error).__name__
    return re.sub(r"^\w+, \S+\.(cpp|h):\d+, ", "", text.splitlines()[0])
