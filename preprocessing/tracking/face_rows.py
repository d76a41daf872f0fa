"""Rows of a face track: boxes and landmarks as they are found, and crops when the rows are finished."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np

from cache.schema import FaceBlock, State
from preprocessing.align import quality, similarity_from_landmarks
from preprocessing.landmarks.layouts import five_by_dense
from preprocessing.meter import Meter
from preprocessing.spec import PreprocessSpec
from preprocessing.tracking.appearance import Looks
from preprocessing.tracking.motion import Motion
from preprocessing.tracking.smoothing import smooth_at
from preprocessing.types import Faces, Frame, LandmarkEngine

LOW_SCORE = 0.5  # a face found with less is `low_quality`
LOW_SIDE_PIXELS = 24.0  # and so is one whose box is smaller: its crop is mostly interpolation


@dataclass
class FaceTrack:
    """A face being followed: the rows that wait for their look-ahead, where it is, and its looks."""

    motion: Motion
    looks: Looks = field(default_factory=Looks)
    indices: list[int] = field(default_factory=list)  # of frames; rows of one unbroken run
    seconds: list[float] = field(default_factory=list)
    values: list[np.ndarray] = field(default_factory=list)  # (15,): box, landmarks, score
    states: list[State] = field(default_factory=list)
    dense: dict[int, np.ndarray] = field(default_factory=dict)  # (P, 2) by frame, where they place the crops
    num_emitted: int = 0  # rows of this run already handed on; they stay as context for smoothing
    num_found: int = 0  # detections so far
    absent_before: int = 0  # frames without the face between the last run and this one
    is_unsure: bool = False  # it was so close to somebody else that it may be the other by now
    was_hidden: bool = False  # lost where somebody else was
    local_id: int | None = None  # given when the first row is handed on

    @property
    def last_index(self) -> int:
        return self.indices[-1]

    @property
    def last_seconds(self) -> float:
        return self.seconds[-1]

    def append(self, index: int, seconds: float, row: np.ndarray, state: State) -> None:
        """One more frame of this run. row: (15,) as `face_row` gives it."""
        side = float(np.sqrt(max(0.0, (row[2] - row[0]) * (row[3] - row[1]))))
        if row[14] < LOW_SCORE or side < LOW_SIDE_PIXELS:
            state = State.LOW_QUALITY
        self.indices.append(index)
        self.seconds.append(seconds)
        self.values.append(row.astype(np.float32))
        self.states.append(state)

    def begin_run(self, absent_before: int) -> None:
        """After a loss of so many frames; what came before must have been handed on."""
        self.indices, self.seconds, self.values, self.states = [], [], [], []
        self.dense.clear()
        self.num_emitted = 0
        self.absent_before = absent_before

    def forget(self, horizon_seconds: float) -> None:
        """Drop handed-on rows that are too old to matter for smoothing. The newest row always stays."""
        limit = self.seconds[max(0, self.num_emitted - 1)] - horizon_seconds
        num_old = sum(1 for t in self.seconds[: self.num_emitted] if t < limit)
        num_old = min(num_old, len(self.indices) - 1)
        if num_old > 0:
            for column in (self.indices, self.seconds, self.values, self.states):
                del column[:num_old]
            for index in [index for index in self.dense if index < self.indices[0]]:
                del self.dense[index]
            self.num_emitted -= num_old


@dataclass(frozen=True)
class FaceRows:
    """Finished rows of one track, ready for the store. first_frame counts frames of the segment."""

    track: FaceTrack
    first_frame: int
    block: FaceBlock


def face_row(faces: Faces, n: int) -> np.ndarray:
    """(15,): box, landmarks and score of one detection."""
    return np.concatenate([faces.boxes_xyxy[n], faces.landmarks_xy[n].ravel(), faces.scores[n : n + 1]])


def face_block(
    track: FaceTrack,
    rows: list[int],
    frames: Mapping[int, tuple[float, Frame]],
    spec: PreprocessSpec,
    meter: Meter,
    landmarks: LandmarkEngine | None = None,
) -> FaceBlock:
    """The wanted rows of the track's run with crops, each warped from its own frame.

    landmarks: what finds dense landmarks, in the same frames; None: they have none.
    """
    size = spec.crop_size
    values = np.stack(track.values)  # (T, 15)
    raw = values[rows]
    seconds = np.array(track.seconds)
    dense, anchors = None, values[:, 4:14]
    if landmarks is not None:
        with meter.stage("landmarks"):
            if spec.align_by == "dense":
                everywhere = _dense_of_run(track, values, frames, landmarks)
                five = five_by_dense(everywhere, landmarks.layout, anchors.reshape(-1, 5, 2))
                dense, anchors = everywhere[rows], five.reshape(-1, 10)
            else:
                own = [frames[track.indices[r]][1] for r in rows]
                dense = landmarks.locate(own, raw[:, :4], raw[:, 4:14].reshape(-1, 5, 2))
    smooth = smooth_at(seconds[rows], seconds, anchors, spec.smooth_sigma_seconds)
    warps = similarity_from_landmarks(smooth.reshape(-1, 5, 2).astype(np.float32), size)  # (N, 2, 3)
    crops = np.empty((len(rows), size, size, 3), np.uint8)
    qualities = np.empty((len(rows), 3), np.float32)
    with meter.stage("align"):
        for n, r in enumerate(rows):
            crops[n] = frames[track.indices[r]][1].aligned_rgb(warps[n], (size, size))
            qualities[n] = quality(crops[n], warps[n])
    return FaceBlock(
        boxes_xyxy=raw[:, :4],
        landmarks_xy=raw[:, 4:14].reshape(-1, 5, 2),
        warps=warps,
        scores=raw[:, 14],
        states=np.array([track.states[r] for r in rows], np.uint8),
        quality=qualities,
        crops=crops,
        dense_landmarks=dense,
    )


def _dense_of_run(
    track: FaceTrack,
    values: np.ndarray,
    frames: Mapping[int, tuple[float, Frame]],
    landmarks: LandmarkEngine,
) -> np.ndarray:
    """Dense landmarks (T, P, 2) of all rows that the track holds: smoothing looks before and behind.

    Each frame is looked at once: rows already handed on, whose frames are gone, have theirs from before.
    """
    new = [r for r, index in enumerate(track.indices) if index not in track.dense]
    pictures = [frames[track.indices[r]][1] for r in new]
    points = landmarks.locate(pictures, values[new, :4], values[new, 4:14].reshape(-1, 5, 2))
    track.dense.update((track.indices[r], found) for r, found in zip(new, points, strict=True))
    return np.stack([track.dense[index] for index in track.indices])


def absent_block(num_frames: int, crop_size: int, landmarks: LandmarkEngine | None = None) -> FaceBlock:
    """Rows of frames in which the face was not found. landmarks: as of `face_block`."""

    def nan(*shape: int) -> np.ndarray:
        return np.full((num_frames, *shape), np.nan, np.float32)

    return FaceBlock(
        boxes_xyxy=nan(4),
        landmarks_xy=nan(5, 2),
        warps=nan(2, 3),
        scores=np.zeros(num_frames, np.float32),
        states=np.full(num_frames, State.ABSENT, np.uint8),
        quality=nan(3),
        crops=np.empty((0, crop_size, crop_size, 3), np.uint8),
        dense_landmarks=None if landmarks is None else nan(landmarks.num_points, 2),
    )
