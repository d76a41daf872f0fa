"""BlazeFace, the network that face-alignment loads for it, with closer looks.

The network (Bazarevsky et al., "BlazeFace: Sub-millisecond Neural Face Detection on Mobile GPUs", 2019) sees
128 x 128 pixels and is made for the face in front of a camera: one below about a twentieth of the picture's
longer side is not found. What we changed against face-alignment, which searches the central square of a
picture only and drops the keypoints: all of the picture is searched; and each face is looked at again from
close by, at several distances, which halves the error of its landmarks (0.19 to 0.09 of the distance of the
eyes, against YuNet on real footage) and tells faces from hands and backgrounds.

It has six keypoints: eyes, nose, the middle of the mouth, ears. The corners of the mouth are set: level with
the eyes, to both sides of its middle, as far apart as in the template. The crop is placed by eyes and nose.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import cv2
import numpy as np

from preprocessing.align import TEMPLATE, warp_patch
from preprocessing.blob import Normaliser
from preprocessing.network import HERE, Answer, Place
from preprocessing.nms import nms
from preprocessing.torch_network import TorchFile
from preprocessing.tracking.association import box_iou
from preprocessing.types import Faces
from preprocessing.weights import EngineChoice, WeightsError

SIDE = 128  # pixels of the network's input
NUM_ANCHORS = 896
NORMALISE = Normaliser(mean=(127.5, 127.5, 127.5), std=(127.5, 127.5, 127.5))
# In 188 pictures of our footage, of the 117 faces that YuNet finds, the 108 that the first look finds too
# score 0.76 and more; of what is no face only one does, and that 0.76.
MIN_SCORE = 0.74
SURE_SCORE = 0.78
FIRST_SCORE = 0.5  # enough to be looked at again
LEAST = 0.4  # that counts in a closer look
ROOMS = (1.6, 2.2, 3.0)  # sides of the closer looks, in longer sides of the first one's box
MIN_FACE_PIXELS = 10
MAX_IOU = 0.3
MOUTH_WIDTH = float(np.linalg.norm(TEMPLATE[4] - TEMPLATE[3]) / np.linalg.norm(TEMPLATE[1] - TEMPLATE[0]))

View = tuple[np.ndarray, np.ndarray, np.ndarray]
"""Boxes (n, 4), keypoints (n, 6, 2) and scores (n,) that one look finds, in pixels of the picture."""
Face = tuple[np.ndarray, np.ndarray, float]
"""Box (4,), the five landmarks (5, 2) and score."""


class BlazeFace:
    """Fulfils `preprocessing.types.FaceDetector`."""

    name = "face-alignment:blazeface"
    sure_score = SURE_SCORE

    def __init__(self, choice: EngineChoice, place: Place = HERE, min_score: float = MIN_SCORE) -> None:
        """Raises WeightsError where the files are not those of BlazeFace."""
        self.provenance: dict[str, Any] = choice.provenance()
        self._min_score = min_score
        self._anchors = _read_anchors(choice)  # (896, 4): centre and size, in sides of the input
        self._network = place.network(TorchFile(choice.weights["detector"].checked(), "blazeface"))

    def detect(self, images_rgb: Sequence[np.ndarray]) -> list[Faces]:
        """Faces of each picture (h, w, 3) uint8 RGB, best first, in pixels of that picture."""
        searched = [(n, square) for n, image in enumerate(images_rgb) for square in squares_of(image)]
        views = self._look(
            [images_rgb[n] for n, _ in searched],
            [square for _, square in searched],
            min(FIRST_SCORE, self._min_score),
        )
        candidates: list[list[tuple[np.ndarray, float]]] = [[] for _ in images_rgb]
        for (n, _), (boxes, _, scores) in zip(searched, views, strict=True):
            candidates[n] += zip(boxes, scores.tolist(), strict=True)
        seen = [(n, box) for n, found in enumerate(candidates) for box in best_of(found)]
        looks = [
            self._look([images_rgb[n] for n, _ in seen], [close_square(box, room) for _, box in seen], LEAST)
            for room in ROOMS
        ]
        found: list[list[Face]] = [[] for _ in images_rgb]
        for (n, box), *views in zip(seen, *looks, strict=True):
            face = agreed(box, views)
            if face is not None and face[2] >= self._min_score:
                found[n].append(face)
        return [_distinct(faces) for faces in found]

    def _look(
        self, images_rgb: Sequence[np.ndarray], squares: Sequence[np.ndarray], min_score: float
    ) -> list[View]:
        """Boxes (n, 4), keypoints (n, 6, 2) and scores (n,) in one square (x, y, side) of each picture."""
        inputs = [
            warp_patch(image, square_warp(square), (SIDE, SIDE), border=cv2.BORDER_CONSTANT)
            for image, square in zip(images_rgb, squares, strict=True)
        ]
        answers = self._network.run_batch(inputs, NORMALISE, ["boxes", "logits"]) if inputs else []
        results = []
        for answer, square in zip(answers, squares, strict=True):
            rows = decode(answer, self._anchors, min_score)  # (n, 17)
            places = rows[:, :16].reshape(-1, 8, 2) * square[2] + square[:2]
            results.append((places[:, :2].reshape(-1, 4), places[:, 2:], rows[:, 16]))
        return results


def decode(answer: Answer, anchors: np.ndarray, min_score: float) -> np.ndarray:
    """The network's boxes (1, 896, 16) and logits (1, 896, 1) -> (n, 17) float32, best first.

    x0, y0, x1, y1, six keypoints, all in sides of the input, and the score. Cells that overlap make one face:
    the mean of them weighted by score, with their mean score, as in face-alignment.
    """
    raw, logits = answer[0][0].astype(np.float64), answer[1][0, :, 0].astype(np.float64)
    scores = 1 / (1 + np.exp(-logits.clip(-100, 100)))
    (cells,) = np.nonzero(scores >= min_score)
    cells = cells[np.argsort(-scores[cells], kind="stable")]
    scores, anchors = scores[cells], anchors[cells]
    places = raw[cells].reshape(-1, 8, 2) / SIDE * anchors[:, None, 2:]  # centre, size, keypoints
    places[:, [0, 2, 3, 4, 5, 6, 7]] += anchors[:, None, :2]
    centre, size = places[:, 0].copy(), places[:, 1].copy()
    places[:, 0], places[:, 1] = centre - size / 2, centre + size / 2
    boxes = places[:, :2].reshape(-1, 4)
    iou = box_iou(boxes, boxes)
    rows = []
    alive = np.ones(len(cells), bool)
    for n in range(len(cells)):
        if not alive[n]:
            continue
        same = alive & (iou[n] > MAX_IOU)
        same[n] = True
        alive &= ~same
        weights = scores[same]
        mean = (places[same].reshape(-1, 16) * weights[:, None]).sum(axis=0) / weights.sum()
        rows.append(np.append(mean, weights.mean()))
    return np.array(rows, np.float32).reshape(-1, 17)


def squares_of(image: np.ndarray) -> list[np.ndarray]:
    """Squares (3,) x, y, side that a picture (h, w, 3) is searched in.

    The one around it, for large faces; and, of an oblong one, those of its shorter side along it, of which
    each overlaps half of the next.
    """
    height, width = image.shape[:2]
    short, long = sorted((height, width))
    squares = [np.array([(width - long) / 2, (height - long) / 2, long])]
    if long > short:
        starts = np.linspace(0, long - short, 1 + math.ceil(2 * (long - short) / short)).tolist()
        squares += [np.array([x, 0, short] if width > height else [0, x, short]) for x in starts]
    return squares


def best_of(candidates: Sequence[tuple[np.ndarray, float]]) -> np.ndarray:
    """Boxes (n, 4) of faces large enough, each once, of those that all squares show."""
    boxes = np.array([box for box, _ in candidates], np.float32).reshape(-1, 4)
    scores = np.array([score for _, score in candidates])
    large = (boxes[:, 2:] - boxes[:, :2]).min(axis=1) >= MIN_FACE_PIXELS
    boxes, scores = boxes[large], scores[large]
    return np.asarray(boxes[nms(boxes, scores, MAX_IOU)])


def close_square(box_xyxy: np.ndarray, room: float) -> np.ndarray:
    """(3,) x, y, side of the square around a face, so many times the longer side of its box."""
    side = room * float((box_xyxy[2:] - box_xyxy[:2]).max())
    return np.append((box_xyxy[:2] + box_xyxy[2:]) / 2 - side / 2, side)


def agreed(box_xyxy: np.ndarray, views: Sequence[View]) -> Face | None:
    """What the closer looks say of a box: the mean of those that see the face; the score is that of all."""
    boxes, landmarks, score = [], [], 0.0
    for view_boxes, keypoints, scores in views:
        overlap = box_iou(box_xyxy[None], view_boxes)[0]
        same = int(overlap.argmax()) if len(overlap) else -1
        if same >= 0 and overlap[same] > MAX_IOU:
            boxes.append(view_boxes[same])
            landmarks.append(five_points(keypoints[same]))
            score += float(scores[same]) / len(views)
    if not boxes:
        return None
    return np.mean(boxes, axis=0), np.mean(landmarks, axis=0), score


def square_warp(square: np.ndarray) -> np.ndarray:
    """(2, 3): pixels of the picture -> pixels of the network's input."""
    x, y, side = square
    scale = SIDE / side
    return np.array([[scale, 0, -x * scale], [0, scale, -y * scale]])


