"""Follows every body through a video: skeletons every few frames, interpolated between.

A body is searched for by the person detector now and then, and followed by its own last keypoints in
between. Sidecar skeletons are read at every frame. No frame is kept but the newest.
"""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np

from cache.schema import BodyBlock, State
from preprocessing.meter import Meter
from preprocessing.skeletons.layouts import LAYOUTS
from preprocessing.spec import PreprocessSpec
from preprocessing.tracking.appearance import FACE_SCALE, Looks
from preprocessing.tracking.association import assign, box_iou, pair_costs
from preprocessing.tracking.body_looks import BodySight
from preprocessing.tracking.identity import HIDDEN_IOU, with_looks
from preprocessing.tracking.motion import Motion
from preprocessing.types import Bodies, Frame, SkeletonEngine

MIN_SCORE = 0.3  # mean of the keypoint scores below which a followed body is gone
LOW_SCORE = 0.45  # and below which it is `low_quality`
SAME_BODY_IOU = 0.7  # two followed boxes that overlap more have run onto one body


@dataclass
class BodyTrack:
    """A body being followed, and where it was last seen."""

    motion: Motion
    keypoints: np.ndarray  # (J, 3)
    score: float
    last_index: int
    looks: Looks = field(default_factory=Looks)
    was_hidden: bool = False  # lost where somebody else was
    local_id: int | None = None

    @property
    def box(self) -> np.ndarray:
        """(4,) where it was last seen."""
        return self.motion.box

    @property
    def last_seconds(self) -> float:
        return self.motion.seconds


@dataclass(frozen=True)
class BodyRows:
    """Finished rows of one track, ready for the store. first_frame counts frames of the segment."""

    track: BodyTrack
    first_frame: int
    block: BodyBlock


def look_ahead_seconds(spec: PreprocessSpec, engine: SkeletonEngine) -> float:
    """How much later than a frame the look lies, at most, that settles what is seen in it; less one frame."""
    return spec.pose_interval_seconds if engine.needs_pixels else 0.0


