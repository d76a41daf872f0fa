"""FAN: 68 landmarks of a face by heatmaps (Bulat and Tzimiropoulos, "How far are we from solving the 2D & 3D
Face Alignment problem?", ICCV 2017), the networks and weights of face-alignment.

`fan` finds the points as they are seen, its jaw the visible outline; `fan3d` those of the face's solid shape
as they fall into the picture, and with the depth network their depths as well. The face is placed as
face-alignment places it from its detector's boxes, which are as large as those of our detectors: a square of
about twice the box, moved up a little, not turned. What we changed: the points are not rounded to whole
pixels of the source.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import cv2
import numpy as np

from preprocessing.align import warp_patch
from preprocessing.blob import Normaliser
from preprocessing.device import Device
from preprocessing.landmarks.layouts import IBUG68
from preprocessing.network import HERE, Place
from preprocessing.torch_network import TorchNetwork, depth_network, fan_network, load_module
from preprocessing.types import Frame
from preprocessing.weights import EngineChoice, find, missing

ROLE = "landmarks"  # of the weight file in the choice
SIDE = 256  # pixels of the network's input
NORMALISE = Normaliser(std=(255.0, 255.0, 255.0))
ROOM = 200 / 195  # side of the square, in width plus height of the box
LIFT = 0.12  # of the box's height: so much the square's middle lies above the box's


@dataclass(frozen=True)
class FanFile:
    """FAN by its file of weights. Fulfils `preprocessing.network.OpensNetwork`."""

    path: Path
    depth_path: Path | None = None  # of the depth network

    def __call__(self, device: Device) -> TorchNetwork:
        """See `OpensNetwork`. Outputs `points` (1, 68, 3), and `depths` (1, 68) where it has a network."""
        from preprocessing.landmarks.fan_module import FanPoints

        fan = load_module(self.path, fan_network, "FAN")
        if self.depth_path is None:
            return TorchNetwork(FanPoints(fan), ("points",), device)
        depth = load_module(self.depth_path, depth_network, "FAN's depth network")
        return TorchNetwork(FanPoints(fan, depth), ("points", "depths"), device)

    def __str__(self) -> str:
        return "FAN"


class Fan:
    """Points of faces in pictures or frames, wherever the network runs."""

    def __init__(self, place: Place, path: Path, depth_path: Path | None = None) -> None:
        """Raises WeightsError where a file is not what it should be."""
        self._network = place.network(FanFile(path, depth_path))

    def in_pictures(self, images_rgb: Sequence[np.ndarray], boxes_xyxy: Sequence[np.ndarray]) -> np.ndarray:
        """A picture (h, w, 3) uint8 RGB and a box (4,) for each of N faces -> (N, 68, 2 or 3) float32.

        In pixels of the pictures; with the depth network x, y and depth, else x and y.
        """
        warps = [place_face(box) for box in boxes_xyxy]
        size = (SIDE, SIDE)
        return self._points(
            [
                warp_patch(image, warp, size, border=cv2.BORDER_CONSTANT)
                for image, warp in zip(images_rgb, warps, strict=True)
            ],
            warps,
        )

    def in_frames(self, frames: Sequence[Frame], boxes_xyxy: Sequence[np.ndarray]) -> np.ndarray:
        """The same in decoded frames, of which only the faces become RGB."""
        warps = [place_face(box) for box in boxes_xyxy]
        size = (SIDE, SIDE)
        return self._points(
            [
                frame.aligned_rgb(warp, size, black_outside=True)
                for frame, warp in zip(frames, warps, strict=True)
            ],
            warps,
        )

    def _points(self, faces_rgb: list[np.ndarray], warps: list[np.ndarray]) -> np.ndarray:
        columns = len(self._network.outputs) + 1
        result = np.empty((len(faces_rgb), IBUG68.num_points, columns), np.float32)
        answers = self._network.run_batch(faces_rgb, NORMALISE) if faces_rgb else []
        for row, (answer, warp) in enumerate(zip(answers, warps, strict=True)):
            scale = warp[0, 0]
            result[row, :, :2] = (answer[0][0, :, :2] - warp[:, 2]) / scale
            if columns == 3:
                result[row, :, 2] = answer[1][0] / scale
        return result


def points_3d(
    images_rgb_uint8: Sequence[np.ndarray], boxes_xyxy: Sequence[np.ndarray], weights_dir: Path | None = None
) -> np.ndarray:
    """The 68 points of faces in space, by 3D FAN and its depth network: (N, 68, 3) float32.

    A picture (h, w, 3) and a box (4,) for each of N faces, as `preprocessing.faces.detect` finds them. x and
    y in pixels of the picture; depth in the same unit, with the sign and origin of face-alignment's network.
    Raises WeightsError (one line) where a file lacks.
    """
    paths = {name: find(name, weights_dir) for name in ("fan3d", "fan3d-depth")}
    absent = [name for name, path in paths.items() if path is None]
    if absent:
        raise missing(*absent)
    points, depths = (path for path in paths.values() if path is not None)
    return Fan(HERE, points, depths).in_pictures(images_rgb_uint8, boxes_xyxy)


class FanLandmarks:
    """Fulfils `preprocessing.types.LandmarkEngine`. It does not say whether what it sees is a face."""

    layout = IBUG68.name
    num_points = IBUG68.num_points

    def __init__(self, choice: EngineChoice, place: Place = HERE) -> None:
        """choice: `fan` or `fan3d`. WeightsError if its file is not that of FAN."""
        self.name = choice.name
        self.provenance: dict[str, Any] = {**choice.provenance(), "layout": self.layout}
        self._fan = Fan(place, choice.weights[ROLE].checked())

    def locate(self, frames: Sequence[Frame], boxes_xyxy: np.ndarray, landmarks_xy: np.ndarray) -> np.ndarray:
        """See `LandmarkEngine.locate`. The five landmarks are not needed."""
        points = np.full((len(boxes_xyxy), self.num_points, 2), np.nan, np.float32)
        known = np.flatnonzero(np.isfinite(boxes_xyxy).all(axis=1)).tolist()
        points[known] = self._fan.in_frames([frames[n] for n in known], [boxes_xyxy[n] for n in known])
        return points


def place_face(box_xyxy: np.ndarray) -> np.ndarray:
    """(2, 3) float64: pixels of the source -> pixels of the network's input."""
    x0, y0, x1, y1 = (float(value) for value in box_xyxy)
    scale = SIDE / (ROOM * max(x1 - x0 + y1 - y0, 1.0))
    x, y = (x0 + x1) / 2, (y0 + y1) / 2 - LIFT * (y1 - y0)
    return np.array([[scale, 0, SIDE / 2 - scale * x], [0, scale, SIDE / 2 - scale * y]])
