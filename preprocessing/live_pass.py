"""A pass through one span of a video that stores nothing: what is found of people is given back once final.

The followers, the cuts and the order of everything are those of `preprocessing.segment_pass`, so the rows are
the same; the lead-in and the lead-out of a span are followed here, too.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import count

import numpy as np

from cache.schema import BodyBlock, FaceBlock, State
from preprocessing.engines import Engines
from preprocessing.meter import Meter
from preprocessing.pipeline import WHOLE
from preprocessing.segment_pass import LEAD_SECONDS, rows_of
from preprocessing.skeletons import as_layout
from preprocessing.skeletons.layouts import LAYOUTS
from preprocessing.spec import PreprocessSpec
from preprocessing.tracking import bodies, faces
from preprocessing.tracking.bodies import BodyFollower, BodyRows
from preprocessing.tracking.collector import EvidenceCollector
from preprocessing.tracking.evidence import TrackKind
from preprocessing.tracking.face_rows import FaceRows
from preprocessing.tracking.faces import FaceFollower
from preprocessing.tracking.scene import CutDetector
from preprocessing.types import Frame, Probe, Source, Span


def first_pts_of(span: Span, facts: Probe) -> float:
    """Where the lead-in of a span begins."""
    return -math.inf if span.start_pts is None else span.start_pts - round(LEAD_SECONDS / facts.time_base)


@dataclass(frozen=True)
class Found:
    """Rows of a track that became final."""

    kind: TrackKind
    local_id: int  # of the track within its span and kind
    first_frame: int  # of the video
    block: FaceBlock | BodyBlock


class LivePass:
    """Takes the sampled frames of one span in order. Keeps as many as its followers look ahead."""

    def __init__(
        self, source: Source, facts: Probe, spec: PreprocessSpec, engines: Engines, span: Span = WHOLE
    ) -> None:
        """Raises InputError where the keypoints beside the video do not fit."""
        self.index = span.index
        self.meter = Meter()
        detector, skeletons = engines.faces_for(source), engines.skeletons_for(source)
        if skeletons:
            skeletons = as_layout(skeletons, spec.skeleton)
        self.seen = EvidenceCollector(detector.sure_score if detector else 0.0, LAYOUTS[spec.skeleton].head)
        """What names the persons; see `preprocessing.tracking.persons`."""
        self.look_ahead_seconds = max(
            faces.look_ahead_seconds(spec) if detector else 0.0,
            bodies.look_ahead_seconds(spec, skeletons) if skeletons else 0.0,
        )
        """How much later than a frame, at most, its rows are final; less one frame."""
        self._faces = (
            FaceFollower(
                spec, detector, facts.width, facts.height, self.meter, engines.embedder, engines.landmarks
            )
            if detector
            else None
        )
        self._bodies = BodyFollower(spec, skeletons, self.meter) if skeletons else None
        self._scenes = CutDetector()
        self._has_cuts = source.kind == "video"
        self._next_ids: dict[TrackKind, Iterator[int]] = {"face": count(), "body": count()}
        self._lead_pts = round(LEAD_SECONDS / facts.time_base)
        self._start = -math.inf if span.start_pts is None else span.start_pts
        self._stop = math.inf if span.stop_pts is None else span.stop_pts
        self._first: int | None = None  # the first frame that is followed
        self.own_first: int | None = None
        """The first frame of the span, None until it comes."""
        self.own_stop: int | None = None
        """One after the last frame of the span, None until that is known."""
        self._seam_pts: dict[int, int] = {}  # of frames that a neighbour sees too
        self._waiting: dict[int, tuple[object, list[tuple[int, np.ndarray]]]] = {}  # as in SegmentPass

    def follows(self, pts: int) -> bool:
        """Whether a frame is one of those that this pass sees: of the span, of its lead-in and lead-out."""
        return self._start - self._lead_pts <= pts < self._stop + self._lead_pts

    def is_over(self, pts: int) -> bool:
        """Whether no later frame is seen, either."""
        return pts >= self._stop + self._lead_pts

    def push(self, index: int, source_index: int, seconds: float, frame: Frame) -> list[Found]:
        """The next sampled frame. index counts these from the start of the video, source_index decoded ones;
        seconds of media time.
        """
        self._place(index, frame.pts)
        assert self._first is not None
        own = index - self._first
        with self.meter.stage("track"):
            cut = self._has_cuts and self._scenes.is_cut(frame.luma_thumbnail())
        found: list[Found] = []
        if self._faces:
            found += self._found("face", self._faces.push(own, seconds, frame, cut))
        if self._bodies:
            found += self._found("body", self._bodies.push(own, source_index, seconds, frame, cut))
        return found

    def finish(self, num_frames: int) -> list[Found]:
        """No more frames of this span; num_frames of the video so far. All that is left."""
        if self.own_stop is None:
            self.own_stop = num_frames
        found: list[Found] = []
        if self._faces:
            found += self._found("face", self._faces.finish())
        if self._bodies:
            found += self._found("body", self._bodies.finish())
        return found

    def _place(self, index: int, pts: int) -> None:
        if self._first is None:
            self._first = index
        if self.own_first is None and pts >= self._start:
            self.own_first = index
        if self.own_stop is None and pts >= self._stop:
            self.own_stop = index
        if pts < self._start + self._lead_pts or pts >= self._stop - self._lead_pts:
            self._seam_pts[index] = pts

    def _found(self, kind: TrackKind, rows: list[FaceRows] | list[BodyRows]) -> list[Found]:
        found = []
        for r in rows:
            assert self._first is not None
            begin, end = self._own_part(r)
            if begin < end:
                assert self.own_first is not None
                if r.track.local_id is None:
                    r.track.local_id = next(self._next_ids[kind])
                first = self._first + r.first_frame + begin
                block = rows_of(r.block, begin, end)
                if isinstance(block, FaceBlock):
                    self.seen.see_faces(r.track.local_id, first - self.own_first, block)
                else:
                    self.seen.see_bodies(r.track.local_id, first - self.own_first, block)
                self.seen.describe(kind, r.track.local_id, r.track.looks)
                found.append(Found(kind, r.track.local_id, first, block))
            self._see_seams(kind, r)
        return found

    def _own_part(self, r: FaceRows | BodyRows) -> tuple[int, int]:
        """Which of these rows are of the span's own frames; a track begins where it is first seen there."""
        assert self._first is not None
        if self.own_first is None:
            return 0, 0
        first = self._first + r.first_frame
        stop = first + len(r.block.states) if self.own_stop is None else self.own_stop
        begin, end = max(0, self.own_first - first), min(len(r.block.states), stop - first)
        if r.track.local_id is None and self.own_first > self._first:
            while begin < end and r.block.states[begin] == State.ABSENT:
                begin += 1
        return begin, end

    def _see_seams(self, kind: TrackKind, r: FaceRows | BodyRows) -> None:
        """Tell where the track is in the frames that a neighbour sees too."""
        assert self._first is not None
        places = [
            (self._seam_pts[self._first + r.first_frame + n], r.block.boxes_xyxy[n])
            for n in np.flatnonzero(r.block.states != State.ABSENT).tolist()
            if self._first + r.first_frame + n in self._seam_pts
        ]
        if r.track.local_id is None:  # not in the span yet
            self._waiting.setdefault(id(r.track), (r.track, []))[1].extend(places)
            return
        for pts, box in [*self._waiting.pop(id(r.track), (None, []))[1], *places]:
            if pts < self._start + self._lead_pts:
                self.seen.see_seam("head", pts, kind, r.track.local_id, box)
            if pts >= self._stop - self._lead_pts:
                self.seen.see_seam("tail", pts, kind, r.track.local_id, box)
