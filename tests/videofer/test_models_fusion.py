from __future__ import annotations

import math
from typing import Any

import pytest
import torch
from torch.nn import functional as F

from videofer.models import FusionConfig
from videofer.models.fusion import Fusion, FusionKind, LinearFusion, drop_modalities

OF_FEATURES = pytest.mark.parametrize("kind", ["features", "hierarchical"])
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
    expected = (face * x[:, 0] + body * x[:, 1] + fusion.rule.bias).log_softmax(-1)  # type: ignore[union-attr]
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


# --- of features -------------------------------------------------------------------------------------


def make_joint(kind: FusionKind, num_features: tuple[int, int] = (5, 3), **settings: Any) -> Fusion:
    torch.manual_seed(0)
    fusion = Fusion(FusionConfig(kind=kind, **settings), 4, num_features).eval()
    for parameter in fusion.parameters():
        torch.nn.init.normal_(parameter)
    assert fusion.whole is not None
    for norm in fusion.whole.norms:
        torch.nn.init.normal_(norm.norm.running_mean)  # type: ignore[arg-type,union-attr]
        torch.nn.init.uniform_(norm.norm.running_var, 0.5, 2.0)  # type: ignore[arg-type,union-attr]
    return fusion


def features(num_samples: int = 3) -> list[torch.Tensor]:
    return [torch.randn(num_samples, 5), torch.randn(num_samples, 3)]


def test_joint_features_are_a_linear_layer_behind_one_normalisation() -> None:
    """Joint-1L: both end to end, normalised together, which is each channel by itself."""
    fusion, x, parts = make_joint("features"), log_probs(), features()
    assert fusion.whole is not None and fusion.rule is None
    joined = torch.cat(parts, dim=1)
    norm = torch.nn.BatchNorm1d(8).eval()
    for name in ("weight", "bias", "running_mean", "running_var"):
        getattr(norm, name).data = torch.cat([getattr(one.norm, name).data for one in fusion.whole.norms])  # type: ignore[union-attr]
    expected = fusion.whole.linear(norm(joined)).log_softmax(-1)
    torch.testing.assert_close(fusion(x, BOTH, features=parts), expected)
    torch.testing.assert_close(fusion(log_probs(), BOTH, features=parts), expected)  # not of their answers


def test_the_hierarchy_is_a_linear_layer_on_all_three_logits() -> None:
    fusion, x, parts = make_joint("hierarchical"), log_probs(), features()
    joint = make_joint("features")
    assert fusion.whole is not None and joint.whole is not None and isinstance(fusion.rule, LinearFusion)
    joint.whole.load_state_dict(fusion.whole.state_dict())
    found = fusion.answers(x, BOTH, features=parts)
    whole = joint(x, BOTH, features=parts)
    torch.testing.assert_close(found["whole"], whole)
    logits = torch.cat([x, whole[:, None]], dim=1)
    centred = logits - logits.mean(-1, keepdim=True)
    torch.testing.assert_close(found["fused"], fusion.rule.linear(centred.flatten(1)).log_softmax(-1))
    untrained = Fusion(FusionConfig(kind="hierarchical"), 4, (5, 3)).eval()
    answers = untrained.answers(x, BOTH, features=parts)
    torch.testing.assert_close(answers["fused"], (x.sum(1) + answers["whole"]).log_softmax(-1))


def test_sizes_of_the_published_hierarchy() -> None:
    """HMT-4 with 2048 features of the face, 256 of the body: 13,830 weights on them for 6 classes, and the
    4,608 of a normalisation; then 20 to 6. There the branches have 7 classes, here 6: 18 to 6."""
    with torch.device("meta"):
        fusion = Fusion(FusionConfig(kind="hierarchical"), 6, (2048, 256))
    assert fusion.whole is not None and isinstance(fusion.rule, LinearFusion)
    assert sum(p.numel() for p in fusion.whole.linear.parameters()) == 13_830
    assert sum(p.numel() for p in fusion.whole.norms.parameters()) == 4_608
    assert sum(p.numel() for p in fusion.rule.linear.parameters()) == 18 * 6 + 6


