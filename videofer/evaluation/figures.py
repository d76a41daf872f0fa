"""Sums over samples from which every figure follows, and the figures.

A bootstrap draws the same groups thousands of times: a drawn figure is then made of sums of sums, not of
another pass over the samples.

Letters in shapes: N samples, G groups, n classes, M sums, ... anything in front.
"""

from __future__ import annotations

import numpy as np

FIGURES = ("war", "uar", "macro_f1", "weighted_f1", "ece", "nll", "brier")
"""Names of the figures of `figures_of`."""

NUM_BINS = 15
"""Equal-width bins of the confidence, (low, high], for the calibration error."""


def sums_per_group(probs: np.ndarray, target: np.ndarray, group: np.ndarray, num_groups: int) -> np.ndarray:
    """probs (N, n), target (N,) int, group (N,) int -> (G, M) float64.

    The M sums: the confusion matrix row by row (n * n), the gap of each bin (NUM_BINS), NLL, Brier score.
    """
    num_classes = probs.shape[1]
    true_probs = probs[np.arange(len(target)), target]
    nll = -np.log(np.maximum(true_probs, 1e-12))
    brier = np.square(probs).sum(axis=1) - 2 * true_probs + 1  # sum over classes of (p - truth)^2
    predicted = probs.argmax(axis=1)
    cell = (group * num_classes + target) * num_classes + predicted
    confusion = np.bincount(cell, minlength=num_groups * num_classes**2)
    gap = np.bincount(
        group * NUM_BINS + bin_of(probs.max(axis=1)),
        weights=probs.max(axis=1) - (predicted == target),
        minlength=num_groups * NUM_BINS,
    )
    columns = (np.bincount(group, weights=values, minlength=num_groups) for values in (nll, brier))
    return np.column_stack(
        [confusion.reshape(num_groups, num_classes**2), gap.reshape(num_groups, NUM_BINS), *columns]
    )


def sums_of_seeds(
    probs: np.ndarray, target: np.ndarray, group: np.ndarray, num_groups: int, seeds: np.ndarray | None
) -> list[np.ndarray]:
    """`sums_per_group` of the rows of each seed; seeds (N,), or None for one.

    ValueError where the seeds do not hold equally many samples of each class and group.
    """
    if seeds is None or not len(target):
        return [sums_per_group(probs, target, group, num_groups)]
    sums = [
        sums_per_group(probs[rows], target[rows], group[rows], num_groups)
        for rows in (seeds == value for value in np.unique(seeds))
    ]
    supports = [confusion_of(one_seed, probs.shape[1]).sum(axis=-1) for one_seed in sums]  # each (G, n)
    if any((support != supports[0]).any() for support in supports):
        raise ValueError("every seed must hold the same samples")
    return sums


def bin_of(confidence: np.ndarray, num_bins: int = NUM_BINS) -> np.ndarray:
    """Confidences (N,) in [0, 1] -> (N,) int64 places of their bins."""
    place: np.ndarray = np.clip(np.ceil(confidence * num_bins).astype(np.int64) - 1, 0, num_bins - 1)
    return place


def confusion_of(sums: np.ndarray, num_classes: int) -> np.ndarray:
    """Sums (..., M) -> confusion matrix (..., n, n): rows the truth, columns the prediction."""
    return sums[..., : num_classes**2].reshape(*sums.shape[:-1], num_classes, num_classes)


def figures_of(sums: np.ndarray, num_classes: int) -> dict[str, np.ndarray]:
    """Sums (..., M) -> FIGURES, each (...); NaN where there is no sample.

    UAR and macro-F1 are means over the classes that occur in the truth: a class without a single sample
    neither helps nor hurts.
    """
    confusion = confusion_of(sums, num_classes)
    support = confusion.sum(axis=-1)
    with np.errstate(invalid="ignore"):
        total = support.sum(axis=-1)
        total = np.where(total > 0, total, np.nan)
        num_present = np.where(total > 0, (support > 0).sum(axis=-1), np.nan)
        recall, _, f1 = class_figures(confusion)
        recall, f1 = np.nan_to_num(recall), np.nan_to_num(f1)
        gap = np.abs(sums[..., num_classes**2 : num_classes**2 + NUM_BINS]).sum(axis=-1)
        return {
            "war": np.trace(confusion, axis1=-2, axis2=-1) / total,
            "uar": recall.sum(axis=-1) / num_present,
            "macro_f1": f1.sum(axis=-1) / num_present,
            "weighted_f1": (f1 * support).sum(axis=-1) / total,
            "ece": gap / total,
            "nll": sums[..., -2] / total,
            "brier": sums[..., -1] / total,
        }


def class_figures(confusion: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Confusion matrices (..., n, n) -> recall, precision, F1, each (..., n).

    Recall and F1 are NaN for a class without a sample, precision for one that was never predicted.
    """
    hits = np.diagonal(confusion, axis1=-2, axis2=-1)
    support, said = confusion.sum(axis=-1), confusion.sum(axis=-2)
    with np.errstate(invalid="ignore"):
        known = np.where(support > 0, support, np.nan)
        return hits / known, hits / np.where(said > 0, said, np.nan), 2 * hits / (known + said)


def confusion_matrix(target: np.ndarray, predicted: np.ndarray, num_classes: int) -> np.ndarray:
    """(n, n) int64 counts, rows the truth, columns the prediction, from two (N,) arrays of class indices."""
    flat = np.bincount(target * num_classes + predicted, minlength=num_classes * num_classes)
    return flat.reshape(num_classes, num_classes)
