from __future__ import annotations

import pytest
import torch
from no_rows import check_nothing_comes_through_and_back
from torch import nn
from torchvision.models import resnet18, resnet50

from videofer.models.resnet import ResNet18Trunk


def reference() -> nn.Module:
    """torchvision's network without its last layer, with statistics that are not 0 and 1."""
    network: nn.Module = resnet18(weights=None)
    for module in network.modules():
        if isinstance(module, nn.BatchNorm2d):
            nn.init.normal_(module.running_mean)  # type: ignore[arg-type]
            nn.init.uniform_(module.running_var, 0.5, 2)  # type: ignore[arg-type]
            nn.init.uniform_(module.weight, 0.5, 2)
            nn.init.normal_(module.bias)
    network.fc = nn.Identity()
    return network


def test_parameter_count() -> None:
    def count(network: nn.Module) -> int:
        return sum(parameter.numel() for parameter in network.parameters())

    assert count(ResNet18Trunk(64)) == count(reference()) == 11_176_512


def test_size_with_the_stem_for_small_pictures() -> None:
    """11,242,704 in the published system, with 7 classes, an attention weight and 68 landmarks."""
    trunk = ResNet18Trunk(64, "cifar")
    heads = 7 * 513 + 513 + 136 * 513
    assert sum(parameter.numel() for parameter in trunk.parameters()) + heads == 11_242_704


@pytest.mark.parametrize("training", [False, True])
def test_the_stem_for_small_pictures_keeps_every_pixel(training: bool) -> None:
    torch.manual_seed(0)
    source = reference().double().train(training)
    source.conv1, source.maxpool = nn.Conv2d(3, 64, 3, padding=1, bias=False).double(), nn.Identity()
    trunk = ResNet18Trunk(64, "cifar").double().train(training)
    trunk.load_resnet18(source.state_dict())
    frames = torch.randn(3, 3, 24, 20, dtype=torch.float64)
    torch.testing.assert_close(trunk(frames, 1), source(frames))
    assert trunk.maps(frames).shape == (3, 512, 3, 3)


@pytest.mark.parametrize("training", [False, True])
@pytest.mark.parametrize("size", [(64, 64), (64, 96), (75, 50)])
def test_features_are_those_of_torchvision(training: bool, size: tuple[int, int]) -> None:
    torch.manual_seed(0)
    source = reference().double().train(training)
    trunk = ResNet18Trunk(64).double().train(training)
    trunk.load_resnet18(source.state_dict())
    frames = torch.randn(4, 3, *size, dtype=torch.float64)
    expected, features = source(frames), trunk(frames, 1)
    torch.testing.assert_close(features, expected)

    direction = torch.randn_like(expected)
    (expected * direction).sum().backward()
    (features * direction).sum().backward()
    theirs = dict(source.named_parameters())
    for name, parameter in trunk.named_parameters():
        torch.testing.assert_close(parameter.grad, theirs[name].grad)


def test_clip_is_the_mean_of_its_frames() -> None:
    trunk = ResNet18Trunk(4).eval()
    frames = torch.randn(6, 3, 48, 48)  # two clips of three
    alone = trunk(frames, 1)
    torch.testing.assert_close(trunk(frames, 3), alone.reshape(2, 3, 32).mean(1))
    torch.testing.assert_close(trunk(frames[[2, 0, 1, 3, 4, 5]], 3), trunk(frames, 3))  # it knows no order
    torch.testing.assert_close(trunk(frames[[3, 4, 5, 0, 1, 2]], 3), trunk(frames, 3).flip(0))


def test_number_of_frames_must_divide_the_batch_fails() -> None:
    with pytest.raises(Exception, match="divide"):
        ResNet18Trunk(4)(torch.randn(5, 3, 48, 48), 2)


def test_nothing_comes_through_and_back() -> None:
    check_nothing_comes_through_and_back(ResNet18Trunk(4), 2)


def test_weights_of_another_network_fail() -> None:
    trunk = ResNet18Trunk(64)
    with pytest.raises(ValueError, match=r"layer1\.0\.conv1\.weight has shape \(64, 64, 1, 1\)"):
        trunk.load_resnet18(resnet50(weights=None).state_dict())
    with pytest.raises(ValueError, match=r"not a ResNet-18: it has no conv1\.weight"):
        trunk.load_resnet18({"fc.weight": torch.zeros(1)})
    with pytest.raises(ValueError, match=r"this trunk needs \(16, 3, 7, 7\)"):
        ResNet18Trunk(16).load_resnet18(resnet18(weights=None).state_dict())
    with pytest.raises(ValueError, match=r"conv1\.weight has shape \(64, 3, 7, 7\), this trunk needs"):
        ResNet18Trunk(64, "cifar").load_resnet18(resnet18(weights=None).state_dict())
