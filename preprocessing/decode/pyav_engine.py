"""The default decoder: PyAV on one thread, keeping the planes as decoded; nothing is converted unasked.

Times are the container's own integers. A damaged stream yields its good frames first and raises then, so
that the caller may keep what is there.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

import av

from preprocessing.decode.container import (
    decode_on_one_thread,
    ffmpeg_reason,
    find_stream,
    is_cut_off,
    open_container,
)
from preprocessing.decode.frames import PlaneFrame
from preprocessing.decode.limits import Limits
from preprocessing.decode.orientation import Orientation
from preprocessing.types import Frame, InputError, Probe, Source

STAGE = "decode"
EARLY_END_SECONDS = 0.5  # a stream that ends this much and ...
EARLY_END_SHARE = 0.05  # ... this share before its declared end is damaged


class PyAVDecoder:
    """Fulfils `preprocessing.types.Decoder` for video files."""

    name = "pyav"

    def __init__(self, limits: Limits | None = None) -> None:
        self.limits = limits or Limits()
        self.warnings: list[str] = []  # about the last video, complete when its frames are exhausted

    def frames(self, source: Source, probe: Probe) -> Iterator[Frame]:
        """Every frame of the chosen stream in presentation order, then InputError where it is damaged."""
        self.warnings = []
        orientation = Orientation(probe.rotation, probe.mirrored)
        size = orientation.size(probe.width, probe.height)
        with open_container(source.path, STAGE) as container:
            stream = find_stream(container, probe.stream_index, STAGE)
            decode_on_one_thread(stream, self.limits)
            seen = _Seen()
            try:
                for picture in container.decode(stream):
                    if seen.accepts(picture):
                        if (picture.width, picture.height) != size:
                            raise InputError(STAGE, _other_size(picture, size, seen.num_frames))
                        seen.add(picture)
                        yield PlaneFrame(picture, picture.pts, probe.width, probe.height, orientation)
                complaint = _early_end(source, probe, stream, seen)
            except (av.FFmpegError, OSError) as error:
                complaint = ffmpeg_reason(error)
            finally:
                self.warnings += [f"{count} frames skipped: {why}" for why, count in seen.skipped.items()]
            if complaint is not None:
                raise InputError(STAGE, _damage(stream, seen, complaint))
            if is_cut_off(source.path):
                self.warnings.append("the file is cut off near its end")
            if seen.num_frames == 0:
                raise InputError(STAGE, "; ".join(["no frame could be decoded", *self.warnings]))


@dataclass
class _Seen:
    """What has come out of the stream so far."""

    num_frames: int = 0
    first_pts: int = 0
    last_pts: int = 0
    last_duration_pts: int = 0
    skipped: Counter[str] = field(default_factory=Counter)

    @property
    def end_pts(self) -> int:
        return self.last_pts + self.last_duration_pts

    def accepts(self, picture: Any) -> bool:
        """Whether the picture is whole and has a time after the last one's; counts why not."""
        if picture.pts is None:
            self.skipped["no time"] += 1
        elif picture.is_corrupt:
            self.skipped["corrupt"] += 1
        elif self.num_frames and picture.pts <= self.last_pts:
            self.skipped["time not after the frame before"] += 1
        else:
            return True
        return False

    def add(self, picture: Any) -> None:
        if self.num_frames == 0:
            self.first_pts = picture.pts
        self.num_frames += 1
        self.last_pts = picture.pts
        self.last_duration_pts = picture.duration or 0


def _early_end(source: Source, probe: Probe, stream: Any, seen: _Seen) -> str | None:
    """Why the quiet end of a stream is no good end, or None.

    A last frame that is shown for long also ends "early" where its duration is not told. So it takes a second
    sign: frames that the index counts are missing, or the file is cut off or of a kind that cannot show it.
    """
    cut_off = is_cut_off(source.path)
    frames_missing = stream.frames * (1 - EARLY_END_SHARE) > seen.num_frames + sum(seen.skipped.values())
    if cut_off and (frames_missing or probe.duration is None):
        return "the file is cut off"
    if probe.duration is None or probe.duration <= 0:
        return None
    end = float(seen.end_pts * probe.time_base) if seen.num_frames else float(probe.stream_start)
    missing_seconds = float(probe.stream_start) + probe.duration - end
    ends_early = missing_seconds > max(EARLY_END_SECONDS, EARLY_END_SHARE * probe.duration)
    if ends_early and (frames_missing or cut_off is not False):
        return "the file is cut off" if cut_off else "the stream ends early"
    return None


def _damage(stream: Any, seen: _Seen, why: str) -> str:
    if seen.num_frames == 0:
        return f"no frame could be decoded: {why}"
    seconds = float((seen.end_pts - seen.first_pts) * stream.time_base)
    declared = f", {stream.frames} declared" if stream.frames else ""
    return f"damaged after {seconds:.1f} s: {seen.num_frames} frames decoded{declared}: {why}"


def _other_size(picture: Any, size: tuple[int, int], num_frames: int) -> str:
    return (
        f"frame {num_frames} has {picture.width}x{picture.height} pixels, "
        f"the stream began with {size[0]}x{size[1]}"
    )
