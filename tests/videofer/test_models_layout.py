"""Every convolution sees channels last, in both directions, and none is of a kind that oneDNN gets wrong."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import nn

from videofer.models import EmotionModel, ModelConfig
from videofer.models.body import BodyConfig
from videofer.models.face import FaceConfig
from videofer.models.fusion import FusionConfig
from videofer.models.layout import PointwiseConv2d, for_convolutions

TRUNKS: tuple[dict[str, Any], ...] = (
    {"trunk": "sistcm"},
    {"trunk": "sistcm", "view_merge": "constants", "spatial_view": True},
    {"trunk": "sistcm", "view_merge": "attention", "spatial_view": True},
    {"trunk": "resnet18"},
    {"trunk": "tiled", "end_kernel": 3},
)


def model_with(trunk: dict[str, Any]) -> EmotionModel:
    face = FaceConfig(width=8, input_size=48, feature_hidden=8, emotion_hidden=8, **trunk)
    body = BodyConfig(map_size=16, width=16)
    return EmotionModel(
        ModelConfig(num_classes=3, face=face, body=body, fusion=FusionConfig(kind="log_prob"))
    )


@pytest.mark.parametrize("trunk", TRUNKS)
def test_every_convolution_works_on_channels_last(trunk: dict[str, Any]) -> None:
    model = model_with(trunk)
    seen: list[str] = []

    def check(name: str, x: torch.Tensor) -> None:
        assert x.is_contiguous(memory_format=torch.channels_last), f"{name}: {x.stride()} of {tuple(x.shape)}"
        seen.append(name)

    def watch(module: nn.Module, inputs: tuple[torch.Tensor, ...], output: torch.Tensor) -> None:
        check(f"input of {module}", inputs[0])
        check(f"output of {module}", output)
        output.register_hook(lambda gradient: check(f"gradient of {module}", gradient))

    for module in model.modules():
        if isinstance(module, nn.Conv2d):
            module.register_forward_hook(watch)
    batch = {
        "frames": torch.randint(0, 255, (2, 3, 2, 64, 64, 3), dtype=torch.uint8),
        "clip_mask": torch.tensor([[True, False, True], [True, True, True]]),
        "keypoints": torch.rand(2, 8, 17, 3) * 100,
        "body_mask": torch.tensor([True, True]),
    }
    model.loss(model(batch), torch.tensor([0, 1]))["total"].backward()
    assert len(seen) > 60


@pytest.mark.parametrize("trunk", TRUNKS)
def test_no_strided_convolution_of_single_pixels(trunk: dict[str, Any]) -> None:
    """Its weight gradient would be written beyond its buffer: see `PointwiseConv2d`."""
    for module in model_with(trunk).modules():
        if isinstance(module, nn.Conv2d) and module.kernel_size == (1, 1):
            assert module.stride == (1, 1), module


@pytest.mark.parametrize("stride", [1, 2, 3])
@pytest.mark.parametrize("size", [(6, 6), (7, 5), (1, 4)])
def test_pointwise_convolution_is_the_strided_one(stride: int, size: tuple[int, int]) -> None:
    own = PointwiseConv2d(5, 4, stride).double()
    plain = nn.Conv2d(5, 4, 1, stride, bias=False).double()
    plain.load_state_dict(own.state_dict())
    x, y = (torch.randn(2, 5, *size, dtype=torch.float64) for _ in range(2))
    x, y = x.requires_grad_(), x.detach().clone().requires_grad_()
    out, expected = own(for_convolutions(x)), plain(y)
    torch.testing.assert_close(out, expected)
    direction = torch.randn_like(expected)
    (out * direction).sum().backward()
    (expected * direction).sum().backward()
    torch.testing.assert_close(own.weight.grad, plain.weight.grad)
    torch.testing.assert_close(x.grad, y.grad)


def test_layout_changes_no_number() -> None:
    x = torch.randn(2, 3, 4, 5)
    assert torch.equal(for_convolutions(x), x)
    assert for_convolutions(x).is_contiguous(memory_format=torch.channels_last)
    already = for_convolutions(x)
    assert for_convolutions(already) is already


def test_pictures_without_a_batch_axis_fail() -> None:
    with pytest.raises(RuntimeError, match="rank 4"):
        for_convolutions(torch.randn(3, 4, 5))
