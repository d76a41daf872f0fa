"""Who is who where place alone cannot tell: looks added to the costs of an assignment."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np

from preprocessing.tracking.appearance import CLOTHING_SCALE, Look, Looks, difference

LOST_COST = 0.3  # in box sides: one who was seen at the last look is rather meant than one who was not
LOOK_COST = 0.4  # for a look as unlike as a person at most is to oneself
HIDDEN_IOU = 0.05  # overlap of the place where a lost one should be with somebody else's
STRANGER = 1.5  # who is in doubt and looks so different is somebody else, or will be merged again later
IMPOSTOR = 3.0  # and who is not in doubt: single looks at real people differ by 2.2 at most
FACE_ALONE = 1.5  # times as much, where the clothing cannot be compared: faces turn, clothes do not


def unlikeness(track: Looks, look: Look, face_scale: float) -> float | None:
    """How unlike a track is a look, as `difference` has it; None if there is nothing to compare."""
    scales = (CLOTHING_SCALE, face_scale)
    return difference((track.clothing, track.face), (look.clothing, look.face), scales)


def with_looks(
    costs: np.ndarray,
    is_lost: np.ndarray,
    looks: Sequence[Looks],
    describe: Callable[[int], Look],
    face_scale: float,
    check: np.ndarray,
    was_hidden: np.ndarray,
    *,
    strict: bool = False,
) -> np.ndarray:
    """Costs (M, N) of tracks and detections, with what they look like where the place leaves a choice.

    is_lost: (M,) tracks that were not seen at the last look. A choice there is between two tracks for one
    detection, two detections for one track, and whether a lost one has come back. Only for such a
    detection `describe` is called, and for those of tracks that are to be checked anyway: check (M,).
    was_hidden: (M,) lost ones who went behind somebody: only their looks bring them back. strict: all are
    in doubt, as if they had been lost.
    """
    costs = costs + LOST_COST * is_lost[:, None]
    possible = np.isfinite(costs)
    doubtful = (possible.sum(axis=0) > 1)[None, :] | (possible.sum(axis=1) > 1)[:, None] | is_lost[:, None]
    doubtful |= check[:, None]
    doubtful &= possible & np.array([track.num_looks > 0 for track in looks], bool)[:, None]
    for n in np.flatnonzero(doubtful.any(axis=0)).tolist():
        look = describe(n)
        for m in np.flatnonzero(doubtful[:, n]).tolist():
            unlike = unlikeness(looks[m], look, face_scale)
            limit = STRANGER if is_lost[m] or strict else IMPOSTOR
            if not (len(look.clothing) and len(looks[m].clothing)):
                limit *= FACE_ALONE
            if (unlike is None and was_hidden[m]) or (unlike is not None and unlike > limit):
                costs[m, n] = np.inf
            elif unlike is not None:
                costs[m, n] += LOOK_COST * unlike
    return costs
