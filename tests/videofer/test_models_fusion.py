from __future__ import annotations

import math

import pytest
import torch

from videofer.models import FusionConfig
from videofer.models.fusion import Fusion, FusionKind, LinearFusion, drop_modalities

KINDS = pytest.mark.parametrize("kind", ["log_prob", "linear"])


def make(kind: FusionKind, num_classes: int = 4) -> Fusion:
    """A fusion with every parameter away from its initial value."""
    torch.manual_seed(0)
    fusion = Fusion(FusionConfig(kind=kind), num_classes).eval()
    for parameter in fusion.parameters():
        torch.nn.init.normal_(parameter)
    return fusion


def log_probs(num_samples: int = 3, num_classes: int = 4) -> torch.Tensor:
    return torch.randn(num_samples, 2, num_classes).log_softmax(-1)


BOTH = torch.ones(3, 2, dtype=torch.bool)


@KINDS
def test_result_is_a_distribution(kind: FusionKind) -> None:
    present = torch.tensor([[True, True], [True, False], [False, False]])
    torch.testing.assert_close(make(kind)(log_probs(), present).exp().sum(1), torch.ones(3))


def test_weighted_log_probabilities() -> None:
    fusion, x = make("log_prob"), log_probs()
    face, body = fusion.rule.log_weights.exp()  # type: ignore[union-attr,operator]
    expected = (face * x[:, 0] + body * x[:, 1] + fusion.rule.bias).log_softmax(-1)
    torch.testing.assert_close(fusion(x, BOTH), expected)


def test_linear_layer_on_logits_of_both() -> None:
    fusion, x = make("linear"), log_probs()
    assert isinstance(fusion.rule, LinearFusion)
    centred = x - x.mean(-1, keepdim=True)
    expected = fusion.rule.linear(centred.flatten(1)).log_softmax(-1)
    torch.testing.assert_close(fusion(x, BOTH), expected)
    shifted = x + torch.tensor([3.0, -2.0])[:, None]  # logits are free up to a constant
    torch.testing.assert_close(fusion(shifted, BOTH), expected)
    assert sum(p.numel() for p in LinearFusion(7).linear.parameters()) == 105


@KINDS
@pytest.mark.parametrize("masked", [0, 1])
def test_masked_modality_contributes_nothing(kind: FusionKind, masked: int) -> None:
    fusion, x = make(kind), log_probs()
    present = BOTH.clone()
    present[:, masked] = False
    expected = fusion(x, present)
    for stand_in in (0.0, -50.0, math.nan, -math.inf):
        other = x.clone()
        other[:, masked] = stand_in
        torch.testing.assert_close(fusion(other, present), expected)
    other = x.clone()
    other[:, 1 - masked] = log_probs()[:, 0]
    assert not torch.allclose(fusion(other, present), expected)


@KINDS
def test_with_neither_every_class_is_equally_probable(kind: FusionKind) -> None:
    fused = make(kind)(torch.full((3, 2, 4), math.nan), ~BOTH)
    torch.testing.assert_close(fused.exp(), torch.full((3, 4), 0.25))


@KINDS
def test_untrained_fusion_of_one_modality_is_that_modality(kind: FusionKind) -> None:
    fusion, x = Fusion(FusionConfig(kind=kind), 4), log_probs()
    present = torch.tensor([[True, False], [False, True], [True, True]])
    fused = fusion(x, present)
    torch.testing.assert_close(fused[0], x[0, 0])
    torch.testing.assert_close(fused[1], x[1, 1])
    torch.testing.assert_close(fused[2], x[2].sum(0).log_softmax(-1))


@KINDS
@pytest.mark.parametrize("joint", [True, False])
def test_only_joint_training_reaches_the_modalities(kind: FusionKind, joint: bool) -> None:
    fusion, x = Fusion(FusionConfig(kind=kind, joint=joint), 4), log_probs().requires_grad_()
    fusion(x, BOTH)[:, 0].sum().backward()
    assert (x.grad is not None) == joint


def test_modalities_are_dropped_in_training_only() -> None:
    fusion = Fusion(FusionConfig(modality_drop=1.0), 4)
    x = log_probs(200)
    present = torch.ones(200, 2, dtype=torch.bool)
    fused = fusion(x, present)
    is_face = (fused - x[:, 0]).abs().amax(1) < 1e-5
    is_body = (fused - x[:, 1]).abs().amax(1) < 1e-5
    assert (is_face ^ is_body).all()
    assert 60 < is_face.sum() < 140
    torch.testing.assert_close(fusion.eval()(x, present), x.sum(1).log_softmax(-1))


def test_dropping_by_seed_is_the_sample_s_own() -> None:
    present, seeds = torch.ones(2000, 2, dtype=torch.bool), torch.arange(2000)
    dropped = drop_modalities(present, 0.3, seeds)
    for rows in (slice(5, 6), slice(0, 700), slice(100, 2000, 7)):
        assert torch.equal(drop_modalities(present[rows], 0.3, seeds[rows]), dropped[rows])
    chosen = dropped.sum(1) == 1
    assert 0.26 < chosen.float().mean() < 0.34
    assert 0.44 < dropped[chosen, 0].float().mean() < 0.56
    fusion = Fusion(FusionConfig(modality_drop=0.3), 4)
    x = log_probs(2000)
    torch.testing.assert_close(fusion(x, present, seeds), fusion.eval()(x, dropped))


def test_dropping_never_takes_the_last_modality() -> None:
    present = torch.tensor([[True, True], [True, False], [False, True], [False, False]]).repeat(500, 1)
    dropped = drop_modalities(present, 0.4)
    had_both = present.all(1)
    assert torch.equal(dropped[~had_both], present[~had_both])
    left = dropped[had_both].sum(1)
    assert (left >= 1).all()
    assert 0.3 < (left == 1).float().mean() < 0.5


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"kind": "mean"}, "kind must be one of log_prob, linear, features, hierarchical, not 'mean'"),
        ({"modality_drop": 1.5}, r"in \[0, 1\], not 1.5"),
    ],
)
def test_wrong_configuration_fails(changes: dict[str, object], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        FusionConfig(**changes)  # type: ignore[arg-type]
