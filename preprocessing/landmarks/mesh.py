"""The face mesh: 468 landmarks of a face by a small network, or the 68 of them that systems are trained with.

The network is MediaPipe's (Kartynnik et al., "Real-time Facial Surface Geometry from Monocular Video on
Mobile GPUs", CVPRW 2019). It takes an upright face with some room around it, which MediaPipe finds by a
detector of its own, or by the landmarks of the frame before. Here it is placed by the box and eyes of any
detector, so that a frame does not depend on the one before it; and where the landmarks that it finds say that
the face lies otherwise (turned heads, boxes of another make), it looks a second time, placed by these. All
faces are looked at in one batch, those that need it in a second one.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from preprocessing.align import apply_warp, invert_warp
from preprocessing.blob import Normaliser
from preprocessing.landmarks.layouts import LANDMARK_LAYOUTS, MESH468, to_ibug68
from preprocessing.network import HERE, Place
from preprocessing.types import Frame
from preprocessing.weights import EngineChoice, WeightsError

ROLE = "mesh"  # of the weight file in the choice
SIDE = 192  # pixels of the network's input
ROOM = 1.5  # its side in longer sides of the detector's box
MIN_FACE = 0.5  # probability, as the network says, that what it sees is a face
EYES = [33, 263]  # their outer corners, the image's left one first
# The second look: where the first one was turned, shifted or scaled by more than this.
MAX_TURN_DEGREES = 6.0
MAX_SHIFT = 0.05  # of the input's side
MAX_SCALE = 1.15
NORMALISE = Normaliser(std=(255.0, 255.0, 255.0), channels_last=True)
_PLACE_NUMBERS = 3 * MESH468.num_points  # x, y in pixels of the input, and depth


class FaceMesh:
    """Fulfils `preprocessing.types.LandmarkEngine`."""

    name = "mesh"

    def __init__(self, choice: EngineChoice, layout: str = MESH468.name, place: Place = HERE) -> None:
        """layout: `mesh468`, or `ibug68`. WeightsError if the file is no face mesh."""
        self.layout, self.num_points = layout, LANDMARK_LAYOUTS[layout].num_points
        self.provenance: dict[str, Any] = {**choice.provenance(), "layout": layout}
        path = choice.weights[ROLE].checked()
        self._network = place.network(path)
        inputs, outputs = self._network.inputs, self._network.outputs
        sizes = [int(np.prod([d for d in port.shape if isinstance(d, int)])) for port in outputs]
        if [port.shape[1:] for port in inputs] != [(SIDE, SIDE, 3)] or sorted(sizes) != [1, _PLACE_NUMBERS]:
            shapes = ", ".join(str(list(port.shape)) for port in (*inputs, *outputs))
            raise WeightsError(
                f"{path} is no face mesh of {MESH468.num_points} points: input and outputs are {shapes}"
            )
        self._outputs = [outputs[sizes.index(size)].name for size in (_PLACE_NUMBERS, 1)]

    def locate(self, frames: Sequence[Frame], boxes_xyxy: np.ndarray, landmarks_xy: np.ndarray) -> np.ndarray:
        """See `LandmarkEngine.locate`."""
        points = np.full((len(boxes_xyxy), self.num_points, 2), np.nan, np.float32)
        looks = [
            _Look(row, frame, upright_warp(box, five[:2]))
            for row, (frame, box, five) in enumerate(zip(frames, boxes_xyxy, landmarks_xy, strict=True))
            if np.isfinite(box).all() and np.isfinite(five[:2]).all()
        ]
        settled, unsettled = [], []
        for look, found in self._look(looks):
            again = upright_warp(np.concatenate([found.min(axis=0), found.max(axis=0)]), found[EYES])
            if is_otherwise(again):
                unsettled.append(replace(look, warp=again @ np.vstack([look.warp, [0, 0, 1]])))
            else:
                settled.append((look, found))
        for look, found in [*settled, *self._look(unsettled)]:
            mesh = apply_warp(invert_warp(look.warp), found)  # (468, 2)
            points[look.row] = mesh if self.layout == MESH468.name else to_ibug68(mesh, MESH468.name)
        return points

    def _look(self, looks: Sequence[_Look]) -> list[tuple[_Look, np.ndarray]]:
        """Those that show a face, with its landmarks (468, 2) in pixels of the input."""
        if not looks:
            return []
        faces = [look.frame.aligned_rgb(look.warp, (SIDE, SIDE)) for look in looks]
        answers = self._network.run_batch(faces, NORMALISE, self._outputs)
        return [
            (look, np.asarray(places.reshape(-1, 3)[:, :2], np.float64))
            for look, (places, logit) in zip(looks, answers, strict=True)
            if float(logit.reshape(())) >= math.log(MIN_FACE / (1 - MIN_FACE))
        ]


@dataclass(frozen=True)
class _Look:
    """At one face."""

    row: int  # of those that were asked for
    frame: Frame
    warp: np.ndarray  # (2, 3), source pixels -> input pixels


def is_otherwise(warp: np.ndarray) -> bool:
    """Whether the second look's warp (2, 3), from the first one's input, differs much from doing nothing."""
    scale, turn = math.hypot(warp[0, 0], warp[1, 0]), math.degrees(math.atan2(warp[1, 0], warp[0, 0]))
    middle = np.full(2, SIDE / 2)
    shift = float(np.abs(apply_warp(warp, middle) - middle).max())
    is_scaled = not 1 / MAX_SCALE < scale < MAX_SCALE
    return is_scaled or abs(turn) > MAX_TURN_DEGREES or shift > MAX_SHIFT * SIDE


def upright_warp(box_xyxy: np.ndarray, eyes_xy: np.ndarray) -> np.ndarray:
    """(2, 3) float64, source pixels -> input pixels: the box (4,) with room around it, its eyes level.

    eyes_xy (2, 2), the image's left eye first.
    """
    x0, y0, x1, y1 = (float(value) for value in box_xyxy)
    scale = SIDE / (ROOM * max(x1 - x0, y1 - y0, 1.0))
    along_x, along_y = np.asarray(eyes_xy[1] - eyes_xy[0], np.float64)
    length = float(np.hypot(along_x, along_y))
    cos, sin = (along_x / length, -along_y / length) if length > 0 else (1.0, 0.0)
    turn = scale * np.array([[cos, -sin], [sin, cos]])
    centre = np.array([(x0 + x1) / 2, (y0 + y1) / 2])
    return np.concatenate([turn, (SIDE / 2 - turn @ centre)[:, None]], axis=1)
