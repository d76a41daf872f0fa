"""Whether two faces are one recording: the same pictures in the same order, not only the same person.

Two takes of one person look alike at every instant; what they do not share is how the face moves. So two
tracks are laid over each other in time at every shift that leaves enough of them. Landmarks of all common
instants give the scale and place that bring one video's picture onto the other's: with it, and with how each
crop was cut out, both faces are seen in the same frame. Then two numbers say what they are:

    likeness  median correlation of the two pictures at one time
    motion    correlation of what changes: of each picture without the mean over the common time

Letters in shapes: n rows of a track, m common instants, S side of a picture.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from cache.reader import StoreReader
from videofer.datasets.leaks_prints import every, lumas

MIN_LIKENESS, MIN_MOTION = 0.9, 0.78
"""A copy has at least both. Measured, see `tools.leak_rates`."""

MIN_STILL_LIKENESS = 0.98
"""Of stills, and of faces that do not move by themselves."""

MIN_SHARE, ENOUGH_SECONDS = 0.6, 3.0
"""So much of the shorter track must be common, or so many seconds."""

MAX_SECONDS = 20.0
"""Of a longer track, so much around the instant that was alike is looked at."""

_STEP = 1 / 30  # seconds between rows at least
_SIDE, _SMALL = 112, 24
_MOST = 16  # instants that are looked at closely
_HOPELESS = 0.9  # likeness and motion together, below which nothing is looked at more closely
_STILL = 0.05  # a face that changes less does not move: what changes is noise


@dataclass(frozen=True, eq=False)
class Footage:
    """The face of one track, as far as it is compared."""

    times: np.ndarray  # (n,) float64, media seconds
    pictures: np.ndarray  # (n, S, S) uint8, luma of the crops
    landmarks: np.ndarray  # (n, 5, 2) float64, source pixels
    warps: np.ndarray  # (n, 3, 3) float64, source pixels -> picture
    small: np.ndarray  # (n, pixels) float32, each of mean 0 and length 1


@dataclass(frozen=True, kw_only=True)
class Match:
    """Two tracks laid over each other where they fit best."""

    shift: float  # seconds; time in the second = time in the first + shift
    start: float  # of the common part, media seconds of the first
    end: float
    likeness: float
    motion: float  # 0 where there is none
    is_still: bool  # one picture, or a face that does not move: only likeness counts

    @property
    def is_copy(self) -> bool:
        if self.is_still:
            return self.likeness >= MIN_STILL_LIKENESS
        return self.likeness >= MIN_LIKENESS and self.motion >= MIN_MOTION


def footage(reader: StoreReader, key: str, person_id: int, around: float | None = None) -> Footage:
    """Reads a track that has crops. around: media seconds, the middle of what is read of a long one."""
    track = reader.track(key, person_id)
    rows = np.flatnonzero(track.has_crop)
    if around is not None:
        rows = rows[np.abs(track.t_start[rows] - around) <= MAX_SECONDS / 2]
    rows = every(track.t_start, rows, _STEP)
    pictures = lumas(reader, track, rows, _SIDE)
    scale = np.diag([_SIDE / track.crop_size, _SIDE / track.crop_size, 1.0])
    warps = np.tile(np.eye(3), (len(rows), 1, 1))
    warps[:, :2] = track.warps[rows]
    return Footage(
        times=track.t_start[rows],
        pictures=pictures,
        landmarks=track.landmarks_xy[rows].astype(np.float64),
        warps=scale @ warps,
        small=_standard(np.stack([_reduced(picture) for picture in pictures])),
    )


def compare(first: Footage, second: Footage) -> Match | None:
    """Where they fit best; None where nowhere enough of them would be common."""
    rough = []
    for shift in _shifts(first, second):
        rows = _common(first, second, shift)
        if rows is not None:
            few = [side[:: max(1, len(side) // _MOST)] for side in rows]
            a, b = first.small[few[0]], second.small[few[1]]
            misfit = _place(first.landmarks[few[0]], second.landmarks[few[1]])[1]
            rough.append((misfit, -_motion(a, b), -float((a * b).sum(axis=1).mean()), shift))
    if not rough:
        return None
    order = np.array(rough)
    chosen = sorted({int(place) for column in range(3) for place in np.argsort(order[:, column])[:2]})
    best = _best(first, second, order[chosen, 3], _MOST // 2)
    if best.likeness + best.motion < _HOPELESS:
        return best
    best = _best(first, second, best.shift + _STEP * np.arange(-2, 3), _MOST)
    return best if best.is_copy else _best(first, second, np.array([best.shift]), _MOST, finer=True)


def _shifts(first: Footage, second: Footage) -> np.ndarray:
    """Of times, coarse."""
    low, high = second.times[0] - first.times[-1], second.times[-1] - first.times[0]
    return np.arange(low, high + 1e-9, 2 * _STEP) if high > low else np.array([low])


def _common(first: Footage, second: Footage, shift: float) -> tuple[np.ndarray, np.ndarray] | None:
    """Rows of both that are of one time, (m,) each; None where they are too few."""
    times = first.times + shift
    place = np.clip(np.searchsorted(second.times, times), 1, max(len(second.times) - 1, 1))
    place = np.minimum(place, len(second.times) - 1)
    before = np.maximum(place - 1, 0)
    place = np.where(
        np.abs(second.times[before] - times) < np.abs(second.times[place] - times), before, place
    )
    rows = np.flatnonzero(np.abs(second.times[place] - times) <= _STEP)
    if not len(rows):
        return None
    shorter = min(first.times[-1] - first.times[0], second.times[-1] - second.times[0])
    if first.times[rows[-1]] - first.times[rows[0]] < min(MIN_SHARE * shorter, ENOUGH_SECONDS):
        return None
    return rows, place[rows]


def _best(first: Footage, second: Footage, shifts: np.ndarray, most: int, *, finer: bool = False) -> Match:
    found = [_look(first, second, float(shift), most, finer) for shift in shifts]
    return max((one for one in found if one is not None), key=lambda one: one.likeness + one.motion)


def _look(first: Footage, second: Footage, shift: float, most: int, finer: bool) -> Match | None:
    """Both faces in the first one's frame."""
    rows = _common(first, second, shift)
    if rows is None:
        return None
    there, _ = _place(first.landmarks[rows[0]], second.landmarks[rows[1]])
    few = np.unique(np.linspace(0, len(rows[0]) - 1, min(most, len(rows[0]))).round().astype(int))
    a, b = rows[0][few], rows[1][few]
    own = first.small[a]
    change = np.sqrt(((own - own.mean(axis=0)) ** 2).sum(axis=1).mean())
    is_still = len(few) < 3 or bool(change < _STILL)
    best = (-2.0, -2.0)
    step: np.ndarray | None = np.eye(3)
    for _ in range(1 + finer):  # by the landmarks; then moved until the mean pictures fit, which may be worse
        if step is None:
            break
        others = _seen_from(first, second, a, b, there, step)
        other = _standard(np.stack([_reduced(picture) for picture in others]))
        pair = (float(np.median((own * other).sum(axis=1))), 0.0 if is_still else _motion(own, other))
        best = max(best, pair, key=sum)
        step = _finer(first.pictures[a].mean(axis=0), others.mean(axis=0)) if finer else None
    return Match(
        shift=shift, start=float(first.times[rows[0][0]]), end=float(first.times[rows[0][-1]]),
        likeness=best[0], motion=best[1], is_still=is_still,
    )  # fmt: skip


