"""Streams that are read once and never sought in: pipes, network streams, cameras. Through PyAV.

What FFmpeg may open is fixed by the kind of the address: a pipe gives bytes and nothing else, a network
stream may use its own protocols and no file, a camera is a device of the system.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack
from typing import Any, BinaryIO

import av

from preprocessing.decode.container import DEMUXERS, ffmpeg_reason, find_stream, refuse_other_files
from preprocessing.decode.continuity import Continuity
from preprocessing.decode.frames import PlaneFrame
from preprocessing.decode.limits import Limits
from preprocessing.decode.orientation import Orientation
from preprocessing.decode.pyav_engine import good_pictures
from preprocessing.probe import probe_container
from preprocessing.types import Frame, InputError, Probe

STAGE = "open"
PROTOCOLS = {
    "rtsp": "rtsp,rtp,udp,tcp",
    "rtsps": "rtsp,rtsps,rtp,srtp,udp,tcp,tls",
    "rtmp": "rtmp,tcp",
    "rtmps": "rtmp,rtmps,tcp,tls",
    "tcp": "tcp",
    "udp": "udp",
    "rtp": "rtp,udp",
    "srt": "srt",
    "http": "http,tcp",
    "https": "https,http,tcp,tls",
}
"""Schemes of addresses that are streams, each with what FFmpeg may open for it."""
NEVER_ENDING = Limits(max_bytes=1 << 62, max_duration_seconds=10 * 365 * 86400.0)
_LIVE_DEMUXERS = f"{DEMUXERS},rtsp,rtp,sdp,v4l2,video4linux2"
_READ_BYTES = 1 << 12  # small: what has come is to be seen at once
_QUICK_LOOK = {"analyzeduration": "1000000", "probesize": "1000000"}  # microseconds, bytes


class LiveStream:
    """One connection: what it shows, and its frames, once."""

    def __init__(self, target: str | BinaryIO, *, timeout_seconds: float = 10.0) -> None:
        """target: an address, a device (`/dev/video0`), or a pipe (unbuffered), which is closed in the end.

        timeout_seconds: without anything new for so long a network stream is broken. Raises InputError.
        """
        self._stack = ExitStack()
        self._read: list[Any] = []
        self.not_decoded: list[tuple[int, int]] = []
        """Spans of pts that were lost so far, as of `PyAVDecoder`."""
        if not isinstance(target, str):
            self._stack.callback(target.close)
        try:
            self._container = self._stack.enter_context(_open(target, timeout_seconds))
            self.facts: Probe = probe_container(self._container, NEVER_ENDING, self._read)
        except (av.FFmpegError, ValueError, OSError) as error:
            self._stack.close()
            raise InputError(STAGE, f"cannot be opened: {ffmpeg_reason(error)}") from error
        except BaseException:
            self._stack.close()
            raise

    def frames(self) -> Iterator[Frame]:
        """The frames as they come. Ends with the stream; InputError where it breaks off."""
        facts = self.facts
        stream = find_stream(self._container, facts.stream_index, STAGE)
        stream.codec_context.flush_buffers()  # the first packets were decoded already
        orientation = Orientation(facts.rotation, facts.mirrored)
        record = Continuity(
            facts.time_base,
            orientation.size(facts.width, facts.height),
            NEVER_ENDING.max_duration_seconds,
            facts.average_fps,
        )
        self.not_decoded = record.not_decoded
        for picture in good_pictures(_Continued(self._container, self._read), stream, record):
            frame = PlaneFrame(picture, picture.pts, facts.width, facts.height, orientation)
            frame.duration_pts = record.duration_pts(picture)
            yield frame
        if record.broken_off is not None or record.hopeless:
            raise InputError("decode", f"broken off: {record.complaint}")
        if not record.num_frames:
            raise InputError("decode", f"no frame could be decoded: {record.complaint or 'it is empty'}")

    def close(self) -> None:
        self._stack.close()


class _Pipe:
    """Bytes that come in order, and as soon as they come. Without `seek`, so that FFmpeg never tries."""

    def __init__(self, pipe: BinaryIO) -> None:
        self.read = pipe.read
        self.name = ""


class _Continued:
    """A container of which some packets were read already: they come first."""

    def __init__(self, container: Any, read: list[Any]) -> None:
        self.format = container.format
        self._container, self._read = container, read

    def demux(self, stream: Any) -> Iterator[Any]:
        while self._read:
            packet = self._read.pop(0)
            if packet.stream.index == stream.index:
                yield packet
        yield from self._container.demux(stream)


def _open(target: str | BinaryIO, timeout_seconds: float) -> Any:
    safe = {"format_whitelist": _LIVE_DEMUXERS, **_QUICK_LOOK}
    timeout = (timeout_seconds, timeout_seconds)
    if not isinstance(target, str):
        safe["protocol_whitelist"] = ""
        return av.open(
            _Pipe(target),
            container_options=safe,
            metadata_errors="replace",
            buffer_size=_READ_BYTES,
            io_open=refuse_other_files,
        )
    if target.startswith("/dev/"):
        return av.open(target, format="v4l2", container_options=safe, timeout=timeout)
    scheme = target.partition("://")[0].lower()
    if scheme not in PROTOCOLS:
        raise InputError(STAGE, f"no stream: {scheme}://; there are {', '.join(PROTOCOLS)}")
    safe["protocol_whitelist"] = PROTOCOLS[scheme]
    if scheme in ("rtsp", "rtsps"):
        safe["rtsp_transport"] = "tcp"  # pictures without holes, through any router
    return av.open(target, container_options=safe, metadata_errors="replace", timeout=timeout)
