"""The face model's trunks, heads and scores: sizes, definitions, and what a configuration refuses."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from itertools import combinations
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.export import Dim

from videofer.models import FaceConfig
from videofer.models.face import FaceModel
from videofer.models.tlstm import HEADS

SMALL = FaceConfig(width=4, input_size=40, feature_hidden=8, emotion_hidden=8)
MASK = torch.tensor([[True, True, True], [True, False, True], [False, True, False]])


def make(config: FaceConfig = SMALL, num_classes: int = 4) -> FaceModel:
    torch.manual_seed(0)
    return FaceModel(config, num_classes)


def num_parameters(module: nn.Module) -> int:
    return sum(p.numel() for p in module.parameters())


@pytest.mark.parametrize(
    ("trunk", "score"), [("sistcm", "published_sistcm"), ("resnet18", "published_baseline")]
)
def test_published_size(trunk: Any, score: Any) -> None:
    """18,557,525 parameters at 7 classes: trunk with its normalisations, clip layer, both LSTM streams.

    Not counted: running statistics, and the weights of the three heads that score "fitted" learns.
    """
    with torch.device("meta"):
        model = FaceModel(FaceConfig(trunk=trunk, score=score), num_classes=7)
        fitted = FaceModel(FaceConfig(trunk=trunk), num_classes=7)
    assert num_parameters(model.trunk) == 11_176_512
    assert num_parameters(model) == 18_557_525 == 11_176_512 + 6_306_823 + 1_070_599 + 3_591
    assert num_parameters(fitted) == 18_557_525 + 3


@pytest.mark.parametrize(
    ("head", "num_head_parameters"),
    [("feature", 6_306_823), ("emotion", 1_070_599 + 3_591), ("clip", 3_591)],
)
def test_size_of_a_head_alone(head: Any, num_head_parameters: int) -> None:
    """The emotion stream reads the clip layer's probabilities, so it has that layer too."""
    with torch.device("meta"):
        model = FaceModel(FaceConfig(heads=(head,)), num_classes=7)
    assert num_parameters(model) - num_parameters(model.trunk) == num_head_parameters


@pytest.mark.parametrize("heads", [c for n in (1, 2, 3) for c in combinations(HEADS, n)])
def test_fitted_score_mixes_the_heads_that_there_are(heads: Any) -> None:
    model = make(replace(SMALL, heads=heads)).eval()
    outputs = model.window(torch.randn(3, 3, 32), MASK)
    assert set(HEADS) & set(outputs) == set(heads)
    if len(heads) == 1:
        assert model.head_weight_logits is None and "combination" not in outputs
        assert torch.equal(outputs["log_probs"], outputs[heads[0]])
        return
    assert model.head_weight_logits is not None
    nn.init.normal_(model.head_weight_logits)
    outputs = model.window(torch.randn(3, 3, 32), MASK)
    weights = model.head_weight_logits.softmax(0)
    expected = sum(w * outputs[head] for w, head in zip(weights, heads, strict=True))
    assert isinstance(expected, Tensor)
    torch.testing.assert_close(outputs["log_probs"], expected.log_softmax(-1))
    torch.testing.assert_close(outputs["combination"], outputs["log_probs"])


def logits_of(model: FaceModel, features: Tensor) -> dict[str, Tensor]:
    """Without the model's own code around it, for unmasked clips: p of the clips, z of the streams."""
    streams = model.streams
    assert streams.clip_head and streams.emotion_stream and streams.feature_stream
    guesses = streams.clip_head(features).softmax(-1)
    return {
        "clip": guesses.mean(1),
        "emotion": streams.emotion_stream.head(streams.emotion_stream.lstm(guesses)[1][0][0]),
        "feature": streams.feature_stream.head(streams.feature_stream.lstm(features)[1][0][0]),
    }


@pytest.mark.parametrize(
    ("score", "mixture"),
    [
        ("published_sistcm", lambda of: 0.2 * of["clip"] + 0.8 * of["emotion"]),
        ("published_baseline", lambda of: of["clip"] + of["emotion"] + of["feature"]),
    ],
)
def test_published_scores(score: Any, mixture: Callable[[dict[str, Tensor]], Tensor]) -> None:
    model = make(replace(SMALL, score=score)).eval()
    features = 3 * torch.randn(2, 4, 32)
    outputs = model.window(features, torch.ones(2, 4, dtype=torch.bool))
    published = mixture(logits_of(model, features))
    torch.testing.assert_close(outputs["log_probs"], published.log_softmax(-1))
    assert model.head_weight_logits is None and "combination" not in outputs
    for_comparison = 0.2 * outputs["clip"].exp() + 0.8 * outputs["emotion"]
    torch.testing.assert_close(outputs["published_score"], for_comparison.log_softmax(-1))


@pytest.mark.parametrize("trunk", ["sistcm", "resnet18", "tiled"])
def test_pixels_reach_every_trunk_clip_by_clip(trunk: Any) -> None:
    model = make(replace(SMALL, trunk=trunk)).eval()
    frames = torch.randint(0, 256, (3, 2, 40, 40, 3), dtype=torch.uint8)
    features = model.clip_features(frames)
    assert features.shape == (3, 32)
    normalised = frames.permute(0, 1, 4, 2, 3).flatten(0, 1) / 255
    torch.testing.assert_close(features, model.trunk(normalised, 2))
    torch.testing.assert_close(model.clip_features(frames[1:2]), features[1:2])
    torch.testing.assert_close(model.clip_features(frames / 255), features)
    assert model.clip_features(frames[:0]).shape == (0, 32)


