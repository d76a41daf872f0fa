"""The learned combination: against scipy's optimiser, and what its prior is good for."""

from __future__ import annotations

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from scipy.optimize import minimize
from torch import Tensor

from videofer.ensembles.combine import Mean, blend_inputs
from videofer.training.blend import STRENGTHS, WITHOUT_FOLDS, fit_blend

pytestmark = pytest.mark.usefixtures("one_thread")

NUM_CLASSES = 3


def members(num: int, strengths: tuple[float, ...], seed: int = 0) -> tuple[Tensor, Tensor]:
    """Log-probabilities (m, num, n) of members that err independently, each so often; and the truth."""
    generator = torch.Generator().manual_seed(seed)
    target = torch.randint(0, NUM_CLASSES, (num,), generator=generator)
    truth = F.one_hot(target, NUM_CLASSES)
    scores = [s * truth + torch.randn(num, NUM_CLASSES, generator=generator) for s in strengths]
    return torch.stack(scores).log_softmax(dim=2), target


def test_it_is_the_minimum_that_scipy_finds() -> None:
    log_probs, target = members(60, (1.0, 2.0))
    inputs, truth = blend_inputs(log_probs.double()).numpy(), target.numpy()
    num_inputs = inputs.shape[1]
    mean = np.tile(np.eye(NUM_CLASSES), 2) / 2

    def nll(weight: np.ndarray, bias: np.ndarray) -> float:
        scores = inputs @ weight.T + bias
        high = scores.max(axis=1)
        total = np.log(np.exp(scores - high[:, None]).sum(axis=1)) + high - scores[np.arange(60), truth]
        return float(total.sum())

    def weighted(log_x: np.ndarray) -> float:
        return nll(mean * np.exp(log_x).repeat(NUM_CLASSES), np.zeros(NUM_CLASSES)) + 0.5 * log_x @ log_x

    center = mean * np.exp(minimize(weighted, np.zeros(2)).x).repeat(NUM_CLASSES)

    def objective(flat: np.ndarray) -> float:
        shift = flat.reshape(NUM_CLASSES, num_inputs + 1)
        prior = 0.5 * WITHOUT_FOLDS * (flat @ flat)
        return nll(center + shift[:, :-1], shift[:, -1]) + float(prior)

    best = minimize(objective, np.zeros(NUM_CLASSES * (num_inputs + 1)), tol=1e-9).x
    shift = best.reshape(NUM_CLASSES, num_inputs + 1)
    blend = fit_blend(log_probs, target, None).blend
    np.testing.assert_allclose(blend.weight, center + shift[:, :-1], atol=2e-4)
    np.testing.assert_allclose(blend.bias, shift[:, -1], atol=2e-4)


def test_members_alike_are_weighed_alike() -> None:
    log_probs, target = members(3000, (1.5, 1.5))
    fit = fit_blend(log_probs, target, np.arange(3000) % 5)
    assert fit.strength >= 100  # there is nothing to learn but how far to trust them
    weight = np.array(fit.blend.weight)
    trust = np.diag(weight[:, :NUM_CLASSES]).mean()
    np.testing.assert_allclose(weight, trust * np.tile(np.eye(NUM_CLASSES), 2), atol=0.2)


def test_who_knows_more_weighs_more() -> None:
    log_probs, target = members(3000, (0.2, 3.0))
    weight = np.array(fit_blend(log_probs, target, np.arange(3000) % 5).blend.weight)
    first, second = np.diag(weight[:, :NUM_CLASSES]), np.diag(weight[:, NUM_CLASSES:])
    assert (second > 2 * first).all()


def test_a_member_that_mixes_up_two_classes_is_put_right() -> None:
    log_probs, target = members(2000, (2.5, 2.5))
    log_probs[1] = log_probs[1][:, [1, 0, 2]]  # says anger where it means neutral
    fit = fit_blend(log_probs, target, np.arange(2000) % 5)
    fresh, truth = members(2000, (2.5, 2.5), seed=1)
    fresh[1] = fresh[1][:, [1, 0, 2]]
    right = (fit.blend(fresh).argmax(dim=1) == truth).double().mean()
    assert right > (Mean()(fresh).argmax(dim=1) == truth).double().mean() + 0.05
    assert fit.strength < max(STRENGTHS)


def test_what_is_said_of_a_fold_does_not_depend_on_its_labels() -> None:
    log_probs, target = members(300, (1.0, 2.0))
    fold = np.arange(300) % 3
    found = fit_blend(log_probs, target, fold)
    assert found.out_of_fold is not None
    np.testing.assert_allclose(found.out_of_fold.exp().sum(dim=1), 1, atol=1e-5)
    changed = target.clone()
    changed[fold == 1] = (target[fold == 1] + 1) % NUM_CLASSES
    strengths = [one for one in STRENGTHS if one == found.strength]
    with pytest.MonkeyPatch.context() as patch:  # one strength: else the choice of it sees the labels
        patch.setattr("videofer.training.blend.STRENGTHS", tuple(strengths))
        again = fit_blend(log_probs, changed, fold)
    assert again.out_of_fold is not None
    own = torch.from_numpy(fold == 1)
    torch.testing.assert_close(again.out_of_fold[own], found.out_of_fold[own])
    assert not torch.allclose(again.out_of_fold[~own], found.out_of_fold[~own])


def test_without_folds_there_is_nothing_out_of_fold() -> None:
    fit = fit_blend(*members(50, (1.0, 1.0)), None)
    assert fit.out_of_fold is None and fit.strength == WITHOUT_FOLDS
