from __future__ import annotations

import itertools

import hypothesis.strategies as st
import numpy as np
import pytest
from hypothesis import given, settings
from scipy.linalg import expm

from videofer.timeline.hmm import Chain, backward, best_scores, filtered


@settings(deadline=None)
@given(n=st.integers(1, 9), dwell=st.floats(0.05, 50), seconds=st.floats(0, 100))
def test_transitions_are_the_exponential_of_the_rates(n: int, dwell: float, seconds: float) -> None:
    rates = np.full((n, n), 1 / dwell / max(1, n - 1))
    np.fill_diagonal(rates, -1 / dwell if n > 1 else 0)
    np.testing.assert_allclose(Chain(n, dwell).transition(seconds), expm(rates * seconds), atol=1e-12)


@settings(deadline=None)
@given(first=st.floats(0, 10), second=st.floats(0, 10))
def test_time_in_two_steps_is_time_in_one(first: float, second: float) -> None:
    chain = Chain(5, 1.3)
    np.testing.assert_allclose(
        chain.transition(first) @ chain.transition(second), chain.transition(first + second), atol=1e-12
    )


def test_a_state_lasts_as_long_as_it_should() -> None:
    # Staying for t without any change has the probability exp(-t / dwell): the mean is the dwell time.
    step = 1e-4
    stay = Chain(4, 1.7).transition(step)[0, 0]
    assert step / (1 - stay) == pytest.approx(1.7, rel=1e-3)


@pytest.mark.parametrize(
    ("n", "dwell", "reason"), [(0, 1.0, "num_states"), (3, 0.0, "dwell"), (3, -1, "dwell")]
)
def test_impossible_chains_fail(n: int, dwell: float, reason: str) -> None:
    with pytest.raises(ValueError, match=reason):
        Chain(n, dwell)


def random_case(seed: int, n: int, rows: int) -> tuple[Chain, list[float], list[np.ndarray | None]]:
    rng = np.random.default_rng(seed)
    gaps = [0.0, *rng.uniform(0.01, 3.0, rows - 1)]
    likelihoods: list[np.ndarray | None] = [rng.uniform(0, 1, n) for _ in range(rows)]
    if rows > 2:
        likelihoods[int(rng.integers(rows))] = None
    return Chain(n, float(rng.uniform(0.3, 4))), gaps, likelihoods


@pytest.mark.parametrize("seed", range(6))
def test_steps_give_what_counting_every_path_gives(seed: int) -> None:
    chain, gaps, likelihoods = random_case(seed, n=3, rows=5)
    weights = {}
    for path in itertools.product(range(3), repeat=5):
        weight = 1 / 3
        for row, state in enumerate(path):
            if row:
                weight *= chain.transition(gaps[row])[path[row - 1], state]
            seen = likelihoods[row]
            weight *= 1.0 if seen is None else seen[state]
        weights[path] = weight
    marginal = np.zeros((5, 3))
    for path, weight in weights.items():
        for row, state in enumerate(path):
            marginal[row, state] += weight
    marginal /= marginal.sum(axis=1, keepdims=True)

    beliefs, belief = [], np.full(3, 1 / 3)
    scores, came_from = np.zeros(3), []
    for gap, seen in zip(gaps, likelihoods, strict=True):
        belief = filtered(belief, chain.forgetting(gap), seen)
        beliefs.append(belief)
        log_seen = None if seen is None else np.log(seen)
        scores, back = best_scores(scores, chain.forgetting(gap), log_seen)
        came_from.append(back)
    after = np.ones(3)
    for row in range(4, -1, -1):
        posterior = beliefs[row] * after
        np.testing.assert_allclose(posterior / posterior.sum(), marginal[row], atol=1e-12)
        after = backward(after, chain.forgetting(gaps[row]), likelihoods[row])
    best = [int(scores.argmax())]
    for back in reversed(came_from[1:]):
        best.append(int(back[best[-1]]))
    assert tuple(best[::-1]) == max(weights, key=weights.__getitem__)


def test_a_path_that_stays_wins_a_tie() -> None:
    _, came_from = best_scores(np.zeros(3), 1.0, None)  # everything is forgotten: all paths are as good
    assert came_from.tolist() == [0, 1, 2]


def test_one_class_is_sure() -> None:
    assert filtered(np.ones(1), Chain(1, 2.0).forgetting(3), np.array([0.2])) == pytest.approx(1)
