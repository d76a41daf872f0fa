"""Opens video files for reading, safely: local files only, real containers only, no playlists.

A playlist (HLS, concat, DASH) names other files or addresses; a hostile one would have us read them.
So the file is opened here, FFmpeg gets its bytes and may open nothing else by itself. That also makes
every file name work, whatever its bytes.
"""

from __future__ import annotations

import errno
import os
import stat
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, BinaryIO

import av

from preprocessing.decode.limits import Limits
from preprocessing.types import InputError

DEMUXERS = (
    # with pictures
    "mov,mp4,m4a,3gp,3g2,mj2,matroska,webm,avi,mpeg,mpegts,mpegvideo,asf,asf_o,flv,live_flv,kux,ogg,mxf,mxf_opatom,"
    "gif,apng,dv,nut,ivf,rm,wtv,h264,hevc,vvc,obu,av1,m4v,mjpeg,mjpeg_2000,yuv4mpegpipe,nsv,nuv,roq,film_cpk,swf,"
    "vob,pmp,dirac,vc1,h263,h261,cavsvideo,gxf,lvf,amv,"
    # sound only: opened so that the answer is "no video stream"
    "mp3,mp2,wav,w64,aac,flac,aiff,ac3,eac3,amr,au,caf,ape,wv,tta,dsf,dts,opus,spx"
)
_READ_BYTES = 1 << 16  # a Python call for each: rare enough not to be felt, small enough to start at once


@contextmanager
def open_container(path: Path, stage: str, limits: Limits | None = None) -> Iterator[Any]:
    """An `av.container.InputContainer`. Raises InputError(stage, ...) where there is no readable video.

    Where the file itself cannot be read on, be it here or later inside the block: InputError("read", ...).
    The disk is at fault then and not the video.
    """
    max_pixels = (limits or Limits()).max_pixels
    with open_regular_file(path, stage) as file, _disk_faults(_Bytes(file)) as content:
        try:
            container = av.open(
                content,
                mode="r",
                options={"max_pixels": str(max_pixels)},  # FFmpeg decodes some pictures to see what they are
                container_options={"format_whitelist": DEMUXERS, "protocol_whitelist": ""},
                metadata_errors="replace",  # tags may hold any bytes
                buffer_size=_READ_BYTES,
                io_open=refuse_other_files,
            )
        except (av.FFmpegError, ValueError, OSError) as error:
            raise InputError(stage, f"not a video: {why_unopenable(path, error)}") from error
        try:
            yield container
        finally:
            container.close()


class _Bytes:
    """What FFmpeg reads a file through. A seek to nowhere gets an answer, where Python's files raise."""

    def __init__(self, file: BinaryIO) -> None:
        self.name = file.name  # the suffix helps FFmpeg where the content leaves a doubt
        self.tell = file.tell
        self.fault: OSError | None = None  # FFmpeg may take it for a damaged file and go on
        self._read = file.read
        self._seek = file.seek

    def read(self, count: int) -> bytes:
        try:
            return self._read(count)
        except OSError as error:
            self.fault = error
            raise

    def seek(self, offset: int, whence: int) -> int:
        try:
            return self._seek(offset, whence)
        except (OSError, ValueError):
            return -errno.EINVAL


@contextmanager
def _disk_faults(content: _Bytes) -> Iterator[_Bytes]:
    """Whatever comes of it where the file could not be read, the reason is that."""
    try:
        yield content
    except (InputError, OSError) as error:
        fault = content.fault or error
        if isinstance(fault, OSError) and not isinstance(fault, av.FFmpegError):
            raise InputError("read", f"cannot be read: {fault.strerror}") from error
        raise
    if content.fault is not None:
        raise InputError("read", f"cannot be read: {content.fault.strerror}")


def open_regular_file(path: Path, stage: str) -> BinaryIO:
    """Opens for reading; raises InputError(stage, ...) where it is no plain file or cannot be read."""
    try:
        if not stat.S_ISREG(path.stat().st_mode):  # opening a pipe would wait for ever
            raise InputError(stage, "not a regular file")
        return path.open("rb", buffering=0)
    except FileNotFoundError as error:
        raise InputError(stage, "no such file") from error
    except OSError as error:
        raise InputError(stage, f"cannot be read: {error.strerror}") from error


