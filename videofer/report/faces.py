"""Faces along the axis of a report: all of a person's in one picture, which the page cuts up again."""

from __future__ import annotations

import base64
import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from videofer.timeline.faces import FaceSample

FACE_PIXELS = 72  # side; shown at 34 to 52, screens have two pixels where CSS has one
JPEG_QUALITY = 82
SECONDS_PER_FACE = 1.0
MIN_FACES, MAX_FACES = 24, 320


@dataclass(frozen=True)
class Sprite:
    """Faces side by side, row by row, in the order of `times` (media seconds)."""

    times: tuple[float, ...]
    columns: int
    size: int  # pixels, the side of one face
    jpeg_base64: str


def num_faces(duration_seconds: float) -> int:
    """How many parts of a video to take a face from, for `face_strips`: enough to zoom into."""
    return int(min(MAX_FACES, max(MIN_FACES, math.ceil(duration_seconds / SECONDS_PER_FACE))))


def sprite(faces: Sequence[FaceSample]) -> Sprite:
    """One picture of all faces of a person, at most MAX_FACES of them, evenly chosen."""
    import cv2

    assert faces
    if len(faces) > MAX_FACES:
        faces = [faces[place * len(faces) // MAX_FACES] for place in range(MAX_FACES)]
    columns = math.ceil(math.sqrt(len(faces)))
    lines = math.ceil(len(faces) / columns)
    sheet = np.full((lines * FACE_PIXELS, columns * FACE_PIXELS, 3), 128, np.uint8)
    for place, face in enumerate(faces):
        y, x = (place // columns) * FACE_PIXELS, (place % columns) * FACE_PIXELS
        shrinks = face.crop.shape[0] > FACE_PIXELS
        sheet[y : y + FACE_PIXELS, x : x + FACE_PIXELS] = cv2.resize(
            face.crop,
            (FACE_PIXELS, FACE_PIXELS),
            interpolation=cv2.INTER_AREA if shrinks else cv2.INTER_CUBIC,
        )
    done, jpeg = cv2.imencode(".jpg", sheet[..., ::-1], [cv2.IMWRITE_JPEG_QUALITY, JPEG_QUALITY])
    assert done
    text = base64.b64encode(jpeg.tobytes()).decode("ascii")
    return Sprite(tuple(face.t for face in faces), columns, FACE_PIXELS, text)
