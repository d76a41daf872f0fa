"""One (video, segment) from file to shard: decode, follow, crop, store. The only function workers run.

Memory is bounded by the followers' look-ahead; rows go to the open shard as they are finished.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from cache.schema import PersonRecord, SegmentRecord, VideoRecord
from preprocessing.decode import AnyDecoder, decoder_for
from preprocessing.decode.limits import Limits
from preprocessing.engines import Engines
from preprocessing.meter import Meter
from preprocessing.probe import probe
from preprocessing.skeletons.layouts import LAYOUTS
from preprocessing.spec import PreprocessSpec
from preprocessing.tracking.bodies import BodyFollower, BodyRows
from preprocessing.tracking.collector import EvidenceCollector
from preprocessing.tracking.faces import FaceFollower, FaceRows
from preprocessing.tracking.persons import join_persons
from preprocessing.tracking.scene import CutDetector
from preprocessing.types import Frame, InputError, Probe, Source

if TYPE_CHECKING:
    from cache.shard import SegmentWriter, ShardWriter

BEAT_EVERY = 10  # sampled frames
RATE_TOLERANCE = 0.9  # a frame this part of 1 / max_fps after the last one is still kept

Beat = Callable[[int, float], None]
"""Called with decoded frames and media seconds so far; a worker that stops calling it hangs."""


@dataclass(frozen=True)
class SegmentOutcome:
    """What the driver needs to commit a segment. Small: no pixels, no keypoints."""

    record: SegmentRecord
    persons: list[PersonRecord]
    probe: Probe
    t_start: float
    t_end: float
    damage: str | None  # why the decoder stopped early, None if it did not
    warnings: list[str]
    provenance: dict[str, Any]


def sample(frames: Iterator[Frame], probe: Probe, max_fps: float) -> Iterator[tuple[int, Frame]]:
    """Thin a stream out to at most max_fps by its own times: (index among decoded frames, frame).

    A stream whose average rate is not higher is kept whole: its frames may come at uneven times.
    """
    least_pts = RATE_TOLERANCE / max_fps / probe.time_base
    if probe.average_fps is not None and probe.average_fps * RATE_TOLERANCE <= max_fps:
        least_pts = 0
    last_pts: int | None = None
    for index, frame in enumerate(frames):
        if last_pts is None or frame.pts - last_pts >= least_pts:
            last_pts = frame.pts
            yield index, frame


def process_segment(
    source: Source,
    key: str,
    spec: PreprocessSpec,
    engines: Engines,
    writer: ShardWriter,
    beat: Beat = lambda _frames, _seconds: None,
) -> SegmentOutcome:
    """Preprocess one video into the writer's open shard.

    Raises InputError with stage and reason if nothing of it can be stored. Where a video is damaged
    after some frames, these are stored and `damage` says why they are not all.
    """
    limits = limits_of(spec)
    facts = probe(source, limits)
    engine = engines.choices.decoder
    try:
        return _attempt(
            source, key, spec, engines, writer, beat, facts, decoder_for(source.kind, engine, limits)
        )
    except InputError as error:
        if error.stage != "decode" or engine == "pyav" or source.kind != "video":
            raise
        reason = error.reason
    # Another engine than the default may not read everything: the default is tried, and that is stored.
    outcome = _attempt(
        source, key, spec, engines, writer, beat, facts, decoder_for(source.kind, "pyav", limits)
    )
    outcome.warnings.append(f"decoded by pyav, because {engine} failed: {reason}")
    return outcome


def limits_of(spec: PreprocessSpec) -> Limits:
    """The limits that a spec sets."""
    return Limits(
        max_bytes=spec.max_file_bytes,
        max_duration_seconds=spec.max_duration_seconds,
        max_pixels=spec.max_pixels,
    )


def _attempt(
    source: Source,
    key: str,
    spec: PreprocessSpec,
    engines: Engines,
    writer: ShardWriter,
    beat: Beat,
    facts: Probe,
    decoder: AnyDecoder,
) -> SegmentOutcome:
    """One pass with one decoder. Damage is kept only by the default decoder, which reads the most."""
    segment = writer.begin_segment(key, 0, facts.time_base)
    try:
        run = _Run(source, spec, engines, segment, facts, decoder, beat)
        return run.run(keep_damaged=decoder.name != "decord")
    except BaseException:
        segment.abort()
        raise


class _Run:
    """The state of one pass through a video."""

    def __init__(
        self,
        source: Source,
        spec: PreprocessSpec,
        engines: Engines,
        segment: SegmentWriter,
        facts: Probe,
        decoder: AnyDecoder,
        beat: Beat,
    ) -> None:
        self.source, self.spec, self.engines, self.segment, self.facts = source, spec, engines, segment, facts
        self.decoder, self.beat = decoder, beat
        detector = engines.faces_for(source)
        skeletons = engines.skeletons_for(source)
        if skeletons and skeletons.layout != spec.skeleton:
            raise InputError(
                "skeletons", f"its joints are {skeletons.layout}, those of this store are {spec.skeleton}"
            )
        self.seen = EvidenceCollector(detector.sure_score if detector else 0.0, LAYOUTS[spec.skeleton].head)
        self.meter = Meter()
        self.faces = FaceFollower(spec, detector, facts.width, facts.height, self.meter) if detector else None
        self.bodies = BodyFollower(spec, skeletons, self.meter) if skeletons else None
        self.layout = skeletons.layout if skeletons else ""
        self.pts: list[int] = []
        # media_time = (pts * scale - offset) / unit in whole numbers: exact until the one division
        time_base, start = facts.time_base, facts.presentation_start
        self.scale = time_base.numerator * start.denominator
        self.offset = start.numerator * time_base.denominator
        self.unit = time_base.denominator * start.denominator

    def run(self, *, keep_damaged: bool) -> SegmentOutcome:
        cuts = CutDetector()
        damage: str | None = None
        source_index, last_duration, num_stored = -1, 0, 0
        try:
            for source_index, frame in sample(
                self.decoder.frames(self.source, self.facts), self.facts, self.spec.max_fps
            ):
                seconds = self.media_seconds(frame.pts)
                index = len(self.pts)
                self.pts.append(frame.pts)
                last_duration = frame.duration_pts
                if index % BEAT_EVERY == 0:
                    self.beat(source_index + 1, seconds)
                cut = self.source.kind == "video" and cuts.is_cut(frame.luma_thumbnail())
                if self.faces:
                    self.store_faces(self.faces.push(index, seconds, frame, cut))
                if self.bodies:
                    self.store_bodies(self.bodies.push(index, source_index, seconds, frame, cut))
                if len(self.pts) - num_stored >= 256:
                    self.segment.append_frames(np.array(self.pts[num_stored:], np.int64))
                    num_stored = len(self.pts)
        except InputError as error:
            if error.stage != "decode" or not self.pts or not keep_damaged:
                raise
            damage = error.reason
        if self.faces:
            self.store_faces(self.faces.finish())
        if self.bodies:
            self.store_bodies(self.bodies.finish())
        self.segment.append_frames(np.array(self.pts[num_stored:], np.int64))
        self.beat(source_index + 1, self.media_seconds(self.pts[-1]))
        return self.outcome(last_duration, damage)

    def media_seconds(self, pts: int) -> float:
        return (pts * self.scale - self.offset) / self.unit

    def store_faces(self, rows: list[FaceRows]) -> None:
        for r in rows:
            if r.track.local_id is None:
                r.track.local_id = self.segment.open_track("face", r.first_frame)
            self.segment.append_faces(r.track.local_id, r.block)
            self.seen.see_faces(r.track.local_id, r.first_frame, r.block)

    def store_bodies(self, rows: list[BodyRows]) -> None:
        for r in rows:
            if r.track.local_id is None:
                r.track.local_id = self.segment.open_track("body", r.first_frame, self.layout)
            self.segment.append_bodies(r.track.local_id, r.block)
            self.seen.see_bodies(r.track.local_id, r.first_frame, r.block)

    def outcome(self, last_duration_pts: int, damage: str | None) -> SegmentOutcome:
        pts = self.pts
        if last_duration_pts <= 0:  # the container does not say: as long as the frame before it, or one tick
            last_duration_pts = pts[-1] - pts[-2] if len(pts) > 1 else 1
        end_pts = pts[-1] + last_duration_pts
        starts = np.array([self.media_seconds(p) for p in pts])
        ends = np.append(starts[1:], self.media_seconds(end_pts))
        record = self.segment.finish(end_pts)
        persons = join_persons([self.seen.evidence(record.index, starts, ends)], self.spec)
        provenance = {**self.engines.provenance(self.source), "decoder": self.decoder.name}
        return SegmentOutcome(
            record=record,
            persons=persons,
            probe=self.facts,
            t_start=float(starts[0]),
            t_end=float(ends[-1]),
            damage=damage,
            warnings=[*self.decoder.warnings, *([damage] if damage else [])],
            provenance=provenance,
        )


def assemble(source: Source, key: str, outcome: SegmentOutcome) -> VideoRecord:
    """The commit record of a video from its segment."""
    facts = outcome.probe
    start = facts.presentation_start
    duration = outcome.t_end
    if outcome.damage and facts.duration is not None:
        duration = max(duration, float(facts.stream_start - start) + facts.duration)
    return VideoRecord(
        key=key,
        names=[source.name],
        kind=source.kind,
        num_frames=outcome.record.num_frames,
        width=facts.width,
        height=facts.height,
        time_base=(facts.time_base.numerator, facts.time_base.denominator),
        presentation_start=(start.numerator, start.denominator),
        t_start=outcome.t_start,
        t_end=outcome.t_end,
        duration=duration,
        segments=[outcome.record],
        persons=outcome.persons,
        provenance={**outcome.provenance, "warnings": outcome.warnings},
    )