def five_points(keypoints: np.ndarray) -> np.ndarray:
    """Right eye, left eye, nose, mouth, ears (6, 2) -> the five landmarks (5, 2), the mouth's corners set."""
    half = (keypoints[1] - keypoints[0]) * MOUTH_WIDTH / 2
    corners = np.stack([keypoints[3] - half, keypoints[3] + half])
    return np.concatenate([keypoints[:3], corners])


def _distinct(found: list[Face]) -> Faces:
    """Two first looks may lead to the same face: the better one stays."""
    boxes = np.array([box for box, _, _ in found], np.float32).reshape(-1, 4)
    landmarks = np.array([points for _, points, _ in found], np.float32).reshape(-1, 5, 2)
    scores = np.array([score for _, _, score in found], np.float32)
    kept = nms(boxes, scores, MAX_IOU)
    return Faces(boxes[kept], landmarks[kept], scores[kept])


def _read_anchors(choice: EngineChoice) -> np.ndarray:
    path = choice.weights["anchors"].checked()
    try:
        anchors = np.load(path, allow_pickle=False)
    except (ValueError, OSError, EOFError) as error:
        raise WeightsError(f"{path} is no file of BlazeFace's anchors") from error
    if not isinstance(anchors, np.ndarray) or anchors.shape != (NUM_ANCHORS, 4):
        raise WeightsError(f"{path} is no file of BlazeFace's anchors: it should have {NUM_ANCHORS} x 4")
    return anchors.astype(np.float64)
