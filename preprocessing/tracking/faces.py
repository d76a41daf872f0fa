"""Follows every face through a video that is searched only every few frames.

Look-ahead: one detection interval plus three smoothing sigmas plus the bridged gap; so many frames are
kept, as undecoded planes, and never more. Where a face is lost or found, the frames between two looks
are searched one by one, so that a track begins and ends on the right frame.
"""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np

from cache.schema import FaceBlock, State
from preprocessing.align import quality, similarity_from_landmarks
from preprocessing.meter import Meter
from preprocessing.spec import PreprocessSpec
from preprocessing.tracking.association import associate
from preprocessing.tracking.schedule import LookSchedule
from preprocessing.tracking.smoothing import smooth_at
from preprocessing.types import FaceDetector, Faces, Frame

LOW_SCORE = 0.5  # a face found with less is `low_quality`
LOW_SIDE_PIXELS = 24.0  # and so is one whose box is smaller: its crop is mostly interpolation


@dataclass
class FaceTrack:
    """A face being followed: the rows that wait for their look-ahead, and where it was last seen."""

    box: np.ndarray  # (4,) where it was last seen
    indices: list[int] = field(default_factory=list)  # of frames; rows of one unbroken run
    seconds: list[float] = field(default_factory=list)
    values: list[np.ndarray] = field(default_factory=list)  # (15,): box, landmarks, score
    states: list[State] = field(default_factory=list)
    num_emitted: int = 0  # rows of this run already handed on; they stay as context for smoothing
    num_found: int = 0  # detections so far
    absent_before: int = 0  # frames without the face between the last run and this one
    local_id: int | None = None  # given when the first row is handed on

    @property
    def last_index(self) -> int:
        return self.indices[-1]

    @property
    def last_seconds(self) -> float:
        return self.seconds[-1]


@dataclass(frozen=True)
class FaceRows:
    """Finished rows of one track, ready for the store. first_frame counts frames of the segment."""

    track: FaceTrack
    first_frame: int
    block: FaceBlock


def _row(faces: Faces, n: int) -> np.ndarray:
    return np.concatenate([faces.boxes_xyxy[n], faces.landmarks_xy[n].ravel(), faces.scores[n : n + 1]])


