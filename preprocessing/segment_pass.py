"""The state of one pass through one span of a video.

Frames before and after the span (lead-in, lead-out) are followed too, but only its own frames are stored: so
tracks begin and end at a cut as if there was none, and the neighbours see each other's people.
"""

from __future__ import annotations

from array import array
from collections.abc import Generator, Iterable, Iterator
from contextlib import closing
from dataclasses import fields, replace
from typing import TYPE_CHECKING, overload

import numpy as np

from cache.schema import BodyBlock, FaceBlock, State, is_seen
from cache.track import ends_of
from preprocessing.decode import AnyDecoder
from preprocessing.decode.pyav_engine import PyAVDecoder
from preprocessing.meter import Meter
from preprocessing.part import Part, SegmentOutcome, Tools
from preprocessing.sampling import sample
from preprocessing.skeletons import as_layout
from preprocessing.skeletons.layouts import LAYOUTS
from preprocessing.tracking.bodies import BodyFollower, BodyRows
from preprocessing.tracking.collector import EvidenceCollector
from preprocessing.tracking.evidence import TrackKind
from preprocessing.tracking.face_rows import FaceRows
from preprocessing.tracking.faces import FaceFollower
from preprocessing.tracking.scene import CutDetector
from preprocessing.types import Frame, InputError

if TYPE_CHECKING:
    from cache.shard import SegmentWriter

LEAD_SECONDS = 1.0  # followed before and after a span, so that its first and last frames are like all others
BEAT_EVERY = 10  # sampled frames
FRAMES_PER_WRITE = 256
GAP_SECONDS = 0.5  # a shorter stretch without frames is no damage that anybody must know of


