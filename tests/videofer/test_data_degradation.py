"""Stills made to look like faces in videos: each kind of loss against its definition, torch and OpenCV."""

from __future__ import annotations

from typing import Any

import cv2
import numpy as np
import pytest
import torch
from hypothesis import example, given, settings
from hypothesis import strategies as st
from small_store import crop_of
from torch import Tensor
from torch.nn import functional as F

from videofer.data.augmentation import DeviceAugment
from videofer.data.degradation import degraded
from videofer.data.jpeg import compressed
from videofer.models import noise
from videofer.recipe import AugmentRecipe, DegradeRecipe

pytestmark = pytest.mark.usefixtures("one_thread")

SIDE = 48
NONE = dict.fromkeys(DegradeRecipe.model_fields, 0.0)
ALL = DegradeRecipe(share=0.5)


def only(**settings: float) -> DegradeRecipe:
    return DegradeRecipe(**{**NONE, "share": 1.0, **settings})


def make_pixels(num_samples: int = 6, num_clips: int = 2, num_frames: int = 2) -> Tensor:
    """(B, C, K, S, S, 3) in [0, 1], in memory colour by colour as on a CPU."""
    crops = np.stack([crop_of(i, num_clips * num_frames, SIDE) for i in range(num_samples)])
    pixels = torch.from_numpy(crops).float() / 255
    pixels = pixels.view(num_samples, num_clips, num_frames, SIDE, SIDE, 3)
    return pixels.permute(0, 1, 2, 5, 3, 4).contiguous().permute(0, 1, 2, 4, 5, 3)


def change(pixels: Tensor, recipe: DegradeRecipe, first: int = 0) -> Tensor:
    there = torch.ones(pixels.shape[:2], dtype=torch.bool)
    return degraded(pixels, there, recipe, torch.arange(first, first + len(pixels)))


def draws(num_samples: int) -> dict[str, np.ndarray]:
    """What the samples draw, by name."""
    drawn = noise.uniform(torch.arange(num_samples), 15, noise.DEGRADATION).numpy()
    names = ["resolution", "blur", "noise", "compression", "light", "red", "green", "blue", "grey"]
    return dict(zip(names, drawn.T[6:], strict=True)) | {"chosen": drawn[:, :6]}


@pytest.mark.parametrize("recipe", [only(), DegradeRecipe(share=0.0, grey=0.0)])
def test_nothing_is_exactly_the_pixels(recipe: DegradeRecipe) -> None:
    pixels = make_pixels()
    torch.testing.assert_close(change(pixels, recipe), pixels, rtol=0, atol=1e-6)


def test_resolution_is_lost_as_torch_resizes() -> None:
    pixels = make_pixels(8)
    found = change(pixels, only(resolution_loss=0.8))
    sizes = np.floor(SIDE * (1 - np.float32(0.8) * draws(8)["resolution"])).astype(int)
    assert sizes.min() < 20 and sizes.max() > 35
    for before, after, size in zip(pixels, found, sizes.tolist(), strict=True):
        planes = before.flatten(0, 1).permute(0, 3, 1, 2)
        small = F.interpolate(planes, (size, size), mode="bilinear", antialias=True)
        expected = F.interpolate(small, (SIDE, SIDE), mode="bilinear")
        torch.testing.assert_close(after.flatten(0, 1).permute(0, 3, 1, 2), expected, rtol=0, atol=1e-5)


def test_blur_is_gaussian() -> None:
    pixels = make_pixels(6, 1, 1)
    found = change(pixels, only(blur=0.05)).numpy()
    for before, after, std in zip(pixels.numpy(), found, SIDE * 0.05 * draws(6)["blur"], strict=True):
        if std > 0.6:  # below, OpenCV samples few points of the curve
            expected = cv2.GaussianBlur(before[0, 0], (31, 31), float(std))
            inside = (slice(10, -10), slice(10, -10))  # beyond the edges there is nothing, not a mirror
            np.testing.assert_allclose(after[0, 0][inside], expected[inside], atol=2e-3)
        assert np.abs(np.diff(after, axis=3)).sum() <= np.abs(np.diff(before, axis=3)).sum() + 1e-3


