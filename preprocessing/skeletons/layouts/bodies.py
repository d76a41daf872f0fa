"""Layouts of pose models: COCO, Halpe, OpenPose, MediaPipe."""

from __future__ import annotations

from preprocessing.skeletons.layouts.layout import both_sides, make_layout

COCO_JOINTS = """nose left_eye right_eye left_ear right_ear
    left_shoulder right_shoulder left_elbow right_elbow left_wrist right_wrist
    left_hip right_hip left_knee right_knee left_ankle right_ankle"""
COCO_CHAINS = (
    *both_sides(["nose left_eye left_ear", "left_shoulder left_elbow left_wrist"]),
    *both_sides(["left_shoulder left_hip left_knee left_ankle"]),
    "left_shoulder right_shoulder",
    "left_hip right_hip",
)
COCO_HEAD = "nose left_eye right_eye left_ear right_ear"
FOOT_CHAINS = both_sides(["left_ankle left_big_toe", "left_ankle left_small_toe", "left_ankle left_heel"])

# Lin et al., "Microsoft COCO: Common Objects in Context", ECCV 2014; keypoints of 2016.
COCO17 = make_layout("coco17", COCO_JOINTS, COCO_CHAINS, head=COCO_HEAD)

# Fang et al., "AlphaPose: Whole-Body Regional Multi-Person Pose Estimation and Tracking in Real-Time",
# TPAMI 2022: the body of Halpe. `head` is the top of the head.
HALPE26 = make_layout(
    "halpe26",
    f"""{COCO_JOINTS} head neck hip
    left_big_toe right_big_toe left_small_toe right_small_toe left_heel right_heel""",
    (
        *both_sides(["nose left_eye left_ear", "neck left_shoulder left_elbow left_wrist"]),
        *both_sides(["hip left_hip left_knee left_ankle"]),
        "head neck hip",
        *FOOT_CHAINS,
    ),
    head=COCO_HEAD,
    anatomy={"head": "head_top", "hip": "mid_hip"},
)

# Cao et al., "OpenPose: Realtime Multi-Person 2D Pose Estimation using Part Affinity Fields", TPAMI 2021.
# The neck is trained as the middle of the shoulders, the middle of the hips as that of the hips.
_OPENPOSE_HEAD = "nose right_eye left_eye right_ear left_ear"
_OPENPOSE_CHAINS = (
    *both_sides(["nose left_eye left_ear", "neck left_shoulder left_elbow left_wrist"]),
    "neck nose",
)
OPENPOSE18 = make_layout(
    "openpose18",
    """nose neck right_shoulder right_elbow right_wrist left_shoulder left_elbow left_wrist
    right_hip right_knee right_ankle left_hip left_knee left_ankle
    right_eye left_eye right_ear left_ear""",
    (*_OPENPOSE_CHAINS, *both_sides(["neck left_hip left_knee left_ankle"])),
    head=_OPENPOSE_HEAD,
)
OPENPOSE25 = make_layout(
    "openpose25",
    """nose neck right_shoulder right_elbow right_wrist left_shoulder left_elbow left_wrist mid_hip
    right_hip right_knee right_ankle left_hip left_knee left_ankle
    right_eye left_eye right_ear left_ear
    left_big_toe left_small_toe left_heel right_big_toe right_small_toe right_heel""",
    (
        *_OPENPOSE_CHAINS,
        "neck mid_hip",
        *both_sides(["mid_hip left_hip left_knee left_ankle"]),
        *FOOT_CHAINS,
    ),
    head=_OPENPOSE_HEAD,
)

# Bazarevsky et al., "BlazePose: On-device Real-time Body Pose Tracking", 2020. Of a hand it has the knuckles
# of index and little finger and the second of the thumb; the foot's index is the tip of the big toe.
MEDIAPIPE33 = make_layout(
    "mediapipe33",
    """nose left_eye_inner left_eye left_eye_outer right_eye_inner right_eye right_eye_outer
    left_ear right_ear mouth_left mouth_right left_shoulder right_shoulder left_elbow right_elbow
    left_wrist right_wrist left_pinky right_pinky left_index right_index left_thumb right_thumb
    left_hip right_hip left_knee right_knee left_ankle right_ankle
    left_heel right_heel left_foot_index right_foot_index""",
    (
        *both_sides(
            [
                "nose left_eye_inner left_eye left_eye_outer left_ear",
                "left_shoulder left_elbow left_wrist left_pinky left_index left_wrist left_thumb",
                "left_shoulder left_hip left_knee left_ankle left_heel left_foot_index left_ankle",
            ]
        ),
        "mouth_left mouth_right",
        "left_shoulder right_shoulder",
        "left_hip right_hip",
    ),
    head=COCO_HEAD,
    anatomy={
        "mouth_left": "left_face_48",
        "mouth_right": "right_face_48",
        "left_eye_inner": "left_face_39",
        "left_eye_outer": "left_face_36",
        "right_eye_inner": "right_face_39",
        "right_eye_outer": "right_face_36",
        "left_pinky": "left_pinky_finger1",
        "right_pinky": "right_pinky_finger1",
        "left_index": "left_forefinger1",
        "right_index": "right_forefinger1",
        "left_thumb": "left_thumb2",
        "right_thumb": "right_thumb2",
        "left_foot_index": "left_big_toe",
        "right_foot_index": "right_big_toe",
    },
)
