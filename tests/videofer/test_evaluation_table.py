"""The prediction table: what is refused, what its columns mean, several seeds as one."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pandas as pd
import pytest
from evaluation_tables import HEADS, make_table

from videofer.emotions import BASIC
from videofer.evaluation.pooled import parts_of
from videofer.evaluation.table import (
    INTERVAL,
    EvaluationError,
    check_table,
    further_columns,
    one_row_each,
    prob_columns,
    rows_of,
    seen_by,
)


@pytest.fixture
def table() -> pd.DataFrame:
    return make_table(num_subjects=4, takes=1, num_seeds=2, num_folds=2, missing_body=0.3)


def test_a_right_table_passes(table: pd.DataFrame) -> None:
    check_table(table, BASIC, HEADS, "here")


def spoil(column: str, value: object) -> Callable[[pd.DataFrame], pd.DataFrame]:
    def change(table: pd.DataFrame) -> pd.DataFrame:
        table = table.copy()
        table.loc[table.index[3], column] = value
        return table

    return change


@pytest.mark.parametrize(
    ("change", "match"),
    [
        (lambda t: t.drop(columns="subject"), "lacks the column 'subject'"),
        (lambda t: t.drop(columns="fused_p_fear"), "lacks the column 'fused_p_fear'"),
        (lambda t: t.iloc[:0], "no rows"),
        (spoil("label", "joyful"), "the label 'joyful' is not among"),
        (lambda t: pd.concat([t, t.iloc[[5]]], ignore_index=True), "stands twice"),
        (lambda t: t.iloc[1:], "seeds do not hold the same labelled intervals"),
        (spoil("label", "anger"), "seeds do not hold the same labelled intervals"),
        (spoil("face_seen", False), "seeds do not hold the same labelled intervals"),
        (spoil("face_p_fear", np.nan), "the probabilities of 'face' are not numbers"),
        (spoil("body_p_fear", 0.9), "the probabilities of 'body' are not numbers that sum to 1"),
    ],
)
def test_a_wrong_table_is_refused_in_one_line(
    table: pd.DataFrame, change: Callable[[pd.DataFrame], pd.DataFrame], match: str
) -> None:
    with pytest.raises(EvaluationError, match=match) as caught:
        check_table(change(table), BASIC, HEADS, "here")
    assert str(caught.value).startswith("here: ") and "\n" not in str(caught.value)


def test_seeds_are_averaged_to_one_row_each(table: pd.DataFrame) -> None:
    each = one_row_each(table, BASIC, HEADS)
    assert len(each) * 2 == len(table) and "seed" not in each
    assert not each[list(INTERVAL)].duplicated().any()
    first, second = (table[table["seed"] == seed].reset_index(drop=True) for seed in (0, 1))
    assert each["name"].tolist() == first["name"].tolist()
    columns = prob_columns("fused", BASIC)
    expected = (first[columns].to_numpy() + second[columns].to_numpy()) / 2
    np.testing.assert_allclose(each[columns], expected)
    assert each["fused_label"].tolist() == [BASIC[place] for place in expected.argmax(axis=1)]
    one = table[table["seed"] == 1].reset_index(drop=True)
    pd.testing.assert_frame_equal(one_row_each(one, BASIC, HEADS), one)


def test_rows_are_chosen_by_what_was_seen(table: pd.DataFrame) -> None:
    assert table["body_seen"].sum() == len(seen_by(table, "face", "body")) < len(seen_by(table, "face"))
    rows = rows_of(table, BASIC, "face", raw=True)
    assert rows.probs.shape == (len(table), 7) and rows.seeds is not None
    assert [BASIC[place] for place in rows.target] == table["label"].tolist()


def test_further_columns_are_the_manifests(table: pd.DataFrame) -> None:
    assert further_columns(table, HEADS) == ["gender", "age", "camera"]


def test_folds_as_papers_report_them() -> None:
    table = make_table(num_subjects=9, num_folds=3, num_seeds=2)
    parts = parts_of(table, BASIC, "fused", "fold")
    assert parts is not None and parts.values == ["0", "1", "2"] and parts.num_groups == [3, 3, 3]
    assert sum(parts.num_samples) * 2 == len(table)
    accuracy = (table["fused_label"] == table["label"]).groupby([table["fold"], table["seed"]]).mean()
    by_fold = accuracy.groupby("fold").mean().to_numpy()
    np.testing.assert_allclose(parts.figures["war"], by_fold)
    assert parts.mean("war") == pytest.approx(by_fold.mean())
    assert parts.sd("war") == pytest.approx(by_fold.std(ddof=1))
    seeds = parts_of(table, BASIC, "fused", "seed")
    assert seeds is not None
    np.testing.assert_allclose(seeds.figures["war"], accuracy.groupby("seed").mean())


def test_one_fold_is_no_folds(table: pd.DataFrame) -> None:
    assert parts_of(table[table["fold"] == 1], BASIC, "fused", "fold") is None
    assert parts_of(table.drop(columns="seed"), BASIC, "fused", "seed") is None