def test_light_and_tint_against_their_definition() -> None:
    pixels, drawn = make_pixels(), draws(6)
    found = change(pixels, only(gamma=1.5, tint=0.3)).numpy()
    gamma = 2.5 ** (2 * drawn["light"] - 1)
    assert gamma.min() < 1 < gamma.max()
    gain = 1 + 0.3 * (2 * np.stack([drawn["red"], drawn["green"], drawn["blue"]], axis=1) - 1)
    for before, after, exponent, factor in zip(pixels.numpy(), found, gamma, gain, strict=True):
        np.testing.assert_allclose(after, np.clip(before**exponent * factor, 0, 1), atol=1e-5)


def test_noise_is_normal_grey_and_another_one_in_each_frame() -> None:
    pixels = torch.full((40, 1, 2, SIDE, SIDE, 3), 0.5)
    grain = (change(pixels, only(noise=0.1)) - 0.5).numpy()
    assert np.ptp(grain, axis=-1).max() < 1e-6
    std = 0.1 * draws(40)["noise"]
    np.testing.assert_allclose(grain.std(axis=(1, 2, 3, 4, 5)), std, rtol=0.05)
    standard = grain[std > 0.02][..., 0] / std[std > 0.02][:, None, None, None, None]
    assert abs(standard.mean()) < 0.01 and abs((standard**4).mean() - 3) < 0.05
    assert abs((standard[:, 0, 0] * standard[:, 0, 1]).mean()) < 0.01


def test_noise_of_a_small_face_is_coarse() -> None:
    pixels = torch.full((60, 1, 1, SIDE, SIDE, 3), 0.5)
    grain = (change(pixels, only(noise=0.1, resolution_loss=0.8)) - 0.5).numpy()[:, 0, 0, ..., 0]
    alike = [np.corrcoef(one[:, 1:].ravel(), one[:, :-1].ravel())[0, 1] for one in grain]
    lost = draws(60)["resolution"]
    assert np.mean(np.array(alike)[lost > 0.7]) > 0.6 > 0.4 > np.mean(np.array(alike)[lost < 0.1])


def test_compression_is_that_of_jpeg() -> None:
    pixels = make_pixels()
    found = change(pixels, only(compression=0.9)).permute(0, 1, 2, 5, 3, 4).flatten(1, 2)
    quality = 100 * (1 - 0.9 * torch.from_numpy(draws(6)["compression"]))
    expected = compressed(pixels.permute(0, 1, 2, 5, 3, 4).flatten(1, 2), quality)
    torch.testing.assert_close(found, expected, rtol=0, atol=1e-5)


def test_colours_are_lost_in_a_share_of_the_samples() -> None:
    pixels = make_pixels(200, 1, 1)
    found = change(pixels, only(share=0.0, grey=0.25))
    is_grey = (found.amax(dim=-1) - found.amin(dim=-1)).flatten(1).amax(dim=1) < 1e-6
    assert torch.equal(is_grey, torch.from_numpy(draws(200)["grey"] < 0.25)) and 30 < int(is_grey.sum()) < 70
    luma = (pixels * torch.tensor([0.299, 0.587, 0.114])).sum(dim=-1, keepdim=True)
    torch.testing.assert_close(found[is_grey], luma[is_grey].expand(-1, -1, -1, -1, -1, 3))
    torch.testing.assert_close(found[~is_grey], pixels[~is_grey], rtol=0, atol=1e-6)


def test_each_kind_happens_to_its_share_of_the_samples() -> None:
    pixels = make_pixels(300, 1, 1)
    for name in ("resolution_loss", "blur", "gamma", "tint", "noise", "compression"):
        strong = {"resolution_loss": 0.9, "blur": 0.2, "gamma": 4.0, "tint": 0.9, "noise": 0.5}.get(
            name, 0.99
        )
        found = change(pixels, only(share=0.4, **{name: strong}))
        touched = ((found - pixels).abs().flatten(1).amax(dim=1) > 1e-5).float().mean()
        assert abs(float(touched) - 0.4) < 0.1, name


