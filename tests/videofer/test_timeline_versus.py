from __future__ import annotations

import dataclasses
import json

import numpy as np
import pandas as pd
import pytest

from tests.videofer.several_examples import several_timeline
from tests.videofer.timeline_examples import CLASSES, example_timeline, sure, timeline_of
from videofer.timeline.timeline import BOX_COLUMNS, Person, Timeline, TimelineError
from videofer.timeline.versus import compare_timelines, match_persons


def test_a_timeline_agrees_with_itself() -> None:
    timeline = example_timeline(num_persons=3)
    result = compare_timelines(timeline, timeline)
    assert [(one.person, one.other_person) for one in result.persons] == [(0, 0), (1, 1), (2, 2)]
    assert result.share_same_label == result.kappa == 1
    assert result.only_first == result.only_second == ()
    for one in result.persons:
        assert one.probability_distance == 0
        assert one.segments.f1 == 1
        assert one.onset_lag_seconds == 0
    predicted = timeline.rows[timeline.rows["confidence"].notna()]
    assert result.seconds == pytest.approx((predicted["t_end"] - predicted["t_start"]).sum())


def test_figures_are_by_time() -> None:
    # The second says anger half a second later, on other rows, and has nothing for the last second.
    first = timeline_of(sure(0, 1, -1), np.array([0, 2, 4, 5.0]))
    second = timeline_of(sure(0, 0, 1, -1), np.array([0, 1.5, 2.5, 4, 5.0]))
    (one,) = compare_timelines(first, second).persons
    assert one.seconds == pytest.approx(4)
    assert one.share_same_label == pytest.approx(3.5 / 4)
    observed, chance = 3.5 / 4, (2 * 2.5 + 2 * 1.5) / 16
    assert one.kappa == pytest.approx((observed - chance) / (1 - chance))
    assert one.probability_distance == pytest.approx(0.5 / 4 * (0.8 - 0.2 / 3))
    assert one.segments.num_matched == 2
    assert one.num_onsets == 2
    assert one.onset_lag_seconds == pytest.approx(0.25)  # median of 0 and 0.5


def renumbered(timeline: Timeline, numbers: dict[int, int]) -> Timeline:
    rows = timeline.rows.assign(person=timeline.rows["person"].map(numbers).astype("Int64"))
    persons = tuple(Person(id=numbers[p.id], name=p.name) for p in timeline.persons)
    return dataclasses.replace(timeline, rows=rows, persons=persons)


def test_persons_are_matched_by_where_they_are_and_not_by_number() -> None:
    first = example_timeline(num_persons=3)
    second = renumbered(first, {0: 2, 1: 0, 2: 7})
    assert match_persons(first, second) == [(0, 2), (1, 0), (2, 7)]
    assert compare_timelines(first, second).kappa == 1


def test_somebody_elsewhere_is_somebody_else() -> None:
    first = example_timeline(num_persons=2)
    moved = first.rows.copy()
    moved.loc[(first.rows["person"] == 1).fillna(False).to_numpy(bool), ["face_x0", "face_x1"]] += 400
    result = compare_timelines(first, dataclasses.replace(first, rows=moved))
    assert [one.person for one in result.persons] == [0]
    assert result.only_first == result.only_second == (1,)


def test_without_boxes_time_decides() -> None:
    first = example_timeline(num_persons=2)
    blind = first.rows.copy()
    blind[list(BOX_COLUMNS)] = np.nan
    assert match_persons(first, dataclasses.replace(first, rows=blind)) == [(0, 0), (1, 1)]


def test_other_classes_have_no_distance() -> None:
    first = example_timeline(num_persons=1)
    rows = first.rows.rename(columns={"p_anger": "p_pride"}).replace({"label": {"anger": "pride"}})
    second = dataclasses.replace(
        first, rows=rows, classes=tuple("pride" if c == "anger" else c for c in CLASSES)
    )
    (one,) = compare_timelines(first, second).persons
    assert np.isnan(one.probability_distance)
    assert one.share_same_label < 1


def test_two_videos_cannot_be_compared() -> None:
    first = example_timeline()
    other = dataclasses.replace(first, video=dataclasses.replace(first.video, key="f" * 64))
    with pytest.raises(TimelineError, match="two videos"):
        compare_timelines(first, other)


def test_nobody_in_common_is_json_too() -> None:
    nobody = example_timeline(num_persons=0)
    result = compare_timelines(example_timeline(), nobody)
    assert result.only_first == (0, 1)
    assert np.isnan(result.kappa)
    values = json.loads(json.dumps(result.to_json(), allow_nan=False))
    assert values["kappa"] is None
    assert pd.isna(result.share_same_label)


def test_the_distance_of_classes_that_hold_by_themselves_is_at_most_one() -> None:
    nothing, everything = (several_timeline(p=np.full((55, 6), value)) for value in (0.0, 1.0))
    (one,) = compare_timelines(nothing, everything).persons
    assert one.probability_distance == pytest.approx(1.0)
    (half,) = compare_timelines(nothing, several_timeline(p=np.tile([1.0, 0.0], (55, 3)))).persons
    assert half.probability_distance == pytest.approx(0.5)
