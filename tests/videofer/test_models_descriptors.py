"""Descriptors beside a CNN: what they are, that they follow the picture, and published sizes."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import cv2
import numpy as np
import pytest
import torch
from blobs import pictures_of
from torch import Tensor

from videofer.models import FaceConfig
from videofer.models.cnn import CNNTrunk
from videofer.models.descriptors import (
    GRID,
    NUM_WORDS,
    BagOfWords,
    DenseGrid,
    DescriptorBranch,
    grid_of,
    points_of,
)
from videofer.models.face import FaceModel

MEAN, STD = (0.5, 0.4, 0.3), (0.25, 0.2, 0.3)
KINDS = pytest.mark.parametrize("kind", ["sift", "dense_sift"])


def frames_of(pictures: np.ndarray) -> Tensor:
    """As a trunk gets them: (M, 3, S, S), normalised."""
    grey = torch.from_numpy(pictures)[:, None].expand(-1, 3, -1, -1) / 255
    return (grey - torch.tensor(MEAN)[:, None, None]) / torch.tensor(STD)[:, None, None]


def make_branch(kind: Any, num_outputs: int = 8) -> DescriptorBranch:
    torch.manual_seed(0)
    return DescriptorBranch(kind, num_outputs, mean=MEAN, std=STD)


@pytest.mark.parametrize(("trunk", "width", "published"), [("cnn", 32, 18_132_711), ("vgg", 64, 33_872_839)])
@KINDS
def test_published_size(trunk: Any, width: int, published: int, kind: Any) -> None:
    """The published VGG's count has its running statistics; the CNN with a branch has no normalisations."""
    config = FaceConfig(trunk=trunk, width=width, descriptor=kind, input_size=48, heads=("clip",))
    with torch.device("meta"):
        model = FaceModel(config, num_classes=7)
    norms = [m for m in model.modules() if isinstance(m, torch.nn.BatchNorm2d)]
    count = sum(p.numel() for p in model.parameters())
    if trunk == "cnn":
        count -= sum(p.numel() for norm in norms for p in norm.parameters())
    else:
        count += sum(norm.running_mean.numel() + norm.running_var.numel() for norm in norms)  # type: ignore
    assert count == published


def test_dense_descriptors_are_those_of_opencv_row_by_row() -> None:
    pictures = pictures_of(3)
    values = DenseGrid()(pictures)
    assert values.shape == (3, DenseGrid.num_features) == (3, 2048) and values.dtype == torch.float32
    sift = cv2.SIFT.create()
    for picture, row in zip(pictures, values.unflatten(1, (4, 4, 128)), strict=True):
        for (i, y), (j, x) in [((i, y), (j, x)) for i, y in enumerate(GRID) for j, x in enumerate(GRID)]:
            _, expected = sift.compute(picture, [cv2.KeyPoint(float(x), float(y), 4.0, 0.0)])
            assert np.array_equal(row[i, j].numpy(), expected[0])


def test_dense_descriptors_are_upright() -> None:
    """A ramp to the right has one direction, one downwards another a quarter turn away: 2 of 8 bins."""
    sift, ramp = cv2.SIFT.create(), np.tile(np.arange(48, dtype=np.uint8) * 5, (48, 1))
    directions = []
    for picture in (ramp, np.ascontiguousarray(ramp.T)):
        inner = grid_of(picture, sift).reshape(4, 4, 4, 4, 8)[1:3, 1:3].sum(axis=(0, 1, 2, 3))
        assert inner.max() > 0.9 * inner.sum()
        directions.append(int(inner.argmax()))
    assert (directions[1] - directions[0]) % 4 == 2


def test_words_are_counted_where_they_are_nearest() -> None:
    torch.manual_seed(0)
    bag, pictures = BagOfWords(), pictures_of(5)
    pictures[2] = 128  # nothing to be seen, no point
    counts = bag(pictures)
    assert counts.shape == (5, NUM_WORDS) and not counts[2].any()
    words = bag.words.double().numpy()
    for picture, row in zip(pictures, counts, strict=True):
        expected = np.zeros(NUM_WORDS)
        for point in points_of(picture, cv2.SIFT.create()):
            expected[np.linalg.norm(words - point, axis=1).argmin()] += 1
        assert np.array_equal(row.numpy(), expected)
    assert counts.sum() > 20


