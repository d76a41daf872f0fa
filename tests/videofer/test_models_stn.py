"""The spatial transformer: published size, the identity at first, its definition, nothing of neighbours."""

from __future__ import annotations

import math
from typing import Any

import pytest
import torch
from torch.export import Dim
from torch.nn import functional as F

from videofer.models import FaceConfig
from videofer.models.face import FaceModel
from videofer.models.stn import SpatialTransformer, resample


def awake(input_size: int) -> SpatialTransformer:
    """One whose maps depend on the picture."""
    torch.manual_seed(0)
    aligner = SpatialTransformer(input_size)
    torch.nn.init.normal_(aligner.affine.weight, std=0.1)
    return aligner


@pytest.mark.parametrize(("num_classes", "num_parameters"), [(7, 12_047_099), (12, 12_047_709)])
def test_published_size(num_classes: int, num_parameters: int) -> None:
    """868,704 parameters of its own; with ARM behind it those of the published face branch."""
    with torch.device("meta"):
        assert sum(p.numel() for p in SpatialTransformer(224).parameters()) == 868_704
        config = FaceConfig(trunk="arm", input_size=224, heads=("clip",), align="stn")
        model = FaceModel(config, num_classes)
    assert sum(p.numel() for p in model.parameters()) == num_parameters


@pytest.mark.parametrize("size", [33, 48, 97])
def test_an_untrained_one_changes_nothing(size: int) -> None:
    pictures = torch.rand(3, 3, size, size)
    torch.testing.assert_close(SpatialTransformer(size)(pictures), pictures, atol=1e-4, rtol=0)


def test_resampling_is_that_of_torch() -> None:
    pictures, maps = torch.rand(4, 3, 20, 20), torch.eye(2, 3) + 0.3 * torch.randn(4, 2, 3)
    grid = F.affine_grid(maps, [4, 3, 20, 20], align_corners=False)
    expected = F.grid_sample(pictures, grid, align_corners=False)
    torch.testing.assert_close(resample(pictures, maps), expected, atol=1e-5, rtol=0)


def test_a_known_map_turns_and_moves_as_it_says() -> None:
    picture = torch.zeros(1, 3, 8, 8)
    picture[..., 1, 2] = 1.0  # row 1, column 2
    moved = resample(picture, torch.tensor([[[1.0, 0, 0.5], [0, 1, 0]]]))  # reads half of half a side further
    assert moved[0, 0].argmax() == 1 * 8 + 0
    turned = resample(picture, torch.tensor([[[0.0, -1, 0], [1, 0, 0]]]))  # reads (-y, x)
    assert turned[0, 0].argmax() == 5 * 8 + 1
    outside = resample(picture + 1, torch.tensor([[[1.0, 0, 3], [0, 1, 0]]]))
    assert not outside.any()  # zero: the mean colour


def test_each_picture_has_a_map_of_its_own() -> None:
    aligner, pictures = awake(48), torch.randn(5, 3, 48, 48)
    maps = aligner.maps(pictures)
    assert not torch.allclose(maps[0], maps[1], atol=1e-3)
    together = aligner(pictures)
    for rows in ([0], [3, 1], [4, 3, 2, 1, 0]):
        torch.testing.assert_close(aligner(pictures[rows]), together[rows], atol=1e-5, rtol=1e-4)


def test_it_learns_to_bring_a_shifted_picture_back() -> None:
    torch.manual_seed(0)
    aligner = SpatialTransformer(33)
    y, x = torch.meshgrid(torch.linspace(-1, 1, 33), torch.linspace(-1, 1, 33), indexing="ij")
    at = torch.tensor([-0.3, 0.0, 0.3])[:, None, None]
    pictures = torch.exp(-8 * ((x - at) ** 2 + y**2))[:, None].expand(-1, 3, -1, -1)
    optimizer = torch.optim.Adam(aligner.parameters(), lr=1e-3)

    def error() -> torch.Tensor:
        return F.mse_loss(aligner(pictures), pictures[1:2].expand(3, -1, -1, -1))

    before = error().item()
    for _ in range(60):
        optimizer.zero_grad()
        loss = error()
        loss.backward()  # type: ignore[no-untyped-call]
        optimizer.step()
    assert error().item() < 0.2 * before


