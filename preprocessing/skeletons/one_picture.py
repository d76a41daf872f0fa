"""Keypoints of people in one picture, where their boxes are known: the function for other programs."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from cache.errors import UserError
from preprocessing.skeletons.onestage import OneStage
from preprocessing.skeletons.select import build_skeletons, resolve_skeletons
from preprocessing.skeletons.topdown import TopDown


def estimate(
    image_rgb_uint8: np.ndarray,
    boxes_xyxy: np.ndarray,
    engine: str | TopDown | OneStage,
    *,
    weights_dir: Path | str | None = None,
) -> np.ndarray:
    """Keypoints (P, J, 3) float32 of the person in each box: x, y in pixels of the picture, score in [0, 1].

    image_rgb_uint8: (h, w, 3) uint8 RGB, upright. boxes_xyxy: (P, 4) x0, y0, x1, y1 in its pixels, about each
    whole person, as COCO draws them; they may reach beyond the picture. engine: as on the command line of
    `videofer preprocess --pose` (`onnx:POSE`, `rtmlib:NAME`, `mmpose:CONFIG,CHECKPOINT`), its person detector
    is not used; for many pictures build it once: `build_skeletons(resolve_skeletons(text))`. weights_dir:
    where its files may lie, too.

    Coordinates are continuous: the centre of the first pixel is (0.5, 0.5); pixel numbers, as in COCO's
    annotations, are half a pixel less. The joints are those of the engine's `layout`: 17 of COCO, 26 of
    Halpe, 133 of COCO-WholeBody, or what an mmpose config has. A one-stage engine looks at the whole picture;
    a box in which it finds nobody has zeros.

    Raises UserError in one line where the engine cannot be had, or picture or boxes are of another form.
    """
    from preprocessing.decode.frames import PixelFrame

    with np.errstate(over="ignore"):  # what is no float32 is not finite
        image, boxes = np.asarray(image_rgb_uint8), np.asarray(boxes_xyxy).astype(np.float32)
    if image.dtype != np.uint8 or image.ndim != 3 or image.shape[2] != 3 or 0 in image.shape:
        raise UserError(f"the picture is {image.dtype} {image.shape}, expected uint8 (h, w, 3)")
    if boxes.size == 0:
        boxes = boxes.reshape(0, 4)
    if boxes.ndim != 2 or boxes.shape[1] != 4 or not np.isfinite(boxes).all():
        raise UserError(f"boxes are {boxes.shape}, expected (P, 4) finite numbers")
    folder = None if weights_dir is None else Path(weights_dir)
    built = build_skeletons(resolve_skeletons(engine, folder)) if isinstance(engine, str) else engine
    if built is None:
        raise UserError(
            f"pose {engine!r} is no model; give onnx:POSE, rtmlib:NAME or mmpose:CONFIG,CHECKPOINT"
        )
    return built.read(PixelFrame(np.ascontiguousarray(image), 0, 1), boxes)
