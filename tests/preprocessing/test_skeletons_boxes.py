"""Boxes and scores of bodies, for COCO's joints and for layouts with face and fingers."""

from __future__ import annotations

import numpy as np

from preprocessing.skeletons.boxes import body_boxes, body_scores, boxes_of_keypoints
from preprocessing.skeletons.layouts import BANDAI22, COCO17, EMILYA28, OPENPOSE25, WHOLEBODY133, mapping


def test_boxes_hold_the_seen_joints_only() -> None:
    keypoints = np.zeros((3, 17, 3), np.float32)
    keypoints[0, :3] = [[10, 10, 0.9], [110, 60, 0.8], [900, 900, 0.1]]
    keypoints[1, 5] = [40, 50, 0.5]
    boxes = boxes_of_keypoints(keypoints, COCO17)
    np.testing.assert_allclose(boxes[0], [2, 5, 118, 65])
    np.testing.assert_allclose(boxes[1], [39, 49, 41, 51])
    assert np.isnan(boxes[2]).all()
    np.testing.assert_allclose(body_scores(keypoints, COCO17), [0.85, 0.5, 0])
    assert boxes_of_keypoints(keypoints[:0], COCO17).shape == (0, 4)


def close_up() -> np.ndarray:
    """(1, 17, 3): a head in a picture of 640x360, nothing else seen."""
    head = np.zeros((1, 17, 3), np.float32)
    head[0, :5] = [[300, 100, 0.9], [320, 90, 0.9], [280, 90, 0.9], [340, 95, 0.9], [260, 95, 0.9]]
    return head


def test_box_of_a_close_up_reaches_below_the_head() -> None:
    head = close_up()
    (box,) = body_boxes(head, COCO17, (640, 360))
    assert box[3] == 360
    assert 0 < box[0] < 200
    assert 400 < box[2] < 640
    whole = head.copy()
    whole[0, 11:13] = [[310, 250, 0.9], [290, 250, 0.9]]
    np.testing.assert_array_equal(body_boxes(whole, COCO17, (640, 360)), boxes_of_keypoints(whole, COCO17))
    assert np.isnan(body_boxes(head * 0, COCO17, (640, 360))).all()


def test_the_box_is_the_same_in_other_layouts() -> None:
    head = close_up()
    expected = body_boxes(head, COCO17, (640, 360))
    for layout in (OPENPOSE25, WHOLEBODY133):
        other = np.nan_to_num(mapping(COCO17, layout)(head))
        np.testing.assert_array_equal(body_boxes(other, layout, (640, 360)), expected)
    rig = np.zeros((1, 22, 3), np.float32)
    rig[0, [4, 5]] = [[300, 100, 0.9], [300, 80, 0.9]]  # no eyes, no ears: neck and head stand for them
    assert np.isfinite(body_boxes(rig, BANDAI22, (640, 360))).all()
    nameless = np.zeros((1, 28, 3), np.float32)
    nameless[0, :2] = [[300, 100, 0.9], [320, 80, 0.9]]
    np.testing.assert_array_equal(
        body_boxes(nameless, EMILYA28, (640, 360)), boxes_of_keypoints(nameless, EMILYA28)
    )


def test_face_and_fingers_neither_bound_nor_judge_a_body() -> None:
    keypoints = np.zeros((1, 133, 3), np.float32)
    keypoints[0, [0, 5, 6, 11, 12]] = [
        [100, 20, 0.8], [80, 60, 0.8], [120, 60, 0.8], [85, 160, 0.8], [115, 160, 0.8]
    ]  # fmt: skip
    before = boxes_of_keypoints(keypoints, WHOLEBODY133)
    keypoints[0, 23:] = [900, 900, 0.35]  # a guess of all points of the face and of both hands
    np.testing.assert_array_equal(boxes_of_keypoints(keypoints, WHOLEBODY133), before)
    np.testing.assert_allclose(body_scores(keypoints, WHOLEBODY133), [0.8])
    only_hands = keypoints.copy()
    only_hands[0, :23] = 0
    assert np.isnan(body_boxes(only_hands, WHOLEBODY133, (640, 480))).all()
    assert body_scores(only_hands, WHOLEBODY133) == 0
