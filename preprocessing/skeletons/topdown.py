"""Top-down skeletons by any ONNX model of 17 COCO joints, with a person detector that finds the boxes.

The model's head is told by its outputs: one of heatmaps (N, 17, h, w), or two of SimCC (N, 17, bins).
"""

from __future__ import annotations

from typing import Any

import numpy as np

from preprocessing.align import apply_warp, invert_warp
from preprocessing.blob import Normaliser
from preprocessing.network import HERE, Place
from preprocessing.skeletons.boxes import body_boxes, body_scores
from preprocessing.skeletons.layouts import COCO17
from preprocessing.skeletons.persons import PersonDetector
from preprocessing.types import Bodies, Frame
from preprocessing.weights import EngineChoice, WeightsError

NORMALISE = Normaliser(mean=(123.675, 116.28, 103.53), std=(58.395, 57.12, 57.375))
BOX_PADDING = 1.25  # the models are trained on boxes with this much room around the person


class TopDown:
    """Skeletons of one frame. With known boxes the person detector does not run."""

    name = "onnx"
    layout = COCO17.name
    needs_pixels = True

    def __init__(self, choice: EngineChoice, place: Place = HERE) -> None:
        self.provenance: dict[str, Any] = choice.provenance()
        self._pose = _PoseModel(choice, place)
        person = choice.weights.get("person")
        self._persons = PersonDetector(person.checked(), place) if person is not None else None

    def detect(
        self, frame: Frame | None, frame_index: int, t: float, known_boxes_xyxy: np.ndarray | None
    ) -> Bodies:
        """Bodies of the frame, in upright source pixels.

        With known boxes (N, 4): exactly N bodies, row by row, their boxes drawn anew about the joints (a body
        that was lost keeps its old box and has a low score). Without: persons found anew; where no
        detector was given, the whole picture is taken for one person.
        """
        assert frame is not None, "this engine needs pixels"
        if known_boxes_xyxy is not None:
            boxes = np.asarray(known_boxes_xyxy, np.float32).reshape(-1, 4)
            keypoints = self._pose.read(frame, boxes)
            drawn = body_boxes(keypoints, COCO17, (frame.width, frame.height))
            boxes = np.where(np.isfinite(drawn), drawn, boxes)
            return Bodies(boxes, keypoints, body_scores(keypoints, COCO17))
        if self._persons is not None:
            boxes, _ = self._persons.detect(frame)
        else:
            boxes = np.array([[0, 0, frame.width, frame.height]], np.float32)
        keypoints = self._pose.read(frame, boxes)
        scores = body_scores(keypoints, COCO17)
        real = scores > 0  # a person without one seen joint is the detector's mistake
        return Bodies(boxes[real], keypoints[real], scores[real])


class _PoseModel:
    """The pose model itself: boxes of one frame in, keypoints out."""

    def __init__(self, choice: EngineChoice, place: Place) -> None:
        path = choice.weights["pose"].checked()
        self._network = place.network(path)
        inputs, outputs = self._network.inputs, self._network.outputs
        shape = inputs[0].shape
        if (
            len(inputs) != 1
            or len(shape) != 4
            or shape[1] != 3
            or not all(isinstance(d, int) for d in shape[2:])
        ):
            shapes = ", ".join(str(list(port.shape)) for port in inputs)
            raise WeightsError(
                f"{path} is no top-down pose model: input {shapes}, expected one of (N, 3, height, width)"
            )
        self._size_wh = (int(shape[3] or 0), int(shape[2] or 0))
        self._is_simcc = len(outputs) == 2
        dims = [list(port.shape) for port in outputs]
        ranks = sorted(len(shape) for shape in dims)
        if ranks not in ([4], [3, 3]):
            raise WeightsError(
                f"{path} is no top-down pose model: outputs {dims}; "
                "expected heatmaps (N, 17, h, w), or two of SimCC (N, 17, bins)"
            )
        for joints in (shape[1] for shape in dims):
            if isinstance(joints, int) and joints != COCO17.num_joints:
                raise WeightsError(f"{path} has {joints} joints, COCO-17 has {COCO17.num_joints}")

    def read(self, frame: Frame, boxes_xyxy: np.ndarray) -> np.ndarray:
        """Keypoints (N, 17, 3) float32 in source pixels, of the person in each box (N, 4)."""
        keypoints = np.zeros((len(boxes_xyxy), COCO17.num_joints, 3), np.float32)
        for row, box in enumerate(boxes_xyxy):  # one by one: no neighbour can change a result
            warp = _box_warp(box, self._size_wh)
            person = frame.aligned_rgb(warp, self._size_wh, black_outside=True)  # black, as in training
            outputs = self._network.run(person, NORMALISE)
            joints = (
                _decode_simcc(outputs, self._size_wh)
                if self._is_simcc
                else _decode_heatmaps(outputs[0], self._size_wh)
            )
            keypoints[row, :, :2] = apply_warp(invert_warp(warp), joints[:, :2])
            keypoints[row, :, 2] = joints[:, 2]
        return keypoints


def _box_warp(box_xyxy: np.ndarray, size_wh: tuple[int, int]) -> np.ndarray:
    """(2, 3): the padded box, enlarged to the model's aspect, onto the model's input."""
    x0, y0, x1, y1 = (float(value) for value in box_xyxy)
    width, height = size_wh
    scale = min(width / max(x1 - x0, 1.0), height / max(y1 - y0, 1.0)) / BOX_PADDING
    shift = np.array([width, height]) / 2 - scale * np.array([x0 + x1, y0 + y1]) / 2
    return np.array([[scale, 0, shift[0]], [0, scale, shift[1]]])


def _decode_heatmaps(heatmaps: np.ndarray, size_wh: tuple[int, int]) -> np.ndarray:
    """(17, 3) x, y, score in input pixels: the maximum, moved a quarter cell towards its higher neighbour."""
    maps = heatmaps[0]
    num_joints, height, width = maps.shape
    row, col = np.divmod(maps.reshape(num_joints, -1).argmax(axis=1), width)
    joint = np.arange(num_joints)
    left, right = maps[joint, row, (col - 1).clip(0)], maps[joint, row, (col + 1).clip(max=width - 1)]
    above, below = maps[joint, (row - 1).clip(0), col], maps[joint, (row + 1).clip(max=height - 1), col]
    x = col + 0.25 * np.sign(right - left) * ((col > 0) & (col < width - 1))
    y = row + 0.25 * np.sign(below - above) * ((row > 0) & (row < height - 1))
    score = maps[joint, row, col].clip(0, 1)
    # Cell i stands for the input pixel with index i * stride, whose centre is half a pixel further.
    return np.stack([x * size_wh[0] / width + 0.5, y * size_wh[1] / height + 0.5, score], axis=1)


def _decode_simcc(outputs: list[np.ndarray], size_wh: tuple[int, int]) -> np.ndarray:
    """(17, 3) x, y, score in input pixels from two classifications over the bins of x and of y."""
    along_x, along_y = outputs[0][0], outputs[1][0]  # (17, bins)
    x = along_x.argmax(axis=1) * size_wh[0] / along_x.shape[1] + 0.5
    y = along_y.argmax(axis=1) * size_wh[1] / along_y.shape[1] + 0.5
    score = np.minimum(along_x.max(axis=1), along_y.max(axis=1)).clip(0, 1)
    return np.stack([x, y, score], axis=1)
