"""The nouns of the stage: sources, probes, frames and detections, and the seam each engine fills.

Coordinates are upright source pixels (after rotation), boxes are half-open (x0, y0, x1, y1).
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import Any, Protocol

import numpy as np

from cache.schema import Kind


class InputError(Exception):
    """A video cannot be processed. `stage` says where, the message says why in one line."""

    def __init__(self, stage: str, reason: str) -> None:
        super().__init__(stage, reason)  # both, so that it survives pickling between processes
        self.stage = stage
        self.reason = reason

    def __str__(self) -> str:
        return self.reason


@dataclass(frozen=True)
class Source:
    """One input as found on disk, before it is opened."""

    path: Path
    name: str  # how the user knows it: path relative to the input folder, always valid Unicode
    kind: Kind
    sidecar: Path | None = None  # keypoint file or folder beside it
    fps: float | None = None  # declared rate of a folder of frames; None: its pictures are 1 s apart


@dataclass(frozen=True)
class Probe:
    """What the container says, checked against the limits. Nothing is decoded for it."""

    width: int  # upright
    height: int
    rotation: int  # degrees clockwise to turn the decoded picture upright: 0, 90, 180, 270
    mirrored: bool  # flip left-right after the rotation
    stream_index: int  # of the chosen video stream
    time_base: Fraction
    presentation_start: Fraction  # seconds: the earliest start of the audio and video streams
    duration: float | None  # seconds of the chosen stream as declared, None if not declared
    codec: str
    pixel_format: str
    stream_start: Fraction = Fraction(0)  # seconds: where the chosen stream starts; it ends `duration` later
    average_fps: float | None = None  # as the container says; single frames may be closer or further


@dataclass(frozen=True)
class Span:
    """A part of a video that one worker processes: frames with start_pts <= pts < stop_pts are its own."""

    index: int
    start_pts: int | None = None  # None: from the first frame
    stop_pts: int | None = None  # None: to the last frame


class Frame(Protocol):
    """One decoded picture with its time. Pixels are converted only where they are asked for."""

    pts: int
    duration_pts: int  # as the container says, 0 when it does not; see `preprocessing.sampling`
    width: int  # upright
    height: int

    def reduced_rgb(self, size_wh: tuple[int, int]) -> np.ndarray:
        """The whole picture, upright, resampled to (h, w, 3) uint8 RGB."""
        ...

    def rgb_patch(self, x0: int, y0: int, x1: int, y1: int) -> np.ndarray:
        """Upright pixels [y0:y1, x0:x1] as (y1-y0, x1-x0, 3) uint8 RGB; outside, the edge repeats."""
        ...

    def aligned_rgb(
        self, warp: np.ndarray, size_wh: tuple[int, int], *, black_outside: bool = False
    ) -> np.ndarray:
        """The picture warped by (2, 3), upright pixels -> result pixels: (h, w, 3) uint8 RGB of that size.

        Outside the picture its edge repeats, or all is black. Cheaper than a patch that is warped.
        """
        ...

    def luma_thumbnail(self) -> np.ndarray:
        """About 32x18 uint8 luma samples, not upright: cheap, for changes of the picture only."""
        ...


class Decoder(Protocol):
    """Decodes a video forward, once, on one thread, in presentation order."""

    name: str

    def frames(self, source: Source, probe: Probe) -> Iterator[Frame]:
        """Every frame of the chosen stream. Raises InputError("decode", ...) where the stream is damaged."""
        ...


@dataclass(frozen=True)
class Faces:
    """Faces found in one picture."""

    boxes_xyxy: np.ndarray  # (N, 4) float32
    landmarks_xy: np.ndarray  # (N, 5, 2) float32, order as in cache.schema.FaceBlock
    scores: np.ndarray  # (N,) float32 in [0, 1]

    def __len__(self) -> int:
        return len(self.scores)


@dataclass(frozen=True)
class Bodies:
    """Skeletons found in one picture."""

    boxes_xyxy: np.ndarray  # (N, 4) float32
    keypoints: np.ndarray  # (N, J, 3) float32: x, y, score
    scores: np.ndarray  # (N,) float32 in [0, 1]

    def __len__(self) -> int:
        return len(self.scores)


class FaceDetector(Protocol):
    """Finds faces with five landmarks. A result never depends on the neighbours in the batch."""

    name: str
    provenance: dict[str, Any]
    sure_score: float  # a track that never scores so much is no face: the back of a head, a hand

    def detect(self, images_rgb: Sequence[np.ndarray]) -> list[Faces]:
        """images: (h, w, 3) uint8 RGB of one common size; coordinates in pixels of these images."""
        ...


class LandmarkEngine(Protocol):
    """Finds the dense landmarks of faces whose place is known."""

    name: str
    layout: str  # name of the landmark layout, see preprocessing.landmarks.layouts
    num_points: int  # P, of the layout
    provenance: dict[str, Any]

    def locate(self, frames: Sequence[Frame], boxes_xyxy: np.ndarray, landmarks_xy: np.ndarray) -> np.ndarray:
        """boxes (N, 4) and landmarks (N, 5, 2), as a face detector finds them -> (N, P, 2) float32.

        frames: N, that of each face. All in upright source pixels. NaN for a face that is not there, or where
        its place is NaN. A result never depends on its neighbours.
        """
        ...


class SkeletonEngine(Protocol):
    """Finds skeletons in one frame, or reads them from beside it."""

    name: str
    layout: str  # name of the joint layout, e.g. "coco17"
    provenance: dict[str, Any]
    needs_pixels: bool  # False for sidecar files: they cost nothing and are read at every frame

    def detect(
        self, frame: Frame | None, frame_index: int, t: float, known_boxes_xyxy: np.ndarray | None
    ) -> Bodies:
        """frame_index counts decoded frames from 0, t is its media time in seconds.

        known_boxes_xyxy (N, 4): bodies followed from the previous frame, so the person detector need
        not run; None: find persons anew.
        """
        ...
