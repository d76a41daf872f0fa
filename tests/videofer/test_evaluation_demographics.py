"""Figures per group: which columns, which groups, the gap."""

from __future__ import annotations

import json

import numpy as np
import pandas as pd
import pytest
from evaluation_tables import HEADS, make_table

from videofer.emotions import BASIC
from videofer.evaluation.demographics import MAX_GROUPS, NOT_GIVEN, breakdown, choose_columns, cut
from videofer.evaluation.table import EvaluationError


def test_known_columns_are_found_and_others_asked_for() -> None:
    table = make_table(num_subjects=4).rename(columns={"age": "Age-Group"})
    assert choose_columns(table, HEADS, None) == ["gender", "Age-Group"]
    assert choose_columns(table, HEADS, ["camera", "gender"]) == ["gender", "Age-Group", "camera"]
    with pytest.raises(EvaluationError, match=r"no column 'sex' .* it has gender, Age-Group, camera"):
        choose_columns(table, HEADS, ["sex"])
    with pytest.raises(EvaluationError, match="no column 'face_seen'"):
        choose_columns(table, HEADS, ["face_seen"])


def test_groups_have_their_own_figures() -> None:
    table = make_table(num_subjects=24)
    result = breakdown(table, BASIC, "fused", "gender")
    assert list(result.groups) == ["f", "m"] and result.note == "" and not result.uneven
    for value, metrics in result.groups.items():
        rows = table[table["gender"] == value]
        assert metrics.num_samples == len(rows) and metrics.num_groups == 12
        assert metrics.war == pytest.approx((rows["fused_label"] == rows["label"]).mean())
        assert metrics.intervals is not None
    gap = result.gaps["war"]
    assert (gap.best, gap.worst) == ("f", "m")
    assert gap.difference == pytest.approx(result.groups["f"].war - result.groups["m"].war)
    assert gap.interval is not None and 0 < gap.interval[0] < gap.difference < gap.interval[1]
    json.dumps(result.to_json(), allow_nan=False)


def test_a_group_of_few_subjects_has_no_interval_and_no_gap_interval() -> None:
    table = make_table(num_subjects=12)
    result = breakdown(table, BASIC, "face", "gender")
    assert all(metrics.intervals is None for metrics in result.groups.values())
    assert result.gaps["uar"].interval is None and result.gaps["uar"].difference >= 0


def test_no_difference_is_not_found_to_be_one() -> None:
    table = make_table(num_subjects=60, takes=1)
    table["skin"] = np.where(table["subject"].str[1:].astype(int) % 4 < 2, "I", "VI")  # independent of gender
    interval = breakdown(table, BASIC, "fused", "skin").gaps["war"].interval
    assert interval is not None and interval[0] < 0 < interval[1]


def test_figures_are_of_what_was_seen() -> None:
    table = make_table(num_subjects=4, missing_body=0.5)
    result = breakdown(table, BASIC, "body", "gender")
    assert sum(one.num_samples for one in result.groups.values()) == table["body_seen"].sum()


def groups_of(values: list[object], subjects: list[str] | None = None) -> tuple[list[str], list[str], str]:
    names = subjects or [f"s{i}" for i in range(len(values))]
    groups, order, note = cut(pd.Series(values, dtype=object), pd.Series(names))
    return groups.tolist(), order, note


def test_many_numbers_are_cut_into_thirds_of_the_subjects() -> None:
    groups, order, note = groups_of([str(age) for age in range(20, 50)])
    assert order == ["up to 29", "over 29 to 39", "over 39"]
    assert [groups.count(name) for name in order] == [10, 10, 10] and "thirds" in note
    # one subject with many videos counts once
    ages = [20.0] * 300 + [float(age) for age in range(21, 50)]
    groups, order, _ = groups_of(list(ages), ["s0"] * 300 + [f"s{i}" for i in range(1, 30)])
    assert [groups.count(name) for name in order] == [309, 10, 10]


def test_few_numbers_words_and_gaps() -> None:
    assert groups_of(["2", "10", "2", "1"])[1] == ["1", "2", "10"]
    groups, order, note = groups_of(["b", None, " a ", float("nan"), ""])
    assert groups == ["b", NOT_GIVEN, "a", NOT_GIVEN, NOT_GIVEN] and order == ["a", "b", NOT_GIVEN]
    assert note == ""
    assert groups_of([True, False, True])[1] == ["False", "True"]
    assert groups_of([None, None])[1] == [NOT_GIVEN]


def test_the_rarest_of_many_words_are_taken_together() -> None:
    words = [f"country {i:02}" for i in range(30) for _ in range(31 - i)]
    groups, order, note = groups_of(list(words))
    assert len(order) == MAX_GROUPS and order[-1] == "11 others" and "most frequent" in note
    assert groups.count("country 00") == 31 and "country 29" not in groups


def test_missing_values_are_no_group_for_the_gap() -> None:
    table = make_table(num_subjects=6)
    table.loc[table["gender"] == "m", "gender"] = None
    result = breakdown(table, BASIC, "fused", "gender")
    assert list(result.groups) == ["f", NOT_GIVEN] and result.gaps == {}


def test_groups_with_other_classes_are_said_so() -> None:
    table = make_table(num_subjects=6)
    table = table[~((table["gender"] == "f") & (table["label"] == "fear"))]
    assert breakdown(table, BASIC, "fused", "gender").uneven
