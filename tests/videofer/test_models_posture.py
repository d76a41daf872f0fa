"""Postures: published sizes, their definition joint by joint, and none of the published defects."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest
import torch
from torch.export import Dim

from preprocessing.skeletons.layouts import COCO17, KINECT25, LAYOUTS, MEDIAPIPE33, OPENPOSE67, WHOLEBODY133
from videofer.models import BodyConfig
from videofer.models.body import BodyModel
from videofer.models.posture import Part, PostureNet, parts_of


def model_of(layout: str = "openpose67", num_classes: int = 4, **changes: Any) -> BodyModel:
    """One with a scale that is not the initial one."""
    torch.manual_seed(0)
    settings: dict[str, Any] = {"width": 16, "min_score": 0.1, "normalization": "none", **changes}
    num_joints = LAYOUTS[layout].num_joints
    model = BodyModel(
        BodyConfig(network="posture", layout=layout, num_joints=num_joints, **settings), num_classes
    )
    assert isinstance(model.network, PostureNet)
    model.network.fit_on(*model.places(some_keypoints(num_joints, 20, seed=1)))
    return model


def some_keypoints(
    num_joints: int = 67, num_samples: int = 3, length: int = 9, seed: int = 0
) -> torch.Tensor:
    rng = torch.Generator().manual_seed(seed)
    keypoints = torch.rand(num_samples, length, num_joints, 3, generator=rng)
    keypoints[..., :2] *= 300
    keypoints[..., 2] = 0.2 + 0.8 * keypoints[..., 2]
    return keypoints


@pytest.mark.parametrize(("num_classes", "num_parameters"), [(7, 36_871), (12, 38_156)])
def test_published_size(num_classes: int, num_parameters: int) -> None:
    config = BodyConfig(network="posture", layout="openpose67", num_joints=67, width=256)
    assert sum(p.numel() for p in BodyModel(config, num_classes).parameters()) == num_parameters


def test_parts_of_the_layouts() -> None:
    """By OpenPose's own numbers: 8 is the middle of the hips, 0 of each hand's 21 joints its wrist."""
    assert parts_of(OPENPOSE67) == (
        Part(tuple(range(25)), (8,)),
        Part(tuple(range(25, 46)), (25,)),
        Part(tuple(range(46, 67)), (46,)),
    )
    assert parts_of(COCO17) == (Part(tuple(range(17)), (11, 12)),)
    body, left, right = parts_of(WHOLEBODY133)  # without the 68 points of the face
    assert body == Part(tuple(range(23)), (11, 12))
    assert left == Part(tuple(range(91, 112)), (91,)) and right == Part(tuple(range(112, 133)), (112,))
    names = [MEDIAPIPE33.joints[j] for j in parts_of(MEDIAPIPE33)[1].joints]
    assert names == ["left_pinky", "left_index", "left_thumb"]
    assert [MEDIAPIPE33.joints[j] for j in parts_of(MEDIAPIPE33)[1].centre] == ["left_wrist"]
    assert {KINECT25.joints[j] for j in parts_of(KINECT25)[2].joints} == {"HandTipRight", "ThumbRight"}
    with pytest.raises(ValueError, match="emilya28 has no mid_hip or left_hip and right_hip"):
        parts_of(LAYOUTS["emilya28"])


def test_it_is_that_of_the_definition() -> None:
    """Written out instant by instant and joint by joint, in NumPy."""
    model, keypoints = model_of().eval(), some_keypoints()
    network = model.network
    assert isinstance(network, PostureNet)
    keypoints[0, 2, 40, 2] = 0.1  # not above the threshold
    keypoints[1, 3, 8, 2] = 0.0  # no middle of the hips
    keypoints[1, 4] = 0.0  # nobody
    low, scale = network.low.numpy(), network.scale.numpy()
    weight, bias = network.embed.weight.detach().numpy(), network.embed.bias.detach().numpy()
    features = np.zeros((3, 16))
    for sample, instants in enumerate(keypoints.numpy()):
        rows = []
        for joints in instants:
            vector, any_seen = np.zeros((67, 2)), False
            for j in range(67):
                centre = 8 if j < 25 else 25 if j < 46 else 46
                if joints[j, 2] > 0.1 and joints[centre, 2] > 0.1:
                    vector[j] = (joints[j, :2] - joints[centre, :2] - low[j]) * scale[j]
                    any_seen = True
            if any_seen:
                rows.append(np.maximum(weight @ vector.ravel() + bias, 0))
        features[sample] = np.mean(rows, axis=0)
    found = model.describe(keypoints)
    np.testing.assert_allclose(found.detach().numpy(), features, rtol=1e-4, atol=1e-5)
    norm = network.normalization.norm
    expected = network.head((found - norm.running_mean) / (norm.running_var + norm.eps).sqrt())  # type: ignore
    torch.testing.assert_close(model(keypoints), expected.log_softmax(-1))


def test_the_scaler_is_that_of_scikit_learn() -> None:
    """Of what was seen, column by column; joints that were never seen, or never moved, stay at zero."""
    from sklearn.preprocessing import MinMaxScaler

    model, keypoints = model_of("coco17"), some_keypoints(17, 8)
    network = model.network
    assert isinstance(network, PostureNet)
    keypoints[:, :, 3, 2] = 0.0
    places, seen = model.places(keypoints)
    network.fit_on(places, seen)
    scaler = MinMaxScaler().fit(places.flatten(0, 1).flatten(1).numpy())
    own = torch.arange(17) != 3
    np.testing.assert_allclose(network.low[own].flatten(), scaler.data_min_.reshape(17, 2)[own].ravel())
    scale = scaler.scale_.reshape(17, 2)
    np.testing.assert_allclose(network.scale[own].flatten(), scale[own].ravel(), rtol=1e-5)
    assert not network.scale[3].any() and not network.low[3].any()
    with pytest.raises(ValueError, match="no joint was seen together with the middle of the hips"):
        network.fit_on(places, torch.zeros_like(seen))
    hands = model_of("openpose67").network
    assert isinstance(hands, PostureNet) and not hands.scale[25].any()  # a wrist as seen from itself


def test_padding_changes_no_score() -> None:
    """In the published code it went through the layer, whose bias then leaked into the mean."""
    model, keypoints = model_of().eval(), some_keypoints()
    padded = torch.cat([keypoints, torch.zeros(3, 323 - 9, 67, 3)], dim=1)
    torch.testing.assert_close(model(padded), model(keypoints))
    padded[:, 9:, :, :2] = math.nan
    torch.testing.assert_close(model(padded), model(keypoints))


def test_unseen_joints_are_zero_after_the_scaling() -> None:
    """Whatever stands in their place: zero before it, as published, would be somewhere else after it."""
    model, keypoints = model_of().eval(), some_keypoints()
    keypoints[:, 1:4, 30, 2] = 0.1
    expected = model(keypoints)
    for stand_in in (0.0, 1e6, math.nan):
        keypoints[:, 1:4, 30, :2] = stand_in
        torch.testing.assert_close(model(keypoints), expected)
    keypoints[:, 1:4, 30] = torch.tensor([200.0, 10.0, 0.11])
    assert not torch.allclose(model(keypoints), expected)


def test_scores_count_as_they_are_and_not_scaled() -> None:
    """Published: scaled to [0, 1] like the places, before the threshold; then 0.1 is another score."""
    model, keypoints = model_of().eval(), some_keypoints()
    keypoints[..., 2] = 0.5
    expected = model(keypoints)
    keypoints[..., 2] = 0.11 + 0.8 * torch.rand(3, 9, 67)
    torch.testing.assert_close(model(keypoints), expected)


@pytest.mark.parametrize(
    ("normalization", "same_when_larger"), [("none", False), ("sequence", True), ("frame", True)]
)
def test_where_a_body_stands_does_not_count_and_how_large_it_is_only_in_pixels(
    normalization: Any, same_when_larger: bool
) -> None:
    model, keypoints = model_of("wholebody133", normalization=normalization).eval(), some_keypoints(133)
    expected = model(keypoints)
    moved = keypoints + torch.tensor([40.0, -25.0, 0.0])
    torch.testing.assert_close(model(moved), expected, atol=1e-4, rtol=1e-4)
    larger = model(keypoints * torch.tensor([2.0, 2.0, 1.0]))
    assert torch.allclose(larger, expected, atol=1e-3) == same_when_larger


def test_a_body_without_its_centre_is_not_seen() -> None:
    model, keypoints = model_of("coco17"), some_keypoints(17, 2)
    keypoints[0, :, 11, 2] = 0.0  # one of the hips
    assert model.sees(keypoints).tolist() == [False, True]
    both = model_of("openpose67")
    hands = some_keypoints(67, 1)
    hands[:, :, 8, 2] = 0.0
    assert both.sees(hands).tolist() == [True]  # the hands are, from their wrists


def test_a_single_body_in_a_batch_is_no_error() -> None:
    model = model_of().train()
    log_probs = model(some_keypoints(num_samples=1))
    log_probs[0, 0].backward()  # type: ignore[no-untyped-call]
    assert log_probs.isfinite().all()
    network = model.network
    assert isinstance(network, PostureNet)
    assert network.normalization.norm.num_batches_tracked == 0
    assert model(some_keypoints(num_samples=0)).shape == (0, 4)


@pytest.mark.parametrize("normalization", ["none", "sequence"])
def test_it_can_be_exported_for_any_batch_and_length(normalization: Any) -> None:
    model = model_of(normalization=normalization).eval()
    shapes = ({0: Dim.DYNAMIC, 1: Dim.DYNAMIC},)
    exported = torch.export.export(model, (some_keypoints(),), dynamic_shapes=shapes).module()
    for num_samples, length in ((1, 4), (5, 31)):
        keypoints = some_keypoints(67, num_samples, length)
        torch.testing.assert_close(exported(keypoints), model(keypoints))


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"network": "posture"}, "layout must be one of coco17, .*, not None"),
        ({"network": "posture", "layout": "coco18"}, "not 'coco18'"),
        (
            {"network": "posture", "layout": "openpose67"},
            "num_joints is 17, but .* openpose67 has 67",
        ),
        ({"network": "posture", "layout": "emilya28", "num_joints": 28}, "has no mid_hip or left_hip"),
        ({"layout": "coco17"}, "layout and normalization none are for network posture only, not accm"),
        ({"normalization": "none", "network": "cnn"}, "for network posture only, not cnn"),
    ],
)
def test_wrong_configuration_fails(changes: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        BodyConfig(**changes)