class BodyFollower:
    """Takes frames in order and gives back finished rows."""

    def __init__(self, spec: PreprocessSpec, engine: SkeletonEngine, meter: Meter) -> None:
        self._spec = spec
        self._describes = spec.appearance != "none"
        self._layout = LAYOUTS[engine.layout]
        self._engine = engine
        self._meter = meter
        self._active: list[BodyTrack] = []
        self._lost: list[BodyTrack] = []
        self._looked = -1
        self._looked_seconds = 0.0
        self._searched_seconds = float("-inf")  # when the person detector last ran
        self._newest: tuple[int, int, float, Frame | None] | None = None
        self._seconds: list[float] = []  # times of the frames since the last look, that look's first
        self._finished: list[BodyRows] = []

    def push(
        self, index: int, source_index: int, seconds: float, frame: Frame | None, cut: bool
    ) -> list[BodyRows]:
        """Next frame; returns the rows that are finished by now. source_index counts decoded frames."""
        with self._meter.stage("track"):
            self._push(index, source_index, seconds, frame, cut)
        return self._take_finished()

    def finish(self) -> list[BodyRows]:
        """End of the video: all rows that are left."""
        with self._meter.stage("track"):
            self._end_scene()
        return self._take_finished()

    def _push(self, index: int, source_index: int, seconds: float, frame: Frame | None, cut: bool) -> None:
        if cut:
            self._end_scene()
        self._newest = (index, source_index, seconds, frame)
        self._seconds.append(seconds)
        due = (
            self._looked < 0
            or not self._engine.needs_pixels
            or index - self._looked >= self._spec.pose_interval_frames
            or seconds - self._looked_seconds >= self._spec.pose_interval_seconds
        )
        if due:
            self._look()

    def _take_finished(self) -> list[BodyRows]:
        finished, self._finished = self._finished, []
        return finished

    def _end_scene(self) -> None:
        if self._newest is not None and self._newest[0] > self._looked:
            self._look()
        self._active, self._lost = [], []
        self._looked, self._searched_seconds = -1, float("-inf")
        self._newest, self._seconds = None, []

    def _look(self) -> None:
        assert self._newest is not None
        index, source_index, seconds, frame = self._newest
        search = not self._active or seconds - self._searched_seconds >= self._spec.person_interval_seconds
        known = None if search else np.stack([track.box for track in self._active])
        if search:
            self._searched_seconds = seconds
        with self._meter.stage("pose"):
            found = self._engine.detect(frame, source_index, seconds, known)
        self._advance(BodySight(_distinct(found), index, seconds, frame, self._layout))
        self._looked, self._looked_seconds = index, seconds
        self._seconds = [seconds]

    def _advance(self, sight: BodySight) -> None:
        tracks = self._active + self._lost
        bodies, index, seconds = sight.bodies, sight.index, sight.seconds
        pairs = self._pair(tracks, sight)
        for m, n in pairs:
            self._extend(tracks[m], index, seconds, bodies, n, bridged=m < len(self._active))
        seen, numbers = [tracks[m] for m, _ in pairs], [n for _, n in pairs]
        for n in sorted(set(range(len(bodies))) - set(numbers)):
            motion = Motion(bodies.boxes_xyxy[n], seconds)
            track = BodyTrack(motion, bodies.keypoints[n], float(bodies.scores[n]), index)
            self._emit(track, index, *_ends(bodies, n), [_state(track.score)])
            seen.append(track)
            numbers.append(n)
        for track, n in zip(seen, numbers, strict=True):
            track.was_hidden = False
            if self._describes and track.looks.is_due(seconds):
                track.looks.add(sight.look(n), seconds)
        seen_ids = {id(track) for track in seen}
        limit = seconds - self._spec.max_gap_seconds
        self._lost = [t for t in tracks if id(t) not in seen_ids and t.last_seconds >= limit]
        for track in self._lost:
            if track.last_index == self._looked:  # lost just now
                overlap = box_iou(track.motion.expected(seconds)[None], bodies.boxes_xyxy)
                track.was_hidden = self._describes and bool((overlap > HIDDEN_IOU).any())
        self._active = seen

    def _pair(self, tracks: list[BodyTrack], sight: BodySight) -> list[tuple[int, int]]:
        """(track, body): by place, and by clothing where the place leaves a choice."""
        if not tracks or not len(sight.bodies):
            return []
        costs = pair_costs(
            np.stack([track.motion.expected(sight.seconds) for track in tracks]), sight.bodies.boxes_xyxy
        )
        if self._describes and (len(tracks) > 1 or self._lost):
            is_lost = np.arange(len(tracks)) >= len(self._active)
            was_hidden = np.array([track.was_hidden for track in tracks])
            looks = [track.looks for track in tracks]
            costs = with_looks(
                costs, is_lost, looks, sight.look, FACE_SCALE, np.zeros_like(is_lost), was_hidden
            )
        return assign(costs)

    def _extend(
        self, track: BodyTrack, index: int, seconds: float, bodies: Bodies, n: int, bridged: bool
    ) -> None:
        """Rows from the track's last frame (exclusive) to this one (inclusive)."""
        box, keypoints, score = bodies.boxes_xyxy[n], bodies.keypoints[n], float(bodies.scores[n])
        between = index - track.last_index - 1
        if between > 0 and bridged:
            times = np.array(self._seconds[1:-1])
            part = ((times - track.last_seconds) / (seconds - track.last_seconds))[:, None]  # (T, 1)
            boxes = (1 - part) * track.box + part * box
            joints = (1 - part)[..., None] * track.keypoints + part[..., None] * keypoints  # (T, J, 3)
            joints[..., 2] = np.minimum(track.keypoints[:, 2], keypoints[:, 2])
            scores = (1 - part[:, 0]) * track.score + part[:, 0] * score
            states = [State.INTERPOLATED if s >= LOW_SCORE else State.LOW_QUALITY for s in scores]
            self._emit(track, track.last_index + 1, boxes, joints, scores, states)
        elif between > 0:
            boxes = np.full((between, 4), np.nan)
            joints = np.zeros((between, *keypoints.shape))
            self._emit(
                track, track.last_index + 1, boxes, joints, np.zeros(between), [State.ABSENT] * between
            )
        track.motion.see(box, seconds, broken=not bridged)
        track.keypoints, track.score, track.last_index = keypoints, score, index
        self._emit(track, index, *_ends(bodies, n), [_state(score)])

    def _emit(
        self,
        track: BodyTrack,
        first_frame: int,
        boxes: np.ndarray,
        keypoints: np.ndarray,
        scores: np.ndarray,
        states: list[State],
    ) -> None:
        block = BodyBlock(
            boxes_xyxy=boxes.astype(np.float32),
            keypoints=keypoints.astype(np.float32),
            scores=scores.astype(np.float32),
            states=np.array(states, np.uint8),
        )
        self._finished.append(BodyRows(track, first_frame, block))


def _state(score: float) -> State:
    return State.OK if score >= LOW_SCORE else State.LOW_QUALITY


def _ends(bodies: Bodies, n: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    return bodies.boxes_xyxy[n : n + 1], bodies.keypoints[n : n + 1], bodies.scores[n : n + 1]


def _distinct(bodies: Bodies) -> Bodies:
    """Without those that are gone or doubled."""
    keep: list[int] = []
    for n in np.argsort(-bodies.scores):
        if bodies.scores[n] < MIN_SCORE:
            break
        if not keep or box_iou(bodies.boxes_xyxy[n : n + 1], bodies.boxes_xyxy[keep]).max() < SAME_BODY_IOU:
            keep.append(int(n))
    keep.sort()
    return Bodies(bodies.boxes_xyxy[keep], bodies.keypoints[keep], bodies.scores[keep])
