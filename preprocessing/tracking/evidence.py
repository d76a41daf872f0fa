"""What a worker tells the driver of the tracks in its part of a video, so that persons can be named there.

Small and plain: it passes between processes and, for long videos, waits as JSON until the last part is done.
Seconds are media time, boxes are upright source pixels, frames count those sampled of the segment.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal

Box = tuple[float, float, float, float]


@dataclass(frozen=True)
class TrackEvidence:
    """Summary of one local track as its shard holds it."""

    kind: Literal["face", "body"]
    local_id: int
    first_frame: int  # of the segment
    num_frames: int
    t_start: float
    t_end: float
    states: dict[int, int]  # frames by State
    best_score: float
    mean_score: float
    first_box_xyxy: Box
    last_box_xyxy: Box
    clothing: tuple[float, ...] = ()  # unit vector that describes what is worn; empty: not seen well enough
    face: tuple[float, ...] = ()  # unit vector that describes the face; comparable within one video
    num_descriptors: int = 0  # looks that made these


@dataclass(frozen=True)
class SeamBox:
    """One track in one frame near the start or the end of a segment; the neighbour sees the same frames."""

    pts: int
    kind: Literal["face", "body"]
    local_id: int
    box_xyxy: Box


@dataclass(frozen=True)
class SegmentEvidence:
    """All that is known of who is in one segment."""

    index: int
    num_frames: int
    t_start: float
    t_end: float
    tracks: list[TrackEvidence] = field(default_factory=list)
    votes: list[tuple[int, int, int]] = field(default_factory=list)  # face id, body id, frames as one person
    head: list[SeamBox] = field(default_factory=list)  # around the first frame, the lead-in included
    tail: list[SeamBox] = field(default_factory=list)  # around the end, the lead-out included
