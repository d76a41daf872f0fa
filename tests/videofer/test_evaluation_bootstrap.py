"""Intervals: the very draws made by hand, their coverage, and where there are none."""

from __future__ import annotations

import numpy as np
import pytest
from sklearn import metrics as sk

from videofer.evaluation.bootstrap import MIN_GROUPS, draw_groups, interval
from videofer.evaluation.metrics import expected_calibration_error, measure

LABELS = ("neutral", "anger", "fear")


def sample(num_subjects: int, each: int, seed: int) -> tuple[np.ndarray, np.ndarray, list[str]]:
    """Subjects of different ability; their samples resemble each other."""
    rng = np.random.default_rng(seed)
    target = rng.integers(3, size=num_subjects * each)
    ability = np.repeat(rng.beta(4, 2, size=num_subjects), each)
    right = rng.random(len(target)) < ability
    said = np.where(right, target, (target + 1) % 3)
    probs = 0.7 * np.eye(3)[said] + 0.1
    return probs, target, [f"s{i // each}" for i in range(len(target))]


def test_intervals_are_those_of_drawing_the_subjects_rows_by_hand() -> None:
    probs, target, groups = sample(14, 5, seed=0)
    result = measure(probs, target, LABELS, groups=groups, num_bootstrap=200, seed=3)
    names = np.unique(groups)
    drawn: dict[str, list[float]] = {"war": [], "uar": [], "macro_f1": [], "weighted_f1": [], "ece": []}
    recalls = []
    for subjects in np.random.default_rng(3).integers(14, size=(200, 14)):
        rows = np.concatenate([np.flatnonzero(np.array(groups) == names[s]) for s in subjects])
        truth, said = target[rows], probs[rows].argmax(axis=1)
        averages = {"labels": np.unique(truth), "zero_division": 0}
        drawn["war"].append(sk.accuracy_score(truth, said))
        drawn["uar"].append(sk.recall_score(truth, said, average="macro", **averages))
        drawn["macro_f1"].append(sk.f1_score(truth, said, average="macro", **averages))
        drawn["weighted_f1"].append(sk.f1_score(truth, said, average="weighted", **averages))
        drawn["ece"].append(expected_calibration_error(probs[rows], truth))
        recalls.append(sk.recall_score(truth, said, labels=range(3), average=None, zero_division=np.nan))
    assert result.intervals is not None and result.recall_intervals is not None
    for name, values in drawn.items():
        assert result.intervals[name] == pytest.approx(tuple(np.percentile(values, [2.5, 97.5]))), name
    for place, ends in enumerate(result.recall_intervals):
        assert ends == pytest.approx(tuple(np.percentile(np.array(recalls)[:, place], [2.5, 97.5])))


def test_of_several_seeds_a_subject_is_drawn_with_all_of_them() -> None:
    probs, target, groups = sample(12, 4, seed=1)
    once = measure(probs, target, LABELS, groups=groups)
    # the same predictions three times over say nothing new: neither figures nor intervals may change
    thrice = measure(
        np.tile(probs, (3, 1)), np.tile(target, 3), LABELS, groups=groups * 3, seeds=np.repeat([0, 1, 2], 48)
    )
    assert once.intervals is not None and thrice.intervals is not None
    for name in once.intervals:
        assert thrice.intervals[name] == pytest.approx(once.intervals[name])
    # taken for further samples of the same subjects, as well; for further subjects, they would be too narrow
    wrongly = measure(
        np.tile(probs, (3, 1)), np.tile(target, 3), LABELS,
        groups=[f"{name} of {seed}" for seed in range(3) for name in groups],
    )  # fmt: skip
    assert wrongly.intervals is not None
    assert np.ptp(wrongly.intervals["war"]) < 0.75 * np.ptp(once.intervals["war"])


def test_95_percent_intervals_hold_the_truth_about_that_often() -> None:
    truth = 4 / 6  # mean of Beta(4, 2)
    held, naive = 0, 0
    for seed in range(200):
        probs, target, groups = sample(30, 8, seed=100 + seed)
        ours = measure(probs, target, LABELS, groups=groups, num_bootstrap=200).intervals
        rows = measure(
            probs, target, LABELS, groups=[str(i) for i in range(240)], num_bootstrap=200
        ).intervals
        assert ours is not None and rows is not None
        held += ours["war"][0] <= truth <= ours["war"][1]
        naive += rows["war"][0] <= truth <= rows["war"][1]
    assert 0.88 <= held / 200 <= 0.99
    assert naive < held  # drawing single samples would be too sure


def test_intervals_shrink_with_subjects() -> None:
    widths = []
    for num_subjects in (12, 200):
        probs, target, groups = sample(num_subjects, 8, seed=5)
        result = measure(probs, target, LABELS, groups=groups)
        assert result.intervals is not None
        low, high = result.intervals["war"]
        assert low < result.war < high
        widths.append(high - low)
    assert widths[1] < widths[0] / 2


def test_intervals_are_withheld_and_said_so() -> None:
    probs, target, _ = sample(10, 4, seed=0)
    few = measure(probs, target, LABELS, groups=[f"s{i % (MIN_GROUPS - 1)}" for i in range(40)])
    assert few.intervals is None and few.recall_intervals is None and "here are 9" in few.intervals_note
    enough = measure(probs, target, LABELS, groups=[f"s{i % MIN_GROUPS}" for i in range(40)])
    assert enough.intervals is not None and "1000 bootstrap draws of 10 subjects" in enough.intervals_note
    assert measure(probs, target, LABELS).intervals is None
    assert "not known" in measure(probs, target, LABELS, groups=[""] * 40).intervals_note


def test_draws_are_of_as_many_groups_and_the_same_for_a_seed() -> None:
    weights = draw_groups(13, num_draws=50, seed=2)
    assert weights.shape == (50, 13) and (weights.sum(axis=1) == 13).all()
    np.testing.assert_array_equal(weights, draw_groups(13, num_draws=50, seed=2))
    assert (weights != draw_groups(13, num_draws=50, seed=4)).any()


def test_undefined_draws_do_not_count() -> None:
    values = np.array([np.nan, *np.linspace(0, 1, 101)])
    assert interval(values) == pytest.approx((0.025, 0.975))
    assert np.isnan(interval(np.array([np.nan]))).all()
