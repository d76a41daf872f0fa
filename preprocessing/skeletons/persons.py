"""Person detectors in ONNX, told apart by their outputs: YOLOX (one raw output) and RTMDet (NMS inside)."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from preprocessing.blob import Normaliser
from preprocessing.network import HERE, Place
from preprocessing.nms import nms
from preprocessing.types import Frame
from preprocessing.weights import WeightsError

MIN_SCORE = 0.4
MAX_IOU = 0.5
PAD_VALUE = 114
YOLOX_STRIDES = (8, 16, 32)
RTMDET_SIDE = 320  # its export has a free size; it was trained and exported at this one
RTMDET_NORMALISE = Normaliser(mean=(103.53, 116.28, 123.675), std=(57.375, 57.12, 58.395), bgr=True)
YOLOX_NORMALISE = Normaliser(bgr=True)


class PersonDetector:
    """Finds persons in a frame, best first."""

    def __init__(self, path: Path, place: Place = HERE, min_score: float = MIN_SCORE) -> None:
        self._network = place.network(path)
        self._min_score = min_score
        outputs = [port.name for port in self._network.outputs]
        self._is_rtmdet = set(outputs) == {"dets", "labels"}
        if not self._is_rtmdet and len(outputs) != 1:
            raise WeightsError(
                f"{path} is no known person detector: outputs {', '.join(outputs)}; "
                "known: one output (YOLOX), or dets and labels (RTMDet)"
            )
        shape = self._network.inputs[0].shape
        if len(shape) != 4:
            raise WeightsError(
                f"{path} is no known person detector: input {list(shape)}, expected (N, 3, height, width)"
            )
        height, width = shape[2:]
        if self._is_rtmdet:
            self._size_wh = (_or(width, RTMDET_SIDE), _or(height, RTMDET_SIDE))
        else:
            self._size_wh = (_or(width, 416), _or(height, 416))
            self._cells, self._cell_stride = _yolox_grid(*self._size_wh)
            shape = self._network.outputs[0].shape
            if (
                len(shape) != 3
                or _or(shape[1], len(self._cells)) != len(self._cells)
                or _or(shape[2], 85) < 6
            ):
                raise WeightsError(
                    f"{path} is no known person detector: output shape {list(shape)}, "
                    f"YOLOX has (1, {len(self._cells)}, 5 + classes) at this input size"
                )

    def detect(self, frame: Frame) -> tuple[np.ndarray, np.ndarray]:
        """Boxes (N, 4) float32 in upright source pixels, and scores (N,) float32."""
        ratio = min(self._size_wh[0] / frame.width, self._size_wh[1] / frame.height)
        small_wh = (max(1, round(frame.width * ratio)), max(1, round(frame.height * ratio)))
        canvas = np.full((self._size_wh[1], self._size_wh[0], 3), PAD_VALUE, np.uint8)
        canvas[: small_wh[1], : small_wh[0]] = frame.reduced_rgb(small_wh)
        boxes, scores = self._run(canvas)
        scale = np.array([frame.width / small_wh[0], frame.height / small_wh[1]] * 2, np.float32)
        limit = np.array([frame.width, frame.height] * 2, np.float32)
        return (boxes * scale).clip(0, limit), scores

    def _run(self, canvas_rgb: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        if self._is_rtmdet:
            dets, labels = self._network.run(canvas_rgb, RTMDET_NORMALISE, ["dets", "labels"])
            dets = dets[0][labels[0] == 0]
            boxes, scores = dets[:, :4], dets[:, 4]
        else:
            (raw,) = self._network.run(canvas_rgb, YOLOX_NORMALISE)
            scores = raw[0, :, 4] * raw[0, :, 5]  # objectness x class 0, person
            centre = (raw[0, :, :2] + self._cells) * self._cell_stride
            half_size = np.exp(raw[0, :, 2:4].clip(max=10)) * self._cell_stride / 2
            boxes = np.concatenate([centre - half_size, centre + half_size], axis=1)
        good = scores >= self._min_score
        boxes, scores = boxes[good].astype(np.float32), scores[good].astype(np.float32)
        kept = nms(boxes, scores, MAX_IOU)
        return boxes[kept], scores[kept]


def _yolox_grid(width: int, height: int) -> tuple[np.ndarray, np.ndarray]:
    """Column and row (A, 2) and stride (A, 1) of each cell, finest stride first, row by row."""
    cells, strides = [], []
    for stride in YOLOX_STRIDES:
        row, col = np.mgrid[: height // stride, : width // stride]
        cells.append(np.stack([col.ravel(), row.ravel()], axis=1))
        strides.append(np.full((row.size, 1), stride))
    return np.concatenate(cells).astype(np.float32), np.concatenate(strides).astype(np.float32)


def _or(dimension: object, default: int) -> int:
    """A dimension of an ONNX shape, or the default where it is free (a name or None)."""
    return dimension if isinstance(dimension, int) and dimension > 0 else default
