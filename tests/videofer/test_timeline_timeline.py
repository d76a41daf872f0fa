from __future__ import annotations

import pandas as pd
import pytest

from tests.videofer.timeline_examples import CLASSES, example_timeline
from videofer.timeline.segments import find_segments
from videofer.timeline.summary import summarise
from videofer.timeline.timeline import row_columns


def test_columns_in_their_order() -> None:
    assert list(example_timeline().rows.columns) == row_columns(CLASSES, ("face",))
    assert row_columns(("a",), ("body", "fused"))[8:11] == ["p_a", "body_p_a", "fused_p_a"]


def test_rows_of_a_person_are_in_order_of_time() -> None:
    timeline = example_timeline(num_persons=3)
    assert sum(len(timeline.rows_of(person)) for person in range(3)) == timeline.rows["person"].notna().sum()
    assert timeline.rows_of(2)["t_start"].is_monotonic_increasing
    assert len(timeline.rows_of(9)) == 0


def test_a_frame_has_names_and_says_what_it_is_of() -> None:
    timeline = example_timeline(names=("Anna",))
    frame = timeline.to_frame()
    assert list(frame.columns[:3]) == ["person", "person_name", "t_start"]
    assert set(frame["person_name"].dropna()) == {"Anna", "person 1"}
    assert (frame["person_name"].isna() == frame["person"].isna()).all()
    assert frame.attrs["video"] == "study/interview.mp4" and frame.attrs["modality"] == "face"
    frame["t_start"] = 0.0  # a copy: the timeline stays as it is
    pd.testing.assert_frame_equal(timeline.to_frame()[["t_start"]], timeline.rows[["t_start"]])
    assert len(example_timeline(num_persons=0).to_frame()["person_name"].dropna()) == 0


def test_names_and_lengths() -> None:
    timeline = example_timeline(names=("Anna",))
    assert (timeline.name_of(0), timeline.name_of(1)) == ("Anna", "person 1")
    assert (timeline.hop_seconds, timeline.duration_seconds, timeline.modality) == (0.2, 12.0, "face")
    with pytest.raises(KeyError):
        timeline.name_of(5)


def test_methods_are_the_functions() -> None:
    timeline = example_timeline()
    pd.testing.assert_frame_equal(timeline.segments(), find_segments(timeline))
    assert timeline.summary() == summarise(timeline)
    assert timeline.compare(timeline).share_same_label == pytest.approx(1)
