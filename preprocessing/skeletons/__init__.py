"""Skeleton engines behind one seam: `resolve_skeletons` in the driver, `build_skeletons` in each worker."""

from preprocessing.skeletons.select import build_skeletons, resolve_skeletons
from preprocessing.skeletons.sidecar import Sidecar, SidecarKeypoints, load_sidecar

__all__ = ["Sidecar", "SidecarKeypoints", "build_skeletons", "load_sidecar", "resolve_skeletons"]
