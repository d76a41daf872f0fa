"""Joint layouts: the names and order of COCO-17, its pairs and bones, and how OpenPose's joints map to it.

Left and right are the person's own.
"""

from __future__ import annotations

import numpy as np

COCO17_NAMES = (
    "nose",
    "left_eye",
    "right_eye",
    "left_ear",
    "right_ear",
    "left_shoulder",
    "right_shoulder",
    "left_elbow",
    "right_elbow",
    "left_wrist",
    "right_wrist",
    "left_hip",
    "right_hip",
    "left_knee",
    "right_knee",
    "left_ankle",
    "right_ankle",
)
NUM_JOINTS = len(COCO17_NAMES)
HEAD = [0, 1, 2, 3, 4]
SHOULDERS = [5, 6]
HIPS = [11, 12]

LEFT_RIGHT_PAIRS = ((1, 2), (3, 4), (5, 6), (7, 8), (9, 10), (11, 12), (13, 14), (15, 16))
FLIPPED_ORDER = (0, 2, 1, 4, 3, 6, 5, 8, 7, 10, 9, 12, 11, 14, 13, 16, 15)
"""Joint order after a left-right flip of the picture."""

BONES = (
    *((0, 1), (0, 2), (1, 3), (2, 4)),
    *((5, 6), (5, 7), (7, 9), (6, 8), (8, 10)),
    *((5, 11), (6, 12), (11, 12)),
    *((11, 13), (13, 15), (12, 14), (14, 16)),
)

LAYOUTS = {"coco17": COCO17_NAMES}

# Entry j is where OpenPose has COCO-17's joint j. Its neck, mid-hip and feet have no counterpart.
COCO17_FROM_BODY25 = (0, 16, 15, 18, 17, 5, 2, 6, 3, 7, 4, 12, 9, 13, 10, 14, 11)
COCO17_FROM_OPENPOSE18 = (0, 15, 14, 17, 16, 5, 2, 6, 3, 7, 4, 11, 8, 12, 9, 13, 10)

SEEN_SCORE = 0.3
"""A joint below this score is taken for a guess: it neither bounds a body nor counts in its score."""


def boxes_of_keypoints(keypoints: np.ndarray, min_score: float = SEEN_SCORE) -> np.ndarray:
    """Boxes (N, 4) float32 about the seen joints of (N, J, 3), widened as a person detector's are.

    NaN for a body without a seen joint.
    """
    seen = keypoints[..., 2] >= min_score  # (N, J)
    low = np.where(seen[..., None], keypoints[..., :2], np.inf).min(axis=1, initial=np.inf)
    high = np.where(seen[..., None], keypoints[..., :2], -np.inf).max(axis=1, initial=-np.inf)
    boxes = np.concatenate([low, high], axis=1)
    boxes[~seen.any(axis=1)] = np.nan
    size = boxes[:, 2:] - boxes[:, :2]
    margin = np.maximum(0.08 * size, 0.05 * size.max(axis=1, keepdims=True, initial=0)).clip(min=1)
    return np.concatenate([boxes[:, :2] - margin, boxes[:, 2:] + margin], axis=1).astype(np.float32)


def body_boxes(keypoints: np.ndarray, picture_wh: tuple[int, int]) -> np.ndarray:
    """Boxes (N, 4) float32 of the bodies (N, 17, 3) within the picture, as a person detector would draw them.

    Where the hips are not seen (a close-up) the body goes on below its lowest joint: a box about the head
    alone, followed from frame to frame, would shrink until the pose model lost the person. NaN for a
    body of which fewer than two joints are seen.
    """
    boxes = boxes_of_keypoints(keypoints)
    seen = keypoints[..., 2] >= SEEN_SCORE
    boxes[seen.sum(axis=1) < 2] = np.nan
    for row in np.flatnonzero(~seen[:, HIPS].any(axis=1)):
        part = SHOULDERS if seen[row, SHOULDERS].all() else HEAD
        points = keypoints[row, part][seen[row, part], :2]
        if len(points) < 2:
            continue
        side, below = (0.4, 2.0) if part is SHOULDERS else (2.2, 5.0)  # in widths of that part
        width = max(np.ptp(points[:, 0]), 1.0)
        reach = [points[:, 0].min() - side * width, points[:, 0].max() + side * width]
        boxes[row, [0, 2]] = min(boxes[row, 0], reach[0]), max(boxes[row, 2], reach[1])
        boxes[row, 3] = max(boxes[row, 3], points[:, 1].mean() + below * width)
    return boxes.clip(0, np.array(picture_wh * 2, np.float32))


def body_scores(keypoints: np.ndarray, min_score: float = SEEN_SCORE) -> np.ndarray:
    """Scores (N,) float32 in [0, 1] of bodies (N, J, 3): mean score of the seen joints, 0 if none is seen."""
    seen = keypoints[..., 2] >= min_score
    total = np.where(seen, keypoints[..., 2], 0).sum(axis=1)
    return np.asarray(total / np.maximum(seen.sum(axis=1), 1)).clip(0, 1).astype(np.float32)
