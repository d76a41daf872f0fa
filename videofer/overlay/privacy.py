"""Faces made unrecognisable: a coarse mosaic, blurred, over far more than the face's box.

Of what is covered only the means of CELLS x CELLS parts of an area over half as wide again as the face are
left: about three by three numbers for the face itself. Covered is where a face track of the store is or may
be: between two sightings up to GAP_SECONDS apart, BEFORE_SECONDS before the first one, for a face is in the
picture before it is found, and AFTER_SECONDS after the last one; and around what a second look finds (see
`videofer.overlay.second_look`). A face that neither found is not covered: look at the result.
"""

from __future__ import annotations

from collections.abc import Sequence

import cv2
import numpy as np

from videofer.overlay.motion import Path
from videofer.overlay.paint import Planes

CELLS = 5  # a side
GROWN = 1.75  # sides of the covered area by those of the face's box
GAP_SECONDS = 3.0
BEFORE_SECONDS = 2.25  # small faces beside large ones are looked for every 2 s (`detect_full_seconds`)
AFTER_SECONDS = 1.0
SIGHTING_SECONDS = 0.35  # before and after; a second look comes every 0.2 s
GROWTH_A_SECOND = 0.6  # of the sides, with the time to the nearest sighting ...
MAX_GROWTH = 1.6  # ... up to this factor
CORE = (
    1.45  # the ellipse within which nothing shines through: it holds the whole box, whose corners lie at 1.42
)
ROUND_FACE = 1.15  # a face is round: an ellipse so much larger than the one that fits into its box
MIN_SIDE_PIXELS = 8
SAMPLED_SIDE = 60  # means are taken over at most so many pixels a side


class HiddenFaces:
    """Faces that must not be seen: the tracks of a store, and single sightings of a second look."""

    def __init__(self, tracks: Sequence[Path], sightings: Sequence[Path] = ()) -> None:
        self._tracks = [*tracks, *sightings]
        before = [BEFORE_SECONDS] * len(tracks) + [SIGHTING_SECONDS] * len(sightings)
        after = [AFTER_SECONDS] * len(tracks) + [SIGHTING_SECONDS] * len(sightings)
        self._before, self._after = before, after
        self._from = np.array([track.t[0] for track in self._tracks]) - before
        self._to = np.array([track.t[-1] for track in self._tracks]) + after

    def boxes_at(self, t: float) -> list[np.ndarray]:
        """What to cover at a time: (4,) boxes of faces, larger where their face is not seen just then."""
        found = []
        for number in np.flatnonzero((self._from <= t) & (t <= self._to)):
            track = self._tracks[number]
            hold_seconds = self._before[number] if t < track.t[0] else self._after[number]
            box = track.at(t, gap_seconds=GAP_SECONDS, hold_seconds=hold_seconds)
            if box is not None:
                growth = 1 + GROWTH_A_SECOND * track.seconds_to_nearest(t)
                found.append(grown(box, min(growth, MAX_GROWTH)))
        return found


def grown(box: np.ndarray, factor: float) -> np.ndarray:
    """The box (4,) with its sides times a factor around the same middle."""
    middle = (box[:2] + box[2:]) / 2
    half = np.maximum((box[2:] - box[:2]) / 2, MIN_SIDE_PIXELS / 2) * factor
    return np.concatenate([middle - half, middle + half])


def cover(planes: Planes, face_xyxy: np.ndarray) -> None:
    """Make the face in this box unrecognisable, in place. Parts outside the picture are no matter."""
    height, width = planes[0].shape
    face_xyxy = grown(face_xyxy, 1.0)
    area = grown(face_xyxy, GROWN)
    # Whole chroma samples: the area has the same edges in all planes.
    x0, y0 = (
        int(np.clip(np.floor(v / 2) * 2, 0, side)) for v, side in zip(area[:2], (width, height), strict=True)
    )
    x1, y1 = (
        int(np.clip(np.ceil(v / 2) * 2, 0, side)) for v, side in zip(area[2:], (width, height), strict=True)
    )
    if x1 - x0 < 2 or y1 - y0 < 2:
        return
    for plane, reduced in zip(planes, (1, 2, 2), strict=True):
        region = plane[y0 // reduced : y1 // reduced, x0 // reduced : x1 // reduced]
        strength = _ellipse(region.shape, face_xyxy / reduced, x0 // reduced, y0 // reduced)
        coarse = cv2.resize(_mosaic(region), region.shape[::-1], interpolation=cv2.INTER_LINEAR)
        region[...] = cv2.blendLinear(coarse, region, strength, 1 - strength)


def _mosaic(region: np.ndarray) -> np.ndarray:
    """(CELLS, CELLS) means, smoothed among neighbours; fewer for a region of fewer pixels."""
    sampled = np.ascontiguousarray(
        region[:: 1 + region.shape[0] // SAMPLED_SIDE, :: 1 + region.shape[1] // SAMPLED_SIDE]
    )
    cells = min(CELLS, sampled.shape[1]), min(CELLS, sampled.shape[0])
    means = cv2.resize(sampled, cells, interpolation=cv2.INTER_AREA)
    return cv2.GaussianBlur(means, (3, 3), 0.6, borderType=cv2.BORDER_REPLICATE)


def _ellipse(shape: tuple[int, ...], face_xyxy: np.ndarray, x0: int, y0: int) -> np.ndarray:
    """(h, w) float32 in [0, 1]: 1 in the ellipse CORE, falling to 0 at the edge of GROWN."""
    middle = (face_xyxy[:2] + face_xyxy[2:]) / 2
    half = np.maximum((face_xyxy[2:] - face_xyxy[:2]) / 2, 1.0)
    x = ((np.arange(shape[1]) + x0 + 0.5 - middle[0]) / half[0]).astype(np.float32) ** 2
    y = ((np.arange(shape[0]) + y0 + 0.5 - middle[1]) / half[1]).astype(np.float32) ** 2
    strength: np.ndarray = (np.float32(GROWN**2) - y[:, None] - x[None]) * np.float32(
        1 / (GROWN**2 - CORE**2)
    )
    np.clip(strength, 0, 1, out=strength)
    return strength


def is_covered(face_xyxy: np.ndarray, by: Sequence[np.ndarray]) -> bool:
    """Whether the face in a box (4,) lies wholly in what `cover` hides for one of the boxes `by`."""
    angle = np.arange(8) * np.pi / 4
    middle, half = (face_xyxy[:2] + face_xyxy[2:]) / 2, (face_xyxy[2:] - face_xyxy[:2]) / 2
    outline = middle + ROUND_FACE * half * np.stack([np.cos(angle), np.sin(angle)], axis=1)
    for box in by:
        middle, half = (box[:2] + box[2:]) / 2, (box[2:] - box[:2]) / 2
        if (((outline - middle) / half) ** 2).sum(axis=1).max() <= CORE**2:
            return True
    return False
