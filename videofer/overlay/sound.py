"""The sound of a video file on its way into an MP4 file: copied where browsers play it so, else made AAC."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack
from fractions import Fraction
from itertools import pairwise
from pathlib import Path
from typing import Any

import av

from preprocessing.decode.container import open_container
from preprocessing.types import InputError

COPIED = frozenset({"aac", "mp3", "opus", "flac"})
"""Codecs that MP4 holds and browsers play there. AC-3, ALAC and others fit in as well, but are not heard."""

AAC_RATES = frozenset({8000, 11025, 12000, 16000, 22050, 24000, 32000, 44100, 48000})
DEFAULT_RATE = 48000
BITS_PER_CHANNEL = 80_000  # a second
MAX_READ_ERRORS = 100


class Sound:
    """The sound that a player would choose, on media time. A context manager; `stream` is None without any.

    `packets_until` gives what belongs before a time, so that sound and pictures lie side by side in the file.
    Sound that can be neither copied nor decoded is left out.
    """

    def __init__(self, path: Path, presentation_start: Fraction) -> None:
        self._start = presentation_start
        self._stack = ExitStack()
        self.stream: Any = None  # of the input
        self._container: Any = None
        self._packets: Iterator[Any] = iter(())
        self._waiting: Any = None
        self._output: Any = None
        self._last_dts: int | None = None
        try:
            self._container = self._stack.enter_context(open_container(path, "sound"))
            stream = self._container.streams.best("audio")
        except (InputError, av.FFmpegError):  # the pictures say what is wrong with the file
            return
        if stream is not None and stream.codec_context is not None and stream.rate:
            self.stream = stream

    def __enter__(self) -> Sound:
        return self

    def __exit__(self, *_: object) -> None:
        self._packets = iter(())
        self._stack.close()

    @property
    def rate(self) -> int | None:
        """Samples a second, None without sound."""
        return None if self.stream is None else int(self.stream.rate)

    def add_to(self, output: Any) -> None:
        """Add its stream to an `av` output container; must come before the first packet of anything."""
        if self.stream is None:
            return
        if self.stream.codec_context.codec.canonical_name in COPIED:
            self._output = output.add_stream_from_template(self.stream)
            self._packets = self._copied()
        else:
            rate = self.stream.rate if self.stream.rate in AAC_RATES else DEFAULT_RATE
            layout = "mono" if self.stream.codec_context.channels == 1 else "stereo"
            self._output = output.add_stream("aac", rate=rate, layout=layout)
            self._output.bit_rate = BITS_PER_CHANNEL * (1 if layout == "mono" else 2)
            self._packets = self._encoded(rate, layout)

    def packets_until(self, seconds: float | None) -> Iterator[Any]:
        """The packets from where the last call ended to a media time; None: to the end."""
        while True:
            packet = self._waiting if self._waiting is not None else next(self._packets, None)
            self._waiting = packet
            if packet is None or (seconds is not None and packet.dts * packet.time_base > seconds):
                return
            self._waiting = None
            if self._last_dts is None or packet.dts > self._last_dts:  # muxers take no step back
                self._last_dts = packet.dts
                yield packet

    def _demuxed(self) -> Iterator[Any]:
        packets, num_errors = self._container.demux(self.stream), 0
        while num_errors < MAX_READ_ERRORS:
            try:
                packet = next(packets, None)
            except (av.FFmpegError, IndexError):
                num_errors += 1
                packets = self._container.demux(self.stream)  # goes on behind the bad place
                continue
            if packet is None:
                return
            if packet.size and packet.pts is not None:
                yield packet

    def _copied(self) -> Iterator[Any]:
        """The packets as they are, on the clock of the sound's own samples: it is finer than any other."""
        clock = Fraction(1, self.stream.rate)
        for packet in self._demuxed():
            shifted = [
                None if value is None else round((value * packet.time_base - self._start) / clock)
                for value in (packet.pts, packet.dts)
            ]
            duration = round((packet.duration or 0) * packet.time_base / clock)
            packet.time_base = clock
            packet.pts, packet.duration = shifted[0], duration
            packet.dts = shifted[1] if shifted[1] is not None else shifted[0]
            packet.stream = self._output
            yield packet

    def _encoded(self, rate: int, layout: str) -> Iterator[Any]:
        """Decoded, silence put in where the file has gaps, encoded."""
        graph = None
        for frame in self._decoded():
            media_seconds = frame.pts * frame.time_base - self._start
            frame.time_base = Fraction(1, frame.sample_rate)
            frame.pts = round(media_seconds * frame.sample_rate)
            if graph is None:
                graph = _resampling(frame, rate, layout, self._output.codec_context)
            graph.push(frame)
            yield from self._drained(graph)
        if graph is not None:
            graph.push(None)
            yield from self._drained(graph)
            yield from self._output.encode(None)

    def _drained(self, graph: Any) -> Iterator[Any]:
        while True:
            try:
                frame = graph.pull()
            except (av.error.BlockingIOError, av.error.EOFError):
                return
            yield from self._output.encode(frame)

    def _decoded(self) -> Iterator[Any]:
        codec = self.stream.codec_context
        for packet in self._demuxed_and_end():
            try:
                frames = codec.decode(packet)
            except av.FFmpegError:
                continue
            yield from (frame for frame in frames if frame.pts is not None and frame.samples)

    def _demuxed_and_end(self) -> Iterator[Any]:
        yield from self._demuxed()
        yield None


def _resampling(frame: Any, rate: int, layout: str, codec: Any) -> Any:
    """Sound of any kind in; pieces of the encoder's size out, on one clock without gaps."""
    graph = av.filter.Graph()
    nodes = [
        graph.add_abuffer(
            sample_rate=frame.sample_rate,
            format=frame.format.name,
            layout=frame.layout.name,
            time_base=frame.time_base,
        ),
        graph.add("aresample", "async=1"),
        graph.add("aformat", f"sample_fmts=fltp:sample_rates={rate}:channel_layouts={layout}"),
        graph.add("asetnsamples", f"n={codec.frame_size or 1024}:p=0"),
        graph.add("abuffersink"),
    ]
    for one, other in pairwise(nodes):
        one.link_to(other)
    graph.configure()
    return graph
