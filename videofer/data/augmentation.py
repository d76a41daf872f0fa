"""Random changes of a training sample, the same for all its frames, so that motion stays what it was."""

from __future__ import annotations

import math
from dataclasses import dataclass

import cv2
import numpy as np

from videofer.recipe import AugmentRecipe

# Joint that takes the place of each joint when the picture is mirrored, by number of joints.
# COCO-17: nose, then left/right of eyes, ears, shoulders, elbows, wrists, hips, knees, ankles.
_MIRRORED_JOINTS = {17: np.array([0, 2, 1, 4, 3, 6, 5, 8, 7, 10, 9, 12, 11, 14, 13, 16, 15])}


@dataclass(frozen=True)
class FaceChange:
    """One drawn change of crops."""

    warp: np.ndarray | None  # (2, 3) float64: crop pixels -> changed crop pixels; None: as it is
    table: np.ndarray | None  # (1, 256, 3) uint8: new value of each value and colour; None: as it is
    erased_xyxy: tuple[int, int, int, int] | None  # half-open pixels


def draw_face_change(
    rng: np.random.Generator, recipe: AugmentRecipe, size: int, *, mirrored: bool
) -> FaceChange:
    """Draws a change for crops of `size` pixels."""
    u = rng.uniform(-1.0, 1.0, size=9)
    warp = None
    if mirrored or recipe.shift or recipe.scale or recipe.rotate_degrees:
        scale, angle = 1.0 + recipe.scale * u[0], math.radians(recipe.rotate_degrees * u[1])
        a, b = scale * math.cos(angle), scale * math.sin(angle)
        linear = np.array([[-a if mirrored else a, -b], [-b if mirrored else b, a]])
        centre = (size - 1) / 2
        shift = recipe.shift * size * u[2:4]
        warp = np.column_stack([linear, centre + shift - linear @ (centre, centre)])
    table = None
    if recipe.brightness or recipe.contrast or recipe.colour:
        gain = (1.0 + recipe.contrast * u[4]) * (1.0 + recipe.colour * u[5:8])  # (3,)
        values = (np.arange(256.0)[:, None] - 127.5) * gain + 127.5 + 255.0 * recipe.brightness * u[8]
        table = np.clip(np.rint(values), 0, 255).astype(np.uint8)[None]
    erased = None
    if recipe.erase and rng.random() < recipe.erase:
        w, h = rng.integers(size // 8, size // 2, size=2, endpoint=True)
        x, y = rng.integers(0, size - w, endpoint=True), rng.integers(0, size - h, endpoint=True)
        erased = (int(x), int(y), int(x + w), int(y + h))
    return FaceChange(warp, table, erased)


def change_faces(crops: np.ndarray, change: FaceChange) -> np.ndarray:
    """(m, S, S, 3) uint8 RGB -> the same shape, a new array. Outside the crop the edge repeats."""
    size = crops.shape[1]
    if change.warp is not None:
        out = np.empty_like(crops)
        for source, target in zip(crops, out, strict=True):
            cv2.warpAffine(source, change.warp, (size, size), dst=target, borderMode=cv2.BORDER_REPLICATE)
    else:
        out = crops.copy()
    if change.table is not None and len(out):
        flat = out.reshape(len(out) * size, size, 3)
        cv2.LUT(flat, change.table, dst=flat)
    if change.erased_xyxy is not None:
        x0, y0, x1, y1 = change.erased_xyxy
        out[:, y0:y1, x0:x1] = 127
    return out


def change_body(
    keypoints: np.ndarray, rng: np.random.Generator, recipe: AugmentRecipe, *, mirrored: bool
) -> np.ndarray:
    """(L, J, 3) float32 x, y, score -> the same shape, a new array. Unseen joints (score 0) stay unseen.

    Mirroring exchanges left and right joints and reflects x within the sample's own bounds.
    """
    out = keypoints.copy()
    num_joints = out.shape[1]
    drop = rng.random(num_joints) < recipe.joint_drop
    angle = math.radians(recipe.body_rotate_degrees * rng.uniform(-1.0, 1.0))
    # Drawn for one common number of joints even where nothing is seen: the draws do not depend on the data.
    offsets = rng.standard_normal((num_joints, 2), dtype=np.float32)
    seen = out[..., 2] > 0
    if not seen.any():
        return out
    points = out[..., :2]
    low, high = points[seen].min(axis=0), points[seen].max(axis=0)
    if mirrored:
        points[..., 0] = low[0] + high[0] - points[..., 0]
        out = out[:, mirrored_joints(num_joints)]
        points = out[..., :2]
    middle = (low + high) / 2
    cos, sin = math.cos(angle), math.sin(angle)
    rotation = np.array([[cos, -sin], [sin, cos]], dtype=np.float32)
    # A joint's offset is constant over the sample: it is another skeleton, not a trembling one.
    points[:] = (points - middle) @ rotation.T + middle + offsets * (recipe.joint_noise * (high[1] - low[1]))
    out[:, drop, 2] = 0
    out[out[..., 2] == 0] = 0
    return out


def mirrored_joints(num_joints: int) -> np.ndarray:
    """(J,) int64: the joint that takes each joint's place in the mirror."""
    if num_joints not in _MIRRORED_JOINTS:
        raise ValueError(
            f"mirroring skeletons of {num_joints} joints is not known; set training.augment.flip to 0"
        )
    return _MIRRORED_JOINTS[num_joints]
