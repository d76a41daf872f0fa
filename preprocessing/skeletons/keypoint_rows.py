"""Keypoints as other tools write them to one file, gathered: bodies with their frame, in any order.

What the forms have in common: which layout has so many joints, and rows of bodies made one array.
"""

from __future__ import annotations

import math
import re
from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass, field

import numpy as np

from preprocessing.skeletons.layouts import LAYOUTS, Layout

MAX_NUMBERS = 1 << 29  # 2 GiB
UNIT = np.array([1, 1])
"""Size of the picture to which coordinates refer that are parts of it, as MediaPipe's are."""


@dataclass
class Rows:
    """Bodies as they are read. Frames count from 0."""

    layout: Layout
    bodies: dict[int, list[np.ndarray]] = field(default_factory=lambda: defaultdict(list))  # frame -> (J, 3)
    seconds: dict[int, float] = field(default_factory=dict)  # frame -> media time, where it is told

    def arrays(self) -> dict[str, np.ndarray]:
        """What a `.keypoints.npz` holds: keypoints (T, P, J, 3), layout, and t_seconds or size_wh if known.

        With times a row is a time that was told; without them row i is frame i. ValueError where the numbers
        of the frames, or some of the times, cannot be.
        """
        if not self.bodies:
            raise ValueError("no frames")
        if min(self.bodies) < 0 or max(self.bodies) >= 1000 * (len(self.bodies) + 100):
            raise ValueError(f"frame numbers from {min(self.bodies)} to {max(self.bodies)}")
        if self.seconds and set(self.seconds) != set(self.bodies):
            raise ValueError(f"times of {len(self.seconds)} of {len(self.bodies)} frames")
        frames = sorted(self.bodies) if self.seconds else range(max(self.bodies) + 1)
        num_slots = max(len(people) for people in self.bodies.values())
        shape = (len(frames), num_slots, self.layout.num_joints, 3)
        if math.prod(shape) > MAX_NUMBERS:
            raise ValueError(f"{len(frames)} frames of up to {num_slots} people")
        keypoints = np.zeros(shape, np.float32)
        for row, frame in enumerate(frames):
            for slot, body in enumerate(self.bodies.get(frame, ())):
                keypoints[row, slot] = body
        result = {"keypoints": keypoints, "layout": np.array(self.layout.name)}
        if self.seconds:
            result["t_seconds"] = np.array([self.seconds[frame] for frame in frames], np.float64)
        seen = np.isfinite(keypoints).all(axis=-1) & (keypoints[..., 2] > 0)
        seen &= (keypoints[..., :2] != 0).any(axis=-1)  # some write 0, 0 for what they do not see
        # The median: parts of a body that nobody sees are guessed far outside of the picture, too.
        if seen.any() and np.median(np.abs(keypoints[seen][:, :2])) <= 2:
            result["size_wh"] = UNIT
        return result


def layout_by_count(num_joints: int) -> Layout:
    """The one layout of so many joints. ValueError where there is none, or more than one."""
    fits = [layout for layout in LAYOUTS.values() if layout.num_joints == num_joints and layout.has_sides]
    if len(fits) != 1:
        known = " or ".join(layout.name for layout in fits) or "of no known layout"
        raise ValueError(f"{num_joints} joints: {known}; name the joints, or store them as .keypoints.npz")
    return fits[0]


def layout_by_names(names: Iterable[str]) -> Layout | None:
    """The largest layout all of whose joints are among these names, whatever their case; None if none is."""
    have = {plain(name) for name in names}
    fits = [
        layout
        for layout in LAYOUTS.values()
        if layout.has_sides and {plain(j) for j in layout.joints} <= have
    ]
    return max(fits, key=lambda layout: layout.num_joints, default=None)


def plain(name: str) -> str:
    """A joint's name without case and separators: `Left Eye (inner)` and `left_eye_inner` are one."""
    return re.sub(r"[^a-z0-9]", "", name.lower())
