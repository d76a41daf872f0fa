"""Skeletons of an engine, brought to the joint layout that is wanted."""

from __future__ import annotations

from typing import Any

import numpy as np

from preprocessing.skeletons.layouts import LAYOUTS, JointMapping, mapping
from preprocessing.types import Bodies, Frame, InputError, SkeletonEngine


class InLayout:
    """Fulfils `preprocessing.types.SkeletonEngine` with another engine's bodies. Boxes and scores are its."""

    def __init__(self, engine: SkeletonEngine, change: JointMapping) -> None:
        self.name = engine.name
        self.layout = change.target.name
        self.provenance: dict[str, Any] = engine.provenance
        self.needs_pixels = engine.needs_pixels
        self._engine, self._change = engine, change

    def detect(
        self, frame: Frame | None, frame_index: int, t: float, known_boxes_xyxy: np.ndarray | None
    ) -> Bodies:
        """As the engine does."""
        found = self._engine.detect(frame, frame_index, t, known_boxes_xyxy)
        keypoints = np.nan_to_num(self._change(found.keypoints))
        return Bodies(found.boxes_xyxy, keypoints, found.scores)


def in_layout(engine: SkeletonEngine, wanted: str) -> SkeletonEngine | None:
    """The engine with its joints in the layout `wanted`; None where it lacks some of them."""
    if engine.layout == wanted:
        return engine
    change = mapping(LAYOUTS[engine.layout], LAYOUTS[wanted])
    return None if change.missing else InLayout(engine, change)


def as_layout(engine: SkeletonEngine, wanted: str) -> SkeletonEngine:
    """As `in_layout`. InputError("skeletons", ...) in one line where the engine lacks joints of it."""
    result = in_layout(engine, wanted)
    if result is None:
        why = why_not(engine.layout, wanted)
        raise InputError(
            "skeletons", f"its joints are {engine.layout}, those of this store are {wanted}: {why}"
        )
    return result


def why_not(layout: str, wanted: str) -> str:
    """Why one layout cannot be brought to another, for a message."""
    missing = mapping(LAYOUTS[layout], LAYOUTS[wanted]).missing
    more = f" and {len(missing) - 3} more" if len(missing) > 3 else ""
    return f"{layout} has no {', '.join(missing[:3])}{more}"
