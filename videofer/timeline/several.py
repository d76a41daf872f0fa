"""Timelines of models whose classes do not exclude one another (`models.targets`, "multi").

The probabilities of a row do not sum to one: each class is a question of its own, with a threshold from the
model's calibration. Each is smoothed by itself; a row's label is the likeliest class among those at their
thresholds, `uncertain` where none is.

Letters in shapes: R rows, n classes.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from videofer.timeline.hmm import Floats, Indices
from videofer.timeline.settings import Segmentation, Smoothing
from videofer.timeline.smoothing import smooth
from videofer.timeline.timeline import TimelineError

NONE_HOLDS = "none holds"
"""What is said where the model has an answer, and it is no to every class."""


def check_smoothing(settings: Smoothing) -> None:
    """TimelineError for what follows one class at a time."""
    if settings.method == "viterbi":
        raise TimelineError(
            "smoothing viterbi follows one class at a time, but the model says several at once: take hmm, "
            "kernel or none"
        )


def smooth_questions(
    probabilities: Floats, t_start: Floats, t_end: Floats, settings: Smoothing, *, window_seconds: float
) -> Floats:
    """As `smoothing.smooth`, each class by itself, as a chain of yes and no. (R, n) -> (R, n)."""
    smoothed = np.empty_like(probabilities)
    for place, yes in enumerate(probabilities.T):
        both = np.stack([1 - yes, yes], axis=1)
        smoothed[:, place] = smooth(
            both, t_start, t_end, settings, window_seconds=window_seconds
        ).probabilities[:, 1]
    return smoothed


def paths_at(probabilities: Floats, thresholds: Floats) -> tuple[Indices, NDArray[np.bool_]]:
    """(R, n) with NaN rows, thresholds (n,) -> each row's class (R,), whether it is at its threshold (R,).

    The class is -1 without a prediction.
    """
    known = np.isfinite(probabilities).min(axis=1)
    filled = np.where(known[:, None], probabilities, 0.0)
    reaches = holding(probabilities, thresholds)
    is_any = reaches.max(axis=1)
    path = np.where(is_any, np.where(reaches, filled, -1.0).argmax(axis=1), filled.argmax(axis=1))
    return np.where(known, path, -1).astype(np.int64), np.asarray(is_any, dtype=np.bool_)


def holding(probabilities: Floats, thresholds: Floats) -> NDArray[np.bool_]:
    """(R, n) with NaN rows, thresholds (n,) -> (R, n), which classes hold: they are at their thresholds."""
    known = np.isfinite(probabilities).min(axis=1)
    holds: NDArray[np.bool_] = (np.nan_to_num(probabilities) >= thresholds) & known[:, None]
    return holds


def classes_held(
    labels: Sequence[str], probabilities: Floats, classes: Sequence[str], thresholds: Floats | None
) -> NDArray[np.bool_]:
    """Which classes hold in rows (R, n): that of the label (R,), or those at their thresholds (n,)."""
    if thresholds is not None:
        return holding(probabilities, thresholds)
    label, names = (np.array(words, dtype=object) for words in (labels, classes))
    held: NDArray[np.bool_] = label[:, None] == names[None]
    return held


def time_shares(seconds: Floats, holds: NDArray[np.bool_]) -> Floats:
    """Rows of so many seconds (R,), in which something holds (R, n) -> its shares of all seconds (n,)."""
    shares: Floats = seconds @ holds / max(float(seconds.sum()), 1e-12)
    return shares


def segmentation_at(settings: Segmentation, threshold: float) -> Segmentation:
    """Of one class: enters at its threshold, and leaves below the same share of it as the settings say."""
    share = settings.leave / settings.enter if settings.enter > 0 else 1.0
    return settings.model_copy(update={"enter": threshold, "leave": threshold * share})
