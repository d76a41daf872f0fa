"""How far engines agree, and how much of what is there they found."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TypeVar

import numpy as np

from preprocessing.landmarks.layouts import five_of_68
from preprocessing.tracking.association import associate, box_iou

COCO_SIGMAS = np.array(
    [0.026, 0.025, 0.025, 0.035, 0.035, 0.079, 0.079, 0.072, 0.072]
    + [0.062, 0.062, 0.107, 0.107, 0.087, 0.087, 0.089, 0.089]
)
"""How sure people are of each joint: nose, eyes, ears, shoulders, elbows, wrists, hips, knees, ankles."""
SEEN = 0.3  # score of a joint that is compared
SAME_BODY_IOU = 0.3

R = TypeVar("R")  # what an engine says of one picture
Pictures = dict[int, np.ndarray]  # pts -> (h, w, 3)


def of_each(results: dict[str, list[R]], distance: Callable[[R, R], list[float]]) -> dict[str, float]:
    """For each engine the mean of a measure over all things that it and another engine have found.

    results: engine -> what it found in each picture. NaN where no two found the same thing.
    """
    return {
        name: float(np.mean(values)) if (values := _against_others(name, results, distance)) else np.nan
        for name in results
    }


def _against_others(
    name: str, results: dict[str, list[R]], distance: Callable[[R, R], list[float]]
) -> list[float]:
    return [
        value
        for other in results
        if other != name
        for mine, theirs in zip(results[name], results[other], strict=True)
        for value in distance(mine, theirs)
    ]


def landmark_distances(mine: np.ndarray, theirs: np.ndarray) -> list[float]:
    """Faces (N, 15) of two detectors: mean distance of the landmarks of each face, in eye distances."""
    pairs = associate(mine[:, :4], theirs[:, :4])
    return [_in_eye_distances(_five(mine[a]), _five(theirs[b])) for a, b in pairs]


def point_distances(mine: np.ndarray, theirs: np.ndarray) -> list[float]:
    """Points (N, 68, 2) of the same faces: mean distance, in eye distances; left out where a face was not."""
    distances = []
    for a, b in zip(mine, theirs, strict=True):
        if np.isfinite(a).all() and np.isfinite(b).all():
            eyes = five_of_68(b)[:2]
            distances.append(float(_distance(a, b).mean() / np.linalg.norm(eyes[1] - eyes[0])))
    return distances


def five_from_detector(points: np.ndarray, faces: np.ndarray) -> list[float]:
    """The five landmarks of points (N, 68, 2) against those of the detector (N, 15)."""
    return [
        _in_eye_distances(five_of_68(one), _five(face))
        for one, face in zip(points, faces, strict=True)
        if np.isfinite(one).all()
    ]


def keypoint_similarity(mine: np.ndarray, theirs: np.ndarray) -> list[float]:
    """OKS of each person (N, 17, 3) whom both found, over the joints that both saw."""
    if not len(mine) or not len(theirs):
        return []
    boxes = [np.array([_extent(body) for body in bodies]) for bodies in (mine, theirs)]
    overlaps = box_iou(*boxes)
    values = []
    for a, b in associate(*boxes):
        both = (mine[a, :, 2] > SEEN) & (theirs[b, :, 2] > SEEN)
        if overlaps[a, b] >= SAME_BODY_IOU and both.any():
            area = float(np.prod(boxes[1][b, 2:] - boxes[1][b, :2]))
            squares = _distance(mine[a, both, :2], theirs[b, both, :2]) ** 2
            values.append(float(np.exp(-squares / (2 * area * (2 * COCO_SIGMAS[both]) ** 2)).mean()))
    return values


def level_distances(mine: Pictures, theirs: Pictures) -> list[float]:
    """Pictures by their times, of one video: mean differences in levels of 255."""
    return [float(np.abs(mine[pts].astype(int) - theirs[pts]).mean()) for pts in mine.keys() & theirs.keys()]


def found_of(counts: Sequence[int], sure: Sequence[int], truth: Sequence[int | None]) -> tuple[int, int, int]:
    """How many were found of how many, and how many too many, in the pictures that were counted by eye."""
    counted = [(n, m, t) for n, m, t in zip(counts, sure, truth, strict=True) if t is not None]
    found = sum(min(n, t) for n, _, t in counted)
    return found, sum(t for _, _, t in counted), sum(max(0, m - t) for _, m, t in counted)


def _five(face: np.ndarray) -> np.ndarray:
    return np.asarray(face[4:14]).reshape(5, 2)


def _in_eye_distances(mine: np.ndarray, theirs: np.ndarray) -> float:
    eyes = np.linalg.norm(theirs[1] - theirs[0])
    return float(_distance(mine, theirs).mean() / eyes)


def _distance(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    return np.asarray(np.linalg.norm(a - b, axis=-1))


def _extent(body: np.ndarray) -> np.ndarray:
    """(4,) box of the joints that are seen, of all where none is."""
    seen = body[body[:, 2] > SEEN] if (body[:, 2] > SEEN).any() else body
    return np.concatenate([seen[:, :2].min(axis=0), seen[:, :2].max(axis=0) + 1])
