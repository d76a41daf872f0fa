from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from pydantic import BaseModel, ValidationError
from safetensors.torch import load_file, save_file

from videofer.models import BodyConfig, EmotionModel, FaceConfig, FusionConfig, ModelConfig
from videofer.models.tlstm import HEADS

FACE = FaceConfig(width=4, input_size=40, feature_hidden=8, emotion_hidden=8)
BODY = BodyConfig(num_joints=5, map_size=12, width=16, se_reduction=2)
CONFIG = ModelConfig(num_classes=4, face=FACE, body=BODY, fusion=FusionConfig())

Batch = dict[str, torch.Tensor]


def make_model(config: ModelConfig = CONFIG) -> EmotionModel:
    torch.manual_seed(0)
    return EmotionModel(config)


def make_batch(num_samples: int = 4, num_clips: int = 3, num_frames: int = 2, size: int = 40) -> Batch:
    """Sample 1 lacks a clip, 2 its face, 3 its body."""
    generator = torch.Generator().manual_seed(1)
    shape = (num_samples, num_clips, num_frames, size, size, 3)
    batch = {
        "frames": torch.randint(0, 256, shape, dtype=torch.uint8, generator=generator),
        "clip_mask": torch.ones(num_samples, num_clips, dtype=torch.bool),
        "keypoints": 100 * torch.rand(num_samples, 9, 5, 3, generator=generator),
        "body_mask": torch.ones(num_samples, dtype=torch.bool),
    }
    batch["keypoints"][..., 2] /= 100
    if num_samples >= 4:
        batch["clip_mask"][1, 0] = False
        batch["clip_mask"][2] = False
        batch["body_mask"][3] = False
    return batch


def take(batch: Batch, rows: Any) -> Batch:
    return {key: value[rows] for key, value in batch.items()}


@pytest.mark.parametrize("num_frames", [1, 2, 3, 8, 16])
@pytest.mark.parametrize("num_clips", [1, 3])
def test_shapes_for_any_number_of_clips_and_frames(num_frames: int, num_clips: int) -> None:
    outputs = make_model()(make_batch(num_clips=num_clips, num_frames=num_frames))
    assert {"face", "body", "fused", "has_face", "has_body", "face_terms"} == set(outputs)
    for head in CONFIG.heads:
        assert outputs[head].shape == (4, 4)
        torch.testing.assert_close(outputs[head].exp().sum(1), torch.ones(4))
    assert outputs["has_body"].tolist() == [True, True, True, False]


@pytest.mark.parametrize(
    ("config", "heads"),
    [
        (CONFIG, ("face", "body", "fused")),
        (replace(CONFIG, body=None, fusion=None), ("face",)),
        (replace(CONFIG, face=None, fusion=None), ("body",)),
    ],
)
def test_a_model_of_one_modality_needs_nothing_of_the_other(
    config: ModelConfig, heads: tuple[str, ...]
) -> None:
    assert config.heads == heads
    batch = make_batch()
    if config.face is None:
        del batch["frames"], batch["clip_mask"]
    if config.body is None:
        del batch["keypoints"], batch["body_mask"]
    model = make_model(config)
    outputs = model(batch)
    assert [key for key in ("face", "body", "fused") if key in outputs] == list(heads)
    model.loss(outputs, torch.tensor([0, 1, 2, 3]))["total"].backward()
    assert all(p.grad is not None for p in model.parameters())


@pytest.mark.parametrize("view_merge", ["sum", "constants", "attention"])
@pytest.mark.parametrize("kind", ["log_prob", "linear"])
@pytest.mark.parametrize("maps", ["timeline", "accumulated"])
def test_gradient_reaches_every_parameter(view_merge: Any, kind: Any, maps: Any) -> None:
    config = ModelConfig(
        num_classes=4,
        face=replace(FACE, view_merge=view_merge, spatial_view=view_merge == "attention"),
        body=replace(BODY, maps=maps),
        fusion=FusionConfig(kind=kind),
    )
    model = make_model(config)
    model.loss(model(make_batch()), torch.tensor([0, 1, 2, 3]))["total"].backward()
    for name, parameter in model.named_parameters():
        assert parameter.grad is not None, name
        assert parameter.grad.isfinite().all(), name
        # a bias in front of a batch normalisation has no effect, so its gradient may be rounding only
        assert parameter.grad.abs().sum() > 0, name


