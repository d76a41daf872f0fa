"""Keypoints beside a video: .npz, .csv, .json, or a folder of OpenPose JSON; and the engine that serves them.

The .npz holds `keypoints` (T, P, J, 3) float (x and y in upright source pixels, score in [0, 1]; NaN or
score 0 where nothing is seen), and may hold `t_seconds` (T,) media time (absent: row i is decoded frame i),
`layout` (absent: coco17), `joints` (J,) names to be checked against the layout's, `size_wh` (2,) of the
picture the coordinates refer to ((1, 1) where they are parts of it), and `fps`. The other forms are those of
`keypoint_csv`, `keypoint_json` and `openpose`.
"""

from __future__ import annotations

import zipfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from preprocessing.skeletons.boxes import SEEN_SCORE, body_scores, boxes_of_keypoints
from preprocessing.skeletons.keypoint_csv import read_csv
from preprocessing.skeletons.keypoint_json import read_json
from preprocessing.skeletons.keypoint_rows import UNIT
from preprocessing.skeletons.layouts import COCO17, LAYOUTS, Layout
from preprocessing.skeletons.openpose import load_openpose
from preprocessing.types import Bodies, Frame, InputError

MAX_BYTES = 2 << 30
MAX_TABLE_BYTES = 1 << 30
TABLES = {".csv": read_csv, ".json": read_json}


@dataclass(frozen=True)
class SidecarKeypoints:
    """Keypoints of a whole video. T rows in time, P person slots without meaning from row to row."""

    keypoints: np.ndarray  # (T, P, J, 3) float32, finite; score 0 where unseen
    t_seconds: np.ndarray | None  # (T,) float64, strictly increasing media time
    fps: float | None
    size_wh: tuple[int, int] | None
    layout: Layout = COCO17

    def times(self) -> np.ndarray:
        """(T,) float64 media time of each row, for keypoints without a video."""
        if self.t_seconds is not None:
            return self.t_seconds
        if self.fps is None:
            raise InputError("skeletons", "keypoints without a video need t_seconds or fps")
        return np.arange(len(self.keypoints)) / self.fps


def load_sidecar(path: Path, *, gaps: bool = True) -> SidecarKeypoints:
    """Reads and checks a file or a folder of OpenPose JSON. InputError("skeletons", ...) in one line.

    gaps: whether a frame for which OpenPose wrote no file has a row; else row i is the i-th file.
    """
    if path.is_dir():
        keypoints, layout = load_openpose(path, gaps=gaps)
        return _checked(path, {"keypoints": keypoints, "layout": np.array(layout.name)})
    reader = TABLES.get(path.suffix.lower())
    if reader is not None:
        return _load_table(path, reader)
    try:
        with zipfile.ZipFile(path) as archive:
            num_bytes = sum(member.file_size for member in archive.infolist())
        if num_bytes > MAX_BYTES:
            raise InputError("skeletons", f"{path.name}: {num_bytes} bytes of keypoints, at most {MAX_BYTES}")
        with np.load(path, allow_pickle=False) as arrays:
            return _checked(path, {name: arrays[name] for name in arrays.files})
    except InputError:
        raise
    except Exception as error:  # over foreign bytes numpy, zipfile and zlib raise almost anything
        reason = str(error).splitlines()[0] if str(error) else type(error).__name__
        raise InputError("skeletons", f"{path.name} is not a file of keypoints: {reason}") from error


def _load_table(path: Path, reader: Callable[[Path], dict[str, np.ndarray]]) -> SidecarKeypoints:
    try:
        if path.stat().st_size > MAX_TABLE_BYTES:
            raise ValueError(f"larger than {MAX_TABLE_BYTES} bytes")
        content = reader(path)
    except Exception as error:  # over foreign text pandas and json raise almost anything
        reason = str(error).splitlines()[0] if str(error) else type(error).__name__
        reason = f"no {reason}" if isinstance(error, KeyError) else reason
        raise InputError("skeletons", f"{path.name} is not a file of keypoints: {reason}") from error
    return _checked(path, content)


