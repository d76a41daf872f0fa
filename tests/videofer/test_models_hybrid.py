"""The hybrid of face and posture as a whole: what is masked, what learns from what, the branches' labels."""

from __future__ import annotations

import math
from dataclasses import replace
from typing import Any

import pytest
import torch

from videofer.models import BodyConfig, EmotionModel, FaceConfig, FusionConfig, ModelConfig

FACE = FaceConfig(
    trunk="arm", width=4, stem="cifar", input_size=40, align="stn", heads=("clip",), dropout=0,
    clip_average="logit",
)  # fmt: skip
BODY = BodyConfig(network="posture", layout="coco17", min_score=0.1, width=16)
KINDS = pytest.mark.parametrize("kind", ["linear", "features", "hierarchical"])

Batch = dict[str, torch.Tensor]


def make_model(kind: Any = "hierarchical", **fusion: Any) -> EmotionModel:
    """With no parameter at a value of its own, such as zero."""
    torch.manual_seed(0)
    config = ModelConfig(num_classes=4, face=FACE, body=BODY, fusion=FusionConfig(kind=kind, **fusion))
    model = EmotionModel(config)
    for name, parameter in model.named_parameters():
        if "aligner.affine.weight" in name or name.startswith("fusion"):
            torch.nn.init.normal_(parameter, std=0.1)
    return model


def make_batch() -> Batch:
    """Sample 1 lacks a clip, 2 its face, 3 its body."""
    generator = torch.Generator().manual_seed(1)
    batch = {
        "frames": torch.randint(0, 256, (5, 3, 1, 40, 40, 3), dtype=torch.uint8, generator=generator),
        "clip_mask": torch.ones(5, 3, dtype=torch.bool),
        "keypoints": torch.rand(5, 9, 17, 3, generator=generator) * torch.tensor([200, 300, 1]),
        "body_mask": torch.ones(5, dtype=torch.bool),
    }
    batch["clip_mask"][1, 0] = False
    batch["clip_mask"][2] = False
    batch["body_mask"][3] = False
    return batch


@KINDS
def test_every_parameter_learns_and_what_is_masked_leaves_no_trace(kind: Any) -> None:
    expected: dict[str, torch.Tensor] = {}
    for stand_in in (0, 255):
        model, batch = make_model(kind).train(), make_batch()
        batch["frames"][1, 0] = batch["frames"][2] = stand_in
        batch["keypoints"][3] = stand_in
        terms = model.loss(model(batch), torch.tensor([0, 1, 2, 3, 0]))
        terms["total"].backward()  # type: ignore[no-untyped-call]
        found = {name: p.grad for name, p in model.named_parameters()}
        assert all(gradient is not None for gradient in found.values())
        silent = {name for name, gradient in found.items() if not gradient.any()}  # type: ignore[union-attr]
        assert silent == set()
        state = {**found, **model.state_dict()}
        if not expected:
            expected = state  # type: ignore[assignment]
        torch.testing.assert_close(state, expected)


@KINDS
def test_samples_do_not_see_each_other(kind: Any) -> None:
    """A score depends on no other face or body: in the published system it depends on those of the batch."""
    model, batch = make_model(kind).eval(), make_batch()
    with torch.no_grad():
        together = model(batch)
        for rows in ([0], [4, 1], [3, 2, 0]):
            alone = model({name: value[rows] for name, value in batch.items()})
            for head in ("face", "body", "fused"):
                torch.testing.assert_close(alone[head], together[head][rows], atol=1e-5, rtol=1e-4)


def test_late_fusion_leaves_the_branches_as_they_are_alone() -> None:
    """With joint false the gradients of a branch are those of a model that has it alone."""
    batch, target = make_batch(), torch.tensor([0, 1, 2, 3, 0])
    whole = make_model("linear", joint=False).train()
    whole.loss(whole(batch), target)["total"].backward()  # type: ignore[no-untyped-call]
    for name, config in (("face", {"body": None}), ("body", {"face": None})):
        alone = EmotionModel(replace(whole.config, fusion=None, **config)).train()  # type: ignore[arg-type]
        getattr(alone, name).load_state_dict(getattr(make_model("linear"), name).state_dict())
        alone.loss(alone(batch), target)["total"].backward()  # type: ignore[no-untyped-call]
        ours = {key: p.grad for key, p in getattr(whole, name).named_parameters()}
        torch.testing.assert_close({k: p.grad for k, p in getattr(alone, name).named_parameters()}, ours)


