"""Head pose and open eyes from landmarks: known turns, an independent fit, and real faces in a mirror."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from cache.reader import StoreReader
from cache.schema import State
from preprocessing import faces
from preprocessing.face_measures import _MEAN_68, _MEAN_FIVE, _RIGID_68, eyes_open, head_pose, measures_of
from preprocessing.landmarks.layouts import MIRRORED_68
from tests.cache.parts import make_faces, make_store, stored_video
from tests.preprocessing.test_faces import footage

ANGLE = st.floats(-40, 40)


def turned(mean: np.ndarray, yaw: float, pitch: float, roll: float) -> np.ndarray:
    """The model (P, 3) pitched up, turned to the right, tilted clockwise, by OpenCV's rotation vectors."""
    for vector in ((-pitch, 0, 0), (0, -yaw, 0), (0, 0, roll)):
        mean = mean @ cv2.Rodrigues(np.radians(np.array(vector, np.float64)))[0].T
    return mean


def as_68(rigid_xy: np.ndarray) -> np.ndarray:
    """(1, 68, 2) with these points; the others, which the pose does not use, anywhere."""
    points = np.full((1, 68, 2), 3.0)
    points[0, _RIGID_68] = rigid_xy
    return points


@given(yaw=ANGLE, pitch=ANGLE, roll=st.floats(-170, 170), scale=st.floats(5, 500), x=st.floats(-900, 900))
def test_a_known_turn_is_found(yaw: float, pitch: float, roll: float, scale: float, x: float) -> None:
    five = scale * turned(_MEAN_FIVE, yaw, pitch, roll)[None, :, :2] + [x, 2 * x]
    np.testing.assert_allclose(head_pose(five)[0], [yaw, pitch, roll], atol=0.05)
    dense = as_68(scale * turned(_MEAN_68, yaw, pitch, roll)[:, :2] + [x, 2 * x])
    np.testing.assert_allclose(head_pose(dense, "ibug68")[0], [yaw, pitch, roll], atol=0.05)


@pytest.mark.parametrize(
    ("yaw", "pitch", "roll"), [(0, 0, 0), (30, 0, 0), (0, 20, 0), (0, 0, 25), (-35, 15, 10), (20, -25, -30)]
)
def test_a_camera_close_by_changes_little(yaw: float, pitch: float, roll: float) -> None:
    """A face that fills a third of a picture of usual width is some 13 distances of the eyes away."""
    model = turned(_MEAN_68, yaw, pitch, roll)
    seen = 500 * model[:, :2] / (1 + model[:, 2:] / 13)
    np.testing.assert_allclose(head_pose(as_68(seen), "ibug68")[0], [yaw, pitch, roll], atol=5)


@given(seed=st.integers(0, 1000), yaw=ANGLE, pitch=ANGLE)
def test_the_fit_is_that_of_opencv_with_a_camera_far_away(seed: int, yaw: float, pitch: float) -> None:
    noise = np.random.default_rng(seed).normal(0, 0.01, (13, 2))
    seen = 100 * (turned(_MEAN_68, yaw, pitch, 0)[:, :2] + noise)
    camera = np.diag([1e5, 1e5, 1.0])
    turn, place = cv2.Rodrigues(turned(np.eye(3), yaw, pitch, 0).T)[0], np.array([[0.0], [0.0], [1000.0]])
    _, vector, _ = cv2.solvePnP(_MEAN_68, seen, camera, None, turn, place, useExtrinsicGuess=True)
    rotation = np.asarray(cv2.Rodrigues(np.asarray(vector))[0])
    expected_yaw = np.degrees(np.arcsin(rotation[2, 0]))
    expected_pitch = -np.degrees(np.arctan2(rotation[2, 1], rotation[2, 2]))
    found = head_pose(as_68(seen), "ibug68")[0]
    np.testing.assert_allclose(found[:2], [expected_yaw, expected_pitch], atol=0.3)


@given(seed=st.integers(0, 1000))
def test_the_mirror_image_looks_the_other_way(seed: int) -> None:
    points = np.random.default_rng(seed).normal(0, 3, (4, 68, 2)) + as_68(50 * _MEAN_68[:, :2])
    mirrored = (points * [-1, 1])[:, MIRRORED_68]
    there, back = head_pose(points, "ibug68"), head_pose(mirrored, "ibug68")
    np.testing.assert_allclose(back, there * [-1, 1, -1], atol=0.05)
    ratio = eyes_open(points, "ibug68")
    np.testing.assert_allclose(eyes_open(mirrored, "ibug68"), ratio[:, ::-1], rtol=1e-5)


