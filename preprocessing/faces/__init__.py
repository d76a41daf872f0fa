"""Face detectors behind one seam: `resolve` a choice in the driver, `build` it in each worker."""

from preprocessing.faces.select import FACE_DETECTORS, build, resolve

__all__ = ["FACE_DETECTORS", "build", "resolve"]
