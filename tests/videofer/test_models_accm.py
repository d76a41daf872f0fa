from __future__ import annotations

from typing import Any

import pytest
import torch
from torch.export import Dim

from videofer.models import BodyConfig
from videofer.models.accm import ACCM, TwoLayerCNN, pool
from videofer.models.body import BodyModel
from videofer.models.gesture import instant_weights

MAPS = ("timeline", "timeline_one_map", "accumulated", "potion")
SMALL: dict[str, Any] = {"num_joints": 5, "map_size": 16, "width": 16}


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
    torch.testing.assert_close(net.classify(net(maps)), net.head(summed.mean((2, 3))))


def test_the_control_is_the_first_path_alone() -> None:
    torch.manual_seed(0)
    accm, control = ACCM(6, num_classes=3, width=8, se_reduction=4), TwoLayerCNN(6, num_classes=3, width=8)
    control.load_state_dict({k: v for k, v in accm.state_dict().items() if k in control.state_dict()})
    maps = torch.randn(2, 6, 12, 10)
    torch.testing.assert_close(
        control.eval().classify(control(maps)), accm.eval().head(accm.joint_path(maps).mean((2, 3)))
    )  # logits: no softmax before the loss
    for parameter in accm.channel_path.parameters():
        torch.nn.init.zeros_(parameter)
    torch.testing.assert_close(control(maps), accm(maps))


@pytest.mark.parametrize(
    ("maps", "num_channels"),
    [("timeline", 34), ("timeline_one_map", 2), ("accumulated", 17), ("potion", 119)],
)
def test_channels_of_the_maps(maps: Any, num_channels: int) -> None:
    config = BodyConfig(maps=maps)
    assert config.num_channels == num_channels
    assert BodyModel(config, 4).maps(torch.rand(1, 9, 17, 3)).shape[:2] == (1, num_channels)


@pytest.mark.parametrize("num_instants", [1, 2, 3, 8, 9])
def test_pooling_by_what_was_seen_is_that_of_the_definition(num_instants: int) -> None:
    num_columns = (num_instants + 1) // 2
    x, weight = torch.rand(2, 3, 4, num_columns), torch.rand(2, num_instants)
    weight[0, 0] = 0
    expected = torch.zeros(2, 3)
    for b in range(2):
        columns = []
        for column in range(num_columns):  # centred on instant 2 * column
            near = [t for t in range(2 * column - 1, 2 * column + 2) if 0 <= t < num_instants]
            columns.append(float(sum(weight[b, t] for t in near) / len(near)))
        for column, share in enumerate(columns):
            expected[b] += share / max(sum(columns), 1e-6) * x[b, :, :, column].mean(dim=1)
    torch.testing.assert_close(pool(x, weight), expected)
    torch.testing.assert_close(pool(x, torch.full_like(weight, 0.3)), pool(x, None))
    torch.testing.assert_close(pool(x, None), x.mean(dim=(2, 3)))
    assert (pool(x, torch.zeros_like(weight)) == 0).all()


@pytest.mark.parametrize("maps", ["timeline", "timeline_one_map"])
@pytest.mark.parametrize("network", ["accm", "cnn"])
def test_instants_without_a_joint_do_not_count_when_pooling_what_was_seen(maps: Any, network: Any) -> None:
    """Far from where something was seen; nearby, the convolutions still see it."""
    torch.manual_seed(0)
    keypoints = torch.rand(1, 40, 5, 3) + 0.1
    keypoints[:, 12:, :, 2] = 0
    longer = torch.cat([keypoints, torch.zeros(1, 200, 5, 3)], dim=1)
    plain = BodyModel(BodyConfig(maps=maps, network=network, **SMALL), 4).eval()
    seen = BodyModel(BodyConfig(maps=maps, network=network, pooling="seen", **SMALL), 4).eval()
    seen.load_state_dict(plain.state_dict())
    features = seen.network(seen.maps(keypoints), instant_weights(keypoints, 0.05))
    expected = seen.network.classify(features).log_softmax(-1)
    torch.testing.assert_close(seen(keypoints), expected)
    if network == "cnn":  # squeeze-and-excitation has an average of its own
        torch.testing.assert_close(seen(longer), seen(keypoints))
    assert not torch.allclose(plain(longer), plain(keypoints), atol=1e-4)


@pytest.mark.parametrize("maps", MAPS)
@pytest.mark.parametrize("network", ["accm", "cnn"])
def test_every_body_model_can_be_exported_for_any_batch_and_length(maps: Any, network: Any) -> None:
    pooling: Any = "seen" if maps.startswith("timeline") else "mean"
    model = BodyModel(BodyConfig(maps=maps, network=network, pooling=pooling, **SMALL), 4).eval()
    shapes = ({0: Dim.DYNAMIC, 1: Dim.DYNAMIC},)
    exported = torch.export.export(model, (torch.rand(3, 9, 5, 3),), dynamic_shapes=shapes).module()
    for num_samples, num_instants in ((1, 4), (5, 31)):
        keypoints = torch.rand(num_samples, num_instants, 5, 3)
        torch.testing.assert_close(exported(keypoints), model(keypoints))


@pytest.mark.parametrize("maps", MAPS)
@pytest.mark.parametrize("network", ["accm", "cnn"])
@pytest.mark.parametrize("encoding", ["soft", "onehot"])
def test_body_model_takes_any_number_of_instants(maps: Any, network: Any, encoding: Any) -> None:
    model = BodyModel(BodyConfig(maps=maps, network=network, encoding=encoding, **SMALL), num_classes=4)
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
        ({"normalization": "video"}, "normalization must be one of frame, sequence, none, not 'video'"),
        ({"encoding": "hard"}, "encoding must be one of soft, onehot, not 'hard'"),
        ({"width": 20}, "width 20 must be a multiple of se_reduction 16"),
        ({"bounded": True}, "bounded is for accumulated maps only, not timeline"),
        ({"network": "resnet"}, "network must be one of accm, cnn, posture, not 'resnet'"),
        ({"maps": "heat"}, "one of timeline, timeline_one_map, accumulated, potion, not 'heat'"),
        ({"num_colors": 0}, "num_colors must be at least 1, not 0"),
        ({"pooling": "max"}, "pooling must be one of mean, seen, not 'max'"),
        ({"pooling": "seen", "maps": "potion"}, "pooling seen needs maps with a time axis, which potion"),
    ],
)
def test_wrong_configuration_fails(changes: dict[str, object], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        BodyConfig(**changes)  # type: ignore[arg-type]
