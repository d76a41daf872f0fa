from __future__ import annotations

import pandas as pd
import pytest

from videofer.timeline.compare import compare_with_truth, merge_labels


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
