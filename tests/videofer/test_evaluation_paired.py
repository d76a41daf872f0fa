"""Paired differences: against drawing by hand, scipy's exact test, and what fusion gains."""

from __future__ import annotations

import json

import numpy as np
import pandas as pd
import pytest
from evaluation_tables import HEADS, make_table
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import binomtest

from videofer.emotions import BASIC
from videofer.evaluation.bootstrap import NUM_DRAWS
from videofer.evaluation.modalities import side_by_side
from videofer.evaluation.paired import mcnemar, paired


@given(only_a=st.integers(0, 400), only_b=st.integers(0, 400))
def test_mcnemar_equals_scipys_binomial_test(only_a: int, only_b: int) -> None:
    expected = binomtest(only_a, only_a + only_b, 0.5).pvalue if only_a + only_b else 1.0
    assert mcnemar(only_a, only_b) == pytest.approx(expected, rel=1e-9)


def test_mcnemar_of_many_is_a_number() -> None:
    assert mcnemar(3000, 9000) == 0.0 or mcnemar(3000, 9000) < 1e-300
    assert mcnemar(6000, 6000) == 1.0


def test_difference_and_interval_by_hand() -> None:
    table = make_table(num_subjects=12)
    result = paired(table, "face", table, "fused", BASIC)
    right = {head: table[f"{head}_label"] == table["label"] for head in HEADS}
    assert result.difference["war"] == pytest.approx(right["fused"].mean() - right["face"].mean())
    names, drawn = np.unique(table["subject"]), []
    rows_of = {name: np.flatnonzero(table["subject"] == name) for name in names}
    for subjects in np.random.default_rng(0).integers(12, size=(NUM_DRAWS, 12)):
        rows = np.concatenate([rows_of[names[s]] for s in subjects])
        drawn.append(right["fused"].to_numpy()[rows].mean() - right["face"].to_numpy()[rows].mean())
    assert result.intervals is not None
    assert result.intervals["war"] == pytest.approx(tuple(np.percentile(drawn, [2.5, 97.5])))
    counts = pd.crosstab(right["face"], right["fused"])
    assert result.outcomes == {
        "both": counts.loc[True, True],
        "only_a": counts.loc[True, False],
        "only_b": counts.loc[False, True],
        "neither": counts.loc[False, False],
    }
    assert result.p_value < 0.01 and not result.is_of_ensembles
    json.dumps(result.to_json(), allow_nan=False)


def test_the_same_predictions_do_not_differ() -> None:
    table = make_table(num_subjects=12)
    shuffled = table.sample(frac=1, random_state=0)
    result = paired(table, "face", shuffled, "face", BASIC)
    assert result.intervals is not None
    assert result.difference["uar"] == pytest.approx(0, abs=1e-12)
    assert result.intervals["uar"] == pytest.approx((0, 0), abs=1e-12)
    assert result.p_value == 1 and result.outcomes["only_a"] == result.outcomes["only_b"] == 0


def test_equally_good_models_are_not_found_different() -> None:
    """Over data sets, an interval of the difference holds 0 about 95 % of the time."""
    holds = 0
    for seed in range(40):
        rng = np.random.default_rng(seed)
        table = make_table(BASIC[:3], num_subjects=20, heads=("face",), seed=seed)
        other = table.copy()
        for who in (table, other):
            right = rng.random(len(table)) < 0.7
            wrong = [BASIC[(BASIC.index(name) + 1) % 3] for name in table["label"]]
            said = np.where(right, table["label"], wrong)
            for name in BASIC[:3]:
                who[f"face_p_{name}"] = np.where(said == name, 0.8, 0.1)
            who["face_label"] = said
        intervals = paired(table, "face", other, "face", BASIC[:3]).intervals
        assert intervals is not None
        holds += intervals["war"][0] <= 0 <= intervals["war"][1]
    assert holds >= 34


def test_pairing_is_sharper_than_two_intervals() -> None:
    table = make_table(num_subjects=24)
    result = paired(table, "face", table, "fused", BASIC)
    assert result.intervals is not None and result.a.intervals is not None and result.b.intervals is not None
    assert result.a.intervals["war"][1] > result.b.intervals["war"][0]  # these overlap,
    assert result.intervals["war"][0] > 0  # and yet


def test_few_subjects_give_a_difference_without_interval() -> None:
    table = make_table(num_subjects=9)
    result = paired(table, "face", table, "fused", BASIC)
    assert result.intervals is None and "here are 9" in result.intervals_note
    assert np.isfinite(result.difference["war"])
    json.dumps(result.to_json(), allow_nan=False)


def test_seeds_of_a_side_are_averaged() -> None:
    several, one = make_table(num_seeds=3, num_subjects=12), make_table(num_subjects=12, seed=4)
    result = paired(one, "face", several, "face", BASIC)
    accuracies = (several["face_label"] == several["label"]).groupby(several["seed"]).mean()
    expected = accuracies.mean() - (one["face_label"] == one["label"]).mean()
    assert result.difference["war"] == pytest.approx(expected)
    assert result.is_of_ensembles and sum(result.outcomes.values()) == len(one)


def test_face_body_and_both_side_by_side() -> None:
    table = make_table(num_subjects=20, missing_body=0.2)
    side = side_by_side(table, BASIC, HEADS)
    assert side is not None
    both = table[table["body_seen"]]
    assert side.num_samples == len(both) and side.num_left_out == len(table) - len(both) > 0
    for head in HEADS:
        assert side.metrics[head].war == pytest.approx((both[f"{head}_label"] == both["label"]).mean())
    for head, gain in side.gains.items():
        assert gain.difference["war"] == pytest.approx(side.metrics["fused"].war - side.metrics[head].war)
    right = [both[f"{head}_label"] == both["label"] for head in HEADS]
    assert side.outcomes[True, False, True] == int((right[0] & ~right[1] & right[2]).sum())
    assert sum(side.outcomes.values()) == len(both) and len(side.outcomes) == 8
    said = both[[f"{head}_label" for head in HEADS]]
    assert len(side.disagreements) == int((said.nunique(axis=1) > 1).sum())
    found = side.disagreements
    assert not found["fused_right"].iloc[0] and found["fused_right"].is_monotonic_increasing
    wrong = found[~found["fused_right"]]
    assert wrong["fused_p"].is_monotonic_decreasing and (wrong["fused_label"] != wrong["label"]).all()
    json.dumps(side.to_json(), allow_nan=False)


def test_one_modality_has_nothing_beside_it() -> None:
    assert side_by_side(make_table(heads=("face",)), BASIC, ("face",)) is None
    assert side_by_side(make_table(missing_body=1.0), BASIC, HEADS) is None