@KINDS
def test_a_picture_s_numbers_depend_on_nothing_else(kind: Any, restored_threads: None) -> None:
    branch, frames = make_branch(kind), frames_of(pictures_of(9))
    together = branch.values(frames)
    torch.testing.assert_close(together.square().mean(dim=1), torch.ones(9))
    for num_threads in (1, 3):
        torch.set_num_threads(num_threads)
        assert torch.equal(branch.values(frames.flip(0)), together.flip(0))
        assert torch.equal(branch.values(frames[4:5]), together[4:5])
        assert branch.values(frames[:0]).shape == (0, 2048)
        with torch.autocast("cpu", torch.bfloat16):
            assert torch.equal(branch.values(frames), together)


@pytest.fixture
def restored_threads() -> Iterator[None]:
    before = torch.get_num_threads()
    yield
    torch.set_num_threads(before)


@KINDS
def test_descriptors_follow_the_changes_of_a_picture(kind: Any) -> None:
    """A mirrored frame has the numbers of the mirrored picture, not those of the picture before."""
    branch, pictures = make_branch(kind), pictures_of(4)
    mirrored = np.ascontiguousarray(pictures[:, :, ::-1])
    values = branch.values(frames_of(pictures).flip(3))
    assert torch.equal(values, branch.values(frames_of(mirrored)))
    assert not torch.allclose(values, branch.values(frames_of(pictures)))


def test_pictures_are_had_back_from_normalised_frames() -> None:
    branch, pictures = make_branch("sift"), pictures_of(20)
    assert np.array_equal(branch.pictures(frames_of(pictures)), pictures)
    double = frames_of(pictures.repeat(2, axis=1).repeat(2, axis=2))
    assert branch.pictures(double).shape == (20, 48, 48)
    assert np.abs(branch.pictures(double).astype(int) - pictures).mean() < 4


@KINDS
def test_no_gradient_goes_through_but_the_layer_has_one(kind: Any) -> None:
    branch, frames = make_branch(kind), frames_of(pictures_of(3)).requires_grad_()
    branch(frames, None).sum().backward()
    assert frames.grad is None
    assert branch.dense.weight.grad is not None and branch.dense.weight.grad.any()


def test_words_found_are_whole_and_the_same_for_the_same_pictures() -> None:
    bag, pictures = BagOfWords(), pictures_of(45)
    before = bag.words.clone()
    bag.fit_on(pictures, seed=5)
    words = bag.words.clone()
    assert torch.equal(words, words.round()) and not torch.equal(words, before)
    assert words.min() >= 0 and words.max() <= 255
    bag.fit_on(pictures, seed=5)
    assert torch.equal(bag.words, words)
    # Nearer to the points of further pictures than random words are: they have learned something.
    points = np.concatenate([points_of(one, cv2.SIFT.create()) for one in pictures_of(5, seed=9)])
    near, far = (torch.cdist(torch.from_numpy(points), w).min(dim=1).values.mean() for w in (words, before))
    assert near < 0.8 * far


def test_too_few_points_fail_and_leave_the_words() -> None:
    bag = BagOfWords()
    before = bag.words.clone()
    with pytest.raises(ValueError, match="2048 centres need at least as many points, there are 0"):
        bag.fit_on(np.full((50, 48, 48), 128, np.uint8), seed=0)
    assert torch.equal(bag.words, before)


@KINDS
def test_the_branch_reaches_the_trunk_s_features(kind: Any) -> None:
    torch.manual_seed(0)
    config = FaceConfig(trunk="cnn", width=4, descriptor=kind, input_size=48, heads=("clip",))
    model = FaceModel(config, 3).eval()
    assert isinstance(model.trunk, CNNTrunk) and model.trunk.branch is not None
    frames = torch.from_numpy(pictures_of(4))[:, None, :, :, None].expand(-1, -1, -1, -1, 3)
    features = model.clip_features(frames)
    assert features.shape == (4, model.num_features) == (4, 256) and (features >= 0).all()
    torch.testing.assert_close(model.clip_features(frames[2:]), features[2:])
    with torch.no_grad():
        model.trunk.branch.dense.weight.zero_()
    assert not torch.allclose(model.clip_features(frames), features)
    assert ("trunk.branch.describe.words" in model.state_dict()) == (kind == "sift")
    assert (model.vocabulary is not None) == (kind == "sift")


def test_wrong_configuration_fails() -> None:
    with pytest.raises(ValueError, match="descriptor sift is for the trunks cnn and vgg only, not resnet18"):
        FaceConfig(trunk="resnet18", descriptor="sift")
    with pytest.raises(ValueError, match="descriptor must be none, sift or dense_sift, not 'surf'"):
        FaceConfig(trunk="cnn", descriptor="surf")  # type: ignore[arg-type]
