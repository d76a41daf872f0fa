from __future__ import annotations

from itertools import pairwise, product

import numpy as np
import pytest
import torch
from torch.nn import functional as F
from torchvision.models import resnet18, resnet50

from videofer.models.sistcm import (
    SISTCMBlock,
    SISTCMTrunk,
    from_height_time,
    from_width_time,
    height_time_view,
    width_time_view,
)

K_SMALL = pytest.mark.parametrize("num_frames", [1, 2, 3, 5])


def views_by_index(x: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The definition, value by value: x (N, K, c, h, w) -> (N, c, h, w*K) and (N, c, w, h*K)."""
    n, k, c, h, w = x.shape
    width_time = np.full((n, c, h, w * k), np.nan)
    height_time = np.full((n, c, w, h * k), np.nan)
    for i, t, ch, row, column in product(range(n), range(k), range(c), range(h), range(w)):
        width_time[i, ch, row, column * k + t] = x[i, t, ch, row, column]
        height_time[i, ch, column, row * k + t] = x[i, t, ch, row, column]
    return width_time, height_time


def conv3x3_by_index(x: np.ndarray, kernel: np.ndarray, stride: int) -> np.ndarray:
    n, _, h, w = x.shape
    padded = np.pad(x, ((0, 0), (0, 0), (1, 1), (1, 1)))
    out = np.zeros((n, len(kernel), (h - 1) // stride + 1, (w - 1) // stride + 1))
    for row, column in product(range(out.shape[2]), range(out.shape[3])):
        top, left = row * stride, column * stride
        patch = padded[:, :, top : top + 3, left : left + 3]
        out[:, :, row, column] = np.einsum("ncpq,ocpq->no", patch, kernel)
    return out


@K_SMALL
def test_views_are_those_of_the_definition(num_frames: int) -> None:
    x = torch.randn(2, num_frames, 3, 4, 5)
    flat = x.flatten(0, 1)
    width_time, height_time = views_by_index(x.numpy())
    np.testing.assert_array_equal(width_time_view(flat, num_frames).numpy(), width_time.astype(np.float32))
    np.testing.assert_array_equal(height_time_view(flat, num_frames).numpy(), height_time.astype(np.float32))


@K_SMALL
def test_views_are_put_back(num_frames: int) -> None:
    x = torch.randn(2, num_frames, 3, 4, 5)
    flat = x.flatten(0, 1)
    assert torch.equal(from_width_time(width_time_view(flat, num_frames), num_frames), x)
    assert torch.equal(from_height_time(height_time_view(flat, num_frames), num_frames), x)


@K_SMALL
@pytest.mark.parametrize(("in_channels", "stride"), [(2, 1), (3, 2)])
@pytest.mark.parametrize("spatial_view", [False, True])
def test_block_is_that_of_the_definition(
    num_frames: int, in_channels: int, stride: int, spatial_view: bool
) -> None:
    """Against loops in NumPy: batch statistics in training mode, K frames, both views, sum, shortcut last."""
    block = SISTCMBlock(in_channels, 2, stride, "faithful", spatial_view).double().train()
    n, h, w = 2, 4, 6
    x = torch.randn(n * num_frames, in_channels, h, w, dtype=torch.float64)

    def weight(module: object) -> np.ndarray:
        return module.weight.detach().numpy()  # type: ignore[attr-defined,no-any-return]

    def bn(y: np.ndarray) -> np.ndarray:
        mean, var = y.mean(axis=(0, 2, 3), keepdims=True), y.var(axis=(0, 2, 3), keepdims=True)
        return (y - mean) / np.sqrt(var + 1e-5)

    def relu(y: np.ndarray) -> np.ndarray:
        return np.maximum(y, 0)

    frames = x.numpy()
    y = relu(bn(conv3x3_by_index(frames, weight(block.conv1), stride)))
    y = y.reshape(n, num_frames, *y.shape[1:])
    h, w = y.shape[-2:]
    shortcut = frames
    if block.downsample is not None:
        picked = frames[:, :, ::stride, ::stride]
        shortcut = bn(np.einsum("nchw,oc->nohw", picked, weight(block.downsample[0])[:, :, 0, 0]))
    expected = shortcut.reshape(y.shape).copy()
    a, b = (relu(bn(conv3x3_by_index(view, weight(block.conv2), 1))) for view in views_by_index(y))
    for i, t, ch, row, column in product(range(n), range(num_frames), range(2), range(h), range(w)):
        expected[i, t, ch, row, column] += a[i, ch, row, column * num_frames + t]
        expected[i, t, ch, row, column] += b[i, ch, column, row * num_frames + t]
    if spatial_view:
        plain = relu(bn(conv3x3_by_index(y.reshape(-1, 2, h, w), weight(block.conv2), 1)))
        expected += plain.reshape(expected.shape)
    out = block(x, num_frames).detach().numpy()
    np.testing.assert_allclose(out, relu(expected).reshape(-1, 2, h, w), atol=1e-10)


def test_attention_weighs_views_of_each_clip_alone() -> None:
    block = SISTCMBlock(4, 4, 1, "attention", True).eval()
    views = [torch.randn(3, 2, 4, 5, 5) for _ in range(3)]
    assert block.weights is not None
    weights = block.weights(views)
    assert weights.shape == (3, 3, 1, 4, 1, 1)
    torch.testing.assert_close(weights.sum(dim=0), torch.ones(3, 1, 4, 1, 1))
    alone = block.weights([view[1:2] for view in views])  # the softmax is not over the batch
    torch.testing.assert_close(alone, weights[:, 1:2])


@pytest.mark.parametrize("num_frames", [1, 2, 3, 8, 16])
@pytest.mark.parametrize("views", ["faithful", "attention"])
def test_any_number_of_frames(num_frames: int, views: str) -> None:
    trunk = SISTCMTrunk(4, views, spatial_view=views == "attention")  # type: ignore[arg-type]
    assert trunk(torch.randn(2 * num_frames, 3, 48, 48), num_frames).shape == (2, 32)


def test_number_of_frames_must_divide_the_batch_fails() -> None:
    with pytest.raises(Exception, match="divide"):
        SISTCMTrunk(4)(torch.randn(5, 3, 48, 48), 2)


@pytest.mark.parametrize("num_frames", [2, 3, 8])
def test_order_of_frames_matters(num_frames: int) -> None:
    torch.manual_seed(0)
    trunk = SISTCMTrunk(4).eval()
    frames = torch.randn(num_frames, 3, 48, 48)
    forward, backward = trunk(frames, num_frames), trunk(frames.flip(0), num_frames)
    assert (forward - backward).abs().max() > 1e-3 * forward.abs().max()


def test_one_frame_at_a_time_knows_no_order() -> None:
    trunk = SISTCMTrunk(4).eval()
    frames = torch.randn(6, 3, 48, 48)
    torch.testing.assert_close(trunk(frames, 1).mean(0), trunk(frames.flip(0), 1).mean(0))


def test_parameter_counts() -> None:
    def count(trunk: SISTCMTrunk) -> int:
        return sum(parameter.numel() for parameter in trunk.parameters())

    assert count(SISTCMTrunk(64)) == 11_176_512  # a ResNet-18 without its last layer
    assert count(SISTCMTrunk(64, spatial_view=True)) == 11_176_512  # the kernel is shared
    assert count(SISTCMTrunk(64, "attention")) == 11_176_512 + 3_487_360
    sizes = [count(SISTCMTrunk(width)) for width in (8, 16, 32)]
    assert all(3.5 < wide / narrow < 4.1 for narrow, wide in pairwise(sizes))


def test_takes_the_weights_of_a_2d_resnet18() -> None:
    source = resnet18(weights=None)
    for module in source.modules():
        if isinstance(module, torch.nn.BatchNorm2d):
            torch.nn.init.normal_(module.running_mean)  # type: ignore[arg-type]
    trunk = SISTCMTrunk(64, "attention").eval()
    before = trunk.layer1[0].weights.embed.weight.clone()  # type: ignore[union-attr,operator]
    trunk.load_resnet18(source.state_dict())
    loaded = trunk.state_dict()
    for name, value in source.state_dict().items():
        if not name.startswith("fc."):
            assert torch.equal(loaded[name], value), name
    assert torch.equal(trunk.layer1[0].weights.embed.weight, before)  # type: ignore[union-attr,arg-type]

    # and computes what the 2D network does, frame by frame, up to the first block's second convolution
    source.eval()
    x = torch.randn(2, 3, 64, 64)
    stem = source.maxpool(source.relu(source.bn1(source.conv1(x))))
    first, own = source.layer1[0], trunk.layer1[0]
    ours = F.max_pool2d(F.relu(trunk.bn1(trunk.conv1(x))), 3, 2, 1)
    torch.testing.assert_close(own.bn1(own.conv1(ours)), first.bn1(first.conv1(stem)))  # type: ignore[operator]


def test_weights_of_another_network_fail() -> None:
    trunk = SISTCMTrunk(64)
    with pytest.raises(ValueError, match=r"layer1\.0\.conv1\.weight has shape \(64, 64, 1, 1\)"):
        trunk.load_resnet18(resnet50(weights=None).state_dict())
    with pytest.raises(ValueError, match=r"not a ResNet-18: it has no conv1\.weight"):
        trunk.load_resnet18({"fc.weight": torch.zeros(1)})
    with pytest.raises(ValueError, match="this trunk needs"):
        SISTCMTrunk(16).load_resnet18(resnet18(weights=None).state_dict())
