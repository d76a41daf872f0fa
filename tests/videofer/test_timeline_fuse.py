from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from videofer.timeline.fuse import Kernel, Pool, fuse_windows, kernel_weight


def log_probs(rng: np.random.Generator, num_windows: int, num_classes: int = 4) -> np.ndarray:
    return np.log(rng.dirichlet(np.ones(num_classes), num_windows))


def reference(
    values: np.ndarray, starts: np.ndarray, evidence: np.ndarray, centre: float, W: float
) -> np.ndarray:
    """Triangular weights over probabilities, written out."""
    total, sums = 0.0, np.zeros(values.shape[1])
    for value, start, share in zip(values, starts, evidence, strict=True):
        if start <= centre < start + W:
            weight = (1 - abs(start + W / 2 - centre) / (W / 2)) * share
            total, sums = total + weight, sums + weight * np.exp(value)
    return sums / total


def test_equals_the_weighted_mean_written_out() -> None:
    rng = np.random.default_rng(0)
    starts = np.arange(-3, 10) * 0.4
    values, evidence = log_probs(rng, len(starts)), rng.random(len(starts))
    centres = np.arange(20) * 0.2 + 0.1
    fused = fuse_windows(values, starts, evidence, centres, 1.6, kernel="triangular")
    expected = [reference(values, starts, evidence, centre, 1.6) for centre in centres]
    np.testing.assert_allclose(fused, expected, rtol=1e-9)


@pytest.mark.parametrize("kernel", ["triangular", "hann"])
def test_kernel_falls_from_one_to_zero(kernel: Kernel) -> None:
    weights = kernel_weight(np.array([0.0, 0.2, 0.4, 0.5, 0.7]), kernel)
    assert weights[0] == 1
    assert (np.diff(weights[:4]) < 0).all()
    np.testing.assert_allclose(weights[3:], 0, atol=1e-12)


@settings(max_examples=50)
@given(st.integers(0, 10_000), st.sampled_from(["probabilities", "log_probabilities"]))
def test_result_is_a_distribution_within_what_the_windows_say(seed: int, pool: Pool) -> None:
    rng = np.random.default_rng(seed)
    starts = np.sort(rng.uniform(-1, 5, 12))
    values, centres = log_probs(rng, 12), np.linspace(0, 5, 23)
    fused = fuse_windows(values, starts, rng.random(12), centres, 1.0, pool=pool)
    known = fused[np.isfinite(fused).all(axis=1)]
    np.testing.assert_allclose(known.sum(axis=1), 1)
    if pool == "probabilities":
        assert (known <= np.exp(values).max(axis=0) + 1e-12).all()
        assert (known >= np.exp(values).min(axis=0) - 1e-12).all()


def test_masked_windows_have_no_say_and_rows_without_evidence_stay_empty() -> None:
    rng = np.random.default_rng(1)
    starts, values = np.array([0.0, 0.5, 10.0]), log_probs(rng, 3)
    values[1] = np.nan
    fused = fuse_windows(values, starts, np.array([1.0, 0.0, 0.0]), np.array([0.7, 10.5, 30.0]), 1.0)
    np.testing.assert_allclose(fused[0], np.exp(values[0]))
    assert np.isnan(fused[1:]).all()
    assert np.isnan(fuse_windows(values[:0], starts[:0], starts[:0], np.array([0.5]), 1.0)).all()


def test_log_pool_is_the_product_of_equal_windows() -> None:
    values = np.log([[0.8, 0.2], [0.6, 0.4]])
    fused = fuse_windows(
        values, np.array([0.0, 0.5]), np.ones(2), np.array([0.75]), 1.0, pool="log_probabilities"
    )
    product = np.sqrt(np.exp(values[0] + values[1]))
    np.testing.assert_allclose(fused[0], product / product.sum())


def test_wrong_arguments_fail() -> None:
    with pytest.raises(ValueError, match="window_seconds is 0"):
        fuse_windows(np.zeros((1, 2)), np.zeros(1), np.ones(1), np.zeros(1), 0)
    with pytest.raises(ValueError, match="kernel is 'box'"):
        kernel_weight(np.zeros(1), "box")  # type: ignore[arg-type]
