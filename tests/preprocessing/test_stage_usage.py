"""Time in which a device computed, counted once, and sums over restarts."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from preprocessing.stage.usage import BusyClock, DeviceUsage, NetworkUsage


class Clock:
    now = 0.0

    def __call__(self) -> float:
        return self.now


def test_overlapping_blocks_count_once() -> None:
    clock = Clock()
    busy = BusyClock(clock)
    assert busy.seconds == 0.0
    with busy.busy():
        clock.now = 1.0
        with busy.busy():
            clock.now = 3.0
        clock.now = 4.0
        assert busy.seconds == 4.0  # an open block counts up to now
    clock.now = 10.0
    with busy.busy():
        clock.now = 11.0
    clock.now = 20.0
    assert busy.seconds == 5.0


def test_a_block_that_fails_is_closed() -> None:
    clock = Clock()
    busy = BusyClock(clock)
    with pytest.raises(ValueError, match="no"), busy.busy():
        clock.now = 2.0
        raise ValueError("no")
    clock.now = 9.0
    assert busy.seconds == 2.0


@given(st.lists(st.tuples(st.integers(0, 50), st.integers(1, 20)), min_size=1, max_size=8))
def test_the_union_of_all_blocks(spans: list[tuple[int, int]]) -> None:
    """Against every tick looked at by itself."""
    clock = Clock()
    busy = BusyClock(clock)
    spans = [(start, start + length) for start, length in spans]
    opened: dict[int, object] = {}
    for tick in range(80):
        clock.now = float(tick)
        for number, (start, stop) in enumerate(spans):
            if tick == start:
                opened[number] = block = busy.busy()
                block.__enter__()
            if tick == stop:
                opened.pop(number).__exit__(None, None, None)  # type: ignore[attr-defined]
    covered = sum(any(start <= tick < stop for start, stop in spans) for tick in range(80))
    assert busy.seconds == pytest.approx(covered)


def test_a_process_and_the_one_in_its_place() -> None:
    first = DeviceUsage("cuda:0", 2.0, [NetworkUsage("faces", 10, 2, 1.5), NetworkUsage("pose", 4, 4, 0.5)])
    second = DeviceUsage("cuda:0", 1.0, [NetworkUsage("faces", 6, 2, 1.0)], num_restarts=1)
    both = first + second
    assert both.busy_seconds == 3.0 and both.num_restarts == 1
    assert both.networks == [NetworkUsage("faces", 16, 4, 2.5), NetworkUsage("pose", 4, 4, 0.5)]
    assert both.num_pictures == 20 and both.num_batches == 8 and both.mean_batch == 2.5
    assert DeviceUsage.from_json(both.to_json()) == both


def test_nothing_done_is_no_division() -> None:
    assert NetworkUsage("faces", 0, 0, 0.0).mean_batch == 0.0
    assert DeviceUsage("cpu", 0.0).mean_batch == 0.0
