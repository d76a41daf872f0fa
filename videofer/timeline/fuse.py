"""From overlapping windows to one distribution for each row of the timeline.

A row is a short stretch of time, a window is what the model looks at. Every window that covers the
centre of a row has a say in it: the more, the nearer the window's centre is and the more of the window
was really seen.

Letters in shapes: R rows, W windows, n classes.
"""

from __future__ import annotations

from typing import Literal

import numpy as np

Kernel = Literal["triangular", "hann"]
Pool = Literal["log_probabilities", "probabilities"]

_NEARLY_SURE = 1e-12


def fuse_windows(
    window_log_probs: np.ndarray,
    window_starts: np.ndarray,
    window_evidence: np.ndarray,
    row_centres: np.ndarray,
    window_seconds: float,
    *,
    kernel: Kernel = "hann",
    pool: Pool = "probabilities",
) -> np.ndarray:
    """Weighted mean of the windows over each row: (R, n) float64 probabilities, NaN rows without evidence.

    window_log_probs (W, n) are normalised log-probabilities, window_starts (W,) media seconds in rising
    order, window_evidence (W,) in [0, 1] the share of the window that was seen (0: the window has no say),
    row_centres (R,) media seconds. `pool` says what is averaged: probabilities (a mixture: where windows
    disagree, the row is unsure) or log-probabilities (a product: the surest windows win).
    """
    log_probs = window_log_probs.astype(np.float64)
    evidence = np.where(np.isfinite(log_probs).all(axis=1), window_evidence, 0.0)
    values = np.exp(log_probs) if pool == "probabilities" else log_probs
    fused = fuse_values(values, window_starts, evidence, row_centres, window_seconds, kernel=kernel)
    if pool == "log_probabilities":
        fused = np.exp(fused - fused.max(axis=1, keepdims=True))  # NaN rows stay NaN
    fused /= fused.sum(axis=1, keepdims=True)
    return fused


def fuse_questions(
    window_log_probs: np.ndarray,
    window_starts: np.ndarray,
    window_evidence: np.ndarray,
    row_centres: np.ndarray,
    window_seconds: float,
    *,
    kernel: Kernel = "hann",
    pool: Pool = "probabilities",
) -> np.ndarray:
    """The same where each class holds or not by itself: rows do not sum to one.

    Of pool "log_probabilities" it is the logits that are averaged, so that yes and no weigh alike.
    """
    probabilities = np.exp(window_log_probs.astype(np.float64))
    sure = np.clip(probabilities, _NEARLY_SURE, 1 - _NEARLY_SURE)
    values = probabilities if pool == "probabilities" else np.log(sure) - np.log1p(-sure)
    fused = fuse_values(values, window_starts, window_evidence, row_centres, window_seconds, kernel=kernel)
    shares: np.ndarray = np.clip(fused, 0.0, 1.0) if pool == "probabilities" else 1 / (1 + np.exp(-fused))
    return shares


def fuse_values(
    values: np.ndarray,
    window_starts: np.ndarray,
    window_evidence: np.ndarray,
    row_centres: np.ndarray,
    window_seconds: float,
    *,
    kernel: Kernel = "hann",
) -> np.ndarray:
    """Weighted mean over each row of any values (W, m) of the windows: (R, m) float64; see `fuse_windows`."""
    if window_seconds <= 0:
        raise ValueError(f"window_seconds is {window_seconds}, must be above 0")
    fused = np.full((len(row_centres), values.shape[1]), np.nan)
    if len(row_centres) == 0 or len(window_starts) == 0:
        return fused
    usable = (window_evidence > 0) & np.isfinite(values).all(axis=1)
    starts, evidence = window_starts[usable], window_evidence[usable].astype(np.float64)
    values = values[usable].astype(np.float64)
    for row, centre in enumerate(row_centres):
        # Windows are sorted, so those that cover the centre are a slice: an hour of video stays linear.
        first = int(np.searchsorted(starts, centre - window_seconds, side="right"))
        last = int(np.searchsorted(starts, centre, side="right"))
        offset = (starts[first:last] + window_seconds / 2 - centre) / window_seconds  # in [-0.5, 0.5)
        weight = kernel_weight(offset, kernel) * evidence[first:last]
        total = weight.sum()
        if total > 1e-9:
            fused[row] = weight @ values[first:last] / total
    return fused


def kernel_weight(offset: np.ndarray, kernel: Kernel) -> np.ndarray:
    """Weight in [0, 1] of a window whose centre lies `offset` window lengths from the row's centre."""
    if kernel == "triangular":
        weight: np.ndarray = np.maximum(0.0, 1.0 - 2.0 * np.abs(offset))
        return weight
    if kernel == "hann":
        return np.where(np.abs(offset) < 0.5, np.cos(np.pi * offset) ** 2, 0.0)
    raise ValueError(f"kernel is {kernel!r}, must be 'triangular' or 'hann'")
