from __future__ import annotations

from typing import Any

import hypothesis.strategies as st
import numpy as np
import pytest
from hmmlearn.base import BaseHMM  # type: ignore[import-untyped]
from hypothesis import given, settings

from videofer.timeline.hmm import Chain
from videofer.timeline.settings import Smoothing
from videofer.timeline.smoothing import OnlineSmoother, Smoothed, SmoothedRow, smooth

METHODS = ("none", "hmm", "viterbi", "kernel")
WINDOW = 1.2
Rows = tuple[np.ndarray, np.ndarray, np.ndarray]


def smoothed(rows: Rows, **values: Any) -> Smoothed:
    return smooth(*rows, Smoothing(**values), window_seconds=WINDOW)


def even_rows(probabilities: np.ndarray, seconds: float = 0.2) -> Rows:
    t = np.arange(len(probabilities)) * seconds
    return probabilities, t, t + seconds


@st.composite
def any_rows(draw: st.DrawFn, max_rows: int = 12) -> Rows:
    """Rows of any length with gaps between them, some without a prediction, some sure of a class."""
    count = draw(st.integers(1, max_rows))
    rng = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    n = draw(st.integers(2, 5))
    lengths = rng.choice([0.04, 0.2, 0.2, 0.5, 3.0], count) * rng.uniform(0.5, 1.5, count)
    gaps = rng.choice([0, 0, 0, 0.1, 2.0, 60.0], count)
    edges = np.cumsum(np.stack([gaps, lengths], axis=1).reshape(-1)).reshape(-1, 2)
    p = rng.dirichlet(np.full(n, 0.4), count)
    p[rng.random(count) < 0.1] = np.eye(n)[int(rng.integers(n))]
    p[rng.random(count) < 0.2] = np.nan
    return p, edges[:, 0], edges[:, 1]


class GivenLikelihoods(BaseHMM):  # type: ignore[misc]
    """hmmlearn's recursions over log-likelihoods that are given as the observations."""

    def _compute_log_likelihood(self, X: np.ndarray) -> np.ndarray:
        return X


@pytest.mark.parametrize("seed", range(4))
def test_posterior_and_path_are_those_of_hmmlearn(seed: int) -> None:
    rng = np.random.default_rng(seed)
    p = rng.dirichlet(np.full(7, 0.5), 60)
    # Rows of 0.4 s, 0.1 s between them: each is one whole observation, and 0.5 s pass between middles.
    t = np.arange(60) * 0.5
    rows = (p, t, t + 0.4)
    reference = GivenLikelihoods(n_components=7)
    reference.startprob_ = np.full(7, 1 / 7)
    reference.transmat_ = Chain(7, 1.5).transition(0.5)
    values = {"dwell_seconds": 1.5, "evidence_seconds": 0.4}
    np.testing.assert_allclose(
        smoothed(rows, method="hmm", **values).probabilities, reference.predict_proba(np.log(p)), atol=1e-10
    )
    path = reference.decode(np.log(p), algorithm="viterbi")[1]
    assert smoothed(rows, method="viterbi", **values).path.tolist() == path.tolist()


def test_a_part_of_an_observation_counts_as_a_part_of_its_power() -> None:
    rng = np.random.default_rng(1)
    p = rng.dirichlet(np.full(3, 0.5), 40)
    tempered = np.sqrt(p)  # rows of 0.2 s are half an observation of 0.4 s
    reference = GivenLikelihoods(n_components=3)
    reference.startprob_ = np.full(3, 1 / 3)
    reference.transmat_ = Chain(3, 2.0).transition(0.2)
    said = smoothed(even_rows(p), dwell_seconds=2.0, evidence_seconds=0.4).probabilities
    expected = reference.predict_proba(np.log(tempered))
    # Within the video the 0.4 s around a row hold one observation; the first and the last row have only
    # three quarters of that around them and count for a quarter more themselves.
    np.testing.assert_allclose(said[1:-1], expected[1:-1], atol=1e-10)
    for edge in (0, -1):
        more = expected[edge] * p[edge] ** 0.25
        np.testing.assert_allclose(said[edge], more / more.sum(), atol=1e-10)


def test_a_kernel_is_a_mean_over_time() -> None:
    p = np.array([[0.9, 0.1], [0.4, 0.6], [0.2, 0.8]])
    rows = (p, np.array([0.0, 0.2, 0.6]), np.array([0.2, 0.6, 0.8]))
    weights = np.exp(-0.5 * (np.array([0.1, 0.4, 0.7]) - 0.1) ** 2 / 0.3**2) * [0.2, 0.4, 0.2]
    said = smoothed(rows, method="kernel", kernel_seconds=0.3)
    np.testing.assert_allclose(said.probabilities[0], weights @ p / weights.sum(), atol=1e-12)


