from __future__ import annotations

import json
from dataclasses import asdict

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from cache.schema import BodyBlock, FaceBlock, PersonRecord, State
from preprocessing.skeletons.layouts import LAYOUTS
from preprocessing.spec import PreprocessSpec
from preprocessing.tracking.appearance import Look, Looks
from preprocessing.tracking.collector import EvidenceCollector
from preprocessing.tracking.evidence import SegmentEvidence, evidence_from_dict
from preprocessing.tracking.persons import join_persons

FPS = 25.0


def faces(x: float, num_frames: int, state: State = State.OK, score: float = 0.0) -> FaceBlock:
    boxes = np.tile(np.array([x, 20, x + 40, 60], np.float32), (num_frames, 1))
    blank = np.zeros((num_frames, 1), np.float32)
    return FaceBlock(
        boxes,
        blank,
        blank,
        blank[:, 0] + np.float32(score),
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


def evidence(
    seen: EvidenceCollector, num_frames: int = 100, index: int = 0, start: int = 0
) -> SegmentEvidence:
    t = np.arange(start, start + num_frames) / FPS
    return seen.evidence(index, t, t + 1 / FPS)


def persons(seen: EvidenceCollector, num_frames: int = 100) -> list[PersonRecord]:
    return join_persons([evidence(seen, num_frames)], PreprocessSpec())


def test_two_people_side_by_side() -> None:
    """Faces and bodies come in either order; each head belongs to the face it lies in."""
    seen = EvidenceCollector()
    seen.see_bodies(0, 0, bodies(220, 100))
    seen.see_faces(0, 0, faces(100, 100))
    seen.see_faces(1, 0, faces(200, 100))
    seen.see_bodies(1, 0, bodies(120, 100))
    left, right = persons(seen)
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

    seen = EvidenceCollector(head_joints=LAYOUTS["bandai22"].head)
    seen.see_faces(0, 0, faces(100, 100))
    seen.see_bodies(0, 0, bandai22(120))
    assert [(len(p.faces), len(p.bodies)) for p in persons(seen)] == [(1, 1)]
    seen = EvidenceCollector()  # of COCO-17
    seen.see_faces(0, 0, faces(100, 100))
    seen.see_bodies(0, 0, bandai22(120))
    assert sorted((len(p.faces), len(p.bodies)) for p in persons(seen)) == [(0, 1), (1, 0)]


def test_a_body_holds_the_pieces_of_its_face_together() -> None:
    seen = EvidenceCollector()
    seen.see_bodies(0, 0, bodies(120, 100))
    seen.see_faces(0, 0, faces(100, 30))
    seen.see_faces(1, 60, faces(100, 40))
    (person,) = persons(seen)
    assert person.faces == [(0, 0), (0, 1)] and person.bodies == [(0, 0)]
    assert person.face_states == {"ok": 70, "absent": 30}


def test_two_faces_at_once_are_never_one_person() -> None:
    seen = EvidenceCollector()
    seen.see_bodies(0, 0, bodies(120, 100))
    seen.see_faces(0, 0, faces(100, 100))
    seen.see_faces(1, 0, faces(110, 100))
    assert sorted(len(p.faces) for p in persons(seen)) == [1, 1]


def test_a_face_far_from_the_head_is_somebody_else() -> None:
    seen = EvidenceCollector()
    seen.see_bodies(0, 0, bodies(300, 100))
    seen.see_faces(0, 0, faces(100, 100))
    assert [(len(p.faces), len(p.bodies)) for p in persons(seen)] == [(1, 0), (0, 1)]


def test_short_and_doubtful_tracks_are_nobody() -> None:
    seen = EvidenceCollector()
    seen.see_faces(0, 0, faces(100, 4))
    seen.see_bodies(0, 0, bodies(300, 60, State.LOW_QUALITY))
    assert persons(seen) == []


def test_a_face_that_was_never_sure_is_nobody() -> None:
    """The back of a head: found often, never with a good score (scores are 0 here)."""
    for sure_score, num_persons in ((0.0, 1), (0.8, 0)):
        seen = EvidenceCollector(sure_score)
        seen.see_faces(0, 0, faces(100, 60))
        assert len(persons(seen)) == num_persons


def test_a_short_video_may_have_short_tracks() -> None:
    seen = EvidenceCollector()
    seen.see_faces(0, 0, faces(100, 4))
    assert len(persons(seen, num_frames=5)) == 1
    still = EvidenceCollector()
    still.see_faces(0, 0, faces(100, 1))
    assert len(persons(still, num_frames=1)) == 1


def test_persons_count_from_the_first_and_from_the_left() -> None:
    seen = EvidenceCollector()
    seen.see_faces(0, 50, faces(10, 50))
    seen.see_faces(1, 0, faces(400, 100))
    seen.see_faces(2, 0, faces(200, 100))
    assert [p.faces for p in persons(seen)] == [[(0, 2)], [(0, 1)], [(0, 0)]]


def test_an_empty_video_has_nobody() -> None:
    assert persons(EvidenceCollector(), 0) == [] and join_persons([], PreprocessSpec()) == []


def test_a_face_in_front_of_a_body_for_a_moment_is_not_its_face() -> None:
    """Somebody walks past: a few votes of many frames."""
    seen = EvidenceCollector()
    seen.see_faces(0, 0, faces(100, 100))
    seen.see_bodies(0, 0, bodies(400, 90))
    seen.see_bodies(0, 90, bodies(120, 10))
    assert [(len(p.faces), len(p.bodies)) for p in persons(seen)] == [(1, 0), (0, 1)]


def test_the_assignment_is_the_best_in_all_not_pair_by_pair() -> None:
    """Two heads close together: the most votes of all belong to a pair that would leave the others alone."""
    seen = EvidenceCollector()
    seen.see_faces(0, 0, faces(100, 100))
    seen.see_faces(1, 0, faces(112, 100))
    seen.see_bodies(0, 0, bodies(126, 100))  # within reach of both faces
    seen.see_bodies(1, 10, bodies(152, 90))  # within reach of the right one only
    left, right = persons(seen)
    assert (left.faces, left.bodies) == ([(0, 0)], [(0, 0)])
    assert (right.faces, right.bodies) == ([(0, 1)], [(0, 1)])


def test_a_face_holds_the_pieces_of_its_body_together() -> None:
    seen = EvidenceCollector()
    seen.see_faces(0, 0, faces(100, 100))
    seen.see_bodies(0, 0, bodies(120, 30))
    seen.see_bodies(1, 60, bodies(120, 40))
    (person,) = persons(seen)
    assert person.faces == [(0, 0)] and person.bodies == [(0, 0), (0, 1)]


# --- seams ---------------------------------------------------------------------------------------


def segment(index: int, xs: dict[int, float], *, seam_pts: range | None = None) -> SegmentEvidence:
    """A segment of 50 frames with one face of each local id at x; both seams are seen there."""
    seen = EvidenceCollector()
    for local_id, x in xs.items():
        seen.see_faces(local_id, 0, faces(x, 50))
        box = np.array([x, 20, x + 40, 60])
        for side, pts in (
            ("head", range(50 * index - 25, 50 * index + 25)),
            ("tail", range(50 * index + 25, 50 * index + 75)),
        ):
            for n in pts if seam_pts is None else seam_pts:
                seen.see_seam(side, n, "face", local_id, box)  # type: ignore[arg-type]
    return evidence(seen, 50, index, 50 * index)


def test_tracks_are_joined_across_segments() -> None:
    """Local ids differ from segment to segment; who leaves at a seam is not confused with who comes."""
    parts = [segment(0, {0: 100, 1: 300}), segment(1, {0: 301, 1: 102, 2: 500}), segment(2, {5: 303})]
    found = join_persons(parts[::-1], PreprocessSpec())
    assert [p.faces for p in found] == [[(0, 0), (1, 1)], [(0, 1), (1, 0), (2, 5)], [(1, 2)]]
    assert [p.num_frames for p in found] == [100, 150, 50]
    assert [(p.t_start, p.t_end) for p in found] == [(0, 4), (0, 6), (2, 4)]
    assert [p.face_states for p in found] == [{"ok": 100}, {"ok": 150}, {"ok": 50}]


def test_bodies_are_joined_too_and_hold_faces_together() -> None:
    parts = []
    for index in range(2):
        seen = EvidenceCollector()
        seen.see_bodies(0, 0, bodies(120, 50))
        seen.see_faces(0, 0, faces(100, 50))
        for n in range(25, 75):
            box = np.array([70, 10, 170, 300])
            seen.see_seam("tail" if index == 0 else "head", n, "body", 0, box)
        parts.append(evidence(seen, 50, index, 50 * index))
    (person,) = join_persons(parts, PreprocessSpec())
    assert person.faces == person.bodies == [(0, 0), (1, 0)]


def test_what_was_not_seen_in_the_same_frames_is_not_joined() -> None:
    apart = [segment(0, {0: 100}, seam_pts=range(40, 50)), segment(1, {0: 100}, seam_pts=range(50, 60))]
    assert len(join_persons(apart, PreprocessSpec())) == 2
    elsewhere = [segment(0, {0: 100}), segment(1, {0: 130})]
    assert len(join_persons(elsewhere, PreprocessSpec())) == 2
    hole = [segment(0, {0: 100}), segment(2, {0: 100}, seam_pts=range(25, 75))]  # segment 1 failed
    assert len(join_persons(hole, PreprocessSpec())) == 2


def test_boxes_in_one_place_with_other_clothes_are_not_joined() -> None:
    parts = []
    for index, clothing in enumerate(([1.0, 0.0], [0.0, 1.0])):
        seen = EvidenceCollector()
        seen.see_faces(0, 0, faces(100, 50))
        looks = Looks()
        looks.add(Look(np.array(clothing), np.empty(0)), 0.0)
        seen.describe("face", 0, looks)
        for n in range(25, 75):
            seen.see_seam("tail" if index == 0 else "head", n, "face", 0, np.array([100, 20, 140, 60]))
        parts.append(evidence(seen, 50, index, 50 * index))
    assert len(join_persons(parts, PreprocessSpec())) == 2


def test_short_pieces_at_a_seam_are_parts_of_a_long_track() -> None:
    """Nobody is too short because a cut went through him."""
    early, late = EvidenceCollector(0.8), EvidenceCollector(0.8)
    early.see_faces(0, 46, faces(100, 4, score=0.9))
    late.see_faces(0, 0, faces(100, 5))  # never sure in this part
    for n in range(46, 55):
        early.see_seam("tail", n, "face", 0, np.array([100, 20, 140, 60]))
        late.see_seam("head", n, "face", 0, np.array([100, 20, 140, 60]))
    parts = [evidence(early, 50), evidence(late, 50, 1, 50)]
    (person,) = join_persons(parts, PreprocessSpec())
    assert person.faces == [(0, 0), (1, 0)] and person.num_frames == 9
    assert join_persons(parts[:1], PreprocessSpec()) == join_persons(parts[1:], PreprocessSpec()) == []


def test_evidence_survives_json() -> None:
    seen = EvidenceCollector(0.5)
    seen.see_faces(0, 0, faces(100, 100))
    seen.see_bodies(0, 0, bodies(120, 100))
    seen.see_seam("head", 3, "body", 0, np.array([1, 2, 3, 4.5]))
    looks = Looks()
    seen.describe("face", 0, looks)
    looks.add(Look(np.array([3.0, 4.0]), np.array([2.0])), 0.0)
    told = evidence(seen)
    assert told.tracks[0].clothing == (0.6, 0.8) and told.tracks[0].num_descriptors == 1
    assert evidence_from_dict(json.loads(json.dumps(asdict(told)))) == told


@given(st.data())
def test_every_track_is_of_one_person_at_most_and_nobody_is_twice_in_a_frame(data: st.DataObject) -> None:
    """Random faces and bodies, random cut: the same persons whatever the order of the segments."""
    parts = []
    for index in range(data.draw(st.integers(1, 3))):
        seen = EvidenceCollector()
        for local_id in range(data.draw(st.integers(0, 4))):
            first = data.draw(st.integers(0, 40))
            length = data.draw(st.integers(1, 50 - first))
            x = 30.0 * data.draw(st.integers(0, 4))
            if data.draw(st.booleans()):
                seen.see_faces(local_id, first, faces(x, length))
                kind, box = "face", np.array([x, 20, x + 40, 60])
            else:
                seen.see_bodies(local_id, first, bodies(x + 20, length))
                kind, box = "body", np.array([x - 30, 10, x + 70, 300])
            for n in range(first, first + length):
                seen.see_seam("head", 50 * index + n, kind, local_id, box)  # type: ignore[arg-type]
                seen.see_seam("tail", 50 * index + n + 50, kind, local_id, box)  # type: ignore[arg-type]
        parts.append(evidence(seen, 50, index, 50 * index))
    found = join_persons(parts, PreprocessSpec())
    assert found == join_persons(parts[::-1], PreprocessSpec())
    assert [p.id for p in found] == list(range(len(found)))
    frames_of = {
        (part.index, str(t.kind), t.local_id): range(start, start + t.num_frames)
        for part in parts
        for t in part.tracks
        for start in [50 * part.index + t.first_frame]
    }
    for kind in ("face", "body"):
        owned = [(p.id, key) for p in found for key in (p.faces if kind == "face" else p.bodies)]
        assert len({key for _, key in owned}) == len(owned)
        frames = [(person, n) for person, (part, i) in owned for n in frames_of[part, kind, i]]
        assert len(set(frames)) == len(frames)
