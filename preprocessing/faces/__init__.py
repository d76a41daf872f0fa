"""Face detectors behind one seam: `resolve` a choice in the driver, `build` it in each worker.

`detect` finds the faces of single pictures, for users of Python.
"""

from preprocessing.faces.detect import detect
from preprocessing.faces.select import FACE_DETECTORS, build, resolve

__all__ = ["FACE_DETECTORS", "build", "detect", "resolve"]
