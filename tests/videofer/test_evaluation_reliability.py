"""Reliability diagrams against scikit-learn's, and the picture."""

from __future__ import annotations

import io
import json

import numpy as np
from PIL import Image
from sklearn.calibration import calibration_curve

from videofer.evaluation.figures import NUM_BINS
from videofer.evaluation.reliability import reliability, save_reliability


def draw(num: int) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(0)
    return rng.dirichlet(np.ones(3), size=num), rng.integers(3, size=num)


def test_bins_equal_those_of_scikit_learn() -> None:
    probs, target = draw(400)
    ours = reliability(probs, target)
    right = probs.argmax(axis=1) == target
    accuracy, confidence = calibration_curve(right, probs.max(axis=1), n_bins=NUM_BINS)
    known = ours.count > 0
    np.testing.assert_allclose(ours.accuracy[known], accuracy)
    np.testing.assert_allclose(ours.confidence[known], confidence)
    assert ours.count.sum() == 400 and np.isnan(ours.accuracy[~known]).all() and not known.all()
    share = ours.count[known] / 400
    assert np.isclose(ours.ece, (share * np.abs(accuracy - confidence)).sum())
    json.dumps(ours.to_json(), allow_nan=False)


def test_the_picture_is_drawn_with_and_without_raw_probabilities() -> None:
    probs, target = draw(50)
    curve, nothing = reliability(probs, target), reliability(probs[:0], target[:0])
    sizes = []
    for curves in ({"face": (curve, curve), "body": (None, nothing)}, {"face": (None, curve)}):
        file = io.BytesIO()
        save_reliability(curves, file, "a title with $ and _")
        with Image.open(file) as picture:
            sizes.append(picture.size)
            assert len(np.unique(np.asarray(picture.convert("L")))) > 50
    assert sizes[0][0] > 1.5 * sizes[1][0]


def test_of_several_seeds_bins_are_pooled_and_the_error_is_their_mean() -> None:
    probs, target = draw(200)
    target[100:] = target[:100]  # both seeds hold the same samples
    each = [reliability(probs[rows], target[rows]) for rows in (slice(0, 100), slice(100, 200))]
    together = reliability(probs, target, np.repeat([0, 1], 100))
    np.testing.assert_array_equal(together.count, each[0].count + each[1].count)
    assert np.isclose(together.ece, (each[0].ece + each[1].ece) / 2)
