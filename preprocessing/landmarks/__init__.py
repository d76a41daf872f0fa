"""Dense landmarks of faces behind one seam: `resolve` a choice in the driver, `build` it in each worker."""

from preprocessing.landmarks.fan import points_3d
from preprocessing.landmarks.select import LANDMARK_ENGINES, build, resolve

__all__ = ["LANDMARK_ENGINES", "build", "points_3d", "resolve"]
