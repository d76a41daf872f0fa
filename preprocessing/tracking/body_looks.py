"""Looks at bodies: the clothing between shoulders and hips."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np

from preprocessing.decode.frames import BlindFrame
from preprocessing.skeletons.boxes import HIPS, SEEN_SCORE, SHOULDERS, places
from preprocessing.skeletons.layouts import Layout
from preprocessing.tracking.appearance import MIN_PATCH_PIXELS, Look, describe_clothing
from preprocessing.tracking.describe import FREE_SHARE
from preprocessing.types import Bodies, Frame


@dataclass(frozen=True, eq=False)
class BodySight:
    """Bodies of one searched frame."""

    bodies: Bodies
    index: int
    seconds: float
    frame: Frame | None
    layout: Layout
    looks: dict[int, Look] = field(default_factory=dict)  # that were made of it so far

    def look(self, n: int) -> Look:
        """At the clothing of the n-th body, between shoulders and hips; empty where somebody else is near."""
        if n not in self.looks:
            self.looks[n] = Look(self._clothing(n), np.empty(0, np.float32))
        return self.looks[n]

    def _clothing(self, n: int) -> np.ndarray:
        nothing = np.empty(0, np.float32)
        box = torso_box(self.bodies.keypoints[n], self.layout)
        if box is None or self.frame is None or isinstance(self.frame, BlindFrame):
            return nothing
        others = np.delete(self.bodies.boxes_xyxy, n, axis=0)
        sides = np.minimum(box[2:], others[:, 2:]) - np.maximum(box[:2], others[:, :2])
        if (sides.clip(min=0).prod(axis=1) > FREE_SHARE * np.prod(box[2:] - box[:2])).any():
            return nothing
        x0, y0, x1, y1 = np.rint(box).astype(int).tolist()
        if min(x0, y0) < 0 or x1 > self.frame.width or y1 > self.frame.height:
            return nothing
        patch = self.frame.rgb_patch(x0, y0, x1, y1)
        return describe_clothing(patch, np.array([0, 0, x1 - x0, y1 - y0]))


def torso_box(keypoints: np.ndarray, layout: Layout) -> np.ndarray | None:
    """(4,) between shoulders and hips of (J, 3); None where they are not seen or the layout has none."""
    trunk = places(layout, SHOULDERS + HIPS)
    if not trunk:
        return None
    joints = keypoints[trunk]
    if (joints[:, 2] < SEEN_SCORE).any():
        return None
    (x0, y0), (x1, y1) = joints[:, :2].min(axis=0), joints[:, :2].max(axis=0)
    # Side on, the joints lie above each other, but the trunk is never narrower than a third of its height.
    half = max((x1 - x0) / 2, (y1 - y0) / 6)
    middle = (x0 + x1) / 2
    box = np.array([middle - half, y0, middle + half, y1])
    return box if (box[2:] - box[:2] >= MIN_PATCH_PIXELS).all() else None
