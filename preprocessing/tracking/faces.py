"""Follows every face through a video that is searched only every few frames.

Look-ahead: one detection interval plus three smoothing sigmas plus the bridged gap; so many frames are
kept, as undecoded planes, and never more. Where a face is lost or found, the frames between two looks
are searched one by one, so that a track begins and ends on the right frame.
"""

from __future__ import annotations

import cv2
import numpy as np

from cache.schema import State
from preprocessing.meter import Meter
from preprocessing.spec import PreprocessSpec
from preprocessing.tracking.association import assign, box_iou, pair_costs
from preprocessing.tracking.describe import FaceDescriber, FaceEmbedder, Sight
from preprocessing.tracking.face_rows import FaceRows, FaceTrack, absent_block, face_block, face_row
from preprocessing.tracking.identity import HIDDEN_IOU, IMPOSTOR, STRANGER, unlikeness, with_looks
from preprocessing.tracking.motion import Motion
from preprocessing.tracking.schedule import LookSchedule
from preprocessing.types import FaceDetector, Faces, Frame, LandmarkEngine

MUCH_CHANGE = 3.0  # levels of luma in half the picture, between two looks: a cut may have been missed ...
MIN_CONTRAST = 3.0  # ... if that is so many times what is usual here


def look_ahead_seconds(spec: PreprocessSpec) -> float:
    """How much later than a frame the look lies, at most, that settles what is seen in it; less one frame.

    A row waits until its landmarks can be smoothed. The next look comes after the longest interval; or a face
    is lost there, and looked for after the shortest one until it is too late for a bridge.
    """
    bridging = spec.bridge_seconds + spec.detect_interval_seconds
    return 3.0 * spec.smooth_sigma_seconds + max(spec.detect_longest_seconds, bridging)


