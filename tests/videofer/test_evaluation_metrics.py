"""The figures are those of scikit-learn, and say when they cannot be had."""

from __future__ import annotations

import json

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sklearn import metrics as sk

from videofer.evaluation.figures import FIGURES, NUM_BINS, figures_of, sums_per_group
from videofer.evaluation.metrics import expected_calibration_error, measure

LABELS = ("neutral", "anger", "fear", "happiness")


def draw(seed: int, num: int, num_classes: int = 4) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(seed)
    return rng.dirichlet(np.ones(num_classes), size=num), rng.integers(num_classes, size=num)


@given(seed=st.integers(0, 2**32 - 1), num=st.integers(1, 60))
def test_figures_equal_those_of_scikit_learn(seed: int, num: int) -> None:
    probs, target = draw(seed, num)
    ours, predicted = measure(probs, target, LABELS), probs.argmax(axis=1)
    present = np.unique(target)
    averages = {"labels": present, "zero_division": 0}
    assert ours.war == pytest.approx(sk.accuracy_score(target, predicted))
    assert ours.uar == pytest.approx(sk.recall_score(target, predicted, average="macro", **averages))
    assert ours.macro_f1 == pytest.approx(sk.f1_score(target, predicted, average="macro", **averages))
    assert ours.weighted_f1 == pytest.approx(sk.f1_score(target, predicted, average="weighted", **averages))
    assert ours.nll == pytest.approx(sk.log_loss(target, probs, labels=range(4)))
    brier = sk.brier_score_loss(target, probs, labels=range(4), scale_by_half=False)
    assert ours.brier == pytest.approx(brier)
    np.testing.assert_array_equal(ours.confusion, sk.confusion_matrix(target, predicted, labels=range(4)))
    assert ours.support == tuple(np.bincount(target, minlength=4))
    assert ours.num_present == len(present)
    assert ours.majority == np.bincount(target).max() / num


@given(seed=st.integers(0, 2**32 - 1), num=st.integers(1, 60))
def test_figures_per_class_equal_those_of_scikit_learn(seed: int, num: int) -> None:
    probs, target = draw(seed, num)
    ours, predicted = measure(probs, target, LABELS), probs.argmax(axis=1)
    precision, recall, f1, _ = sk.precision_recall_fscore_support(
        target, predicted, labels=range(4), zero_division=np.nan
    )
    is_present = np.isin(range(4), target)
    np.testing.assert_allclose(ours.recall, recall)
    np.testing.assert_allclose(ours.precision, precision)
    np.testing.assert_allclose(np.array(ours.f1)[is_present], np.nan_to_num(f1[is_present]))
    assert np.isnan(np.array(ours.f1)[~is_present]).all()


def test_absent_class_is_left_out_of_the_means_and_said_so() -> None:
    probs = np.eye(4)[[0, 0, 1, 2]]
    result = measure(probs, np.array([0, 0, 1, 1]), LABELS)
    assert result.uar == 0.75 and result.num_present == 2
    assert np.isnan(result.recall[3]) and np.isnan(result.precision[3])
    assert result.precision[2] == 0  # said, never right
    values = result.to_json()
    assert values["recall"]["happiness"] is None and values["num_classes_present"] == 2
    json.dumps(values, allow_nan=False)


def test_no_samples_gives_nan_not_a_crash() -> None:
    result = measure(np.zeros((0, 4)), np.zeros(0, dtype=np.int64), LABELS, groups=[], seeds=[])
    assert all(np.isnan(getattr(result, name)) for name in FIGURES)
    json.dumps(result.to_json(), allow_nan=False)


def test_calibration_error_by_hand() -> None:
    probs = np.array([[0.9, 0.1], [0.9, 0.1], [0.6, 0.4], [0.6, 0.4]])
    # bin of 0.9: right half the time, gap 0.4; bin of 0.6: right always, gap -0.4
    assert expected_calibration_error(probs, np.array([0, 1, 0, 0])) == pytest.approx(0.4)
    certain = np.eye(2)[[0, 1]]
    assert expected_calibration_error(certain, np.array([0, 1])) == 0.0


def test_calibration_error_bin_by_bin() -> None:
    probs, target = draw(3, 500)
    confidence, right = probs.max(axis=1), probs.argmax(axis=1) == target
    expected = 0.0
    for low in np.arange(NUM_BINS) / NUM_BINS:
        within = (confidence > low) & (confidence <= low + 1 / NUM_BINS)
        if within.any():
            expected += within.mean() * abs(confidence[within].mean() - right[within].mean())
    assert measure(probs, target, LABELS).ece == pytest.approx(expected)


def test_sums_of_groups_add_up_to_the_sums_of_all() -> None:
    probs, target = draw(4, 90)
    group = np.arange(90) % 7
    by_group = sums_per_group(probs, target, group, 7).sum(axis=0)
    np.testing.assert_allclose(by_group, sums_per_group(probs, target, group * 0, 1)[0])
    stacked = figures_of(np.stack([by_group, by_group]), 4)
    assert all(values.shape == (2,) and values[0] == values[1] for values in stacked.values())


def test_several_seeds_are_averaged_and_their_spread_is_given() -> None:
    target = np.random.default_rng(0).integers(4, size=40)
    each = [draw(seed, 40)[0] for seed in range(3)]
    alone = [measure(probs, target, LABELS) for probs in each]
    together = measure(
        np.concatenate(each), np.tile(target, 3), LABELS, seeds=np.repeat([5, 7, 11], 40),
        groups=[f"s{i % 12}" for i in range(40)] * 3,
    )  # fmt: skip
    assert together.num_samples == 40 and together.num_seeds == 3 and together.num_groups == 12
    assert together.support == alone[0].support
    for name in FIGURES:
        values = [getattr(one, name) for one in alone]
        assert getattr(together, name) == pytest.approx(np.mean(values))
        assert together.seed_sd is not None
        assert together.seed_sd[name] == pytest.approx(np.std(values, ddof=1))
    np.testing.assert_array_equal(together.confusion, sum(one.confusion for one in alone))
    np.testing.assert_allclose(together.recall, np.mean([one.recall for one in alone], axis=0))
    assert alone[0].seed_sd is None
    json.dumps(together.to_json(), allow_nan=False)


def test_seeds_of_different_samples_are_refused() -> None:
    probs, target = draw(0, 10)
    with pytest.raises(ValueError, match="every seed must hold the same samples"):
        measure(probs, target, LABELS, seeds=[0] * 6 + [1] * 4)


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


@pytest.mark.parametrize("name", ["groups", "seeds"])
def test_groups_and_seeds_of_another_length_are_refused(name: str) -> None:
    probs, target = draw(0, 4)
    with pytest.raises(ValueError, match=f"3 {name} do not fit 4 targets"):
        measure(probs, target, LABELS, **{name: [0, 0, 0]})
