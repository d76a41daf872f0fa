"""From packets to pictures, one by one, going on behind what cannot be read or decoded."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import av

from preprocessing.decode.avi_times import AviTimes
from preprocessing.decode.container import ffmpeg_reason
from preprocessing.decode.continuity import Continuity

MAX_READ_ERRORS_IN_A_ROW = 100


def pictures(container: Any, stream: Any, record: Continuity) -> Iterator[Any]:
    """Every `av.VideoFrame` that comes out, good or not, from where the container stands to its end.

    `record` learns of packets and errors; it also says when going on is hopeless.
    """
    for packet in _packets(container, stream, record):
        record.sent(packet)
        yield from _decoded(stream, packet, record)
        if record.hopeless:
            return
    yield from _decoded(stream, None, record)


def _packets(container: Any, stream: Any, record: Continuity) -> Iterator[Any]:
    """The packets of a stream; an error of the demuxer loses a packet, one of the file ends it all."""
    packets = container.demux(stream)
    avi_times = AviTimes(stream) if container.format.name == "avi" else None
    num_errors = 0
    while num_errors <= MAX_READ_ERRORS_IN_A_ROW:
        try:
            packet = next(packets)
        except StopIteration:
            return
        except IndexError:  # PyAV at the end of a file where more streams have shown up on the way
            return
        except av.FFmpegError as error:
            num_errors += 1
            record.failed(ffmpeg_reason(error))
            packets = container.demux(stream)  # goes on behind the bad place
            continue
        except OSError as error:
            record.broken_off = ffmpeg_reason(error)
            return
        if packet.size:  # an empty one would tell the decoder that the stream ends
            num_errors = 0
            if avi_times is not None:
                avi_times.correct(packet)
            yield packet


def _decoded(stream: Any, packet: Any | None, record: Continuity) -> list[Any]:
    """The pictures that come out after this packet; None: those that the decoder still holds."""
    codec = stream.codec_context
    try:
        decoded: list[Any] = codec.decode(packet)
    except (av.error.BlockingIOError, av.error.EOFError) as error:  # it lost its step: begin anew
        record.failed(ffmpeg_reason(error))
        codec.flush_buffers()
        return []
    except (av.FFmpegError, OSError) as error:  # PyAV has a class of its own for most numbers, not for all
        if packet is not None:
            record.failed(ffmpeg_reason(error))
        return []
    return decoded
