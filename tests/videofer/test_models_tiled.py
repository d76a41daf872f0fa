from __future__ import annotations

from itertools import product

import numpy as np
import pytest
import torch
from no_rows import check_nothing_comes_through_and_back
from torch import nn
from torchvision.models import resnet18

from videofer.models.tiled import TiledTrunk, grid_shape, tile

# Rows and columns as in the paper's rule, written out.
GRIDS = {
    1: (1, 1),
    2: (1, 2),
    3: (2, 2),
    4: (2, 2),
    5: (2, 3),
    7: (3, 3),
    8: (3, 3),
    12: (3, 4),
    16: (4, 4),
}


@pytest.mark.parametrize("num_frames", GRIDS)
def test_frames_stand_row_by_row_with_zeros_behind(num_frames: int) -> None:
    n, h, w = 2, 4, 5
    clips = torch.randn(n, num_frames, 3, h, w)
    rows, columns = GRIDS[num_frames]
    expected = np.zeros((n, 3, rows * h, columns * w), np.float32)
    for i, t, channel, y, x in product(range(n), range(num_frames), range(3), range(h), range(w)):
        row, column = t // columns, t % columns
        expected[i, channel, row * h + y, column * w + x] = clips[i, t, channel, y, x]
    np.testing.assert_array_equal(tile(clips.flatten(0, 1), num_frames).numpy(), expected)


def test_grid_is_the_smallest_of_the_published_rule() -> None:
    for num_frames in range(1, 200):
        m = next(m for m in range(1, 20) if m * m >= num_frames)
        rows = m - 1 if num_frames <= (m - 1) * m else m
        assert grid_shape(num_frames) == (rows, m)


def test_number_of_frames_must_divide_the_batch_fails() -> None:
    with pytest.raises(Exception, match="divide"):
        tile(torch.randn(5, 3, 8, 8), 2)


@pytest.mark.parametrize("num_frames", [2, 5, 8])
def test_order_of_frames_matters_and_that_of_clips_does_not(num_frames: int) -> None:
    torch.manual_seed(0)
    trunk = TiledTrunk(4, 7).eval()
    clips = torch.randn(3, num_frames, 3, 48, 48)
    features = trunk(clips.flatten(0, 1), num_frames)
    assert features.shape == (3, 32)
    backward = trunk(clips.flip(1).flatten(0, 1), num_frames)
    assert (features - backward).abs().max() > 1e-3 * features.abs().max()
    torch.testing.assert_close(trunk(clips[[2, 0, 1]].flatten(0, 1), num_frames), features[[2, 0, 1]])


def test_one_frame_is_a_resnet() -> None:
    source = resnet18(weights=None).eval()
    trunk = TiledTrunk(64).eval()
    trunk.load_resnet18(source.state_dict())
    source.fc = nn.Identity()
    frames = torch.randn(2, 3, 64, 64)
    torch.testing.assert_close(trunk(frames, 1), source(frames))


def test_end_convolution_reaches_across_cells() -> None:
    """Without it, the last frame of a row is too far from the first one of a long row to be seen there."""
    torch.manual_seed(0)
    maps = torch.zeros(1, 32, 5, 5)
    maps[0, :, 0, 0] = 1
    end = TiledTrunk(4, 9).eval().end
    assert end is not None
    reached = end(maps)[0].any(dim=0)
    assert reached[:5, :5].all()
    with torch.no_grad():
        end[0].weight.zero_()  # type: ignore[index]
    assert not end(maps).any()  # it is a residual: without weights the maps pass as they are


def test_parameter_counts() -> None:
    def count(trunk: nn.Module) -> int:
        return sum(parameter.numel() for parameter in trunk.parameters())

    assert count(TiledTrunk(64)) == 11_176_512
    assert count(TiledTrunk(64, 21)) == 11_176_512 + 512 * 21 * 21 + 2 * 512


def test_even_end_kernel_fails() -> None:
    for side in (2, -1):
        with pytest.raises(ValueError, match=f"end_kernel must be odd, or 0 for none, not {side}"):
            TiledTrunk(4, side)


def test_nothing_comes_through_and_back() -> None:
    check_nothing_comes_through_and_back(TiledTrunk(4, 3), 5)


def test_weights_of_another_network_fail() -> None:
    with pytest.raises(ValueError, match=r"not a ResNet-18: it has no conv1\.weight"):
        TiledTrunk(64, 7).load_resnet18({"fc.weight": torch.zeros(1)})
