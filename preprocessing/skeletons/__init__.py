"""Skeleton engines behind one seam: `resolve_skeletons` in the driver, `build_skeletons` in each worker.

For other programs: `estimate(image, boxes, engine)`, keypoints of people in one picture.
"""

from preprocessing.skeletons.in_layout import as_layout
from preprocessing.skeletons.one_picture import estimate
from preprocessing.skeletons.select import build_skeletons, resolve_skeletons
from preprocessing.skeletons.sidecar import Sidecar, SidecarKeypoints, load_sidecar

__all__ = [
    "Sidecar",
    "SidecarKeypoints",
    "as_layout",
    "build_skeletons",
    "estimate",
    "load_sidecar",
    "resolve_skeletons",
]
