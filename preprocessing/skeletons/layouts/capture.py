"""Layouts of depth cameras and of motion capture."""

from __future__ import annotations

from preprocessing.skeletons.layouts.layout import Layout, make_layout

_KINECT_LIMBS = {
    "Shoulder": "shoulder",
    "Elbow": "elbow",
    "Wrist": "wrist",
    "Hand": "hand",
    "HandTip": "middle_finger4",
    "Thumb": "thumb4",
    "Hip": "hip",
    "Knee": "knee",
    "Ankle": "ankle",
    "Foot": "toes",
}

# Kinect v2, in the order of its SDK (`JointType`), which is also that of NTU RGB+D.
KINECT25 = make_layout(
    "kinect25",
    """SpineBase SpineMid Neck Head ShoulderLeft ElbowLeft WristLeft HandLeft
    ShoulderRight ElbowRight WristRight HandRight HipLeft KneeLeft AnkleLeft FootLeft
    HipRight KneeRight AnkleRight FootRight SpineShoulder
    HandTipLeft ThumbLeft HandTipRight ThumbRight""",
    (
        "Head Neck SpineShoulder SpineMid SpineBase",
        "SpineShoulder ShoulderLeft ElbowLeft WristLeft HandLeft HandTipLeft",
        "SpineShoulder ShoulderRight ElbowRight WristRight HandRight HandTipRight",
        "SpineBase HipLeft KneeLeft AnkleLeft FootLeft",
        "SpineBase HipRight KneeRight AnkleRight FootRight",
        "WristLeft ThumbLeft",
        "WristRight ThumbRight",
    ),
    head="Head",
    anatomy={
        "SpineBase": "mid_hip",
        "SpineMid": "spine",
        "SpineShoulder": "neck",
        "Neck": "throat",  # half way from the shoulders to the head
        "Head": "head",
        **{f"{limb}Left": f"left_{part}" for limb, part in _KINECT_LIMBS.items()},
        **{f"{limb}Right": f"right_{part}" for limb, part in _KINECT_LIMBS.items()},
    },
)

_BANDAI_LIMBS = {
    "Shoulder": "clavicle",
    "UpperArm": "shoulder",  # a joint of the rig is where its bone begins
    "LowerArm": "elbow",
    "Hand": "wrist",
    "UpperLeg": "hip",
    "LowerLeg": "knee",
    "Foot": "ankle",
    "Toes": "toes",
}

# The skeleton of Bandai-Namco-Research-Motiondataset-1, with its own names. `joint_Root` is the rig's handle
# on the floor and no part of the body: no bone leads to it.
BANDAI22 = make_layout(
    "bandai22",
    """joint_Root Hips Spine Chest Neck Head Shoulder_L UpperArm_L LowerArm_L Hand_L
    Shoulder_R UpperArm_R LowerArm_R Hand_R UpperLeg_L LowerLeg_L Foot_L Toes_L
    UpperLeg_R LowerLeg_R Foot_R Toes_R""",
    (
        "Hips Spine Chest Neck Head",
        "Chest Shoulder_L UpperArm_L LowerArm_L Hand_L",
        "Chest Shoulder_R UpperArm_R LowerArm_R Hand_R",
        "Hips UpperLeg_L LowerLeg_L Foot_L Toes_L",
        "Hips UpperLeg_R LowerLeg_R Foot_R Toes_R",
    ),
    head="Neck Head",
    anatomy={
        "joint_Root": "floor",
        "Hips": "mid_hip",
        "Spine": "lower_spine",
        "Chest": "chest",
        "Neck": "neck",
        "Head": "head_base",
        **{f"{limb}_L": f"left_{part}" for limb, part in _BANDAI_LIMBS.items()},
        **{f"{limb}_R": f"right_{part}" for limb, part in _BANDAI_LIMBS.items()},
    },
)

# Emilya (Fourati and Pelachaud, LREC 2014), the 28 joints on which gesture networks were published. Neither
# their names nor their order were published with them: they can be stored and learnt from, but not mirrored,
# drawn or brought to another layout.
EMILYA28 = Layout(
    name="emilya28",
    joints=tuple(f"joint_{number}" for number in range(28)),
    anatomy=tuple(f"emilya_{number}" for number in range(28)),
    bones=(),
    head=(),
    core=tuple(range(28)),
    has_sides=False,
)
