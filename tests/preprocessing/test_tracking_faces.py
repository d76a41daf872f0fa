"""The follower against a made-up scene: what a perfect detector sees is known at every frame."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any, ClassVar

import numpy as np
import pytest

from cache.schema import State
from preprocessing.align import similarity_from_landmarks
from preprocessing.meter import Meter
from preprocessing.spec import PreprocessSpec
from preprocessing.tracking.face_rows import FaceRows
from preprocessing.tracking.faces import FaceFollower
from preprocessing.tracking.smoothing import smooth_at
from preprocessing.types import Faces, Frame

WIDTH, HEIGHT, FPS = 640, 480, 25.0
FACE = np.array([[0.3, 0.4], [0.7, 0.4], [0.5, 0.6], [0.35, 0.8], [0.65, 0.8]], np.float32)

Scene = Callable[[int], list[tuple[float, float, float]]]
"""Frame number -> (x, y, side) of each face."""


@dataclass
class FakeFrame:
    """A picture that only knows its number; its pixels say where they lie."""

    index: int
    pts: int = 0
    duration_pts: int = 1
    width: int = WIDTH
    height: int = HEIGHT
    released: list[int] = field(default_factory=list)

    def reduced_rgb(self, size_wh: tuple[int, int]) -> np.ndarray:
        picture = np.zeros((size_wh[1], size_wh[0], 3), np.uint8)
        picture[0, 0] = (self.index // 256, self.index % 256, 0)
        return picture

    def rgb_patch(self, x0: int, y0: int, x1: int, y1: int) -> np.ndarray:
        return np.full((y1 - y0, x1 - x0, 3), self.index % 251, np.uint8)

    def aligned_rgb(
        self, warp: np.ndarray, size_wh: tuple[int, int], *, black_outside: bool = False
    ) -> np.ndarray:
        return np.full((size_wh[1], size_wh[0], 3), self.index % 251, np.uint8)

    def luma_thumbnail(self) -> np.ndarray:
        return np.full((18, 32), 100 * (self.index % 2 + self.index % 5 % 2), np.uint8)  # never stands still


class Oracle:
    """A detector that reads the frame's number from the picture and answers with the truth."""

    name = "oracle"
    sure_score = 0.0
    provenance: ClassVar[dict[str, Any]] = {}

    def __init__(self, scene: Scene) -> None:
        self.scene = scene
        self.searched: list[int] = []

    def detect(self, images_rgb: Sequence[np.ndarray]) -> list[Faces]:
        found = []
        for image in images_rgb:
            index = int(image[0, 0, 0]) * 256 + int(image[0, 0, 1])
            self.searched.append(index)
            scale = image.shape[1] / WIDTH
            faces = np.array(self.scene(index), np.float32).reshape(-1, 3) * scale
            boxes = np.concatenate([faces[:, :2], faces[:, :2] + faces[:, 2:]], axis=1)
            points = faces[:, None, :2] + faces[:, None, 2:] * FACE
            found.append(Faces(boxes, points.astype(np.float32), np.full(len(faces), 0.9, np.float32)))
        return found


def follow(
    scene: Scene, num_frames: int, cuts: Sequence[int] = (), **spec: Any
) -> tuple[list[FaceRows], Oracle, FaceFollower]:
    oracle = Oracle(scene)
    follower = FaceFollower(PreprocessSpec(**spec), oracle, WIDTH, HEIGHT, Meter())
    rows: list[FaceRows] = []
    for index in range(num_frames):
        rows += follower.push(index, index / FPS, FakeFrame(index), index in cuts)
        assert len(follower._frames) <= 5 + 8 + 7  # interval, look-ahead of smoothing, bridged gap
    rows += follower.finish()
    return rows, oracle, follower


