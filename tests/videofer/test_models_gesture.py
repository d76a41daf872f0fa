from __future__ import annotations

from functools import partial
from itertools import product

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from videofer.models.gesture import (
    BOX_MARGIN,
    Encoding,
    Normalization,
    accumulated_map,
    instant_weights,
    normalize,
    potion_map,
    seen_joints,
    timeline_map,
)

S = 16


def skeletons(num_instants: int = 5, num_joints: int = 4, seed: int = 0) -> torch.Tensor:
    """(2, L, J, 3): walking noise in pixels, every fourth joint unseen."""
    rng = np.random.default_rng(seed)
    xy = 200 + 40 * rng.standard_normal((2, num_instants, num_joints, 2))
    score = rng.uniform(0.3, 1, (2, num_instants, num_joints, 1))
    score[rng.random(score.shape) < 0.25] = 0
    return torch.tensor(np.concatenate([xy, score], axis=-1), dtype=torch.float64)


def places_by_index(keypoints: np.ndarray, normalization: Normalization) -> np.ndarray:
    """The definition of the coordinates, for one sample: (L, J, 3) -> (L, J, 2), NaN where unseen."""
    places = np.full((*keypoints.shape[:2], 2), np.nan)
    for t in range(len(keypoints)):
        box_of = keypoints[t : t + 1] if normalization == "frame" else keypoints
        joints = box_of[box_of[..., 2] > 0][:, :2]
        if len(joints) == 0:
            continue
        low, high = joints.min(axis=0), joints.max(axis=0)
        side = (high - low).max()
        corner = low if normalization == "frame" else (low + high - side) / 2
        scale = (S - 1) / (side * (1 + 2 * BOX_MARGIN))
        for j in range(keypoints.shape[1]):
            if keypoints[t, j, 2] > 0:
                places[t, j] = (keypoints[t, j, :2] - corner + BOX_MARGIN * side) * scale
    return places


@pytest.mark.parametrize("normalization", ["frame", "sequence"])
def test_timeline_map_is_that_of_the_definition(normalization: Normalization) -> None:
    keypoints = skeletons()
    batch, num_instants, num_joints, _ = keypoints.shape
    onehot = np.zeros((batch, 2 * num_joints, S, num_instants))
    soft = np.zeros_like(onehot)
    for b in range(batch):
        places = places_by_index(keypoints[b].numpy(), normalization)
        for t, j, axis in product(range(num_instants), range(num_joints), range(2)):
            place = places[t, j, axis]
            if np.isnan(place):
                continue
            onehot[b, 2 * j + axis, int(place), t] = j + 1
            below, score = int(place), float(keypoints[b, t, j, 2])
            soft[b, 2 * j + axis, below, t] += score * (1 - (place - below))
            if below + 1 < S:
                soft[b, 2 * j + axis, below + 1, t] += score * (place - below)
    made = timeline_map(keypoints, S, normalization=normalization, encoding="onehot")
    np.testing.assert_array_equal(made.numpy(), onehot)
    made = timeline_map(keypoints, S, normalization=normalization, encoding="soft")
    np.testing.assert_allclose(made.numpy(), soft, atol=1e-9)


@pytest.mark.parametrize("normalization", ["frame", "sequence"])
def test_one_map_of_all_joints_adds_up_their_numbers(normalization: Normalization) -> None:
    keypoints = skeletons(num_joints=9)
    keypoints[:, :, 5, :2] = keypoints[:, :, 2, :2]  # two joints that meet
    keypoints[:, 0, (2, 5), 2] = 0.5
    batch, num_instants, num_joints, _ = keypoints.shape
    onehot, soft = np.zeros((2, batch, 2, S, num_instants))
    for b in range(batch):
        places = places_by_index(keypoints[b].numpy(), normalization)
        for t, j, axis in product(range(num_instants), range(num_joints), range(2)):
            place = places[t, j, axis]
            if np.isnan(place):
                continue
            below, value = int(place), (j + 1) / num_joints * float(keypoints[b, t, j, 2])
            onehot[b, axis, below, t] += j + 1
            soft[b, axis, below, t] += value * (1 - (place - below))
            if below + 1 < S:
                soft[b, axis, below + 1, t] += value * (place - below)
    made = timeline_map(keypoints, S, normalization, "onehot", one_map=True)
    np.testing.assert_array_equal(made.numpy(), onehot)
    assert onehot[0, :, :, 0].max() >= 3 + 6
    made = timeline_map(keypoints, S, normalization, "soft", one_map=True)
    np.testing.assert_allclose(made.numpy(), soft, atol=1e-9)


