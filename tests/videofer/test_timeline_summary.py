from __future__ import annotations

import json

import numpy as np
import pandas as pd
import pytest

from tests.videofer.timeline_examples import CLASSES, example_timeline, sure, timeline_of
from videofer.timeline.segments import find_segments
from videofer.timeline.summary import PersonSummary, summarise
from videofer.timeline.timeline import Timeline


def only_person(timeline: Timeline) -> PersonSummary:
    (person,) = summarise(timeline).persons
    return person


def test_shares_are_of_time_and_not_of_rows() -> None:
    timeline = timeline_of(sure(0, 1, 1, -1), np.array([0, 3, 3.5, 4, 5.0]))
    person = only_person(timeline)
    assert person.seconds == pytest.approx(5)
    assert person.seconds_predicted == pytest.approx(4)
    assert person.share_by_label == pytest.approx(
        {"neutral": 0.6, "anger": 0.2, "happiness": 0, "sadness": 0, "no_prediction": 0.2}
    )
    assert person.share_by_state == pytest.approx({"no_prediction": 0.2, "ok": 0.8})
    assert person.mean_probability["neutral"] == pytest.approx((3 * 0.8 + 0.2 / 3) / 4)


def test_segments_are_counted() -> None:
    p = sure(*[0] * 5, *[1] * 5, *[0] * 5, *[2] * 10, *[1] * 5)
    person = only_person(timeline_of(p))
    assert person.num_segments == 5
    assert person.num_segments_by_label == {"neutral": 2, "anger": 2, "happiness": 1, "sadness": 0}
    assert person.segments_per_minute == pytest.approx(5 / 6 * 60)
    assert person.first_onset == pytest.approx({"neutral": 0, "anger": 1, "happiness": 3, "sadness": None})
    assert person.transitions == {
        "neutral": {"anger": 1, "happiness": 1},
        "anger": {"neutral": 1},
        "happiness": {"anger": 1},
    }
    assert person.longest_segment is not None
    assert person.longest_segment.label == "happiness"
    assert person.longest_segment.duration == pytest.approx(2)
    assert person.longest_segment.onset == pytest.approx(3)


def test_segments_far_apart_are_no_transition() -> None:
    timeline = timeline_of(sure(0, 0, 0, 1, 1, 1))
    timeline.rows.loc[3:, ["t_start", "t_end"]] += 2.1
    assert only_person(timeline).transitions == {}
    timeline.rows.loc[3:, ["t_start", "t_end"]] -= 0.2
    assert only_person(timeline).transitions == {"neutral": {"anger": 1}}


def test_valence_and_arousal_are_means_over_time() -> None:
    timeline = timeline_of(sure(0, 1, -1), np.array([0, 1, 4, 10.0]))
    timeline.rows["valence"] = [1.0, 0.0, np.nan]
    timeline.rows["arousal"] = [np.nan] * 3  # of a class without a position
    person = only_person(timeline)
    assert person.mean_valence == pytest.approx(0.25)
    assert person.mean_arousal is None


def test_the_video_says_how_long_nobody_was_there() -> None:
    timeline = example_timeline(num_persons=2)
    summary = summarise(timeline)
    assert summary.num_persons == 2
    assert summary.seconds_no_person == pytest.approx(1)
    assert summary.seconds_not_decoded == 0
    rows = timeline.rows
    rows.loc[rows["state"] == "no_person", ["state", "label"]] = "not_decoded"
    assert summarise(timeline).seconds_not_decoded == pytest.approx(1)


def test_it_is_json_without_nan() -> None:
    summary = summarise(example_timeline())
    text = json.dumps(summary.to_json(), allow_nan=False)
    assert json.loads(text)["persons"][1]["name"] == "person 1"
    for person in summary.persons:
        assert sum(person.share_by_label.values()) == pytest.approx(1)
        assert sum(person.share_by_state.values()) == pytest.approx(1)


def test_a_person_of_whom_nothing_is_known() -> None:
    person = only_person(timeline_of(sure(-1, -1)))
    assert person.seconds_predicted == 0
    assert person.segments_per_minute is None
    assert person.longest_segment is None
    assert person.mean_valence is None
    assert person.mean_probability == dict.fromkeys(CLASSES)
    assert summarise(example_timeline(num_persons=0)).persons == ()


def test_segments_found_before_are_taken() -> None:
    timeline = example_timeline()
    assert summarise(timeline, find_segments(timeline)) == summarise(timeline)
    none: pd.DataFrame = find_segments(timeline).iloc[:0]
    assert summarise(timeline, none).persons[0].num_segments == 0
