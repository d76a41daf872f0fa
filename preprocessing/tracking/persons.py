"""Names the persons of a video from what was seen in its segments.

First tracks are joined at the seams between segments, then faces with the bodies that carry them, then
fragments of one person by what they look like. Pure: the same evidence always gives the same persons.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

from cache.schema import SEEN_STATES, STATE_NAMES, PersonRecord, State
from preprocessing.spec import PreprocessSpec
from preprocessing.tracking.evidence import SegmentEvidence
from preprocessing.tracking.merging import merge_fragments
from preprocessing.tracking.strands import Group, Strand, build_strands
from preprocessing.tracking.votes import count_votes, join_by_votes

SURE_STATES = (State.OK, State.INTERPOLATED)
FACES_IN_BODY = 4.0  # a body's box has a side so many times that of its face's


def join_persons(segments: Sequence[SegmentEvidence], spec: PreprocessSpec) -> list[PersonRecord]:
    """Persons in the order of their first frame, then from left to right.

    segments: those of one video that are stored; frames count through them in the order of their index.
    Tracks shorter than `min_track_seconds`, or than six tenths of a shorter video, belong to nobody; nor
    do faces that the detector was never sure of, nor those whom `people` leaves out.
    """
    ordered = sorted((s for s in segments if s.num_frames), key=lambda s: s.index)
    if not ordered:
        return []
    needed = min(spec.min_track_seconds, 0.6 * (ordered[-1].t_end - ordered[0].t_start)) - 1e-9
    sure_score = max(s.sure_face_score for s in ordered)
    strands = build_strands(ordered)
    # A small or dark face is a face; a skeleton of low scores may be a chair.
    faces = [
        strand
        for strand in strands
        if strand.kind == "face"
        and strand.seconds_in(SEEN_STATES) >= needed
        and max(track.best_score for track in strand.tracks.values()) >= sure_score
    ]
    bodies = [s for s in strands if s.kind == "body" and s.seconds_in(SURE_STATES) >= needed]
    groups = join_by_votes(faces, bodies, count_votes(ordered))
    groups = merge_fragments(groups, spec.appearance)
    groups = sorted(_main_people(groups, spec.people), key=_place)
    return [_record(number, group) for number, group in enumerate(groups)]


def _main_people(groups: list[Group], people: str) -> list[Group]:
    """All, or the one ("main") or the N ("N") who are longest and largest in view."""
    if people == "all":
        return groups
    wanted = 1 if people == "main" else int(people)
    return sorted(groups, key=lambda group: (-_weight(group), _place(group)))[:wanted]


def _weight(group: Group) -> float:
    """Seconds in view times the side of the face in pixels; the latter is guessed for a body alone."""
    weights = []
    for strands, side_share in ((group.faces, 1.0), (group.bodies, 1 / FACES_IN_BODY)):
        sides = [(s.seconds_in(SEEN_STATES), max(t.mean_side for t in s.tracks.values())) for s in strands]
        weights.append(side_share * sum(seconds * side for seconds, side in sides))
    return max(weights)


def _place(group: Group) -> tuple[int, float]:
    """First frame, and how far right the person is there."""
    earliest = min(group.strands, key=lambda strand: strand.first)
    box = next(iter(earliest.tracks.values())).first_box_xyxy
    return earliest.first, (box[0] + box[2]) / 2


def _record(number: int, group: Group) -> PersonRecord:
    tracks = [track for strand in group.strands for track in strand.tracks.values()]
    first, stop = min(s.first for s in group.strands), max(s.stop for s in group.strands)
    return PersonRecord(
        id=number,
        faces=_local_ids(group.faces),
        bodies=_local_ids(group.bodies),
        num_frames=stop - first,
        t_start=min(t.t_start for t in tracks),
        t_end=max(t.t_end for t in tracks),
        face_states=_count(group.faces, stop - first),
        body_states=_count(group.bodies, stop - first),
        confidence=confidence(group),
    )


def confidence(group: Group) -> float:
    """In [0, 1]: mean detector score where the person is seen, times the certainty of the weakest join.

    Of face and body the one with the better score counts. Certain are, with 1, tracks that were followed
    without a break; a seam has the mean overlap of its boxes, a merge by looks the closer to 1 the more
    alike they are.
    """
    scores = []
    for strands in (group.faces, group.bodies):
        tracks = [track for strand in strands for track in strand.tracks.values()]
        seen = [sum(track.states.get(state, 0) for state in SEEN_STATES) for track in tracks]
        total = sum(n * track.mean_score for n, track in zip(seen, tracks, strict=True))
        scores.append(total / max(1, sum(seen)))
    return round(min(1.0, max(scores)) * group.certainty, 4)


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
