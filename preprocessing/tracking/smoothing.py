"""Zero-phase smoothing on a time axis: a symmetric kernel, so that nothing lags behind the picture."""

from __future__ import annotations

import numpy as np


def smooth_at(
    wanted_seconds: np.ndarray, known_seconds: np.ndarray, values: np.ndarray, sigma_seconds: float
) -> np.ndarray:
    """Local straight-line fit under a Gaussian window, evaluated at the wanted times.

    wanted: (N,), known: (T,), values: (T, D) -> (N, D). A straight line instead of a mean keeps steady
    motion exact, also at the ends of a track, where a one-sided mean would drag behind. Times need not
    be evenly spaced. Savitzky and Golay (1964) with first order, on a Gaussian window and real times.
    """
    offset = known_seconds[None, :] - wanted_seconds[:, None]  # (N, T)
    weight = np.exp(-0.5 * (offset / sigma_seconds) ** 2)
    weight /= weight.sum(axis=1, keepdims=True)
    mean = (weight * offset).sum(axis=1, keepdims=True)
    variance = (weight * offset**2).sum(axis=1, keepdims=True) - mean**2
    # Intercept of the weighted regression as one row of weights; a lone point has no slope.
    slope_part = np.where(variance > 1e-12, mean * (offset - mean) / np.maximum(variance, 1e-12), 0.0)
    return np.asarray((weight * (1.0 - slope_part)) @ values)
