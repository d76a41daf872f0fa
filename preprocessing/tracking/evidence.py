"""What a worker tells the driver of the tracks in its part of a video, so that persons can be named there.

Small and plain: it passes between processes and, for long videos, waits as JSON until the last part is done.
Seconds are media time, boxes are upright source pixels, frames count those sampled of the segment.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, Literal

Box = tuple[float, float, float, float]
TrackKind = Literal["face", "body"]


@dataclass(frozen=True)
class TrackEvidence:
    """Summary of one local track as its shard holds it."""

    kind: TrackKind
    local_id: int
    first_frame: int  # of the segment
    num_frames: int
    t_start: float
    t_end: float
    states: dict[int, int]  # frames by State
    best_score: float
    mean_score: float  # over the frames in which it was seen
    mean_side: float  # pixels: root of the box's area, over the same frames
    first_box_xyxy: Box
    last_box_xyxy: Box
    clothing: tuple[float, ...] = ()  # unit vector that describes what is worn; empty: not seen well enough
    face: tuple[float, ...] = ()  # unit vector that describes the face; comparable within one video
    num_descriptors: int = 0  # looks that made these


@dataclass(frozen=True)
class SeamBox:
    """One track in one frame near the start or the end of a segment; the neighbour sees the same frames."""

    pts: int
    kind: TrackKind
    local_id: int
    box_xyxy: Box


@dataclass(frozen=True)
class SegmentEvidence:
    """All that is known of who is in one segment."""

    index: int
    num_frames: int
    t_start: float
    t_end: float
    sure_face_score: float = 0.0  # of the detector: a face track that never reaches it belongs to nobody
    tracks: list[TrackEvidence] = field(default_factory=list)
    votes: list[tuple[int, int, int]] = field(default_factory=list)  # face id, body id, frames as one person
    head: list[SeamBox] = field(default_factory=list)  # around the first frame, the lead-in included
    tail: list[SeamBox] = field(default_factory=list)  # around the end, the lead-out included


def evidence_from_dict(data: dict[str, Any]) -> SegmentEvidence:
    """The inverse of `dataclasses.asdict`, after JSON made lists of the tuples and texts of the states."""
    tracks = [
        TrackEvidence(
            **{
                **track,
                "states": {int(state): count for state, count in track["states"].items()},
                "first_box_xyxy": tuple(track["first_box_xyxy"]),
                "last_box_xyxy": tuple(track["last_box_xyxy"]),
                "clothing": tuple(track["clothing"]),
                "face": tuple(track["face"]),
            }
        )
        for track in data["tracks"]
    ]
    seams = {
        side: [SeamBox(**{**seen, "box_xyxy": tuple(seen["box_xyxy"])}) for seen in data[side]]
        for side in ("head", "tail")
    }
    votes = [(face_id, body_id, count) for face_id, body_id, count in data["votes"]]
    return SegmentEvidence(**{**data, **seams, "tracks": tracks, "votes": votes})
