"""Changes of a training batch, against OpenCV and NumPy: what they do, and that they belong to the sample."""

from __future__ import annotations

import math
from typing import Any

import cv2
import numpy as np
import pytest
import torch
from small_store import crop_of, joints_of
from torch import Tensor

from preprocessing.landmarks.layouts import MIRRORED_68
from videofer.data.augmentation import GREY, DeviceAugment
from videofer.models import noise
from videofer.recipe import AugmentRecipe

SIDE = 48
ZERO = {**dict.fromkeys(AugmentRecipe.model_fields, 0.0), "degrade": None}
MIRROR = (0, 2, 1, 4, 3, 6, 5, 8, 7, 10, 9, 12, 11, 14, 13, 16, 15)  # of COCO-17
STRONG = AugmentRecipe(
    shift=0.1, scale=0.2, rotate_degrees=20, brightness=0.3, contrast=0.3, colour=0.2, erase=0.5,
    joint_noise=0.05, joint_drop=0.2, body_rotate_degrees=15,
)  # fmt: skip


def only(**settings: Any) -> AugmentRecipe:
    return AugmentRecipe(**{**ZERO, **settings})


def make_batch(
    num_samples: int = 6, num_clips: int = 2, num_frames: int = 2, first: int = 0
) -> dict[str, Tensor]:
    crops = [crop_of(first + i, num_clips * num_frames, SIDE) for i in range(num_samples)]
    frames = np.stack(crops).reshape(num_samples, num_clips, num_frames, SIDE, SIDE, 3)
    return {
        "frames": torch.from_numpy(frames),
        "clip_mask": torch.ones(num_samples, num_clips, dtype=torch.bool),
        "keypoints": torch.from_numpy(np.stack([joints_of(first + i, 8) for i in range(num_samples)])),
        "body_mask": torch.ones(num_samples, dtype=torch.bool),
        "seed": torch.arange(first, first + num_samples) * 7919,
        "weight": torch.ones(num_samples),
    }


def change(batch: dict[str, Tensor], recipe: AugmentRecipe, mirror: tuple[int, ...] | None = MIRROR) -> Any:
    return DeviceAugment(recipe, mirror=mirror)(batch)


def face_draws(batch: dict[str, Tensor]) -> np.ndarray:
    """(B, 15) in [0, 1): flip; scale, angle, shift; contrast, colour, brightness; erase, extent, place."""
    return noise.uniform(batch["seed"], 15, noise.FACE_CHANGE).double().numpy()


def test_nothing_is_exactly_the_stored_pixels() -> None:
    batch = make_batch()
    changed = change(batch, only())
    torch.testing.assert_close(changed["frames"], batch["frames"] / 255, rtol=0, atol=0)
    assert changed["frames"].dtype == torch.float32
    assert all(torch.equal(changed[name], batch[name]) for name in set(batch) - {"frames"})


def test_the_batch_itself_stays() -> None:
    batch = make_batch()
    with torch.inference_mode():
        changed = change(batch, STRONG)
    assert changed["frames"].shape == batch["frames"].shape and changed["weight"] is batch["weight"]
    assert (changed["frames"] - batch["frames"] / 255).abs().mean() > 0.05
    assert changed["frames"].min() >= 0 and changed["frames"].max() <= 1
    again = make_batch()
    assert all(torch.equal(batch[name], again[name]) for name in batch)


def test_all_frames_of_a_sample_change_alike() -> None:
    batch = make_batch(num_clips=3)
    batch["frames"] = batch["frames"][:1, :1, :1].expand_as(batch["frames"]).clone()
    frames = change(batch, STRONG)["frames"]
    for sample in frames:
        torch.testing.assert_close(sample, sample[:1, :1].expand_as(sample), rtol=0, atol=1e-6)
    assert all((frames[i] - frames[j]).abs().max() > 0.05 for i in range(6) for j in range(i))


