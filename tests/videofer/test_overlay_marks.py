"""Marks in a picture: of a whole body, face and fingers are thin lines, the body's joints are dots."""

from __future__ import annotations

import numpy as np

from preprocessing.skeletons.layouts import WHOLEBODY133
from videofer.overlay.course import Course
from videofer.overlay.footage import Colours
from videofer.overlay.marks import Figure, Marks
from videofer.overlay.motion import Path, Whereabouts

FINE = frozenset(range(133)) - frozenset(WHOLEBODY133.core)


def drawn(seen: list[int], bones: tuple[tuple[int, int], ...] = WHOLEBODY133.bones) -> np.ndarray:
    """Luma of a grey picture after marking a body of which these joints are seen, each at its own place."""
    joints = np.zeros((1, 133, 3))
    joints[0, :, 0], joints[0, :, 1] = 20 + 40 * (np.arange(133) % 14), 20 + 40 * (np.arange(133) // 14)
    joints[0, seen, 2] = 0.9
    nowhere = Path(np.empty(0), np.empty((0, 4)))
    place = Whereabouts(nowhere, nowhere, Path(np.zeros(1), joints), bones, FINE, frame_seconds=1.0)
    course = Course(np.zeros(1), np.ones(1), np.ones((1, 1)), np.ones(1), ["anger"], ["ok"], ("anger",))
    planes = [np.full(shape, 128, np.uint8) for shape in ((480, 640), (240, 320), (240, 320))]
    Marks([Figure(0, "a", course, place)], 1.0, 1.0, Colours(6), skeleton=True).draw(planes, 0.0)
    return planes[0]


def test_fine_joints_have_no_dots() -> None:
    assert (drawn(sorted(FINE), bones=()) == 128).all()
    assert (drawn([0], bones=()) != 128).sum() > 20


def test_fine_bones_are_thinner() -> None:
    finger, arm = WHOLEBODY133.joints.index("left_thumb1"), WHOLEBODY133.joints.index("left_elbow")
    thin = (drawn([finger, finger + 1]) != 128).sum()
    thick = (drawn([arm, arm + 2], bones=((arm, arm + 2),)) != 128).sum()
    assert 0 < thin < 0.5 * thick


def test_nobody_s_fine_joints_leave_the_body_as_it_was() -> None:
    body = list(WHOLEBODY133.core)
    only_body = tuple(bone for bone in WHOLEBODY133.bones if not FINE & set(bone))
    np.testing.assert_array_equal(drawn(body), drawn(body, bones=only_body))
