from __future__ import annotations

from itertools import pairwise

import hypothesis.strategies as st
import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from sklearn import metrics

from videofer.timeline.compare import (
    cohen_kappa,
    compare_with_truth,
    confusion_seconds,
    match_segments,
    merge_labels,
    onset_errors,
    segment_f1,
)


def table(*rows: tuple[float, float, str], person: int | None = 0) -> pd.DataFrame:
    frame = pd.DataFrame(rows, columns=["t_start", "t_end", "label"])
    return frame.assign(person=pd.array([person] * len(frame), dtype="Int64"))


TRUTH = table((0, 2, "neutral"), (2, 4, "anger")).drop(columns="person")


def test_counts_time_and_not_rows() -> None:
    # Right in [0, 2) and [3, 4): 1.8 + 1 of the 1.8 + 1.8 s that count.
    result = compare_with_truth(table((0, 3, "neutral"), (3, 3.5, "anger"), (3.5, 4, "anger")), TRUTH)
    assert result.seconds == pytest.approx(3.6)
    assert result.share_right == pytest.approx(2.8 / 3.6)
    assert result.recall == {"anger": pytest.approx(1 / 1.8), "neutral": pytest.approx(1)}
    assert result.uar == pytest.approx((1 + 1 / 1.8) / 2)
    assert result.confusion.loc["anger", "neutral"] == pytest.approx(0.8)


def test_a_change_that_is_a_little_late_costs_nothing_a_later_one_does() -> None:
    assert compare_with_truth(
        table((0, 2.19, "neutral"), (2.19, 4, "anger")), TRUTH
    ).share_right == pytest.approx(1)
    late = table((0, 2.3, "neutral"), (2.3, 4, "anger"))
    assert compare_with_truth(late, TRUTH).share_right == pytest.approx(3.5 / 3.6)
    assert compare_with_truth(late, TRUTH, ignore_seconds=0).share_right == pytest.approx(3.7 / 4)


def test_time_without_a_person_is_wrong() -> None:
    part = table((0, 1, "neutral"))
    nobody = table((1, 4, "no_person"), person=None)
    assert compare_with_truth(pd.concat([part, nobody]), TRUTH).share_right == pytest.approx(1 / 3.6)
    assert compare_with_truth(nobody, TRUTH).share_right == 0


def test_truth_of_one_row_a_frame_is_merged() -> None:
    frames = table(*[(i * 0.04, (i + 1) * 0.04, "neutral" if i < 50 else "anger") for i in range(100)])
    assert len(merge_labels(frames)) == 2
    said = table((0, 2, "neutral"), (2, 4, "anger"))
    assert compare_with_truth(said, frames).seconds == pytest.approx(3.6)


def test_the_person_seen_longest_is_compared_unless_one_is_named() -> None:
    two = pd.concat([table((0, 4, "neutral"), person=0), table((2, 3.9, "anger"), person=1)])
    assert compare_with_truth(two, TRUTH).recall["neutral"] == pytest.approx(1)
    assert compare_with_truth(two, TRUTH, person=1).recall["neutral"] == 0


@pytest.mark.parametrize(
    ("truth", "reason"),
    [
        (TRUTH.iloc[:0], "no rows"),
        (TRUTH.drop(columns="label"), "columns"),
        (pd.concat([TRUTH, TRUTH.assign(t_start=1.0, label="fear")]), "two things"),
        (TRUTH.assign(t_start=[0.0, 0.1], t_end=[0.1, 0.2]), "from a change"),
    ],
)
def test_unusable_truth_fails(truth: pd.DataFrame, reason: str) -> None:
    with pytest.raises(ValueError, match=reason):
        compare_with_truth(table((0, 4, "neutral")), truth)


# --- two tables


def seconds_of(table: pd.DataFrame, step: float = 0.1, until: float = 10.0) -> list[str | None]:
    """The label in each tenth of a second, for references that count instants."""
    rows = list(table[["t_start", "t_end", "label"]].itertuples(index=False))
    return [
        next((label for start, end, label in rows if start <= instant < end), None)
        for instant in np.arange(step / 2, until, step)
    ]


@st.composite
def intervals(draw: st.DrawFn, labels: str = "abc") -> pd.DataFrame:
    """Intervals within 10 s on a grid of 0.1 s, some time left out."""
    edges = sorted(draw(st.sets(st.integers(0, 100), min_size=2, max_size=12)))
    rows = [
        (start / 10, end / 10, draw(st.sampled_from(labels)))
        for start, end in pairwise(edges)
        if draw(st.integers(0, 4))
    ]
    return table(*rows).drop(columns="person")


@settings(deadline=None)
@given(first=intervals(), second=intervals())
def test_kappa_and_confusion_are_those_of_scikit_learn(first: pd.DataFrame, second: pd.DataFrame) -> None:
    both = [(a, b) for a, b in zip(seconds_of(first), seconds_of(second), strict=True) if a and b]
    confusion = confusion_seconds(first, second)
    names = list(confusion.index)
    assert names == list(confusion.columns)
    if not both:
        assert confusion.to_numpy().sum() == 0
        assert np.isnan(cohen_kappa(confusion))
        return
    one, two = zip(*both, strict=True)
    if len({*one, *two}) == 1:
        assert confusion.loc[one[0], one[0]] == pytest.approx(confusion.to_numpy().sum())
        assert np.isnan(cohen_kappa(confusion))
        return
    np.testing.assert_allclose(confusion, 0.1 * metrics.confusion_matrix(one, two, labels=names), atol=1e-9)
    assert cohen_kappa(confusion) == pytest.approx(metrics.cohen_kappa_score(one, two), abs=1e-9)


