"""Encodes small real videos for tests. Every frame tells its number: none can be mistaken for another."""

from __future__ import annotations

from collections.abc import Sequence
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import numpy as np


def numbered_picture(number: int, width: int = 64, height: int = 48) -> np.ndarray:
    """(h, w, 3) uint8: smooth colours that survive any codec, no symmetry; blue tells the number."""
    y, x = np.mgrid[0:height, 0:width]
    red = 40 + 150 * x / width
    green = 40 + 150 * y / height
    blue = 60 + 10 * (number % 16) + 40 * (x + 2 * y) / (width + 2 * height)
    picture = np.stack([red, green, blue], axis=-1)
    picture[: height // 4, : width // 4] = (230, 30, 30)  # a red corner: shows every turn and mirroring
    rounded: np.ndarray = np.clip(np.rint(picture), 0, 255).astype(np.uint8)
    return rounded


def write_video(
    path: Path,
    *,
    pts: Sequence[int] = tuple(range(10)),
    time_base: Fraction = Fraction(1, 25),
    size_wh: tuple[int, int] = (64, 48),
    codec: str = "libx264",
    pix_fmt: str = "yuv420p",
    codec_options: dict[str, str] | None = None,
    container_options: dict[str, str] | None = None,
    container_format: str | None = None,
    display_matrix: Sequence[int] | None = None,
    audio_start_seconds: Fraction | None = None,
    second_size_wh: tuple[int, int] | None = None,
    first_number: int = 0,
) -> Path:
    """Writes one picture a time stamp; on request with sound and a second video stream of another size."""
    options = {"preset": "ultrafast", "crf": "12"} if codec == "libx264" else {}
    if container_format is None and path.suffix.lower() in (".mp4", ".mov"):
        # else the writer would round the times to a scale of its own
        container_options = {"video_track_timescale": str(time_base.denominator), **(container_options or {})}
    with av.open(path, "w", format=container_format, options=container_options or {}) as container:
        streams = [
            _add_stream(container, codec, size_wh, pix_fmt, time_base, options | (codec_options or {}))
        ]
        if second_size_wh is not None:
            streams.append(_add_stream(container, codec, second_size_wh, pix_fmt, time_base, options))
        if display_matrix is not None:
            streams[0].set_display_matrix(display_matrix)
        sound = None
        if audio_start_seconds is not None:
            sound = container.add_stream("aac", rate=8000, layout="mono")
        for number, stamp in enumerate(pts, first_number):
            for stream in streams:
                picture = numbered_picture(number, stream.width, stream.height)
                frame = av.VideoFrame.from_ndarray(picture, format="rgb24").reformat(format=pix_fmt)
                frame.pts, frame.time_base = stamp, time_base
                for packet in stream.encode(frame):
                    container.mux(packet)
        if sound is not None:
            write_tone(container, sound, audio_start_seconds or Fraction(0), num_blocks=12)
        for stream in streams:
            for packet in stream.encode(None):
                container.mux(packet)
    return path


def write_audio(path: Path) -> Path:
    """A sound file without a picture."""
    with av.open(path, "w") as container:
        write_tone(
            container, container.add_stream("aac", rate=8000, layout="mono"), Fraction(0), num_blocks=8
        )
    return path


def repeat_video(path: Path, times: int, to: Path) -> Path:
    """A long video in no time: the packets of a short one (no B-frames, one tick a frame) again and again."""
    with av.open(path) as source, av.open(to, "w") as container:
        stream = source.streams.video[0]
        assert stream.time_base is not None
        copy = container.add_stream_from_template(stream)
        packets = [
            (bytes(p), p.pts or 0, p.duration or 0, p.is_keyframe) for p in source.demux(stream) if p.size
        ]
        period = packets[-1][1] + packets[-1][2] - packets[0][1]
        for number in range(times):
            for data, pts, duration, is_keyframe in packets:
                packet = av.Packet(data)
                packet.stream, packet.time_base, packet.is_keyframe = copy, stream.time_base, is_keyframe
                packet.pts = packet.dts = pts + number * period
                packet.duration = duration
                container.mux(packet)
    return to


def truncate(path: Path, share: float, to: Path) -> Path:
    """A copy that holds only the first part of a file."""
    data = path.read_bytes()
    to.write_bytes(data[: int(len(data) * share)])
    return to


def _add_stream(
    container: Any,
    codec: str,
    size_wh: tuple[int, int],
    pix_fmt: str,
    time_base: Fraction,
    options: dict[str, str],
) -> Any:
    stream = container.add_stream(codec, rate=25, options=options)
    stream.width, stream.height = size_wh
    stream.pix_fmt = pix_fmt
    stream.time_base = time_base
    stream.codec_context.time_base = time_base
    return stream


def write_tone(container: Any, stream: Any, start_seconds: Fraction, num_blocks: int) -> None:
    for block in range(num_blocks):
        samples = (np.sin(np.arange(1024) / 5) * 8000).astype(np.int16)[None]
        frame = av.AudioFrame.from_ndarray(samples, format="s16", layout="mono")
        frame.sample_rate = 8000
        frame.time_base = Fraction(1, 8000)
        frame.pts = int(start_seconds * 8000) + block * 1024
        for packet in stream.encode(frame):
            container.mux(packet)
    for packet in stream.encode(None):
        container.mux(packet)
