"""Faces of single pictures by any detector, without a store: `preprocessing.faces.detect`."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from cache.errors import UserError
from preprocessing.faces.select import build, resolve
from preprocessing.types import FaceDetector, Faces

Found = tuple[np.ndarray, np.ndarray, np.ndarray]


def detect(
    images_rgb_uint8: Sequence[np.ndarray],
    engine: str | FaceDetector = "auto",
    weights_dir: Path | str | None = None,
) -> list[Found]:
    """The faces of each picture: boxes (N, 4), scores (N,) and landmarks (N, 5, 2), all float32, best first.

    images_rgb_uint8: pictures (h, w, 3) uint8 RGB, which may differ in size. A box is x0, y0, x1, y1, half
    open; landmarks are x, y of the image's left eye, its right eye, the nose, the left and the right corner
    of the mouth; scores are in [0, 1], what they mean is the detector's affair. All in pixels of the picture,
    pixel i covering [i, i + 1). A result does not depend on the other pictures.

    engine: as `videofer preprocess --faces` takes it; for many calls build it once: `build(resolve(text))`.
    weights_dir: where its files are looked for first, as `--weights-dir`. Pictures are searched as large as
    they are (by YuNet large ones once more, reduced, for large faces); in videos they are reduced first.

    Raises WeightsError (one line) where the engine cannot be had, UserError where a picture is none.
    """
    for n, image in enumerate(images_rgb_uint8):
        is_picture = isinstance(image, np.ndarray) and image.dtype == np.uint8 and image.ndim == 3
        if not is_picture or image.shape[2] != 3 or 0 in image.shape:
            is_array = isinstance(image, np.ndarray)
            what = f"{image.shape} {image.dtype}" if is_array else type(image).__name__
            raise UserError(f"picture {n} must be (h, w, 3) uint8 RGB, not {what}")
    folder = None if weights_dir is None else Path(weights_dir)
    detector = build(resolve(engine, folder)) if isinstance(engine, str) else engine
    by_size: dict[tuple[int, ...], list[int]] = {}
    for n, image in enumerate(images_rgb_uint8):
        by_size.setdefault(image.shape, []).append(n)
    faces: dict[int, Faces] = {}
    for numbers in by_size.values():
        found = detector.detect([images_rgb_uint8[n] for n in numbers])
        faces.update(zip(numbers, found, strict=True))
    return [
        (one.boxes_xyxy, one.scores, one.landmarks_xy)
        for one in (faces[n] for n in range(len(images_rgb_uint8)))
    ]
