"""The default decoder: PyAV on one thread, keeping the planes as decoded; nothing is converted unasked.

Times are the container's own integers. Damage costs what it covers: decoding goes on behind it, and the
stretches of time that are lost are told. A stream that does not come to a good end raises after its last
good frame, so that the caller may keep what is there.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack
from fractions import Fraction
from itertools import chain
from typing import Any

from preprocessing.decode.container import (
    decode_on_one_thread,
    find_stream,
    is_cut_off,
    open_container,
)
from preprocessing.decode.continuity import LOST_SECONDS, Continuity
from preprocessing.decode.frames import PlaneFrame
from preprocessing.decode.keyframes import has_index, seek_keyframe
from preprocessing.decode.limits import Limits
from preprocessing.decode.orientation import Orientation
from preprocessing.decode.pictures import pictures
from preprocessing.types import Frame, InputError, Probe, Source

STAGE = "decode"
EARLY_END_SECONDS = 0.5  # a stream that ends this much and ...
EARLY_END_SHARE = 0.05  # ... this share before its declared end is damaged
STEPS_BACK_SECONDS = (
    0,
    2,
    20,
)  # a pass from the middle begins at the last keyframe before its first frame, ...
# ... or so much earlier where that shows not to be enough: gradual refresh, keyframes that are none


class PyAVDecoder:
    """Fulfils `preprocessing.types.Decoder` for video files."""

    name = "pyav"

    def __init__(self, limits: Limits | None = None) -> None:
        self.limits = limits or Limits()
        self.warnings: list[str] = []  # about the last video, complete when its frames are exhausted
        self.not_decoded: list[tuple[int, int]] = []
        """Stretches of the last video (pts, half-open, at least 0.5 s) whose pictures could not be decoded.

        A stretch is told before the frame behind it is given. What is missing at the end is not among them:
        there `frames` raises.
        """

    @staticmethod
    def usable() -> str | None:
        """Why it cannot be used here: never, PyAV reads every header already."""
        return None

    def frames(self, source: Source, probe: Probe, from_pts: int | None = None) -> Iterator[Frame]:
        """Every frame of the chosen stream in presentation order, then InputError where the rest is lost.

        `from_pts`: only frames with pts >= from_pts, the same as in a pass from the start; where the
        container has an index, decoding begins at a keyframe shortly before.
        """
        self.warnings, self.not_decoded = [], []
        orientation = Orientation(probe.rotation, probe.mirrored)
        blank = Continuity(
            probe.time_base,
            orientation.size(probe.width, probe.height),
            self.limits.max_duration_seconds,
            probe.average_fps,
            from_pts,
        )
        with ExitStack() as stack:
            container, stream = self._open(source, probe, stack)
            begun = None
            if from_pts is not None and has_index(container):
                begun = _good_from(container, stream, blank, from_pts)
                if begun is None:  # seeking leads nowhere in this file
                    stack.close()
                    container, stream = self._open(source, probe, stack)
            good, record = begun or (good_pictures(container, stream, blank), blank)
            self.not_decoded = record.not_decoded
            try:
                for picture in good:
                    if from_pts is None or picture.pts >= from_pts:
                        frame = PlaneFrame(picture, picture.pts, probe.width, probe.height, orientation)
                        frame.duration_pts = record.duration_pts(picture)
                        yield frame
            finally:  # also where the caller has seen enough
                self.warnings += record.remarks()
            if (why := _bad_end(source, probe, stream, record)) is not None:
                raise InputError(STAGE, _damage(stream, record, why))
            if is_cut_off(source.path):
                self.warnings.append("the file is cut off near its end")
            if record.num_frames == 0:
                raise InputError(STAGE, "; ".join(["no frame could be decoded", *_why_nothing(record)]))

    def _open(self, source: Source, probe: Probe, stack: ExitStack) -> tuple[Any, Any]:
        container = stack.enter_context(open_container(source.path, STAGE, self.limits))
        stream = find_stream(container, probe.stream_index, STAGE)
        decode_on_one_thread(stream, self.limits)
        return container, stream


def good_pictures(container: Any, stream: Any, record: Continuity) -> Iterator[Any]:
    """The pictures that can be taken. One that leaps ahead waits for the next one to confirm its time."""
    held = None
    for picture in pictures(container, stream, record):
        if held is not None and picture.pts is not None:
            if record.confirms(held, picture):
                record.add(held)
                yield held
            held = None
        if record.accepts(picture):
            if record.leaps(picture):
                held = picture
            else:
                record.add(picture)
                yield picture
    if held is not None:
        record.add(held)
        yield held


def _good_from(
    container: Any, stream: Any, blank: Continuity, from_pts: int
) -> tuple[Iterator[Any], Continuity] | None:
    """The good pictures from `from_pts` on, with the record of the pass that gives them.

    The packets tell whether the pass began early enough: none from there on may be without a picture.
    None where no keyframe serves though nothing is damaged.
    """
    for seconds in STEPS_BACK_SECONDS:
        record = blank.anew()
        seek_keyframe(container, stream, from_pts - round(seconds / stream.time_base))
        good = good_pictures(container, stream, record)
        first = next((picture for picture in good if picture.pts >= from_pts), None)
        if first is not None and record.whole_since_from:
            break
    if record.whole_since_from or record.errors:
        return chain([] if first is None else [first], good), record
    return None


def _bad_end(source: Source, probe: Probe, stream: Any, record: Continuity) -> str | None:
    """Why the end of a stream is no good end, or None."""
    if record.broken_off is not None:
        return record.broken_off
    declared_end_pts = None
    if probe.duration is not None:
        declared_end_pts = round((probe.stream_start + Fraction(probe.duration)) / probe.time_base)
    if record.hopeless or record.lost_at_end_seconds(declared_end_pts) >= LOST_SECONDS:
        return "the file is cut off" if is_cut_off(source.path) else record.complaint
    return _early_end(source, probe, stream, record)


def _early_end(source: Source, probe: Probe, stream: Any, record: Continuity) -> str | None:
    """Why the quiet end of a stream is no good end, or None.

    A last frame that is shown for long also ends "early" where its duration is not told. So it takes a second
    sign: frames that the index counts are missing, or the file is cut off or of a kind that cannot show it.
    """
    cut_off = is_cut_off(source.path)
    num_seen = record.num_frames + record.skipped.total()
    frames_missing = stream.frames * _share_asked_for(probe, record) * (1 - EARLY_END_SHARE) > num_seen
    if cut_off and (frames_missing or probe.duration is None):
        return "the file is cut off"
    if probe.duration is None or probe.duration <= 0:
        return None
    end = float(record.end_pts * probe.time_base) if record.num_frames else float(probe.stream_start)
    missing_seconds = float(probe.stream_start) + probe.duration - end
    ends_early = missing_seconds > max(EARLY_END_SECONDS, EARLY_END_SHARE * probe.duration)
    if ends_early and (frames_missing or cut_off is not False):
        return "the file is cut off" if cut_off else "the stream ends early"
    return None


def _why_nothing(record: Continuity) -> list[str]:
    if record.num_hidden:
        return [f"the container hides all {record.num_hidden} pictures (edit list)"]
    return record.remarks() or ["the stream is empty"]


def _share_asked_for(probe: Probe, record: Continuity) -> float:
    """Which part of the stream this pass had to see, by its times: 1 for a pass from the start."""
    if record.from_pts is None or not record.num_frames or not probe.duration:
        return 1.0
    seconds_before = float(record.first_pts * probe.time_base - probe.stream_start)
    return min(1.0, max(0.0, 1 - seconds_before / probe.duration))


def _damage(stream: Any, record: Continuity, why: str) -> str:
    if record.num_frames == 0:
        return f"no frame could be decoded: {why}"
    seconds = float((record.end_pts - record.first_pts) * stream.time_base)
    declared = f", {stream.frames} declared" if stream.frames else ""
    return f"damaged after {seconds:.1f} s: {record.num_frames} frames decoded{declared}: {why}"