def test_samples_do_not_see_each_other() -> None:
    model, batch = make_model().eval(), make_batch()
    together = model(batch)
    order = torch.tensor([2, 0, 3, 1])
    permuted = model(take(batch, order))
    for head in CONFIG.heads:
        torch.testing.assert_close(permuted[head], together[head][order])
        for row in range(4):
            alone = model(take(batch, slice(row, row + 1)))
            torch.testing.assert_close(alone[head], together[head][row : row + 1])


@pytest.mark.parametrize("training", [True, False])
def test_masked_content_leaves_no_trace(training: bool) -> None:
    """Neither in an output nor in the statistics of a batch normalisation."""
    batch, poisoned = make_batch(), make_batch()
    poisoned["frames"][~poisoned["clip_mask"]] = 255
    poisoned["keypoints"][3] = torch.nan

    def run(data: Batch) -> tuple[dict[str, Any], dict[str, torch.Tensor]]:
        model = make_model().train(training)
        torch.manual_seed(2)  # dropout
        return model(data), model.state_dict()

    (clean, clean_state), (other, other_state) = run(batch), run(poisoned)
    for head in CONFIG.heads:
        assert torch.equal(clean[head], other[head])
    assert all(torch.equal(clean_state[key], other_state[key]) for key in clean_state)


def test_masked_modality_is_uniform_and_not_fused() -> None:
    model, batch = make_model().eval(), make_batch()
    outputs = model(batch)
    assert outputs["has_face"].tolist() == [True, True, False, True]
    torch.testing.assert_close(outputs["face"][2].exp(), torch.full((4,), 0.25))
    torch.testing.assert_close(outputs["body"][3].exp(), torch.full((4,), 0.25))
    torch.testing.assert_close(outputs["fused"][2], outputs["body"][2])  # untrained weights are 1, bias 0
    torch.testing.assert_close(outputs["fused"][3], outputs["face"][3])


def test_a_body_without_a_seen_joint_is_no_body() -> None:
    batch = make_batch()
    batch["keypoints"][0, ..., 2] = 0
    assert make_model()(batch)["has_body"].tolist() == [False, True, True, False]


def test_nothing_there_costs_nothing_but_keeps_all_gradients() -> None:
    model, batch = make_model(), make_batch()
    batch["clip_mask"][:] = False
    batch["body_mask"][:] = False
    outputs = model(batch)
    torch.testing.assert_close(outputs["fused"].exp(), torch.full((4, 4), 0.25))
    total = model.loss(outputs, torch.tensor([0, 1, 2, 3]))["total"]
    assert total == 0
    total.backward()
    for name, parameter in model.named_parameters():
        assert parameter.grad is not None, name
        assert (parameter.grad == 0).all(), name


def test_clip_features_can_be_shared_between_windows() -> None:
    model, batch = make_model().eval(), make_batch()
    assert model.face is not None
    features = torch.stack([model.face.clip_features(frames) for frames in batch["frames"]])
    assert features.shape == (4, 3, model.face.num_features)
    shared = {key: value for key, value in batch.items() if key != "frames"} | {"clip_features": features}
    expected, outputs = model(batch), model(shared)
    for head in CONFIG.heads:
        torch.testing.assert_close(outputs[head], expected[head])


def test_order_of_frames_changes_the_face_only() -> None:
    model, batch = make_model().eval(), make_batch(num_frames=3)
    reverse = batch | {"frames": batch["frames"].flip(2)}
    forward, backward = model(batch), model(reverse)
    assert not torch.allclose(forward["face"][0], backward["face"][0], atol=1e-5)
    assert torch.equal(forward["body"], backward["body"])


