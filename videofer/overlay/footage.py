"""The pictures of a video file as they are shown: upright, 8-bit YUV 4:2:0, each with its media time.

Decoding is the project's own (`preprocessing.decode`): the same frames at the same times as in the store,
damage included. Planes stay planes: a picture that nobody draws on is encoded from the samples decoded.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass, field
from fractions import Fraction
from pathlib import Path
from typing import Any

import cv2
import numpy as np

from cache.errors import UserError
from preprocessing.decode.orientation import Orientation
from preprocessing.decode.pyav_engine import PyAVDecoder
from preprocessing.probe import probe
from preprocessing.types import InputError, Probe, Source

FULL_RANGE, LIMITED_RANGE = 2, 1  # FFmpeg's numbers
BT709, SMPTE170M, UNSPECIFIED = 1, 6, 2
HD_HEIGHT, HD_WIDTH = 720, 1280  # players take an unspecified matrix as BT.709 from this size on
MICROSECOND = Fraction(1, 1_000_000)
MAX_CLOCK_HZ = (1 << 31) - 1  # of a track of an MP4 file
DEFAULT_FPS = 25.0


@dataclass(frozen=True)
class Colours:
    """How samples become colours: FFmpeg's numbers of the stream, nothing left unsaid but the transfer."""

    matrix: int = BT709
    full_range: bool = False
    primaries: int = UNSPECIFIED
    transfer: int = UNSPECIFIED


