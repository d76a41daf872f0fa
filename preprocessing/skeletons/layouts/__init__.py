"""Joint layouts by name, and the mappings between them."""

from __future__ import annotations

from preprocessing.skeletons.layouts.bodies import COCO17, HALPE26, MEDIAPIPE33, OPENPOSE18, OPENPOSE25
from preprocessing.skeletons.layouts.capture import BANDAI22, EMILYA28, KINECT25
from preprocessing.skeletons.layouts.layout import Layout
from preprocessing.skeletons.layouts.mapping import JointMapping, mapping
from preprocessing.skeletons.layouts.wholebody import OPENPOSE67, WHOLEBODY133

__all__ = [
    "BANDAI22",
    "COCO17",
    "EMILYA28",
    "HALPE26",
    "KINECT25",
    "LAYOUTS",
    "MEDIAPIPE33",
    "OF_MODELS",
    "OPENPOSE18",
    "OPENPOSE25",
    "OPENPOSE67",
    "WHOLEBODY133",
    "JointMapping",
    "Layout",
    "mapping",
    "mirror_order",
]

LAYOUTS = {
    layout.name: layout
    for layout in (
        COCO17,
        WHOLEBODY133,
        HALPE26,
        OPENPOSE18,
        OPENPOSE25,
        OPENPOSE67,
        MEDIAPIPE33,
        KINECT25,
        BANDAI22,
        EMILYA28,
    )
}

OF_MODELS = {layout.num_joints: layout for layout in (COCO17, HALPE26, WHOLEBODY133)}
"""The layouts that published pose models have, by their numbers of joints."""


def mirror_order(layout: str) -> tuple[int, ...] | None:
    """Order in which a layout's joints stand in the mirror: `keypoints[:, mirror_order(layout)]`.

    `layout` is the `skeleton` of a store's contract; None where it names no known layout ("none"), or one of
    which the sides are not known.
    """
    return LAYOUTS[layout].mirrored if layout in LAYOUTS else None
