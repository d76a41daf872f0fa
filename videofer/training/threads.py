"""How many threads a training step should use on this machine, as it is now: measured, not guessed.

The kernels of a step wait for each other in spinning barriers. On idle cores more threads are faster; where
other programs use the cores too, each barrier waits for the slowest thread to be scheduled again, and a step
that takes 0.03 s on one thread was seen to take 18 s on four.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import torch

_GAIN = 0.9  # more threads must bring a step to this share of its time, or they are not worth it
_REPEATS = 3
_SLOW_SECONDS = 3.0  # a step that takes longer is not repeated


def choose_threads(step: Callable[[], object], most: int) -> int:
    """The fastest of 1, 2, 4, ... and `most` threads for `step`, which is called a few times with each."""
    candidates = sorted({*(2**power for power in range(most.bit_length()) if 2**power <= most), most})
    with use_threads(1):
        best, best_seconds = 1, float("inf")
        for count in candidates:
            torch.set_num_threads(count)
            seconds = _seconds(step)
            if seconds > _GAIN * best_seconds:
                break
            best, best_seconds = count, seconds
    return best


@contextmanager
def use_threads(count: int) -> Iterator[None]:
    """Runs the block with so many threads and then puts the number back."""
    before = torch.get_num_threads()
    torch.set_num_threads(count)
    try:
        yield
    finally:
        torch.set_num_threads(before)


def _seconds(step: Callable[[], object]) -> float:
    """Of the fastest call; the first one also warms up and counts only if it is slow by itself."""
    began = time.monotonic()
    step()
    first = time.monotonic() - began
    if first > _SLOW_SECONDS:
        return first
    times = []
    for _ in range(_REPEATS):
        began = time.monotonic()
        step()
        times.append(time.monotonic() - began)
    return min(times)