def by_track(rows: list[FaceRows]) -> list[tuple[int, np.ndarray, np.ndarray, np.ndarray]]:
    """First frame, states, boxes and the numbers of the frames that crops were taken from, of each track."""
    tracks: dict[int, list[FaceRows]] = {}
    for r in rows:
        tracks.setdefault(id(r.track), []).append(r)
    result = []
    for parts in tracks.values():
        position = parts[0].first_frame
        for part in parts:
            assert part.first_frame == position, "rows of a track follow each other without a gap"
            position += len(part.block.states)
        states = np.concatenate([p.block.states for p in parts])
        boxes = np.concatenate([p.block.boxes_xyxy for p in parts])
        crops = np.concatenate([p.block.crops[:, 0, 0, 0] for p in parts])
        result.append((parts[0].first_frame, states, boxes, crops))
    return result


def test_a_steady_face_is_searched_every_fifth_frame_and_complete() -> None:
    rows, oracle, _ = follow(lambda n: [(100 + 3 * n, 80 + n, 90)], 53)
    (first, states, boxes, crops) = by_track(rows)[0]
    assert first == 0 and len(states) == 53
    assert sorted(set(oracle.searched)) == [*range(0, 53, 5), 52]
    assert [n for n in range(53) if states[n] == State.OK] == [*range(0, 53, 5), 52]
    assert np.isin(states, [State.OK, State.INTERPOLATED]).all()
    assert np.allclose(boxes[:, 0], 100 + 3 * np.arange(53), atol=1e-3), (
        "steady motion is interpolated exactly"
    )
    assert crops.tolist() == list(range(53)), "each crop is taken from its own frame"


@pytest.mark.parametrize("start", range(10, 16))
@pytest.mark.parametrize("stop", range(31, 36))
def test_a_track_begins_and_ends_on_the_right_frame(start: int, stop: int) -> None:
    rows, _, _ = follow(lambda n: [(100, 80, 90)] if start <= n < stop else [], 60)
    tracks = by_track(rows)
    assert len(tracks) == 1
    assert (tracks[0][0], len(tracks[0][1])) == (start, stop - start)


def test_a_short_loss_is_bridged_and_a_longer_one_is_absent() -> None:
    def scene(n: int) -> list[tuple[float, float, float]]:
        return [] if 20 <= n < 23 or 40 <= n < 55 else [(100 + n, 80, 90)]

    tracks = by_track(follow(scene, 80)[0])
    assert len(tracks) == 1
    first, states, boxes, crops = tracks[0]
    assert first == 0 and len(states) == 80
    assert set(states[20:23]) == {State.INTERPOLATED}
    assert set(states[40:55]) == {State.ABSENT} and np.isnan(boxes[40:55]).all()
    assert states[55] == State.OK and states[56] == State.INTERPOLATED
    assert crops.tolist() == [*range(40), *range(55, 80)]


class BoxCorners:
    """Finds two landmarks: the corners of the box, moved by the number that the frame's pixels tell."""

    name, layout, num_points = "corners", "corners", 2
    provenance: ClassVar[dict[str, Any]] = {}

    def locate(self, frames: Sequence[Frame], boxes_xyxy: np.ndarray, landmarks_xy: np.ndarray) -> np.ndarray:
        numbers = [int(frame.aligned_rgb(np.eye(2, 3), (1, 1))[0, 0, 0]) for frame in frames]
        return (boxes_xyxy.reshape(-1, 2, 2) + np.array(numbers)[:, None, None]).astype(np.float32)


def test_dense_landmarks_are_those_of_each_row_s_own_frame() -> None:
    def scene(n: int) -> list[tuple[float, float, float]]:
        return [] if 20 <= n < 23 or 40 <= n < 55 else [(100 + n, 80, 90)]

    oracle = Oracle(scene)
    follower = FaceFollower(PreprocessSpec(), oracle, WIDTH, HEIGHT, Meter(), landmarks=BoxCorners())
    rows = [r for n in range(80) for r in follower.push(n, n / FPS, FakeFrame(n), False)] + follower.finish()
    _, states, boxes, _ = by_track(rows)[0]
    dense = np.concatenate([r.block.dense_landmarks for r in rows if r.block.dense_landmarks is not None])
    expected = boxes.reshape(-1, 2, 2) + np.arange(80)[:, None, None]
    np.testing.assert_allclose(dense, expected, atol=1e-3)  # NaN where the face is absent
    assert np.isnan(dense[40:55]).all() and np.isfinite(dense[states != State.ABSENT]).all()