def test_none_changes_nothing() -> None:
    p = np.random.default_rng(0).dirichlet(np.ones(4), 20)
    said = smoothed(even_rows(p), method="none")
    assert (said.probabilities == p).all()
    assert (said.path == p.argmax(axis=1)).all()


@pytest.mark.parametrize("method", ["hmm", "viterbi", "kernel"])
def test_a_flicker_goes_and_an_expression_stays(method: str) -> None:
    p = np.full((40, 3), 0.1)
    p[:20, 0], p[20:, 1] = 0.8, 0.8
    p[8] = [0.25, 0.1, 0.65]
    path = smoothed(even_rows(p), method=method, dwell_seconds=2).path
    assert path.tolist() == [0] * 20 + [1] * 20


@settings(deadline=None)
@given(rows=any_rows(), method=st.sampled_from(METHODS))
def test_rows_stay_distributions_and_empty_rows_stay_empty(rows: Rows, method: str) -> None:
    said = smoothed(rows, method=method)
    known = np.isfinite(rows[0]).all(axis=1)
    assert (np.isfinite(said.probabilities).all(axis=1) == known).all()
    assert ((said.path >= 0) == known).all()
    assert (said.probabilities[known] >= 0).all()
    np.testing.assert_allclose(said.probabilities[known].sum(axis=1), 1, atol=1e-9)
    if method != "viterbi":
        assert (said.path[known] == said.probabilities[known].argmax(axis=1)).all()


@settings(deadline=None)
@given(rows=any_rows(), method=st.sampled_from(METHODS))
def test_empty_rows_are_time_that_passes(rows: Rows, method: str) -> None:
    known = np.isfinite(rows[0]).all(axis=1)
    without = smoothed((rows[0][known], rows[1][known], rows[2][known]), method=method)
    said = smoothed(rows, method=method)
    np.testing.assert_allclose(said.probabilities[known], without.probabilities, atol=1e-9)
    if method != "viterbi":
        assert (said.path[known] == without.path).all()


@settings(deadline=None)
@given(rows=any_rows(), method=st.sampled_from(["none", "hmm", "kernel"]))
def test_time_has_no_direction(rows: Rows, method: str) -> None:
    p, start, end = rows
    back = smoothed((p[::-1].copy(), -end[::-1], -start[::-1]), method=method)
    np.testing.assert_allclose(
        back.probabilities[::-1], smoothed(rows, method=method).probabilities, atol=1e-9
    )


@settings(deadline=None)
@given(rows=any_rows(), method=st.sampled_from(METHODS), data=st.data())
def test_the_order_of_classes_does_not_matter(rows: Rows, method: str, data: st.DataObject) -> None:
    order = np.array(data.draw(st.permutations(range(rows[0].shape[1]))))
    said = smoothed((rows[0][:, order], *rows[1:]), method=method)
    np.testing.assert_allclose(
        said.probabilities, smoothed(rows, method=method).probabilities[:, order], atol=1e-9
    )


@settings(deadline=None)
@given(rows=any_rows(max_rows=1), method=st.sampled_from(METHODS))
def test_a_row_that_stands_alone_keeps_its_probabilities(rows: Rows, method: str) -> None:
    np.testing.assert_allclose(smoothed(rows, method=method).probabilities, rows[0], atol=1e-12)


@pytest.mark.parametrize("method", ["hmm", "kernel"])
def test_a_second_of_rows_counts_the_same_however_finely_it_is_cut(method: str) -> None:
    p = np.repeat(np.random.default_rng(3).dirichlet(np.ones(3), 10), 5, axis=0)  # 10 s, constant for 1 s
    coarse, fine = even_rows(p), even_rows(np.repeat(p, 10, axis=0), 0.02)
    slow = {"method": method, "dwell_seconds": 2.0, "evidence_seconds": 0.4}
    means = smoothed(fine, **slow).probabilities.reshape(50, 10, 3).mean(axis=1)
    apart = np.abs(smoothed(coarse, **slow).probabilities - means).sum(axis=1)
    assert apart.mean() < 0.03  # not nothing: where a coarse row changes, a fine one changes 0.1 s earlier


def test_wide_windows_share_frames_longer() -> None:
    rows = even_rows(np.tile([0.6, 0.4], (20, 1)))
    narrow, wide = (
        smooth(*rows, Smoothing(evidence_seconds=0.4), window_seconds=window).probabilities[10, 0]
        for window in (1.2, 6.0)
    )
    assert wide < narrow
    # What is shorter than the evidence does not matter.
    chosen = Smoothing(evidence_seconds=0.4)
    assert smooth(*rows, chosen, window_seconds=0.04).probabilities[10, 0] == narrow


# --- look-ahead