def test_no_picture_goes_through_and_back() -> None:
    aligner = awake(48)
    pictures = torch.randn(0, 3, 48, 48, requires_grad=True)
    out = aligner(pictures)
    assert out.shape == (0, 3, 48, 48)
    out.sum().backward()
    assert all(p.grad is not None and not p.grad.any() for p in aligner.parameters())


def test_it_can_be_exported_for_any_number_of_pictures() -> None:
    aligner = awake(48).eval()
    exported = torch.export.export(
        aligner, (torch.randn(3, 3, 48, 48),), dynamic_shapes=({0: Dim.DYNAMIC},)
    ).module()
    for number in (1, 5):
        pictures = torch.randn(number, 3, 48, 48)
        torch.testing.assert_close(exported(pictures), aligner(pictures), atol=1e-5, rtol=1e-4)


def test_a_face_model_shows_its_trunk_the_aligned_frames() -> None:
    torch.manual_seed(0)
    config: dict[str, Any] = {
        "trunk": "arm",
        "width": 4,
        "stem": "cifar",
        "input_size": 48,
        "heads": ("clip",),
    }
    model = FaceModel(FaceConfig(align="stn", **config), 4).eval()
    assert model.aligner is not None
    model.aligner.affine.bias.data = torch.tensor([0.8, 0.1, 0.05, -0.1, 0.8, 0.0])
    frames = torch.randint(0, 256, (2, 3, 48, 48, 3), dtype=torch.uint8)
    pictures = model.aligner((frames.flatten(0, 1).permute(0, 3, 1, 2) / 255 - model.mean) / model.std)
    torch.testing.assert_close(model.clip_features(frames), model.trunk(pictures, 3), atol=1e-5, rtol=1e-4)
    plain = FaceModel(FaceConfig(**config), 4).eval()
    assert plain.aligner is None
    own = {id(p) for p in model.clip_parameters()}
    assert own == {id(p) for part in (model.aligner, model.trunk) for p in part.parameters()}


@pytest.mark.parametrize("num_clips", [1, 3])
def test_logits_are_averaged_over_all_frames(num_clips: int) -> None:
    """The published score of a video: the mean of its frames' logits. Clips of any length give the same."""
    torch.manual_seed(0)
    config = FaceConfig(
        trunk="arm", width=4, stem="cifar", input_size=48, heads=("clip",), dropout=0, clip_average="logit"
    )
    model = FaceModel(config, 4).eval()
    head = model.streams.clip_head
    assert head is not None
    frames = torch.randint(0, 256, (6, 48, 48, 3), dtype=torch.uint8)
    logits = head(model.clip_features(frames[:, None]))  # (6, n): each frame by itself
    clips = frames.reshape(num_clips, 6 // num_clips, 48, 48, 3)
    there = torch.ones(1, num_clips, dtype=torch.bool)
    found = model.window(model.clip_features(clips)[None], there)["log_probs"]
    torch.testing.assert_close(found, logits.mean(dim=0, keepdim=True).log_softmax(-1))
    if num_clips > 1:  # a masked clip does not enter the mean, whatever its features are
        features = model.clip_features(clips)[None].clone()
        features[0, 0], there[0, 0] = math.nan, False
        expected = logits[6 // num_clips :].mean(dim=0, keepdim=True).log_softmax(-1)
        torch.testing.assert_close(model.window(features, there)["log_probs"], expected)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"align": "landmarks"}, "align must be none or stn, not 'landmarks'"),
        ({"clip_average": "median"}, "clip_average must be probability or logit, not 'median'"),
        (
            {"trunk": "cnn", "width": 8, "input_size": 48, "descriptor": "sift", "align": "stn"},
            "descriptor sift is of pictures as they are: align must be none",
        ),
    ],
)
def test_wrong_configuration_fails(changes: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        FaceConfig(**changes)
