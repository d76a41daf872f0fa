"""Top-down skeletons: a person detector finds boxes, a pose model reads the joints of the person in each."""

from __future__ import annotations

from typing import Any, Protocol

import numpy as np

from preprocessing.skeletons.boxes import body_boxes, body_scores
from preprocessing.skeletons.layouts import Layout
from preprocessing.skeletons.persons import PersonDetector
from preprocessing.types import Bodies, Frame
from preprocessing.weights import EngineChoice


class PoseModel(Protocol):
    """Reads joints of people whose place is known. A result never depends on the neighbours in the batch."""

    layout: Layout

    def read(self, frame: Frame, boxes_xyxy: np.ndarray) -> np.ndarray:
        """Keypoints (N, J, 3) float32 in upright source pixels, of the person in each box (N, 4)."""
        ...


class TopDown:
    """Skeletons of one frame. With known boxes the person detector does not run."""

    needs_pixels = True

    def __init__(self, choice: EngineChoice, pose: PoseModel, persons: PersonDetector | None = None) -> None:
        """persons: without it the whole picture is taken for one person."""
        self.name = choice.name
        self.layout = pose.layout.name
        self.provenance: dict[str, Any] = choice.provenance()
        self._pose, self._persons = pose, persons

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
            keypoints = self.read(frame, boxes)
            drawn = body_boxes(keypoints, self._pose.layout, (frame.width, frame.height))
            boxes = np.where(np.isfinite(drawn), drawn, boxes)
            return Bodies(boxes, keypoints, body_scores(keypoints, self._pose.layout))
        if self._persons is not None:
            boxes, _ = self._persons.detect(frame)
        else:
            boxes = np.array([[0, 0, frame.width, frame.height]], np.float32)
        keypoints = self.read(frame, boxes)
        scores = body_scores(keypoints, self._pose.layout)
        real = scores > 0  # a person without one seen joint is the detector's mistake
        return Bodies(boxes[real], keypoints[real], scores[real])

    def read(self, frame: Frame, boxes_xyxy: np.ndarray) -> np.ndarray:
        """Keypoints (N, J, 3) float32 in upright source pixels, of the person in each box (N, 4)."""
        return self._pose.read(frame, boxes_xyxy)
