"""Self-cure: ranks against a plain reference, in parts as in whole, labels exchanged where they may be."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor, nn

from videofer.models import BodyConfig, EmotionModel, FaceConfig, FusionConfig, ModelConfig
from videofer.models.face import FaceModel
from videofer.models.scn import Attention, Ranking, ScnConfig, rank, relabel

SCN = ScnConfig(rank_margin=0.15, relabel_epoch=2)
FACE = FaceConfig(
    trunk="resnet18", width=4, input_size=33, heads=("clip",), dropout=0.0, scn=SCN, landmark_weight=1.0
)
NUM_FEATURES, NUM_CLASSES = 32, 4

pytestmark = pytest.mark.usefixtures("one_thread")


def reference(attention: np.ndarray, beta: float, margin: float) -> float:
    """As the paper says it, of numbers that all differ."""
    ordered, num_high = np.sort(attention)[::-1], int(np.floor(beta * len(attention) + 1e-6))
    if num_high in (0, len(attention)):
        return 0.0
    return max(0.0, margin - float(ordered[:num_high].mean() - ordered[num_high:].mean()))


def loss_and_gradient(attention: Tensor, present: Tensor, config: ScnConfig) -> tuple[Ranking, Tensor]:
    attention = attention.clone().requires_grad_()
    found = rank(attention, present, config)
    found.loss.backward()  # type: ignore[no-untyped-call]
    assert attention.grad is not None
    return found, attention.grad


@st.composite
def weights_of_batches(draw: st.DrawFn) -> Tensor:
    """(B,) in (0, 1), no two equal: one of 997 places each."""
    places = draw(st.lists(st.integers(1, 996), min_size=1, max_size=40, unique=True))
    return torch.tensor(places) / 997


@settings(max_examples=60, deadline=None)
@given(weights_of_batches(), st.sampled_from([0.3, 0.5, 0.7, 0.9]), st.sampled_from([0.0, 0.15, 0.9]))
def test_the_loss_is_that_of_the_paper(attention: Tensor, beta: float, margin: float) -> None:
    everyone = torch.ones(len(attention), dtype=torch.bool)
    found, gradient = loss_and_gradient(attention, everyone, ScnConfig(beta=beta, rank_margin=margin))
    expected = reference(attention.double().numpy(), beta, margin)
    assert found.loss.item() == pytest.approx(expected, abs=1e-6)
    num_high = int(np.floor(beta * len(attention) + 1e-6))
    order = attention.argsort(descending=True)
    assert found.num_present == len(attention)
    # A loss that is zero but for rounding may have a gradient or none.
    if expected > 1e-6:
        torch.testing.assert_close(gradient[order[:num_high]], torch.full((num_high,), -1 / num_high))
        num_low = len(attention) - num_high
        torch.testing.assert_close(gradient[order[num_high:]], torch.full((num_low,), 1 / num_low))
    elif expected == 0:
        assert not gradient.any() or margin == 0
    is_low = torch.zeros(len(attention), dtype=torch.bool)
    if 0 < num_high < len(attention):
        is_low[order[num_high:]] = True
    assert torch.equal(found.is_low, is_low)


@settings(max_examples=60, deadline=None)
@given(st.data())
def test_several_processes_find_what_one_finds(data: st.DataObject) -> None:
    """With equal weights among them, absent samples, and a process that may have nobody."""
    places = data.draw(st.lists(st.integers(1, 9), min_size=2, max_size=24))
    attention = torch.tensor(places) / 10
    present = torch.tensor(data.draw(st.lists(st.booleans(), min_size=len(places), max_size=len(places))))
    cut = data.draw(st.integers(0, len(places)))
    whole, gradient = loss_and_gradient(attention, present, ScnConfig(rank_margin=0.5))

    parts = [attention[:cut].clone().requires_grad_(), attention[cut:].clone().requires_grad_()]
    rows = torch.stack([attention, present.float()], dim=1)
    found = [
        rank(part, there, ScnConfig(rank_margin=0.5), lambda _: rows)
        for part, there in zip(parts, (present[:cut], present[cut:]), strict=True)
    ]
    total = found[0].loss + found[1].loss
    total.backward()  # type: ignore[no-untyped-call]
    torch.testing.assert_close(total, whole.loss)
    torch.testing.assert_close(torch.cat([part.grad for part in parts]), gradient)  # type: ignore[misc]
    assert torch.equal(torch.cat([part.is_low for part in found]), whole.is_low)


@settings(max_examples=30, deadline=None)
@given(st.data())
def test_who_is_absent_and_the_order_change_nothing(data: st.DataObject) -> None:
    places = data.draw(st.lists(st.integers(1, 9), min_size=2, max_size=20))
    attention, num = torch.tensor(places) / 10, len(places)
    present = torch.tensor(data.draw(st.lists(st.booleans(), min_size=num, max_size=num)))
    order = torch.tensor(data.draw(st.permutations(range(num))))
    present[0] = True  # a batch has samples
    # No gap lies on this margin, where the gradient jumps.
    config = ScnConfig(rank_margin=0.15 + math.pi / 1000)
    whole, gradient = loss_and_gradient(attention, present, config)
    alone, of_alone = loss_and_gradient(attention[present], present[present], config)
    torch.testing.assert_close(alone.loss, whole.loss)
    torch.testing.assert_close(of_alone, gradient[present])
    assert not gradient[~present].any() and not whole.is_low[~present].any()
    moved, of_moved = loss_and_gradient(attention[order], present[order], config)
    torch.testing.assert_close(moved.loss, whole.loss)
    torch.testing.assert_close(of_moved, gradient[order])
    assert torch.equal(moved.is_low, whole.is_low[order])


def test_equal_weights_share_the_border() -> None:
    """Of 10, 7 are high: one of them and two of three that are equal, and so on."""
    attention = torch.tensor([0.9, 0.9, 0.9, 0.9, 0.9, 0.5, 0.5, 0.5, 0.1, 0.1])
    found, gradient = loss_and_gradient(
        attention, torch.ones(10, dtype=torch.bool), ScnConfig(rank_margin=0.9)
    )
    high, low = (5 * 0.9 + 2 * 0.5) / 7, (0.5 + 2 * 0.1) / 3
    assert found.loss.item() == pytest.approx(0.9 - (high - low))
    torch.testing.assert_close(gradient[5:8], torch.full((3,), (-2 / 7 + 1 / 3) / 3))
    assert found.is_low.tolist() == 8 * [False] + 2 * [True]
    equal, gradient = loss_and_gradient(torch.full((10,), 0.5), torch.ones(10, dtype=torch.bool), SCN)
    assert equal.loss.item() == pytest.approx(0.15) and not equal.is_low.any()


@pytest.mark.parametrize("num", [0, 1])
def test_a_batch_that_has_no_two_parts_has_no_loss(num: int) -> None:
    present = torch.arange(5) < num
    found, gradient = loss_and_gradient(torch.linspace(0.1, 0.9, 5), present, SCN)
    assert found.loss == 0 and not gradient.any() and not found.is_low.any()


def test_labels_are_exchanged_in_the_lower_part_and_by_the_margin_alone() -> None:
    probs = torch.tensor([[0.7, 0.2, 0.1], [0.7, 0.2, 0.1], [0.45, 0.3, 0.25], [0.1, 0.8, 0.1]])
    target = torch.eye(3)[[1, 1, 1, 1]]
    is_low = torch.tensor([True, False, True, True])
    made, exchanged = relabel(target, probs.log(), is_low, SCN)
    assert exchanged.tolist() == [True, False, False, False]  # low; not low; too little; says the label
    assert made.argmax(dim=1).tolist() == [0, 1, 1, 1]
    assert torch.equal(
        relabel(target, probs.log(), is_low, replace(SCN, relabel_margin=0.1))[0][2], torch.eye(3)[0]
    )


def test_an_exchanged_label_keeps_its_smoothing_and_its_other_shares() -> None:
    target = torch.tensor([[0.1, 0.6, 0.3]])
    made, exchanged = relabel(target, torch.tensor([[0.8, 0.1, 0.1]]).log(), torch.tensor([True]), SCN)
    assert exchanged.all() and made.tolist() == [pytest.approx([0.6, 0.1, 0.3])]
    assert target.tolist() == [pytest.approx([0.1, 0.6, 0.3])]  # the batch's own is not touched


def test_the_model_s_logits_are_weighed() -> None:
    torch.manual_seed(0)
    model = FaceModel(FACE, NUM_CLASSES).eval()
    streams = model.streams
    assert isinstance(streams.attention, Attention) and streams.clip_head is not None
    features = 3 * torch.randn(3, 2, NUM_FEATURES)
    mask = torch.tensor([[True, False], [True, True], [False, False]])
    outputs = model.window(features, mask)
    weight = torch.sigmoid(features @ streams.attention.linear.weight.T + streams.attention.linear.bias)
    probs = (weight * streams.clip_head(features)).softmax(-1)
    torch.testing.assert_close(outputs["clip"][0], probs[0, 0].log())
    torch.testing.assert_close(outputs["clip"][1], probs[1].mean(0).log())
    torch.testing.assert_close(
        outputs["attention"], torch.stack([weight[0, 0, 0], weight[1].mean(), torch.zeros(())])
    )
    plain = FaceModel(replace(FACE, scn=None), NUM_CLASSES).window(features, mask)
    assert "attention" not in plain and not torch.allclose(plain["clip"][0], outputs["clip"][0])


@pytest.mark.parametrize(
    ("changes", "num_parameters"),
    [
        ({"stem": "cifar", "scn": SCN, "landmark_weight": 1.0}, 11_242_704),  # the landmark-driven model
        ({"scn": SCN}, 11_180_616),  # the self-cure network
        ({}, 11_180_616 - 513),
    ],
)
def test_published_size(changes: dict[str, Any], num_parameters: int) -> None:
    with torch.device("meta"):
        model = FaceModel(FaceConfig(trunk="resnet18", heads=("clip",), **changes), 7)
    assert sum(parameter.numel() for parameter in model.parameters()) == num_parameters


def make_model(**changes: Any) -> EmotionModel:
    torch.manual_seed(0)
    return EmotionModel(ModelConfig(num_classes=NUM_CLASSES, face=replace(FACE, **changes)))


def make_batch(num_samples: int = 10) -> tuple[dict[str, Tensor], Tensor, Tensor, tuple[Tensor, Tensor]]:
    """Features in place of frames, targets, weights, landmarks. Sample 3 lacks its face, 4 its weight."""
    generator = torch.Generator().manual_seed(1)
    batch = {
        "clip_features": torch.randn(num_samples, 2, NUM_FEATURES, generator=generator),
        "clip_mask": torch.ones(num_samples, 2, dtype=torch.bool),
    }
    batch["clip_mask"][3] = False
    weight = torch.rand(num_samples, generator=generator) + 0.5
    weight[4] = 0
    target = torch.rand(num_samples, NUM_CLASSES, generator=generator).softmax(-1)
    landmarks = torch.rand(num_samples, 2, 3, 68, 2, generator=generator)
    mask = torch.rand(num_samples, 2, 3, generator=generator) < 0.6
    mask[5] = False
    landmarks[~mask] = torch.nan
    return batch, target, weight, (landmarks, mask)


def test_terms_of_the_loss() -> None:
    model, (batch, target, weight, landmarks) = make_model(landmark_weight=0.5), make_batch()
    outputs = model(batch)
    terms = model.loss(outputs, target, weight, landmarks=landmarks)
    assert list(terms) == ["face_rank", "face_landmarks", "face_clip", "total", "relabelled"]
    torch.testing.assert_close(
        terms["total"], terms["face_rank"] + terms["face_landmarks"] + terms["face_clip"]
    )
    of = outputs["face_terms"]
    counts = torch.tensor([True, True, True, False, False, True, True, True, True, True])
    torch.testing.assert_close(terms["face_rank"], rank(of["attention"][counts], counts[counts], SCN).loss)
    assert terms["relabelled"] == 0
    total, weights = 0.0, 0.0
    for row in (0, 1, 2, 6, 7, 8, 9):  # 3 has no face, 4 no weight, 5 no landmarks
        clips = [clip for clip in range(2) if landmarks[1][row, clip].any()]
        errors = [
            (of["landmarks"][row, clip] - landmarks[0][row, clip][landmarks[1][row, clip]].mean(0))
            .abs()
            .mean()
            for clip in clips
        ]
        total += weight[row].item() * sum(error.item() for error in errors) / len(errors)
        weights += weight[row].item()
    assert terms["face_landmarks"].item() == pytest.approx(0.5 * total / weights)
    terms["total"].backward()  # type: ignore[no-untyped-call]
    assert model.face is not None and model.face.landmark_head is not None
    for parameter in (*model.face.streams.parameters(), *model.face.landmark_head.parameters()):
        assert parameter.grad is not None and parameter.grad.isfinite().all() and parameter.grad.any()


def test_missing_landmarks_are_named() -> None:
    model, (batch, target, weight, (landmarks, mask)) = make_model(), make_batch()
    outputs = model(batch)
    with pytest.raises(
        ValueError, match="the model has a landmark head, but its loss was given no landmarks"
    ):
        model.loss(outputs, target, weight)
    with pytest.raises(
        ValueError, match=r"landmarks \(10, 2, 3, 68, 2\) and their mask \(10, 2, 1\) do not fit"
    ):
        model.loss(outputs, target, weight, landmarks=(landmarks, mask[:, :, :1]))
    model.loss(
        make_model(landmark_weight=0.0)(batch) | {"face_terms": outputs["face_terms"]},
        target,
        weight,
        landmarks=(landmarks, mask),
    )


def test_relabelling_begins_with_its_epoch_and_changes_the_face_s_target_alone() -> None:
    model, (batch, _, weight, landmarks) = make_model(), make_batch()
    with torch.no_grad():
        model.face.streams.clip_head.weight.mul_(30)  # type: ignore[union-attr]  # sure of something
    outputs = model(batch)
    of = outputs["face_terms"]
    target = of["clip"].argmin(dim=1)  # class indices, all wrong

    def terms(epoch: int, model: EmotionModel = model) -> dict[str, Tensor]:
        return model.loss(outputs, target, weight, landmarks=landmarks, epoch=epoch)

    before, after = terms(1), terms(2)
    low = rank(of["attention"], outputs["has_face"] & (weight > 0), SCN).is_low
    assert low.sum() == 3 and before["relabelled"] == 0 and after["relabelled"].item() == pytest.approx(3 / 8)
    made = torch.where(low, of["clip"].argmax(dim=1), target)
    nll = nn.functional.nll_loss(of["clip"], made, reduction="none")
    weights = weight * outputs["has_face"]
    torch.testing.assert_close(after["face_clip"], (weights * nll).sum() / weights.sum())
    assert after["face_clip"] < before["face_clip"]
    never = terms(99, make_model(scn=replace(SCN, relabel_epoch=None)))
    assert "relabelled" not in never and torch.equal(never["face_clip"], before["face_clip"])


@pytest.mark.parametrize("cut", [1, 4, 5])
def test_the_parts_of_a_batch_add_up_to_it(cut: int) -> None:
    model, (batch, target, weight, landmarks) = make_model(), make_batch()
    whole = model.loss(model(batch), target, weight, landmarks=landmarks, epoch=5)
    whole["total"].backward()  # type: ignore[no-untyped-call]
    expected = {name: parameter.grad for name, parameter in model.named_parameters()}
    model.zero_grad()
    sent: dict[str, list[Tensor]] = {"gather": [], "sum": []}

    def parts(*, gather: Any, sum_up: Any) -> Iterator[dict[str, Tensor]]:
        for rows in (slice(0, cut), slice(cut, None)):
            own = model({name: value[rows] for name, value in batch.items()})
            marks = (landmarks[0][rows], landmarks[1][rows])
            yield model.loss(
                own, target[rows], weight[rows], landmarks=marks, epoch=5,
                gather_from_processes=gather, sum_over_processes=sum_up,
            )  # fmt: skip

    def listen(kind: str) -> Any:
        def hear(value: Tensor) -> Tensor:
            sent[kind].append(value)
            return value

        return hear

    for _ in parts(gather=listen("gather"), sum_up=listen("sum")):
        pass
    joined, summed = torch.cat(sent["gather"]), torch.stack(sent["sum"]).sum(0)
    found = list(parts(gather=lambda _: joined, sum_up=lambda _: summed))
    for part in found:
        part["total"].backward()  # type: ignore[no-untyped-call]
    for name, value in whole.items():
        torch.testing.assert_close(found[0][name] + found[1][name], value, msg=name)
    for name, parameter in model.named_parameters():
        torch.testing.assert_close(parameter.grad, expected[name], msg=name)


def test_body_and_fusion_keep_the_label() -> None:
    torch.manual_seed(0)
    config = ModelConfig(
        num_classes=NUM_CLASSES,
        face=replace(FACE, landmark_weight=0.0, scn=replace(SCN, relabel_margin=0.0)),
        body=BodyConfig(num_joints=5, map_size=12, width=16, se_reduction=2),
        fusion=FusionConfig(),
    )
    model, (batch, _, _, _) = EmotionModel(config), make_batch()
    batch |= {"keypoints": torch.rand(10, 9, 5, 3), "body_mask": torch.ones(10, dtype=torch.bool)}
    outputs = model(batch)
    target = outputs["face"].argmin(dim=1)
    before, after = (model.loss(outputs, target, epoch=epoch) for epoch in (0, 2))
    assert after["relabelled"] > 0 and not torch.equal(before["face_clip"], after["face_clip"])
    assert torch.equal(before["body"], after["body"]) and torch.equal(before["fused"], after["fused"])


def test_lower_precision_keeps_the_losses_in_full() -> None:
    model, (batch, target, weight, landmarks) = make_model(), make_batch()
    with torch.autocast("cpu", torch.bfloat16):
        outputs = model(batch)
    assert {value.dtype for value in outputs["face_terms"].values()} == {torch.float32}
    terms = model.loss(outputs, target, weight, landmarks=landmarks, epoch=2)
    full = model.loss(model(batch), target, weight, landmarks=landmarks, epoch=2)
    for name, value in terms.items():
        assert value.dtype == torch.float32 and value.item() == pytest.approx(full[name].item(), abs=0.02), (
            name
        )
    terms["total"].backward()  # type: ignore[no-untyped-call]


def test_it_cures_wrong_labels_of_unclear_faces() -> None:
    """Clear faces lie far apart by class, unclear ones near the middle; half of their labels are wrong."""
    generator = torch.Generator().manual_seed(0)
    num, is_clear = 200, torch.arange(200) < 140
    truth = torch.randint(0, NUM_CLASSES, (num,), generator=generator)
    place = torch.where(is_clear, 3.0, 1.2)[:, None] * nn.functional.one_hot(truth, NUM_FEATURES)
    features = place + 0.3 * torch.randn(num, NUM_FEATURES, generator=generator)
    is_wrong = ~is_clear & (torch.rand(num, generator=generator) < 0.5)
    label = torch.where(is_wrong, (truth + 1) % NUM_CLASSES, truth)
    batch = {"clip_features": features[:, None], "clip_mask": torch.ones(num, 1, dtype=torch.bool)}

    def train(scn: ScnConfig) -> tuple[EmotionModel, dict[str, Tensor]]:
        model = make_model(landmark_weight=0.0, scn=scn)
        assert model.face is not None
        optimizer = torch.optim.Adam(model.face.streams.parameters(), lr=0.02)
        for step in range(120):
            terms = model.loss(model(batch), label, epoch=step // 10)
            optimizer.zero_grad()
            terms["total"].backward()  # type: ignore[no-untyped-call]
            optimizer.step()
        return model, terms

    cured, terms = train(SCN)
    with torch.inference_mode():
        outputs = cured(batch)
    attention = outputs["face_terms"]["attention"]
    assert attention[is_clear].mean() > attention[~is_clear].mean() + 0.1
    assert 0.05 < terms["relabelled"].item() < 0.2  # about 30 of 200 are wrong
    of_cured = (outputs["face"].argmax(1) == truth)[is_wrong].float().mean()
    left, _ = train(replace(SCN, relabel_epoch=None))
    with torch.inference_mode():
        of_left = (left(batch)["face"].argmax(1) == truth)[is_wrong].float().mean()
    assert of_cured > of_left


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"beta": 0.0}, r"beta must be in \(0, 1\), not 0.0"),
        ({"beta": 1.0}, r"beta must be in \(0, 1\), not 1.0"),
        ({"rank_margin": -0.1}, r"rank_margin must be in \[0, 1\), not -0.1"),
        ({"relabel_margin": 1.0}, r"relabel_margin must be in \[0, 1\), not 1.0"),
        ({"relabel_epoch": -1}, "relabel_epoch must be at least 0, or null for never, not -1"),
    ],
)
def test_wrong_configuration_fails(changes: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        ScnConfig(**changes)


def test_a_face_that_cannot_have_it_is_refused() -> None:
    with pytest.raises(ValueError, match="heads must be clip, not clip, emotion"):
        FaceConfig(heads=("clip", "emotion"), scn=SCN)
    with pytest.raises(ValueError, match="landmark_weight must be at least 0, not -1"):
        FaceConfig(landmark_weight=-1)
