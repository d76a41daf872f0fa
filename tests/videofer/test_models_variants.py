"""What every shipped recipe's model has in common, at small width, and what each variant is known by."""

from __future__ import annotations

from dataclasses import replace
from functools import cache
from pathlib import Path
from typing import Any

import pytest
import torch

from videofer.ensembles.recipe import is_ensemble
from videofer.models import EmotionModel, ModelConfig
from videofer.models.face import FaceConfig
from videofer.recipe import Recipe, load_recipe

FOLDER = Path(__file__).resolve().parents[2] / "configs" / "train"
NUM_INSTANTS = 12

Batch = dict[str, torch.Tensor]


@cache
def recipe_of(name: str) -> Recipe:
    return load_recipe(FOLDER / f"{name}.yaml")


NAMES = sorted(path.stem for path in FOLDER.glob("*.yaml") if not is_ensemble(path))
WITH_FACE = [name for name in NAMES if recipe_of(name).model.face is not None]
WITH_BODY = [name for name in NAMES if recipe_of(name).model.body is not None]
WITH_CLIPS = [name for name in WITH_FACE if recipe_of(name).data.num_clips > 1]
WITH_FRAMES = [name for name in WITH_FACE if recipe_of(name).data.num_frames > 1]


def size_of(config: FaceConfig) -> int:
    """Side of the pictures in pixels: small, but ARM needs last maps of 3 a side."""
    return 72 if config.trunk == "arm" and config.stem == "imagenet" else 40


def small(config: ModelConfig) -> ModelConfig:
    """The same variant with few channels and small pictures."""
    face, body = config.face, config.body
    if face is not None:
        face = replace(face, width=4, input_size=size_of(face), feature_hidden=8, emotion_hidden=8)
    if body is not None:
        body = replace(body, width=16, se_reduction=4, map_size=16)
    return replace(config, face=face, body=body)


def make_model(name: str) -> EmotionModel:
    """In eval mode; batch normalisations have statistics of some data, so that scores differ."""
    torch.manual_seed(0)
    model = EmotionModel(small(recipe_of(name).emotion_model_config()))
    if model.face is not None and model.face.streams.clip_head is not None:
        with torch.no_grad():  # else all clips have the same, certain guess
            model.face.streams.clip_head.weight.mul_(0.1)
    if model.face is not None and model.face.aligner is not None:
        torch.nn.init.normal_(model.face.aligner.affine.weight, std=0.01)  # else it aligns nothing yet
    for _ in range(3):
        model(make_batch(name))
    return model.eval()


def make_batch(name: str) -> Batch:
    """Four samples: sample 1 lacks a clip (if it has several), sample 2 its face, sample 3 its body.

    Frames differ in brightness, keypoints walk: order matters.
    """
    recipe = recipe_of(name)
    spec, generator = recipe.sample_spec(), torch.Generator().manual_seed(1)
    num_joints = spec.num_joints
    size = 40 if recipe.model.face is None else size_of(recipe.model.face)
    shape = (4, spec.num_clips, spec.num_frames, size, size, 3)
    keypoints = torch.rand(4, NUM_INSTANTS, num_joints, 3, generator=generator)
    keypoints[..., :2] = 100 * keypoints[..., :2].cumsum(dim=1)
    brightness = torch.rand(*shape[:3], 1, 1, 1, generator=generator)
    batch = {
        "frames": (256 * brightness * torch.rand(shape, generator=generator)).to(torch.uint8),
        "clip_mask": torch.ones(4, spec.num_clips, dtype=torch.bool),
        "keypoints": keypoints,
        "body_mask": torch.ones(4, dtype=torch.bool),
    }
    batch["clip_mask"][1, 1:2] = False
    batch["clip_mask"][2] = False
    batch["body_mask"][3] = False
    if recipe.training_spec().use_landmarks:
        batch["landmarks"] = torch.rand(*shape[:3], 68, 2, generator=generator)
        batch["landmark_mask"] = batch["clip_mask"][:, :, None].expand(shape[:3])
    return batch


def take(batch: Batch, rows: Any) -> Batch:
    return {key: value[rows] for key, value in batch.items()}


def numbers(outputs: dict[str, Any]) -> Batch:
    """All log-probabilities, also those of the single heads; and what else is of the face."""
    heads = {name: outputs[name] for name in ("face", "body", "fused") if name in outputs}
    terms = outputs.get("face_terms", {})
    seen = outputs.get("has_face")
    return heads | {name: value * seen.view(-1, *[1] * (value.ndim - 1)) for name, value in terms.items()}


