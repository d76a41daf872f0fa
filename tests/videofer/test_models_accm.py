from __future__ import annotations

import pytest
import torch

from videofer.models import BodyConfig
from videofer.models.accm import ACCM, BodyModel


@pytest.mark.parametrize(
    ("in_channels", "num_parameters"), [(56, 429_248), (28, 364_456), (14, 332_060), (2, 304_292)]
)
def test_parameter_counts_of_the_published_size(in_channels: int, num_parameters: int) -> None:
    assert sum(p.numel() for p in ACCM(in_channels, num_classes=8).parameters()) == num_parameters


def test_accm_is_that_of_the_definition() -> None:
    torch.manual_seed(0)
    net = ACCM(6, num_classes=3, width=8, se_reduction=4).eval()
    maps = torch.randn(2, 6, 12, 10)
    depthwise, mixed, excite, last = net.channel_path
    assert depthwise.groups == 6  # type: ignore[union-attr]
    x = mixed(depthwise(maps))
    assert x.shape == (2, 8, 6, 5)
    weights = torch.sigmoid(excite.excite(torch.relu(excite.squeeze(x.mean((2, 3))))))  # type: ignore[union-attr]
    summed = last(x * weights[:, :, None, None]) + net.joint_path(maps)
    torch.testing.assert_close(net(maps), net.head(summed.mean((2, 3))))


@pytest.mark.parametrize("timeline", [True, False])
@pytest.mark.parametrize("encoding", ["soft", "onehot"])
def test_body_model_takes_any_number_of_instants(timeline: bool, encoding: str) -> None:
    config = BodyConfig(num_joints=5, map_size=16, timeline=timeline, encoding=encoding, width=16)  # type: ignore[arg-type]
    model = BodyModel(config, num_classes=4)
    for num_instants in (1, 2, 30):
        log_probs = model(torch.rand(2, num_instants, 5, 3))
        assert log_probs.shape == (2, 4)
        torch.testing.assert_close(log_probs.exp().sum(1), torch.ones(2))


def test_other_number_of_joints_fails() -> None:
    with pytest.raises(ValueError, match=r"\(samples, instants, 17, 3\), not \(2, 9, 25, 3\)"):
        BodyModel(BodyConfig(), num_classes=4)(torch.rand(2, 9, 25, 3))


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"num_joints": 0}, "num_joints must be at least 1, not 0"),
        ({"map_size": 4}, "map_size must be at least 8, not 4"),
        ({"normalization": "video"}, "frame or sequence, not 'video'"),
        ({"encoding": "hard"}, "soft or onehot, not 'hard'"),
        ({"width": 20}, "width 20 must be a multiple of se_reduction 16"),
        ({"bounded": True}, "set timeline to false"),
    ],
)
def test_wrong_configuration_fails(changes: dict[str, object], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        BodyConfig(**changes)  # type: ignore[arg-type]