@OF_FEATURES
@pytest.mark.parametrize("training", [True, False])
@pytest.mark.parametrize("masked", [0, 1])
def test_masked_features_leave_no_trace(kind: FusionKind, training: bool, masked: int) -> None:
    """Neither in an answer nor in the statistics of the normalisation."""
    present = torch.ones(6, 2, dtype=torch.bool)
    present[[1, 4], masked] = False
    x, parts = log_probs(6), features(6)

    def run(stand_in: float) -> tuple[torch.Tensor, dict[str, torch.Tensor]]:
        fusion = make_joint(kind).train(training)
        changed = [part.clone() for part in parts]
        changed[masked][[1, 4]] = stand_in
        answers = x.clone()
        answers[[1, 4], masked] = stand_in
        return fusion(answers, present, features=changed), fusion.state_dict()

    expected, state = run(0.0)
    for stand_in in (-50.0, math.nan, math.inf):
        found, after = run(stand_in)
        torch.testing.assert_close(found, expected)
        torch.testing.assert_close(after, state)
    torch.testing.assert_close(expected.exp().sum(1), torch.ones(6))


@OF_FEATURES
def test_nothing_seen_is_nothing_known_of_features(kind: FusionKind) -> None:
    fused = make_joint(kind)(torch.full((3, 2, 4), math.nan), ~BOTH, features=features())
    torch.testing.assert_close(fused.exp(), torch.full((3, 4), 0.25))


@OF_FEATURES
@pytest.mark.parametrize("joint", [True, False])
def test_only_joint_training_reaches_the_features(kind: FusionKind, joint: bool) -> None:
    fusion, parts = make_joint(kind, joint=joint).train(), [p.requires_grad_() for p in features()]
    fusion(log_probs(), BOTH, features=parts)[:, 0].sum().backward()
    assert all((part.grad is not None and bool(part.grad.any())) == joint for part in parts)


@pytest.mark.parametrize("kind", ["linear", "features", "hierarchical"])
def test_multi_targets_are_not_normalised(kind: FusionKind) -> None:
    """Each class has a probability of its own; where nothing is seen it is a half."""
    torch.manual_seed(0)
    fusion = Fusion(FusionConfig(kind=kind), 4, (5, 3), "multi").eval()
    x = F.logsigmoid(torch.randn(3, 2, 4))
    present = torch.tensor([[True, True], [True, False], [False, False]])
    answers = fusion.answers(x, present, features=features())
    for answer in answers.values():
        assert (answer < 0).all() and not torch.allclose(answer.exp().sum(1), torch.ones(3))
        torch.testing.assert_close(answer[2].exp(), torch.full((4,), 0.5))
    if kind == "linear":  # begins as the sum of both logits
        logits = (x.exp() / (1 - x.exp())).log().sum(dim=1)
        torch.testing.assert_close(answers["fused"][0], F.logsigmoid(logits)[0])


def test_a_single_row_and_none_at_all_can_be_trained_on() -> None:
    fusion = make_joint("hierarchical").train()
    for present in (torch.tensor([[True, False]]), torch.tensor([[False, False]])):
        answers = fusion.answers(log_probs(1), present, features=features(1))
        (answers["fused"] + answers["whole"])[0, 0].backward()  # type: ignore[no-untyped-call]
        assert answers["fused"].isfinite().all()
    assert all(p.grad is not None and p.grad.isfinite().all() for p in fusion.parameters())


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
        ({"branch_loss": "none"}, "branch_loss must be one of networks, heads, not 'none'"),
        ({"branch_labels": "their"}, "branch_labels must be one of same, own, not 'their'"),
        ({"branch_loss": "heads"}, "kind must be one of features, hierarchical and joint true, not log_prob"),
        ({"branch_loss": "heads", "kind": "features", "joint": False}, "not features and false"),
        ({"modality_drop": 1.5}, r"in \[0, 1\], not 1.5"),
    ],
)
def test_wrong_configuration_fails(changes: dict[str, object], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        FusionConfig(**changes)  # type: ignore[arg-type]