def test_mirror_of_a_picture_and_a_skeleton() -> None:
    picture = torch.tensor([[10, 20, 30], [40, 50, 60], [70, 80, 90]], dtype=torch.uint8)
    # Nose, left and right hand; the right one is unseen at first.
    skeleton = torch.tensor([[[5, 1, 0.9], [2, 3, 0.8], [0, 0, 0]], [[5, 1, 0.7], [2, 4, 0.6], [12, 7, 0.5]]])
    batch = {
        "frames": picture[None, None, None, :, :, None].repeat(1, 1, 1, 1, 1, 3),
        "clip_mask": torch.ones(1, 1, dtype=torch.bool),
        "keypoints": skeleton[None],
        "seed": torch.tensor([1]),
    }
    changed = change(batch, only(flip=1.0), mirror=(0, 2, 1))
    mirrored = torch.tensor([[30.0, 20, 10], [60, 50, 40], [90, 80, 70]]) / 255
    torch.testing.assert_close(changed["frames"][0, 0, 0], mirrored[..., None].repeat(1, 1, 3))
    # Joints are seen from x 2 to 12: x becomes 14 - x, and what was the left hand is now the right one.
    expected = torch.tensor(
        [[[9, 1, 0.9], [0, 0, 0], [12, 3, 0.8]], [[9, 1, 0.7], [2, 7, 0.5], [12, 4, 0.6]]]
    )
    torch.testing.assert_close(changed["keypoints"][0], expected)
    torch.testing.assert_close(
        change({**batch, **changed, "frames": batch["frames"]}, only(flip=1.0), (0, 2, 1))["keypoints"],
        batch["keypoints"],
    )


def test_face_and_body_are_mirrored_together() -> None:
    batch = make_batch(200, 1, 1)
    changed = change(batch, only(flip=0.3))
    face = (changed["frames"] - batch["frames"].flip(-2) / 255).abs().amax(dim=(1, 2, 3, 4, 5)) < 1e-4
    body = (changed["keypoints"] - batch["keypoints"]).abs().amax(dim=(1, 2, 3)) > 1
    assert torch.equal(face, body) and 40 < int(face.sum()) < 80
    plain = (changed["frames"] - batch["frames"] / 255).abs().amax(dim=(1, 2, 3, 4, 5)) < 1e-4
    assert torch.equal(plain, ~face)


def warp_of(draws: np.ndarray, recipe: AugmentRecipe) -> np.ndarray:
    """(2, 3): crop pixels -> changed crop pixels, by its definition."""
    scale, degrees, shift_x, shift_y = (2 * draws[1:5] - 1) * [
        recipe.scale, recipe.rotate_degrees, recipe.shift * SIDE, recipe.shift * SIDE,
    ]  # fmt: skip
    centre = (SIDE - 1) / 2
    # OpenCV counts a turn the other way round, as if y went up.
    warp = np.vstack([cv2.getRotationMatrix2D((centre, centre), -degrees, 1 + scale), [0, 0, 1]])
    mirror = np.array([[-1.0, 0, SIDE - 1], [0, 1, 0], [0, 0, 1]])
    move = np.array([[1, 0, shift_x], [0, 1, shift_y], [0, 0, 1.0]])
    return np.asarray((move @ warp @ (mirror if draws[0] < recipe.flip else np.eye(3)))[:2])


@pytest.mark.parametrize(
    "settings",
    [
        {"flip": 0.5},
        {"shift": 0.2},
        {"scale": 0.3},
        {"rotate_degrees": 40},
        {"flip": 0.5, "shift": 0.1, "scale": 0.2, "rotate_degrees": 20},
    ],
)
def test_geometry_against_opencv(settings: dict[str, float]) -> None:
    batch, recipe = make_batch(8), only(**settings)
    frames = change(batch, recipe)["frames"].numpy()
    moved = 0
    for sample, draws in enumerate(face_draws(batch)):
        warp = warp_of(draws, recipe)
        moved += not np.allclose(warp, np.eye(2, 3), atol=0.02)
        for clip in range(2):
            for k in range(2):
                expected = cv2.warpAffine(
                    batch["frames"][sample, clip, k].numpy(),
                    warp,
                    (SIDE, SIDE),
                    borderMode=cv2.BORDER_REPLICATE,
                )
                difference = np.abs(255 * frames[sample, clip, k] - expected)
                assert difference.max() <= 2 and difference.mean() < 0.5
    assert moved >= 3
    if "flip" not in settings:
        wrong = [warp_of(1 - draws, recipe) for draws in face_draws(batch)]  # the reference tells a change
        other = cv2.warpAffine(
            batch["frames"][0, 0, 0].numpy(), wrong[0], (SIDE, SIDE), borderMode=cv2.BORDER_REPLICATE
        )
        assert np.abs(255 * frames[0, 0, 0] - other).max() > 4