def _place(first: np.ndarray, second: np.ndarray) -> tuple[np.ndarray, float]:
    """Scale and place of landmarks (m, 5, 2) of both: (3, 3) from source to source, and what is left over.

    The misfit is the root mean square in distances of the eyes. Width and height are scaled apart.
    """
    there, left = np.eye(3), 0.0
    for axis in (0, 1):
        x, y = first[..., axis].ravel(), second[..., axis].ravel()
        spread = x - x.mean()
        scale = float(spread @ (y - y.mean()) / max(spread @ spread, 1e-9))
        there[axis, axis], there[axis, 2] = scale, y.mean() - scale * x.mean()
        left += float(((there[axis, axis] * x + there[axis, 2] - y) ** 2).mean())
    eyes = float(np.median(np.linalg.norm(second[:, 0] - second[:, 1], axis=1)))
    return there, float(np.sqrt(left)) / max(eyes, 1e-6)


def _seen_from(
    first: Footage, second: Footage, a: np.ndarray, b: np.ndarray, there: np.ndarray, step: np.ndarray
) -> np.ndarray:
    """The second's pictures in the first's crops, (m, S, S) uint8."""
    import cv2

    found = np.empty((len(a), _SIDE, _SIDE), np.uint8)
    for place, (own, other) in enumerate(zip(a, b, strict=True)):
        from_first = second.warps[other] @ there @ np.linalg.inv(first.warps[own]) @ step
        found[place] = cv2.warpAffine(
            second.pictures[other], from_first[:2], (_SIDE, _SIDE),
            flags=cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP, borderMode=cv2.BORDER_REPLICATE,
        )  # fmt: skip
    return found


