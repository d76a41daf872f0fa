"""What landmarks say of a face in each frame: where the head is turned, how far the eyes are open.

Both follow from landmarks that a store has, so nothing more is stored: they are worked out when they are
asked for, of old stores as of new ones. The head's pose is that of a mean face seen from afar (weak
perspective: a camera's focal length is not known), fitted to the points that no expression moves. Letters in
shapes: n frames, P points.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from cache.track import PersonTrack
from preprocessing.landmarks.layouts import IBUG68, LANDMARK_LAYOUTS, to_ibug68

FIVE = "five"
"""The layout of the five landmarks that every face has."""

# Means over the faces of our footage by the face mesh, symmetric, in distances of the eyes, from the middle
# between the eyes' outer corners: x to the image's right, y down, z away from the camera. Bridge, tip and
# wings of the nose and the corners of the eyes, of a head that looks into the camera as people there do:
_RIGID_68 = (*range(27, 36), 36, 39, 42, 45)
_MEAN_68 = np.array(
    [
        [0.0, -0.05, -0.371], [0.0, 0.167, -0.545], [0.0, 0.325, -0.69], [0.0, 0.459, -0.736],
        [-0.265, 0.646, -0.358], [-0.116, 0.677, -0.46], [0.0, 0.679, -0.485], [0.116, 0.677, -0.46],
        [0.265, 0.646, -0.358],
        [-0.703, 0.0, 0.0], [-0.277, 0.009, -0.083], [0.277, 0.009, -0.083], [0.703, 0.0, 0.0],
    ]
)  # fmt: skip
# The five, leant so that the detectors' ideas of a nose, which differ by 15 degrees of pitch, lie about it:
_MEAN_FIVE = np.array(
    [
        [-0.5, 0.013, -0.086], [0.5, 0.013, -0.086], [0.0, 0.597, -0.63],
        [-0.413, 1.022, 0.0], [0.413, 1.022, 0.0],
    ]
)  # fmt: skip
_NUM_STEPS = 8  # of the fit; it has settled after four

_EYES_68 = np.array([IBUG68.lines["right eye"], IBUG68.lines["left eye"]])  # the image's left one first


@dataclass(frozen=True, eq=False)
class FaceMeasures:
    """Of each of n frames of a track; NaN where the landmarks are not there."""

    head_pose: np.ndarray  # (n, 3) float32: yaw, pitch, roll in degrees, see `head_pose`
    eyes_open: np.ndarray  # (n, 2) float32, see `eyes_open`


def measures_of(track: PersonTrack) -> FaceMeasures:
    """By the dense landmarks where the track has them, else the pose by the five, and of the eyes nothing."""
    pose = head_pose(track.landmarks_xy)
    open_ = np.full((len(track), 2), np.nan, np.float32)
    if track.landmark_layout in LANDMARK_LAYOUTS:
        by_all = head_pose(track.dense_landmarks, track.landmark_layout)
        pose = np.where(np.isfinite(by_all), by_all, pose)
        open_ = eyes_open(track.dense_landmarks, track.landmark_layout)
    return FaceMeasures(pose, open_)


def head_pose(points_xy: np.ndarray, layout: str = FIVE) -> np.ndarray:
    """Landmarks (n, P, 2) of a layout -> (n, 3) float32: yaw, pitch and roll in degrees, as the image shows.

    Yaw grows as the face turns to the image's right, pitch as it looks up, roll as it tilts clockwise; all 0
    where it looks into the camera. On real footage the five of MTCNN, YuNet and BlazeFace agree with dense
    landmarks to 2 to 4 degrees of yaw and 1 to 3 of roll; of pitch to 5 (YuNet), 7 (MTCNN) and 11 (BlazeFace)
    only: they differ in where the nose is. NaN where a point is not finite or all fall together. ValueError
    for an unknown layout.
    """
    points = np.asarray(points_xy, np.float64)
    if layout == FIVE:
        return _angles(_fit(points, _MEAN_FIVE))
    return _angles(_fit(to_ibug68(points, layout)[:, _RIGID_68].astype(np.float64), _MEAN_68))


def eyes_open(points_xy: np.ndarray, layout: str) -> np.ndarray:
    """Dense landmarks (n, P, 2) -> (n, 2) float32: the aspect ratio of each eye, the image's left one first.

    Mean height of the lids over the width of the eye (Soukupova and Cech, "Real-Time Eye Blink Detection
    using Facial Landmarks", CVWW 2016): about 0.3 where it is open, below about 0.15 where it is shut. It
    grows as a head turns to the side, for the eye gets narrower. NaN where a point is not finite.
    """
    eyes = to_ibug68(points_xy, layout)[:, _EYES_68].astype(np.float64)  # (n, 2, 6, 2)
    lids = np.linalg.norm(eyes[:, :, (1, 2)] - eyes[:, :, (5, 4)], axis=-1).mean(axis=-1)
    width = np.linalg.norm(eyes[:, :, 0] - eyes[:, :, 3], axis=-1)
    with np.errstate(invalid="ignore", divide="ignore"):
        return np.where(width > 1e-6, lids / width, np.nan).astype(np.float32)


def _fit(points_xy: np.ndarray, mean: np.ndarray) -> np.ndarray:
    """Rotations (n, 3, 3) of the mean face (P, 3) whose scaled shadow is nearest to points (n, P, 2).

    From the best affine shadow, by Gauss-Newton steps over the rotation and the scale.
    """
    seen = points_xy - points_xy.mean(axis=1, keepdims=True)  # (n, P, 2)
    model = mean - mean.mean(axis=0)  # (P, 3)
    spread = np.square(seen).sum(axis=(1, 2))
    good = np.isfinite(spread) & (spread > 1e-9)
    rotations = np.full((len(points_xy), 3, 3), np.nan)
    if not good.any():
        return rotations
    seen = seen[good]
    affine = np.swapaxes(seen, 1, 2) @ np.linalg.pinv(model).T  # (n, 2, 3)
    u, sizes, vt = np.linalg.svd(affine, full_matrices=False)
    rows, scale = u @ vt, sizes.mean(axis=1)  # (n, 2, 3): two rows of a rotation; (n,)
    rotation = np.concatenate([rows, np.cross(rows[:, 0], rows[:, 1])[:, None]], axis=1)
    for _ in range(_NUM_STEPS):
        turned = model @ np.swapaxes(rotation, 1, 2)  # (n, P, 3)
        x, y, z = np.moveaxis(turned, 2, 0) * scale[:, None]
        nought = np.zeros_like(x)
        # How the shadow (x, y) moves with small turns about the three axes and the logarithm of the scale.
        slope = np.stack(
            [np.stack([nought, z, -y, x], axis=-1), np.stack([-z, nought, x, y], axis=-1)], axis=-2
        ).reshape(len(x), -1, 4)
        rest = (seen - np.stack([x, y], axis=-1)).reshape(len(x), -1, 1)
        normal = np.swapaxes(slope, 1, 2) @ slope + 1e-9 * np.eye(4) * scale[:, None, None] ** 2
        step = np.linalg.solve(normal, np.swapaxes(slope, 1, 2) @ rest)[..., 0]  # (n, 4)
        rotation = _turn(step[:, :3].clip(-0.5, 0.5)) @ rotation
        scale = scale * np.exp(step[:, 3].clip(-0.5, 0.5))
    rotations[good] = rotation
    return rotations


def _turn(vectors: np.ndarray) -> np.ndarray:
    """Rotation vectors (n, 3) in radians -> rotations (n, 3, 3), by Rodrigues' formula."""
    angle = np.linalg.norm(vectors, axis=1)[:, None, None]
    x, y, z = (vectors / np.maximum(angle[:, 0], 1e-12)).T
    o = np.zeros_like(x)
    k = np.stack([o, -z, y, z, o, -x, -y, x, o], axis=1).reshape(-1, 3, 3)
    return np.asarray(np.eye(3) + np.sin(angle) * k + (1 - np.cos(angle)) * (k @ k))


def _angles(rotations: np.ndarray) -> np.ndarray:
    """Rotations (n, 3, 3) -> yaw, pitch, roll (n, 3) float32, degrees: pitched first, turned, then tilted."""
    yaw = np.arcsin(rotations[:, 2, 0].clip(-1, 1))
    pitch = -np.arctan2(rotations[:, 2, 1], rotations[:, 2, 2])
    roll = np.arctan2(rotations[:, 1, 0], rotations[:, 0, 0])
    return np.asarray(np.degrees(np.stack([yaw, pitch, roll], axis=1)), np.float32)