def test_pixels_are_scaled_resized_and_normalised_on_the_device() -> None:
    config = replace(FACE, mean=(0.5, 0.4, 0.3), std=(0.2, 0.3, 0.4))
    model = make_model(ModelConfig(num_classes=4, face=config)).eval()
    assert model.face is not None
    frames = make_batch()["frames"][0]
    expected = model.face.clip_features(frames)
    torch.testing.assert_close(model.face.clip_features(frames.float() / 255), expected)
    double = frames.repeat_interleave(2, dim=2).repeat_interleave(2, dim=3)
    assert double.shape[-3:] == (80, 80, 3)
    seen: list[torch.Tensor] = []
    model.face.trunk.register_forward_pre_hook(lambda _, args: seen.append(args[0]))
    model.face.clip_features(double)
    model.face.clip_features(frames)
    assert seen[0].shape == seen[1].shape == (6, 3, 40, 40)
    mean, std = (torch.tensor(values)[:, None, None] for values in (config.mean, config.std))
    torch.testing.assert_close(seen[1], (frames.permute(0, 1, 4, 2, 3).flatten(0, 1) / 255 - mean) / std)
    inside = (slice(None), slice(None), slice(2, -2), slice(2, -2))
    # the antialias filter reaches into neighbours: equal on average, not pixel by pixel
    torch.testing.assert_close(seen[0][inside].mean(), seen[1][inside].mean(), atol=0.02, rtol=0)


def test_loss_is_that_of_the_definition() -> None:
    model, batch = make_model(), make_batch()
    target, weight = torch.tensor([0, 1, 2, 3]), torch.tensor([1.0, 2.0, 4.0, 0.5])
    outputs = model(batch)
    terms = model.loss(outputs, target, weight)
    face_rows, body_rows = [0, 1, 3], [0, 1, 2]

    def mean_nll(log_probs: torch.Tensor, rows: list[int]) -> torch.Tensor:
        nll = -log_probs[rows, target[rows]]
        return (nll * weight[rows]).sum() / weight[rows].sum()

    expected = {f"face_{head}": (outputs["face_terms"][head], face_rows) for head in HEADS}
    expected["face_weights"] = (outputs["face"], face_rows)
    expected["body"] = (outputs["body"], body_rows)
    expected["fused"] = (outputs["fused"], [0, 1, 2, 3])
    assert set(terms) == {*expected, "total"}
    for name, (log_probs, rows) in expected.items():
        torch.testing.assert_close(terms[name], mean_nll(log_probs, rows))
    torch.testing.assert_close(terms["total"], sum(terms[name] for name in expected))
    soft = torch.nn.functional.one_hot(target, 4).float()
    torch.testing.assert_close(model.loss(outputs, soft, weight), terms)


def test_the_heads_weights_get_a_loss_of_their_own_that_reaches_nothing_else() -> None:
    model = make_model(replace(CONFIG, body=None, fusion=None))
    assert model.face is not None
    outputs = model(make_batch())
    torch.testing.assert_close(outputs["face_terms"]["combination"], outputs["face_terms"]["log_probs"])
    model.loss(outputs, torch.tensor([0, 1, 2, 3]))["face_weights"].backward()
    reached = [name for name, p in model.named_parameters() if p.grad is not None]
    assert reached == ["face.head_weight_logits"]


@pytest.mark.parametrize("soft", [True, False])
def test_parts_of_a_batch_add_up_to_the_loss_of_the_whole(soft: bool) -> None:
    """As in processes that share a batch: value and gradient, also where a part lacks a modality."""
    model, batch = make_model().eval(), make_batch()
    target, weight = torch.tensor([0, 1, 2, 3]), torch.tensor([1.0, 2.0, 4.0, 0.5])
    if soft:
        target = torch.rand(4, 4).softmax(1)
    parts = [slice(0, 2), slice(2, 3), slice(3, 4)]  # without a face, without a body the last ones
    whole = model.loss(model(batch), target, weight)
    whole["total"].backward()
    gradient = {name: p.grad for name, p in model.named_parameters()}
    model.zero_grad()

    vectors: list[torch.Tensor] = []

    def listen(vector: torch.Tensor) -> torch.Tensor:
        vectors.append(vector)
        return vector

    for rows in parts:
        model.loss(model(take(batch, rows)), target[rows], weight[rows], sum_over_processes=listen)
    assert len(vectors) == len(parts)  # one reduction each
    assert all(vector.shape == (len(whole) - 1,) for vector in vectors)
    summed = torch.stack(vectors).sum(0)
    losses = []
    for rows in parts:
        outputs = model(take(batch, rows))
        losses.append(model.loss(outputs, target[rows], weight[rows], sum_over_processes=lambda _: summed))
        losses[-1]["total"].backward()
    for name, term in whole.items():
        torch.testing.assert_close(sum(loss[name] for loss in losses), term)
    for name, parameter in model.named_parameters():
        torch.testing.assert_close(parameter.grad, gradient[name], msg=name)


