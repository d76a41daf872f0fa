from __future__ import annotations

from itertools import pairwise, product
from typing import Any

import numpy as np
import pytest
import torch
from no_rows import check_nothing_comes_through_and_back
from torch import nn
from torch.nn import functional as F
from torchvision.models import resnet18, resnet50

from tools.sistcm_port import PortFaceModel, PortTrunk
from videofer.models.face import FaceConfig, FaceModel
from videofer.models.sistcm import (
    ConstantWeights,
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
    assert torch.equal(from_width_time(width_time_view(flat, num_frames), num_frames), flat)
    assert torch.equal(from_height_time(height_time_view(flat, num_frames), num_frames), flat)


def randomize(module: nn.Module) -> None:
    """Statistics and affine weights of a trained network: none is 0 or 1."""
    for part in module.modules():
        if isinstance(part, nn.BatchNorm2d):
            nn.init.normal_(part.running_mean)  # type: ignore[arg-type]
            nn.init.uniform_(part.running_var, 0.5, 2)  # type: ignore[arg-type]
            nn.init.uniform_(part.weight, 0.5, 2)
            nn.init.normal_(part.bias)


def block_by_index(block: SISTCMBlock, frames: np.ndarray, num_frames: int) -> np.ndarray:
    """The definition of the block in NumPy, view by view and value by value: frames (N*K, c, h, w)."""

    def weight(module: Any) -> np.ndarray:
        return module.weight.detach().numpy()  # type: ignore[no-any-return]

    def bn(y: np.ndarray, module: Any) -> np.ndarray:
        mean, var = module.running_mean.numpy(), module.running_var.numpy()
        if block.training:  # of this view alone
            mean, var = y.mean(axis=(0, 2, 3)), y.var(axis=(0, 2, 3))
        scaled = (y - mean[:, None, None]) / np.sqrt(var[:, None, None] + 1e-5)
        return scaled * weight(module)[:, None, None] + module.bias.detach().numpy()[:, None, None]  # type: ignore[no-any-return]

    def relu(y: np.ndarray) -> np.ndarray:
        return np.maximum(y, 0)

    stride = block.conv1.stride[0]
    y = relu(bn(conv3x3_by_index(frames, weight(block.conv1), stride), block.bn1))
    clips = y.reshape(-1, num_frames, *y.shape[1:])
    n, _, c, h, w = clips.shape
    views = np.zeros((3, *clips.shape))
    a, b = (
        relu(bn(conv3x3_by_index(view, weight(block.conv2), 1), block.bn2)) for view in views_by_index(clips)
    )
    for i, t, ch, row, column in product(range(n), range(num_frames), range(c), range(h), range(w)):
        views[0, i, t, ch, row, column] = a[i, ch, row, column * num_frames + t]
        views[1, i, t, ch, row, column] = b[i, ch, column, row * num_frames + t]
    views[2] = relu(bn(conv3x3_by_index(y, weight(block.conv2), 1), block.bn2)).reshape(clips.shape)
    views = views[: 3 if block.spatial_view else 2]
    if isinstance(block.weights, ConstantWeights):
        logits = block.weights.logits.detach().numpy()
        for ch in range(c):
            views[:, :, :, ch] *= (np.exp(logits[:, ch]) / np.exp(logits[:, ch]).sum())[
                :, None, None, None, None
            ]
    merged = views.sum(axis=0).reshape(y.shape)
    shortcut = frames
    if block.downsample is not None:
        conv, norm = block.downsample  # type: ignore[misc]
        picked = frames[:, :, ::stride, ::stride]
        shortcut = bn(np.einsum("nchw,oc->nohw", picked, weight(conv)[:, :, 0, 0]), norm)
    return relu(merged + shortcut)


@K_SMALL
@pytest.mark.parametrize(("in_channels", "stride"), [(2, 1), (3, 2)])
@pytest.mark.parametrize(("view_merge", "spatial_view"), [("sum", False), ("sum", True), ("constants", True)])
@pytest.mark.parametrize("training", [False, True])
def test_block_is_that_of_the_definition(
    num_frames: int, in_channels: int, stride: int, view_merge: Any, spatial_view: bool, training: bool
) -> None:
    """Both statistics, K frames, pictures that are not square, all views, shortcut last."""
    torch.manual_seed(0)
    block = SISTCMBlock(in_channels, 2, stride, view_merge, spatial_view).double().train(training)
    randomize(block)
    if isinstance(block.weights, ConstantWeights):
        nn.init.normal_(block.weights.logits)
    x = torch.randn(2 * num_frames, in_channels, 4, 6, dtype=torch.float64)
    expected = block_by_index(block, x.numpy(), num_frames)
    np.testing.assert_allclose(block(x, num_frames).detach().numpy(), expected, atol=1e-10)


def test_square_pictures_go_the_same_way() -> None:
    torch.manual_seed(0)
    for training in (False, True):
        block = SISTCMBlock(2, 2, 1, "sum", False).double().train(training)
        randomize(block)
        x = torch.randn(6, 2, 5, 5, dtype=torch.float64)
        expected = block_by_index(block, x.numpy(), 3)
        np.testing.assert_allclose(block(x, 3).detach().numpy(), expected, atol=1e-10)


def test_views_of_one_frame_are_the_frame_and_its_transpose() -> None:
    frame = torch.randn(2, 3, 4, 5)
    assert torch.equal(width_time_view(frame, 1), frame)
    assert torch.equal(height_time_view(frame, 1), frame.transpose(2, 3))


def test_unknown_merge_fails() -> None:
    with pytest.raises(ValueError, match="view_merge must be sum, constants or attention, not 'faithful'"):
        SISTCMTrunk(4, "faithful")  # type: ignore[arg-type]


def test_constants_begin_as_the_mean_of_the_views() -> None:
    views = [torch.randn(3, 2, 4, 5, 5) for _ in range(3)]
    weights = ConstantWeights(4, 3)(views)
    torch.testing.assert_close(
        sum(weight * view for weight, view in zip(weights, views, strict=True)), sum(views) / 3
    )


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
@pytest.mark.parametrize("view_merge", ["sum", "constants", "attention"])
def test_any_number_of_frames(num_frames: int, view_merge: Any) -> None:
    trunk = SISTCMTrunk(4, view_merge, spatial_view=view_merge != "sum")
    assert trunk(torch.randn(2 * num_frames, 3, 48, 40), num_frames).shape == (2, 32)


@pytest.mark.parametrize("view_merge", ["sum", "constants", "attention"])
def test_nothing_comes_through_and_back(view_merge: Any) -> None:
    check_nothing_comes_through_and_back(SISTCMTrunk(4, view_merge, True), 2)


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


@pytest.mark.parametrize("view_merge", ["sum", "constants", "attention"])
def test_clips_do_not_see_each_other(view_merge: Any) -> None:
    torch.manual_seed(0)
    trunk = SISTCMTrunk(4, view_merge, True).eval()
    clips = torch.randn(3, 2, 3, 48, 48)
    features, order = trunk(clips.flatten(0, 1), 2), [2, 0, 1]
    torch.testing.assert_close(trunk(clips[order].flatten(0, 1), 2), features[order])
    torch.testing.assert_close(trunk(clips[1], 2), features[1:2])


@pytest.mark.parametrize("view_merge", ["sum", "constants", "attention"])
def test_mixed_precision_keeps_pictures_small(view_merge: Any) -> None:
    torch.manual_seed(0)
    trunk = SISTCMTrunk(16, view_merge, True).eval()
    frames = torch.randn(4, 3, 48, 48)
    dtypes = []
    for stage in (trunk.layer1, trunk.layer2, trunk.layer3, trunk.layer4):
        stage[1].register_forward_hook(lambda module, inputs, output: dtypes.append(output.dtype))
    with torch.autocast("cpu", torch.bfloat16):
        features = trunk(frames, 2)
    assert dtypes == 4 * [torch.bfloat16]
    expected = trunk(frames, 2)
    assert (features - expected).norm() < 0.03 * expected.norm()


def test_parameter_counts() -> None:
    def count(trunk: SISTCMTrunk) -> int:
        return sum(parameter.numel() for parameter in trunk.parameters())

    assert count(SISTCMTrunk(64)) == 11_176_512  # a ResNet-18 without its last layer
    assert count(SISTCMTrunk(64, spatial_view=True)) == 11_176_512  # the kernel is shared
    views_and_channels = 2 * 2 * (64 + 128 + 256 + 512)
    assert count(SISTCMTrunk(64, "constants")) == 11_176_512 + views_and_channels
    assert count(SISTCMTrunk(64, "attention")) == 11_176_512 + 3_487_360
    sizes = [count(SISTCMTrunk(width)) for width in (8, 16, 32)]
    assert all(3.5 < wide / narrow < 4.1 for narrow, wide in pairwise(sizes))


def test_takes_the_weights_of_a_2d_resnet18() -> None:
    source = resnet18(weights=None)
    randomize(source)
    trunk = SISTCMTrunk(64, "attention").eval()
    before = trunk.layer1[0].weights.embed.weight.clone()  # type: ignore[union-attr,operator]
    trunk.load_resnet18(source.state_dict())
    loaded = trunk.state_dict()
    for name, value in source.state_dict().items():
        if not name.startswith("fc.") and not name.endswith("num_batches_tracked"):
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


def test_refused_weights_change_nothing() -> None:
    trunk = SISTCMTrunk(64)
    before = {name: value.clone() for name, value in trunk.state_dict().items()}
    source = resnet18(weights=None).state_dict()
    del source["layer4.1.bn2.weight"]
    with pytest.raises(ValueError, match=r"it has no layer4\.1\.bn2\.weight"):
        trunk.load_resnet18(source)
    assert all(torch.equal(value, before[name]) for name, value in trunk.state_dict().items())


def test_exported_graph_takes_any_number_of_clips_and_frames() -> None:
    class OfClips(nn.Module):
        def __init__(self, trunk: SISTCMTrunk) -> None:
            super().__init__()
            self.trunk = trunk

        def forward(self, clips: torch.Tensor) -> torch.Tensor:
            return self.trunk(clips.flatten(0, 1), clips.shape[1])  # type: ignore[no-any-return]

    model = OfClips(SISTCMTrunk(4, "attention", True)).eval()
    dynamic = {0: torch.export.Dim.DYNAMIC, 1: torch.export.Dim.DYNAMIC}
    program = torch.export.export(model, (torch.randn(3, 2, 3, 48, 48),), dynamic_shapes=(dynamic,))
    for num_clips, num_frames in ((1, 1), (2, 5)):
        clips = torch.randn(num_clips, num_frames, 3, 48, 48)
        torch.testing.assert_close(program.module()(clips), model(clips))


@pytest.mark.parametrize("training", [False, True])
def test_published_program_gives_the_same(training: bool) -> None:
    torch.manual_seed(0)
    port = PortTrunk(8)
    randomize(port)
    ours = SISTCMTrunk(8)
    ours.load_state_dict(port.state_dict())
    port.train(training)
    ours.train(training)
    clips = torch.rand(4, 3, 2, 64, 64)
    frames = clips.transpose(1, 2).flatten(0, 1)
    expected, features = port(clips), ours(frames, 2)
    torch.testing.assert_close(features, expected, rtol=1e-4, atol=1e-4)

    direction = torch.randn_like(expected)
    (expected * direction).sum().backward()
    (features * direction).sum().backward()
    theirs = dict(port.named_parameters())
    for name, parameter in ours.named_parameters():
        torch.testing.assert_close(parameter.grad, theirs[name].grad, rtol=1e-3, atol=1e-3)
    for name, value in ours.named_buffers():  # each view has updated them in its turn
        torch.testing.assert_close(value, dict(port.named_buffers())[name], rtol=1e-4, atol=1e-4)


def test_published_heads_give_the_same() -> None:
    torch.manual_seed(0)
    port = PortFaceModel(3, 8, (16, 12)).eval()
    config = FaceConfig(width=8, input_size=48, feature_hidden=16, emotion_hidden=12)
    ours = FaceModel(config, 3).eval()
    ours.trunk.load_state_dict(port.trunk.state_dict())
    ours.streams.clip_head.load_state_dict(port.clip_head.state_dict())
    ours.streams.feature_stream.lstm.load_state_dict(port.feature_lstm.state_dict())
    ours.streams.feature_stream.head.load_state_dict(port.feature_head.state_dict())
    ours.streams.emotion_stream.lstm.load_state_dict(port.emotion_lstm.state_dict())
    ours.streams.emotion_stream.head.load_state_dict(port.emotion_head.state_dict())
    clips = torch.rand(2, 4, 3, 2, 48, 48)  # B, C, colours, K, S, S
    clip, emotion, feature = port(clips)
    features = ours.clip_features(clips.permute(0, 1, 3, 4, 5, 2).flatten(0, 1)).unflatten(0, (2, 4))
    outputs = ours.window(features, torch.ones(2, 4, dtype=torch.bool))
    torch.testing.assert_close(outputs["clip"].exp(), clip, rtol=1e-4, atol=1e-4)
    torch.testing.assert_close(outputs["emotion"], emotion.log_softmax(dim=1), rtol=1e-4, atol=1e-4)
    torch.testing.assert_close(outputs["feature"], feature.log_softmax(dim=1), rtol=1e-4, atol=1e-4)
