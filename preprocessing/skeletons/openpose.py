"""OpenPose's output: a folder of `*_keypoints.json`, one file a frame.

Of BODY_25, with both hands where every person has them, or of its 18-joint COCO model.
"""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import numpy as np

from preprocessing.skeletons.layouts import OPENPOSE18, OPENPOSE25, OPENPOSE67, Layout
from preprocessing.types import InputError

SUFFIX = "_keypoints.json"
MAX_FILE_BYTES = 16 << 20
LAYOUT_BY_LENGTH = {3 * layout.num_joints: layout for layout in (OPENPOSE25, OPENPOSE18)}
HANDS = ("hand_left_keypoints_2d", "hand_right_keypoints_2d")
NUMBERS_OF_A_HAND = 63


def load_openpose(folder: Path, *, gaps: bool = True) -> tuple[np.ndarray, Layout]:
    """Keypoints (T, P, J, 3) float32 and their layout; row i is frame i, empty where the frame has no file.

    The frame is the number before `_keypoints.json`, as OpenPose writes it. Without gaps, row i is the
    i-th file. InputError("skeletons", ...) on a file that cannot be read or is not of this form.
    """
    files: dict[int, Path] = {}
    for path in sorted(folder.glob(f"*{SUFFIX}")):
        twin = files.setdefault(_frame_number(path), path)
        if twin != path:
            raise InputError("skeletons", f"{folder.name}: {twin.name} and {path.name} are the same frame")
    if not gaps:
        files = dict(enumerate(files[number] for number in sorted(files)))
    if not files:
        raise InputError("skeletons", f"{folder.name}: no *{SUFFIX} files")
    num_rows = max(files) + 1
    if num_rows > 1000 * (len(files) + 100):
        raise InputError(
            "skeletons", f"{folder.name}: frame number {max(files)} in a folder of {len(files)} files"
        )
    read = {number: _read(path) for number, path in files.items()}
    with_hands = all(len(hands) for people in read.values() for _, hands in people)
    frames = {
        number: [np.concatenate([body, hands]) if with_hands else body for body, hands in people]
        for number, people in read.items()
    }
    lengths = {len(numbers): files[frame] for frame, people in frames.items() for numbers in people}
    if len(lengths) > 1:
        (a, first), (b, second) = sorted(lengths.items())[:2]
        raise InputError(
            "skeletons",
            f"{folder.name}: {a // 3} joints in {first.name}, {b // 3} in {second.name}; "
            "all must be of one model",
        )
    layout = OPENPOSE25
    if lengths:
        layout = OPENPOSE67 if with_hands else LAYOUT_BY_LENGTH[next(iter(lengths))]
    num_slots = max(len(people) for people in frames.values())
    keypoints = np.zeros((num_rows, num_slots, layout.num_joints, 3), np.float32)
    for number, people in frames.items():
        for slot, numbers in enumerate(people):
            keypoints[number, slot] = numbers.reshape(-1, 3)
    return keypoints, layout


def _frame_number(path: Path) -> int:
    match = re.search(r"(\d{1,12})$", path.name.removesuffix(SUFFIX))
    if match is None:
        raise InputError("skeletons", f"{path.name}: no frame number before {SUFFIX}")
    return int(match.group(1))


def _read(path: Path) -> list[tuple[np.ndarray, np.ndarray]]:
    """The numbers of each person in one file, (75,) or (54,) float32, and of both hands, (126,) or (0,)."""
    try:
        if path.stat().st_size > MAX_FILE_BYTES:
            raise ValueError(f"larger than {MAX_FILE_BYTES} bytes")
        content = json.loads(path.read_text("utf-8"))
        people = [
            (np.array(person["pose_keypoints_2d"], np.float32), _hands_of(person))
            for person in content["people"]
        ]
    except (OSError, ValueError, KeyError, TypeError, RecursionError) as error:
        reason = f"no {error}" if isinstance(error, KeyError) else str(error)
        raise InputError("skeletons", f"{path.name} is not OpenPose output: {reason}") from error
    for numbers, _ in people:
        if numbers.ndim != 1 or len(numbers) not in LAYOUT_BY_LENGTH:
            raise InputError(
                "skeletons",
                f"{path.name}: {numbers.size} numbers for a person; "
                "known: 75 (BODY_25), 54 (COCO, 18 joints)",
            )
    return people


def _hands_of(person: dict[str, Any]) -> np.ndarray:
    """(126,) float32 of the left and the right hand of a person of BODY_25; (0,) where it has not both."""
    hands = [np.array(person.get(name) or [], np.float32) for name in HANDS]
    is_body25 = len(person["pose_keypoints_2d"]) == 3 * OPENPOSE25.num_joints
    if is_body25 and all(hand.shape == (NUMBERS_OF_A_HAND,) for hand in hands):
        return np.concatenate(hands)
    return np.empty(0, np.float32)
