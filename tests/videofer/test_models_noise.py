"""Random numbers of a sample: pinned against another implementation, evenly spread, and independent."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from scipy import stats

from videofer.models.noise import (
    BODY_CHANGE,
    CLIPS,
    DROPOUT,
    FACE_CHANGE,
    MODALITY_DROP,
    SENSOR,
    dropout,
    normal,
    seeds_of_parts,
    uniform,
)

STREAMS = (DROPOUT, MODALITY_DROP, FACE_CHANGE, BODY_CHANGE)


def splitmix_finaliser(x: np.ndarray) -> np.ndarray:
    """On unsigned integers, from Steele, Lea and Flood (2014), variant 13 of Stafford's."""
    x = (x ^ (x >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    x = (x ^ (x >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return x ^ (x >> np.uint64(31))


def reference(seeds: list[int], num: int, stream: int) -> np.ndarray:
    rows = []
    with np.errstate(over="ignore"):
        for seed in seeds:
            start = splitmix_finaliser(
                splitmix_finaliser(np.array(seed % 2**64, dtype=np.uint64)) + np.uint64(stream + 1)
            )
            position = np.arange(1, num + 1, dtype=np.uint64)
            bits = splitmix_finaliser(start + position * np.uint64(0x9E3779B97F4A7C15))
            rows.append((bits >> np.uint64(40)).astype(np.float64) / 2**24)
    return np.array(rows)


@pytest.mark.parametrize("stream", STREAMS)
def test_equal_to_another_implementation(stream: int) -> None:
    seeds = [0, 1, 2, -1, -7, 123456789, 2**62, 2**63 - 1, -(2**63)]
    made = uniform(torch.tensor(seeds), 1000, stream)
    assert made.dtype == torch.float32
    np.testing.assert_array_equal(made.numpy(), reference(seeds, 1000, stream))


def test_first_numbers_stay_what_they_are() -> None:
    """A resumed run must draw on as it began, whatever version goes on with it."""
    first = uniform(torch.tensor([1]), 3, DROPOUT)[0].tolist()
    assert first == [0.3224446177482605, 0.562232494354248, 0.7828699350357056]


def test_a_sample_s_numbers_depend_on_nothing_else() -> None:
    seeds = torch.arange(50)
    whole = uniform(seeds, 20, DROPOUT)
    assert torch.equal(uniform(seeds[7:8], 20, DROPOUT)[0], whole[7])
    assert torch.equal(uniform(seeds.flip(0), 20, DROPOUT), whole.flip(0))
    assert torch.equal(uniform(seeds, 12, DROPOUT), whole[:, :12])  # asking for fewer changes none
    assert uniform(seeds[:0], 5, DROPOUT).shape == (0, 5)


def chi_squared(values: torch.Tensor, num_bins: int = 64) -> float:
    counts = torch.histc(values, num_bins, 0, 1)
    expected = values.numel() / num_bins
    return float(((counts - expected) ** 2 / expected).sum())


@pytest.mark.parametrize(
    "seeds", [torch.arange(1000), torch.arange(1000) << 40, torch.arange(1000) * 6364136223846793005]
)
def test_evenly_spread(seeds: torch.Tensor) -> None:
    """Over the numbers of one seed, over the seeds at one position, over streams: 63 degrees of freedom."""
    values = uniform(seeds, 1000, DROPOUT)
    assert values.min() >= 0 and values.max() < 1
    limit = 63 + 5 * (2 * 63) ** 0.5  # mean and five standard deviations
    assert chi_squared(values) < limit
    assert chi_squared(values[:, 0]) < limit and chi_squared(values[:, 999]) < limit
    assert chi_squared(values[0]) < limit and chi_squared(values[999]) < limit


def test_streams_seeds_and_positions_are_independent() -> None:
    seeds = torch.arange(2000)
    values = {stream: uniform(seeds, 100, stream) for stream in STREAMS}
    pairs = [
        *((values[a], values[b]) for a in STREAMS for b in STREAMS if a < b),
        (values[DROPOUT][1:], values[DROPOUT][:-1]),  # neighbouring seeds
        (values[DROPOUT][:, 1:], values[DROPOUT][:, :-1]),  # neighbouring positions
        (values[DROPOUT][1:, 1:], values[DROPOUT][:-1, :-1]),
        (values[DROPOUT][1:, :-1], values[MODALITY_DROP][:-1, 1:]),
    ]
    for one, other in pairs:
        correlation = torch.corrcoef(torch.stack([one.flatten(), other.flatten()]).double())[0, 1]
        assert abs(correlation) < 5 / one.numel() ** 0.5
        assert (one == other).double().mean() < 1e-5  # 2^-24 expected


def test_parts_of_a_sample_have_numbers_of_their_own() -> None:
    seeds = torch.arange(500)
    parts = seeds_of_parts(seeds, 4, CLIPS)
    assert parts.shape == (500, 4) and parts.unique().numel() == 2000
    assert torch.equal(seeds_of_parts(seeds[3:4], 2, CLIPS)[0], parts[3, :2])
    values = uniform(parts.flatten(), 50, 0).unflatten(0, (500, 4))
    for one, other in [(values[:, 0], values[:, 1]), (values[1:, 0], values[:-1, 3])]:
        correlation = torch.corrcoef(torch.stack([one.flatten(), other.flatten()]).double())[0, 1]
        assert abs(correlation) < 5 / one.numel() ** 0.5


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_dropout_keeps_the_mean_and_the_rows_apart(dtype: torch.dtype) -> None:
    x = torch.ones(40, 8, 5, 5, dtype=dtype)
    dropped = dropout(x, 0.2, torch.arange(40), 3)
    assert dropped.dtype == dtype and set(dropped.unique().tolist()) == {0.0, 1.25}
    assert abs(float((dropped == 0).double().mean()) - 0.2) < 5 * (0.16 / x.numel()) ** 0.5
    assert torch.equal(dropout(x[7:9], 0.2, torch.arange(7, 9), 3), dropped[7:9])
    assert not torch.equal(dropout(x, 0.2, torch.arange(40), 4), dropped)  # another stream
    assert torch.equal(dropout(x, 0.0, torch.arange(40), 3), x)
    assert dropout(x[:0], 0.2, torch.arange(0), 3).shape == (0, 8, 5, 5)


def test_normal_numbers_are_normal_and_belong_to_the_sample() -> None:
    seeds = torch.arange(400)
    values = normal(seeds, 101, SENSOR)
    assert values.shape == (400, 101) and values.isfinite().all()
    assert stats.kstest(values.flatten().double().numpy(), "norm").pvalue > 0.001
    halves = torch.corrcoef(torch.stack([values[:, :50].flatten(), values[:, 51:].flatten()]).double())
    assert abs(float(halves[0, 1])) < 5 / (400 * 50) ** 0.5
    assert torch.equal(normal(seeds[7:9], 101, SENSOR), values[7:9])
    assert not torch.equal(normal(seeds, 101, DROPOUT), values)
