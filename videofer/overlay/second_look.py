"""Faces that the store does not hold: looked for once more before a video is given away.

The store follows persons, and looks for small faces beside large ones rarely. Where faces are to be hidden,
every LOOK_SECONDS one picture is searched whole, whatever was found in it before.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import cv2
import numpy as np

from preprocessing.faces import build, resolve
from preprocessing.types import FaceDetector
from videofer.overlay.footage import Footage, Picture
from videofer.overlay.motion import Path as Motion
from videofer.overlay.motion import Whereabouts

LOOK_SECONDS = 0.2
LONG_SIDE = 960  # pixels of the picture that is searched: faces of a fiftieth of it are found
SAME_FACE_SHARE = 0.3  # intersection over union


def detector_of(weights_dir: Path | None) -> FaceDetector:
    """The best detector on this machine. Raises WeightsError where there is none."""
    return build(resolve("auto", weights_dir))


def faces_seen(
    footage: Footage,
    detector: FaceDetector,
    *,
    spared: Whereabouts | None = None,
    on_time: Callable[[float], None] | None = None,
) -> list[Motion]:
    """Every face found, each for one instant, in upright pixels of the video; but not that of `spared`."""
    found, next_look = [], 0.0
    for picture in footage.pictures():
        t = float(picture.t_start)
        if t < next_look:
            continue
        next_look = t + LOOK_SECONDS
        small, scale = _reduced(picture)
        own = spared.face_at(t) if spared is not None else None
        boxes = detector.detect([_rgb(small)])[0].boxes_xyxy.astype(np.float64) * scale
        found += [Motion(np.array([t]), box[None]) for box in boxes if own is None or not _same(box, own)]
        if on_time is not None:
            on_time(t)
    return found


def _reduced(picture: Picture) -> tuple[Picture, float]:
    """The picture with its long side at most LONG_SIDE, and by how much it was larger."""
    height, width = picture.y.shape
    scale = max(width, height) / LONG_SIDE
    if scale <= 1:
        return picture, 1.0
    return picture.resized(2 * max(1, round(width / scale / 2)), 2 * max(1, round(height / scale / 2))), scale


def _rgb(picture: Picture) -> np.ndarray:
    """(h, w, 3) uint8, near enough for a detector: of the matrices BT.601 is taken for all."""
    u, v = (
        cv2.resize(plane, picture.y.shape[::-1], interpolation=cv2.INTER_LINEAR)
        for plane in (picture.u, picture.v)
    )
    rgb: np.ndarray = cv2.cvtColor(cv2.merge([picture.y, v, u]), cv2.COLOR_YCrCb2RGB)
    return rgb


def _same(one: np.ndarray, other: np.ndarray) -> bool:
    low, high = np.maximum(one[:2], other[:2]), np.minimum(one[2:], other[2:])
    both = float(np.prod(np.maximum(high - low, 0)))
    areas = float(np.prod(one[2:] - one[:2]) + np.prod(other[2:] - other[:2]))
    return both >= SAME_FACE_SHARE * (areas - both)