class FaceFollower:
    """Takes frames in order and gives back finished rows."""

    def __init__(
        self, spec: PreprocessSpec, detector: FaceDetector, width: int, height: int, meter: Meter
    ) -> None:
        self._spec = spec
        self._detector = detector
        self._meter = meter
        self._every_frame = detector.name == "precropped"
        self._width, self._height = width, height
        self._schedule = LookSchedule(spec, width, height)
        self._horizon = 3.0 * spec.smooth_sigma_seconds
        self._frames: dict[int, tuple[float, Frame]] = {}  # frames that may still be looked at or cropped
        self._looked = -1  # newest frame that was searched
        self._looked_seconds = 0.0
        self._look_spacing_seconds = float("inf")
        self._newest = -1
        self._active: list[FaceTrack] = []  # seen at the newest look
        self._lost: list[FaceTrack] = []  # not seen there, but not given up
        self._finished: list[FaceRows] = []

    def push(self, index: int, seconds: float, frame: Frame, cut: bool) -> list[FaceRows]:
        """Next frame; returns the rows that are finished by now. cut: the frame begins a new scene."""
        with self._meter.stage("track"):
            self._push(index, seconds, frame, cut)
        return self._take_finished()

    def finish(self) -> list[FaceRows]:
        """End of the video: all rows that are left."""
        with self._meter.stage("track"):
            self._end_scene()
        return self._take_finished()

    def _push(self, index: int, seconds: float, frame: Frame, cut: bool) -> None:
        if cut:
            self._end_scene()
        self._frames[index] = (seconds, frame)
        self._newest = index
        if self._every_frame or self._schedule.is_due(index, seconds, frame):
            self._look(index)
            self._hand_on()

    def _take_finished(self) -> list[FaceRows]:
        finished, self._finished = self._finished, []
        return finished

    def _end_scene(self) -> None:
        """Search the last frame, finish all rows, forget all tracks."""
        if self._newest > self._looked:
            self._look(self._newest)
        ended = self._active + self._lost
        self._active, self._lost = [], []
        for track in ended:
            self._finish_rows(track, None)
        self._frames.clear()
        self._looked = -1
        self._schedule.reset()

    # --- searching -------------------------------------------------------------------------------

    def _detect(self, indices: list[int], size_wh: tuple[int, int]) -> list[Faces]:
        """Search frames in pictures reduced to this size."""
        with self._meter.stage("convert"):
            images = [self._frames[index][1].reduced_rgb(size_wh) for index in indices]
        with self._meter.stage("detect"):
            found = self._detector.detect(images)
        factor = np.array([self._width / size_wh[0], self._height / size_wh[1]], np.float32)
        return [Faces(f.boxes_xyxy * np.tile(factor, 2), f.landmarks_xy * factor, f.scores) for f in found]

    def _look(self, index: int) -> None:
        """Search frame `index`; where tracks came or went since the last look, search between too."""
        seconds, frame = self._frames[index]
        widths = [float(track.box[2] - track.box[0]) for track in self._active]
        size_wh = self._schedule.picture_size(seconds, widths, settled=not self._lost)
        faces = self._detect([index], size_wh)[0]
        pairs = self._pair(faces)
        if size_wh != self._schedule.full_size and self._num_kept(pairs) < len(self._active):
            size_wh = self._schedule.full_size  # nobody is lost because the picture was small
            faces = self._detect([index], size_wh)[0]
            pairs = self._pair(faces)
        between = list(range(self._looked + 1, index)) if self._looked >= 0 else []
        changed = self._num_kept(pairs) < max(len(self._active), len(faces))
        if between and changed:
            for step, found in zip(between, self._detect(between, size_wh), strict=True):
                self._advance(step, found, self._pair(found))
            pairs = self._pair(faces)
        self._advance(index, faces, pairs)
        self._schedule.looked(index, seconds, frame, settled=not changed and not self._lost)

    def _num_kept(self, pairs: list[tuple[FaceTrack, int]]) -> int:
        """How many of the active tracks are found."""
        return sum(any(track is active for active in self._active) for track, _ in pairs)

    def _pair(self, faces: Faces) -> list[tuple[FaceTrack, int]]:
        """Tracks with their detections; those seen last come first, lost ones take what is left."""
        pairs: list[tuple[FaceTrack, int]] = []
        free = list(range(len(faces)))
        for tracks in (self._active, self._lost):
            if tracks and free:
                boxes = np.stack([t.box for t in tracks])
                found = associate(boxes, faces.boxes_xyxy[free])
                pairs += [(tracks[m], free[n]) for m, n in found]
                taken = {n for _, n in found}
                free = [f for n, f in enumerate(free) if n not in taken]
        return pairs

    def _advance(self, index: int, faces: Faces, pairs: list[tuple[FaceTrack, int]]) -> None:
        """Move every track to frame `index`: extend the seen, lose the unseen, begin the new."""
        seconds = self._frames[index][0]
        for track, n in pairs:
            self._extend(track, index, seconds, _row(faces, n))
        seen = [track for track, _ in pairs]
        taken = {n for _, n in pairs}
        for n in range(len(faces)):
            if n not in taken:
                track = FaceTrack(box=faces.boxes_xyxy[n])
                self._extend(track, index, seconds, _row(faces, n))
                seen.append(track)
        seen_ids = {id(track) for track in seen}
        self._lost = [t for t in self._active + self._lost if id(t) not in seen_ids]
        self._active = seen
        if self._looked >= 0:
            self._look_spacing_seconds = seconds - self._looked_seconds
        self._looked, self._looked_seconds = index, seconds

    def _extend(self, track: FaceTrack, index: int, seconds: float, row: np.ndarray) -> None:
        track.num_found += 1
        if track.indices:
            missing = range(track.last_index + 1, index)
            if missing and seconds - track.last_seconds > self._bridge(track):
                self._break_run(track, len(missing))
            else:
                start, t0 = track.values[-1], track.last_seconds
                for step in missing:
                    t = self._frames[step][0]
                    part = (t - t0) / (seconds - t0)
                    self._append(track, step, t, (1 - part) * start + part * row, State.INTERPOLATED)
        self._append(track, index, seconds, row, State.OK)
        track.box = row[:4]

    def _bridge(self, track: FaceTrack) -> float:
        """Longest loss that is interpolated; none is too long for a track seen at the last look."""
        if any(track is active for active in self._active):
            return float("inf")
        return self._spec.bridge_seconds

    @staticmethod
    def _append(track: FaceTrack, index: int, seconds: float, row: np.ndarray, state: State) -> None:
        side = float(np.sqrt(max(0.0, (row[2] - row[0]) * (row[3] - row[1]))))
        if row[14] < LOW_SCORE or side < LOW_SIDE_PIXELS:
            state = State.LOW_QUALITY
        track.indices.append(index)
        track.seconds.append(seconds)
        track.values.append(row.astype(np.float32))
        track.states.append(state)

    # --- handing on ------------------------------------------------------------------------------

    def _hand_on(self) -> None:
        now = self._looked_seconds
        for track in list(self._lost):
            gap = now - track.last_seconds
            fleeting = self._is_false_alarm(track) and gap > self._spec.bridge_seconds
            if gap > self._spec.max_gap_seconds or fleeting:
                self._finish_rows(track, None)
                self._lost = [lost for lost in self._lost if lost is not track]
        for track in self._active:
            self._finish_rows(track, track.last_seconds - self._horizon)
        for track in self._lost:  # still bridgeable: its last rows wait for what may follow
            bridgeable = now - track.last_seconds <= self._spec.bridge_seconds
            self._finish_rows(track, track.last_seconds - self._horizon if bridgeable else None)
        self._release()

    def _is_false_alarm(self, track: FaceTrack) -> bool:
        """Found by one look only, in a video that is searched every few frames: not a face."""
        often = self._look_spacing_seconds <= self._spec.bridge_seconds
        return track.num_found < 2 and often and self._newest >= self._spec.detect_interval_frames

    def _release(self) -> None:
        keep_from = self._looked + 1
        for track in self._active + self._lost:
            waiting = track.indices[track.num_emitted :]
            if waiting:
                keep_from = min(keep_from, waiting[0])
            if self._looked_seconds - track.last_seconds <= self._spec.bridge_seconds:
                keep_from = min(keep_from, track.last_index + 1)
        for index in [i for i in self._frames if i < keep_from]:
            del self._frames[index]

    def _break_run(self, track: FaceTrack, num_absent: int) -> None:
        """A loss too long to interpolate: what came before it is finished, a new run begins."""
        self._finish_rows(track, None)
        track.indices, track.seconds, track.values, track.states = [], [], [], []
        track.num_emitted = 0
        track.absent_before = num_absent

    def _finish_rows(self, track: FaceTrack, until_seconds: float | None) -> None:
        """Finish rows whose look-ahead is complete (None: all). Tracks seen only once give none."""
        waiting = range(track.num_emitted, len(track.indices))
        rows = [r for r in waiting if until_seconds is None or track.seconds[r] <= until_seconds]
        if not rows:
            return
        if track.num_found < 2 and (until_seconds is not None or self._is_false_alarm(track)):
            return
        if track.absent_before:
            first = track.indices[rows[0]] - track.absent_before
            rows_absent = _absent(track.absent_before, self._spec.crop_size)
            self._finished.append(FaceRows(track, first, rows_absent))
            track.absent_before = 0
        self._finished.append(FaceRows(track, track.indices[rows[0]], self._block(track, rows)))
        track.num_emitted = rows[-1] + 1
        self._forget_context(track)

    def _forget_context(self, track: FaceTrack) -> None:
        """Drop handed-on rows that are too old to matter for smoothing. The newest row always stays."""
        limit = track.seconds[max(0, track.num_emitted - 1)] - self._horizon
        num_old = sum(1 for t in track.seconds[: track.num_emitted] if t < limit)
        num_old = min(num_old, len(track.indices) - 1)
        if num_old > 0:
            for column in (track.indices, track.seconds, track.values, track.states):
                del column[:num_old]
            track.num_emitted -= num_old

    def _block(self, track: FaceTrack, rows: list[int]) -> FaceBlock:
        size = self._spec.crop_size
        values = np.stack(track.values)  # (T, 15)
        seconds = np.array(track.seconds)
        smooth = smooth_at(seconds[rows], seconds, values[:, 4:14], self._spec.smooth_sigma_seconds)
        warps = similarity_from_landmarks(smooth.reshape(-1, 5, 2).astype(np.float32), size)  # (N, 2, 3)
        crops = np.empty((len(rows), size, size, 3), np.uint8)
        qualities = np.empty((len(rows), 3), np.float32)
        for n, r in enumerate(rows):
            frame = self._frames[track.indices[r]][1]
            with self._meter.stage("align"):
                crops[n] = frame.aligned_rgb(warps[n], (size, size))
                qualities[n] = quality(crops[n], warps[n])
        raw = values[rows]
        return FaceBlock(
            boxes_xyxy=raw[:, :4],
            landmarks_xy=raw[:, 4:14].reshape(-1, 5, 2),
            warps=warps,
            scores=raw[:, 14],
            states=np.array([track.states[r] for r in rows], np.uint8),
            quality=qualities,
            crops=crops,
        )


def _absent(num_frames: int, crop_size: int) -> FaceBlock:
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
    )
