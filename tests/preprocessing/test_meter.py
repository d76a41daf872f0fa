"""Stages of a worker: every moment counts once."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from preprocessing.meter import STAGES, Meter


class Clock:
    """A clock that is moved by hand."""

    def __init__(self) -> None:
        self.now = 100.0

    def __call__(self) -> float:
        return self.now


def test_a_nested_stage_pauses_the_outer_one() -> None:
    clock = Clock()
    meter = Meter(clock)
    clock.now += 5  # outside of all stages: nobody's
    with meter.stage("detect"):
        clock.now += 1
        with meter.stage("convert"):
            clock.now += 2
        clock.now += 4
    clock.now += 8
    assert meter.seconds == {"convert": 2.0, "detect": 5.0}


def test_the_same_stage_may_be_nested_and_open_ones_count() -> None:
    clock = Clock()
    meter = Meter(clock)
    with meter.stage("align"), meter.stage("align"):
        clock.now += 3
        assert meter.seconds == {"align": 3.0}
    assert meter.seconds == {"align": 3.0}


def test_an_error_closes_its_stages() -> None:
    clock = Clock()
    meter = Meter(clock)
    with pytest.raises(ValueError, match="broken"), meter.stage("decode"), meter.stage("wait"):
        clock.now += 1
        raise ValueError("broken")
    clock.now += 7
    assert meter.seconds == {"wait": 1.0}


def test_an_unknown_stage_is_a_mistake() -> None:
    with pytest.raises(KeyError, match="decoding"):
        Meter().stage("decoding")


Tree: st.SearchStrategy[tuple[str, int, list[object]]] = st.recursive(
    st.tuples(st.sampled_from(STAGES), st.integers(0, 9), st.just([])),
    lambda inner: st.tuples(st.sampled_from(STAGES), st.integers(0, 9), st.lists(inner, max_size=3)),
    max_leaves=12,
)


@given(st.lists(Tree, max_size=4))
def test_all_stages_together_are_the_time_inside(trees: list[tuple[str, int, list[object]]]) -> None:
    clock = Clock()
    meter = Meter(clock)
    expected = dict.fromkeys(STAGES, 0.0)

    def run(tree: tuple[str, int, list[object]]) -> None:
        name, ticks, inner = tree
        with meter.stage(name):
            clock.now += ticks
            expected[name] += ticks
            for part in inner:
                run(part)  # type: ignore[arg-type]

    for tree in trees:
        run(tree)
        clock.now += 1
    assert meter.seconds == {name: seconds for name, seconds in expected.items() if seconds}
