"""Faces that are too large for a detector: they are looked for once more, in the picture made smaller.

YuNet was trained on faces of up to some hundred pixels. Of a larger one it finds parts, or nothing: in a
photograph of 12 megapixels no portrait. Videos are reduced before they are searched, single pictures are not.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import cv2
import numpy as np

from preprocessing.tracking.association import box_iou
from preprocessing.types import Faces

LARGE_PICTURE = 800  # pixels of the longer side; a face of all the height of a smaller one is found
REDUCED_SIDE = 640
LARGEST_FACE = 400  # pixels of the longer side of its box: to here boxes and landmarks are as good as ever
SAME_FACE_IOU = 0.3


def with_large_faces(
    images_rgb: Sequence[np.ndarray], search: Callable[[Sequence[np.ndarray]], list[Faces]]
) -> list[Faces]:
    """What `search` finds in each picture (h, w, 3) uint8 RGB, and faces too large for it; best first."""
    found = search(images_rgb)
    large = [n for n, image in enumerate(images_rgb) if max(image.shape[:2]) > LARGE_PICTURE]
    if large:
        for n, again in zip(large, search([_reduced(images_rgb[n]) for n in large]), strict=True):
            found[n] = _joined(found[n], _enlarged(again, images_rgb[n].shape))
    return found


def _reduced(image_rgb: np.ndarray) -> np.ndarray:
    size_wh = _reduced_wh(image_rgb.shape)
    return np.asarray(cv2.resize(image_rgb, size_wh, interpolation=cv2.INTER_AREA))


def _reduced_wh(shape: tuple[int, ...]) -> tuple[int, int]:
    height, width = shape[:2]
    scale = REDUCED_SIDE / max(height, width)
    return max(1, round(width * scale)), max(1, round(height * scale))


def _enlarged(faces: Faces, shape: tuple[int, ...]) -> Faces:
    """Faces of the reduced picture, in pixels of the picture of that shape."""
    back = np.array(shape[1::-1], np.float32) / np.array(_reduced_wh(shape), np.float32)
    return Faces(faces.boxes_xyxy * np.tile(back, 2), faces.landmarks_xy * back, faces.scores)


def _joined(whole: Faces, reduced: Faces) -> Faces:
    """Small faces as in the whole picture, without parts of large ones; the others as in the reduced one."""
    large = reduced.boxes_xyxy[_sides(reduced) > LARGEST_FACE]
    middle = (whole.boxes_xyxy[:, None, :2] + whole.boxes_xyxy[:, None, 2:]) / 2
    is_part = ((middle > large[:, :2]) & (middle < large[:, 2:])).all(axis=2).any(axis=1)
    small = (_sides(whole) <= LARGEST_FACE) & ~is_part
    overlap = box_iou(reduced.boxes_xyxy, whole.boxes_xyxy[small]).max(axis=1, initial=0)
    others = overlap <= SAME_FACE_IOU
    scores = np.concatenate([whole.scores[small], reduced.scores[others]])
    best = np.argsort(-scores, kind="stable")
    return Faces(
        np.concatenate([whole.boxes_xyxy[small], reduced.boxes_xyxy[others]])[best],
        np.concatenate([whole.landmarks_xy[small], reduced.landmarks_xy[others]])[best],
        scores[best],
    )


def _sides(faces: Faces) -> np.ndarray:
    """(N,) longer side of each box."""
    return np.asarray((faces.boxes_xyxy[:, 2:] - faces.boxes_xyxy[:, :2]).max(axis=1, initial=0))