@settings(deadline=None)
@given(rows=any_rows(), method=st.sampled_from(METHODS), lag=st.sampled_from([0.0, 0.2, 0.5, 3.0]))
def test_with_a_lag_a_row_is_what_it_would_be_if_the_video_ended_there(
    rows: Rows, method: str, lag: float
) -> None:
    p, start, end = rows
    said = smoothed(rows, method=method, lag_seconds=lag)
    for row in range(len(p)):
        seen = int((start < end[row] + lag - 1e-9).sum())
        whole = smoothed((p[:seen], start[:seen], end[:seen]), method=method)
        np.testing.assert_allclose(said.probabilities[row], whole.probabilities[row], atol=1e-12)
        assert said.path[row] == whole.path[row]


@settings(deadline=None)
@given(rows=any_rows(), method=st.sampled_from(["hmm", "viterbi", "kernel"]))
def test_a_long_lag_sees_everything(rows: Rows, method: str) -> None:
    said, whole = (smoothed(rows, method=method, lag_seconds=lag) for lag in (1e6, None))
    assert np.array_equal(said.probabilities, whole.probabilities, equal_nan=True)
    assert (said.path == whole.path).all()


@settings(deadline=None)
@given(rows=any_rows(), method=st.sampled_from(METHODS), lag=st.sampled_from([0.0, 0.5, None]))
def test_a_stream_gives_the_same_to_the_bit(rows: Rows, method: str, lag: float | None) -> None:
    chosen = Smoothing(method=method, lag_seconds=lag)
    smoother = OnlineSmoother(chosen, rows[0].shape[1], window_seconds=WINDOW)
    came: list[SmoothedRow] = []
    for p, start, end in zip(*rows, strict=True):
        came += smoother.advance(start)  # telling the time changes nothing
        came += smoother.push(p, start, end)
    came += smoother.finish()
    whole = smooth(*rows, chosen, window_seconds=WINDOW)
    assert [(row.t_start, row.t_end) for row in came] == list(zip(rows[1], rows[2], strict=True))
    assert np.array_equal([row.probabilities for row in came], whole.probabilities, equal_nan=True)
    assert [row.path for row in came] == whole.path.tolist()


@pytest.mark.parametrize("method", METHODS)
def test_rows_come_as_soon_as_nothing_can_change_them(method: str) -> None:
    lag = 0.0 if method == "none" else 0.5
    p = np.random.default_rng(0).dirichlet(np.ones(3), 50)
    smoother = OnlineSmoother(Smoothing(method=method, lag_seconds=0.5), 3, window_seconds=WINDOW)
    for row, start, end in zip(*even_rows(p), strict=True):
        for done in smoother.push(row, start, end):
            assert done.t_end + lag <= start + 1e-9
            assert done.t_end + lag > start - 0.2 + 1e-9  # and not a row earlier
    left = smoother.advance(50 * 0.2 + lag)
    assert left[-1].t_end == pytest.approx(10.0)
    assert smoother.finish() == []


@pytest.mark.parametrize("method", METHODS)
def test_a_stream_holds_few_rows_however_long_it_is(method: str) -> None:
    p = np.random.default_rng(0).dirichlet(np.ones(3), 3000)
    smoother = OnlineSmoother(Smoothing(method=method, lag_seconds=0.5), 3, window_seconds=WINDOW)
    held = 0
    for row, start, end in zip(*even_rows(p), strict=True):
        smoother.push(row, start, end)
        held = max(held, len(smoother._rows))
    assert held <= 20  # 0.7 s ahead and 1.6 s back


# --- what cannot be


@pytest.mark.parametrize(
    ("row", "reason"),
    [
        ((np.full(3, 1 / 3), 0.1, 0.3), "before the last one ends"),
        ((np.full(3, 1 / 3), 0.3, 0.3), "not after it starts"),
        ((np.full(2, 0.5), 0.2, 0.4), "must have"),
    ],
)
def test_rows_that_do_not_follow_fail(row: tuple[np.ndarray, float, float], reason: str) -> None:
    smoother = OnlineSmoother(Smoothing(), 3, window_seconds=WINDOW)
    smoother.push(np.full(3, 1 / 3), 0.0, 0.2)
    with pytest.raises(ValueError, match=reason):
        smoother.push(*row)
    smoother.push(np.full(3, 1 / 3), 0.2, 0.4)  # nothing is broken


def test_arrays_that_do_not_fit_fail() -> None:
    p, start, end = even_rows(np.full((4, 3), 1 / 3))
    with pytest.raises(ValueError, match="shape"):
        smooth(p, start[:3], end, Smoothing(), window_seconds=WINDOW)
    with pytest.raises(ValueError, match="window_seconds"):
        smooth(p, start, end, Smoothing(), window_seconds=0)


@pytest.mark.parametrize("method", METHODS)
def test_no_rows_give_no_rows(method: str) -> None:
    said = smoothed((np.empty((0, 3)), np.empty(0), np.empty(0)), method=method)
    assert said.probabilities.shape == (0, 3)
    assert said.path.shape == (0,)