def test_padding_changes_nothing_in_training() -> None:
    """Samples of zeros with all masks off and weight 0: neither losses nor statistics see them."""
    batch, target = make_batch(), torch.tensor([0, 1, 2, 3])
    batch["seed"] = torch.tensor([3, 1, 4, 1])
    padded = {key: torch.cat([value, torch.zeros_like(value[:2])]) for key, value in batch.items()}
    soft = torch.nn.functional.one_hot(target, 4).float()
    plain, other = make_model(), make_model()
    expected = plain.loss(plain(batch), soft, torch.ones(4))
    made = other.loss(
        other(padded), torch.cat([soft, torch.full((2, 4), 0.25)]), torch.tensor([1.0, 1, 1, 1, 0, 0])
    )
    torch.testing.assert_close(made, expected)
    torch.testing.assert_close(other.state_dict(), plain.state_dict())


@pytest.mark.parametrize("always_call", [True, False])
@pytest.mark.parametrize("trunk", ["sistcm", "resnet18", "tiled"])
@pytest.mark.parametrize("training", [True, False])
def test_networks_can_be_called_with_no_rows(always_call: bool, trunk: Any, training: bool) -> None:
    config = replace(CONFIG, face=replace(FACE, trunk=trunk), body=replace(BODY, pooling="seen"))
    model, batch = make_model(config).train(training), make_batch()
    model.always_call = always_call
    batch["clip_mask"][:] = False
    batch["body_mask"][:] = False
    assert model.face is not None and model.body is not None
    calls: list[int] = []
    for network in (model.face.trunk, model.body.network):
        network.register_forward_hook(lambda module, args, output: calls.append(len(output)))
    before = {name: value.clone() for name, value in model.state_dict().items()}
    outputs = model(batch)
    assert calls == ([0, 0] if always_call and training else [])
    torch.testing.assert_close(outputs["fused"].exp(), torch.full((4, 4), 0.25))
    total = model.loss(outputs, torch.tensor([0, 1, 2, 3]))["total"]
    total.backward()
    assert total == 0
    for name, parameter in model.named_parameters():
        assert parameter.grad is not None and not parameter.grad.any(), name
    for name, value in model.state_dict().items():
        assert torch.equal(value, before[name]) or name.endswith("num_batches_tracked"), name


def test_random_numbers_belong_to_the_sample() -> None:
    """In training with frozen statistics, a sample's outputs don't depend on the samples beside it."""
    model, batch = make_model(replace(CONFIG, fusion=FusionConfig(modality_drop=0.5))), make_batch()
    batch["seed"] = torch.tensor([11, 12, 13, 2**61])
    for module in model.modules():
        if isinstance(module, torch.nn.BatchNorm2d):
            module.eval()
    together = model(batch)
    assert not torch.equal(together["face"], model(batch | {"seed": batch["seed"] + 1})["face"])
    for rows in ([0], [1, 3], [3, 2, 1]):
        some = model(take(batch, rows))
        for head in CONFIG.heads:
            torch.testing.assert_close(some[head], together[head][rows])


def test_state_survives_safetensors(tmp_path: Path) -> None:
    model, other = make_model(), EmotionModel(CONFIG)
    model(make_batch())
    save_file(model.state_dict(), tmp_path / "model.safetensors")
    other.load_state_dict(load_file(tmp_path / "model.safetensors"))
    batch = make_batch()
    assert torch.equal(model.eval()(batch)["fused"], other.eval()(batch)["fused"])


def train(model: EmotionModel, batch: Batch, target: torch.Tensor, num_steps: int) -> None:
    optimizer = torch.optim.AdamW(model.parameters(), lr=5e-3)
    for _ in range(num_steps):
        optimizer.zero_grad()
        model.loss(model(batch), target)["total"].backward()
        optimizer.step()


