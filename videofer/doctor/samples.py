"""What engines are tried on: a photograph whose face we know, and a short video of it."""

from __future__ import annotations

from fractions import Fraction
from pathlib import Path

import numpy as np

SIZE_WH = (640, 360)
NUM_FRAMES = 90
FACE_BOX = (226.0, 75.0, 337.0, 219.0)  # x0, y0, x1, y1 in the picture: between what two detectors find
FACE_LANDMARKS = ((256.4, 124.0), (309.4, 129.2), (280.0, 159.9), (251.3, 175.5), (303.1, 180.4))
"""Eyes, nose and corners of the mouth, from left to right in the picture."""


def photograph() -> np.ndarray:
    """(360, 640, 3) uint8 RGB: the astronaut of scikit-image (public domain), head and shoulders."""
    import cv2
    from skimage.data import astronaut

    whole: np.ndarray = astronaut()  # type: ignore[no-untyped-call]
    picture: np.ndarray = cv2.resize(whole[:288], SIZE_WH, interpolation=cv2.INTER_LINEAR)
    return picture


def shifted(picture: np.ndarray, frame: int) -> np.ndarray:
    """The picture as frame number `frame` shows it: it wanders to the right, so that no two are alike."""
    return np.roll(picture, 2 * frame, axis=1)


def write_video(path: Path, picture: np.ndarray) -> Path:
    """H.264 in MP4, NUM_FRAMES frames of 1/25 s, each `shifted` by its number."""
    import av

    with av.open(path, "w") as container:
        stream = container.add_stream("libx264", rate=25, options={"preset": "ultrafast", "crf": "20"})
        stream.width, stream.height = SIZE_WH
        stream.pix_fmt = "yuv420p"
        for number in range(NUM_FRAMES):
            image = av.VideoFrame.from_ndarray(shifted(picture, number), format="rgb24")
            image.pts, image.time_base = number, Fraction(1, 25)
            container.mux(stream.encode(image))
        container.mux(stream.encode())
    return path
