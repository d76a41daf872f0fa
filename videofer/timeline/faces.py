"""Faces to show beside a timeline: small pictures of every person along the axis of time."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from cache.reader import StoreReader

NUM_FACES = 18  # along the axis of a plot


@dataclass(frozen=True)
class FaceSample:
    """A crop to show: media seconds, and (S, S, 3) uint8 RGB."""

    t: float
    crop: np.ndarray


FaceStrips = Mapping[int, Sequence[FaceSample]]
"""Faces of each person in order of time, one at most for each of so many equal parts of the video."""


def face_strips(reader: StoreReader, key: str, duration: float, num_faces: int = NUM_FACES) -> FaceStrips:
    """Faces of every person of a video: of each of num_faces parts of [0, duration), the one nearest to the
    part's middle. `duration` is the end of the timeline. Persons without a face are left out.
    """
    strips = {}
    centres = (np.arange(num_faces) + 0.5) * duration / num_faces
    for person in reader.video(key).persons:
        track = reader.track(key, person.id)
        seen = np.flatnonzero(track.has_crop)
        if len(seen) == 0:
            continue
        middle = np.clip((track.t_start[seen] + track.t_end[seen]) / 2, 0, duration)
        nearest = [int(np.abs(middle - centre).argmin()) for centre in centres]
        half = duration / num_faces / 2
        # A long frame (a picture, a slow video) is shown in every part in which it is on screen.
        kept = [
            (float(centre), seen[i])
            for centre, i in zip(centres, nearest, strict=True)
            if track.t_start[seen[i]] < centre + half and track.t_end[seen[i]] > centre - half
        ]
        if kept:
            crops = reader.read_crops(track, np.array([row for _, row in kept]))
            strips[person.id] = [FaceSample(t, crop) for (t, _), crop in zip(kept, crops, strict=True)]
    return strips
