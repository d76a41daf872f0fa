"""Mixup and CutMix: pixels and labels in equal shares, from the next sample, in any number of processes."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats
from torch import Tensor

from preprocessing.config_file import ConfigError, load_yaml
from videofer.data.dataset import PADDING
from videofer.data.mixing import Mixer
from videofer.recipe import AugmentRecipe

pytestmark = pytest.mark.usefixtures("one_thread")

SIDE, NUM_CLASSES = 12, 7
BOTH = AugmentRecipe(mix=0.8, mixup=0.4, cutmix=1.0)
BLEND = AugmentRecipe(mix=1.0, mixup=0.4)
CUT = AugmentRecipe(mix=1.0, cutmix=1.0)


def make_batch(num_samples: int, num_clips: int = 1, first: int = 0) -> dict[str, Tensor]:
    """Each sample of one brightness of its own and one class; float frames as `DeviceAugment` leaves them."""
    number = torch.arange(first, first + num_samples)
    brightness = (number + 1) / 1000
    frames = brightness.view(-1, 1, 1, 1, 1, 1).expand(-1, num_clips, 2, SIDE, SIDE, 3).clone()
    return {
        "frames": frames,
        "clip_mask": torch.ones(num_samples, num_clips, dtype=torch.bool),
        "target": torch.eye(NUM_CLASSES)[number % NUM_CLASSES],
        "weight": 1.0 + number,
        "example": number,
        "seed": number * 7919 + 3,
        "label": number % NUM_CLASSES,
    }


def mix(batch: dict[str, Tensor], recipe: AugmentRecipe) -> dict[str, Tensor]:
    return Mixer(recipe, rank=0, gather=lambda rows: rows)(batch)


def shares_of(mixed: dict[str, Tensor], batch: dict[str, Tensor]) -> Tensor:
    """(B,) share of the next sample in each label."""
    own = (batch["target"] * mixed["target"]).sum(dim=1)
    return 1 - own


def test_pixels_and_labels_have_the_same_shares() -> None:
    batch = make_batch(200)
    before = {name: value.clone() for name, value in batch.items()}
    mixed = mix(batch, BLEND)
    share = shares_of(mixed, batch)
    following = torch.roll(batch["frames"], -1, dims=0)
    expected = batch["frames"].lerp(following, share.view(-1, 1, 1, 1, 1, 1))
    torch.testing.assert_close(mixed["frames"], expected)
    torch.testing.assert_close(mixed["target"].sum(dim=1), torch.ones(200))
    nxt = torch.roll(batch["weight"], -1)
    torch.testing.assert_close(mixed["weight"], batch["weight"].lerp(nxt, share))
    assert all(torch.equal(batch[name], before[name]) for name in batch)
    assert set(mixed) == set(batch) and torch.equal(mixed["label"], batch["label"])


def test_a_rectangle_comes_from_the_next_sample() -> None:
    batch = make_batch(300)
    mixed = mix(batch, CUT)
    following = torch.roll(batch["frames"], -1, dims=0)
    is_other = mixed["frames"] == following
    assert torch.equal(~is_other, mixed["frames"] == batch["frames"])
    inside = is_other[:, 0, 0, :, :, 0]
    assert torch.equal(is_other, inside[:, None, None, :, :, None].expand_as(is_other))
    torch.testing.assert_close(shares_of(mixed, batch), inside.float().mean(dim=(1, 2)))
    for one in inside[inside.any(dim=2).any(dim=1)]:
        y, x = one.any(dim=1).nonzero()[:, 0], one.any(dim=0).nonzero()[:, 0]
        assert one[y[0] : y[-1] + 1, x[0] : x[-1] + 1].all() and int(one.sum()) == len(x) * len(y)


@pytest.mark.parametrize("parameter", [0.2, 1.0, 4.0])
def test_shares_are_beta_distributed(parameter: float) -> None:
    batch = make_batch(4000)
    share = shares_of(mix(batch, AugmentRecipe(mix=1.0, mixup=parameter)), batch).double().numpy()
    assert stats.kstest(share, stats.beta(parameter, parameter).cdf).pvalue > 0.001
    assert stats.kstest(share, stats.beta(2 * parameter, parameter).cdf).pvalue < 1e-6


def test_both_kinds_and_the_share_of_the_samples() -> None:
    batch = make_batch(2000)
    mixed = mix(batch, BOTH)
    values = mixed["frames"].flatten(1)
    differs = (values != batch["frames"].flatten(1)).any(dim=1)
    is_cut = (values.amax(dim=1) - values.amin(dim=1)) > 1e-5
    # Nearly all of those chosen: some blends and rectangles are too small to see.
    assert 0.7 < differs.float().mean() <= 0.82 and 0.3 < is_cut.float().mean() < 0.42
    same = ~differs
    torch.testing.assert_close(mixed["target"][same], batch["target"][same], rtol=0, atol=1e-3)


def test_other_clips_than_the_partner_s_are_left_alone() -> None:
    batch = make_batch(6, num_clips=3)
    batch["clip_mask"][2, 1] = False
    batch["frames"][2, 1] = 0
    batch["landmark_mask"] = torch.ones(6, 3, 2, dtype=torch.bool)
    mixed = mix(batch, BLEND)
    changed = (mixed["target"] != batch["target"]).any(dim=1)
    assert changed.tolist() == [True, False, False, True, True, True]
    assert torch.equal(mixed["frames"][1:3], batch["frames"][1:3])
    assert torch.equal(mixed["landmark_mask"], ~changed[:, None, None].expand(-1, 3, 2))


def test_a_sample_alone_is_itself() -> None:
    batch = make_batch(1)
    mixed = mix(batch, BLEND)
    assert all(torch.equal(mixed[name], batch[name]) for name in batch)


def parts_of(batch: dict[str, Tensor], num_processes: int) -> list[dict[str, Tensor]]:
    """The batch as `EpochSampler` divides it: longer parts first, shorter ones end with padding."""
    places = np.array_split(np.arange(len(batch["seed"])), num_processes)
    padding = {name: torch.zeros_like(value[:1]) for name, value in batch.items()}
    padding["example"].fill_(PADDING)
    padding["target"].fill_(1 / NUM_CLASSES)
    parts = []
    for own in places:
        rows = [batch[name][own] for name in batch]
        if len(own) < len(places[0]):
            rows = [torch.cat([row, padding[name]]) for row, name in zip(rows, batch, strict=True)]
        parts.append(dict(zip(batch, rows, strict=True)))
    return parts


def gatherer(parts: list[dict[str, Tensor]]) -> Callable[[Tensor], Tensor]:
    """What all processes would send, found by what one of them sends: rows of the same key."""

    def gather(rows: Tensor) -> Tensor:
        if rows.dtype == torch.int64:
            return torch.tensor([int(part["example"][0] != PADDING) for part in parts])
        name = next(
            n for n in ("frames", "clip_mask", "target", "weight")
            if parts[0][n].dtype == rows.dtype and parts[0][n].shape[1:] == rows.shape[1:]
        )  # fmt: skip
        return torch.cat([part[name][:1] for part in parts])

    return gather


@settings(max_examples=40, deadline=None)
@given(st.integers(1, 13), st.integers(1, 5))
def test_several_processes_equal_one(num_samples: int, num_processes: int) -> None:
    batch = make_batch(num_samples)
    whole = mix(batch, BOTH)
    parts = parts_of(batch, num_processes)
    found = [Mixer(BOTH, rank=rank, gather=gatherer(parts))(part) for rank, part in enumerate(parts)]
    for name in ("frames", "target", "weight"):
        joined = torch.cat([part[name][part["example"] != PADDING] for part in found])
        assert torch.equal(joined, whole[name]), name
    for part, before in zip(found, parts, strict=True):
        is_padding = part["example"] == PADDING
        assert torch.equal(part["frames"][is_padding], before["frames"][is_padding])


@pytest.mark.parametrize("override", ["mix=0.5", "mixup=0.2", "cutmix=1.0"])
def test_mixing_needs_to_know_how_and_how_often(override: str, tmp_path: Path) -> None:
    path = tmp_path / "augment.yaml"
    path.write_text("{}")
    with pytest.raises(ConfigError, match="mixing needs mix above 0, and one of mixup and cutmix"):
        load_yaml(path, AugmentRecipe, [override])
    assert load_yaml(path, AugmentRecipe, ["mix=0.5", "cutmix=1.0"]).mix == 0.5


@pytest.mark.skipif(not torch.cuda.is_available(), reason="no GPU")
def test_gpu_gives_the_same() -> None:
    batch = make_batch(50)
    expected = mix(batch, BOTH)
    found = mix({name: value.cuda() for name, value in batch.items()}, BOTH)
    for name in ("frames", "target", "weight"):
        torch.testing.assert_close(found[name].cpu(), expected[name])
