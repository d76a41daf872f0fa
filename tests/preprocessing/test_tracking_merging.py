"""Fragments of one person: merged by looks, not where two are there at once or where two may be meant."""

from __future__ import annotations

import numpy as np
import pytest

from cache.schema import PersonRecord
from preprocessing.spec import PreprocessSpec
from preprocessing.tracking.appearance import Look, Looks
from preprocessing.tracking.collector import EvidenceCollector
from preprocessing.tracking.motion import Motion
from preprocessing.tracking.persons import join_persons
from tests.preprocessing.test_tracking_persons import bodies, evidence, faces

NOTHING = np.empty(0, np.float32)


def looks(angle: float | None, face_angle: float | None = None) -> Looks:
    """Clothing (and face) as a direction in the plane, in degrees: 20 are a difference of 1."""
    found = Looks()

    def vector(degrees: float | None) -> np.ndarray:
        if degrees is None:
            return NOTHING
        return np.array([np.cos(np.deg2rad(degrees)), np.sin(np.deg2rad(degrees))], np.float32)

    found.add(Look(vector(angle), vector(face_angle)), 0.0)
    return found


def named(
    *fragments: tuple[int, int, Looks], kind: str = "face", num_frames: int = 1000, **spec: object
) -> list[PersonRecord]:
    """Persons of fragments (first frame, frames, looks)."""
    seen = EvidenceCollector()
    for local_id, (first, length, look) in enumerate(fragments):
        if kind == "face":
            seen.see_faces(local_id, first, faces(50.0 * local_id, length, score=0.9))
        else:
            seen.see_bodies(local_id, first, bodies(200.0 * local_id, length))
        seen.describe(kind, local_id, look)  # type: ignore[arg-type]
    return join_persons([evidence(seen, num_frames)], PreprocessSpec(**spec))  # type: ignore[arg-type]


def test_fragments_of_one_person_are_merged() -> None:
    parts = (0, 100, looks(0, 0)), (200, 100, looks(8, 5)), (500, 50, looks(3, 9))
    (person,) = named(*parts)
    assert person.faces == [(0, 0), (0, 1), (0, 2)] and person.num_frames == 550
    assert person.face_states == {"ok": 250, "absent": 300}
    assert len(named(*parts, appearance="none")) == 3


def test_two_who_are_there_at_once_are_two() -> None:
    assert len(named((0, 100, looks(0, 0)), (99, 100, looks(0, 0)))) == 2


def test_those_who_look_different_are_two() -> None:
    assert len(named((0, 100, looks(0, 0)), (200, 100, looks(60, 60)))) == 2
    assert len(named((0, 100, looks(None)), (200, 100, looks(None)))) == 2


def test_who_looks_like_two_others_is_neither() -> None:
    """Twins are in the picture together; one of them came alone before: nobody knows which."""
    twins = (0, 100, looks(0, 0)), (200, 100, looks(1, 1)), (200, 100, looks(2, 2))
    assert len(named(*twins)) == 3
    apart = (0, 100, looks(0, 0)), (200, 100, looks(1, 1)), (200, 100, looks(60, 60))
    assert [p.faces for p in named(*apart)] == [[(0, 0), (0, 1)], [(0, 2)]]


def test_clothes_alone_are_believed_for_a_short_time_only() -> None:
    """Bodies from behind: somebody else in such a coat will come."""
    assert len(named((0, 100, looks(0)), (150, 100, looks(5)), kind="body")) == 1
    assert len(named((0, 100, looks(0)), (600, 100, looks(5)), kind="body")) == 2
    assert len(named((0, 100, looks(0)), (150, 100, looks(25)), kind="body")) == 2


def test_confidence_is_the_score_times_the_certainty_of_the_weakest_join() -> None:
    (whole,) = named((0, 100, looks(0, 0)))
    (same,) = named((0, 100, looks(0, 0)), (200, 100, looks(0, 0)))
    (alike,) = named((0, 100, looks(0, 0)), (200, 100, looks(15, 15)))
    assert whole.confidence == pytest.approx(0.9, abs=1e-3) == same.confidence
    assert 0.5 < alike.confidence < 0.89


def test_the_main_people_are_those_longest_and_largest_in_view() -> None:
    crowd = (0, 50, looks(0, 0)), (0, 400, looks(90, 90)), (450, 200, looks(45, 45))
    assert [p.faces for p in named(*crowd, people="main")] == [[(0, 1)]]
    assert [p.faces for p in named(*crowd, people="2")] == [[(0, 1)], [(0, 2)]]
    assert [p.id for p in named(*crowd, people="9")] == [0, 1, 2]


@pytest.mark.parametrize("people", ["0", "-1", "some", "1.5"])
def test_other_numbers_of_people_are_refused(people: str) -> None:
    with pytest.raises(ValueError, match="is not one of all, main, a number from 1"):
        PreprocessSpec(people=people)
    assert PreprocessSpec(people=2).people == "2"  # type: ignore[arg-type]


# --- motion --------------------------------------------------------------------------------------


def test_steady_motion_is_expected_to_go_on_and_to_end() -> None:
    motion = Motion(np.array([0.0, 0, 40, 40]), 0.0)
    assert motion.expected(1.0).tolist() == [0, 0, 40, 40], "nothing is known of its motion yet"
    for n in range(1, 10):
        motion.see(np.array([0.0, 0, 40, 40]) + 10 * n * np.array([1, 0, 1, 0]), 0.1 * n)
    assert motion.velocity == pytest.approx([100, 0])
    assert motion.expected(1.0)[0] == pytest.approx(100, abs=1.5)
    assert motion.expected(60.0)[0] == pytest.approx(140, abs=1), "nobody walks on unseen for ever"
    motion.see(np.array([300.0, 0, 340, 40]), 5.0, broken=True)
    assert motion.velocity.tolist() == [0, 0]
