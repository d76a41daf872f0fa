"""The figures of tools/bench_timeline.py: what is scored, and that films do not depend on the machine."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from tests.videofer.timeline_examples import sure, timeline_of
from tools.timeline_bench.answers import settled
from tools.timeline_bench.choose import Tried, segmentations, smoothings
from tools.timeline_bench.material import EMOTIONS, LONGEST, SHORTEST, plan_film
from tools.timeline_bench.scores import calibration_error, coverage, score
from videofer.timeline.settings import Smoothing, TimelineSettings
from videofer.timeline.smoothing import smooth

TRUTH = pd.DataFrame({"t_start": [0.0, 2.0], "t_end": [2.0, 4.0], "label": ["neutral", "anger"]})


def test_films_are_determined_by_their_seed() -> None:
    assert plan_film(2000, 60).script == plan_film(2000, 60).script
    assert plan_film(2000, 60).script != plan_film(2001, 60).script


def test_films_show_every_emotion_and_never_two_at_once() -> None:
    scripts = [plan_film(seed, 60).script for seed in range(20)]
    assert {episode.label for script in scripts for episode in script.episodes} == set(EMOTIONS)
    for script in scripts:
        for before, after in zip(script.episodes, script.episodes[1:], strict=False):
            assert before.end < after.start
            assert before.label != after.label
            assert SHORTEST <= before.end - before.start <= LONGEST
        assert script.episodes[-1].end < script.duration


def test_scores_are_by_time() -> None:
    # 3 s of neutral, 1 s of anger: right for 2 + 1 s of 4, sure of 0.8 throughout, onset 1 s late.
    timeline = timeline_of(sure(0, 0, 0, 1), np.array([0, 1, 2, 3, 4.0]))
    scores = score([(timeline, TRUTH)])
    assert scores.accuracy == pytest.approx(0.75)
    assert scores.accuracy_inside == pytest.approx((1.8 + 1) / (1.8 + 1.8))
    assert (scores.f1, scores.precision, scores.recall) == (1, 1, 1)  # half of the anger is just enough
    assert scores.onset_median_ms == pytest.approx(1000)
    assert scores.ece == pytest.approx(0.05)
    assert scores.mean_confidence == pytest.approx(0.8)
    assert scores.log_loss == pytest.approx(-(3 * np.log(0.8) + np.log(0.2 / 3)) / 4)
    assert scores.accuracy_spread == 0  # one film is drawn again and again


def test_time_without_a_prediction_is_wrong_and_unsure_of_nothing() -> None:
    timeline = timeline_of(sure(0, 0, -1, 1), np.array([0, 1, 2, 3, 4.0]))
    scores = score([(timeline, TRUTH)])
    assert scores.accuracy == pytest.approx(0.75)
    assert scores.ece == pytest.approx(0.2)  # of 3 s, all right at 0.8
    assert coverage([(timeline, TRUTH)], [0.5, 0.9]) == [
        (0.5, pytest.approx(1), pytest.approx(1)),
        (0.9, 0, pytest.approx(float("nan"), nan_ok=True)),
    ]


def test_the_calibration_error_weighs_bins_by_time() -> None:
    confidence, right = np.array([0.9, 0.9, 0.3]), np.array([1.0, 0.0, 0.0])
    seconds = np.array([3.0, 1.0, 4.0])
    # 4 s at 0.9 of which 3 are right, 4 s at 0.3 of which none is.
    assert calibration_error(confidence, right, seconds) == pytest.approx(0.5 * 0.15 + 0.5 * 0.3)


def test_settled_rows_are_smoothed_rows() -> None:
    p = np.random.default_rng(0).dirichlet(np.ones(4), 30)
    plain = timeline_of(p, smoothing="none")
    settings = TimelineSettings(smoothing=Smoothing(method="viterbi"), min_confidence=0.3)
    rows = settled(plain, settings).rows
    edges = np.arange(31) * 0.2
    said = smooth(p, edges[:-1], edges[1:], settings.smoothing, window_seconds=plain.model.window_seconds)
    np.testing.assert_array_equal(rows["p_anger"], said.probabilities[:, 1])
    confidence = said.probabilities[np.arange(30), said.path]
    assert (rows["label"] == "uncertain").tolist() == (confidence < 0.3).tolist()
    assert plain.rows["p_anger"].tolist() == p[:, 1].tolist()  # the plain ones stay


def test_every_method_is_tried_and_worth_is_a_mean_over_answers() -> None:
    assert [len(smoothings(method)) for method in ("none", "kernel", "hmm")] == [1, 5, 24]
    assert len(segmentations(TimelineSettings())) == 81
    with pytest.raises(ValueError, match="magic"):
        smoothings("magic")
    one = score([(timeline_of(sure(0, 0, 0, 1), np.array([0, 1, 2, 3, 4.0])), TRUTH)])
    assert Tried(TimelineSettings(), (one, one)).worth == pytest.approx(0.75 + 1 - 0.05)
