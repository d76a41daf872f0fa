"""From one joint layout to another by what the joints are: the same joint, or a mean of others.

A joint that the source has neither itself nor by such a mean is absent.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache

import numpy as np

from preprocessing.skeletons.layouts.layout import Layout

# A joint that lies in the middle of others, as its layout defines it or to within what models can tell.
MIDDLES = {
    "neck": ("left_shoulder", "right_shoulder"),  # as OpenPose was trained
    "mid_hip": ("left_hip", "right_hip"),  # as OpenPose was trained
    "spine": ("neck", "mid_hip"),
    "head": ("left_ear", "right_ear"),
    "left_toes": ("left_big_toe", "left_small_toe"),
    "right_toes": ("right_big_toe", "right_small_toe"),
    "left_hand": ("left_wrist", "left_middle_finger1"),
    "right_hand": ("right_wrist", "right_middle_finger1"),
    "left_hand_root": ("left_wrist",),  # the same point, named twice in COCO-WholeBody
    "right_hand_root": ("right_wrist",),
}


@dataclass(frozen=True)
class JointMapping:
    """How the joints of `target` are made from those of `source`."""

    source: Layout
    target: Layout
    shares: tuple[dict[int, float], ...]
    """For each joint of the target: joints of the source with their shares, which add up to 1; or none."""

    @property
    def missing(self) -> tuple[str, ...]:
        """Joints of the target that the source cannot tell."""
        return tuple(
            joint for joint, shares in zip(self.target.joints, self.shares, strict=True) if not shares
        )

    def __call__(self, keypoints: np.ndarray) -> np.ndarray:
        """Keypoints (..., J, 3) x, y, score of the source -> (..., J', 3) float32 of the target.

        A mean has the least score of its joints. Where a joint is absent, or one of a mean is not seen
        (score 0), x and y are NaN and the score is 0.
        """
        shape = (*keypoints.shape[:-2], self.target.num_joints, 3)
        result = np.full(shape, (np.nan, np.nan, 0), np.float32)
        for joint, shares in enumerate(self.shares):
            if len(shares) == 1:
                result[..., joint, :] = keypoints[..., next(iter(shares)), :]
            elif shares:
                parts = keypoints[..., list(shares), :]  # (..., n, 3)
                score = parts[..., 2].min(axis=-1)
                middle = (parts[..., :2] * np.array(list(shares.values()))[:, None]).sum(axis=-2)
                result[..., joint, :2] = np.where(score[..., None] > 0, middle, np.nan)
                result[..., joint, 2] = score
        return result


@cache
def mapping(source: Layout, target: Layout) -> JointMapping:
    """The mapping between two layouts; see `JointMapping.missing` for what is lost."""
    return JointMapping(source, target, tuple(_shares(part, source) for part in target.anatomy))


def _shares(part: str, source: Layout) -> dict[int, float]:
    if part in source.place:
        return {source.place[part]: 1.0}
    others = MIDDLES.get(part, ())
    found = [_shares(other, source) for other in others]
    if not all(found):
        return {}
    result: dict[int, float] = {}
    for shares in found:
        for joint, share in shares.items():
            result[joint] = result.get(joint, 0.0) + share / len(others)
    return result
