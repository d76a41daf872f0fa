"""FER+ votes: the rules worked by hand, and what holds for any votes."""

from __future__ import annotations

from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from videofer.datasets.ferplus import ANSWERS, EMOTIONS, majority, soft_labels

VOTES = st.lists(st.integers(0, 10), min_size=len(ANSWERS), max_size=len(ANSWERS))


def votes(**counts: int) -> np.ndarray:
    """(1, 10)."""
    return np.array([[counts.get(name, 0) for name in ANSWERS]])


def shares(row: np.ndarray) -> dict[str, Fraction]:
    return {
        name: Fraction(value).limit_denominator(100)
        for name, value in zip(EMOTIONS, row, strict=True)
        if value
    }


@pytest.mark.parametrize(
    ("counts", "label"),
    [
        ({"anger": 10}, "anger"),
        ({"anger": 6, "fear": 4}, "anger"),
        ({"anger": 5, "fear": 5}, None),  # exactly half is no majority
        ({"anger": 5, "fear": 4, "neutral": 1}, "anger"),  # a single vote is a slip: 5 of 9
        ({"anger": 3, "fear": 3, "neutral": 3, "disgust": 1}, None),
        ({"unknown": 7, "anger": 3}, None),  # a majority, but not of an emotion
        ({"nf": 10}, None),
        ({"contempt": 4, "neutral": 2, "anger": 1, "sadness": 1, "fear": 1, "disgust": 1}, "contempt"),
        ({"neutral": 1, "anger": 1, "fear": 1}, None),  # nothing is left
        ({}, None),
    ],
)
def test_majority(counts: dict[str, int], label: str | None) -> None:
    assert majority(votes(**counts)) == [label]


@pytest.mark.parametrize(
    ("counts", "expected"),
    [
        ({"anger": 10}, {"anger": "1"}),
        ({"anger": 6, "fear": 4}, {"anger": "3/5", "fear": "2/5"}),
        ({"anger": 8, "fear": 2}, {"anger": "1"}),  # 8 of 10 are three quarters already
        ({"anger": 7, "fear": 2, "neutral": 1}, {"anger": "1"}),  # 7 of the 9 that are left
        ({"anger": 4, "fear": 2, "neutral": 2, "disgust": 2}, {}),  # the equals make it four
        ({"anger": 4, "fear": 3, "neutral": 3}, {"anger": "2/5", "fear": "3/10", "neutral": "3/10"}),
        ({"anger": 6, "unknown": 4}, {"anger": "1"}),  # unknown comes second and ends it
        ({"anger": 5, "unknown": 5}, {}),  # half is too little
        ({"unknown": 6, "anger": 4}, {}),
        ({"nf": 10}, {}),
        ({"neutral": 1, "anger": 1}, {}),
        ({"contempt": 3, "neutral": 2, "anger": 2, "sadness": 3}, {}),
    ],
)
def test_soft_labels(counts: dict[str, int], expected: dict[str, str]) -> None:
    assert shares(soft_labels(votes(**counts))[0]) == {k: Fraction(v) for k, v in expected.items()}


@given(st.lists(VOTES, min_size=1, max_size=20))
def test_what_holds_for_any_votes(rows: list[list[int]]) -> None:
    counts = np.array(rows)
    soft, best = soft_labels(counts), majority(counts)
    assert soft.shape == (len(rows), len(EMOTIONS))
    for label, row, given_votes in zip(best, soft, counts, strict=True):
        assert row.sum() == pytest.approx(0) or row.sum() == pytest.approx(1)
        assert np.count_nonzero(row) <= 3
        named = {ANSWERS[place] for place in np.flatnonzero(given_votes > 1)}
        assert set(shares(row)) <= named  # never from a slip
        if label is not None:  # what has a majority has a distribution, and the majority leads it
            assert EMOTIONS[int(row.argmax())] == label


@pytest.mark.parametrize("wrong", [np.zeros(10), np.zeros((3, 9)), np.full((1, 10), -1)])
def test_what_is_no_table_of_votes_is_refused(wrong: np.ndarray) -> None:
    with pytest.raises(ValueError, match="votes must be counts"):
        soft_labels(wrong)
    with pytest.raises(ValueError, match="votes must be counts"):
        majority(wrong)


def test_no_rows() -> None:
    assert majority(np.zeros((0, 10), int)) == [] and soft_labels(np.zeros((0, 10), int)).shape == (0, 8)
