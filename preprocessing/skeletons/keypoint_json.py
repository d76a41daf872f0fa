"""Keypoints in one JSON file: MediaPipe's landmarks, COCO's and AlphaPose's results, mmpose's predictions.

    [{"frame": 0, "landmarks": [{"x": 0.5, "y": 0.2, "visibility": 0.9}, ...]}, ...]    MediaPipe
    [{"image_id": "0.jpg", "keypoints": [x, y, score, ...]}, ...]                       COCO, AlphaPose
    [{"frame_id": 0, "instances": [{"keypoints": [[x, y], ...], "keypoint_scores": [...]}]}, ...]   mmpose
    {"meta_info": ..., "instance_info": [{"frame_id": 1, "instances": ...}]}            mmpose's demos

MediaPipe's list may also stand under "frames", and a frame may hold several people. Frames count from 0, but
for mmpose's demos, which count from 1. The number of joints tells the layout.
"""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import numpy as np

from preprocessing.skeletons.keypoint_rows import Rows, layout_by_count

LANDMARKS = ("landmarks", "pose_landmarks", "poseLandmarks")
SCORES = ("visibility", "score", "confidence", "presence")


def read_json(path: Path) -> dict[str, np.ndarray]:
    """The arrays of `Rows.arrays`. ValueError in one line where the file is of none of these forms."""
    content = json.loads(path.read_text("utf-8"))
    first_frame = 0
    if isinstance(content, dict):
        first_frame = 1 if "instance_info" in content else 0
        content = content.get("instance_info", content.get("frames"))
    if not isinstance(content, list) or not all(isinstance(entry, dict) for entry in content):
        raise ValueError("no list of frames")
    bodies: list[tuple[int, np.ndarray]] = []
    frames, seconds = [], {}
    for number, entry in enumerate(content):
        frame = _frame(entry, number, first_frame)
        frames.append(frame)
        for name in ("t_seconds", "time", "timestamp"):
            if name in entry:
                seconds[frame] = float(entry[name])
        bodies += [(frame, body) for body in _people(entry)]
    counts = {len(body) for _, body in bodies}
    if len(counts) != 1:
        raise ValueError(f"bodies of {', '.join(map(str, sorted(counts))) or 'no'} joints")
    rows = Rows(layout_by_count(counts.pop()), seconds=seconds)
    for frame in frames:
        rows.bodies.setdefault(frame, [])  # a frame without people is a row, too
    for frame, body in bodies:
        rows.bodies[frame].append(body)
    return rows.arrays()


def _frame(entry: dict[str, Any], number: int, first_frame: int) -> int:
    for name in ("frame", "frame_id", "frame_index", "image_id"):
        if name in entry:
            digits = re.findall(r"\d+", str(entry[name]))
            if not digits:
                raise ValueError(f"{name} {entry[name]!r} holds no number")
            return int(digits[-1]) - first_frame
    return number


def _people(entry: dict[str, Any]) -> list[np.ndarray]:
    """(J, 3) of each person of an entry."""
    if "instances" in entry:
        return [_instance(person) for person in entry["instances"]]
    if "keypoints" in entry:
        return [_instance(entry)]
    for name in LANDMARKS:
        points = entry.get(name, ())
        if points:
            people = points if isinstance(points[0], list) else [points]
            return [np.array([_landmark(point) for point in person], np.float32) for person in people]
    return []


def _instance(person: dict[str, Any]) -> np.ndarray:
    """COCO's flat x, y, score; or points with scores beside them."""
    points = np.array(person["keypoints"], np.float32)
    if points.ndim == 1:
        points = points.reshape(-1, 3)
    if points.ndim != 2 or points.shape[1] not in (2, 3):
        raise ValueError(f"keypoints of shape {points.shape}")
    if points.shape[1] == 3:
        return points
    scores = np.array(person.get("keypoint_scores", np.ones(len(points))), np.float32)
    return np.concatenate([points, scores.reshape(-1, 1)], axis=1)


def _landmark(point: dict[str, Any]) -> tuple[float, float, float]:
    score = next((float(point[name]) for name in SCORES if name in point), 1.0)
    return float(point["x"]), float(point["y"]), score