@pytest.mark.parametrize("normalization", ["frame", "sequence"])
@pytest.mark.parametrize("encoding", ["soft", "onehot"])
@pytest.mark.parametrize("num_colors", [1, 2, 3, 4])
def test_potion_map_is_that_of_the_definition(
    normalization: Normalization, encoding: Encoding, num_colors: int
) -> None:
    keypoints = skeletons(num_instants=7, num_joints=6)
    keypoints[:, :, 2, 2] = 0  # a joint that is never seen
    batch, num_instants, num_joints, _ = keypoints.shape
    expected = np.zeros((batch, num_joints, 2 * num_colors + 1, S, S))
    for b, j in product(range(batch), range(num_joints)):
        places = places_by_index(keypoints[b].numpy(), normalization)
        coloured = np.zeros((num_colors, S, S))
        for t in range(num_instants):
            if np.isnan(places[t, j, 0]):
                continue
            heat = np.zeros((S + 1, S + 1))
            (x, y), (fx, fy) = np.floor(places[t, j]).astype(int), places[t, j] % 1
            if encoding == "onehot":
                heat[x, y] = 1
            else:
                corners = np.array([[(1 - fx) * (1 - fy), (1 - fx) * fy], [fx * (1 - fy), fx * fy]])
                heat[x : x + 2, y : y + 2] = float(keypoints[b, t, j, 2]) * corners
            for color in range(num_colors):  # a triangle in time around the colour's own moment
                moment = color / max(num_colors - 1, 1)
                distance = abs(t / (num_instants - 1) - moment) * (num_colors - 1)
                coloured[color] += heat[:S, :S] * max(0.0, 1 - distance)
        largest = coloured.max(axis=(1, 2), keepdims=True)
        u = np.divide(coloured, largest, out=np.zeros_like(coloured), where=largest > 0)
        intensity = u.sum(axis=0, keepdims=True)
        expected[b, j] = np.concatenate([u, intensity, u / (1 + intensity)])
    made = potion_map(keypoints, S, normalization, encoding, num_colors=num_colors)
    flat = expected.reshape(batch, num_joints * (2 * num_colors + 1), S, S)
    np.testing.assert_allclose(made.numpy(), flat, atol=1e-9)
    assert not expected[:, 2].any() and expected[:, 0, 0].max() == 1


def test_the_colour_of_a_potion_map_tells_when() -> None:
    keypoints = torch.zeros(1, 5, 2, 3)
    keypoints[0, :, 1, 2] = 1  # seen throughout, at the right
    keypoints[0, :, 1, 0] = 90
    keypoints[0, 0, 0, 2] = keypoints[0, 4, 0, 2] = 1
    keypoints[0, 4, 0, 1] = 90  # first above, last below
    made = potion_map(keypoints, 8, num_colors=2).reshape(2, 5, 8, 8)
    first, last = made[0, 0], made[0, 1]
    assert first.sum(dim=0).argmax() < last.sum(dim=0).argmax()
    assert (first * last).sum() == 0


def test_published_weights_without_timeline() -> None:
    """t / (T - 1): the first instant weighs nothing, the last one 1; dwelling adds up without a bound."""
    keypoints = torch.ones(1, 5, 2, 3)
    keypoints[0, :, 1, :2] = 90.0
    made = accumulated_map(keypoints, S, "frame", "onehot")
    assert sorted(made[made > 0].tolist()) == [2.5, 2.5]  # (0 + 1 + 2 + 3 + 4) / 4
    keypoints[0, 1:, 0, 2] = 0
    assert accumulated_map(keypoints, S, "frame", "onehot")[0, 0].sum() == 0


def test_published_values_with_timeline() -> None:
    """Joint index + 1 where it is, 0 elsewhere, whatever the score; each instant in a box of its own."""
    keypoints = skeletons(num_joints=6)
    made = timeline_map(keypoints, S, "frame", "onehot")
    seen = (keypoints[..., 2] > 0).repeat_interleave(2, dim=2).transpose(1, 2)  # (B, 2J, L)
    numbers = torch.arange(1, 7).repeat_interleave(2)[None, :, None]
    assert torch.equal(made.sum(dim=2), (seen * numbers).double())
    assert torch.equal(made.amax(dim=2), (seen * numbers).double())


def test_an_instant_weighs_as_much_as_its_joints_were_seen() -> None:
    keypoints = skeletons(num_joints=5)
    keypoints[0, 2, :, 2] = 0
    keypoints[1, 1, :, 2] = torch.tensor([0.4, 0.05, 0.0, 0.75, torch.nan])
    keypoints[1, 1, 0, 0] = torch.inf
    weights = instant_weights(keypoints, 0.1)
    assert weights[0, 2] == 0
    assert weights[1, 1] == 0.75
    scores = keypoints[0, 0, :, 2]
    torch.testing.assert_close(weights[0, 0], scores[scores > 0.1].mean())


