"""Keypoints in CSV tables: a row a frame and person, or a row a joint; joints by name or by number.

    frame, nose_x, nose_y, nose_visibility, left_eye_inner_x, ...       named, e.g. MediaPipe's 33
    frame, person, x0, y0, v0, x1, y1, v1, ...                          numbered, from 0 or 1
    frame, landmark_index, x, y, z, visibility                          a row a joint

A column `frame` numbers decoded frames from 0, one of the names in TIME tells media seconds; without either
row i is frame i. Scores are optional; depth is not read.
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from preprocessing.skeletons.keypoint_rows import Rows, layout_by_count, layout_by_names, plain
from preprocessing.skeletons.layouts import Layout

if TYPE_CHECKING:
    import pandas as pd

FRAME = ("frame", "frameindex", "frameidx", "frameid", "framenumber")
TIME = ("tseconds", "seconds", "time", "timestamp", "timestamps", "t")
TIME_MS = ("timestampms", "timems", "milliseconds")
JOINT = ("landmark", "landmarkindex", "landmarkid", "landmarkname", "joint", "jointname", "keypoint")
SCORE = ("score", "visibility", "confidence", "likelihood", "conf", "vis", "v", "c", "s", "p")
_COLUMN = re.compile(r"(?P<joint>.*?)[\s_.\-]*(?P<what>x|y|" + "|".join(SCORE) + r")", re.IGNORECASE)
_NUMBERED = re.compile(r"(?P<what>x|y|" + "|".join(SCORE) + r")[\s_.\-]*(?P<joint>\d{1,3})", re.IGNORECASE)


def read_csv(path: Path) -> dict[str, np.ndarray]:
    """The arrays of `Rows.arrays`. ValueError in one line where the table is of none of these forms."""
    import pandas as pd

    table = pd.read_csv(path, low_memory=False)
    columns = {plain(str(name)): str(name) for name in table.columns}
    joint = _first(columns, JOINT)
    return _long(table, columns, joint).arrays() if joint else _wide(table, columns).arrays()


def _wide(table: pd.DataFrame, columns: dict[str, str]) -> Rows:
    """A row a frame and person."""
    found: dict[str, dict[str, str]] = {}  # joint -> x, y, score -> column
    for name in map(str, table.columns):
        match = _NUMBERED.fullmatch(name) or _COLUMN.fullmatch(name)
        if match is None or not match["joint"] or plain(name) in (*FRAME, *TIME, *TIME_MS):
            continue
        what = match["what"].lower()
        found.setdefault(plain(match["joint"]), {})[what if what in ("x", "y") else "score"] = name
    found = {joint: parts for joint, parts in found.items() if {"x", "y"} <= set(parts)}
    layout, keys = _layout(list(found))
    rows = Rows(layout)
    bodies = np.ones((len(table), layout.num_joints, 3), np.float32)
    for place, key in enumerate(keys):
        for axis, what in enumerate(("x", "y", "score")):
            if what in found[key]:
                bodies[:, place, axis] = table[found[key][what]].to_numpy(np.float32)
    frames, seconds = _frames(table, columns)
    for frame, body in zip(frames.tolist(), bodies, strict=True):
        rows.bodies[frame].append(body)
    rows.seconds.update(zip(frames.tolist(), seconds.tolist(), strict=True) if seconds is not None else ())
    return rows


def _long(table: pd.DataFrame, columns: dict[str, str], joint: str) -> Rows:
    """A row a joint. The joints of a frame and person stand together, or their person is told."""
    for axis in ("x", "y"):
        if axis not in columns:
            raise ValueError(f"a row a joint, but no column {axis}")
    names = [plain(str(name)) for name in table[joint]]
    layout, keys = _layout(list(dict.fromkeys(names)))
    place = {key: number for number, key in enumerate(keys)}
    rows = Rows(layout)
    frames, seconds = _frames(table, columns, needed=True)
    score = _first(columns, SCORE)
    points = np.ones((len(table), 3), np.float32)
    points[:, 0], points[:, 1] = table[columns["x"]], table[columns["y"]]
    if score:
        points[:, 2] = table[score]
    person = _first(columns, ("person", "personid", "trackid", "id"))
    people = table[person].astype(str).tolist() if person else [""] * len(table)
    bodies: dict[tuple[int, str], np.ndarray] = {}
    for frame, who, name, point in zip(frames.tolist(), people, names, points, strict=True):
        if name not in place:
            continue
        body = bodies.setdefault((frame, who), np.zeros((layout.num_joints, 3), np.float32))
        body[place[name]] = point
    for (frame, _), body in bodies.items():
        rows.bodies[frame].append(body)
    if seconds is not None:
        rows.seconds.update(zip(frames.tolist(), seconds.tolist(), strict=True))
    return rows


def _layout(keys: list[str]) -> tuple[Layout, list[str]]:
    """The layout that has these joints, and which of them stands for each of its own."""
    named = layout_by_names(keys)
    if named is not None:
        return named, [plain(joint) for joint in named.joints]
    numbers = {int(digits[0]): key for key in keys if (digits := re.findall(r"\d+", key))}
    if len(numbers) != len(keys) or not numbers or max(numbers) - min(numbers) + 1 != len(numbers):
        shown = ", ".join(keys[:3]) or "none"
        raise ValueError(f"columns of no known layout: joints {shown}{', ...' if len(keys) > 3 else ''}")
    return layout_by_count(len(numbers)), [numbers[number] for number in sorted(numbers)]


def _frames(
    table: pd.DataFrame, columns: dict[str, str], *, needed: bool = False
) -> tuple[np.ndarray, np.ndarray | None]:
    """(n,) int64 frame of each row, and (n,) its media seconds where they are told."""
    seconds = None
    for names, unit in ((TIME, 1.0), (TIME_MS, 1e-3)):
        name = _first(columns, names)
        if name and seconds is None:
            seconds = table[name].to_numpy(np.float64) * unit
    frame = _first(columns, FRAME)
    if frame:
        numbers = table[frame].to_numpy(np.float64)
        if not np.isfinite(numbers).all() or (numbers != np.rint(numbers)).any():
            raise ValueError(f"column {frame} holds what are no frame numbers")
        return numbers.astype(np.int64), seconds
    if seconds is not None:
        return np.unique(seconds, return_inverse=True)[1].astype(np.int64), seconds
    if needed:
        raise ValueError("a row a joint, but neither frames nor times")
    return np.arange(len(table)), None


def _first(columns: dict[str, str], names: tuple[str, ...]) -> str | None:
    return next((columns[name] for name in names if name in columns), None)
