"""On a CPU no convolution may see a channels-last picture: see `videofer.models.layout`."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import nn

from videofer.models import EmotionModel, ModelConfig
from videofer.models.accm import BodyConfig
from videofer.models.face import FaceConfig
from videofer.models.fusion import FusionConfig


@pytest.mark.parametrize("views", ["faithful", "attention"])
def test_every_convolution_sees_the_plain_layout(views: Any) -> None:
    face = FaceConfig(
        width=8, input_size=48, views=views, spatial_view=True, feature_hidden=8, emotion_hidden=8
    )
    config = ModelConfig(
        num_classes=3, face=face, body=BodyConfig(map_size=16, width=16), fusion=FusionConfig(kind="log_prob")
    )
    model = EmotionModel(config)
    seen: list[str] = []

    def check(module: nn.Module, inputs: tuple[torch.Tensor, ...]) -> None:
        (x,) = inputs
        assert x.is_contiguous(), f"{module} sees strides {x.stride()} of {tuple(x.shape)}"
        seen.append(type(module).__name__)

    for module in model.modules():
        if isinstance(module, nn.Conv2d):
            module.register_forward_pre_hook(check)
    batch = {
        "frames": torch.randint(0, 255, (2, 3, 3, 2, 64, 64), dtype=torch.uint8),
        "clip_mask": torch.tensor([[True, False, True], [True, True, True]]),
        "keypoints": torch.rand(2, 8, 17, 3) * 100,
        "body_mask": torch.tensor([True, True]),
    }
    model.loss(model(batch), torch.tensor([0, 1]))["total"].backward()
    assert len(seen) > 20
