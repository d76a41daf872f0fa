"""One-stage skeletons: RTMO in ONNX finds everybody's joints in the whole picture, in one pass."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from preprocessing.blob import Normaliser
from preprocessing.network import Network, run_one
from preprocessing.nms import nms
from preprocessing.skeletons.boxes import body_scores
from preprocessing.skeletons.layouts import Layout
from preprocessing.skeletons.letterbox import letterbox
from preprocessing.skeletons.shapes import input_size_wh, layout_of
from preprocessing.tracking.association import box_iou
from preprocessing.types import Bodies, Frame
from preprocessing.weights import EngineChoice

MIN_SCORE = 0.4
MAX_IOU = 0.65
SAME_PERSON_IOU = 0.3  # of a found person and a box that was given
NORMALISE = Normaliser(bgr=True)


def is_one_stage(network: Network) -> bool:
    """Whether a network answers with boxes (1, N, 5) and their joints (1, N, J, 3)."""
    return sorted(len(port.shape) for port in network.outputs) == [3, 4]


class OneStage:
    """Fulfils `preprocessing.types.SkeletonEngine`. Its cost does not hang on the number of people."""

    needs_pixels = True

    def __init__(self, path: Path, network: Network, choice: EngineChoice) -> None:
        """WeightsError in one line where the network is none of this form."""
        assert is_one_stage(network)
        self.name = choice.name
        self.provenance: dict[str, Any] = choice.provenance()
        self._network = network
        self._size_wh = input_size_wh(network, path, "one-stage pose model")
        ports = sorted(network.outputs, key=lambda port: len(port.shape))
        self._ports = [port.name for port in ports]  # boxes, then joints
        num_joints = ports[1].shape[2]
        if not isinstance(num_joints, int):  # left free: as it answers to a black picture
            black = np.zeros((self._size_wh[1], self._size_wh[0], 3), np.uint8)
            num_joints = run_one(network, black, NORMALISE, self._ports)[1].shape[2]
        self._layout: Layout = layout_of(num_joints, path)
        self.layout = self._layout.name

    def detect(
        self, frame: Frame | None, frame_index: int, t: float, known_boxes_xyxy: np.ndarray | None
    ) -> Bodies:
        """Everybody in the frame, best first, in upright source pixels, whatever boxes are known."""
        assert frame is not None, "this engine needs pixels"
        canvas, scale = letterbox(frame, self._size_wh)
        dets, joints = run_one(self._network, canvas, NORMALISE, self._ports)
        good = dets[0, :, 4] >= MIN_SCORE
        boxes, keypoints = dets[0, good, :4], joints[0, good].astype(np.float32)
        kept = nms(boxes, dets[0, good, 4], MAX_IOU)  # the export has suppressed once, at a lower score
        limit = np.array([frame.width, frame.height] * 2, np.float32)
        boxes = (boxes[kept] * np.tile(scale, 2)).clip(0, limit).astype(np.float32)
        keypoints = keypoints[kept]
        keypoints[..., :2] *= scale
        keypoints[..., 2] = keypoints[..., 2].clip(0, 1)
        scores = body_scores(keypoints, self._layout)
        real = scores > 0
        return Bodies(boxes[real], keypoints[real], scores[real])

    def read(self, frame: Frame, boxes_xyxy: np.ndarray) -> np.ndarray:
        """Keypoints (N, J, 3) float32 of the person in each box (N, 4); zeros where it found none there."""
        from scipy.optimize import linear_sum_assignment

        found = self.detect(frame, 0, 0.0, None)
        keypoints = np.zeros((len(boxes_xyxy), self._layout.num_joints, 3), np.float32)
        overlap = box_iou(np.asarray(boxes_xyxy, np.float32), found.boxes_xyxy)
        for row, n in zip(*linear_sum_assignment(-overlap), strict=True):
            if overlap[row, n] >= SAME_PERSON_IOU:
                keypoints[row] = found.keypoints[n]
        return keypoints
