"""Person detectors in ONNX: YOLOX, as one raw output or with its suppression inside, and RTMDet with it.

With the suppression inside both answer alike, but want different pixels: a file with `yolox` in its name is
YOLOX, another is RTMDet.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np

from preprocessing.blob import Normaliser
from preprocessing.network import HERE, Place, run_one
from preprocessing.nms import nms
from preprocessing.skeletons.letterbox import letterbox
from preprocessing.types import Frame
from preprocessing.weights import WeightsError

MIN_SCORE = 0.4
MAX_IOU = 0.5
YOLOX_STRIDES = (8, 16, 32)
RTMDET_SIDE = 320  # its export has a free size; it was trained and exported at this one
YOLOX_SIDE, SMALL_YOLOX_SIDE = 640, 416  # as published; the small ones are nano and tiny
RTMDET_NORMALISE = Normaliser(mean=(103.53, 116.28, 123.675), std=(57.375, 57.12, 58.395), bgr=True)
YOLOX_NORMALISE = Normaliser(bgr=True)


class PersonDetector:
    """Finds persons in a frame, best first."""

    def __init__(self, path: Path, place: Place = HERE, min_score: float = MIN_SCORE) -> None:
        self._network = place.network(path)
        self._min_score = min_score
        ports = sorted(self._network.outputs, key=lambda port: -len(port.shape))
        self._outputs = [port.name for port in ports]
        self._suppresses = [len(port.shape) for port in ports] == [3, 2]  # boxes (1, N, 5), labels (1, N)
        if not self._suppresses and len(ports) != 1:
            raise WeightsError(
                f"{path} is no known person detector: outputs {', '.join(self._outputs)}; "
                "known: one output (YOLOX), or boxes with scores and labels (YOLOX, RTMDet)"
            )
        is_rtmdet = self._suppresses and "yolox" not in path.name.lower()
        self._normalise = RTMDET_NORMALISE if is_rtmdet else YOLOX_NORMALISE
        shape = self._network.inputs[0].shape
        if len(shape) != 4:
            raise WeightsError(
                f"{path} is no known person detector: input {list(shape)}, expected (N, 3, height, width)"
            )
        height, width = shape[2:]
        side = RTMDET_SIDE if is_rtmdet else _yolox_side(path)
        self._size_wh = (_or(width, side), _or(height, side))
        if not self._suppresses:
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
        canvas, scale = letterbox(frame, self._size_wh)
        boxes, scores = self._run(canvas)
        limit = np.array([frame.width, frame.height] * 2, np.float32)
        return (boxes * np.tile(scale, 2)).clip(0, limit), scores

    def _run(self, canvas_rgb: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        if self._suppresses:
            dets, labels = run_one(self._network, canvas_rgb, self._normalise, self._outputs)
            dets = dets[0][labels[0] == 0]
            boxes, scores = dets[:, :4], dets[:, 4]
        else:
            (raw,) = run_one(self._network, canvas_rgb, self._normalise)
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


def _yolox_side(path: Path) -> int:
    """Of the square that a YOLOX takes whose file leaves it free, by its name."""
    is_small = any(word in path.name.lower() for word in ("nano", "tiny"))
    return SMALL_YOLOX_SIDE if is_small else YOLOX_SIDE


def _or(dimension: object, default: int) -> int:
    """A dimension of an ONNX shape, or the default where it is free (a name or None)."""
    return dimension if isinstance(dimension, int) and dimension > 0 else default
