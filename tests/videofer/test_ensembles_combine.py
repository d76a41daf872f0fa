"""How answers become one: against numpy, and what every combination keeps."""

from __future__ import annotations

import json

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from torch import Tensor

from videofer.ensembles.combine import (
    Blend,
    Mean,
    blend_inputs,
    combination_from_json,
    combination_to_json,
    geometric_mean,
)

NUM_MEMBERS, NUM_CLASSES = 3, 4
SCORES = arrays(np.float64, (NUM_MEMBERS, 5, NUM_CLASSES), elements=st.floats(-40, 40))


def as_log_probs(scores: np.ndarray) -> Tensor:
    return torch.from_numpy(scores).log_softmax(dim=2)


def blend_of(weight: Tensor, bias: Tensor) -> Blend:
    return Blend(weight=tuple(map(tuple, weight.tolist())), bias=tuple(bias.tolist()))


@given(SCORES)
def test_the_mean_is_that_of_the_probabilities(scores: np.ndarray) -> None:
    exp = np.exp(scores - scores.max(axis=2, keepdims=True))
    expected = (exp / exp.sum(axis=2, keepdims=True)).mean(axis=0)
    np.testing.assert_allclose(Mean()(as_log_probs(scores)).exp().numpy(), expected, atol=1e-12)


@given(SCORES)
def test_a_blend_of_equal_shares_is_the_geometric_mean(scores: np.ndarray) -> None:
    blend = blend_of(geometric_mean(NUM_MEMBERS, NUM_CLASSES), torch.zeros(NUM_CLASSES))
    product = np.exp(scores - scores.max(axis=2, keepdims=True)).prod(axis=0) ** (1 / NUM_MEMBERS)
    expected = product / product.sum(axis=1, keepdims=True)
    np.testing.assert_allclose(blend(as_log_probs(scores)).exp().numpy(), expected, atol=1e-9)


@given(SCORES, st.integers(0, 2**31 - 1))
def test_a_blend_is_a_layer_on_centred_logits(scores: np.ndarray, seed: int) -> None:
    rng = np.random.default_rng(seed)
    weight, bias = rng.normal(size=(NUM_CLASSES, NUM_MEMBERS * NUM_CLASSES)), rng.normal(size=NUM_CLASSES)
    logits = np.concatenate([one - one.mean(axis=1, keepdims=True) for one in scores], axis=1)
    np.testing.assert_allclose(blend_inputs(as_log_probs(scores)).numpy(), logits, atol=1e-9)
    expected = torch.from_numpy(logits @ weight.T + bias).log_softmax(dim=1)
    found = blend_of(torch.from_numpy(weight), torch.from_numpy(bias))(as_log_probs(scores))
    torch.testing.assert_close(found, expected, atol=1e-9, rtol=1e-9)


def test_json_holds_a_combination() -> None:
    blend = blend_of(torch.randn(NUM_CLASSES, NUM_MEMBERS * NUM_CLASSES), torch.randn(NUM_CLASSES))
    for one in (Mean(), blend):
        assert combination_from_json(json.loads(json.dumps(combination_to_json(one)))) == one
    with pytest.raises(ValueError, match="kind is 'vote', not mean or linear"):
        combination_from_json({"kind": "vote"})
    with pytest.raises(ValueError, match="values that are no numbers"):
        Blend(weight=((1.0, float("nan")),), bias=(0.0,))


def test_a_blend_fits_its_members_only() -> None:
    blend = blend_of(torch.zeros(NUM_CLASSES, NUM_MEMBERS * NUM_CLASSES), torch.zeros(NUM_CLASSES))
    blend.check(NUM_MEMBERS, NUM_CLASSES)
    Mean().check(1, 2)
    with pytest.raises(ValueError, match="weight must be 4 x 8"):
        blend.check(2, NUM_CLASSES)
    with pytest.raises(ValueError, match="of 4 classes, the members of 5"):
        blend.check(NUM_MEMBERS, 5)
