"""Names the persons of a video from what was seen in its segments.

First tracks are joined at the seams between segments, then faces with the bodies that carry them, then
fragments of one person. Pure: the same evidence always gives the same persons.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from itertools import pairwise

import numpy as np

from cache.schema import SEEN_STATES, STATE_NAMES, PersonRecord, State
from preprocessing.spec import PreprocessSpec
from preprocessing.tracking.evidence import SegmentEvidence, TrackEvidence, TrackKind
from preprocessing.tracking.seams import Key, seam_pairs

SURE_STATES = (State.OK, State.INTERPOLATED)
MIN_VOTE_SHARE = 0.2  # of the frames in which a face and a body could have been seen as one


@dataclass(eq=False)
class Strand:
    """One face or one body through all segments in which it was followed without a break."""

    tracks: dict[Key, TrackEvidence]
    spans: list[tuple[int, int]]  # frames of the video, half-open, one a track, in order

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


def join_persons(segments: Sequence[SegmentEvidence], spec: PreprocessSpec) -> list[PersonRecord]:
    """Persons in the order of their first frame, then from left to right.

    segments: those of one video that are stored; frames count through them in the order of their index.
    Tracks shorter than `min_track_seconds`, or than six tenths of a shorter video, belong to nobody; nor
    do faces that the detector was never sure of.
    """
    ordered = sorted((s for s in segments if s.num_frames), key=lambda s: s.index)
    if not ordered:
        return []
    needed = min(spec.min_track_seconds, 0.6 * (ordered[-1].t_end - ordered[0].t_start)) - 1e-9
    sure_score = max(s.sure_face_score for s in ordered)
    strands = _strands(ordered)
    # A small or dark face is a face; a skeleton of low scores may be a chair.
    faces = [
        strand
        for strand in strands
        if strand.kind == "face"
        and strand.seconds_in(SEEN_STATES) >= needed
        and max(track.best_score for track in strand.tracks.values()) >= sure_score
    ]
    bodies = [s for s in strands if s.kind == "body" and s.seconds_in(SURE_STATES) >= needed]
    groups = _join_by_votes(faces, bodies, _votes(ordered))
    groups.sort(key=_place)
    return [_record(number, group) for number, group in enumerate(groups)]


def _strands(ordered: list[SegmentEvidence]) -> list[Strand]:
    """All tracks, those that continue across a seam as one, in the order of their keys."""
    tracks: dict[Key, TrackEvidence] = {}
    first_frames: dict[int, int] = {}
    num_frames = 0
    for segment in ordered:
        first_frames[segment.index] = num_frames
        num_frames += segment.num_frames
        tracks |= {(segment.index, track.kind, track.local_id): track for track in segment.tracks}
    pairs = [pair for before, after in pairwise(ordered) for pair in seam_pairs(before, after)]
    successor = {before: after for before, after in pairs if before in tracks and after in tracks}
    strands = []
    for key in sorted(tracks.keys() - set(successor.values())):
        chain = [key]
        while chain[-1] in successor:
            chain.append(successor[chain[-1]])
        firsts = [first_frames[k[0]] + tracks[k].first_frame for k in chain]
        spans = [(first, first + tracks[k].num_frames) for first, k in zip(firsts, chain, strict=True)]
        strands.append(Strand({k: tracks[k] for k in chain}, spans))
    return strands


# --- faces and bodies ----------------------------------------------------------------------------


def _votes(ordered: list[SegmentEvidence]) -> Counter[tuple[Key, Key]]:
    votes: Counter[tuple[Key, Key]] = Counter()
    for segment in ordered:
        for face_id, body_id, count in segment.votes:
            votes[(segment.index, "face", face_id), (segment.index, "body", body_id)] += count
    return votes


def _join_by_votes(faces: list[Strand], bodies: list[Strand], votes: Counter[tuple[Key, Key]]) -> list[Group]:
    """Bodies with the faces they carry: the assignment with most votes, then what is left over to these.

    A body holds the pieces of its face together, a face those of its body, as long as no two of a kind
    are there at once.
    """
    groups = [Group(bodies=[body]) for body in bodies]
    free_faces = _assign(faces, groups, votes)
    joined = [group for group in groups if group.faces]
    lonely = [group for group in groups if not group.faces]
    while free_faces and len(left := _assign(free_faces, joined, votes)) < len(free_faces):
        free_faces = left
    while lonely:
        left = _assign([group.bodies[0] for group in lonely], joined, votes)
        if len(left) == len(lonely):
            break
        lonely = [group for group in lonely if group.bodies[0] in left]
    return joined + lonely + [Group(faces=[face]) for face in free_faces]


def _assign(strands: list[Strand], groups: list[Group], votes: Counter[tuple[Key, Key]]) -> list[Strand]:
    """Adds to every group at most one strand, by the largest sum of votes; returns those left over."""
    if not strands or not groups:
        return strands
    from scipy.optimize import linear_sum_assignment

    gain = np.array([[_fit(strand, group, votes) for group in groups] for strand in strands])
    taken = set()
    for m, n in zip(*linear_sum_assignment(gain, maximize=True), strict=True):
        if gain[m, n] > 0:
            _own_kind(strands[m], groups[n]).append(strands[m])
            taken.add(m)
    return [strand for m, strand in enumerate(strands) if m not in taken]


def _fit(strand: Strand, group: Group, votes: Counter[tuple[Key, Key]]) -> float:
    """Votes for a strand to be of a group; 0 where too few or where it would be there twice."""
    if any(_meet(strand, other) for other in _own_kind(strand, group)):
        return 0.0
    is_face = strand.kind == "face"
    total = 0.0
    for other in group.bodies if is_face else group.faces:
        face, body = (strand, other) if is_face else (other, strand)
        count = sum(votes[f, b] for f in face.tracks for b in body.tracks)
        if count >= max(1.0, MIN_VOTE_SHARE * _possible_votes(face, body)):
            total += count
    return total


def _possible_votes(face: Strand, body: Strand) -> float:
    """Frames in which both were surely seen, were their states spread evenly."""
    total = 0.0
    for face_key, f in face.tracks.items():
        for body_key, b in body.tracks.items():
            if face_key[0] == body_key[0]:
                stop = min(f.first_frame + f.num_frames, b.first_frame + b.num_frames)
                common = max(0, stop - max(f.first_frame, b.first_frame))
                seen = sum(f.states.get(state, 0) for state in SEEN_STATES) / f.num_frames
                total += common * seen * b.states.get(State.OK, 0) / b.num_frames
    return total


def _own_kind(strand: Strand, group: Group) -> list[Strand]:
    return group.faces if strand.kind == "face" else group.bodies


def _meet(a: Strand, b: Strand) -> bool:
    """Whether both are there in one frame."""
    return any(p < t and s < q for p, q in a.spans for s, t in b.spans)


# --- records -------------------------------------------------------------------------------------


def _place(group: Group) -> tuple[int, float]:
    """First frame, and how far right the person is there."""
    earliest = min(group.faces + group.bodies, key=lambda strand: strand.first)
    box = next(iter(earliest.tracks.values())).first_box_xyxy
    return earliest.first, (box[0] + box[2]) / 2


def _record(number: int, group: Group) -> PersonRecord:
    strands = group.faces + group.bodies
    tracks = [track for strand in strands for track in strand.tracks.values()]
    first, stop = min(s.first for s in strands), max(s.stop for s in strands)
    return PersonRecord(
        id=number,
        faces=_local_ids(group.faces),
        bodies=_local_ids(group.bodies),
        num_frames=stop - first,
        t_start=min(t.t_start for t in tracks),
        t_end=max(t.t_end for t in tracks),
        face_states=_count(group.faces, stop - first),
        body_states=_count(group.bodies, stop - first),
    )


def _local_ids(strands: list[Strand]) -> list[tuple[int, int]]:
    return sorted((segment, local_id) for strand in strands for segment, _, local_id in strand.tracks)


def _count(strands: list[Strand], num_frames: int) -> dict[str, int]:
    """Frames in each state over the person's whole span; frames outside the strands are absent."""
    total: Counter[int] = Counter()
    for strand in strands:
        for track in strand.tracks.values():
            total.update(track.states)
    total[State.ABSENT] = num_frames - sum(n for state, n in total.items() if state != State.ABSENT)
    return {STATE_NAMES[state]: total[state] for state in State if total[state]}