def file_bytes(path: Path, stage: str) -> int:
    """The size of a plain file that can be read. Raises InputError(stage, ...)."""
    with open_regular_file(path, stage) as file:
        return os.fstat(file.fileno()).st_size


def find_stream(container: Any, index: int, stage: str) -> Any:
    """The video stream that the probe chose; some containers show their streams only bit by bit."""
    if index < len(container.streams):
        stream = container.streams[index]
        if stream.type == "video" and stream.codec_context is not None:
            return stream
    raise InputError(stage, f"video stream {index} is not where it was at first")


def decode_on_one_thread(stream: Any, limits: Limits) -> None:
    """Prepares a stream for decoding: its worker is one of many, and a picture may not outgrow the limit."""
    codec = stream.codec_context
    codec.thread_type = "NONE"
    codec.thread_count = 1
    codec.options = {"max_pixels": str(limits.max_pixels)}  # inside libavcodec, before it allocates


def ffmpeg_reason(error: Exception) -> str:
    """FFmpeg's own words, in one line without its numbers."""
    return str(getattr(error, "strerror", None) or error).replace("\n", " ")


def why_unopenable(path: Path, error: Exception) -> str:
    """A truer reason than FFmpeg's "invalid data", where the file shows one."""
    if boxes := _mp4_boxes(path):
        cut = " and the file is cut off" if is_cut_off(path) else ""
        if "moov" not in boxes:
            return f"its index (moov box) is missing{cut}"
        if cut:
            return "the file is cut off"
    return ffmpeg_reason(error)


def is_cut_off(path: Path) -> bool | None:
    """Whether a part of the file claims more bytes than are there; None for containers that do not tell."""
    size = path.stat().st_size
    if boxes := _mp4_boxes(path):
        return any(end > size for kind, end in boxes.items() if kind in ("mdat", "moov"))
    with path.open("rb") as file:
        head = file.read(64)
    if head[:4] == b"RIFF" and head[8:12] in (b"AVI ", b"AVIX"):
        return 8 + int.from_bytes(head[4:8], "little") > size
    if head[:4] == b"\x1a\x45\xdf\xa3":
        return _matroska_end(head, size) > size
    return None


def _mp4_boxes(path: Path) -> dict[str, int]:
    """Top-level boxes of an MP4 or QuickTime file with where they claim to end; empty for other files."""
    size = path.stat().st_size
    boxes: dict[str, int] = {}
    with path.open("rb") as file:
        start = 0
        while start + 8 <= size and len(boxes) < 1000:
            file.seek(start)
            header = file.read(16)
            length, kind = int.from_bytes(header[:4], "big"), header[4:8]
            if start == 0 and kind not in (b"ftyp", b"moov", b"mdat", b"free", b"skip", b"wide", b"pnot"):
                return {}
            if length == 1:
                length = int.from_bytes(header[8:16], "big")
            elif length == 0:
                length = size - start  # to the end of the file
            if length < 8:
                break
            end = start + length
            name = kind.decode("latin-1")
            boxes[name] = max(end, boxes.get(name, 0))
            start = end
    return boxes


def _matroska_end(head: bytes, size: int) -> int:
    """Where the Segment of a Matroska file claims to end; the file's size where it does not say."""

    def number(at: int) -> tuple[int, int]:  # an EBML variable-length integer: value, next position
        first = head[at] if at < len(head) else 0
        length = 9 - first.bit_length()
        if length > 8 or at + length > len(head):
            return -1, at
        value = int.from_bytes(head[at : at + length], "big") & ((1 << 7 * length) - 1)
        return (-1 if value == (1 << 7 * length) - 1 else value), at + length  # all ones: unknown

    ebml_length, at = number(4)
    segment = at + ebml_length
    if ebml_length < 0 or head[segment : segment + 4] != b"\x18\x53\x80\x67":
        return size
    length, at = number(segment + 4)
    return size if length < 0 else at + length


def refuse_other_files(url: str, flags: int, options: dict[str, Any]) -> BinaryIO:
    """For `io_open`. Raises PermissionError."""
    raise PermissionError("a video may not open other files")
