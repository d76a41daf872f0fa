"""The body follower against made-up skeletons whose truth is known at every frame."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, ClassVar

import numpy as np
import pytest

from cache.schema import State
from preprocessing.meter import Meter
from preprocessing.spec import PreprocessSpec
from preprocessing.tracking.bodies import BodyFollower, BodyRows
from preprocessing.types import Bodies, Frame

FPS = 25.0
Scene = Callable[[int], list[tuple[float, float]]]
"""Frame number -> (x, y) of each body's left top corner."""


class Oracle:
    """Answers with the truth; when bodies are followed, only with those near the followed boxes."""

    name = "oracle"
    layout = "coco17"
    provenance: ClassVar[dict[str, Any]] = {}

    def __init__(self, scene: Scene, needs_pixels: bool = True) -> None:
        self.scene, self.needs_pixels = scene, needs_pixels
        self.searches: list[int] = []
        self.looks: list[int] = []

    def detect(
        self, frame: Frame | None, frame_index: int, t: float, known_boxes_xyxy: np.ndarray | None
    ) -> Bodies:
        self.looks.append(frame_index)
        corners = np.array(self.scene(frame_index), float).reshape(-1, 2)
        boxes = np.concatenate([corners, corners + (80, 200)], axis=1)
        if known_boxes_xyxy is None:
            self.searches.append(frame_index)
            return bodies(boxes, np.full(len(boxes), 0.8))
        distance = np.linalg.norm(known_boxes_xyxy[:, None, :2] - boxes[None, :, :2], axis=2)
        found = distance.min(axis=1, initial=np.inf) < 100
        nearest = [
            boxes[d.argmin()] if ok else b for d, ok, b in zip(distance, found, known_boxes_xyxy, strict=True)
        ]
        return bodies(np.array(nearest), np.where(found, 0.8, 0.1))


def bodies(boxes: np.ndarray, scores: np.ndarray) -> Bodies:
    joints = np.linspace(0, 1, 17)[None, :, None]
    points = boxes[:, None, :2] * (1 - joints) + boxes[:, None, 2:] * joints
    keypoints = np.concatenate([points, np.broadcast_to(scores[:, None, None], (len(boxes), 17, 1))], axis=2)
    return Bodies(boxes.astype(np.float32), keypoints.astype(np.float32), scores.astype(np.float32))


class OneStageOracle(Oracle):
    """Finds everybody at every look, whatever is followed."""

    def detect(
        self, frame: Frame | None, frame_index: int, t: float, known_boxes_xyxy: np.ndarray | None
    ) -> Bodies:
        return super().detect(frame, frame_index, t, None)


def follow(
    scene: Scene,
    num_frames: int,
    cuts: tuple[int, ...] = (),
    needs_pixels: bool = True,
    kind: type[Oracle] = Oracle,
) -> Any:
    oracle = kind(scene, needs_pixels)
    follower = BodyFollower(PreprocessSpec(), oracle, Meter())
    rows: list[BodyRows] = []
    for n in range(num_frames):
        rows += follower.push(n, n, n / FPS, None, n in cuts)
    rows += follower.finish()
    tracks: dict[int, list[BodyRows]] = {}
    for r in rows:
        tracks.setdefault(id(r.track), []).append(r)
    result = []
    for parts in tracks.values():
        position = parts[0].first_frame
        for part in parts:
            assert part.first_frame == position
            position += len(part.block.states)
        states = np.concatenate([p.block.states for p in parts])
        keypoints = np.concatenate([p.block.keypoints for p in parts])
        result.append((parts[0].first_frame, states, keypoints))
    return result, oracle


def test_a_walker_is_followed_and_interpolated() -> None:
    tracks, oracle = follow(lambda n: [(100 + 4 * n, 50)], 51)
    assert len(tracks) == 1
    first, states, keypoints = tracks[0]
    assert first == 0 and len(states) == 51
    assert oracle.looks == list(range(0, 51, 5))
    assert oracle.searches == [0, 25, 50], "persons are searched once a second"
    assert np.allclose(keypoints[:, 0, 0], 100 + 4 * np.arange(51), atol=1e-3)
    assert [n for n in range(51) if states[n] == State.OK] == list(range(0, 51, 5))


def test_two_people_who_pass_each_other_keep_their_tracks() -> None:
    tracks, _ = follow(lambda n: [(6 * n, 50), (600 - 6 * n, 300)], 101)
    assert [len(states) for _, states, _ in tracks] == [101, 101]
    for _, _, keypoints in tracks:
        steps = np.diff(keypoints[:, 0, 0])
        assert np.sign(steps).min() == np.sign(steps).max(), "nobody turns round"


def test_a_loss_is_absent_and_a_new_search_finds_again() -> None:
    tracks, _ = follow(lambda n: [] if 30 <= n < 45 else [(100, 50)], 80)
    first, states, keypoints = tracks[0]
    assert len(tracks) == 1 and first == 0 and len(states) == 80
    assert set(states[26:45]) == {State.ABSENT} and (keypoints[26:45] == 0).all()
    assert states[45] == State.OK


def test_sidecar_skeletons_are_read_at_every_frame() -> None:
    tracks, oracle = follow(lambda n: [(100 + n, 50)], 20, needs_pixels=False)
    assert oracle.looks == list(range(20))
    assert set(tracks[0][1]) == {State.OK}


def test_a_one_stage_engine_sees_a_newcomer_at_the_next_look() -> None:
    def scene(n: int) -> list[tuple[float, float]]:
        newcomer = [(400.0, 60.0)] if n >= 7 else []
        return [*newcomer, (100 + 3 * n, 50)]  # in front of the one who is known

    tracks, oracle = follow(scene, 31, kind=OneStageOracle)
    assert oracle.looks == list(range(0, 31, 5))
    assert [(first, len(states)) for first, states, _ in tracks] == [(0, 31), (10, 21)]
    walker, newcomer = (keypoints for _, _, keypoints in tracks)
    assert np.allclose(walker[:, 0, 0], 100 + 3 * np.arange(31), atol=1e-3)
    assert np.allclose(newcomer[:, 0, 0], 400)
    late, _ = follow(scene, 31)
    assert [first for first, _, _ in late] == [0, 25], "a person detector looks once a second"


def test_nothing_is_followed_across_a_cut() -> None:
    tracks, oracle = follow(lambda n: [(100, 50)], 30, cuts=(12,))
    assert [(first, len(states)) for first, states, _ in tracks] == [(0, 12), (12, 18)]
    assert 12 in oracle.searches


def test_nobody_gives_no_rows() -> None:
    assert follow(lambda n: [], 30)[0] == []


def test_the_same_body_twice_is_one() -> None:
    tracks, _ = follow(lambda n: [(100, 50), (103, 52)], 30)
    assert len(tracks) == 1


@pytest.mark.parametrize("seed", range(10))
def test_rows_are_never_doubled(seed: int) -> None:
    rng = np.random.default_rng(seed)
    spans = [(int(s), int(s) + int(rng.integers(5, 90))) for s in rng.integers(0, 150, 4)]

    def scene(n: int) -> list[tuple[float, float]]:
        return [(250 * lane, 40) for lane, (start, stop) in enumerate(spans) if start <= n < stop]

    tracks, _ = follow(scene, 200)
    seen: set[tuple[int, int]] = set()
    for first, states, keypoints in tracks:
        for n in np.flatnonzero(states != State.ABSENT):
            cell = (round(float(keypoints[n, 0, 0]) / 250), first + int(n))
            assert cell not in seen
            seen.add(cell)