def _checked(path: Path, content: dict[str, np.ndarray]) -> SidecarKeypoints:
    def refuse(reason: str) -> InputError:
        return InputError("skeletons", f"{path.name}: {reason}")

    if "keypoints" not in content:
        raise refuse(f"no array 'keypoints', found {', '.join(sorted(content)) or 'nothing'}")
    name = str(content.get("layout", COCO17.name))
    if name not in LAYOUTS:
        raise refuse(f"unknown joint layout {name!r}; known: {', '.join(LAYOUTS)}")
    layout = LAYOUTS[name]
    keypoints = content["keypoints"]
    if keypoints.ndim == 3:
        keypoints = keypoints[:, None]  # one person
    if keypoints.dtype.kind != "f" or keypoints.ndim != 4 or keypoints.shape[2:] != (layout.num_joints, 3):
        raise refuse(
            f"keypoints are {keypoints.dtype} {keypoints.shape}, "
            f"expected float (T, P, {layout.num_joints}, 3) of layout {name}"
        )
    joints = tuple(str(joint) for joint in np.ravel(content.get("joints", layout.joints)))
    if joints != layout.joints:
        wrong = [f"{a} for {b}" for a, b in zip(joints, layout.joints, strict=False) if a != b]
        what = f"joint {wrong[0]}" if wrong else f"{len(joints)} names for {layout.num_joints} joints"
        raise refuse(f"its joints are not those of layout {name}: {what}")
    keypoints = keypoints.astype(np.float32)  # a copy: what follows is in place
    keypoints[~np.isfinite(keypoints).all(axis=-1)] = 0
    keypoints[keypoints[..., 2] <= 0] = 0
    if (keypoints[..., 2] > 1.001).any():
        raise refuse(f"joint scores up to {keypoints[..., 2].max():.3g}, expected [0, 1]")
    seen = keypoints[..., 2] > 0
    in_parts = np.array_equal(np.ravel(content.get("size_wh", ())), UNIT)
    if not in_parts and seen.any() and np.abs(keypoints[seen][:, :2]).max() <= 2:
        raise refuse("coordinates look normalised to the picture's size; expected source pixels")
    t_seconds = content.get("t_seconds")
    if t_seconds is not None:
        t_seconds = np.asarray(t_seconds, np.float64)
        if t_seconds.shape != keypoints.shape[:1]:
            raise refuse(f"t_seconds has shape {t_seconds.shape}, keypoints have {len(keypoints)} rows")
        if not np.isfinite(t_seconds).all() or (np.diff(t_seconds) <= 0).any():
            raise refuse("t_seconds is not strictly increasing")
    fps = float(content["fps"]) if "fps" in content else None
    if fps is not None and not 0 < fps < 10_000:
        raise refuse(f"fps is {fps}, expected a positive rate")
    size = content.get("size_wh")
    if size is not None and (size.shape != (2,) or (size <= 0).any()):
        raise refuse(f"size_wh is {size.tolist()}, expected two positive numbers")
    size_wh = None if size is None else (int(size[0]), int(size[1]))
    return SidecarKeypoints(keypoints, t_seconds, fps, size_wh, layout)


class Sidecar:
    """Serves the rows of a sidecar file frame by frame."""

    name = "sidecar"
    needs_pixels = False

    def __init__(self, keypoints: SidecarKeypoints) -> None:
        self.layout = keypoints.layout.name
        self.provenance: dict[str, Any] = {
            "name": self.name,
            "weights": {},
            "reason": "file beside the video",
        }
        self._data = keypoints
        self._nobody = np.zeros((0, keypoints.layout.num_joints, 3), np.float32)
        times = keypoints.t_seconds
        # A row serves a frame at most half a typical step away; further off there is none for it.
        self._tolerance = (
            0.5 * float(np.median(np.diff(times))) if times is not None and len(times) > 1 else 0.05
        )

    def detect(
        self, frame: Frame | None, frame_index: int, t: float, known_boxes_xyxy: np.ndarray | None
    ) -> Bodies:
        """The bodies that the file has for this frame; `known_boxes_xyxy` does not matter."""
        row = self._row(frame_index, t)
        bodies = self._data.keypoints[row] if row is not None else self._nobody
        bodies = bodies[(bodies[..., 2] > 0).any(axis=1)].copy()
        if frame is not None and self._data.size_wh is not None:
            bodies[..., 0] *= frame.width / self._data.size_wh[0]
            bodies[..., 1] *= frame.height / self._data.size_wh[1]
        # Joints that the file itself doubts do not bound a body, unless it has no others.
        doubtful = (bodies[..., 2] < SEEN_SCORE).all(axis=1)
        layout = self._data.layout
        boxes, scores = boxes_of_keypoints(bodies, layout), body_scores(bodies, layout)
        boxes[doubtful] = boxes_of_keypoints(bodies[doubtful], layout, min_score=0.0)
        scores[doubtful] = bodies[doubtful][..., 2].max(axis=1)
        return Bodies(boxes, bodies, scores)

    def _row(self, frame_index: int, t: float) -> int | None:
        times = self._data.t_seconds
        if times is None:
            return frame_index if frame_index < len(self._data.keypoints) else None
        if len(times) == 0:
            return None
        right = int(np.searchsorted(times, t))
        candidates = [row for row in (right - 1, right) if 0 <= row < len(times)]
        nearest = min(candidates, key=lambda row: abs(times[row] - t))
        return nearest if abs(times[nearest] - t) <= self._tolerance + 1e-6 else None