@pytest.mark.parametrize(
    "settings",
    [
        {"brightness": 0.4},
        {"contrast": 0.5},
        {"colour": 0.3},
        {"brightness": 0.3, "contrast": 0.3, "colour": 0.1},
    ],
)
def test_colour_against_its_definition(settings: dict[str, float]) -> None:
    batch, recipe = make_batch(8), only(**settings)
    frames = change(batch, recipe)["frames"].numpy()
    for sample, draws in enumerate(2 * face_draws(batch) - 1):
        gain = (1 + recipe.contrast * draws[5]) * (1 + recipe.colour * draws[6:9])
        values = (batch["frames"][sample].numpy() - 127.5) * gain + 127.5 + 255 * recipe.brightness * draws[9]
        np.testing.assert_allclose(255 * frames[sample], np.clip(values, 0, 255), atol=1e-3)


def test_erased_rectangles() -> None:
    batch = make_batch(400, 1, 1)
    batch["frames"].fill_(255)
    frames = change(batch, only(erase=0.25))["frames"][:, 0, 0, ..., 0]
    grey = frames == torch.tensor(GREY)
    assert torch.equal(~grey, frames == 1)
    assert 70 < int(grey.any(dim=(1, 2)).sum()) < 130
    sizes, places = [], []
    for one in grey[grey.any(dim=(1, 2))]:
        y, x = one.any(dim=1).nonzero()[:, 0], one.any(dim=0).nonzero()[:, 0]
        assert one[y[0] : y[-1] + 1, x[0] : x[-1] + 1].all() and int(one.sum()) == len(x) * len(y)
        sizes += [len(x), len(y)]
        places += [(int(x[0]), SIDE - 1 - int(x[-1])), (int(y[0]), SIDE - 1 - int(y[-1]))]
    assert min(sizes) == SIDE // 8 and max(sizes) == SIDE // 2
    assert np.min(places, axis=0).tolist() == [0, 0]  # it reaches both edges


def test_body_against_numpy() -> None:
    batch = make_batch()
    batch["keypoints"][:, 3, 5] = batch["keypoints"][:, :, 16] = 0
    recipe = only(flip=0.5, body_rotate_degrees=30, joint_noise=0.05, joint_drop=0.3)
    changed = change(batch, recipe)["keypoints"].double().numpy()
    all_draws = noise.uniform(batch["seed"], 1 + 3 * 17, noise.BODY_CHANGE).double().numpy()
    flips = face_draws(batch)[:, 0] < 0.5
    assert 0 < flips.sum() < 6
    for found, keypoints, draws, flip in zip(
        changed, batch["keypoints"].double().numpy(), all_draws, flips, strict=True
    ):
        seen = keypoints[..., 2] > 0
        low, high = keypoints[seen][:, :2].min(axis=0), keypoints[seen][:, :2].max(axis=0)
        if flip:
            keypoints = keypoints[:, MIRROR]
            keypoints[..., 0] = low[0] + high[0] - keypoints[..., 0]
        position = keypoints[..., 0] + 1j * keypoints[..., 1]
        middle = complex(*(low + high) / 2)
        angle = math.radians(30 * (2 * draws[0] - 1))
        dropped, u1, u2 = draws[1:].reshape(3, 17)
        offsets = np.sqrt(-2 * np.log(1 - u1)) * np.exp(2j * np.pi * u2) * 0.05 * (high[1] - low[1])
        position = (position - middle) * np.exp(1j * angle) + middle + offsets
        expected = np.stack([position.real, position.imag, keypoints[..., 2]], axis=-1)
        expected[(keypoints[..., 2] == 0) | (dropped < 0.3)] = 0
        np.testing.assert_allclose(found, expected, atol=1e-3)