@pytest.mark.parametrize("name", NAMES)
def test_a_batch_is_its_samples_one_by_one(name: str) -> None:
    model, batch = make_model(name), make_batch(name)
    together = numbers(model(batch))
    assert any(value.std(dim=0).max() > 1e-3 for value in together.values())  # the samples do differ
    order = torch.tensor([2, 0, 3, 1])
    permuted = numbers(model(take(batch, order)))
    one_by_one = [numbers(model(take(batch, slice(row, row + 1)))) for row in range(4)]
    for key, value in together.items():
        torch.testing.assert_close(permuted[key], value[order], msg=key)
        torch.testing.assert_close(torch.cat([one[key] for one in one_by_one]), value, msg=key)


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("training", [True, False])
def test_what_is_masked_leaves_no_trace(name: str, training: bool) -> None:
    batch, poisoned = make_batch(name), make_batch(name)
    batch["seed"] = poisoned["seed"] = torch.arange(4)
    poisoned["frames"][~poisoned["clip_mask"]] = 255
    poisoned["keypoints"][3] = torch.nan
    states = []
    for data in (batch, poisoned):
        model = make_model(name).train(training)
        states.append((numbers(model(data)), model.state_dict()))
    (clean, clean_state), (other, other_state) = states
    assert all(torch.equal(clean[key], other[key]) for key in clean)
    assert all(torch.equal(clean_state[key], other_state[key]) for key in clean_state)


@pytest.mark.parametrize("name", WITH_CLIPS)
def test_masked_clips_are_as_if_they_had_never_been(name: str) -> None:
    model, batch = make_model(name), take(make_batch(name), slice(0, 2))
    batch["clip_mask"][:, 1] = False
    removed = dict(batch)
    for key in ("frames", "clip_mask"):
        removed[key] = torch.cat([batch[key][:, :1], batch[key][:, 2:]], dim=1)
    expected, made = numbers(model(removed)), numbers(model(batch))
    for key, value in expected.items():
        torch.testing.assert_close(made[key], value, msg=key)


@pytest.mark.parametrize("name", WITH_FRAMES)
def test_order_of_frames_in_a_clip(name: str) -> None:
    """Every trunk sees it but those of single frames, which take the mean over the frames."""
    model, batch = make_model(name), make_batch(name)
    assert model.face is not None
    with torch.no_grad():
        features = model.face.clip_features(batch["frames"][0])
        reversed_ = model.face.clip_features(batch["frames"][0].flip(1))
    change = ((features - reversed_).norm() / features.norm()).item()
    assert change < 1e-5 if model.face.config.trunk in ("resnet18", "arm") else change > 1e-3


@pytest.mark.parametrize("name", WITH_CLIPS)
def test_order_of_clips(name: str) -> None:
    """Both streams see it, the mean of the clips does not."""
    model, batch = make_model(name), take(make_batch(name), slice(0, 1))
    assert model.face is not None
    forward = model(batch)["face_terms"]
    backward = model(batch | {"frames": batch["frames"].flip(1)})["face_terms"]
    for head in model.face.config.heads:
        same = torch.allclose(forward[head], backward[head], rtol=0, atol=1e-6)
        assert same == (head == "clip"), head


@pytest.mark.parametrize("name", WITH_BODY)
def test_order_of_instants(name: str) -> None:
    """Every body network sees it but the postures', which takes the mean over the instants."""
    model, batch = make_model(name), take(make_batch(name), slice(0, 1))
    assert model.body is not None
    reversed_ = batch | {"keypoints": batch["keypoints"].flip(1)}
    same = torch.allclose(model(batch)["body"], model(reversed_)["body"], rtol=0, atol=1e-5)
    assert same == (model.body.config.network == "posture")


@pytest.mark.parametrize("name", NAMES)
def test_everything_that_is_built_is_trained(name: str) -> None:
    model, batch = make_model(name).train(), make_batch(name)
    batch["seed"] = torch.arange(4)
    target = torch.eye(model.config.num_classes)[:4]
    loss = model.loss(
        model(batch),
        target,
        landmarks=(batch["landmarks"], batch["landmark_mask"]) if "landmarks" in batch else None,
        dimensions=torch.rand(4, model.config.num_dimensions) if model.config.num_dimensions else None,
        branch_targets={"face": target, "body": target},
    )
    loss["total"].backward()
    for parameter_name, parameter in model.named_parameters():
        assert parameter.grad is not None, parameter_name
        assert parameter.grad.isfinite().all(), parameter_name
        if "weight_hh" not in parameter_name or name in WITH_CLIPS:  # for the second clip and later ones
            assert parameter.grad.any(), parameter_name
    fitted = model.face is not None and model.face.head_weight_logits is not None
    assert ("face_weights" in loss) == fitted
