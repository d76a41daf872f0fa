from __future__ import annotations

import dataclasses

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.videofer.test_timeline_rows import uncovered_or_torn
from tests.videofer.timeline_examples import CLASSES, example_timeline
from videofer.timeline.settings import Smoothing, TimelineSettings
from videofer.timeline.timeline import Timeline, TimelineError, probability_columns

P = probability_columns(CLASSES)
STEPS = st.one_of(st.sampled_from([0.04, 0.1, 0.2, 0.5, 1.0, 60.0]), st.floats(0.02, 3))


def at(timeline: Timeline, person: int, t: float) -> pd.Series:
    """The person's row at a time."""
    rows = timeline.rows_of(person)
    (row,) = rows[(rows["t_start"] <= t) & (t < rows["t_end"])].to_dict("records")
    return pd.Series(row)


def mean_written_out(timeline: Timeline, person: int, start: float, end: float) -> np.ndarray:
    """(n,) mean over [start, end) of what is predicted there, row by row."""
    total, seconds = np.zeros(len(CLASSES)), 0.0
    for row in timeline.rows_of(person).to_dict("records"):
        overlap = min(row["t_end"], end) - max(row["t_start"], start)
        if overlap > 0 and row["confidence"] == row["confidence"]:
            total += overlap * np.array([row[name] for name in P])
            seconds += overlap
    return total / seconds


def test_a_slice_has_the_rows_of_its_stretch_on_the_same_media_time() -> None:
    timeline = example_timeline(num_persons=2)
    part = timeline.slice(3.05, 5.0)
    assert (part.rows["t_start"].min(), part.rows["t_end"].max()) == (3.05, 5.0)
    assert part.video == timeline.video and part.persons == timeline.persons
    for person in (0, 1):
        for t in (3.06, 4.1, 4.9):
            pd.testing.assert_series_equal(at(part, person, t)[P], at(timeline, person, t)[P])
    assert at(part, 0, 3.06)["t_end"] == at(timeline, 0, 3.06)["t_end"]  # cut at one end only


def test_a_slice_knows_only_who_is_in_it() -> None:
    timeline = example_timeline(num_persons=3)
    assert [person.id for person in timeline.slice(0.0, 1.0).persons] == [0]
    part = timeline.slice(2.0, 12.0, persons=[2])
    assert [person.id for person in part.persons] == [2]
    assert set(part.rows["person"].dropna()) == {2}
    assert set(part.rows["state"][part.rows["person"].isna()]) == {"no_person"}
    whole = timeline.slice(-5.0, 99.0)
    pd.testing.assert_frame_equal(whole.rows, timeline.rows)


@settings(max_examples=80)
@given(st.floats(0, 11), st.floats(0.01, 12))
def test_slices_tile_their_stretch(start: float, length: float) -> None:
    part = example_timeline().slice(start, start + length)
    rows = part.rows.assign(t_start=part.rows["t_start"] - start, t_end=part.rows["t_end"] - start)
    assert uncovered_or_torn(rows, min(start + length, 12.0) - start) == ""


def test_slices_of_nothing_and_of_strangers_fail() -> None:
    timeline = example_timeline()
    for start, end in ((3.0, 3.0), (5.0, 3.0), (12.0, 13.0), (-2.0, 0.0), (float("nan"), 3.0)):
        with pytest.raises(TimelineError, match=r"is no stretch of study/interview\.mp4, .* from 0 to 12 s"):
            timeline.slice(start, end)
    with pytest.raises(TimelineError, match="has no person 7: it has 0, 1"):
        timeline.slice(0, 5, persons=[0, 7])


