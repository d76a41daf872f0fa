"""BRED: a table of three annotators whose paths are not those on disk, and OpenPose files, no pictures."""

from __future__ import annotations

import json
from pathlib import Path

from tests.videofer.miniatures.media import text

HEADER = "path,emotion,ann_1_body,ann_1_face,ann_2_body,ann_2_face,ann_3_body,ann_3_face\n"
ROWS = [
    ("spontaneous/07/happiness_1.avi", "Happiness", "yes,yes,no,yes,no,yes"),
    ("acted/07/fear_1.avi", "Fear", "yes,no,yes,no,yes,yes"),
    ("acted/12/surprise_1.avi", "Surprise", "no,no,no,no,no,no"),
    ("acted/30/anger_2.avi", "Anger", "yes,yes,yes,yes,yes,yes"),
]
_PARTS = {"spontaneous": "game", "acted": "pre-game"}


def build(root: Path, num_frames: int = 3, children: int = 0) -> Path:
    """children: so many more, with a clip of happiness and one of fear each."""
    folder = root / "BRED_dataset"
    rows = ROWS + [
        (f"acted/{40 + child}/{word.lower()}_1.avi", word, "yes,yes,no,yes,yes,no")
        for child in range(children)
        for word in ("Happiness", "Fear")
    ]
    text(folder / "annotations.csv", HEADER + "".join(f"BRED_dataset/{p},{e},{a}\n" for p, e, a in rows))
    for number, (path, _, _) in enumerate(rows):
        person = {
            "pose_keypoints_2d": [0.5, 0.5 + number / 100, 0.9] * 25,
            "hand_left_keypoints_2d": [0.4, 0.6, 0.8] * 21,
            "hand_right_keypoints_2d": [0.6, 0.6, 0.8] * 21,
        }
        part, child, clip = path.removesuffix(".avi").split("/")
        place = folder / _PARTS[part] / child / clip
        text(
            place / "openface_output.csv",
            "frame, face_id, timestamp, confidence, success\n1, 0, 0.0, 0.9, 1\n",
        )
        for frame in range(num_frames):
            people = [person] if frame else []
            text(
                place / "openpose_output" / "json" / f"{clip}_{frame:012}_keypoints.json",
                json.dumps({"version": 1.3, "people": people}),
            )
    return root
