from __future__ import annotations

import pytest
import torch
from no_rows import check_nothing_comes_through_and_back
from torch import nn
from torchvision.models import vgg19_bn

from videofer.models.vgg import VGG19Trunk

HEADS = 7 * 513 + 513 + 136 * 513
"""Of the published system: 7 classes, an attention weight, 68 landmarks."""


def test_published_size() -> None:
    """20,109,264 with its heads, and with a bias of each channel, which the normalisation takes out again."""
    with torch.device("meta"):
        trunk, features = VGG19Trunk(64), vgg19_bn(weights=None).features
    biases = sum(m.out_channels for m in trunk.modules() if isinstance(m, nn.Conv2d))
    count = sum(p.numel() for p in trunk.parameters())
    assert count + biases + HEADS == 20_109_264
    assert count + biases == sum(p.numel() for p in features.parameters())


@pytest.mark.parametrize(("side", "training"), [(48, True), (70, False)])
def test_maps_are_those_of_torchvision(side: int, training: bool) -> None:
    torch.manual_seed(0)
    trunk, features = VGG19Trunk(64).train(training), vgg19_bn(weights=None).features.train(training)
    ours = [m for m in trunk.modules() if isinstance(m, nn.Conv2d | nn.BatchNorm2d)]
    theirs = [m for m in features if isinstance(m, nn.Conv2d | nn.BatchNorm2d)]
    for one, other in zip(ours, theirs, strict=True):
        if isinstance(other, nn.Conv2d):
            nn.init.zeros_(other.bias)  # type: ignore[arg-type]
            other.weight.data.copy_(one.weight)
        else:
            nn.init.uniform_(other.weight, 0.5, 2)
            nn.init.normal_(other.bias)
            one.load_state_dict(other.state_dict())
    frames = torch.randn(4, 3, side, side)
    with torch.no_grad():
        expected = features(frames).mean(dim=(2, 3))
        torch.testing.assert_close(trunk(frames, 1), expected, rtol=1e-3, atol=1e-4)


def test_clip_is_the_mean_of_its_frames() -> None:
    trunk = VGG19Trunk(4).eval()
    frames = torch.randn(6, 3, 48, 48)
    torch.testing.assert_close(trunk(frames, 3), trunk(frames, 1).reshape(2, 3, 32).mean(1))
    with pytest.raises(Exception, match="divide"):
        trunk(frames, 4)


def test_nothing_comes_through_and_back() -> None:
    check_nothing_comes_through_and_back(VGG19Trunk(4), 2)
