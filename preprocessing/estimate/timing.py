"""Processes a short excerpt of a video as a worker would, and takes the time. Runs in a child."""

from __future__ import annotations

import os
import time
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from tempfile import TemporaryDirectory

from preprocessing.decode.container import open_container
from preprocessing.decode.keyframes import seek_keyframe
from preprocessing.engines import EngineChoices, build_engines
from preprocessing.pipeline import limits_of, process_segment
from preprocessing.probe import choose_stream, probe
from preprocessing.spec import PreprocessSpec
from preprocessing.stage.threads import pin_threads
from preprocessing.types import InputError, Probe, Source

EXCERPT_SECONDS = 4.0
WHOLE_SECONDS = 8.0  # a shorter video is not worth an excerpt
MAX_PACKETS = 4000  # of one excerpt


@dataclass(frozen=True)
class Excerpt:
    """A few seconds of an input, `place` (in [0, 1]) of its length after the beginning."""

    source: Source
    duration: float | None
    place: float


@dataclass(frozen=True)
class Timing:
    """What one excerpt took on one worker."""

    open_seconds: float  # until the first frame, and what is left after the last: once a video
    work_seconds: float  # for the frames between
    media_seconds: float
    num_frames: int
    bytes_written: int | None  # None where it was stopped before the end
    cpu_seconds: float  # of the process, for all of it: less than the others where it had to wait


class Looker:
    """Answers Source -> Probe or InputError."""

    def __init__(self, spec: PreprocessSpec) -> None:
        self._limits = limits_of(spec)

    def __call__(self, source: Source) -> Probe | InputError:
        try:
            return probe(source, self._limits)
        except InputError as error:
            return error


class _EnoughError(Exception):
    """The excerpt is long enough."""


class Timer:
    """Answers Excerpt -> Timing or InputError; the engines are those of a worker."""

    def __init__(self, spec: PreprocessSpec, choices: EngineChoices, folder: Path) -> None:
        pin_threads()
        self._spec, self._engines = spec, build_engines(choices)
        self._folder = folder
        self._is_warm = False

    def __call__(self, excerpt: Excerpt) -> Timing | InputError:
        with TemporaryDirectory(dir=self._folder) as folder:
            source = cut_out(excerpt, Path(folder)) or excerpt.source
            try:
                if not self._is_warm:  # the first run of a network plans its memory
                    self._time(source, Path(folder))
                    self._is_warm = True
                return self._time(source, Path(folder))
            except InputError as error:
                return error

    def _time(self, source: Source, folder: Path) -> Timing:
        from cache.shard import ShardWriter

        spec = self._spec
        (folder / "shards").mkdir(exist_ok=True)
        writer = ShardWriter(
            folder, codec=spec.codec, crop_size=spec.crop_size, jpeg_quality=spec.jpeg_quality
        )
        beats: list[tuple[float, int, float]] = []  # when, frames, seconds of media

        def beat(num_frames: int, media_seconds: float) -> None:
            beats.append((time.perf_counter(), num_frames, media_seconds))
            if media_seconds - beats[0][2] > WHOLE_SECONDS:
                raise _EnoughError

        num_bytes: int | None = None
        began, cpu = time.perf_counter(), time.process_time()
        try:
            outcome = process_segment(source, "0" * 32, spec, self._engines, writer, beat)
            shard = writer.seal()
            num_bytes = 0 if shard is None else (folder / "shards" / shard).stat().st_size
            media = outcome.t_end - outcome.t_start
        except _EnoughError:
            writer.discard()
            media = beats[-1][2] - beats[0][2]
        except BaseException:
            writer.discard()
            raise
        ended, cpu = time.perf_counter(), time.process_time() - cpu
        work = beats[-1][0] - beats[0][0]
        return Timing(ended - began - work, work, media, beats[-1][1], num_bytes, cpu)


def cut_out(excerpt: Excerpt, folder: Path) -> Source | None:
    """A file of its own with some seconds from the middle of a video, copied and not encoded anew.

    It begins at a keyframe. None where the video is short, or cannot be copied so: then it is read from its
    beginning.
    """
    import av

    source, duration = excerpt.source, excerpt.duration
    if source.kind != "video" or source.sidecar or duration is None or duration <= WHOLE_SECONDS:
        return None
    path = folder / "excerpt.mkv"
    start = excerpt.place * (duration - EXCERPT_SECONDS)
    try:
        with open_container(source.path, "excerpt") as read, av.open(os.fspath(path), "w") as write:
            stream = choose_stream(read)
            time_base: Fraction = stream.time_base
            seek_keyframe(read, stream, (stream.start_time or 0) + int(Fraction(start) / time_base))
            copy = write.add_stream_from_template(stream)
            first: int | None = None
            for number, packet in enumerate(read.demux(stream)):
                if packet.pts is None or packet.dts is None or number > MAX_PACKETS:
                    break
                first = packet.pts if first is None else first
                if (packet.pts - first) * time_base > EXCERPT_SECONDS:
                    break
                packet.stream = copy
                write.mux(packet)
    except (InputError, av.FFmpegError, OSError, ValueError, TypeError, ZeroDivisionError):
        return None
    return Source(path, source.name, "video")
