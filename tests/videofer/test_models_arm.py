"""ARM: published sizes, its definition, and scores that depend on no other face."""

from __future__ import annotations

from itertools import product
from typing import Any

import pytest
import torch
from no_rows import check_nothing_comes_through_and_back
from torchvision.models import resnet18

from videofer.models import FaceConfig
from videofer.models.arm import MOMENTUM, Amend, ARMTrunk, RunningMean, maps_side
from videofer.models.face import FaceModel


def test_published_size() -> None:
    """11,178,395 parameters at 7 classes, of which the rearranged maps take 1,029 and give 121 features."""
    config = FaceConfig(trunk="arm", input_size=224, heads=("clip",))
    with torch.device("meta"):
        model = FaceModel(config, num_classes=7)
    assert isinstance(model.trunk, ARMTrunk)
    assert sum(p.numel() for p in model.parameters()) == 11_178_395
    assert sum(p.numel() for p in model.trunk.amend.parameters()) == 1_029
    assert model.num_features == 121
    convolution = model.trunk.amend.convolution
    assert (convolution.kernel_size, convolution.stride) == ((32, 32), (8, 8))


@pytest.mark.parametrize("stem", ["imagenet", "cifar"])
@pytest.mark.parametrize(("width", "side"), [(64, 48), (4, 112), (16, 97)])
def test_any_size_of_input_and_width(stem: Any, width: int, side: int) -> None:
    if maps_side(side, stem) < 3:
        with pytest.raises(ValueError, match="input_size 48 is too small for trunk arm"):
            FaceConfig(trunk="arm", width=width, input_size=side, stem=stem)
        return
    trunk = ARMTrunk(width, side, stem).eval()
    features = trunk(torch.randn(2, 3, side, side), 1)
    assert features.shape == (2, trunk.num_features) == (2, (2 * maps_side(side, stem) - 3) ** 2)


def test_amended_maps_are_those_of_the_definition() -> None:
    """Written out place by place: pixel shuffle, one kernel for both maps, normalisation, mean of the two."""
    torch.manual_seed(0)
    channels, side, factor, kernel, stride = 32, 3, 4, 8, 2
    amend = Amend(channels, side).eval()
    with torch.no_grad():
        amend.common.mean.normal_()
        amend.common_share.fill_(0.7)
        for value in (amend.normalization.running_mean, amend.normalization.bias):
            value.normal_()  # type: ignore[union-attr]
        for value in (amend.normalization.running_var, amend.normalization.weight):
            value.uniform_(0.5, 2)  # type: ignore[union-attr]
    maps = torch.randn(2, channels, side, side)
    spread = torch.zeros(2, 2, side * factor, side * factor)
    for m, two, y, x in product(range(2), range(2), range(side * factor), range(side * factor)):
        channel = two * factor**2 + (y % factor) * factor + x % factor
        spread[m, two, y, x] = maps[m, channel, y // factor, x // factor]
    norm, weight = amend.normalization, amend.convolution.weight[0, 0]
    assert norm.running_mean is not None and norm.running_var is not None
    expected = torch.zeros(2, amend.side, amend.side)
    for two, i, j in product(range(2), range(amend.side), range(amend.side)):
        part = spread[:, two, i * stride : i * stride + kernel, j * stride : j * stride + kernel]
        value = (part * weight).sum(dim=(1, 2))
        scale = norm.weight[two] / (norm.running_var[two] + norm.eps).sqrt()
        expected[:, i, j] += ((value - norm.running_mean[two]) * scale + norm.bias[two]) / 2
    expected = expected + 0.7 * amend.common.mean
    torch.testing.assert_close(amend(maps), expected.flatten(1))


def test_a_face_scores_the_same_in_any_batch() -> None:
    """What the published code does not do: the same pictures in another batch gave 86 or 92 %."""
    torch.manual_seed(0)
    trunk = ARMTrunk(4, 48, "cifar")
    for _ in range(3):
        trunk(torch.randn(8, 3, 48, 48) + 1, 1)
    assert trunk.amend.common.mean.abs().max() > 0.01
    trunk.eval()
    frames = torch.randn(5, 3, 48, 48)
    together = trunk(frames, 1)
    for rows in ([0], [3, 1], [4, 3, 2, 1, 0]):
        torch.testing.assert_close(trunk(frames[rows], 1), together[rows])


def test_running_mean_follows_the_batches() -> None:
    running, expected = RunningMean((2, 3)), torch.zeros(2, 3)
    for _ in range(4):
        rows = torch.randn(5, 2, 3) + 2
        expected = (1 - MOMENTUM) * expected + MOMENTUM * rows.mean(dim=0)
        torch.testing.assert_close(running(rows), expected)
    running(rows[:0])  # no row, no news
    torch.testing.assert_close(running.eval()(rows), expected)
    torch.testing.assert_close(running.mean, expected)


def test_weights_of_a_resnet_go_where_they_belong() -> None:
    source, trunk = resnet18(weights=None), ARMTrunk(64, 112)
    trunk.load_resnet18(source.state_dict())
    assert torch.equal(trunk.resnet.layer4[1].conv2.weight, source.layer4[1].conv2.weight)  # type: ignore
    with pytest.raises(ValueError, match="this trunk needs"):
        ARMTrunk(64, 48, "cifar").load_resnet18(source.state_dict())


def test_clip_is_the_mean_of_its_frames() -> None:
    trunk = ARMTrunk(4, 48, "cifar").eval()
    frames = torch.randn(6, 3, 48, 48)
    torch.testing.assert_close(trunk(frames, 3), trunk(frames, 1).reshape(2, 3, 81).mean(1))


def test_nothing_comes_through_and_back() -> None:
    trunk = ARMTrunk(4, 48, "cifar")
    before = trunk.amend.common.mean.clone()
    check_nothing_comes_through_and_back(trunk, 2)
    assert torch.equal(trunk.amend.common.mean, before)


def test_width_must_be_a_square_fails() -> None:
    with pytest.raises(ValueError, match="a width that is a square number, like 16 or 64, not 32"):
        FaceConfig(trunk="arm", width=32, input_size=112)