def test_kappa_of_cohens_own_example() -> None:
    # Cohen 1960, table 1: proportions of two judges, kappa 0.492.
    table_1 = np.array([[0.25, 0.13, 0.12], [0.12, 0.02, 0.16], [0.03, 0.15, 0.02]])
    observed, chance = 0.29, 0.5 * 0.4 + 0.3 * 0.3 + 0.2 * 0.3
    assert cohen_kappa(table_1) == pytest.approx((observed - chance) / (1 - chance))
    assert cohen_kappa(np.array([[0.4, 0], [0, 0.6]])) == pytest.approx(1)
    with pytest.raises(ValueError, match="square"):
        cohen_kappa(np.ones((2, 3)))


def test_time_near_changes_can_be_left_out() -> None:
    late = table((0, 2.3, "neutral"), (2.3, 4, "anger"))
    assert confusion_seconds(TRUTH, late).loc["anger", "neutral"] == pytest.approx(0.3)
    tolerant = confusion_seconds(TRUTH, late, ignore_seconds=0.4)
    assert tolerant.loc["anger", "neutral"] == 0
    assert tolerant.to_numpy().sum() == pytest.approx(4 - 2 * 0.4 - 2 * 0.4)  # both ends, and 2 s


def test_tables_that_overlap_themselves_fail() -> None:
    twice = table((0, 2, "anger"), (1, 3, "fear"))
    with pytest.raises(ValueError, match="second table says two things"):
        confusion_seconds(TRUTH, twice)
    with pytest.raises(ValueError, match="first table needs"):
        confusion_seconds(TRUTH.drop(columns="label"), TRUTH)


# --- segments


def test_segments_match_where_they_overlap_enough() -> None:
    truth = table((0, 2, "anger"), (3, 5, "fear"), (6, 7, "anger"))
    said = table((0.5, 2, "anger"), (3, 4, "fear"), (6, 7, "fear"), (8, 9, "anger"))
    score = segment_f1(truth, said)
    # 1.5 of 2 s and, exactly half, 1 of 2 s; another label and another time are none.
    assert (score.num_matched, score.num_truth, score.num_said) == (2, 3, 4)
    assert score.precision == pytest.approx(2 / 4)
    assert score.recall == pytest.approx(2 / 3)
    assert score.f1 == pytest.approx(4 / 7)
    assert segment_f1(truth, said, iou=0.6).num_matched == 1
    assert segment_f1(truth, truth).f1 == 1


def test_segments_of_other_persons_do_not_match() -> None:
    one, two = table((0, 2, "anger"), person=1), table((0, 2, "anger"), person=2)
    assert segment_f1(one, two).num_matched == 0
    assert segment_f1(one.drop(columns="person"), two).num_matched == 1  # whom, is not said


def test_without_segments_there_is_no_score() -> None:
    none = TRUTH.iloc[:0]
    assert np.isnan(segment_f1(none, none).f1)
    score = segment_f1(TRUTH, none)
    assert (score.f1, score.recall) == (0, 0)
    assert np.isnan(score.precision)
    assert onset_errors(TRUTH, none).empty
    with pytest.raises(ValueError, match="iou"):
        segment_f1(TRUTH, TRUTH, iou=50)


def test_onsets_are_those_of_the_segments_that_fit_best() -> None:
    truth = table((2, 4, "anger"), (6, 8, "anger"), (9, 10, "fear"))
    said = table((1.9, 2.1, "anger"), (2.3, 4.5, "anger"), (5.5, 8, "anger"), (9, 10, "anger"))
    errors = onset_errors(truth, said)
    assert errors["error_seconds"].tolist() == pytest.approx([0.3, -0.5])
    assert errors["onset_truth"].tolist() == [2, 6]
    assert errors["label"].tolist() == ["anger", "anger"]


def best_by_trying(truth: pd.DataFrame, said: pd.DataFrame, iou: float) -> int:
    """The most pairs that any assignment has, by trying them all."""

    def fits(i: int, j: int) -> bool:
        a, b = truth.iloc[i], said.iloc[j]
        common = min(a["t_end"], b["t_end"]) - max(a["t_start"], b["t_start"])
        union = max(a["t_end"], b["t_end"]) - min(a["t_start"], b["t_start"])
        return bool(a["label"] == b["label"] and common > 1e-9 and common / union >= iou - 1e-9)

    def most(i: int, free: frozenset[int]) -> int:
        if i == len(truth):
            return 0
        return max([most(i + 1, free), *(1 + most(i + 1, free - {j}) for j in free if fits(i, j))])

    return most(0, frozenset(range(len(said))))


@settings(deadline=None)
@given(truth=intervals("ab"), said=intervals("ab"), iou=st.sampled_from([0.0, 0.3, 0.5, 1.0]))
def test_no_other_assignment_matches_more(truth: pd.DataFrame, said: pd.DataFrame, iou: float) -> None:
    truth, said = truth.iloc[:6], said.iloc[:6]
    pairs = match_segments(truth, said, iou)
    assert len(pairs) == best_by_trying(truth, said, iou)
    assert len({i for i, _ in pairs}) == len({j for _, j in pairs}) == len(pairs)
    assert len(match_segments(said, truth, iou)) == len(pairs)
