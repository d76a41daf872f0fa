"""Joint layouts: names, order, bones and mirror images, and how OpenPose's joints map to COCO-17.

Left and right are the person's own.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np


@dataclass(frozen=True)
class Layout:
    """The joints of a skeleton, in the order in which they are stored."""

    name: str
    joints: tuple[str, ...]
    left_right_pairs: tuple[tuple[int, int], ...]
    bones: tuple[tuple[int, int], ...]
    head: tuple[int, ...]
    """Joints that lie in the box of the same person's face."""

    @property
    def num_joints(self) -> int:
        return len(self.joints)

    @cached_property
    def mirrored(self) -> tuple[int, ...]:
        """Entry j is the joint that stands at joint j's place after a left-right flip of the picture."""
        twin = {a: b for pair in self.left_right_pairs for a, b in (pair, pair[::-1])}
        return tuple(twin.get(joint, joint) for joint in range(self.num_joints))


# fmt: off
COCO17 = Layout(
    name="coco17",
    joints=(
        "nose", "left_eye", "right_eye", "left_ear", "right_ear",
        "left_shoulder", "right_shoulder", "left_elbow", "right_elbow", "left_wrist", "right_wrist",
        "left_hip", "right_hip", "left_knee", "right_knee", "left_ankle", "right_ankle",
    ),
    left_right_pairs=((1, 2), (3, 4), (5, 6), (7, 8), (9, 10), (11, 12), (13, 14), (15, 16)),
    bones=(
        (0, 1), (0, 2), (1, 3), (2, 4),
        (5, 6), (5, 7), (7, 9), (6, 8), (8, 10),
        (5, 11), (6, 12), (11, 12),
        (11, 13), (13, 15), (12, 14), (14, 16),
    ),
    head=(0, 1, 2, 3, 4),
)

# The skeleton of Bandai-Namco-Research-Motiondataset-1, with its own names. `joint_Root` is the rig's handle
# on the floor and no part of the body: no bone leads to it.
BANDAI22 = Layout(
    name="bandai22",
    joints=(
        "joint_Root", "Hips", "Spine", "Chest", "Neck", "Head",
        "Shoulder_L", "UpperArm_L", "LowerArm_L", "Hand_L",
        "Shoulder_R", "UpperArm_R", "LowerArm_R", "Hand_R",
        "UpperLeg_L", "LowerLeg_L", "Foot_L", "Toes_L",
        "UpperLeg_R", "LowerLeg_R", "Foot_R", "Toes_R",
    ),
    left_right_pairs=((6, 10), (7, 11), (8, 12), (9, 13), (14, 18), (15, 19), (16, 20), (17, 21)),
    bones=(
        (1, 2), (2, 3), (3, 4), (4, 5),
        (3, 6), (6, 7), (7, 8), (8, 9), (3, 10), (10, 11), (11, 12), (12, 13),
        (1, 14), (14, 15), (15, 16), (16, 17), (1, 18), (18, 19), (19, 20), (20, 21),
    ),
    head=(4, 5),
)
# fmt: on

LAYOUTS = {layout.name: layout for layout in (COCO17, BANDAI22)}

SHOULDERS = [5, 6]  # of COCO-17
HIPS = [11, 12]

# Entry j is where OpenPose has COCO-17's joint j. Its neck, mid-hip and feet have no counterpart.
COCO17_FROM_BODY25 = (0, 16, 15, 18, 17, 5, 2, 6, 3, 7, 4, 12, 9, 13, 10, 14, 11)
COCO17_FROM_OPENPOSE18 = (0, 15, 14, 17, 16, 5, 2, 6, 3, 7, 4, 11, 8, 12, 9, 13, 10)

SEEN_SCORE = 0.3
"""A joint below this score is taken for a guess: it neither bounds a body nor counts in its score."""


def mirror_order(layout: str) -> tuple[int, ...] | None:
    """Order in which a layout's joints stand in the mirror: `keypoints[:, mirror_order(layout)]`.

    `layout` is the `skeleton` of a store's contract; None where it names no known layout ("none").
    """
    return LAYOUTS[layout].mirrored if layout in LAYOUTS else None


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
    """Boxes (N, 4) float32 of COCO-17 bodies (N, 17, 3) within the picture, as a person detector draws them.

    Where the hips are not seen (a close-up) the body goes on below its lowest joint: a box about the head
    alone, followed from frame to frame, would shrink until the pose model lost the person. NaN for a
    body of which fewer than two joints are seen.
    """
    boxes = boxes_of_keypoints(keypoints)
    seen = keypoints[..., 2] >= SEEN_SCORE
    boxes[seen.sum(axis=1) < 2] = np.nan
    for row in np.flatnonzero(~seen[:, HIPS].any(axis=1)):
        has_shoulders = seen[row, SHOULDERS].all()
        part = SHOULDERS if has_shoulders else list(COCO17.head)
        points = keypoints[row, part][seen[row, part], :2]
        if len(points) < 2:
            continue
        side, below = (0.4, 2.0) if has_shoulders else (2.2, 5.0)  # in widths of that part
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