class SegmentPass:
    """Takes the frames of one span in order and fills one segment of a shard."""

    def __init__(
        self, part: Part, tools: Tools, decoder: AnyDecoder, segment: SegmentWriter, meter: Meter
    ) -> None:
        self.part, self.tools, self.decoder, self.segment, self.meter = part, tools, decoder, segment, meter
        spec, facts = tools.spec, part.facts
        detector = tools.engines.faces_for(part.source)
        skeletons = tools.engines.skeletons_for(part.source)
        if skeletons:
            skeletons = as_layout(skeletons, spec.skeleton)
        self.seen = EvidenceCollector(detector.sure_score if detector else 0.0, LAYOUTS[spec.skeleton].head)
        landmarks = tools.engines.landmarks
        self.faces = (
            FaceFollower(spec, detector, facts.width, facts.height, meter, tools.engines.embedder, landmarks)
            if detector
            else None
        )
        self.landmark_layout = landmarks.layout if landmarks else ""
        self.bodies = BodyFollower(spec, skeletons, meter) if skeletons else None
        self.layout = skeletons.layout if skeletons else ""
        self.scenes = CutDetector()
        self.start, self.stop = part.span.start_pts, part.span.stop_pts
        self.lead_pts = round(LEAD_SECONDS / facts.time_base)
        # pts of the frames that followers see: 8 bytes a frame, for a span may be many hours long
        self.lead_in, self.own, self.lead_out = array("q"), array("q"), array("q")
        self.num_stored = 0  # own frames that the shard has
        self.last: Frame | None = None  # own frame; frames that are left out after it make it longer
        # Where tracks that may reach the span are in its lead-in, by identity: (track, [(pts, box)])
        self.waiting: dict[int, tuple[object, list[tuple[int, np.ndarray]]]] = {}
        # media_time = (pts * scale - offset) / unit in whole numbers: exact until the one division
        time_base, start = facts.time_base, facts.presentation_start
        self.scale = time_base.numerator * start.denominator
        self.offset = start.numerator * time_base.denominator
        self.unit = time_base.denominator * start.denominator

    def run(self, *, keep_damaged: bool) -> SegmentOutcome:
        """The whole pass. Raises InputError if the span has no frame, or is damaged and that is not kept."""
        damage: str | None = None
        num_decoded, seconds, first_seconds = 0, 0.0, 0.0
        cuts = [pts for pts in (self.start, self.stop) if pts is not None]
        with closing(self.decoded()) as decoded:
            try:
                for source_index, frame in sample(decoded, self.part.facts, self.tools.spec.max_fps, cuts):
                    if self.stop is not None and frame.pts >= self.stop + self.lead_pts:
                        break
                    num_decoded, seconds = source_index + 1, self.media_seconds(frame.pts)
                    index = self.place(frame)
                    if index == 0:
                        first_seconds = seconds
                    if index % BEAT_EVERY == 0:
                        self.tools.beat(num_decoded, seconds - first_seconds)
                    self.follow(index, source_index, seconds, frame)
            except InputError as error:
                if error.stage != "decode" or not self.own or not keep_damaged:
                    raise
                if not self.lead_out:  # else what is lost lies behind: the neighbour says so
                    damage = error.reason
        if not self.own:
            raise InputError("decode", "no frame of this part could be decoded")
        if self.faces:
            self.store_faces(self.faces.finish())
        if self.bodies:
            self.store_bodies(self.bodies.finish())
        self.store_frames()
        self.tools.beat(num_decoded, seconds - first_seconds)
        return self.outcome(damage)

    def decoded(self) -> Generator[Frame]:
        """Frames from the lead-in on, the time it takes to get them counted as decoding."""
        source, facts = self.part.source, self.part.facts
        frames: Iterator[Frame]
        if self.start is None:
            frames = self.decoder.frames(source, facts)
        else:
            assert isinstance(self.decoder, PyAVDecoder), "others cannot begin in the middle"
            frames = self.decoder.frames(source, facts, self.start - self.lead_pts)
        try:
            while True:
                with self.meter.stage("decode"):
                    frame = next(frames, None)
                if frame is None:
                    return
                yield frame
        finally:
            if isinstance(frames, Generator):
                frames.close()  # the decoder sums up its warnings

    def place(self, frame: Frame) -> int:
        """Remember a frame's time; its index among all that are followed."""
        if self.start is not None and frame.pts < self.start:
            self.lead_in.append(frame.pts)
        elif self.stop is not None and frame.pts >= self.stop:
            self.lead_out.append(frame.pts)
        else:
            self.own.append(frame.pts)
            self.last = frame
            if len(self.own) - self.num_stored >= FRAMES_PER_WRITE:
                self.store_frames()
        return len(self.lead_in) + len(self.own) + len(self.lead_out) - 1

    def follow(self, index: int, source_index: int, seconds: float, frame: Frame) -> None:
        with self.meter.stage("track"):
            cut = self.part.source.kind == "video" and self.scenes.is_cut(frame.luma_thumbnail())
        if self.faces:
            self.store_faces(self.faces.push(index, seconds, frame, cut))
        if self.bodies:
            self.store_bodies(self.bodies.push(index, source_index, seconds, frame, cut))

    def media_seconds(self, pts: int) -> float:
        return (pts * self.scale - self.offset) / self.unit

    # --- storing ---------------------------------------------------------------------------------

    def store_frames(self) -> None:
        with self.meter.stage("write"):
            self.segment.append_frames(np.array(self.own[self.num_stored :], np.int64))
        self.num_stored = len(self.own)

    def store_faces(self, rows: list[FaceRows]) -> None:
        for r in rows:
            first, block = self.own_rows(r)
            if block is not None:
                with self.meter.stage("write"):
                    if r.track.local_id is None:
                        r.track.local_id = self.segment.open_track("face", first, self.landmark_layout)
                    self.segment.append_faces(r.track.local_id, block)
                self.seen.see_faces(r.track.local_id, first, block)
                self.seen.describe("face", r.track.local_id, r.track.looks)
            self.see_seams("face", r)

    def store_bodies(self, rows: list[BodyRows]) -> None:
        for r in rows:
            first, block = self.own_rows(r)
            if block is not None:
                with self.meter.stage("write"):
                    if r.track.local_id is None:
                        r.track.local_id = self.segment.open_track("body", first, self.layout)
                    self.segment.append_bodies(r.track.local_id, block)
                self.seen.see_bodies(r.track.local_id, first, block)
                self.seen.describe("body", r.track.local_id, r.track.looks)
            self.see_seams("body", r)

    @overload
    def own_rows(self, r: FaceRows) -> tuple[int, FaceBlock | None]: ...

    @overload
    def own_rows(self, r: BodyRows) -> tuple[int, BodyBlock | None]: ...

    def own_rows(self, r: FaceRows | BodyRows) -> tuple[int, FaceBlock | BodyBlock | None]:
        """The rows in frames of the span, with the first one's frame in the segment; None if there are none.

        A track begins where it is first seen there.
        """
        first = r.first_frame - len(self.lead_in)
        block = r.block
        begin, end = max(0, -first), min(len(block.states), len(self.own) - first)
        if r.track.local_id is None and self.lead_in:
            while begin < end and block.states[begin] == State.ABSENT:
                begin += 1
        if begin >= end:
            return 0, None
        if (begin, end) == (0, len(block.states)):
            return first, block
        return first + begin, rows_of(block, begin, end)

    def see_seams(self, kind: TrackKind, r: FaceRows | BodyRows) -> None:
        """Tell where the track is in the frames that a neighbour sees too."""
        if self.start is None and self.stop is None:
            return
        places = [
            (self.pts_of(r.first_frame + n), r.block.boxes_xyxy[n])
            for n in np.flatnonzero(r.block.states != State.ABSENT).tolist()
        ]
        if r.track.local_id is None:  # not in the span yet
            self.waiting.setdefault(id(r.track), (r.track, []))[1].extend(places)
            return
        places = [*self.waiting.pop(id(r.track), (None, []))[1], *places]
        for pts, box in places:
            if self.start is not None and pts < self.start + self.lead_pts:
                self.seen.see_seam("head", pts, kind, r.track.local_id, box)
            if self.stop is not None and pts >= self.stop - self.lead_pts:
                self.seen.see_seam("tail", pts, kind, r.track.local_id, box)

    def pts_of(self, index: int) -> int:
        """Of a frame by its index among all that are followed."""
        for times in (self.lead_in, self.own, self.lead_out):
            if index < len(times):
                return times[index]
            index -= len(times)
        raise IndexError(index)

    # --- the end ---------------------------------------------------------------------------------

    def outcome(self, damage: str | None) -> SegmentOutcome:
        own = self.own
        assert self.last is not None
        duration_pts = self.last.duration_pts
        if duration_pts <= 0:  # the container does not say: as long as the frame before it, or one tick
            duration_pts = own[-1] - own[-2] if len(own) > 1 else 1
        end_pts = self.lead_out[0] if self.lead_out else own[-1] + duration_pts
        if self.stop is not None and not self.lead_out:
            end_pts = min(end_pts, max(self.stop, own[-1] + 1))
            if damage is None and self.is_gap(end_pts, self.stop):
                damage = "the stream ends early"
        not_decoded = self.not_decoded(end_pts)
        pts = np.frombuffer(own, np.int64)
        ends = ends_of(pts, end_pts, not_decoded)
        with self.meter.stage("write"):
            record = self.segment.finish(end_pts)
        t_start = np.fromiter(map(self.media_seconds, own), np.float64, len(own))
        t_end = np.fromiter(map(self.media_seconds, array("q", ends.tobytes())), np.float64, len(own))
        return SegmentOutcome(
            record=record,
            evidence=self.seen.evidence(record.index, t_start, t_end),
            probe=self.part.facts,
            t_start=float(t_start[0]),
            t_end=float(t_end[-1]),
            damage=damage,
            warnings=[*self.decoder.warnings, *([damage] if damage else [])],
            provenance={**self.tools.engines.provenance(self.part.source), "decoder": self.decoder.name},
            not_decoded=not_decoded,
            stage_seconds=self.meter.seconds,
        )

    def not_decoded(self, end_pts: int) -> list[tuple[int, int]]:
        """Stretches of the span without frames: those that the decoder tells, and what lacks at its ends."""
        found = list(self.decoder.not_decoded) if isinstance(self.decoder, PyAVDecoder) else []
        if self.start is not None and self.is_gap(self.start, self.own[0]):
            found.append((self.start, self.own[0]))
        if self.stop is not None and not self.lead_out and self.is_gap(end_pts, self.stop):
            found.append((end_pts, self.stop))
        return merged(found, self.start, self.stop)

    def is_gap(self, start_pts: int, stop_pts: int) -> bool:
        return (stop_pts - start_pts) * self.part.facts.time_base >= GAP_SECONDS