def test_joint_noise_is_normal_of_the_body_s_height_and_constant_in_time() -> None:
    batch = make_batch(300, 1, 1)
    height = np.ptp(batch["keypoints"][..., 1].numpy(), axis=(1, 2))
    moves = (change(batch, only(joint_noise=0.1))["keypoints"] - batch["keypoints"]).numpy()[..., :2]
    np.testing.assert_allclose(moves, np.broadcast_to(moves[:, :1], moves.shape), atol=1e-3)
    offsets = (moves[:, 0] / height[:, None, None]).ravel()  # 10,200 numbers
    assert abs(offsets.mean()) < 0.004 and abs(offsets.std() - 0.1) < 0.003
    assert abs((offsets**4).mean() / 0.1**4 - 3) < 0.3


def test_changes_spread_evenly_over_their_range() -> None:
    batch = make_batch(2000, 1, 1)
    batch["frames"] = torch.full((2000, 1, 1, 1, 1, 3), 51, dtype=torch.uint8)
    added = change(batch, only(brightness=0.15))["frames"].flatten(1)[:, 0] - 0.2
    assert -0.15 <= added.min() < -0.149 and 0.149 < added.max() <= 0.15
    quarters = np.histogram(added, bins=4, range=(-0.15, 0.15))[0]
    assert quarters.min() > 430 and quarters.max() < 570
    dropped = change(batch, only(joint_drop=0.2))["keypoints"][..., 2] == 0
    assert torch.equal(dropped.any(dim=1), dropped.all(dim=1))  # for the whole sample
    assert abs(dropped.float().mean() - 0.2) < 0.01


def test_a_sample_s_change_does_not_depend_on_its_batch() -> None:
    batch = make_batch(8)
    changed = change(batch, STRONG)
    for order in ([3], [7, 0, 3], [6, 5, 4, 3, 2, 1, 0]):
        part = change({name: value[order] for name, value in batch.items()}, STRONG)
        for name in ("frames", "keypoints"):
            torch.testing.assert_close(part[name], changed[name][order], rtol=0, atol=0)


def test_other_seeds_change_otherwise() -> None:
    batch = make_batch(4)
    changed = change(batch, STRONG)
    other = change({**batch, "seed": batch["seed"] + 1}, STRONG)  # as another epoch has
    for name in ("frames", "keypoints"):
        assert ((changed[name] - other[name]).abs().flatten(1).amax(dim=1) > 0.01).all()


@pytest.mark.parametrize(
    "settings",
    [
        {"flip": 1},
        {"shift": 0.12},
        {"scale": 0.2},
        {"rotate_degrees": 25},
        {"flip": 0.5, "shift": 0.08, "scale": 0.15, "rotate_degrees": 20},
    ],
)
def test_landmarks_move_with_the_pixels_on_which_they_lie(settings: dict[str, float]) -> None:
    """Frame p shows a spot at landmark p; in the changed frame it lies at that landmark, in the mirror at the
    one of the other side."""
    num_samples = 8
    landmarks = np.random.default_rng(0).uniform(0.3, 0.7, (num_samples, 68, 2))
    x, y = landmarks[..., 0, None, None] * SIDE - 0.5, landmarks[..., 1, None, None] * SIDE - 0.5
    at_y, at_x = np.mgrid[:SIDE, :SIDE]
    spots = 250 * np.exp(-((at_x - x) ** 2 + (at_y - y) ** 2) / (2 * 1.5**2))  # (B, 68, S, S)
    frames = np.repeat(spots.round().astype(np.uint8)[..., None], 3, axis=-1)
    batch = {
        "frames": torch.from_numpy(frames.reshape(num_samples, 4, 17, SIDE, SIDE, 3)),
        "clip_mask": torch.ones(num_samples, 4, dtype=torch.bool),
        "landmarks": torch.from_numpy(np.tile(landmarks[:, None, None], (1, 4, 17, 1, 1)).astype(np.float32)),
        "landmark_mask": torch.ones(num_samples, 4, 17, dtype=torch.bool),
        "seed": torch.arange(num_samples) * 7919,
    }
    recipe = only(**settings)
    changed = change(batch, recipe)
    bright = changed["frames"][..., 0].double().numpy().reshape(num_samples, 68, SIDE, SIDE)
    total = bright.sum(axis=(2, 3))
    spot = np.stack([(bright * at).sum(axis=(2, 3)) / total for at in (at_x, at_y)], axis=-1)
    mirrored = face_draws(batch)[:, 0] < recipe.flip
    assert mirrored.any() == ("flip" in settings)
    moved = changed["landmarks"].double().numpy()
    assert np.array_equal(moved, np.broadcast_to(moved[:, :1, :1], moved.shape))
    for sample, is_mirrored in enumerate(mirrored):
        expected = moved[sample, 0, 0][list(MIRRORED_68)] if is_mirrored else moved[sample, 0, 0]
        np.testing.assert_allclose(expected * SIDE - 0.5, spot[sample], atol=0.06)
    assert not np.allclose(moved[:, 0, 0], landmarks, atol=0.01)


