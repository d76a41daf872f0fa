from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from preprocessing.tracking.smoothing import smooth_at


@given(
    st.lists(st.floats(0.01, 0.2), min_size=1, max_size=30),
    st.floats(-100, 100),
    st.floats(-50, 50),
    st.floats(0.03, 0.3),
)
def test_steady_motion_is_kept_exactly(gaps: list[float], start: float, speed: float, sigma: float) -> None:
    """Also at both ends and at uneven times, where a plain moving average would drag behind."""
    t = np.cumsum([0.0, *gaps])
    values = (start + speed * t)[:, None]
    assert np.allclose(smooth_at(t, t, values, sigma), values, atol=1e-6 * (1 + abs(start) + abs(speed)))


def test_noise_shrinks_without_delay() -> None:
    t = np.arange(200) / 25
    clean = np.sin(2 * np.pi * 0.5 * t)[:, None]
    noisy = clean + np.random.default_rng(0).normal(0, 0.1, clean.shape)
    smooth = smooth_at(t, t, noisy, 0.08)
    inner = slice(20, -20)
    assert np.std(smooth[inner] - clean[inner]) < 0.55 * np.std(noisy[inner] - clean[inner])
    delays = range(-5, 6)
    fits = [np.sum(np.roll(clean, d)[inner] * smooth[inner]) for d in delays]
    assert delays[int(np.argmax(fits))] == 0


def test_interpolation_leaves_no_beat_at_the_detection_period() -> None:
    """Looks every 5th frame, straight lines between: after smoothing the residue at that period is small."""
    rng = np.random.default_rng(1)
    t = np.arange(500) / 25
    true = np.cumsum(np.cumsum(rng.normal(0, 0.05, 500)) * 0.2)
    looks = np.arange(0, 500, 5)
    straight = np.interp(t, t[looks], true[looks] + rng.normal(0, 0.3, len(looks)))
    smooth = smooth_at(t, t, straight[:, None], 0.08)[:, 0]

    def bend_at_period(x: np.ndarray) -> float:
        spectrum = np.abs(np.fft.rfft(np.diff(x, 2) * np.hanning(len(x) - 2)))
        frequency = np.fft.rfftfreq(len(x) - 2)
        return float(spectrum[np.abs(frequency - 0.2) < 0.01].max())

    assert bend_at_period(smooth) < 0.25 * bend_at_period(straight)


def test_a_lone_point_is_itself() -> None:
    assert smooth_at(np.array([1.0]), np.array([1.0]), np.array([[7.0, 8.0]]), 0.1).tolist() == [[7.0, 8.0]]
