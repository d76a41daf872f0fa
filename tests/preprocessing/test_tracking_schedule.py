"""When a look is due, and how large a picture it needs."""

from __future__ import annotations

import itertools
from dataclasses import dataclass

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from preprocessing.decode.frames import BlindFrame, PixelFrame
from preprocessing.spec import PreprocessSpec
from preprocessing.tracking.schedule import ENOUGH_FACE_PIXELS, LookSchedule
from preprocessing.types import Frame

FPS = 25.0


@dataclass
class Scene:
    """A grey room; a bright square of 60 pixels stands at x."""

    x: int = 300

    def frame(self, index: int) -> Frame:
        picture = np.full((480, 640, 3), 90, np.uint8)
        picture[200:260, self.x : self.x + 60] = 220
        return PixelFrame(picture, index, 1)


def looks(schedule: LookSchedule, frames: list[Frame], settled: bool = True) -> list[int]:
    """Indices of the frames that are searched."""
    found = []
    for index, frame in enumerate(frames):
        if schedule.is_due(index, index / FPS, frame):
            schedule.looked(index, index / FPS, frame, settled=settled)
            found.append(index)
    return found


def schedule(**spec: float) -> LookSchedule:
    return LookSchedule(PreprocessSpec(**spec), 640, 480)  # type: ignore[arg-type]


def test_a_moving_picture_is_searched_every_fifth_frame() -> None:
    moving = [Scene(x=20 * index).frame(index) for index in range(26)]
    assert looks(schedule(), moving) == [0, 5, 10, 15, 20, 25]


def test_a_still_picture_is_searched_after_the_longest_interval() -> None:
    still = [Scene().frame(index) for index in range(26)]
    assert looks(schedule(), still) == [0, 10, 20]
    assert looks(schedule(detect_longest_seconds=0.1), still) == [0, 5, 10, 15, 20, 25]


def test_what_happened_at_a_look_shortens_the_next_interval() -> None:
    still = [Scene().frame(index) for index in range(26)]
    assert looks(schedule(), still, settled=False) == [0, 5, 10, 15, 20, 25]


def test_waiting_ends_when_something_moves() -> None:
    frames = [Scene(x=300 if index < 7 else 340).frame(index) for index in range(12)]
    assert looks(schedule(), frames) == [0, 7]


def test_a_small_movement_is_one_and_noise_is_none() -> None:
    nod = [Scene(x=300 + index).frame(index) for index in range(12)]
    assert looks(schedule(), nod)[1] <= 7
    rng = np.random.default_rng(0)
    still = Scene().frame(0).rgb_patch(0, 0, 640, 480)
    noisy: list[Frame] = [
        PixelFrame(np.clip(still + rng.normal(0, 4, still.shape), 0, 255).astype(np.uint8), i, 1)
        for i in range(12)
    ]
    assert looks(schedule(), noisy) == [0, 10]


def test_slow_video_and_a_new_scene() -> None:
    plan = schedule()
    frame = Scene().frame(0)
    plan.looked(0, 0.0, frame, settled=True)
    assert not plan.is_due(1, 0.25, frame)
    assert plan.is_due(1, 0.25, Scene(x=0).frame(1))
    assert plan.is_due(1, 0.4, frame)
    plan.reset()
    assert plan.is_due(1, 0.05, frame)


def test_frames_without_pictures_stand_still() -> None:
    blind: list[Frame] = [BlindFrame(index, 1, 640, 480) for index in range(12)]
    assert looks(schedule(), blind) == [0, 10]


@given(st.lists(st.integers(0, 500), min_size=2, max_size=40), st.integers(1, 8), st.floats(0.05, 1.0))
def test_no_interval_is_longer_than_the_longest_nor_shorter_than_the_shortest(
    places: list[int], shortest: int, longest: float
) -> None:
    plan = schedule(detect_interval_frames=shortest, detect_longest_seconds=longest)
    frames = [Scene(x=x).frame(index) for index, x in enumerate(places)]
    for before, after in itertools.pairwise(looks(plan, frames)):
        assert after - before >= min(shortest, 6)  # 0.21 s are 6 frames
        assert (after - before - 1) / FPS < max(longest, min(shortest, 6) / FPS)


def test_the_full_picture_now_and_then_and_when_in_doubt() -> None:
    plan = schedule()
    assert plan.full_size == (512, 384)
    assert plan.picture_size(0.0, [], settled=True) == (512, 384)
    assert plan.picture_size(0.2, [100.0], settled=True) == (192, 144)
    assert plan.picture_size(0.4, [100.0], settled=False) == (512, 384)
    assert plan.picture_size(2.3, [100.0], settled=True) == (192, 144)
    assert plan.picture_size(2.4, [100.0], settled=True) == (512, 384)  # 2 s after the last full one
    assert plan.picture_size(2.6, [100.0, 30.0], settled=True) == (512, 384)  # the smallest face counts
    assert plan.picture_size(2.8, [600.0], settled=True) == (96, 72)


@given(st.floats(1.0, 2000.0), st.sampled_from([(640, 480), (480, 640), (1920, 1080), (333, 77)]))
def test_known_faces_are_large_in_every_picture(width: float, size: tuple[int, int]) -> None:
    plan = LookSchedule(PreprocessSpec(), *size)
    plan.picture_size(0.0, [], settled=True)
    picture = plan.picture_size(0.1, [width], settled=True)
    assert max(picture) <= max(plan.full_size)
    if picture != plan.full_size:
        assert width * picture[0] / size[0] >= ENOUGH_FACE_PIXELS * 0.9  # sides are whole pixels


@pytest.mark.parametrize(("size", "full"), [((320, 240), (320, 240)), ((3840, 2160), (1280, 720))])
def test_full_size(size: tuple[int, int], full: tuple[int, int]) -> None:
    assert LookSchedule(PreprocessSpec(), *size).full_size == full