def test_frames_without_landmarks_get_none() -> None:
    batch = make_batch(num_samples=4)
    mask = torch.rand(4, 2, 2, generator=torch.Generator().manual_seed(0)) < 0.5
    landmarks = torch.rand(4, 2, 2, 68, 2) * mask[..., None, None]
    changed = change({**batch, "landmarks": landmarks, "landmark_mask": mask}, STRONG)
    assert torch.equal(changed["landmark_mask"], mask)
    assert torch.equal((changed["landmarks"] != 0).any(dim=-1).all(dim=-1), mask)
    assert not changed["landmarks"][~mask].any()


def test_masked_clips_unseen_joints_and_padding_stay_zero() -> None:
    batch = make_batch(4, 3)
    batch["clip_mask"][0, 1] = batch["clip_mask"][3] = False
    batch["frames"][~batch["clip_mask"]] = 0
    batch["keypoints"][1:3, 2, 4] = batch["keypoints"][3] = 0
    batch["seed"][3] = 0
    recipe = AugmentRecipe(**{**STRONG.model_dump(), "brightness": 1.0, "erase": 1.0, "joint_drop": 0.0})
    for seed in range(5):
        batch["seed"][:3] = torch.arange(3) + 10 * seed
        changed = change(batch, recipe)
        there = changed["frames"].flatten(2).any(dim=2)
        assert torch.equal(there, batch["clip_mask"])
        seen = batch["keypoints"][..., 2] > 0
        flips = face_draws(batch)[:, 0] < recipe.flip
        seen[flips] = seen[flips][:, :, MIRROR]
        assert torch.equal(changed["keypoints"].any(dim=-1), seen)
        assert changed["keypoints"].isfinite().all()


def test_memory_is_as_the_convolutions_of_the_device_want_it() -> None:
    for settings in ({"flip": 0.5}, STRONG.model_dump()):
        frames = change(make_batch(), AugmentRecipe(**settings))["frames"]
        assert frames.permute(0, 1, 2, 5, 3, 4).is_contiguous()  # colour by colour


@pytest.mark.skipif(not torch.cuda.is_available(), reason="no GPU")
def test_gpu_gives_the_same() -> None:
    batch = make_batch()
    expected = change(batch, STRONG)
    changed = change({name: value.cuda() for name, value in batch.items()}, STRONG)
    assert changed["frames"].is_contiguous()
    torch.testing.assert_close(changed["frames"].cpu(), expected["frames"].contiguous(), rtol=0, atol=1e-4)
    torch.testing.assert_close(changed["keypoints"].cpu(), expected["keypoints"], rtol=1e-5, atol=1e-3)


def test_one_modality_alone() -> None:
    batch = make_batch()
    changed = change(batch, STRONG)
    face = change({name: batch[name] for name in ("frames", "clip_mask", "seed")}, STRONG, mirror=None)
    body = change({name: batch[name] for name in ("keypoints", "body_mask", "seed")}, STRONG)
    assert torch.equal(face["frames"], changed["frames"]) and "keypoints" not in face
    assert torch.equal(body["keypoints"], changed["keypoints"]) and "frames" not in body


def test_batch_without_seeds_fails() -> None:
    batch = make_batch()
    del batch["seed"]
    with pytest.raises(ValueError, match="drawn from the samples' seeds; the batch has only"):
        change(batch, STRONG)


def test_mirroring_unknown_skeletons_fails() -> None:
    change(make_batch(), only(shift=0.1, joint_noise=0.1), mirror=None)
    with pytest.raises(ValueError, match=r"not known; set training\.augment\.flip to 0"):
        change(make_batch(), only(flip=0.5), mirror=None)
