"""Looks at an input before it is decoded: what it is, which stream is meant, how it is turned, if it is sane.

Bad input is told from good here wherever a header can tell, so that decoders see only what is worth trying.
"""

from __future__ import annotations

import re
from fractions import Fraction
from itertools import islice
from typing import Any

import av
from av.sidedata.sidedata import Type as SideDataType

from preprocessing.decode.container import decode_on_one_thread, file_bytes, open_container
from preprocessing.decode.keypoint_engine import probe_keypoints
from preprocessing.decode.limits import Limits
from preprocessing.decode.orientation import Orientation, from_display_matrix
from preprocessing.decode.still_engine import probe_stills
from preprocessing.types import InputError, Probe, Source

__all__ = ["Limits", "probe"]

STAGE = "probe"
_MAX_PROBE_PACKETS = 256
_CLOCK = re.compile(r"(\d{1,4}):(\d\d):(\d\d(?:\.\d{1,12})?)", re.ASCII)


def probe(source: Source, limits: Limits | None = None) -> Probe:
    """What the headers say, checked against the limits. Raises InputError("probe", one true line)."""
    limits = limits or Limits()
    match source.kind:
        case "video":
            return _probe_video(source, limits)
        case "image" | "frames":
            return probe_stills(source, limits)
        case "keypoints":
            return probe_keypoints(source, limits)


def _probe_video(source: Source, limits: Limits) -> Probe:
    limits.check_bytes(file_bytes(source.path, STAGE))
    with open_container(source.path, STAGE, limits) as container:
        return probe_container(container, limits)


def probe_container(container: Any, limits: Limits, read: list[Any] | None = None) -> Probe:
    """What an open container says; raises as `probe`. Reads the first packets, and appends them to `read`."""
    stream = choose_stream(container)
    codec = stream.codec_context
    width, height = codec.width, codec.height  # now: a picture that fails to decode may change them
    if 0 in (width, height):  # FFmpeg forgets a size beyond the limit
        raise InputError(STAGE, f"no picture size, or one beyond the limit of {limits.max_pixels} pixels")
    limits.check_picture(width, height)
    first, starts = _first_look(container, stream, limits, read)
    stream_start = starts.get(stream.index, Fraction(0))
    duration = declared_duration(container, stream, stream_start)
    limits.check_duration(duration)
    pixel_format = codec.pix_fmt
    orientation = Orientation()
    if first is not None:  # headers lie, frames do not
        width, height, pixel_format = first.width, first.height, first.format.name
        orientation = _frame_orientation(first)
        limits.check_picture(width, height)
    width, height = orientation.size(width, height)
    return Probe(
        width=width,
        height=height,
        rotation=orientation.rotation,
        mirrored=orientation.mirrored,
        stream_index=stream.index,
        time_base=stream.time_base,
        presentation_start=min(starts.values(), default=Fraction(0)),
        duration=duration,
        codec=codec.codec.canonical_name,
        pixel_format=pixel_format or "unknown",
        stream_start=stream_start,
        average_fps=float(stream.average_rate) if stream.average_rate else None,
    )


def choose_stream(container: Any) -> Any:
    """The stream that is meant: the largest picture, then the one marked as default, then the first."""
    videos = [stream for stream in container.streams if stream.type == "video" and _is_played(stream)]
    if not videos:
        raise InputError(STAGE, "no video stream")
    decodable = [stream for stream in videos if stream.codec_context is not None]
    if not decodable:
        raise InputError(STAGE, "no decoder for the codec of the video stream")
    return min(decodable, key=_rank)


def declared_duration(container: Any, stream: Any, stream_start: Fraction) -> float | None:
    """Seconds from the stream's start to its end, as declared.

    Matroska has no duration for a stream (what FFmpeg gives there is the file's): writers put its end into
    a tag, else the file's own counts where no other stream can be the longer one.
    """
    is_told = stream.duration is not None and stream.duration > 0 and stream.time_base is not None
    if is_told and "matroska" not in container.format.name:
        return float(stream.duration * stream.time_base)
    end: Fraction | None = None
    for name, value in stream.metadata.items():
        if name.upper().startswith("DURATION") and (clock := _CLOCK.fullmatch(value.strip())):
            end = int(clock[1]) * 3600 + int(clock[2]) * 60 + Fraction(clock[3])
            break
    alone = sum(_is_played(other) for other in container.streams) == 1
    if end is None and alone and container.duration is not None:
        end = Fraction(container.duration, av.time_base)
    if end is None or end <= stream_start:
        return None
    return float(end - stream_start)


def _is_played(stream: Any) -> bool:
    """Pictures and sound of the presentation: no cover art, no subtitles, no data."""
    extras = av.stream.Disposition.attached_pic | av.stream.Disposition.timed_thumbnails
    return stream.type in ("video", "audio") and not stream.disposition & extras


def _rank(stream: Any) -> tuple[int, bool, int]:
    is_default = bool(stream.disposition & av.stream.Disposition.default)
    return -stream.codec_context.width * stream.codec_context.height, not is_default, stream.index


def _frame_orientation(frame: Any) -> Orientation:
    matrix = frame.side_data.get(SideDataType.DISPLAYMATRIX)
    return Orientation() if matrix is None else from_display_matrix(bytes(matrix))


def _first_look(
    container: Any, stream: Any, limits: Limits, read: list[Any] | None
) -> tuple[Any | None, dict[int, Fraction]]:
    """The first frame of a stream, and when each stream of the presentation starts, by stream index.

    Only a frame carries the display matrix; and Matroska does not declare starts, its packets show them.
    The frame is None where nothing decodes: decoding will say why.
    """
    played = [other for other in container.streams if _is_played(other)]
    starts = {
        other.index: other.start_time * other.time_base for other in played if other.start_time is not None
    }
    decode_on_one_thread(stream, limits)
    first = None
    try:
        for packet in islice(container.demux(played), _MAX_PROBE_PACKETS):
            if read is not None:
                read.append(packet)
            index = packet.stream.index
            if index == stream.index and first is None:
                first = next(iter(packet.decode()), None)
                if first is not None and first.pts is not None:
                    starts.setdefault(index, first.pts * stream.time_base)
            elif packet.pts is not None and index != stream.index:
                starts.setdefault(index, packet.pts * packet.stream.time_base)
            if first is not None and len(starts) == len(played):
                break
    except (av.FFmpegError, OSError):
        return None, starts
    return first, starts
