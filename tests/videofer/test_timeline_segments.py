from __future__ import annotations

from itertools import pairwise

import hypothesis.strategies as st
import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from pydantic import ValidationError

from tests.videofer.timeline_examples import example_timeline, sure, timeline_of
from videofer.timeline.segments import SEEN, SEGMENT_COLUMNS, as_intervals, find_segments, hysteresis
from videofer.timeline.settings import Segmentation
from videofer.timeline.timeline import Timeline


def brief(table: pd.DataFrame) -> list[tuple[str, float, float]]:
    rows = zip(table["label"], table["onset"], table["offset"], strict=True)
    return [(label, round(onset, 6), round(offset, 6)) for label, onset, offset in rows]


def test_segments_begin_at_enter_and_end_below_leave() -> None:
    p = np.full((8, 4), 0.0)
    p[:, 1] = [0.2, 0.45, 0.55, 0.7, 0.45, 0.36, 0.34, 0.45]
    p[:, 0] = 0.0
    p[:, 2] = p[:, 3] = (1 - p[:, 1]) / 2
    table = find_segments(timeline_of(p, enter=0.5, leave=0.35))
    assert brief(table) == [("anger", 0.4, 1.2)]
    row = table.iloc[0]
    assert row["apex"] == pytest.approx(0.7)  # the middle of the row that is surest
    assert row["apex_probability"] == pytest.approx(0.7)
    assert row["mean_probability"] == pytest.approx((0.55 + 0.7 + 0.45 + 0.36) / 4)
    assert row["duration"] == pytest.approx(0.8)


def test_a_class_that_enters_ends_the_one_before() -> None:
    p = np.array([[0.1, 0.8, 0.1, 0], [0.1, 0.4, 0.5, 0], [0.0, 0.45, 0.55, 0], [0.0, 0.2, 0.8, 0]])
    assert brief(find_segments(timeline_of(p, min_seconds=0))) == [
        ("anger", 0.0, 0.2),
        ("happiness", 0.2, 0.8),
    ]


def test_means_are_over_time() -> None:
    p = sure(1, 1)
    p[1] = [0.2, 0.5, 0.2, 0.1]
    table = find_segments(timeline_of(p, np.array([0.0, 0.1, 1.0])))
    assert table["mean_probability"].item() == pytest.approx(0.1 * 0.8 + 0.9 * 0.5)


def test_short_gaps_are_merged_and_short_segments_are_none() -> None:
    p = sure(1, 1, 0, 1, 1, 0, 0, 0, 2, 0, 0, 0)
    assert brief(find_segments(timeline_of(p, min_seconds=0.3, merge_seconds=0.2))) == [
        ("anger", 0.0, 1.0),  # the flicker within is too short to be a segment
        ("neutral", 1.0, 2.4),  # so is the one within this
    ]
    assert brief(find_segments(timeline_of(p, min_seconds=0.3, merge_seconds=0.1))) == [
        ("anger", 0.0, 0.4),
        ("anger", 0.6, 1.0),
        ("neutral", 1.0, 1.6),
        ("neutral", 1.8, 2.4),
    ]
    assert len(find_segments(timeline_of(p, min_seconds=0, merge_seconds=0))) == 6


def test_nothing_is_merged_across_what_is_not_known() -> None:
    p = sure(1, 1, 1, -1, 1, 1, 1)
    assert len(find_segments(timeline_of(p, merge_seconds=5))) == 2
    timeline = timeline_of(sure(*[1] * 9), merge_seconds=5)
    timeline.rows.loc[4, "state"] = "absent"  # predicted, but nobody sees the person
    assert brief(find_segments(timeline)) == [("anger", 0.0, 0.8), ("anger", 1.0, 1.8)]
    timeline.rows.loc[4, ["state", "label"]] = ["ok", "uncertain"]
    assert len(find_segments(timeline)) == 2
    timeline.rows.loc[4, ["state", "label"]] = ["no_face", "anger"]  # predicted by the body: seen
    assert len(find_segments(timeline)) == 1


def test_a_gap_between_rows_ends_a_segment() -> None:
    timeline = timeline_of(sure(1, 1, 1, 1), np.array([0.0, 0.4, 0.8, 1.2, 1.6]), merge_seconds=9)
    timeline.rows.loc[2:, ["t_start", "t_end"]] += 3.0
    assert brief(find_segments(timeline)) == [("anger", 0.0, 0.8), ("anger", 3.8, 4.6)]


def test_after_viterbi_the_path_decides() -> None:
    timeline = timeline_of(sure(1, 1, 1, 1, 1, of=0.3), smoothing="viterbi")
    timeline.rows["label"] = ["anger", "anger", "sadness", "sadness", "sadness"]
    assert brief(find_segments(timeline)) == [("anger", 0.0, 0.4), ("sadness", 0.4, 1.0)]
    assert find_segments(timeline_of(sure(1, 1, 1, of=0.3))).empty  # by probability none is sure enough


