"""Top-down pose networks in ONNX: RTMPose, RTMW, TinyPose, HRNet, ViTPose and others of their form.

The head is told by its outputs: one of heatmaps (N, J, h, w), or two of SimCC (N, J, bins). The layout is
told by the number of joints: 17 of COCO, 26 of Halpe, 133 of COCO-WholeBody.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np

from preprocessing.align import apply_warp, invert_warp
from preprocessing.blob import Normaliser
from preprocessing.network import Network, run_one
from preprocessing.skeletons.heads import box_warp, decode_heatmaps, decode_simcc
from preprocessing.skeletons.layouts import Layout
from preprocessing.skeletons.shapes import input_size_wh, layout_of
from preprocessing.types import Frame
from preprocessing.weights import WeightsError

NORMALISE = Normaliser(mean=(123.675, 116.28, 103.53), std=(58.395, 57.12, 57.375))


class OnnxPose:
    """Boxes of one frame in, keypoints out."""

    layout: Layout

    def __init__(self, path: Path, network: Network) -> None:
        """WeightsError in one line where the network is none of this form."""
        self._network = network
        self._size_wh = input_size_wh(network, path, "top-down pose model")
        ports = network.outputs
        dims = [list(port.shape) for port in ports]
        ranks = sorted(len(shape) for shape in dims)
        if ranks not in ([4], [3, 3]):
            raise WeightsError(
                f"{path} is no top-down pose model: outputs {dims}; "
                "expected heatmaps (N, J, h, w), or two of SimCC (N, J, bins)"
            )
        self._is_simcc = len(ports) == 2
        # x comes first, unless the names say otherwise
        self._swapped = self._is_simcc and ports[0].name.endswith("y") and ports[1].name.endswith("x")
        self.layout = layout_of(self._num_joints(dims), path)

    def read(self, frame: Frame, boxes_xyxy: np.ndarray) -> np.ndarray:
        """Keypoints (N, J, 3) float32 in source pixels, of the person in each box (N, 4)."""
        keypoints = np.zeros((len(boxes_xyxy), self.layout.num_joints, 3), np.float32)
        warps = [box_warp(box, self._size_wh) for box in boxes_xyxy]
        # Black outside the picture, as in training.
        persons = [frame.aligned_rgb(warp, self._size_wh, black_outside=True) for warp in warps]
        answers = self._network.run_batch(persons, NORMALISE) if persons else []
        for row, (warp, answer) in enumerate(zip(warps, answers, strict=True)):
            joints = self._decode(answer)
            keypoints[row, :, :2] = apply_warp(invert_warp(warp), joints[:, :2])
            keypoints[row, :, 2] = joints[:, 2]
        return keypoints

    def _decode(self, outputs: list[np.ndarray]) -> np.ndarray:
        """(J, 3) in input pixels."""
        if not self._is_simcc:
            return decode_heatmaps(outputs[0][0], self._size_wh)
        along_x, along_y = (output[0] for output in (outputs[::-1] if self._swapped else outputs))
        return decode_simcc(along_x, along_y, self._size_wh)

    def _num_joints(self, dims: list[list[int | str | None]]) -> int:
        """As the outputs declare it, or, where they leave it free, as they answer to a black picture."""
        declared = {shape[1] for shape in dims}
        if len(declared) == 1 and isinstance(number := declared.pop(), int):
            return number
        black = np.zeros((self._size_wh[1], self._size_wh[0], 3), np.uint8)
        return int(run_one(self._network, black, NORMALISE)[0].shape[1])