def _finer(first: np.ndarray, second: np.ndarray) -> np.ndarray | None:
    """(3, 3) by which the first mean picture (S, S) is found in the second; None: nowhere near."""
    import cv2

    side = _SIDE // 2
    small = [
        cv2.resize(each.astype(np.float32), (side, side), interpolation=cv2.INTER_AREA)
        for each in (first, second)
    ]
    mask = np.zeros((side, side), np.uint8)
    cv2.circle(mask, (side // 2, side // 2), side * 45 // 100, 255, -1)
    enough: Any = (cv2.TERM_CRITERIA_EPS | cv2.TERM_CRITERIA_COUNT, 30, 1e-4)
    step = np.eye(3, dtype=np.float32)
    try:
        _, step[:2] = cv2.findTransformECC(
            small[0], small[1], step[:2].copy(), cv2.MOTION_AFFINE, enough, mask, 3
        )
    except cv2.error:  # they have nothing in common
        return None
    if np.abs(step[:2, :2] - np.eye(2)).max() > 0.25:
        return None
    half = np.array([[1, 0, 0.5], [0, 1, 0.5], [0, 0, 1]])  # pixel centres
    larger = np.diag([_SIDE / side, _SIDE / side, 1.0])
    full: np.ndarray = (
        np.linalg.inv(half) @ larger @ half @ step @ np.linalg.inv(half) @ np.linalg.inv(larger) @ half
    )
    return full


def _motion(first: np.ndarray, second: np.ndarray) -> float:
    """Correlation of what changes in pictures (m, pixels) of both."""
    a, b = first - first.mean(axis=0), second - second.mean(axis=0)
    return float((a * b).sum() / np.sqrt(max((a**2).sum() * (b**2).sum(), 1e-12)))


def _reduced(picture: np.ndarray) -> np.ndarray:
    import cv2

    small: np.ndarray = cv2.resize(picture, (_SMALL, _SMALL), interpolation=cv2.INTER_AREA)
    return small


_RING = (np.arange(_SMALL) - (_SMALL - 1) / 2) / (_SMALL * 0.46)
_FACE = (_RING[:, None] ** 2 + _RING[None] ** 2 <= 1).ravel()
"""(pixels,) bool: the disc that is compared; corners are background, and may be outside the picture."""


def _standard(pictures: np.ndarray) -> np.ndarray:
    """(m, s, s) -> (m, pixels) float32 of mean 0 and length 1."""
    flat = pictures.reshape(len(pictures), -1)[:, _FACE].astype(np.float32)
    flat -= flat.mean(axis=1, keepdims=True)
    standard: np.ndarray = flat / np.maximum(np.linalg.norm(flat, axis=1, keepdims=True), 1e-6)
    return standard