@pytest.mark.parametrize("normalization", ["frame", "sequence"])
def test_accumulated_map_is_that_of_the_definition(normalization: Normalization) -> None:
    keypoints = skeletons()
    batch, num_instants, num_joints, _ = keypoints.shape
    expected = np.zeros((batch, num_joints, S, S))
    for b in range(batch):
        places = places_by_index(keypoints[b].numpy(), normalization)
        for t, j in product(range(num_instants), range(num_joints)):
            if not np.isnan(places[t, j, 0]):
                expected[b, j, int(places[t, j, 0]), int(places[t, j, 1])] += t / (num_instants - 1)
    made = accumulated_map(keypoints, S, normalization=normalization, encoding="onehot")
    np.testing.assert_allclose(made.numpy(), expected, atol=1e-6)
    bounded = accumulated_map(keypoints, S, normalization=normalization, encoding="onehot", bounded=True)
    np.testing.assert_allclose(bounded.numpy(), expected / (1 + expected), atol=1e-6)
    soft = accumulated_map(keypoints, S, normalization=normalization)
    weight = np.linspace(0, 1, num_instants)[:, None]
    mass = (keypoints[..., 2].numpy() * weight).sum(axis=1)
    np.testing.assert_allclose(soft.sum(dim=(2, 3)).numpy(), mass, atol=1e-6)


def test_one_instant_counts_fully() -> None:
    keypoints = skeletons(num_instants=1)
    assert timeline_map(keypoints, S).shape == (2, 8, S, 1)
    assert potion_map(keypoints, S, num_colors=3).shape == (2, 28, S, S)
    made = accumulated_map(keypoints, S)
    np.testing.assert_allclose(made.sum(dim=(2, 3)).numpy(), keypoints[:, 0, :, 2].numpy(), atol=1e-6)


@settings(deadline=None, max_examples=50)
@given(
    xy=hnp.arrays(np.float64, (1, 3, 4, 2), elements=st.floats(-5000, 5000, allow_nan=False)),
    score=hnp.arrays(np.float64, (1, 3, 4, 1), elements=st.sampled_from([0.0, 0.4, 1.0])),
    normalization=st.sampled_from(["frame", "sequence"]),
)
def test_each_instant_holds_exactly_the_scores(
    xy: np.ndarray, score: np.ndarray, normalization: Normalization
) -> None:
    keypoints = torch.tensor(np.concatenate([xy, score], axis=-1))
    made = timeline_map(keypoints, S, normalization=normalization)
    assert (made >= 0).all()
    for axis in (0, 1):  # a score is shared out, never lost, wherever the joint is
        np.testing.assert_allclose(
            made[0, axis::2].sum(dim=1).numpy(), keypoints[0, :, :, 2].T.numpy(), atol=1e-9
        )


@pytest.mark.parametrize("normalization", ["frame", "sequence"])
@pytest.mark.parametrize(
    "make", [timeline_map, partial(timeline_map, one_map=True), accumulated_map, potion_map]
)
def test_unseen_joints_add_nothing(make, normalization: Normalization) -> None:  # type: ignore[no-untyped-def]
    keypoints = skeletons()
    expected = make(keypoints, S, normalization=normalization, min_score=0.1)
    unseen = keypoints[..., 2] == 0
    for x, score in ((1e9, 0.0), (np.nan, 0.0), (np.inf, 1.0), (-1e9, 0.1), (0.0, np.nan)):
        other = keypoints.clone()
        other[..., 0][unseen] = x
        other[..., 2][unseen] = score
        assert torch.equal(make(other, S, normalization=normalization, min_score=0.1), expected), (x, score)


def test_nothing_seen_is_an_empty_map() -> None:
    keypoints = skeletons()
    keypoints[..., 2] = 0
    assert (timeline_map(keypoints, S) == 0).all()
    assert (timeline_map(keypoints, S, one_map=True) == 0).all()
    assert (accumulated_map(keypoints, S) == 0).all()
    assert (potion_map(keypoints, S) == 0).all()


@pytest.mark.parametrize("normalization", ["frame", "sequence"])
def test_place_and_size_in_the_picture_do_not_matter(normalization: Normalization) -> None:
    keypoints = skeletons()
    moved = keypoints.clone()
    moved[..., :2] = 3.7 * keypoints[..., :2] - 900
    expected = timeline_map(keypoints, S, normalization=normalization)
    torch.testing.assert_close(timeline_map(moved, S, normalization=normalization), expected)


def test_only_the_sequence_box_keeps_the_persons_own_motion() -> None:
    still = torch.tensor([[10.0, 20.0, 1.0], [30.0, 60.0, 1.0]])
    rising = still.repeat(1, 6, 1, 1)
    rising[0, :, :, 1] -= 30 * torch.arange(6.0)[:, None]

    def spread_of_first_joint(normalization: Normalization) -> float:
        seen = seen_joints(rising, 0)
        return float(normalize(rising, seen, S, normalization)[0, :, 0, 1].std())

    assert spread_of_first_joint("frame") < 1e-4
    assert spread_of_first_joint("sequence") > 1
