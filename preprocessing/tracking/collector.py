"""Remembers of all rows of a segment, as they are stored, what is needed to name its persons afterwards.

Every frame in which a body's head keypoints lie in a face's box is a vote that both are one person.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Literal, Protocol

import numpy as np

from cache.schema import SEEN_STATES, BodyBlock, FaceBlock, State, is_seen
from preprocessing.skeletons.layouts import COCO17
from preprocessing.tracking.appearance import Looks
from preprocessing.tracking.evidence import Box, SeamBox, SegmentEvidence, TrackEvidence, TrackKind

HEAD_SCORE = 0.3
HEAD_REACH = 0.6  # of the face's side: how far the middle of the head joints may be from the face's centre
KEEP_FRAMES = 512  # face and body rows of a frame arrive this close together


class Times(Protocol):
    """Media seconds of frames by their index: an array, or what a stream still remembers."""

    def __len__(self) -> int: ...

    def __getitem__(self, index: int, /) -> float: ...


@dataclass
class _Summary:
    """What is kept of one local track."""

    first: int
    stop: int
    first_box: Box | None = None  # None until it is seen: its first frames may lie before the segment
    last_box: Box | None = None
    states: Counter[int] = field(default_factory=Counter)
    best_score: float = 0.0
    score_sum: float = 0.0
    side_sum: float = 0.0
    looks: Looks = field(default_factory=Looks)

    @property
    def num_seen(self) -> int:
        return max(1, sum(self.states[state] for state in SEEN_STATES))


class EvidenceCollector:
    """Sees all rows of one segment and keeps summaries only: its memory does not grow with the rows."""

    def __init__(self, sure_face_score: float = 0.0, head_joints: Sequence[int] = COCO17.head) -> None:
        """sure_face_score: face tracks that never reach it belong to nobody. head_joints: of the bodies."""
        self._sure_face_score = sure_face_score
        self._head_joints = list(head_joints)
        self._summaries: dict[tuple[TrackKind, int], _Summary] = {}
        self._votes: Counter[tuple[int, int]] = Counter()
        self._face_boxes: dict[int, list[tuple[int, np.ndarray]]] = defaultdict(list)  # by frame
        self._heads: dict[int, list[tuple[int, np.ndarray]]] = defaultdict(list)  # by frame
        self._seams: dict[str, list[SeamBox]] = {"head": [], "tail": []}

    def see_faces(self, local_id: int, first_frame: int, block: FaceBlock) -> None:
        """The next rows of a face track; first_frame counts frames of the segment."""
        self._summarise("face", local_id, first_frame, block)
        for n in np.flatnonzero(block.states != State.ABSENT):
            index, box = first_frame + int(n), block.boxes_xyxy[n]
            for body_id, head in self._heads.get(index, []):
                self._vote(local_id, body_id, box, head)
            self._face_boxes[index].append((local_id, box))
        _trim(self._face_boxes, first_frame)

    def see_bodies(self, local_id: int, first_frame: int, block: BodyBlock) -> None:
        """The next rows of a body track; first_frame counts frames of the segment."""
        self._summarise("body", local_id, first_frame, block)
        for n in np.flatnonzero(block.states == State.OK):
            joints = block.keypoints[n, self._head_joints]
            seen = joints[joints[:, 2] >= HEAD_SCORE]
            if len(seen) == 0:
                continue
            index, head = first_frame + int(n), seen[:, :2].mean(axis=0)
            for face_id, box in self._face_boxes.get(index, []):
                self._vote(face_id, local_id, box, head)
            self._heads[index].append((local_id, head))
        _trim(self._heads, first_frame)

    def see_seam(
        self, side: Literal["head", "tail"], pts: int, kind: TrackKind, local_id: int, box: np.ndarray
    ) -> None:
        """Where a stored track is in a frame that the neighbour before ("head") or after ("tail") sees too.

        The frame may lie outside the segment, in its lead-in or lead-out. box: (4,).
        """
        self._seams[side].append(SeamBox(pts, kind, local_id, _box(box)))

    def describe(self, kind: TrackKind, local_id: int, looks: Looks) -> None:
        """Where to read, at the end, what a track looks like."""
        self._summaries[kind, local_id].looks = looks

    def forget(self, kind: TrackKind, local_id: int) -> None:
        """Drop all that is known of a track, in a stream without end."""
        self._summaries.pop((kind, local_id), None)
        place = 0 if kind == "face" else 1
        for pair in [pair for pair in self._votes if pair[place] == local_id]:
            del self._votes[pair]

    def evidence(self, index: int, t_start: Times, t_end: Times) -> SegmentEvidence:
        """All tracks that were seen. t_start, t_end: (T,) media seconds of the segment's own frames."""
        return SegmentEvidence(
            index=index,
            num_frames=len(t_start),
            t_start=float(t_start[0]) if len(t_start) else 0.0,
            t_end=float(t_end[-1]) if len(t_end) else 0.0,
            sure_face_score=self._sure_face_score,
            tracks=[
                TrackEvidence(
                    kind=kind,
                    local_id=local_id,
                    first_frame=s.first,
                    num_frames=s.stop - s.first,
                    t_start=float(t_start[s.first]),
                    t_end=float(t_end[s.stop - 1]),
                    states=dict(s.states),
                    best_score=s.best_score,
                    mean_score=s.score_sum / s.num_seen,
                    mean_side=s.side_sum / s.num_seen,
                    first_box_xyxy=s.first_box,
                    last_box_xyxy=s.last_box,
                    clothing=_vector(s.looks.clothing),
                    face=_vector(s.looks.face),
                    num_descriptors=s.looks.num_looks,
                )
                for (kind, local_id), s in self._summaries.items()
                if s.first_box is not None and s.last_box is not None
            ],
            votes=[(face_id, body_id, count) for (face_id, body_id), count in self._votes.items()],
            head=self._seams["head"],
            tail=self._seams["tail"],
        )

    def _vote(self, face_id: int, body_id: int, box: np.ndarray, head: np.ndarray) -> None:
        side = float(np.sqrt(max(1.0, float((box[2] - box[0]) * (box[3] - box[1])))))
        centre = (box[:2] + box[2:]) / 2
        if float(np.linalg.norm(head - centre)) < HEAD_REACH * side:
            self._votes[(face_id, body_id)] += 1

    def _summarise(self, kind: TrackKind, local_id: int, first: int, block: FaceBlock | BodyBlock) -> None:
        stop = first + len(block.states)
        seen = np.flatnonzero(is_seen(block.states))
        summary = self._summaries.get((kind, local_id))
        if summary is None:
            summary = self._summaries[kind, local_id] = _Summary(first, stop)
        summary.stop = stop
        summary.states.update(int(state) for state in block.states)
        if len(seen):
            summary.first_box = summary.first_box or _box(block.boxes_xyxy[seen[0]])
            summary.last_box = _box(block.boxes_xyxy[seen[-1]])
            summary.best_score = max(summary.best_score, float(block.scores[seen].max()))
            summary.score_sum += float(block.scores[seen].sum())
            sides = block.boxes_xyxy[seen, 2:] - block.boxes_xyxy[seen, :2]
            summary.side_sum += float(np.sqrt(sides.clip(min=0).prod(axis=1)).sum())


def _box(box: np.ndarray) -> Box:
    x0, y0, x1, y1 = (round(float(value), 2) for value in box)
    return x0, y0, x1, y1


def _vector(values: np.ndarray) -> tuple[float, ...]:
    return tuple(round(float(value), 4) for value in values)


def _trim(by_frame: dict[int, list[tuple[int, np.ndarray]]], newest: int) -> None:
    for index in [i for i in by_frame if i < newest - KEEP_FRAMES]:
        del by_frame[index]
