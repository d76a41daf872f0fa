"""A pass through a video that stores nothing: what is found of people is given back as soon as it is final.

The followers, the cuts and the order of everything are those of `preprocessing.segment_pass` on a video that
is one span, so the rows are the same.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import count

from preprocessing.engines import Engines
from preprocessing.meter import Meter
from preprocessing.skeletons.layouts import LAYOUTS
from preprocessing.spec import PreprocessSpec
from preprocessing.tracking import bodies, faces
from preprocessing.tracking.bodies import BodyFollower, BodyRows
from preprocessing.tracking.collector import EvidenceCollector
from preprocessing.tracking.face_rows import FaceRows
from preprocessing.tracking.faces import FaceFollower
from preprocessing.tracking.scene import CutDetector
from preprocessing.types import Frame, InputError, Probe, Source


@dataclass(frozen=True)
class Found:
    """Rows that became final, with their tracks' `local_id` set; frames count from the first sampled one."""

    faces: list[FaceRows]
    bodies: list[BodyRows]


class LivePass:
    """Takes the sampled frames of one video or stream in order. Keeps as many as its followers look ahead."""

    def __init__(self, source: Source, facts: Probe, spec: PreprocessSpec, engines: Engines) -> None:
        """Raises InputError where the keypoints beside the video do not fit."""
        self.meter = Meter()
        detector, skeletons = engines.faces_for(source), engines.skeletons_for(source)
        if skeletons and skeletons.layout != spec.skeleton:
            raise InputError("skeletons", f"its joints are {skeletons.layout}, wanted are {spec.skeleton}")
        self.seen = EvidenceCollector(detector.sure_score if detector else 0.0, LAYOUTS[spec.skeleton].head)
        """What names the persons; see `preprocessing.tracking.persons`."""
        self.look_ahead_seconds = max(
            faces.look_ahead_seconds(spec) if detector else 0.0,
            bodies.look_ahead_seconds(spec, skeletons) if skeletons else 0.0,
        )
        """How much later than a frame, at most, its rows are final; less one frame."""
        self._faces = (
            FaceFollower(spec, detector, facts.width, facts.height, self.meter, engines.embedder)
            if detector
            else None
        )
        self._bodies = BodyFollower(spec, skeletons, self.meter) if skeletons else None
        self._scenes = CutDetector()
        self._has_cuts = source.kind == "video"
        self._face_ids, self._body_ids = count(), count()

    def push(self, index: int, source_index: int, seconds: float, frame: Frame) -> Found:
        """The next sampled frame. index counts these, source_index decoded ones; seconds of media time."""
        with self.meter.stage("track"):
            cut = self._has_cuts and self._scenes.is_cut(frame.luma_thumbnail())
        return self._found(
            self._faces.push(index, seconds, frame, cut) if self._faces else [],
            self._bodies.push(index, source_index, seconds, frame, cut) if self._bodies else [],
        )

    def finish(self) -> Found:
        """The stream has ended: all that is left."""
        return self._found(
            self._faces.finish() if self._faces else [], self._bodies.finish() if self._bodies else []
        )

    def _found(self, face_rows: list[FaceRows], body_rows: list[BodyRows]) -> Found:
        for face in face_rows:
            local_id = face.track.local_id = _numbered(face.track.local_id, self._face_ids)
            self.seen.see_faces(local_id, face.first_frame, face.block)
            self.seen.describe("face", local_id, face.track.looks)
        for body in body_rows:
            local_id = body.track.local_id = _numbered(body.track.local_id, self._body_ids)
            self.seen.see_bodies(local_id, body.first_frame, body.block)
            self.seen.describe("body", local_id, body.track.looks)
        return Found(face_rows, body_rows)


def _numbered(local_id: int | None, numbers: Iterator[int]) -> int:
    return next(numbers) if local_id is None else local_id
