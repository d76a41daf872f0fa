"""The CNN and the small VGG: published sizes, each layer's part, and dropout that belongs to the sample."""

from __future__ import annotations

import pytest
import torch
from no_rows import check_nothing_comes_through_and_back
from torch import Tensor, nn
from torch.nn import functional as F

from videofer.models import EmotionModel, FaceConfig, ModelConfig
from videofer.models.cnn import CNN, VGG, CNNTrunk, Plan, maps_side
from videofer.models.face import FaceModel

PLANS = pytest.mark.parametrize("plan", [CNN, VGG], ids=["cnn", "vgg"])


@pytest.mark.parametrize(
    ("trunk", "width", "published", "num_statistics"),
    [("cnn", 32, 1_352_295, 448), ("vgg", 64, 26_545_095, 1_920)],
)
def test_published_size(trunk: str, width: int, published: int, num_statistics: int) -> None:
    """Keras counts the running means and variances as well."""
    config = FaceConfig(trunk=trunk, width=width, input_size=48, heads=("clip",))  # type: ignore[arg-type]
    with torch.device("meta"):
        model = FaceModel(config, num_classes=7)
    assert sum(p.numel() for p in model.parameters()) == published - num_statistics
    statistics = [b.numel() for name, b in model.named_buffers() if name.endswith(("_mean", "_var"))]
    assert sum(statistics) == num_statistics


@pytest.mark.parametrize(("plan", "sides"), [(CNN, {48: 2, 40: 1, 34: 1, 33: 0}), (VGG, {48: 3, 33: 2})])
def test_side_of_the_last_maps(plan: Plan, sides: dict[int, int]) -> None:
    assert {side: maps_side(plan, side) for side in sides} == sides
    for side, left in sides.items():
        if left > 0:
            assert CNNTrunk(plan, 4, side)(torch.randn(2, 3, side, side), 1).shape == (2, 256)


def reference(trunk: CNNTrunk, frames: Tensor) -> Tensor:
    """In eval mode, written out with other means: grey by a convolution, blocks as plain sequences."""
    x = F.conv2d(frames, torch.tensor([0.299, 0.587, 0.114])[None, :, None, None])
    for block in trunk.blocks:
        layers: list[nn.Module] = []
        for convolution in block.convolutions:  # type: ignore[union-attr]
            layers += [convolution, nn.ReLU()]
        x = nn.Sequential(*layers, nn.MaxPool2d(2), block.normalization)(x)  # type: ignore[arg-type]
    features: Tensor = trunk.dense(x.flatten(1))
    return features


@PLANS
def test_features_are_those_of_the_definition(plan: Plan) -> None:
    torch.manual_seed(0)
    trunk = CNNTrunk(plan, 4, 48)
    for _ in range(2):
        trunk(torch.randn(8, 3, 48, 48), 1)  # statistics that are not 0 and 1
    frames = torch.randn(6, 3, 48, 48)
    alone = trunk.eval()(frames, 1)
    torch.testing.assert_close(alone, reference(trunk, frames))
    torch.testing.assert_close(trunk(frames, 3), alone.reshape(2, 3, 256).mean(1))


@PLANS
def test_nothing_comes_through_and_back(plan: Plan) -> None:
    check_nothing_comes_through_and_back(CNNTrunk(plan, 4, 48), 2)


def test_number_of_frames_must_divide_the_batch_fails() -> None:
    with pytest.raises(Exception, match="divide"):
        CNNTrunk(CNN, 4, 48)(torch.randn(5, 3, 48, 48), 2)


@PLANS
def test_dropout_belongs_to_the_clip(plan: Plan) -> None:
    torch.manual_seed(0)
    trunk = CNNTrunk(plan, 4, 48)
    for module in trunk.modules():
        if isinstance(module, nn.BatchNorm2d):
            module.eval()
    frames, seeds = torch.randn(4, 3, 48, 48), torch.tensor([5, 6])
    features = trunk(frames, 2, seeds)
    torch.testing.assert_close(trunk(frames.roll(2, 0), 2, seeds.roll(1)), features.roll(1, 0))
    torch.testing.assert_close(trunk(frames[2:], 2, seeds[1:]), features[1:])
    assert not torch.allclose(trunk(frames, 2, seeds + 1), features)
    assert not torch.allclose(trunk(frames, 2), trunk(frames, 2))  # without seeds by torch's own generator
    twice = trunk(frames[:1].repeat(2, 1, 1, 1), 1, torch.tensor([5, 5]))
    assert torch.equal(twice[0], twice[1])
    trunk.eval()
    assert torch.equal(trunk(frames, 2, seeds), trunk(frames, 2))


def test_blocks_of_a_trunk_drop_other_places() -> None:
    """Equal shares, equal seeds: were the streams equal, the places would be."""
    trunk = CNNTrunk(VGG, 4, 48)
    ones = torch.ones(1, 1, 6, 6)
    places = []
    for block in trunk.blocks:
        block.convolutions = nn.ModuleList()
        block.normalization = nn.Identity()
        places.append(block(ones, torch.tensor([3])) == 0)
    assert all(not torch.equal(places[0], other) for other in places[1:])


def test_a_whole_model_hands_the_seeds_of_its_samples_down() -> None:
    """Also past masked clips, which never reach the trunk."""
    torch.manual_seed(0)
    face = FaceConfig(trunk="cnn", width=4, input_size=40, heads=("clip",))
    model = EmotionModel(ModelConfig(num_classes=3, face=face))
    for module in model.modules():
        if isinstance(module, nn.BatchNorm2d):
            module.eval()
    batch = {
        "frames": torch.randint(0, 256, (3, 2, 1, 40, 40, 3), dtype=torch.uint8),
        "clip_mask": torch.tensor([[True, True], [False, True], [True, False]]),
        "seed": torch.tensor([1, 2, 3]),
    }
    together = model(batch)["face"]
    for rows in ([0], [2, 1], [1]):
        some = {name: value[rows] for name, value in batch.items()}
        torch.testing.assert_close(model(some)["face"], together[rows])
    assert not torch.allclose(model(batch | {"seed": batch["seed"] + 1})["face"], together)