@pytest.mark.parametrize("branch_loss", ["networks", "heads"])
def test_what_the_branches_losses_train(branch_loss: Any) -> None:
    """Joint-1L: the networks learn from the fused loss alone; the branches' layers only read."""
    model = make_model("features", branch_loss=branch_loss).train()
    terms = model.loss(model(make_batch()), torch.tensor([0, 1, 2, 3, 0]))
    (terms["face_clip"] + terms["body"]).backward()  # type: ignore[no-untyped-call]
    assert model.face is not None and model.body is not None
    networks = [*model.face.clip_parameters(), *model.body.network.embed.parameters()]  # type: ignore[union-attr]
    heads = [*model.face.streams.parameters(), *model.body.network.head.parameters()]
    reached = [parameter.grad is not None and bool(parameter.grad.any()) for parameter in networks]
    assert all(reached) if branch_loss == "networks" else not any(reached)
    assert all(parameter.grad is not None and parameter.grad.any() for parameter in heads)


@pytest.mark.parametrize("branch_loss", ["networks", "heads"])
def test_heads_of_dimensions_are_heads_as_well(branch_loss: Any) -> None:
    config = make_model("features", branch_loss=branch_loss).config
    model = EmotionModel(replace(config, num_dimensions=2)).train()
    outputs = model(make_batch())
    (outputs["face_dimensions"].sum() + outputs["body_dimensions"].sum()).backward()
    assert model.face is not None and model.body is not None
    networks = [*model.face.clip_parameters(), *model.body.network.embed.parameters()]  # type: ignore[union-attr]
    reached = [parameter.grad is not None and bool(parameter.grad.any()) for parameter in networks]
    assert any(reached) == (branch_loss == "networks")  # an aligner that does nothing yet has parts without
    assert all(parameter.grad is not None for parameter in model.dimension_heads.parameters())


def test_labels_of_the_branches_own() -> None:
    """The loss written out: each branch against its own label, the whole and the answer against the row's."""
    model, batch = make_model("hierarchical", branch_labels="own").eval(), make_batch()
    target, eye = torch.tensor([0, 1, 2, 3, 0]), torch.eye(4)
    own = {"face": eye[[1, 1, 1, 2, 2]], "body": eye[[3, 3, 0, 0, 0]].clone()}
    own["body"][4] = 0  # nothing to learn there
    outputs = model(batch)
    terms = model.loss(outputs, target, branch_targets=own)
    face = -torch.stack([outputs["face_terms"]["clip"][i, c] for i, c in ((0, 1), (1, 1), (3, 2), (4, 2))])
    body = -torch.stack([outputs["body"][i, c] for i, c in ((0, 3), (1, 3), (2, 0))])
    assert terms["face_clip"].item() == pytest.approx(face.mean().item())
    assert terms["body"].item() == pytest.approx(body.mean().item())
    for name in ("whole", "fused"):
        expected = -outputs[name].gather(1, target[:, None]).mean()
        assert terms[name].item() == pytest.approx(expected.item())
    parts = ("face_clip", "body", "whole", "fused")  # all count the same, as published
    assert set(terms) == {*parts, "total"}
    assert terms["total"].item() == pytest.approx(sum(terms[name].item() for name in parts))


def test_labels_of_the_branches_own_must_be_there() -> None:
    model, batch, target = make_model(branch_labels="own"), make_batch(), torch.tensor([0, 1, 2, 3, 0])
    outputs = model(batch)
    with pytest.raises(ValueError, match="the face learns labels of its own, but the loss was given none"):
        model.loss(outputs, target)
    short = {"face": torch.zeros(5, 3), "body": torch.zeros(5, 4)}
    with pytest.raises(ValueError, match=r"targets of the face must be \(5, 4\), not \(5, 3\)"):
        model.loss(outputs, target, branch_targets=short)
    with pytest.raises(ValueError, match="branch_labels own is for targets single"):
        replace(model.config, targets="multi")


def test_an_instant_without_a_body_does_not_enter_the_score() -> None:
    model, batch = make_model().eval(), make_batch()
    longer = {**batch, "keypoints": torch.cat([batch["keypoints"], torch.zeros(5, 40, 17, 3)], dim=1)}
    longer["keypoints"][:, 9:, :, :2] = math.nan
    with torch.no_grad():
        for head in ("body", "fused"):
            torch.testing.assert_close(model(longer)[head], model(batch)[head])