def test_persons_are_apart_and_in_order_of_time() -> None:
    table = find_segments(example_timeline(num_persons=3))
    assert set(table["person"]) == {0, 1, 2}
    assert table["onset"].is_monotonic_increasing
    assert table.columns.tolist() == list(SEGMENT_COLUMNS)
    assert as_intervals(table).columns.tolist() == ["person", "label", "t_start", "t_end"]


def test_without_segments_the_table_keeps_its_columns() -> None:
    for timeline in (timeline_of(sure(-1, -1)), example_timeline(num_persons=0)):
        table = find_segments(timeline)
        assert table.empty
        assert table.columns.tolist() == list(SEGMENT_COLUMNS)
        assert table["onset"].dtype == float


def test_leave_above_enter_is_no_hysteresis() -> None:
    with pytest.raises(ValidationError, match=r"leave is 0\.6, above enter"):
        Segmentation(enter=0.5, leave=0.6)


@st.composite
def any_timeline(draw: st.DrawFn) -> Timeline:
    rng = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    count = draw(st.integers(1, 40))
    p = np.repeat(rng.dirichlet(np.full(4, 0.3), count), draw(st.integers(1, 4)), axis=0)[:count]
    p[rng.random(count) < 0.1] = np.nan
    leave, enter = sorted(rng.uniform(0, 1, 2))
    timeline = timeline_of(
        p,
        np.concatenate([[0], np.cumsum(rng.choice([0.04, 0.2, 0.2, 1.0], count))]),
        smoothing=draw(st.sampled_from(["hmm", "viterbi", "none"])),
        enter=enter, leave=leave,
        min_seconds=float(rng.choice([0, 0.3, 1])), merge_seconds=float(rng.choice([0, 0.2, 2])),
    )  # fmt: skip
    timeline.rows.loc[rng.random(count) < 0.1, "label"] = "uncertain"
    timeline.rows.loc[(rng.random(count) < 0.1) & (timeline.rows["state"] == "ok"), "state"] = "absent"
    return timeline


@settings(deadline=None)
@given(timeline=any_timeline())
def test_segments_never_overlap_and_lie_on_rows_that_are_known(timeline: Timeline) -> None:
    table, rows = find_segments(timeline), timeline.rows
    rules = timeline.settings.segmentation
    assert (table["onset"].to_numpy()[1:] >= table["offset"].to_numpy()[:-1]).all()
    assert set(table["onset"]) <= set(rows["t_start"])
    assert set(table["offset"]) <= set(rows["t_end"])
    assert (table["duration"] >= rules.min_seconds - 1e-6).all()
    np.testing.assert_allclose(table["offset"] - table["onset"], table["duration"])
    found = table.to_dict("records")
    for one in found:
        inside = rows[(rows["t_start"] >= one["onset"]) & (rows["t_end"] <= one["offset"])]
        own = inside[f"p_{one['label']}"]
        assert inside["state"].isin(SEEN).all()
        assert (inside["label"] != "uncertain").all()
        assert own.notna().all()
        assert own.max() == one["apex_probability"]
        assert own.min() - 1e-12 <= one["mean_probability"] <= own.max() + 1e-12
        assert one["onset"] < one["apex"] < one["offset"]
        if timeline.settings.smoothing.method != "viterbi":
            assert one["apex_probability"] >= rules.enter
    # Neighbours of one class are further apart than merge_seconds, or something is between them.
    for before, after in pairwise(found):
        gap = after["onset"] - before["offset"]
        if before["label"] == after["label"] and gap <= rules.merge_seconds:
            between = rows[(rows["t_start"] >= before["offset"]) & (rows["t_end"] <= after["onset"])]
            assert (~between["state"].isin(SEEN) | (between["label"] == "uncertain")).any()


@settings(deadline=None)
@given(seed=st.integers(0, 2**32 - 1), enter=st.floats(0, 1), leave=st.floats(0, 1))
def test_hysteresis_follows_its_definition(seed: int, enter: float, leave: float) -> None:
    leave, enter = sorted((enter, leave))
    p = np.random.default_rng(seed).dirichlet(np.full(3, 0.5), 30)
    states = hysteresis(p, Segmentation(enter=enter, leave=leave))
    before = -1
    for values, state in zip(p, states, strict=True):
        if state >= 0 and state == before:
            assert values[state] >= leave
        elif state >= 0:
            assert values[state] == values.max() >= enter
        if before >= 0 and state != before:
            assert values[before] < leave or (values.max() >= enter and values[before] < values.max())
        if state < 0:
            assert values.max() < enter
        before = int(state)
