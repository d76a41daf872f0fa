"""Keyframes without decoding: where to begin in the middle of a video, and where to cut a long one."""

from __future__ import annotations

import math
from fractions import Fraction
from typing import Any

import av

from preprocessing.decode.container import find_stream, is_cut_off, open_container
from preprocessing.types import InputError, Probe, Source, Span

STAGE = "decode"
CUT_FROM = 1.5  # segments: a video that is not longer stays whole, and no part is shorter than half a segment
_INDEXED = frozenset({"mov", "matroska"})
_INTRA_ONLY = frozenset({"mjpeg", "prores", "dnxhd", "rawvideo", "ffv1", "huffyuv", "jpeg2000", "png"})


def has_index(container: Any) -> bool:
    """Whether seeking in a container of this kind goes by an index of its own, not by guessing at bytes."""
    return not _INDEXED.isdisjoint(container.format.name.split(","))


def seek_keyframe(container: Any, stream: Any, pts: int) -> None:
    """Go to the last keyframe at or before a time, or to the first one. Raises InputError."""
    try:
        container.seek(pts, stream=stream)
    except (av.FFmpegError, OSError) as error:
        raise InputError(STAGE, f"cannot seek: {error.strerror}") from error


def plan_spans(source: Source, facts: Probe, segment_seconds: float) -> list[Span]:
    """Where to cut a video into segments: at the last keyframe at or before each multiple of the length.

    Depends on the file and `segment_seconds` alone. Nothing is decoded: one seek and one packet a cut. One
    open span for a short video, for containers without an index of their own, for other kinds of input, with
    keypoints beside it (they are counted in frames from the start), and where anything looks odd.
    """
    whole = [Span(0)]
    if source.kind != "video" or source.sidecar is not None or facts.duration is None:
        return whole
    if facts.duration <= CUT_FROM * segment_seconds:
        return whole
    try:
        cuts = [] if is_cut_off(source.path) else _cuts(source, facts, segment_seconds)
    except (InputError, av.FFmpegError, OSError):
        return whole
    return [Span(index, *ends) for index, ends in enumerate(zip([None, *cuts], [*cuts, None], strict=True))]


def _cuts(source: Source, facts: Probe, segment_seconds: float) -> list[int]:
    """pts, increasing; empty where the index cannot be trusted."""
    assert facts.duration is not None
    with open_container(source.path, STAGE) as container:
        stream = find_stream(container, facts.stream_index, STAGE)
        if not has_index(container):
            return []
        num_cuts = math.floor(facts.duration / segment_seconds - (CUT_FROM - 1))
        length_pts = Fraction(segment_seconds) / facts.time_base
        stream_start_pts = facts.stream_start / facts.time_base
        cuts: list[int] = []
        last_pts = round(stream_start_pts)
        for number in range(1, num_cuts + 1):
            target_pts = math.floor(stream_start_pts + number * length_pts)
            container.seek(target_pts, stream=stream)
            if number == 1 and not _index_is_whole(stream, facts):
                return []
            key = next((packet for packet in container.demux(stream) if packet.size), None)
            if key is None or key.pts is None or not key.is_keyframe or key.is_discard:
                return []
            if not last_pts <= key.pts <= target_pts:
                return []
            if key.pts > last_pts:  # else the keyframes lie further apart than the multiples
                cuts.append(key.pts)
            last_pts = key.pts
        return cuts


def _index_is_whole(stream: Any, facts: Probe) -> bool:
    """Whether the index reaches to the end, and tells keyframes from others."""
    entries = stream.index_entries
    num_entries = len(entries)
    if num_entries < 2 or facts.duration is None:
        return False
    end_pts = (facts.stream_start + Fraction(facts.duration)) / facts.time_base
    reaches_pts = entries[num_entries - 1].timestamp
    if reaches_pts - entries[0].timestamp < 0.5 * (end_pts - entries[0].timestamp):
        return False
    lists_every_frame = stream.frames and num_entries >= stream.frames
    if not lists_every_frame or facts.codec in _INTRA_ONLY:
        return True
    return any(not entry.is_keyframe for entry in entries[: min(num_entries, 1000)])
