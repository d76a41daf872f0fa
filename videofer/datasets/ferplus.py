"""FER+ votes as labels: the distribution and the majority that the labels' authors train and test with.

Ten people each gave one of ten answers to each picture of FER2013 (Barsoum, Zhang, Canton Ferrer and Zhang,
"Training deep networks for facial expression recognition with crowd-sourced label distribution", ICMI 2016,
arXiv 1608.01041). The paper leaves the details open; they are those of the authors' code,
github.com/microsoft/FERPlus, `ferplus.py`, modes `crossentropy` and `majority`.

Letters in shapes: N pictures.
"""

from __future__ import annotations

import numpy as np

from videofer import emotions

ANSWERS = (
    "neutral", "happiness", "surprise", "sadness", "anger", "disgust", "fear", "contempt", "unknown", "nf",
)  # fmt: skip
"""The columns of `fer2013new.csv`, in the file's order; `nf` is "not a face"."""

EMOTIONS = (*emotions.BASIC, "contempt")
"""The eight classes of FER+, in our order."""

_NUM_EMOTIONS = 8  # the first eight answers; the last two say that the picture shows none
_PLACES = [ANSWERS.index(name) for name in EMOTIONS]


def soft_labels(votes: np.ndarray) -> np.ndarray:
    """votes (N, 10) counts, columns as ANSWERS -> (N, 8) float64 shares of EMOTIONS; sum 1, or 0 for none.

    Answers that one person alone gave count as slips. Of the others the most frequent are taken, all equal
    ones at a time, until they have three quarters of the votes or are three; `unknown` or `nf` among them
    ends it. What has half of the votes or less, or took more than three, is no label.
    """
    votes = _checked(votes)
    labels = np.zeros((len(votes), _NUM_EMOTIONS))
    for place, row in enumerate(votes):
        taken = _most_frequent(row)
        if taken is not None:
            labels[place] = taken[_PLACES] / taken.sum()
    return labels


def majority(votes: np.ndarray) -> list[str | None]:
    """votes (N, 10) counts, columns as ANSWERS -> N names of EMOTIONS; None where there is no majority.

    Without the answers that one person alone gave, the label has more than half of the votes.
    """
    votes = _checked(votes)
    if not len(votes):
        return []
    best = votes.argmax(axis=1)
    is_label = (2 * votes.max(axis=1) > votes.sum(axis=1)) & (best < _NUM_EMOTIONS)
    return [ANSWERS[b] if is_it else None for b, is_it in zip(best.tolist(), is_label.tolist(), strict=True)]


def _most_frequent(row: np.ndarray) -> np.ndarray | None:
    """row (10,) of votes without slips -> (10,) votes of the answers that make the label; None: no label."""
    left, taken = row.copy(), np.zeros_like(row)
    num_taken = 0
    while 4 * taken.sum() < 3 * row.sum() and num_taken < 3:
        equals = np.flatnonzero(left == left.max())
        shows_none = len(equals) > 0 and equals[-1] >= _NUM_EMOTIONS
        equals = equals[equals < _NUM_EMOTIONS]
        taken[equals] = row[equals]
        left[equals] = 0
        num_taken += len(equals)
        if shows_none:
            break
    is_label = 2 * taken.sum() > row.sum() and num_taken <= 3
    return taken if is_label else None


def _checked(votes: np.ndarray) -> np.ndarray:
    """(N, 10) int64 without slips. ValueError where the shape is another or a count is negative."""
    votes = np.asarray(votes, dtype=np.int64)
    if votes.ndim != 2 or votes.shape[1] != len(ANSWERS) or (votes < 0).any():
        raise ValueError(f"votes must be counts (N, {len(ANSWERS)}), not {votes.shape}")
    return np.where(votes > 1, votes, 0)
