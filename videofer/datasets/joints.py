"""Joints of a data set as `.keypoints.npz`, the form that `videofer preprocess` takes without a picture."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from cache.atomic import atomic_write

SUFFIX = ".keypoints.npz"


def write_joints(
    folder: Path,
    name: str,
    joints: np.ndarray,
    layout: str,
    fps: float,
    size_wh: tuple[int, int] | None = None,
) -> Path:
    """Writes `name`.keypoints.npz below the folder; returns its path.

    joints: (T, P, J, 3) float, x and y in pixels or units of their own, score in [0, 1]. layout: as
    `preprocessing.skeletons.layouts` calls it. fps: rows a second. size_wh: of the picture, where there was
    one.
    """
    path = folder / f"{name}{SUFFIX}"
    path.parent.mkdir(parents=True, exist_ok=True)
    arrays: dict[str, Any] = {
        "keypoints": joints.astype(np.float32),
        "layout": np.array(layout),
        "fps": np.array(fps),
    }
    if size_wh is not None:
        arrays["size_wh"] = np.array(size_wh)
    with atomic_write(path) as file:
        np.savez_compressed(file, **arrays)
    return path
