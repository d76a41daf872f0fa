"""Which body carries which face: an assignment over votes, one for each frame with the head in the face."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

import numpy as np

from cache.schema import SEEN_STATES, State
from preprocessing.tracking.evidence import SegmentEvidence
from preprocessing.tracking.seams import Key
from preprocessing.tracking.strands import Group, Strand, meet

MIN_VOTE_SHARE = 0.2  # of the frames in which a face and a body could have been seen as one

Votes = Counter[tuple[Key, Key]]
"""Face, body -> frames as one person."""


def count_votes(segments: Sequence[SegmentEvidence]) -> Votes:
    """Of all segments of a video."""
    votes: Votes = Counter()
    for segment in segments:
        for face_id, body_id, count in segment.votes:
            votes[(segment.index, "face", face_id), (segment.index, "body", body_id)] += count
    return votes


def join_by_votes(faces: list[Strand], bodies: list[Strand], votes: Votes) -> list[Group]:
    """Bodies with the faces they carry: the assignment with most votes, then what is left over to these.

    A body holds the pieces of its face together, a face those of its body, as long as no two of a kind
    are there at once.
    """
    groups = [Group(bodies=[body], certainty=body.certainty) for body in bodies]
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
    return joined + lonely + [Group(faces=[face], certainty=face.certainty) for face in free_faces]


def _assign(strands: list[Strand], groups: list[Group], votes: Votes) -> list[Strand]:
    """Adds to every group at most one strand, by the largest sum of votes; returns those left over."""
    if not strands or not groups:
        return strands
    from scipy.optimize import linear_sum_assignment

    gain = np.array([[_fit(strand, group, votes) for group in groups] for strand in strands])
    taken = set()
    for m, n in zip(*linear_sum_assignment(gain, maximize=True), strict=True):
        if gain[m, n] > 0:
            _own_kind(strands[m], groups[n]).append(strands[m])
            groups[n].certainty = min(groups[n].certainty, strands[m].certainty)
            taken.add(m)
    return [strand for m, strand in enumerate(strands) if m not in taken]


def _fit(strand: Strand, group: Group, votes: Votes) -> float:
    """Votes for a strand to be of a group; 0 where too few or where it would be there twice."""
    if any(meet(strand, other) for other in _own_kind(strand, group)):
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