class Exact:
    """Knows where eyes and nose truly are, in every frame; sees no face in some. Notes what it was asked."""

    name, layout, num_points = "exact", "ibug68", 68
    provenance: ClassVar[dict[str, Any]] = {}

    def __init__(self, blind: range = range(0)) -> None:
        self.blind, self.asked = blind, list[int]()

    def locate(self, frames: Sequence[Frame], boxes_xyxy: np.ndarray, landmarks_xy: np.ndarray) -> np.ndarray:
        points = np.full((len(frames), 68, 2), np.nan, np.float32)
        for row, frame in enumerate(frames):
            number = int(frame.aligned_rgb(np.eye(2, 3), (1, 1))[0, 0, 0])
            self.asked.append(number)
            if number not in self.blind:
                points[row] = 0
                points[row, 36:42], points[row, 42:48], points[row, 30] = true_place(number)
        return points


def true_place(n: int) -> np.ndarray:
    """Eyes and nose (3, 2): beside the detector's, and nodding, which frames between two looks don't show."""
    nod = 6 * np.sin(2 * np.pi * n / 25)
    return np.array([[120, 100 + nod], [160, 100 + nod], [140, 125 + nod]], np.float32)


def warps_of(exact: Exact, **spec: Any) -> np.ndarray:
    """(40, 2, 3) of a track in which the detector always says the same."""
    follower = FaceFollower(
        PreprocessSpec(landmarks="mesh", **spec),
        Oracle(lambda n: [(100, 80, 90)]),
        WIDTH,
        HEIGHT,
        Meter(),
        landmarks=exact,
    )
    rows = [r for n in range(40) for r in follower.push(n, n / FPS, FakeFrame(n), False)] + follower.finish()
    assert len({id(r.track) for r in rows}) == 1
    assert all(len(r.track.dense) <= 30 for r in rows), "what is over is forgotten"
    return np.concatenate([r.block.warps for r in rows])


def test_crops_can_be_placed_by_dense_landmarks() -> None:
    """Smoothed over the same span, looking before and behind; each frame is looked at once."""
    exact = Exact()
    warps = warps_of(exact, align_by="dense")
    assert sorted(exact.asked) == list(range(40))
    seconds = np.arange(40) / FPS
    places = np.stack([true_place(n) for n in range(40)]).reshape(40, 6)
    smooth = smooth_at(seconds[10:30], seconds, places, PreprocessSpec().smooth_sigma_seconds)
    five = np.concatenate([smooth.reshape(-1, 3, 2), np.zeros((20, 2, 2))], axis=1)
    np.testing.assert_allclose(warps[10:30], similarity_from_landmarks(five, 112), rtol=1e-4, atol=1e-2)


def test_where_dense_landmarks_lack_the_detectors_place_the_crop() -> None:
    by_five = warps_of(Exact())
    assert np.ptp(by_five[:, 1, 2]) < 1e-3, "without the key nothing changes"
    part_blind = warps_of(Exact(blind=range(10, 40)), align_by="dense")
    np.testing.assert_allclose(part_blind[25:], by_five[25:], rtol=1e-5)
    assert np.abs(part_blind[:5] - by_five[:5]).max() > 1
    np.testing.assert_allclose(warps_of(Exact(blind=range(40)), align_by="dense"), by_five, rtol=1e-5)


def test_a_new_track_begins_after_a_long_absence() -> None:
    tracks = by_track(follow(lambda n: [] if 30 <= n < 70 else [(100, 80, 90)], 100)[0])
    assert [(first, len(states)) for first, states, _, _ in tracks] == [(0, 30), (70, 30)]


def test_nothing_is_followed_across_a_cut() -> None:
    tracks = by_track(follow(lambda n: [(100, 80, 90)], 50, cuts=[23])[0])
    assert [(first, len(states)) for first, states, _, _ in tracks] == [(0, 23), (23, 27)]
    assert tracks[0][1][22] == State.OK and tracks[1][1][0] == State.OK, "both sides of the cut are searched"


