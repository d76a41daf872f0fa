"""An MP4 file that every browser plays (H.264, 4:2:0, index first), at exact media times, with the sound.

    with Mp4Writer(out, width=640, height=360, footage=Footage.open(media)) as writer:
        for picture in footage.pictures():
            writer.write(picture.planes, picture.t_start, picture.t_end)

The file's own time is media time: players, browsers and annotation tools show the picture of second t at
second t, whatever frame rate, late start or container the source has.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from contextlib import ExitStack
from fractions import Fraction
from pathlib import Path
from typing import Any
from uuid import uuid4

import av
import numpy as np
from av.codec.context import Flags

from cache.atomic import TEMP_SUFFIX, fsync_file, publish
from videofer.overlay.footage import FULL_RANGE, LIMITED_RANGE, MAX_CLOCK_HZ, UNSPECIFIED, Footage
from videofer.overlay.sound import Sound
from videofer.timeline.ours import MARK

SOUND_AHEAD_SECONDS = 0.5  # sound lies in the file this much before the pictures of its time
MIN_FPS, MAX_FPS = 1.0, 120.0  # what x264 is told; times are exact whatever it is


class Mp4Writer:
    """Writes one file: all of it or, after an error inside the block, nothing.

    width, height: of the pictures, even. footage: whose sound, clock and colours are taken over.
    quality: x264's CRF, less is better. keyframe_seconds: a seek decodes half of this on average.
    """

    def __init__(
        self,
        path: Path,
        *,
        width: int,
        height: int,
        footage: Footage,
        with_sound: bool = True,
        quality: int = 20,
        preset: str = "veryfast",
        keyframe_seconds: float = 2.0,
    ) -> None:
        assert width % 2 == 0 and height % 2 == 0, (width, height)
        self._path = path
        self._temp = path.with_name(f".{uuid4().hex}{TEMP_SUFFIX}")
        self._clock = footage.clock
        self._stack = ExitStack()
        self._sound: Sound | None = None
        self._footage, self._with_sound = footage, with_sound
        self._size, self._quality, self._preset = (width, height), quality, preset
        self._keyframe_seconds = keyframe_seconds
        self._last_pts: int | None = None

    def __enter__(self) -> Mp4Writer:
        try:
            self._open()
        except BaseException:
            self._discard()
            raise
        return self

    def _open(self) -> None:
        footage = self._footage
        if self._with_sound:
            self._sound = self._stack.enter_context(Sound(footage.path, footage.presentation_start))
        # A late start is written in ticks of the whole file, by default milliseconds.
        rate = self._sound.rate if self._sound is not None else None
        ticks = math.lcm(self._clock.denominator, rate or 1)
        ticks = ticks if ticks <= MAX_CLOCK_HZ else self._clock.denominator
        options = {"movflags": "+faststart", "movie_timescale": str(ticks)}
        self._container = av.open(self._temp, "w", format="mp4", container_options=options)
        self._container.metadata["comment"] = MARK
        self._stack.callback(self._container.close)
        fps = Fraction(min(max(footage.fps, MIN_FPS), MAX_FPS)).limit_denominator(1001)
        stream = self._container.add_stream("libx264", rate=fps)
        codec = stream.codec_context
        codec.width, codec.height = self._size
        codec.pix_fmt = "yuv420p"
        codec.time_base = self._clock
        codec.gop_size = max(1, round(self._keyframe_seconds * fps))
        # No B-frames: at uneven steps Chromium seeks to a picture too early with them, and the edit list that
        # they need may cut off the last picture. Files are a sixth to a third larger.
        codec.options = {"preset": self._preset, "crf": str(self._quality), "bf": "0"}
        codec.flags |= Flags.frame_duration  # else a last picture lasts what the average rate says
        codec.thread_type = "FRAME"
        if footage.pixel_aspect != 1:
            codec.sample_aspect_ratio = footage.pixel_aspect
        colours = footage.colours
        codec.color_range = FULL_RANGE if colours.full_range else LIMITED_RANGE
        codec.colorspace = colours.matrix
        codec.color_primaries = colours.primaries or UNSPECIFIED
        codec.color_trc = colours.transfer or UNSPECIFIED
        stream.time_base = self._clock
        self._stream = stream
        if self._sound is not None:
            self._sound.add_to(self._container)

    def write(self, planes: Sequence[np.ndarray], t_start: Fraction, t_end: Fraction) -> None:
        """Add a picture: y (H, W), u and v (H / 2, W / 2) uint8, shown in [t_start, t_end) of media time.

        Pictures come in order. One that would begin with or before the last one, on the clock of the file,
        is left out.
        """
        frame = self.frame()
        for plane, samples in zip(frame.planes, planes, strict=True):
            view_of(plane)[...] = samples
        self.write_frame(frame, t_start, t_end)

    def frame(self) -> Any:
        """An `av.VideoFrame` of the right kind with undefined content, to be drawn into and written."""
        return av.VideoFrame(*self._size, "yuv420p")

    def write_frame(self, frame: Any, t_start: Fraction, t_end: Fraction) -> None:
        """As `write`, for what `frame` gave."""
        pts, end = round(t_start / self._clock), round(t_end / self._clock)
        if self._last_pts is not None and pts <= self._last_pts:
            return
        self._last_pts = pts
        frame.pts, frame.time_base, frame.duration = pts, self._clock, max(1, end - pts)
        colours = self._footage.colours
        frame.color_range = FULL_RANGE if colours.full_range else LIMITED_RANGE
        frame.colorspace = colours.matrix
        self._mux(self._stream.encode(frame))

    def _mux(self, packets: Sequence[Any]) -> None:
        for packet in packets:
            if self._sound is not None:
                until = float(packet.dts * packet.time_base) + SOUND_AHEAD_SECONDS
                for sound in self._sound.packets_until(until):
                    self._container.mux(sound)
            self._container.mux(packet)

    def __exit__(self, kind: object, error: BaseException | None, _trace: object) -> None:
        if error is not None:
            self._discard()
            self._name_file(error)
            return
        try:
            self._mux(self._stream.encode(None))
            if self._sound is not None:
                for sound in self._sound.packets_until(None):
                    self._container.mux(sound)
            self._stack.close()
            fsync_file(self._temp)
            publish(self._temp, self._path)
        except BaseException as failure:
            self._discard()
            self._name_file(failure)
            raise

    def _name_file(self, error: BaseException) -> None:
        """Raise an error of writing, such as a full disk, with the name that users know."""
        if isinstance(error, OSError) and str(error.filename) == str(self._temp):
            raise OSError(error.errno, error.strerror, str(self._path)) from error

    def _discard(self) -> None:
        try:
            self._stack.close()
        except (av.FFmpegError, OSError, ValueError):
            pass  # the file goes anyway; what went wrong first is what counts
        finally:
            self._temp.unlink(missing_ok=True)


def view_of(plane: Any) -> np.ndarray:
    """The samples (h, w) uint8 of a plane of an `av.VideoFrame`, writeable."""
    return np.frombuffer(plane, np.uint8).reshape(-1, plane.line_size)[: plane.height, : plane.width]
