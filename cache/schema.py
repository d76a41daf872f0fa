"""What a store holds: schema version, states, and the records that pass between writer, driver and reader.

Letters in shapes: T frames, J joints, P dense landmarks, S crop side in pixels. Coordinates are upright
source pixels, times are integers in the video's `time_base` (`pts`) or seconds of media time (`t_start`,
`t_end`). Ranges are half-open.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import IntEnum
from typing import Any, Literal

import numpy as np

SCHEMA_VERSION = 2
CHUNK_FRAMES = 16  # crops a chunk: one clip of the literature, about 0.6 MB of plain 112-pixel crops

Kind = Literal["video", "image", "frames", "keypoints"]
Codec = Literal["jpeg", "plain"]


class State(IntEnum):
    """What is known of a face or a body in one frame."""

    ABSENT = 0
    OK = 1
    INTERPOLATED = 2
    LOW_QUALITY = 3
    NOT_DECODED = 4


STATE_NAMES = {state: state.name.lower() for state in State}
SEEN_STATES = (State.OK, State.INTERPOLATED, State.LOW_QUALITY)
"""States in which a face has a crop, or a body has keypoints."""

_IS_SEEN = np.isin(np.arange(256), SEEN_STATES)


def is_seen(states: np.ndarray) -> np.ndarray:
    """(T,) uint8 -> (T,) bool, whether a state is one of SEEN_STATES. By a table: it runs for every block."""
    return np.asarray(_IS_SEEN[states])


QUALITY_NAMES = ("face_pixels", "sharpness", "brightness")
"""Columns of `FaceBlock.quality`: eye-to-nose-template scale in source pixels, variance of the
Laplacian of the crop's luma, mean luma in [0, 255]."""


@dataclass(frozen=True)
class FaceBlock:
    """Consecutive frames of one face track, appended to an open shard."""

    boxes_xyxy: np.ndarray  # (T, 4) float32, NaN where absent
    # image's left eye, right eye, nose, left and right mouth corner; NaN where absent
    landmarks_xy: np.ndarray  # (T, 5, 2) float32
    warps: np.ndarray  # (T, 2, 3) float32: source pixels -> crop pixels; NaN where absent
    scores: np.ndarray  # (T,) float32 in [0, 1]
    states: np.ndarray  # (T,) uint8, State
    quality: np.ndarray  # (T, 3) float32, QUALITY_NAMES
    # RGB, one for each frame whose state is in SEEN_STATES, in order
    crops: np.ndarray  # (T_seen, S, S, 3) uint8
    # beside the five: all points of the track's landmark layout, NaN where unseen; None: the track has none
    dense_landmarks: np.ndarray | None = None  # (T, P, 2) float32


@dataclass(frozen=True)
class BodyBlock:
    """Consecutive frames of one body track, appended to an open shard."""

    boxes_xyxy: np.ndarray  # (T, 4) float32, NaN where absent
    keypoints: np.ndarray  # (T, J, 3) float32: x, y, score; score 0 where a joint is unseen
    scores: np.ndarray  # (T,) float32 in [0, 1]
    states: np.ndarray  # (T,) uint8, State


@dataclass(frozen=True)
class LocalTrack:
    """One face or body track as a shard holds it: a fragment that belongs to at most one person."""

    kind: Literal["face", "body"]
    local_id: int  # unique within (segment, kind)
    first_frame: int  # index into the segment's frames
    num_frames: int


@dataclass(frozen=True)
class SegmentRecord:
    """Where one segment of a video lies and what it holds."""

    index: int
    shard: str  # file name in shards/, with .h5
    group: str  # HDF5 path of the segment in the shard
    num_frames: int
    start_pts: int
    end_pts: int  # half-open: the last frame ends here
    tracks: list[LocalTrack]


@dataclass(frozen=True)
class PersonRecord:
    """One person of a video: which local tracks are this person, and a summary for `store info`.

    `faces` and `bodies` hold (segment index, local id) pairs. Frames count from first to last evidence.
    """

    id: int
    faces: list[tuple[int, int]]
    bodies: list[tuple[int, int]]
    num_frames: int
    t_start: float
    t_end: float
    face_states: dict[str, int]
    body_states: dict[str, int]
    confidence: float = 1.0  # in [0, 1]: mean score where seen, times the certainty of the weakest join


@dataclass(frozen=True)
class VideoRecord:
    """The commit record of one finished video. What no record names does not exist."""

    key: str  # content hash
    names: list[str]
    kind: Kind
    num_frames: int  # sampled
    width: int  # as shown upright
    height: int
    time_base: tuple[int, int]  # numerator, denominator: seconds = pts * time_base
    # numerator, denominator in seconds: media_time = pts * time_base - presentation_start
    presentation_start: tuple[int, int]
    t_start: float  # media time of the first sampled frame
    t_end: float  # media time where the last sampled frame ends
    duration: float  # media time where the video ends; beyond t_end it was not decoded
    segments: list[SegmentRecord]
    persons: list[PersonRecord]
    # decoder, detector, skeletons, versions, weight hashes, fallbacks, warnings
    provenance: dict[str, Any] = field(default_factory=dict)
    # pts, half-open, rising: where nothing could be decoded before t_end; a frame ends where one begins
    not_decoded: list[tuple[int, int]] = field(default_factory=list)


@dataclass(frozen=True)
class FailureRecord:
    """One line of failures.jsonl."""

    name: str
    path: str
    key: str | None
    stage: str
    error: str  # class of the error
    reason: str
    attempts: int = 1
