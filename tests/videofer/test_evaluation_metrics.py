"""The figures are those of scikit-learn, and say when they cannot be had."""

from __future__ import annotations

import json

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sklearn import metrics as sk

from videofer.evaluation.metrics import MIN_GROUPS, expected_calibration_error, measure

LABELS = ("neutral", "anger", "fear", "happiness")


def draw(seed: int, num: int, num_classes: int = 4) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(seed)
    return rng.dirichlet(np.ones(num_classes), size=num), rng.integers(num_classes, size=num)


@given(seed=st.integers(0, 2**32 - 1), num=st.integers(1, 60))
def test_figures_equal_those_of_scikit_learn(seed: int, num: int) -> None:
    probs, target = draw(seed, num)
    ours, predicted = measure(probs, target, LABELS), probs.argmax(axis=1)
    present = np.unique(target)
    assert ours.war == pytest.approx(sk.accuracy_score(target, predicted))
    recall = sk.recall_score(target, predicted, labels=present, average="macro", zero_division=0)
    assert ours.uar == pytest.approx(recall)
    f1 = sk.f1_score(target, predicted, labels=present, average="macro", zero_division=0)
    assert ours.macro_f1 == pytest.approx(f1)
    assert ours.nll == pytest.approx(sk.log_loss(target, probs, labels=range(4)))
    np.testing.assert_array_equal(ours.confusion, sk.confusion_matrix(target, predicted, labels=range(4)))
    assert ours.support == tuple(np.bincount(target, minlength=4))


def test_absent_class_is_left_out_of_the_means() -> None:
    probs = np.eye(4)[[0, 0, 1, 2]]
    result = measure(probs, np.array([0, 0, 1, 1]), LABELS)
    assert result.uar == 0.75
    assert np.isnan(result.recall[3])
    assert result.to_json()["recall"]["happiness"] is None
    json.dumps(result.to_json(), allow_nan=False)


def test_no_samples_gives_nan_not_a_crash() -> None:
    result = measure(np.zeros((0, 4)), np.zeros(0, dtype=np.int64), LABELS)
    assert np.isnan(result.war) and np.isnan(result.ece)
    json.dumps(result.to_json(), allow_nan=False)


def test_calibration_error_by_hand() -> None:
    probs = np.array([[0.9, 0.1], [0.9, 0.1], [0.6, 0.4], [0.6, 0.4]])
    # bin of 0.9: right half the time, gap 0.4; bin of 0.6: right always, gap -0.4
    assert expected_calibration_error(probs, np.array([0, 1, 0, 0])) == pytest.approx(0.4)
    certain = np.eye(2)[[0, 1]]
    assert expected_calibration_error(certain, np.array([0, 1])) == 0.0


def test_intervals_hold_the_figure_and_shrink_with_subjects() -> None:
    rng = np.random.default_rng(0)
    widths = []
    for num_subjects in (12, 200):
        target = rng.integers(4, size=num_subjects * 8)
        right = rng.random(len(target)) < 0.7
        probs = np.eye(4)[np.where(right, target, (target + 1) % 4)]
        groups = [f"s{i // 8}" for i in range(len(target))]
        result = measure(probs, target, LABELS, groups=groups)
        assert result.intervals is not None
        low, high = result.intervals["war"]
        assert low < result.war < high
        widths.append(high - low)
    assert widths[1] < widths[0] / 2


def test_intervals_are_withheld_and_said_so() -> None:
    probs, target = draw(0, 40)
    few = measure(probs, target, LABELS, groups=[f"s{i % (MIN_GROUPS - 1)}" for i in range(40)])
    assert few.intervals is None and "here are 9" in few.intervals_note
    assert measure(probs, target, LABELS).intervals is None
    assert "not known" in measure(probs, target, LABELS, groups=[""] * 40).intervals_note


@pytest.mark.parametrize(
    ("probs", "target", "match"),
    [
        (np.ones((2, 3)) / 3, np.zeros(2, dtype=np.int64), "expected"),
        (np.ones((2, 4)) / 4, np.array([0, 4]), "outside"),
        (np.ones((2, 4)) / 4, np.zeros(2), "class indices"),
    ],
)
def test_wrong_shapes_are_refused(probs: np.ndarray, target: np.ndarray, match: str) -> None:
    with pytest.raises(ValueError, match=match):
        measure(probs, target, LABELS)
