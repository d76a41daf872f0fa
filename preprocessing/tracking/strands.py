"""Strands: faces and bodies followed without a break through all segments; groups: strands of one person."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from itertools import pairwise

from cache.schema import State
from preprocessing.tracking.evidence import SegmentEvidence, TrackEvidence, TrackKind
from preprocessing.tracking.seams import Key, seam_pairs


@dataclass(eq=False)
class Strand:
    """One face or one body through all segments in which it was followed without a break."""

    tracks: dict[Key, TrackEvidence]
    spans: list[tuple[int, int]]  # frames of the video, half-open, one a track, in order
    certainty: float = 1.0  # of the weakest of its joins

    @property
    def kind(self) -> TrackKind:
        return next(iter(self.tracks))[1]

    @property
    def first(self) -> int:
        return self.spans[0][0]

    @property
    def stop(self) -> int:
        return self.spans[-1][1]

    def seconds_in(self, states: Iterable[State]) -> float:
        """Time in these states, taking all frames of a track for equally long."""
        return sum(
            (t.t_end - t.t_start) * sum(t.states.get(state, 0) for state in states) / t.num_frames
            for t in self.tracks.values()
        )


@dataclass(eq=False)
class Group:
    """Strands that are one person."""

    faces: list[Strand] = field(default_factory=list)
    bodies: list[Strand] = field(default_factory=list)
    certainty: float = 1.0  # of the weakest join of its parts

    @property
    def strands(self) -> list[Strand]:
        return self.faces + self.bodies


def build_strands(ordered: list[SegmentEvidence]) -> list[Strand]:
    """All tracks, those that continue across a seam as one, in the order of their keys."""
    tracks: dict[Key, TrackEvidence] = {}
    first_frames: dict[int, int] = {}
    num_frames = 0
    for segment in ordered:
        first_frames[segment.index] = num_frames
        num_frames += segment.num_frames
        tracks |= {(segment.index, track.kind, track.local_id): track for track in segment.tracks}
    pairs = [pair for before, after in pairwise(ordered) for pair in seam_pairs(before, after)]
    successor = {a: (b, iou) for a, b, iou in pairs if a in tracks and b in tracks}
    strands = []
    for key in sorted(tracks.keys() - {b for b, _ in successor.values()}):
        chain, certainty = [key], 1.0
        while chain[-1] in successor:
            following, iou = successor[chain[-1]]
            chain.append(following)
            certainty = min(certainty, iou)
        firsts = [first_frames[k[0]] + tracks[k].first_frame for k in chain]
        spans = [(first, first + tracks[k].num_frames) for first, k in zip(firsts, chain, strict=True)]
        strands.append(Strand({k: tracks[k] for k in chain}, spans, certainty))
    return strands


def meet(a: Strand, b: Strand) -> bool:
    """Whether both are there in one frame."""
    return any(p < t and s < q for p, q in a.spans for s, t in b.spans)
