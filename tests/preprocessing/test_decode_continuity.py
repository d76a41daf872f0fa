"""Which pictures are taken and which stretches count as lost, on made-up packets and pictures."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from preprocessing.decode.continuity import MAX_LOST_IN_A_ROW, Continuity

TICK = Fraction(1, 25)


@dataclass
class Packet:
    pts: int | None
    is_discard: bool = False


@dataclass
class Picture:
    pts: int | None
    duration: int = 1
    is_corrupt: bool = False
    width: int = 64
    height: int = 48


def record(**changes: object) -> Continuity:
    return Continuity(**{"time_base": TICK, "size_wh": (64, 48), "max_seconds": 3600.0, **changes})  # type: ignore[arg-type]


def take(record: Continuity, pictures: Sequence[Picture]) -> None:
    """Every picture comes out of its packet at once."""
    for picture in pictures:
        record.sent(Packet(picture.pts))
        if record.accepts(picture):
            record.add(picture)


def test_a_sound_stream() -> None:
    seen = record()
    take(seen, [Picture(pts) for pts in range(100)])
    assert (seen.num_frames, seen.not_decoded, seen.complaint, seen.remarks()) == (100, [], None, [])
    assert seen.lost_at_end_seconds(100) == 0


def test_long_pauses_are_no_losses() -> None:
    """A slide show loses nothing between its pictures."""
    seen = record()
    take(seen, [Picture(pts) for pts in (0, 100, 250, 251, 2000)])
    assert seen.not_decoded == []


@pytest.mark.parametrize("num_lost", [12, 13])
def test_half_a_second_counts(num_lost: int) -> None:
    """13 of 25 frames a second are more than half a second, 12 are less."""
    seen = record()
    lost = range(20, 20 + num_lost)
    take(seen, [Picture(pts, is_corrupt=pts in lost) for pts in range(60)])
    assert seen.not_decoded == ([(20, 33)] if num_lost == 13 else [])
    assert seen.remarks() == [f"{num_lost} frames skipped: corrupt"]


def test_pictures_that_never_come_count_though_nothing_complains() -> None:
    seen = record()
    for pts in range(100):
        seen.sent(Packet(pts))
        if not 30 <= pts < 60:
            seen.add(Picture(pts))
    assert seen.not_decoded == [(30, 60)]


def test_a_tail_without_pictures() -> None:
    seen = record()
    for pts in range(100):
        seen.sent(Packet(pts))
        if pts < 60:
            seen.add(Picture(pts))
    assert seen.lost_at_end_seconds(None) == pytest.approx(39 / 25)
    assert seen.complaint == "the last packets gave no picture"
    assert seen.lost_at_end_seconds(200) == pytest.approx(140 / 25)


def test_hidden_packets_owe_no_picture() -> None:
    seen = record()
    for pts in range(100):
        seen.sent(Packet(pts, is_discard=pts >= 60))
        if pts < 60:
            seen.add(Picture(pts))
    assert seen.lost_at_end_seconds(None) == 0
    assert seen.num_hidden == 40


def test_a_leap_waits_for_the_next_frame() -> None:
    seen = record()
    take(seen, [Picture(0), Picture(1)])
    wrong, right = Picture(100_000), Picture(2)
    seen.sent(Packet(100_000))
    assert seen.leaps(wrong)
    assert not seen.leaps(right)
    assert not seen.confirms(wrong, right)
    assert seen.confirms(wrong, Picture(100_001))
    seen.add(right)
    assert seen.remarks() == ["1 frames skipped: time far ahead of the frame behind"]
    assert seen.lost_at_end_seconds(None) == 0


@pytest.mark.parametrize(
    ("picture", "why"),
    [
        (Picture(None), "no time"),
        (Picture(1 << 62 | 1), "no time"),
        (Picture(5), "time not after the frame before"),
        (Picture(6, is_corrupt=True), "corrupt"),
        (Picture(6, width=96), "96x48 pixels, the stream began with 64x48"),
        (Picture(25 * 3601), "time more than the limit of 3600 s after the first frame"),
    ],
)
def test_what_is_not_taken(picture: Picture, why: str) -> None:
    seen = record()
    take(seen, [Picture(0), Picture(5)])
    assert not seen.accepts(picture)
    assert seen.remarks() == [f"1 frames skipped: {why}"]


def test_there_is_an_end_to_hope() -> None:
    seen = record()
    seen.add(Picture(0))
    for pts in range(1, MAX_LOST_IN_A_ROW + 1):
        seen.sent(Packet(pts))
    assert not seen.hopeless
    seen.failed("broken")
    assert seen.hopeless
    seen.add(Picture(MAX_LOST_IN_A_ROW + 1))
    assert not seen.hopeless


@pytest.mark.parametrize("duration", [0, -5, 1 << 60])
def test_durations_that_cannot_be(duration: int) -> None:
    assert record().duration_pts(Picture(0, duration=duration)) == 0


@given(
    st.lists(
        st.tuples(
            st.integers(-50, 200) | st.none() | st.integers(), st.booleans(), st.sampled_from([64, 96])
        ),
        max_size=60,
    ),
    st.none() | st.integers(-50, 200),
)
def test_whatever_comes_times_increase(
    rows: list[tuple[int | None, bool, int]], from_pts: int | None
) -> None:
    seen = record(from_pts=from_pts)
    good: list[int] = []
    for pts, is_corrupt, width in rows:
        picture = Picture(pts, is_corrupt=is_corrupt, width=width)
        seen.sent(Packet(pts))
        if seen.accepts(picture):
            assert pts is not None
            good.append(pts)
            seen.add(picture)
    assert good == sorted(set(good))
    for start_pts, stop_pts in seen.not_decoded:
        assert start_pts < stop_pts
        assert stop_pts in good
        assert not any(start_pts <= pts < stop_pts for pts in good)
        assert from_pts is None or start_pts >= from_pts