class FaceFollower:
    """Takes frames in order and gives back finished rows."""

    def __init__(
        self,
        spec: PreprocessSpec,
        detector: FaceDetector,
        width: int,
        height: int,
        meter: Meter,
        embedder: FaceEmbedder | None = None,
        landmarks: LandmarkEngine | None = None,
    ) -> None:
        """embedder: of the faces, where `spec.appearance` names one. landmarks: what finds dense ones."""
        self._spec = spec
        self._detector = detector
        self._meter = meter
        self._landmarks = landmarks
        self._every_frame = detector.name == "precropped"
        self._width, self._height = width, height
        self._describer = FaceDescriber("none" if self._every_frame else spec.appearance, embedder)
        self._schedule = LookSchedule(spec, width, height)
        self._horizon = 3.0 * spec.smooth_sigma_seconds
        self._frames: dict[int, tuple[float, Frame]] = {}  # frames that may still be looked at or cropped
        self._looked = -1  # newest frame that was searched
        self._looked_seconds = 0.0
        self._look_spacing_seconds = float("inf")
        self._thumbnail: np.ndarray | None = None  # of the last look
        self._change = 0.0  # of the thumbnail since the last look: its median, levels of luma
        self._usual_change = 0.0
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
        self._looked, self._thumbnail = -1, None
        self._schedule.reset()

    # --- searching -------------------------------------------------------------------------------

    def _detect(self, indices: list[int], size_wh: tuple[int, int]) -> list[Sight]:
        """Search frames in pictures reduced to this size. The last one is compared with the last look's."""
        is_changed = self._is_changed(self._frames[indices[-1]][1])
        with self._meter.stage("convert"):
            pictures = [self._frames[index][1].reduced_rgb(size_wh) for index in indices]
        with self._meter.stage("detect"):
            found = self._detector.detect(pictures)
        factor = np.array([self._width / size_wh[0], self._height / size_wh[1]], np.float32)
        return [
            Sight(
                Faces(f.boxes_xyxy * np.tile(factor, 2), f.landmarks_xy * factor, f.scores),
                picture,
                factor,
                *self._frames[index],
                is_changed,
            )
            for index, picture, f in zip(indices, pictures, found, strict=True)
        ]

    def _is_changed(self, frame: Frame) -> bool:
        """Whether the picture changed so much since the last look that a cut may have been missed."""
        self._change = 0.0
        thumbnail = frame.luma_thumbnail()
        if self._thumbnail is not None and thumbnail.shape == self._thumbnail.shape:
            self._change = float(np.median(cv2.absdiff(thumbnail, self._thumbnail)))
        return self._change > MUCH_CHANGE and self._change > MIN_CONTRAST * self._usual_change

    def _look(self, index: int) -> None:
        """Search frame `index`; where tracks came or went since the last look, search between too."""
        seconds, frame = self._frames[index]
        widths = [float(track.motion.box[2] - track.motion.box[0]) for track in self._active]
        size_wh = self._schedule.picture_size(seconds, widths, settled=not self._lost)
        sight = self._detect([index], size_wh)[0]
        pairs = self._pair(sight)
        if size_wh != self._schedule.full_size and self._num_kept(pairs) < len(self._active):
            size_wh = self._schedule.full_size  # nobody is lost because the picture was small
            sight = self._detect([index], size_wh)[0]
            pairs = self._pair(sight)
        between = list(range(self._looked + 1, index)) if self._looked >= 0 else []
        changed = self._num_kept(pairs) < max(len(self._active), len(sight.faces))
        if between and changed:
            for step, found in zip(between, self._detect(between, size_wh), strict=True):
                self._advance(step, found, self._pair(found))
            pairs = self._pair(sight)
        self._advance(index, sight, pairs)
        self._thumbnail = frame.luma_thumbnail()
        self._usual_change += 0.3 * (self._change - self._usual_change)
        self._schedule.looked(index, seconds, frame, settled=not changed and not self._lost)

    def _num_kept(self, pairs: list[tuple[FaceTrack, int]]) -> int:
        """How many of the active tracks are found."""
        return sum(any(track is active for active in self._active) for track, _ in pairs)

    def _pair(self, sight: Sight) -> list[tuple[FaceTrack, int]]:
        """Tracks with their detections: by place, and by looks where the place leaves a choice."""
        tracks = self._active + self._lost
        if not tracks or not len(sight.faces):
            return []
        expected = np.stack([track.motion.expected(sight.seconds) for track in tracks])
        costs = pair_costs(expected, sight.faces.boxes_xyxy)
        check = np.array([sight.is_changed or track.is_unsure for track in tracks])
        if len(tracks) > 1 or self._lost or check.any():
            costs = with_looks(
                costs,
                np.arange(len(tracks)) >= len(self._active),
                [track.looks for track in tracks],
                lambda n: self._describer.look(sight, n),
                self._describer.face_scale,
                check,
                np.array([track.was_hidden for track in tracks]),
                strict=sight.is_changed,
            )
        return [(tracks[m], n) for m, n in assign(costs)]

    def _advance(self, index: int, sight: Sight, pairs: list[tuple[FaceTrack, int]]) -> None:
        """Move every track to frame `index`: extend the seen, lose the unseen, begin the new."""
        seconds, faces = sight.seconds, sight.faces
        seen = [track for track, _ in pairs]
        numbers = [n for _, n in pairs]
        for n in sorted(set(range(len(faces))) - set(numbers)):
            seen.append(FaceTrack(Motion(faces.boxes_xyxy[n], seconds)))
            numbers.append(n)
        for track, n in zip(seen, numbers, strict=True):
            self._extend(track, index, seconds, face_row(faces, n))
            self._remember(track, sight, n)
        seen_ids = {id(track) for track in seen}
        self._lost = [t for t in self._active + self._lost if id(t) not in seen_ids]
        for track in self._lost:
            if track.last_index == self._looked:  # lost just now
                overlap = box_iou(track.motion.expected(seconds)[None], faces.boxes_xyxy)
                track.was_hidden = bool((overlap > HIDDEN_IOU).any())
        self._active = seen
        if self._looked >= 0:
            self._look_spacing_seconds = seconds - self._looked_seconds
        self._looked, self._looked_seconds = index, seconds

    def _remember(self, track: FaceTrack, sight: Sight, n: int) -> None:
        """Add to what a track looks like, where it can be seen well and certainly is who it was."""
        track.was_hidden = False
        if not self._describer.is_on:
            return
        if not self._describer.sees_face(sight, n):
            track.is_unsure = True
        elif track.is_unsure or track.looks.is_due(sight.seconds):
            look = self._describer.look(sight, n)
            unlike = unlikeness(track.looks, look, self._describer.face_scale)
            limit = STRANGER if track.is_unsure else IMPOSTOR
            track.is_unsure = unlike is not None and unlike > limit and track.looks.num_looks > 1
            if not track.is_unsure:
                track.looks.add(look, sight.seconds)

    def _extend(self, track: FaceTrack, index: int, seconds: float, row: np.ndarray) -> None:
        track.num_found += 1
        broken = False
        if track.indices:
            missing = range(track.last_index + 1, index)
            if missing and seconds - track.last_seconds > self._bridge(track):
                self._finish_rows(track, None)
                track.begin_run(absent_before=len(missing))
                broken = True
            else:
                start, t0 = track.values[-1], track.last_seconds
                for step in missing:
                    t = self._frames[step][0]
                    part = (t - t0) / (seconds - t0)
                    track.append(step, t, (1 - part) * start + part * row, State.INTERPOLATED)
            track.motion.see(row[:4], seconds, broken=broken)
        track.append(index, seconds, row, State.OK)

    def _bridge(self, track: FaceTrack) -> float:
        """Longest loss that is interpolated; none is too long for a track seen at the last look."""
        if any(track is active for active in self._active):
            return float("inf")
        return self._spec.bridge_seconds

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
            rows_absent = absent_block(track.absent_before, self._spec.crop_size, self._landmarks)
            self._finished.append(FaceRows(track, first, rows_absent))
            track.absent_before = 0
        block = face_block(track, rows, self._frames, self._spec, self._meter, self._landmarks)
        self._finished.append(FaceRows(track, track.indices[rows[0]], block))
        track.num_emitted = rows[-1] + 1
        track.forget(self._horizon)