def merged(
    spans: Iterable[tuple[int, int]], start: int | None = None, stop: int | None = None
) -> list[tuple[int, int]]:
    """Half-open spans cut to [start, stop), rising, those that touch made one."""
    result: list[tuple[int, int]] = []
    for begin, end in sorted(spans):
        begin = begin if start is None else max(begin, start)
        end = end if stop is None else min(end, stop)
        if begin >= end:
            continue
        if result and begin <= result[-1][1]:
            result[-1] = result[-1][0], max(result[-1][1], end)
        else:
            result.append((begin, end))
    return result


@overload
def rows_of(block: FaceBlock, begin: int, end: int) -> FaceBlock: ...


@overload
def rows_of(block: BodyBlock, begin: int, end: int) -> BodyBlock: ...


def rows_of(block: FaceBlock | BodyBlock, begin: int, end: int) -> FaceBlock | BodyBlock:
    """Some rows of a block: all its columns have one row a frame, but for the crops; a column may be None."""
    columns = {f.name: getattr(block, f.name) for f in fields(block) if f.name != "crops"}
    cut = {name: column[begin:end] for name, column in columns.items() if column is not None}
    if isinstance(block, FaceBlock):
        seen = is_seen(block.states)
        num_before, num = int(seen[:begin].sum()), int(seen[begin:end].sum())
        cut["crops"] = block.crops[num_before : num_before + num]
    return replace(block, **cut)
