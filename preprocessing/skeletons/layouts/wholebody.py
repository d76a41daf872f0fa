"""Bodies with hands: COCO-WholeBody, and OpenPose's body with its two hands.

Jin et al., "Whole-Body Human Pose Estimation in the Wild", ECCV 2020: body, feet, 68 points of the face and
21 of each hand. Names and order are the data set's, as mmpose has them. The hands of both are in one order,
that of Simon et al., "Hand Keypoint Detection in Single Images using Multiview Bootstrapping", CVPR 2017.
"""

from __future__ import annotations

from itertools import pairwise

from preprocessing.landmarks.layouts import IBUG68, LEFT_RIGHT_PAIRS_68
from preprocessing.skeletons.layouts.bodies import (
    COCO_CHAINS,
    COCO_HEAD,
    COCO_JOINTS,
    FOOT_CHAINS,
    OPENPOSE25,
)
from preprocessing.skeletons.layouts.layout import make_layout

FEET = "left_big_toe left_small_toe left_heel right_big_toe right_small_toe right_heel"
FACE = [f"face-{point}" for point in range(IBUG68.num_points)]
FINGERS = ("thumb", "forefinger", "middle_finger", "ring_finger", "pinky_finger")


def _face_anatomy() -> dict[str, str]:
    """Both points of a pair are called after the right one's number: they are twins."""
    words = {f"face-{point}": f"face_{point}" for point in range(IBUG68.num_points)}
    for left, right in LEFT_RIGHT_PAIRS_68:
        words[f"face-{left}"], words[f"face-{right}"] = f"left_face_{right}", f"right_face_{right}"
    return words


def _face_chains() -> list[str]:
    chains = []
    for name, line in IBUG68.lines.items():
        closed = (*line, line[0]) if name in IBUG68.closed else line
        chains.append(" ".join(f"face-{point}" for point in closed))
    return chains


def _hand_joints(side: str) -> list[str]:
    """The wrist of the hand, then each finger from its root to its tip."""
    fingers = [f"{side}_{finger}{knuckle}" for finger in FINGERS for knuckle in range(1, 5)]
    return [f"{side}_hand_root", *fingers]


def _hand_chains(side: str) -> list[str]:
    root, *fingers = _hand_joints(side)
    starts = [*range(0, len(fingers), 4), len(fingers)]
    return [f"{side}_wrist {root}", *(" ".join([root, *fingers[a:b]]) for a, b in pairwise(starts))]


WHOLEBODY133 = make_layout(
    "wholebody133",
    " ".join([COCO_JOINTS, FEET, *FACE, *_hand_joints("left"), *_hand_joints("right")]),
    (*COCO_CHAINS, *FOOT_CHAINS, *_face_chains(), *_hand_chains("left"), *_hand_chains("right")),
    head=COCO_HEAD,
    core=f"{COCO_JOINTS} {FEET}",
    anatomy=_face_anatomy(),
)

# OpenPose's three arrays of a person, end to end: pose, left hand, right hand.
OPENPOSE67 = make_layout(
    "openpose67",
    " ".join([*OPENPOSE25.joints, *_hand_joints("left"), *_hand_joints("right")]),
    (
        *(f"{OPENPOSE25.joints[a]} {OPENPOSE25.joints[b]}" for a, b in OPENPOSE25.bones),
        *_hand_chains("left"),
        *_hand_chains("right"),
    ),
    head=COCO_HEAD,
    core=" ".join(OPENPOSE25.joints),
)
