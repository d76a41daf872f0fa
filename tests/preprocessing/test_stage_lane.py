"""Batches across callers: everybody gets the own answer, a bad picture fails alone."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from preprocessing.blob import Normaliser
from preprocessing.network import Answer, Port
from preprocessing.stage.lane import DeviceLostError, Lane, is_lost
from preprocessing.stage.usage import BusyClock

PLAIN, HALVED = Normaliser(), Normaliser(std=(2.0, 2.0, 2.0))
FREE: list[Port] = [Port("image", ("N", 3, None, None))]


class SumNetwork:
    """Answers with the sum of a normalised picture. Keeps what it was asked for."""

    inputs = FREE
    outputs: list[Port] = [Port("sum", ("N",))]  # noqa: RUF012

    def __init__(self) -> None:
        self.batches: list[list[tuple[int, ...]]] = []
        self.threads: set[int] = set()
        self.gate = threading.Event()
        self.gate.set()

    def run_batch(
        self, images_rgb: Sequence[np.ndarray], normalise: Normaliser, outputs: Sequence[str] | None = None
    ) -> list[Answer]:
        self.gate.wait(10)
        self.threads.add(threading.get_ident())
        self.batches.append([image.shape for image in images_rgb])
        self.check(images_rgb)
        return [[normalise(image).sum(dtype=np.float64)[None]] for image in images_rgb]

    def check(self, images_rgb: Sequence[np.ndarray]) -> None:
        """Raises what a network of its kind would."""


def lane_of(network: SumNetwork, max_batch: int = 8) -> Lane:
    return Lane("sum", network, BusyClock(), max_batch, ThreadPoolExecutor(1))


def picture(number: int, height: int = 4) -> np.ndarray:
    return np.full((height, 5, 3), number, np.uint8)


def total(image: np.ndarray, normalise: Normaliser = PLAIN) -> float:
    return float(image.sum()) / normalise.std[0]


calls = st.lists(  # of each caller: heights of its pictures, and how it wants them normalised
    st.tuples(st.lists(st.integers(1, 3), min_size=1, max_size=7), st.sampled_from([PLAIN, HALVED])),
    min_size=1,
    max_size=12,
)


@settings(max_examples=40)
@given(calls, st.integers(1, 9))
def test_everybody_gets_the_own_answers(calls: list[tuple[list[int], Normaliser]], max_batch: int) -> None:
    network = SumNetwork()
    lane = lane_of(network, max_batch)
    sent = [
        ([picture(20 * n + m, height) for m, height in enumerate(heights)], normalise)
        for n, (heights, normalise) in enumerate(calls)
    ]

    async def ask() -> list[list[Answer]]:
        return await asyncio.gather(*(lane.run(images, normalise) for images, normalise in sent))

    for (images, normalise), answers in zip(sent, asyncio.run(ask()), strict=True):
        assert [float(answer[0][0]) for answer in answers] == [total(image, normalise) for image in images]
    assert all(len(set(batch)) == 1 and len(batch) <= max_batch for batch in network.batches)
    assert lane.usage.num_pictures == sum(len(images) for images, _ in sent)
    assert lane.usage.num_batches == len(network.batches)
    assert len(network.threads) == 1


def test_what_comes_while_a_batch_computes_goes_together() -> None:
    network = SumNetwork()
    lane = lane_of(network)
    network.gate.clear()

    async def ask() -> None:
        first = asyncio.create_task(lane.run([picture(0)], PLAIN))
        await asyncio.sleep(0.01)  # it is under way
        others = [asyncio.create_task(lane.run([picture(n)], PLAIN)) for n in range(5)]
        await asyncio.sleep(0)
        network.gate.set()
        await asyncio.gather(first, *others)

    asyncio.run(ask())
    assert [len(batch) for batch in network.batches] == [1, 5]
    assert lane.usage.mean_batch == 3.0


def test_no_kind_waits_for_ever_behind_another() -> None:
    """Many of one size do not hold up the one of another for longer than a batch."""
    network = SumNetwork()
    lane = lane_of(network, max_batch=2)

    async def ask() -> None:
        many = [lane.run([picture(n)], PLAIN) for n in range(10)]
        await asyncio.gather(*many, lane.run([picture(0, height=7)], PLAIN))

    asyncio.run(ask())
    assert network.batches.index([(7, 5, 3)]) == 1


def test_a_network_of_one_picture_gets_one() -> None:
    network = SumNetwork()
    network.inputs = [Port("image", (1, 3, 4, 5))]
    lane = lane_of(network)
    asyncio.run(lane.run([picture(n) for n in range(4)], PLAIN))
    assert [len(batch) for batch in network.batches] == [1, 1, 1, 1]


class Picky(SumNetwork):
    """Fails on black pictures, whatever goes with them."""

    def check(self, images_rgb: Sequence[np.ndarray]) -> None:
        if any(image.max() == 0 for image in images_rgb):
            raise ValueError("a black\npicture")


def test_a_bad_picture_fails_alone() -> None:
    network = Picky()
    lane = lane_of(network)

    async def ask() -> list[list[Answer] | BaseException]:
        calls = [lane.run([picture(n)], PLAIN) for n in range(6)]
        return await asyncio.gather(*calls, return_exceptions=True)

    bad, *good = asyncio.run(ask())
    assert isinstance(bad, RuntimeError) and str(bad) == "a black picture"
    for number, answers in enumerate(good, start=1):
        assert not isinstance(answers, BaseException)
        assert float(answers[0][0][0]) == total(picture(number))


class Broken(SumNetwork):
    def check(self, images_rgb: Sequence[np.ndarray]) -> None:
        raise RuntimeError("CUDA error: an illegal memory access was encountered")


def test_a_lost_device_is_not_tried_again() -> None:
    network = Broken()
    lane = lane_of(network)
    with pytest.raises(DeviceLostError, match="illegal memory access"):
        asyncio.run(lane.run([picture(n) for n in range(4)], PLAIN))
    assert len(network.batches) == 1


def test_errors_are_told_apart() -> None:
    lost = [
        "CUDA error: device-side assert triggered",
        "CUDA failure 700: an illegal memory access was encountered ; GPU=0",
        "cuDNN error: CUDNN_STATUS_EXECUTION_FAILED",
    ]
    for text in lost:
        assert is_lost(RuntimeError(text))
    for text in (
        "Got invalid dimensions",
        "CUDA error: out of memory",
        "cuDNN error: CUDNN_STATUS_ALLOC_FAILED",
    ):
        assert not is_lost(RuntimeError(text))