@dataclass(frozen=True, eq=False)
class Picture:
    """One picture and when it is shown, in media seconds, half-open.

    Width and height are even: an odd picture has its last column or row twice.
    """

    y: np.ndarray  # (H, W) uint8
    u: np.ndarray  # (H / 2, W / 2) uint8
    v: np.ndarray  # (H / 2, W / 2) uint8
    t_start: Fraction
    t_end: Fraction

    @property
    def planes(self) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        return self.y, self.u, self.v

    def resized(self, width: int, height: int) -> Picture:
        """The picture at another size, both even."""
        smaller = width < self.y.shape[1]
        method = cv2.INTER_AREA if smaller else cv2.INTER_CUBIC
        y = cv2.resize(self.y, (width, height), interpolation=method)
        u, v = (
            cv2.resize(plane, (width // 2, height // 2), interpolation=method) for plane in (self.u, self.v)
        )
        return Picture(y, u, v, self.t_start, self.t_end)


@dataclass
class Footage:
    """A video file to be shown again. `pictures` may be asked for once or more; each time it is decoded."""

    path: Path
    width: int  # upright pixels as the video has them: may be odd
    height: int
    clock: Fraction  # seconds; the times of all pictures are whole numbers of it, but for `MAX_CLOCK_HZ`
    fps: float  # average
    colours: Colours
    pixel_aspect: Fraction  # width of an upright pixel by its height
    presentation_start: Fraction  # seconds of the container's own time: media time 0
    _probe: Probe = field(repr=False)
    not_decoded: list[tuple[Fraction, Fraction]] = field(default_factory=list)
    """Media seconds that could not be decoded, told while `pictures` passes them; the end is not one."""
    broken_off: str | None = None
    """Why the last pass ended before the end of the video."""

    @classmethod
    def open(cls, path: Path) -> Footage:
        """Raises UserError, one line, where there is no video to be read."""
        try:
            found = probe(_source(path))
            first = next(PyAVDecoder().frames(_source(path), found))
        except InputError as error:
            raise UserError(f"{path}: {error.reason}") from error
        frame = first.picture  # type: ignore[attr-defined]
        aspect = _pixel_aspect(frame, path, found)
        turned = found.rotation in (90, 270)
        return cls(
            path=path,
            width=found.width,
            height=found.height,
            clock=_clock(found.time_base, found.presentation_start),
            fps=found.average_fps if found.average_fps and found.average_fps < 1000 else DEFAULT_FPS,
            colours=_colours(frame),
            pixel_aspect=1 / aspect if turned else aspect,
            presentation_start=found.presentation_start,
            _probe=found,
        )

    @property
    def even_size(self) -> tuple[int, int]:
        """(width, height) of the pictures."""
        return self.width + self.width % 2, self.height + self.height % 2

    @property
    def end(self) -> Fraction | None:
        """Media seconds of the end as the container declares it, None where it does not."""
        if self._probe.duration is None:
            return None
        return self._probe.stream_start + Fraction(self._probe.duration) - self.presentation_start

    def pictures(self) -> Iterator[Picture]:
        """Every picture in order of time; each ends where the next begins or an undecoded stretch does.

        After the last good picture of a damaged file it just ends, and `broken_off` says why.
        """
        decoder = PyAVDecoder()
        self.not_decoded, self.broken_off = [], None
        held: tuple[Any, Fraction] | None = None
        frames = decoder.frames(_source(self.path), self._probe)
        while True:
            try:
                frame: Any = next(frames, None)
            except InputError as error:
                self.broken_off = error.reason
                frame = None
            if frame is None:
                break
            t_start = self._media_time(frame.pts)
            self.not_decoded = [(self._media_time(a), self._media_time(b)) for a, b in decoder.not_decoded]
            if held is not None:
                lost = [a for a, _ in self.not_decoded if held[1] <= a < t_start]
                yield self._picture(held[0], held[1], min([t_start, *lost]))
            held = frame, t_start
        if held is not None:
            last, t_start = held
            yield self._picture(last, t_start, t_start + self._last_seconds(last))

    def _last_seconds(self, frame: Any) -> Fraction:
        """How long the last picture is shown."""
        if frame.duration_pts > 0:
            return Fraction(frame.duration_pts * self._probe.time_base)
        return max(self.clock, round(Fraction(1 / self.fps) / self.clock) * self.clock)

    def _media_time(self, pts: int) -> Fraction:
        return pts * self._probe.time_base - self.presentation_start

    def _picture(self, frame: Any, t_start: Fraction, t_end: Fraction) -> Picture:
        planes = _planes(frame.picture, self.colours)
        turn = Orientation(self._probe.rotation, self._probe.mirrored)
        if not turn.is_identity:
            planes = [turn.turn(plane) for plane in planes]
        width, height = self.even_size
        if (self.width, self.height) != (width, height):
            planes[0] = cv2.copyMakeBorder(
                planes[0], 0, height - self.height, 0, width - self.width, cv2.BORDER_REPLICATE
            )
        return Picture(planes[0], planes[1], planes[2], t_start, t_end)


def _source(path: Path) -> Source:
    return Source(path, str(path), "video")


def _clock(time_base: Fraction, start: Fraction) -> Fraction:
    """The coarsest clock on which all media times are whole; a microsecond where that is too fine for MP4."""
    hertz = math.lcm(time_base.denominator, start.denominator)
    return Fraction(1, hertz) if hertz <= MAX_CLOCK_HZ else MICROSECOND


def _is_yuv(frame: Any) -> bool:
    return bool(frame.format.name.startswith("yuv") and frame.format.name[3:4] in "4j")


def _colours(frame: Any) -> Colours:
    name, matrix = frame.format.name, int(frame.colorspace)
    guess = BT709 if frame.height >= HD_HEIGHT or frame.width >= HD_WIDTH else SMPTE170M
    if not _is_yuv(frame):  # RGB, grey, palette: converted by libswscale
        return Colours(guess)
    return Colours(
        matrix=guess if matrix in (0, UNSPECIFIED) else matrix,
        full_range=name.startswith("yuvj") or int(frame.color_range) == FULL_RANGE,
        primaries=int(frame.color_primaries),
        transfer=int(frame.color_trc),
    )


def _planes(frame: Any, colours: Colours) -> list[np.ndarray]:
    """Copies of the planes of an `av.VideoFrame` as 8-bit 4:2:0: the decoder goes on using its own."""
    if frame.format.name not in ("yuv420p", "yuvj420p"):
        sample_range = FULL_RANGE if colours.full_range else LIMITED_RANGE
        if _is_yuv(frame):
            frame = frame.reformat(
                format="yuv420p", src_color_range=sample_range, dst_color_range=sample_range
            )
        else:
            space = {BT709: "ITU709", SMPTE170M: "ITU601"}[colours.matrix]
            frame = frame.reformat(format="yuv420p", dst_colorspace=space, dst_color_range=sample_range)
    return [
        np.frombuffer(plane, np.uint8).reshape(-1, plane.line_size)[: plane.height, : plane.width].copy()
        for plane in frame.planes[:3]
    ]


def _pixel_aspect(frame: Any, path: Path, found: Probe) -> Fraction:
    """Of the stored picture; a senseless one counts as square."""
    from preprocessing.decode.container import find_stream, open_container

    with open_container(path, "probe") as container:
        stream = find_stream(container, found.stream_index, "probe")
        aspect = stream.sample_aspect_ratio or stream.codec_context.sample_aspect_ratio
    aspect = Fraction(aspect) if aspect else Fraction(1)
    return aspect if Fraction(1, 4) <= aspect <= 4 else Fraction(1)
