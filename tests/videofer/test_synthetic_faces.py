"""Faces and bodies: found by a detector, moved by every action, joints where the picture shows them."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import pytest

from videofer.synthetic.acting import body_poses, face_actions
from videofer.synthetic.body import CHANNEL, CHANNELS, Placement, solve
from videofer.synthetic.face import ACTION, ACTIONS, FaceRenderer
from videofer.synthetic.photo import CANVAS_WH, EYE_PIXELS, ORIGIN_XY, neutral_head
from videofer.synthetic.scene import Stage, draw_scene
from videofer.synthetic.script import LABELS, Script, draw_episode
from videofer.synthetic.subjects import build_head, draw_subject
from videofer.synthetic.takes import plan_takes


@pytest.fixture(scope="module")
def renderer() -> FaceRenderer:
    return FaceRenderer(draw_subject(3, 0))


def _canvas_region(u: tuple[float, float], v: tuple[float, float]) -> tuple[slice, slice]:
    rows = [round(value * EYE_PIXELS + ORIGIN_XY[1]) for value in v]
    columns = [round(value * EYE_PIXELS + ORIGIN_XY[0]) for value in u]
    return slice(*rows), slice(*columns)


def test_neutral_head_shows_no_teeth() -> None:
    head = neutral_head()
    mouth = head.rgb[_canvas_region((-0.30, 0.30), (0.88, 1.08))]
    assert head.rgb.shape == (CANVAS_WH[1], CANVAS_WH[0], 3)
    # The photographed smile has teeth: nearly as blue as red, where skin and lips are not.
    assert (mouth[..., 2] > 0.88 * mouth[..., 0]).mean() < 0.03
    assert head.skin[_canvas_region((-0.2, 0.2), (0.3, 0.5))].mean() > 0.95
    assert head.hair[_canvas_region((-0.2, 0.2), (-1.6, -1.2))].mean() > 0.95


@pytest.mark.parametrize("action", ACTIONS)
def test_each_action_changes_the_face_and_nothing_else(renderer: FaceRenderer, action: str) -> None:
    rest = renderer.render(np.zeros(len(ACTIONS))).astype(int)
    actions = np.zeros(len(ACTIONS))
    actions[ACTION[action]] = 1.0
    moved = renderer.render(actions).astype(int)
    change = np.abs(moved - rest)[..., :3].mean(axis=2)
    assert change.max() > 25
    assert change[:40].max() < 1  # the top of the head stays
    half = renderer.render(actions * 0.5).astype(int)
    assert 0 < np.abs(half - rest).mean() < np.abs(moved - rest).mean()


def test_open_mouth_is_dark_below_bright_teeth(renderer: FaceRenderer) -> None:
    actions = np.zeros(len(ACTIONS))
    actions[ACTION["mouth_open"]] = 1.0
    head = renderer.render(actions)[..., :3].astype(float).mean(axis=2)
    closed = renderer.render(np.zeros(len(ACTIONS)))[..., :3].astype(float).mean(axis=2)
    cavity = _canvas_region((-0.1, 0.1), (1.04, 1.14))
    teeth = _canvas_region((-0.1, 0.1), (0.88, 0.93))
    assert head[cavity].mean() < 0.6 * closed[cavity].mean()
    assert head[teeth].mean() > 1.2 * closed[teeth].mean()


def test_subjects_differ_and_are_deterministic() -> None:
    heads = [build_head(draw_subject(index, 0)).rgb for index in range(4)]
    for index, head in enumerate(heads):
        for other in heads[index + 1 :]:
            assert np.abs(head - other).mean() > 4
    assert np.array_equal(heads[0], build_head(draw_subject(0, 0)).rgb)
    assert draw_subject(0, 1) != draw_subject(0, 0)


def test_joints_of_the_rest_pose_are_symmetric_and_in_coco_order() -> None:
    joints = solve(np.zeros(len(CHANNELS)), Placement(100, 80, 20)).coco17()
    assert joints.shape == (17, 2)
    for left, right in ((1, 2), (3, 4), (5, 6), (7, 8), (9, 10), (11, 12), (13, 14), (15, 16)):
        assert joints[left, 0] > joints[right, 0]  # the person's left is at the image's right
        assert joints[left, 0] + joints[right, 0] == pytest.approx(200)
        assert joints[left, 1] == pytest.approx(joints[right, 1])
    order = joints[[1, 0, 5, 7, 9]][:, 1]
    assert np.all(np.diff(order) > 0)  # eye, nose, shoulder, elbow, wrist hang in this order


def test_a_raised_arm_raises_only_its_own_wrist() -> None:
    pose = np.zeros(len(CHANNELS))
    place = Placement(100, 80, 20)
    rest = solve(pose, place)
    pose[[CHANNEL["upper_1"], CHANNEL["fore_1"]]] = 150, 180
    raised = solve(pose, place)
    assert raised.wrists[1, 1] < raised.shoulders[1, 1]
    assert np.array_equal(raised.wrists[0], rest.wrists[0])


def test_the_picture_of_the_face_never_shows_the_arms() -> None:
    """Else a face model could read the gesture, and the ceilings of the modalities would not hold."""
    for take in plan_takes(num_subjects=5, takes_per_class=2, seed=3):
        t = np.arange(take.num_frames) / take.fps
        poses = body_poses(take.script, take.subject, t)
        for index in range(0, len(t), 3):
            joints = solve(poses[index], Placement(take.scene.x, take.scene.y, take.scene.scale))
            linear, offset = joints.head_affine[:, :2], joints.head_affine[:, 2]
            hands = joints.wrists + 0.55 * joints.scale * joints.hands
            for points in (joints.elbows, joints.wrists, hands):
                u, v = np.linalg.inv(linear) @ (points - offset).T
                # An aligned crop spans about 1.6 eye distances to each side and 1.75 below the eyes.
                assert np.all((np.abs(u) > 1.75) | (v > 1.75)), (take.path, t[index])


@pytest.fixture
def one_torch_thread() -> Iterator[None]:
    """Many threads on tiny pictures only wait for each other."""
    import torch

    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


@pytest.mark.usefixtures("one_torch_thread")
def test_the_detector_that_is_always_there_finds_the_faces() -> None:
    from facenet_pytorch import MTCNN

    detector = MTCNN(keep_all=True)
    found = 0
    for index, label in enumerate(LABELS):
        subject = draw_subject(index, 0)
        rng = np.random.default_rng(index)
        episodes = () if label == "neutral" else (draw_episode(label, 0.2, 2.4, rng),)
        script = Script(duration=2.6, episodes=episodes, seed=index)
        t = np.array([1.0])
        stage = Stage(subject, draw_scene((320, 384), rng, rng), FaceRenderer(subject), t)
        joints = stage.joints(body_poses(script, subject, t))[0]
        picture = stage.draw(0, joints, face_actions(script, t)[0])
        boxes, scores, landmarks = detector.detect(picture, landmarks=True)
        assert boxes is not None and len(boxes) == 1 and scores[0] > 0.9, label
        eyes = joints.coco17()[[2, 1]]
        assert np.abs(landmarks[0][:2] - eyes).max() < 8
        found += 80 <= boxes[0][2] - boxes[0][0] <= 120
    assert found >= 6
