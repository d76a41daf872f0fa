from __future__ import annotations

import numpy as np

from cache.schema import BodyBlock, FaceBlock, State
from preprocessing.skeletons.layouts import LAYOUTS
from preprocessing.tracking.persons import PersonJoiner

FPS = 25.0


def faces(x: float, num_frames: int, state: State = State.OK) -> FaceBlock:
    boxes = np.tile(np.array([x, 20, x + 40, 60], np.float32), (num_frames, 1))
    blank = np.zeros((num_frames, 1), np.float32)
    return FaceBlock(
        boxes,
        blank,
        blank,
        blank[:, 0],
        np.full(num_frames, state, np.uint8),
        blank,
        np.empty((0, 8, 8, 3), np.uint8),
    )


def bodies(head_x: float, num_frames: int, state: State = State.OK) -> BodyBlock:
    keypoints = np.ones((num_frames, 17, 3), np.float32)
    keypoints[:, :5, :2] = (head_x, 40)
    keypoints[:, 5:, :2] = (head_x, 150)
    boxes = np.tile(np.array([head_x - 50, 10, head_x + 50, 300], np.float32), (num_frames, 1))
    return BodyBlock(boxes, keypoints, np.ones(num_frames, np.float32), np.full(num_frames, state, np.uint8))


def persons(joiner: PersonJoiner, num_frames: int = 100):
    t = np.arange(num_frames) / FPS
    return joiner.persons(0, t, t + 1 / FPS, 0.3)


def test_two_people_side_by_side() -> None:
    """Faces and bodies come in either order; each head belongs to the face it lies in."""
    joiner = PersonJoiner()
    joiner.see_bodies(0, 0, bodies(220, 100))
    joiner.see_faces(0, 0, faces(100, 100))
    joiner.see_faces(1, 0, faces(200, 100))
    joiner.see_bodies(1, 0, bodies(120, 100))
    left, right = persons(joiner)
    assert (left.faces, left.bodies) == ([(0, 0)], [(0, 1)])
    assert (right.faces, right.bodies) == ([(0, 1)], [(0, 0)])
    assert left.face_states == {"ok": 100} and left.body_states == {"ok": 100}
    assert (left.t_start, left.t_end) == (0.0, 4.0)


def test_the_head_is_where_the_layout_has_it() -> None:
    def bandai22(head_x: float) -> BodyBlock:
        body = bodies(head_x, 100)
        keypoints = np.ones((100, 22, 3), np.float32)
        keypoints[..., :2] = (head_x + 300, 150)  # all the rest is far from any face
        keypoints[:, [LAYOUTS["bandai22"].joints.index(name) for name in ("Neck", "Head")], :2] = (head_x, 40)
        return BodyBlock(body.boxes_xyxy, keypoints, body.scores, body.states)

    joiner = PersonJoiner(head_joints=LAYOUTS["bandai22"].head)
    joiner.see_faces(0, 0, faces(100, 100))
    joiner.see_bodies(0, 0, bandai22(120))
    assert [(len(p.faces), len(p.bodies)) for p in persons(joiner)] == [(1, 1)]
    joiner = PersonJoiner()  # of COCO-17
    joiner.see_faces(0, 0, faces(100, 100))
    joiner.see_bodies(0, 0, bandai22(120))
    assert [(len(p.faces), len(p.bodies)) for p in persons(joiner)] == [(1, 0), (0, 1)]


def test_a_body_holds_the_pieces_of_its_face_together() -> None:
    joiner = PersonJoiner()
    joiner.see_bodies(0, 0, bodies(120, 100))
    joiner.see_faces(0, 0, faces(100, 30))
    joiner.see_faces(1, 60, faces(100, 40))
    (person,) = persons(joiner)
    assert person.faces == [(0, 0), (0, 1)] and person.bodies == [(0, 0)]
    assert person.face_states == {"ok": 70, "absent": 30}


def test_two_faces_at_once_are_never_one_person() -> None:
    joiner = PersonJoiner()
    joiner.see_bodies(0, 0, bodies(120, 100))
    joiner.see_faces(0, 0, faces(100, 100))
    joiner.see_faces(1, 0, faces(110, 100))
    assert sorted(len(p.faces) for p in persons(joiner)) == [1, 1]


def test_a_face_far_from_the_head_is_somebody_else() -> None:
    joiner = PersonJoiner()
    joiner.see_bodies(0, 0, bodies(300, 100))
    joiner.see_faces(0, 0, faces(100, 100))
    assert [(len(p.faces), len(p.bodies)) for p in persons(joiner)] == [(1, 0), (0, 1)]


def test_short_and_doubtful_tracks_are_nobody() -> None:
    joiner = PersonJoiner()
    joiner.see_faces(0, 0, faces(100, 4))
    joiner.see_bodies(0, 0, bodies(300, 60, State.LOW_QUALITY))
    assert persons(joiner) == []


def test_a_face_that_was_never_sure_is_nobody() -> None:
    """The back of a head: found often, never with a good score (scores are 0 here)."""
    for sure_score, num_persons in ((0.0, 1), (0.8, 0)):
        joiner = PersonJoiner(sure_score)
        joiner.see_faces(0, 0, faces(100, 60))
        assert len(persons(joiner)) == num_persons


def test_a_short_video_may_have_short_tracks() -> None:
    joiner = PersonJoiner()
    joiner.see_faces(0, 0, faces(100, 4))
    assert len(persons(joiner, num_frames=5)) == 1
    still = PersonJoiner()
    still.see_faces(0, 0, faces(100, 1))
    assert len(persons(still, num_frames=1)) == 1


def test_persons_count_from_the_first_and_from_the_left() -> None:
    joiner = PersonJoiner()
    joiner.see_faces(0, 50, faces(10, 50))
    joiner.see_faces(1, 0, faces(400, 100))
    joiner.see_faces(2, 0, faces(200, 100))
    assert [p.faces for p in persons(joiner)] == [[(0, 2)], [(0, 1)], [(0, 0)]]


def test_an_empty_video_has_nobody() -> None:
    assert PersonJoiner().persons(0, np.empty(0), np.empty(0), 0.3) == []
