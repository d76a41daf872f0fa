"""The synthetic faces by which tests know that the built-in model says what it said when it was released.

Drawn by `videofer.synthetic` from the photograph that a dependency ships (NASA, public domain), as crops of
the canonical template: `python -m tools.builtin.faces`. The sheet is committed: libraries that draw may
change, the pixels must not.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
from PIL import Image

from preprocessing.align import similarity_from_landmarks, warp_patch
from videofer.synthetic.face import ACTION, ACTIONS, FaceRenderer
from videofer.synthetic.photo import to_canvas
from videofer.synthetic.subjects import draw_subject

SHEET = Path("tests/videofer/builtin_faces.png")
SIDE = 112
LOOKS = {
    "rest": {},
    "smile": {"corner_up": 1.0, "mouth_open": 0.45, "eye_widen": -0.3},
    "gloom": {"corner_down": 1.0, "inner_brow": 1.0, "eye_close": 0.25},
    "startle": {"brow_raise": 1.0, "eye_widen": 1.0, "mouth_open": 0.9, "mouth_narrow": 0.6},
}
SUBJECTS = (0, 3)
_POPULATION = 7
_BACKGROUND = (150, 158, 166)
_LANDMARKS_UV = [(-0.5, 0.0), (0.5, 0.0), (0.0, 0.57), (-0.35, 0.95), (0.35, 0.95)]  # eyes, nose, mouth


def draw_sheet() -> np.ndarray:
    """(rows * 112, columns * 112, 3) uint8: a row for each subject, a column for each look."""
    warp = similarity_from_landmarks(to_canvas(_LANDMARKS_UV)[None], SIDE)[0]
    rows = []
    for number in SUBJECTS:
        renderer = FaceRenderer(draw_subject(number, _POPULATION))
        faces = []
        for look in LOOKS.values():
            actions = np.zeros(len(ACTIONS))
            for name, value in look.items():
                actions[ACTION[name]] = value
            head = renderer.render(actions).astype(np.float32)
            alpha = head[..., 3:] / 255
            picture = head[..., :3] * alpha + np.array(_BACKGROUND, np.float32) * (1 - alpha)
            faces.append(warp_patch(np.rint(picture).astype(np.uint8), warp, (SIDE, SIDE)))
        rows.append(np.concatenate(faces, axis=1))
    return np.concatenate(rows)


def faces_of(sheet: Path = SHEET) -> np.ndarray:
    """The committed faces: (8, 112, 112, 3) uint8, row by row."""
    pixels = np.asarray(Image.open(sheet).convert("RGB"))
    rows = pixels.reshape(len(SUBJECTS), SIDE, len(LOOKS), SIDE, 3)
    return np.ascontiguousarray(rows.transpose(0, 2, 1, 3, 4).reshape(-1, SIDE, SIDE, 3))


if __name__ == "__main__":
    Image.fromarray(draw_sheet()).save(SHEET, optimize=True)