@settings(max_examples=60)
@given(STEPS, st.integers(1, 3), st.integers(0, 3))
def test_resampled_timelines_tile_the_video_and_keep_the_means(step: float, people: int, seed: int) -> None:
    timeline = example_timeline(num_persons=people, seed=seed)
    new = timeline.resample(step)
    assert new.hop_seconds == step
    assert uncovered_or_torn(new.rows, timeline.duration_seconds) == ""
    assert (new.rows["t_end"] - new.rows["t_start"]).max() <= step + 2e-6
    assert list(new.rows.columns) == list(timeline.rows.columns)
    assert (new.rows.dtypes == timeline.rows.dtypes).all()
    for person in range(people):
        old, rows = timeline.rows_of(person), new.rows_of(person)
        assert (rows["t_start"].min(), rows["t_end"].max()) == (old["t_start"].min(), old["t_end"].max())
        p = rows[P].to_numpy()
        known = np.isfinite(p).all(axis=1)
        np.testing.assert_allclose(p[known].sum(axis=1), 1)
        assert (rows["confidence"].notna().to_numpy() == known).all()
        for row, values in zip(rows.to_dict("records"), p, strict=True):
            if np.isfinite(values).all():
                np.testing.assert_allclose(
                    values, mean_written_out(timeline, person, row["t_start"], row["t_end"]), atol=1e-9
                )
                assert row["label"] == CLASSES[values.argmax()]
                assert row["face_p_neutral"] == pytest.approx(row["p_neutral"], abs=1e-6)
            else:
                assert row["label"] == row["state"] == "no_prediction"


def test_finer_rows_say_what_the_old_ones_say() -> None:
    timeline = example_timeline(num_persons=1)
    new = timeline.resample(0.05)
    for row in new.rows_of(0).to_dict("records"):
        old = at(timeline, 0, (row["t_start"] + row["t_end"]) / 2)
        for name in ("state", "label", "face_state", "body_state"):
            assert row[name] == old[name]
        for name in ("confidence", "valence", "arousal", "face_x0", "p_anger"):
            if name not in ("valence", "arousal"):  # made up in the example
                assert row[name] == pytest.approx(old[name], nan_ok=True)


def test_a_row_is_predicted_where_half_of_it_is_and_takes_the_longest_state() -> None:
    timeline = example_timeline(num_persons=1)
    # Hidden in [5, 5.6), no prediction in [7, 7.4).
    new = timeline.resample(1.0)
    assert at(new, 0, 5.5)["state"] == "absent"
    assert at(new, 0, 7.5)["state"] == "ok"
    half = timeline.resample(0.5)
    assert at(half, 0, 7.2)["label"] == "no_prediction"  # 0.4 of [7, 7.5)
    assert np.isnan(at(half, 0, 7.2)["confidence"])
    assert at(half, 0, 7.7)["label"] in CLASSES
    assert np.isfinite(at(half, 0, 5.2)["face_x0"]) == (at(timeline, 0, 5.2)["state"] == "ok")


def test_unsure_rows_stay_uncertain_and_a_path_stays_a_path() -> None:
    timeline = example_timeline(num_persons=1)
    rows = timeline.rows.copy()
    # The path says sadness throughout, also where another class is likelier.
    known = rows["confidence"].notna()
    rows.loc[known, "label"], rows.loc[known, "confidence"] = "sadness", rows.loc[known, "p_sadness"]
    viterbi = TimelineSettings(smoothing=Smoothing(method="viterbi"))
    path = dataclasses.replace(timeline, rows=rows, settings=viterbi).resample(0.3).rows_of(0)
    seen = path["confidence"].notna()
    assert set(path.loc[seen, "label"]) == {"sadness"}
    np.testing.assert_allclose(path.loc[seen, "confidence"], path.loc[seen, "p_sadness"])
    careful = dataclasses.replace(timeline, settings=TimelineSettings(min_confidence=0.6)).resample(0.3)
    rows = careful.rows_of(0)
    assert ((rows["label"] == "uncertain") == (rows["confidence"] < 0.6)).all()


@pytest.mark.parametrize("step", [0.0, -1.0, 1e-6, float("nan"), float("inf")])
def test_senseless_steps_fail(step: float) -> None:
    with pytest.raises(TimelineError, match=r"step_seconds is .*, must be at least 0\.001"):
        example_timeline().resample(step)


def test_a_timeline_of_nobody_and_one_without_rows() -> None:
    nobody = example_timeline(num_persons=0)
    assert uncovered_or_torn(nobody.resample(0.7).rows, 12.0) == ""
    empty = dataclasses.replace(nobody, rows=nobody.rows.iloc[:0])
    assert len(empty.resample(0.7).rows) == 0