class Window(nn.Module):
    def __init__(self, model: FaceModel) -> None:
        super().__init__()
        self.model = model

    def forward(self, features: Tensor, clip_mask: Tensor) -> dict[str, Tensor]:
        return self.model.window(features, clip_mask)


@pytest.mark.filterwarnings("ignore:The tensor attributes .*_flat_weights")  # nn.LSTM lists its weights
def test_the_window_can_be_exported_for_any_batch() -> None:
    model = make(replace(SMALL, normalize_features=True)).eval()
    arguments = (torch.randn(3, 4, 32), torch.ones(3, 4, dtype=torch.bool))
    shapes = ({0: Dim.DYNAMIC}, {0: Dim.DYNAMIC})
    exported = torch.export.export(Window(model), arguments, dynamic_shapes=shapes).module()
    for num_samples in (1, 6):
        features, mask = torch.randn(num_samples, 4, 32), torch.rand(num_samples, 4) > 0.4
        torch.testing.assert_close(exported(features, mask), model.window(features, mask))


class ClipFeatures(nn.Module):
    def __init__(self, model: FaceModel) -> None:
        super().__init__()
        self.model = model

    def forward(self, frames: Tensor) -> Tensor:
        return self.model.clip_features(frames)


def test_clip_features_can_be_exported_for_any_number_of_clips_and_frames() -> None:
    model = make().eval()
    frames = torch.randint(0, 256, (6, 3, 48, 48, 3), dtype=torch.uint8)
    shapes = ({0: Dim.DYNAMIC, 1: Dim.DYNAMIC},)
    exported = torch.export.export(
        ClipFeatures(model), (frames[:4, :2].contiguous(),), dynamic_shapes=shapes
    ).module()
    for num_clips, num_frames in ((1, 1), (6, 3)):
        some = frames[:num_clips, :num_frames].contiguous()
        torch.testing.assert_close(exported(some), model.clip_features(some))


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"width": 0}, "width must be at least 1, not 0"),
        ({"trunk": "mlp"}, "trunk must be sistcm, resnet18, tiled, cnn, vgg, vgg19 or arm, not 'mlp'"),
        ({"view_merge": "faithful"}, "sum, constants or attention, not 'faithful'"),
        ({"trunk": "resnet18", "view_merge": "attention"}, "for trunk sistcm only, not resnet18"),
        ({"trunk": "tiled", "spatial_view": True}, "for trunk sistcm only, not tiled"),
        ({"end_kernel": 7}, "end_kernel is for trunk tiled only, not sistcm"),
        ({"trunk": "tiled", "end_kernel": 4}, "end_kernel must be odd, or 0 for none, not 4"),
        ({"trunk": "tiled", "end_kernel": -1}, "end_kernel must be odd, or 0 for none, not -1"),
        ({"stem": "small"}, "stem must be imagenet or cifar, not 'small'"),
        ({"stem": "cifar"}, "stem cifar is for the trunks resnet18 and arm only, not sistcm"),
        ({"trunk": "cnn", "input_size": 33}, "input_size 33 is too small for trunk cnn"),
        (
            {"trunk": "arm", "input_size": 40},
            "input_size 40 is too small for trunk arm.*takes 65 pixels with the stem imagenet",
        ),
        ({"input_size": 32}, "input_size must be at least 33, not 32"),
        ({"dropout": 1.0}, "dropout must be in"),
        ({"heads": ()}, r"some of clip, emotion, feature, in this order, not \(\)"),
        ({"heads": ("feature", "clip")}, "in this order, not"),
        ({"heads": ("clip", "clip")}, "in this order, not"),
        ({"heads": ("mean",)}, "some of clip, emotion, feature"),
        ({"score": "sum"}, "one of fitted, published_sistcm, published_baseline, not 'sum'"),
        (
            {"score": "published_sistcm", "heads": ("clip", "feature")},
            "score published_sistcm needs the heads clip and emotion, not clip, feature",
        ),
        (
            {"score": "published_baseline", "heads": ("clip", "emotion")},
            "needs the heads clip and emotion and feature, not clip, emotion",
        ),
        ({"std": (1.0, 0.0, 1.0)}, "std above 0"),
    ],
)
def test_wrong_configuration_fails(changes: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        FaceConfig(**changes)


def test_a_model_of_brightness_is_blind_to_colour() -> None:
    torch.manual_seed(1)
    coloured = torch.rand(3, 2, 40, 40, 3)
    luma = coloured @ torch.tensor([0.299, 0.587, 0.114])
    grey = luma[..., None].expand(-1, -1, -1, -1, 3)
    config = replace(SMALL, mean=(0.5, 0.4, 0.3))
    plain, blind = make(config).eval(), make(replace(config, grey=True)).eval()
    torch.testing.assert_close(blind.clip_features(coloured), plain.clip_features(grey))
    assert not torch.allclose(plain.clip_features(coloured), plain.clip_features(grey), atol=1e-3)
    pixels = (255 * coloured).byte()
    torch.testing.assert_close(blind.clip_features(pixels), blind.clip_features(pixels.float() / 255))
    assert blind.state_dict().keys() == plain.state_dict().keys()
