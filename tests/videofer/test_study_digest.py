"""Digests: exact means in bins, whatever rows there are."""

from __future__ import annotations

import json

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.videofer.study_examples import drawn_face
from tests.videofer.timeline_examples import CLASSES, example_timeline
from videofer.study.digest import BINS, bin_means, curve_from, digest_of, labels_of
from videofer.timeline.faces import FaceSample


@settings(max_examples=60)
@given(st.integers(0, 10**6), st.integers(0, 30), st.integers(1, 12))
def test_bin_means_are_those_of_fine_sampling(seed: int, num_rows: int, num_bins: int) -> None:
    """Rows of any length with gaps, some without a value: against counting whole milliseconds."""
    rng = np.random.default_rng(seed)
    edges_ms = np.cumsum(rng.integers(1, 40, 2 * num_rows + 1))
    starts, ends = edges_ms[:-1:2], edges_ms[1::2]
    values = rng.random((num_rows, 2))
    values[rng.random(num_rows) < 0.3] = np.nan
    end_ms = num_bins * int(rng.integers(1, 200))
    track = np.full((max(end_ms, int(edges_ms[-1]) + 1), 2), np.nan)
    for value, start, end in zip(values, starts, ends, strict=True):
        track[start:end] = value
    bins = track[:end_ms].reshape(num_bins, -1, 2)
    known = np.isfinite(bins[..., 0]).sum(axis=1)
    means, covered = bin_means(
        values, starts / 1000, ends / 1000, np.linspace(0, end_ms / 1000, num_bins + 1)
    )
    np.testing.assert_allclose(covered, known / 1000, atol=1e-9)
    for b in range(num_bins):
        if known[b]:
            np.testing.assert_allclose(means[b], np.nanmean(bins[b], axis=0), atol=1e-9)
        else:
            assert np.isnan(means[b]).all()


def test_a_digest_holds_summary_and_curves_and_is_json() -> None:
    timeline = example_timeline(num_persons=2, names=("Anna", "Ben"))
    made = digest_of(timeline, {0: [FaceSample(1.0, drawn_face(0))]})
    digest = json.loads(json.dumps(made, allow_nan=False))
    assert digest["classes"] == list(CLASSES) and digest["num_persons"] == 2
    first = digest["persons"][0]
    assert first["name"] == "Anna"  # who is there longest comes first
    p, known = curve_from(first["curve"], len(CLASSES))
    assert p.shape == (BINS, len(CLASSES)) and known.shape == (BINS,)
    rows = timeline.rows_of(0)
    middle = (np.arange(BINS) + 0.5) * timeline.duration_seconds / BINS
    for b in (3, 20, 50, 65, 80):  # 12 s in 120 bins, rows of 0.2 s: each bin lies within one row
        (row,) = np.flatnonzero((rows["t_start"] <= middle[b]) & (middle[b] < rows["t_end"]))
        if rows["state"].iloc[row] == "no_prediction":
            assert known[b] == 0
        else:
            assert p[b, 2] == pytest.approx(rows["p_happiness"].iloc[row], abs=1 / 255) and known[b] == 1
    assert known[-1] == 0  # nobody is there in the last second
    assert digest["face"] is not None and labels_of([digest]) == ["no_prediction"]


def test_a_video_of_nobody_has_a_digest() -> None:
    digest = digest_of(example_timeline(num_persons=0))
    assert digest["persons"] == [] and digest["face"] is None and labels_of([digest]) == []


def test_of_a_crowd_those_who_are_there_longest_have_curves(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("videofer.study.digest.MAX_PERSONS", 2)
    digest = digest_of(example_timeline(num_persons=3))
    assert [person["curve"] is None for person in digest["persons"]] == [False, False, True]
    assert [person["person"] for person in digest["persons"]] == [0, 1, 2]
