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
    if window_seconds <= 0:
        raise ValueError(f"window_seconds is {window_seconds}, must be above 0")
    num_rows, num_classes = len(row_centres), window_log_probs.shape[1]
    fused = np.full((num_rows, num_classes), np.nan)
    if num_rows == 0 or len(window_starts) == 0:
        return fused
    usable = (window_evidence > 0) & np.isfinite(window_log_probs).all(axis=1)
    starts, evidence = window_starts[usable], window_evidence[usable].astype(np.float64)
    values = window_log_probs[usable].astype(np.float64)
    if pool == "probabilities":
        values = np.exp(values)
    for row, centre in enumerate(row_centres):
        # Windows are sorted, so those that cover the centre are a slice: an hour of video stays linear.
        first = int(np.searchsorted(starts, centre - window_seconds, side="right"))
        last = int(np.searchsorted(starts, centre, side="right"))
        offset = (starts[first:last] + window_seconds / 2 - centre) / window_seconds  # in [-0.5, 0.5)
        weight = kernel_weight(offset, kernel) * evidence[first:last]
        total = weight.sum()
        if total > 1e-9:
            fused[row] = weight @ values[first:last] / total
    if pool == "log_probabilities":
        fused = np.exp(fused - fused.max(axis=1, keepdims=True))  # NaN rows stay NaN
    fused /= fused.sum(axis=1, keepdims=True)
    return fused


def kernel_weight(offset: np.ndarray, kernel: Kernel) -> np.ndarray:
    """Weight in [0, 1] of a window whose centre lies `offset` window lengths from the row's centre."""
    if kernel == "triangular":
        weight: np.ndarray = np.maximum(0.0, 1.0 - 2.0 * np.abs(offset))
        return weight
    if kernel == "hann":
        return np.where(np.abs(offset) < 0.5, np.cos(np.pi * offset) ** 2, 0.0)
    raise ValueError(f"kernel is {kernel!r}, must be 'triangular' or 'hann'")
