"""Valence and arousal, derived from the class probabilities: no model has measured them.

A row's point is the mean of the classes' positions, weighted by their probabilities. The positions are the
mean ratings of emotion words on pleasure and arousal in

    Russell, J. A., & Mehrabian, A. (1977). Evidence for a three-factor theory of emotions.
    Journal of Research in Personality, 11(3), 273-294: table of 151 terms, scales from -1 to 1

laid in the plane of

    Russell, J. A. (1980). A circumplex model of affect.
    Journal of Personality and Social Psychology, 39(6), 1161-1178.

Words: happy, angry, disgusted, fearful, sad, surprised, contempt, anxious, proud, shamed, relaxed (calm),
confused, interested, bored. Neutral is not in the table; it is the origin by definition.

Two faces that differ in strength only get the same point as soon as the model is sure of both, and a row
between anger and happiness lies where nobody was. Take the path as a summary of the distribution.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from videofer.emotions import canonical, is_emotion

POSITIONS: dict[str, tuple[float, float]] = {
    "neutral": (0.0, 0.0),
    "anger": (-0.51, 0.59),
    "disgust": (-0.60, 0.35),
    "fear": (-0.64, 0.60),
    "happiness": (0.81, 0.51),
    "sadness": (-0.63, -0.27),
    "surprise": (0.40, 0.67),
    "contempt": (-0.23, 0.31),
    "anxiety": (0.01, 0.59),
    "pride": (0.77, 0.38),
    "shame": (-0.57, 0.01),
    "calm": (0.68, -0.46),
    "confusion": (-0.53, 0.27),
    "interest": (0.64, 0.51),
    "boredom": (-0.65, -0.62),
}
"""Class -> (valence, arousal), each in [-1, 1]."""


def valence_arousal(probabilities: NDArray[np.floating], classes: Sequence[str]) -> NDArray[np.float64]:
    """probabilities (R, n) of the classes -> (R, 2) valence and arousal in [-1, 1]; NaN rows stay NaN.

    With a class of unknown position (`without_position` names them) the mean is not known: all NaN.
    """
    if probabilities.ndim != 2 or probabilities.shape[1] != len(classes):
        raise ValueError(f"probabilities {probabilities.shape} do not fit {len(classes)} classes")
    unknown = np.array((np.nan, np.nan))
    positions = np.array([_position(name) or unknown for name in classes], dtype=np.float64)
    # Rounding may leave the hull of the positions by a bit; [-1, 1] is promised.
    points: NDArray[np.float64] = np.clip(probabilities.astype(np.float64) @ positions, -1.0, 1.0)
    return points


def derived_affect(
    probabilities: NDArray[np.floating], classes: Sequence[str], is_multi: bool
) -> dict[str, NDArray[np.float64]]:
    """The columns valence and arousal, each (R,). Of classes that do not exclude one another the mean has no
    weights that sum to one: all NaN."""
    if is_multi:
        return {name: np.full(len(probabilities), np.nan) for name in ("valence", "arousal")}
    points = valence_arousal(probabilities, classes)
    return {"valence": points[:, 0], "arousal": points[:, 1]}


def without_position(classes: Sequence[str]) -> tuple[str, ...]:
    """The classes that have no position on the circumplex."""
    return tuple(name for name in classes if _position(name) is None)


def _position(name: str) -> tuple[float, float] | None:
    return POSITIONS.get(canonical(name)) if is_emotion(name) else None
