"""Targets that do not exclude one another, and dimensions: heads, losses, parts of a batch that add up."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import hypothesis.strategies as st
import numpy as np
import pytest
import torch
from hypothesis import given
from torch import Tensor
from torch.nn import functional as F

from videofer.models import BodyConfig, EmotionModel, FaceConfig, FusionConfig, ModelConfig
from videofer.models.dimensions import DimensionFusion, loss_of, of_whole_batch, sums_of
from videofer.models.scn import ScnConfig
from videofer.models.targets import Targets, ignorance, log_not, log_probs_of, logits_of, losses_of

FACE = FaceConfig(width=4, input_size=33, trunk="resnet18", feature_hidden=8, emotion_hidden=8, dropout=0.0)
BODY = BodyConfig(num_joints=5, map_size=12, width=16, se_reduction=2)


def make_model(targets: Targets = "multi", fusion: FusionConfig | None = None, **more: Any) -> EmotionModel:
    torch.manual_seed(0)
    config = ModelConfig(
        num_classes=4, face=FACE, body=BODY, fusion=fusion or FusionConfig(), targets=targets, **more
    )
    return EmotionModel(config)


def make_batch() -> dict[str, Tensor]:
    """Six samples: the first has no face, the second no body, the third neither."""
    torch.manual_seed(1)
    batch = {
        "frames": torch.rand(6, 3, 2, 40, 40, 3),
        "clip_mask": torch.ones(6, 3).bool(),
        "keypoints": torch.rand(6, 9, 5, 3) + 0.1,
        "body_mask": torch.ones(6).bool(),
    }
    batch["clip_mask"][[0, 2]] = False
    batch["body_mask"][[1, 2]] = False
    return batch


def ratings() -> Tensor:
    """(6, 3), some not known; nobody has rated the third dimension of the last three."""
    torch.manual_seed(2)
    found = torch.rand(6, 3) * 2 - 1
    found[3, 1] = math.nan
    found[3:, 2] = math.nan
    return found


def take(outputs: dict[str, Any], rows: slice) -> dict[str, Any]:
    return {k: v[rows] if torch.is_tensor(v) else take(v, rows) for k, v in outputs.items()}


@given(st.lists(st.floats(-60, 60, width=32), min_size=1, max_size=8))
def test_logits_come_back_from_log_probabilities(values: list[float]) -> None:
    logits = torch.tensor([values])
    log_probs = log_probs_of(logits, "multi")
    torch.testing.assert_close(logits_of(log_probs, "multi"), logits, rtol=1e-4, atol=1e-4)
    torch.testing.assert_close(log_not(log_probs), F.logsigmoid(-logits), rtol=1e-4, atol=1e-5)


def test_extreme_answers_keep_a_finite_loss_and_gradient() -> None:
    logits = torch.tensor([[200.0, -200.0, 0.0]], requires_grad=True)
    target = torch.tensor([[0.0, 1.0, 0.5]])
    loss = losses_of(log_probs_of(logits, "multi"), target, "multi")
    loss.sum().backward()  # type: ignore[no-untyped-call]
    assert logits.grad is not None and loss.isfinite().all() and logits.grad.isfinite().all()


def test_the_loss_is_binary_cross_entropy() -> None:
    torch.manual_seed(0)
    logits, target = torch.randn(5, 3), torch.rand(5, 3)
    expected = F.binary_cross_entropy_with_logits(logits, target, reduction="none").mean(dim=1)
    torch.testing.assert_close(losses_of(log_probs_of(logits, "multi"), target, "multi"), expected)
    single = losses_of(log_probs_of(logits, "single"), torch.tensor([0, 2, 1, 1, 0]), "single")
    torch.testing.assert_close(
        single, F.cross_entropy(logits, torch.tensor([0, 2, 1, 1, 0]), reduction="none")
    )


@pytest.mark.parametrize("kind", ["log_prob", "linear", "features", "hierarchical"])
def test_classes_hold_by_themselves(kind: Any) -> None:
    model = make_model(fusion=FusionConfig(kind=kind)).eval()
    outputs = model(make_batch())
    for head in ("face", "body", "fused"):
        probs = outputs[head].exp()
        assert ((probs > 0) & (probs < 1)).all() and not torch.allclose(probs.sum(dim=1), torch.ones(6))
    for head, row in (("face", 0), ("body", 1), ("fused", 2)):  # of what is missing nothing is known
        torch.testing.assert_close(outputs[head][row].exp(), torch.full((4,), 0.5))
    assert ignorance(4, "single") == pytest.approx(math.log(0.25))


def test_a_face_and_body_that_agree_are_surer_together_for_and_against() -> None:
    fusion = make_model().fusion
    assert fusion is not None
    log_probs = log_probs_of(torch.tensor([[[2.0, -2.0], [1.0, -1.0]]]).repeat(1, 1, 2), "multi")
    fused = fusion(log_probs, torch.ones(1, 2).bool())
    torch.testing.assert_close(
        logits_of(fused, "multi"), torch.tensor([[3.0, -3.0, 3.0, -3.0]]), rtol=1e-4, atol=1e-4
    )


def test_what_has_one_label_only_is_refused() -> None:
    with pytest.raises(ValueError, match="scn exchanges a sample's one label"):
        ModelConfig(num_classes=3, face=FaceConfig(heads=("clip",), scn=ScnConfig()), targets="multi")
    with pytest.raises(ValueError, match="branch_labels own is for targets single"):
        make_model(fusion=FusionConfig(kind="linear", branch_labels="own"))
    with pytest.raises(ValueError, match="score published_sistcm is published for targets single"):
        ModelConfig(num_classes=3, face=FaceConfig(score="published_sistcm"), targets="multi")


def concordance(x: np.ndarray, y: np.ndarray) -> float:
    """By its definition, as a reference."""
    cov = ((x - x.mean()) * (y - y.mean())).mean()
    return float(2 * cov / (x.var() + y.var() + (x.mean() - y.mean()) ** 2))


def test_concordance_and_squared_error_of_what_is_rated() -> None:
    torch.manual_seed(3)
    found, truth, weight = torch.rand(6, 3) * 2 - 1, ratings(), torch.tensor([1.0, 2, 1, 1, 0, 1])
    repeated = torch.tensor([0, 1, 1, 2, 3, 5])  # a weight of 2 is a sample twice
    x, y = found[repeated].double().numpy(), truth[repeated].double().numpy()
    known = [~np.isnan(column) for column in y.T]
    expected = [concordance(a[k], b[k]) for a, b, k in zip(x.T, y.T, known, strict=True)]
    sums = sums_of(found, truth, weight)
    assert loss_of(sums, "ccc").item() == pytest.approx(1 - np.mean(expected), abs=1e-5)
    squared = [((a[k] - b[k]) ** 2).mean() for a, b, k in zip(x.T, y.T, known, strict=True)]
    assert loss_of(sums, "mse").item() == pytest.approx(np.mean(squared), abs=1e-5)


@pytest.mark.parametrize("kind", ["ccc", "mse"])
def test_nobody_rated_means_no_loss(kind: Any) -> None:
    found = torch.rand(4, 2, requires_grad=True)
    loss = loss_of(sums_of(found, torch.full((4, 2), math.nan), torch.ones(4)), kind)
    loss.backward()  # type: ignore[no-untyped-call]
    assert loss.item() == 0 and found.grad is not None and not found.grad.any()


def test_equal_predictions_have_a_finite_gradient() -> None:
    found = torch.zeros(4, 1, requires_grad=True)
    loss_of(sums_of(found, torch.zeros(4, 1), torch.ones(4)), "ccc").backward()  # type: ignore[no-untyped-call]
    assert found.grad is not None and found.grad.isfinite().all()


@pytest.mark.parametrize("targets", ["single", "multi"])
@pytest.mark.parametrize("kind", ["ccc", "mse"])
def test_parts_of_a_batch_add_up_to_the_whole(targets: Targets, kind: Any) -> None:
    model = make_model(targets, num_dimensions=3).eval()
    target, weight = torch.rand(6, 4), torch.tensor([1.0, 0.5, 1, 1, 2, 1])
    target = target / target.sum(dim=1, keepdim=True)
    outputs, rated = model(make_batch()), ratings()
    more: dict[str, Any] = {"dimension_loss": kind, "dimension_weight": 0.7}
    whole = model.loss(outputs, target, weight, dimensions=rated, **more)
    parts = [slice(0, 4), slice(4, 6), slice(6, 6)]  # the last process has nothing
    heard: list[Tensor] = []

    def listen(sums: Tensor) -> Tensor:
        heard.append(sums)
        return sums

    def of_parts(total: Callable[[Tensor], Tensor]) -> list[dict[str, Tensor]]:
        return [
            model.loss(
                take(outputs, rows), target[rows], weight[rows], dimensions=rated[rows],
                sum_over_processes=total, **more,
            )
            for rows in parts
        ]  # fmt: skip

    of_parts(listen)
    assert len(heard) == len(parts)  # one call a process
    losses = of_parts(lambda _: torch.stack(heard).sum(dim=0))
    for name, value in whole.items():
        assert sum(part[name].item() for part in losses) == pytest.approx(value.item(), abs=1e-5), name
    weights = list(model.parameters())
    expected = torch.autograd.grad(whole["total"], weights, retain_graph=True, allow_unused=True)
    found = torch.autograd.grad(
        torch.stack([part["total"] for part in losses]).sum(), weights, allow_unused=True
    )
    for a, b in zip(expected, found, strict=True):
        assert (a is None) == (b is None)
        if a is not None and b is not None:
            torch.testing.assert_close(a, b, rtol=1e-3, atol=1e-5)


def test_a_part_of_nothing_is_nothing() -> None:
    own, whole = torch.zeros(6, 2, requires_grad=True), torch.rand(6, 2) + 1
    part = of_whole_batch(own, whole, lambda sums: sums.sum())
    assert part.item() == pytest.approx(0)


def test_dimensions_of_heads_and_their_fusion() -> None:
    model = make_model(num_dimensions=3).eval()
    outputs = model(make_batch())
    face, body, fused = (outputs[f"{head}_dimensions"] for head in ("face", "body", "fused"))
    assert face.shape == (6, 3) and (face.abs() <= 1).all()
    torch.testing.assert_close(fused[0], body[0])  # where the face is missing, the body's
    torch.testing.assert_close(fused[1], face[1])
    assert not fused[2].any() and not face[0].any()
    torch.testing.assert_close(fused[3:], (face[3:] + body[3:]) / 2)  # as long as nothing was learned
    rule = DimensionFusion(1)
    rule.preference.data.fill_(math.log(3.0))  # three quarters of the face
    both = rule(torch.tensor([[[1.0], [-1.0]]]), torch.ones(1, 2).bool())
    assert both.item() == pytest.approx(0.5)


def test_late_fusion_of_dimensions_trains_itself_alone() -> None:
    model = make_model(fusion=FusionConfig(joint=False), num_dimensions=3)
    outputs = model(make_batch())
    outputs["fused_dimensions"].sum().backward()
    assert model.dimension_fusion is not None and model.dimension_fusion.preference.grad is not None
    assert all(p.grad is None or not p.grad.any() for p in model.dimension_heads.parameters())


def test_padding_has_no_part_in_the_dimensions() -> None:
    model = make_model(num_dimensions=3).eval()
    batch, target, rated = make_batch(), torch.rand(6, 4), ratings()
    alone = model.loss(model(batch), target, torch.ones(6), dimensions=rated)
    padded = {name: torch.cat([value, torch.zeros_like(value[:2])]) for name, value in batch.items()}
    more = model.loss(
        model(padded),
        torch.cat([target, torch.full((2, 4), 0.5)]),
        torch.tensor([1.0] * 6 + [0.0] * 2),
        dimensions=torch.cat([rated, torch.full((2, 3), math.nan)]),
    )
    for name, value in alone.items():
        torch.testing.assert_close(more[name], value, rtol=1e-4, atol=1e-5)


def test_missing_ratings_are_named() -> None:
    model = make_model(num_dimensions=3).eval()
    outputs = model(make_batch())
    with pytest.raises(ValueError, match="has dimensions, but its loss was given none"):
        model.loss(outputs, torch.rand(6, 4))
    with pytest.raises(ValueError, match=r"dimensions must be \(6, 3\), not \(6, 2\)"):
        model.loss(outputs, torch.rand(6, 4), dimensions=torch.zeros(6, 2))