def test_a_sample_s_change_does_not_depend_on_its_batch() -> None:
    """But for rounding, which may make another multiple of a quantised coefficient, here and there."""
    pixels, there, seeds = make_pixels(8), torch.ones(8, 2, dtype=torch.bool), torch.arange(8)
    found = degraded(pixels, there, ALL, seeds)
    assert (found - pixels).abs().mean() > 0.02
    for order in ([3], [7, 0, 3], [6, 5, 4, 3, 2, 1, 0]):
        part = degraded(pixels[order], there[order], ALL, seeds[order])
        assert ((part - found[order]).abs() > 1e-5).float().mean() < 0.01
    other = change(pixels, ALL, first=100)
    assert ((other - found).abs().flatten(1).amax(dim=1) > 0.01).all()


def test_frames_of_a_sample_change_alike_but_for_their_noise() -> None:
    pixels = make_pixels()[:, :1, :1].expand(-1, 3, 2, -1, -1, -1)
    found = change(pixels, ALL.model_copy(update={"noise": 0.0}))
    torch.testing.assert_close(found, found[:, :1, :1].expand_as(found), rtol=0, atol=1e-5)


def test_masked_clips_stay_zero_and_memory_as_it_was() -> None:
    pixels, there = make_pixels(4, 3), torch.ones(4, 3, dtype=torch.bool)
    there[0, 1] = there[3] = False
    pixels[~there] = 0
    before = pixels.clone()
    found = degraded(pixels, there, only(noise=0.5, gamma=1.0, compression=0.9), torch.arange(4))
    assert torch.equal(found.flatten(2).any(dim=2), there) and torch.equal(pixels, before)
    assert found.permute(0, 1, 2, 5, 3, 4).is_contiguous()


shares = st.floats(0, 1)


@settings(max_examples=40, deadline=None)
@example(DegradeRecipe(share=1.0, resolution_loss=0.75), 2, 0)  # less than one pixel would be left
@given(
    st.builds(
        DegradeRecipe,
        share=shares, resolution_loss=st.floats(0, 0.9), blur=st.floats(0, 0.2), gamma=st.floats(0, 4),
        tint=st.floats(0, 0.9), noise=st.floats(0, 0.5), compression=st.floats(0, 0.99), grey=shares,
    ),
    st.integers(2, 20),
    st.integers(-(2**63), 2**63 - 1),
)  # fmt: skip
def test_whatever_the_recipe_a_picture_comes_out(recipe: DegradeRecipe, side: int, seed: int) -> None:
    pixels = torch.rand(2, 1, 2, side, side, 3, generator=torch.Generator().manual_seed(seed % 2**32))
    found = degraded(pixels, torch.ones(2, 1, dtype=torch.bool), recipe, torch.tensor([seed, seed ^ 1]))
    assert found.shape == pixels.shape and found.isfinite().all()
    assert found.min() >= -1e-6 and found.max() <= 1 + 1e-5


def test_it_is_part_of_the_changes_of_a_batch() -> None:
    frames = torch.from_numpy(crop_of(1, 6, SIDE)).view(3, 1, 2, SIDE, SIDE, 3)
    batch = {"frames": frames, "clip_mask": torch.ones(3, 1, dtype=torch.bool), "seed": torch.arange(3)}
    still: dict[str, Any] = {**dict.fromkeys(AugmentRecipe.model_fields, 0.0), "degrade": None}
    plain = DeviceAugment(AugmentRecipe(**still), mirror=None)(batch)["frames"]
    found = DeviceAugment(AugmentRecipe(**{**still, "degrade": ALL}), mirror=None)(batch)["frames"]
    torch.testing.assert_close(found, change(plain, ALL))


@pytest.mark.skipif(not torch.cuda.is_available(), reason="no GPU")
def test_gpu_gives_the_same() -> None:
    pixels, there, seeds = make_pixels(16), torch.ones(16, 2, dtype=torch.bool), torch.arange(16)
    expected = degraded(pixels, there, ALL, seeds)
    found = degraded(pixels.cuda().contiguous(), there.cuda(), ALL, seeds.cuda())
    assert found.is_contiguous()
    assert ((found.cpu() - expected).abs() > 1e-3).float().mean() < 0.01