def test_several_people_keep_their_tracks() -> None:
    def scene(n: int) -> list[tuple[float, float, float]]:
        people = [(50 + n, 100, 60), (250, 100 + n, 80), (500 - n, 200, 50)]
        return people if n % 2 else people[::-1]  # the detector's order means nothing

    tracks = sorted(by_track(follow(scene, 60)[0]), key=lambda t: t[2][0, 0])
    assert [len(states) for _, states, _, _ in tracks] == [60, 60, 60]
    for track, x in zip(tracks, [50 + np.arange(60), np.full(60, 250), 500 - np.arange(60)], strict=True):
        assert np.allclose(track[2][:, 0], x, atol=1e-3)


def test_a_single_false_alarm_gives_no_track() -> None:
    rows, _, _ = follow(lambda n: [(300, 300, 60)] if n == 25 else [], 60)
    assert rows == []


def test_tiny_faces_are_low_quality() -> None:
    states = by_track(follow(lambda n: [(100, 80, 15)], 20)[0])[0][1]
    assert set(states) == {State.LOW_QUALITY}


def test_a_slow_video_is_searched_at_every_frame() -> None:
    oracle = Oracle(lambda n: [(100, 80, 90)])
    follower = FaceFollower(PreprocessSpec(), oracle, WIDTH, HEIGHT, Meter())
    rows = [r for n in range(6) for r in follower.push(n, n * 0.5, FakeFrame(n), False)] + follower.finish()
    assert sorted(set(oracle.searched)) == [0, 1, 2, 3, 4, 5]
    assert sum(len(r.block.states) for r in rows) == 6


def test_a_still_gives_one_row() -> None:
    rows, _, _ = follow(lambda n: [(100, 80, 90)], 1)
    assert [len(r.block.states) for r in rows] == [1]


def test_no_face_is_lost_because_the_picture_was_small() -> None:
    """This detector sees nothing in reduced pictures: the full one is searched before a track is given up."""

    class Shortsighted(Oracle):
        def detect(self, images_rgb: Sequence[np.ndarray]) -> list[Faces]:
            found = super().detect(images_rgb)
            none = Faces(np.empty((0, 4)), np.empty((0, 5, 2)), np.empty(0))
            return [f if i.shape[1] >= 512 else none for i, f in zip(images_rgb, found, strict=True)]

    follower = FaceFollower(
        PreprocessSpec(), Shortsighted(lambda n: [(100, 80, 200)]), WIDTH, HEIGHT, Meter()
    )
    rows = [r for n in range(60) for r in follower.push(n, n / FPS, FakeFrame(n), False)] + follower.finish()
    assert [len(states) for _, states, _, _ in by_track(rows)] == [60]


@pytest.mark.parametrize("seed", range(30))
def test_random_scenes_are_tiled_by_their_tracks(seed: int) -> None:
    """Faces come and go at random: every seen frame of a face that lasts is in exactly one track."""
    rng = np.random.default_rng(seed)
    spans = []
    for lane in range(3):
        n = int(rng.integers(0, 40))
        while n < 200:
            length = int(rng.integers(6, 80))
            spans.append((lane, n, min(200, n + length)))
            n += length + int(rng.integers(1, 60))

    def scene(n: int) -> list[tuple[float, float, float]]:
        return [(40 + 200 * lane + n % 7, 150, 70) for lane, start, stop in spans if start <= n < stop]

    rows, oracle, _ = follow(scene, 200)
    covered: set[tuple[int, int]] = set()
    for first, states, boxes, crops in by_track(rows):
        seen = np.flatnonzero(states != State.ABSENT)
        assert crops.tolist() == [(first + n) % 251 for n in seen]
        for n in seen:
            cell = (int(boxes[n, 0]) // 200, first + int(n))
            assert cell not in covered
            covered.add(cell)
    truth = {(lane, n) for lane, start, stop in spans for n in range(start, stop)}
    bridged = covered - truth
    assert truth <= covered
    assert len(bridged) <= 0.1 * len(truth), "only short losses are filled"
    assert len(oracle.searched) < 200
