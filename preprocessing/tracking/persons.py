"""Joins face tracks and body tracks of one segment into persons.

Every frame in which a body's head keypoints lie in a face's box is a vote that both are one person.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np

from cache.schema import SEEN_STATES, STATE_NAMES, BodyBlock, FaceBlock, PersonRecord, State
from preprocessing.skeletons.layouts import COCO17

HEAD_SCORE = 0.3
HEAD_REACH = 0.6  # of the face's side: how far the middle of the head joints may be from the face's centre
KEEP_FRAMES = 512  # face and body rows of a frame arrive this close together


@dataclass
class _Fragment:
    """Summary of one local track."""

    first: int
    stop: int
    states: Counter[int] = field(default_factory=Counter)
    x: float = 0.0  # where it was first seen, to number persons from left to right
    best_score: float = 0.0

    def num_in(self, *states: State) -> int:
        return sum(self.states[state] for state in states)


class PersonJoiner:
    """Sees all rows as they are stored, remembers summaries only, and names the persons at the end."""

    def __init__(self, sure_face_score: float = 0.0, head_joints: Sequence[int] = COCO17.head) -> None:
        """sure_face_score: face tracks that never reach it belong to nobody. head_joints: of the bodies."""
        self._sure_face_score = sure_face_score
        self._head_joints = list(head_joints)
        self._faces: dict[int, _Fragment] = {}
        self._bodies: dict[int, _Fragment] = {}
        self._votes: Counter[tuple[int, int]] = Counter()
        self._face_boxes: dict[int, list[tuple[int, np.ndarray]]] = defaultdict(list)  # by frame
        self._heads: dict[int, list[tuple[int, np.ndarray]]] = defaultdict(list)  # by frame

    def see_faces(self, local_id: int, first_frame: int, block: FaceBlock) -> None:
        self._summarise(self._faces, local_id, first_frame, block)
        for n in np.flatnonzero(block.states != State.ABSENT):
            index, box = first_frame + int(n), block.boxes_xyxy[n]
            for body_id, head in self._heads.get(index, []):
                self._vote(local_id, body_id, box, head)
            self._face_boxes[index].append((local_id, box))
        _trim(self._face_boxes, first_frame)

    def see_bodies(self, local_id: int, first_frame: int, block: BodyBlock) -> None:
        self._summarise(self._bodies, local_id, first_frame, block)
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

    def _vote(self, face_id: int, body_id: int, box: np.ndarray, head: np.ndarray) -> None:
        side = float(np.sqrt(max(1.0, float((box[2] - box[0]) * (box[3] - box[1])))))
        centre = (box[:2] + box[2:]) / 2
        if float(np.linalg.norm(head - centre)) < HEAD_REACH * side:
            self._votes[(face_id, body_id)] += 1

    @staticmethod
    def _summarise(
        fragments: dict[int, _Fragment], local_id: int, first: int, block: FaceBlock | BodyBlock
    ) -> None:
        stop = first + len(block.states)
        fragment = fragments.get(local_id)
        if fragment is None:
            fragment = fragments[local_id] = _Fragment(first, stop, x=float(np.nanmean(block.boxes_xyxy[0])))
        fragment.stop = stop
        fragment.best_score = max(fragment.best_score, float(block.scores.max()))
        fragment.states.update(int(state) for state in block.states)

    def persons(
        self, segment: int, t_start: np.ndarray, t_end: np.ndarray, min_seconds: float
    ) -> list[PersonRecord]:
        """Persons in the order of their first frame, then from left to right.

        t_start, t_end: (T,) media seconds of the segment's frames. Tracks shorter than `min_seconds`,
        or than six tenths of a shorter video, belong to nobody; nor do faces that were never sure.
        """
        if len(t_start) == 0:
            return []
        needed = min(min_seconds, 0.6 * float(t_end[-1] - t_start[0]))

        def seconds_in(fragment: _Fragment, *states: State) -> float:
            seconds = float(t_end[fragment.stop - 1] - t_start[fragment.first])
            return seconds * fragment.num_in(*states) / (fragment.stop - fragment.first) + 1e-9

        # A small or dark face is a face; a skeleton of low scores may be a chair.
        faces = {
            i: f
            for i, f in self._faces.items()
            if seconds_in(f, *SEEN_STATES) >= needed and f.best_score >= self._sure_face_score
        }
        sure = (State.OK, State.INTERPOLATED)
        bodies = {i: b for i, b in self._bodies.items() if seconds_in(b, *sure) >= needed}
        groups: list[tuple[list[int], list[int]]] = [([], [i]) for i in bodies]
        group_of_body = dict(zip(bodies, groups, strict=True))
        joined: set[int] = set()
        for (face_id, body_id), _ in self._votes.most_common():
            if face_id in faces and face_id not in joined and body_id in bodies:
                group = group_of_body[body_id]
                if not any(_overlap(faces[face_id], faces[other]) for other in group[0]):
                    group[0].append(face_id)
                    joined.add(face_id)
        groups += [([i], []) for i in faces if i not in joined]

        persons = []
        for face_ids, body_ids in groups:
            fragments = [faces[i] for i in face_ids] + [bodies[i] for i in body_ids]
            first, stop = min(f.first for f in fragments), max(f.stop for f in fragments)
            x = min(fragments, key=lambda f: f.first).x
            persons.append((first, x, stop, sorted(face_ids), sorted(body_ids)))
        persons.sort(key=lambda p: (p[0], p[1]))
        return [
            PersonRecord(
                id=number,
                faces=[(segment, i) for i in face_ids],
                bodies=[(segment, i) for i in body_ids],
                num_frames=stop - first,
                t_start=float(t_start[first]),
                t_end=float(t_end[stop - 1]),
                face_states=_count([faces[i] for i in face_ids], stop - first),
                body_states=_count([bodies[i] for i in body_ids], stop - first),
            )
            for number, (first, _, stop, face_ids, body_ids) in enumerate(persons)
        ]


def _overlap(a: _Fragment, b: _Fragment) -> bool:
    return a.first < b.stop and b.first < a.stop


def _count(fragments: list[_Fragment], num_frames: int) -> dict[str, int]:
    """Frames in each state over the person's whole span; frames outside the fragments are absent."""
    total: Counter[int] = Counter()
    for fragment in fragments:
        total.update(fragment.states)
    total[State.ABSENT] = num_frames - sum(n for state, n in total.items() if state != State.ABSENT)
    return {STATE_NAMES[state]: total[state] for state in State if total[state]}


def _trim(by_frame: dict[int, list[tuple[int, np.ndarray]]], newest: int) -> None:
    for index in [i for i in by_frame if i < newest - KEEP_FRAMES]:
        del by_frame[index]
