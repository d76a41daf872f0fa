"""Boxes and scores of bodies, drawn from their joints."""

from __future__ import annotations

import numpy as np

from preprocessing.skeletons.layouts import Layout

SEEN_SCORE = 0.3
"""A joint below this score is taken for a guess: it neither bounds a body nor counts in its score."""
SHOULDERS = ("left_shoulder", "right_shoulder")
HIPS = ("left_hip", "right_hip")


def places(layout: Layout, parts: tuple[str, ...]) -> list[int]:
    """Where a layout has these joints; empty where it lacks one of them."""
    return [layout.place[part] for part in parts] if all(part in layout.place for part in parts) else []


def boxes_of_keypoints(keypoints: np.ndarray, layout: Layout, min_score: float = SEEN_SCORE) -> np.ndarray:
    """Boxes (N, 4) float32 about the seen core joints of (N, J, 3), widened as a person detector's are.

    NaN for a body without a seen joint.
    """
    joints = keypoints[:, list(layout.core)]
    seen = joints[..., 2] >= min_score  # (N, J)
    low = np.where(seen[..., None], joints[..., :2], np.inf).min(axis=1, initial=np.inf)
    high = np.where(seen[..., None], joints[..., :2], -np.inf).max(axis=1, initial=-np.inf)
    boxes = np.concatenate([low, high], axis=1)
    boxes[~seen.any(axis=1)] = np.nan
    size = boxes[:, 2:] - boxes[:, :2]
    margin = np.maximum(0.08 * size, 0.05 * size.max(axis=1, keepdims=True, initial=0)).clip(min=1)
    return np.concatenate([boxes[:, :2] - margin, boxes[:, 2:] + margin], axis=1).astype(np.float32)


def body_boxes(keypoints: np.ndarray, layout: Layout, picture_wh: tuple[int, int]) -> np.ndarray:
    """Boxes (N, 4) float32 of bodies (N, J, 3) within the picture, as a person detector draws them.

    Where the hips are not seen (a close-up) the body goes on below its lowest joint: a box about the head
    alone, followed from frame to frame, would shrink until the pose model lost the person. NaN for a
    body of which fewer than two core joints are seen.
    """
    boxes = boxes_of_keypoints(keypoints, layout)
    seen = keypoints[..., 2] >= SEEN_SCORE
    boxes[seen[:, list(layout.core)].sum(axis=1) < 2] = np.nan
    shoulders, hips, head = places(layout, SHOULDERS), places(layout, HIPS), list(layout.head)
    for row in np.flatnonzero(~seen[:, hips].any(axis=1)):
        has_shoulders = bool(shoulders) and seen[row, shoulders].all()
        part = shoulders if has_shoulders else head
        points = keypoints[row, part][seen[row, part], :2]
        if len(points) < 2:
            continue
        side, below = (0.4, 2.0) if has_shoulders else (2.2, 5.0)  # in widths of that part
        width = max(np.ptp(points[:, 0]), 1.0)
        reach = [points[:, 0].min() - side * width, points[:, 0].max() + side * width]
        boxes[row, [0, 2]] = min(boxes[row, 0], reach[0]), max(boxes[row, 2], reach[1])
        boxes[row, 3] = max(boxes[row, 3], points[:, 1].mean() + below * width)
    return boxes.clip(0, np.array(picture_wh * 2, np.float32))


def body_scores(keypoints: np.ndarray, layout: Layout, min_score: float = SEEN_SCORE) -> np.ndarray:
    """Scores (N,) float32 in [0, 1] of bodies (N, J, 3): mean of the seen core joints', 0 if none is seen."""
    scores = keypoints[:, list(layout.core), 2]
    seen = scores >= min_score
    total = np.where(seen, scores, 0).sum(axis=1)
    return np.asarray(total / np.maximum(seen.sum(axis=1), 1)).clip(0, 1).astype(np.float32)