def test_overfits_a_handful() -> None:
    model, batch = make_model(), make_batch(num_samples=8)
    target = torch.arange(8) % 4
    train(model, batch, target, 40)
    outputs = model.eval()(batch)
    assert outputs["fused"].argmax(1).tolist() == target.tolist()
    assert model.loss(outputs, target)["fused"] < 0.3


def order_pair(num_frames: int) -> tuple[Batch, torch.Tensor]:
    """A bright spot moves right (0) or left (1), from all starts: the same frames in another order."""
    places = torch.tensor([0, 1, 2, 3, 4, 5])
    samples = []
    for direction in (1, -1):
        for start in range(6):
            frames = torch.zeros(num_frames, 40, 40, 3, dtype=torch.uint8)
            for k in range(num_frames):
                left = int(places[(start + direction * k) % 6]) * 6 + 1
                frames[k, 14:26, left : left + 8] = 255
            samples.append(frames)
    batch = {"frames": torch.stack(samples)[:, None], "clip_mask": torch.ones(12, 1, dtype=torch.bool)}
    return batch, torch.arange(2).repeat_interleave(6)


def test_tells_the_same_frames_in_another_order_apart() -> None:
    batch, target = order_pair(num_frames=3)
    model = make_model(ModelConfig(num_classes=2, face=replace(FACE, width=8)))
    train(model, batch, target, 40)
    assert model.eval()(batch)["face"].argmax(1).tolist() == target.tolist()


def test_one_frame_cannot_tell_them_apart() -> None:
    batch, target = order_pair(num_frames=1)
    model = make_model(ModelConfig(num_classes=2, face=replace(FACE, width=8)))
    train(model, batch, target, 40)
    assert float((model.eval()(batch)["face"].argmax(1) == target).float().mean()) == 0.5


@pytest.mark.parametrize("kind", ["log_prob", "linear"])
def test_mixed_precision_gives_full_precision_probabilities(kind: Any) -> None:
    config = replace(CONFIG, fusion=FusionConfig(kind=kind))
    model, batch = make_model(config), make_batch()
    with torch.autocast("cpu", torch.bfloat16):
        outputs = model(batch)
        loss = model.loss(outputs, torch.tensor([0, 1, 2, 3]))["total"]
    assert {outputs[head].dtype for head in config.heads} == {torch.float32}
    loss.backward()
    assert all(p.grad is not None and p.grad.isfinite().all() for p in model.parameters())


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: ModelConfig(num_classes=1, face=FACE), "num_classes must be at least 2, not 1"),
        (lambda: ModelConfig(num_classes=4), "a model needs face, body or both"),
        (lambda: ModelConfig(num_classes=4, face=FACE, body=BODY), "face and body needs fusion"),
        (lambda: ModelConfig(num_classes=4, face=FACE, fusion=FusionConfig()), "needs both face and body"),
    ],
)
def test_wrong_configuration_fails(make: Callable[[], Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        make()


def test_wrong_batch_fails() -> None:
    model, batch = make_model(), make_batch()
    with pytest.raises(ValueError, match="the batch has no clip_mask"):
        model({"frames": batch["frames"]})
    with pytest.raises(ValueError, match="body_mask must have 1 axes"):
        model(batch | {"body_mask": torch.ones(4, 1, dtype=torch.bool)})
    with pytest.raises(ValueError, match="do not fit clip_mask"):
        model(batch | {"clip_mask": torch.ones(4, 2, dtype=torch.bool)})
    with pytest.raises(ValueError, match=r"\(clips, frames, side, side, 3\)"):
        model(batch | {"frames": batch["frames"].movedim(-1, 2)})
    with pytest.raises(ValueError, match="seed must have 1 axes"):
        model(batch | {"seed": torch.zeros(4, 2, dtype=torch.int64)})


def test_a_recipe_refuses_misspelled_keys_of_a_configuration() -> None:
    class Recipe(BaseModel):
        model: ModelConfig

    accepted = Recipe.model_validate({"model": {"num_classes": 7, "face": {"width": 16}}})
    assert accepted.model == ModelConfig(num_classes=7, face=FaceConfig(width=16))
    with pytest.raises(ValidationError, match="widht"):
        Recipe.model_validate({"model": {"num_classes": 7, "face": {"widht": 16}}})