def test_frames_do_not_matter_to_each_other_and_missing_ones_are_nan() -> None:
    five = np.stack([100 * turned(_MEAN_FIVE, yaw, 5, 0)[:, :2] for yaw in (0, 10, 20, 30)]).astype(
        np.float32
    )
    five[1, 4, 0] = np.nan
    five[2] = 7.0
    found = head_pose(five)
    assert found.dtype == np.float32
    np.testing.assert_array_equal(np.isnan(found).all(axis=1), [False, True, True, False])
    np.testing.assert_array_equal(found[3], head_pose(five[3:])[0])
    assert head_pose(np.zeros((0, 5, 2))).shape == (0, 3)
    assert np.isnan(head_pose(np.full((3, 68, 2), np.nan), "ibug68")).all()


def test_an_eye_is_as_open_as_it_is_high() -> None:
    points = np.zeros((3, 68, 2))
    points[:, 36:42] = [[0, 0], [1, -1], [3, -1], [4, 0], [3, 1], [1, 1]]  # 4 wide, 2 high
    points[:, 42:48] = points[:, 36:42] * [1, 0.2]  # 4 wide, 0.4 high
    points[1, 36:42] *= [[100, 100]]
    points[2, 40] = np.nan
    found = eyes_open(points, "ibug68")
    np.testing.assert_allclose(found[:2], [[0.5, 0.1], [0.5, 0.1]], rtol=1e-6)
    assert np.isnan(found[2, 0])
    assert found[2, 1] == pytest.approx(0.1)
    assert np.isnan(eyes_open(np.zeros((1, 68, 2)), "ibug68")).all()


def test_an_unknown_layout_is_refused() -> None:
    for measure in (head_pose, eyes_open):
        with pytest.raises(ValueError, match="unknown landmark layout 'kinect'"):
            measure(np.zeros((1, 68, 2)), "kinect")


def test_real_faces_in_a_mirror(shared_data: Path, shared_weights: Path) -> None:
    detector = faces.build(faces.resolve("mtcnn"))
    for picture in footage(shared_data / "videos" / "neutral_to_smile.mp4", 320, 30):
        there = head_pose(detector.detect([picture])[0].landmarks_xy[:1])[0]
        back = head_pose(detector.detect([np.ascontiguousarray(picture[:, ::-1])])[0].landmarks_xy[:1])[0]
        assert (np.abs(back - there * [-1, 1, -1]) < [6, 12, 4]).all()
        assert np.abs(there).max() < 20  # she looks into the camera


def test_tracks_have_measures_by_the_best_landmarks_they_have(tmp_path: Path) -> None:
    """Also tracks of stores that were written before there were such measures: nothing is stored for them."""
    states = [int(state) for state in (State.OK, State.ABSENT, State.OK, State.OK)]
    block = make_faces(np.random.default_rng(0), states, 68)
    block.landmarks_xy[:] = 80 * turned(_MEAN_FIVE, 20, 0, 0)[:, :2]
    block.landmarks_xy[1] = block.dense_landmarks[1] = np.nan  # type: ignore[index]
    block.dense_landmarks[[0, 3]] = as_68(80 * turned(_MEAN_68, -10, 5, 3)[:, :2])  # type: ignore[index]
    block.dense_landmarks[2] = np.nan  # type: ignore[index]  # the mesh saw no face there
    store = make_store(tmp_path / "store")
    stored_video(store, "a" * 64, block)
    track = StoreReader(store.path).track("a" * 64, 0)
    found = measures_of(replace(track, landmark_layout="ibug68"))
    np.testing.assert_allclose(found.head_pose[[0, 3]], [[-10, 5, 3]] * 2, atol=0.1)
    np.testing.assert_allclose(found.head_pose[2], [20, 0, 0], atol=0.1)
    assert np.isnan(found.head_pose[1]).all()
    assert found.eyes_open.shape == (4, 2)
    by_five = measures_of(replace(track, landmark_layout=""))
    np.testing.assert_allclose(by_five.head_pose[[0, 2, 3]], [[20, 0, 0]] * 3, atol=0.1)
    assert np.isnan(by_five.eyes_open).all()
