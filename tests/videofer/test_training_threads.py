"""The number of threads is chosen by time, and put back."""

from __future__ import annotations

import time

import pytest
import torch

from videofer.training.threads import choose_threads, use_threads


@pytest.mark.parametrize(
    ("seconds", "most", "chosen"),
    [
        ({1: 0.04, 2: 0.02, 4: 0.01}, 4, 4),
        ({1: 0.02, 2: 0.4}, 4, 1),  # cores that others use: 4 threads are not even tried
        ({1: 0.04, 2: 0.02, 4: 0.02}, 4, 2),
        ({1: 0.04, 2: 0.02, 3: 0.01}, 3, 3),
        ({1: 0.01}, 1, 1),
    ],
)
def test_fastest_is_chosen(seconds: dict[int, float], most: int, chosen: int) -> None:
    before = torch.get_num_threads()
    assert choose_threads(lambda: time.sleep(seconds[torch.get_num_threads()]), most) == chosen
    assert torch.get_num_threads() == before


def test_threads_are_put_back_after_an_error() -> None:
    before = torch.get_num_threads()
    with pytest.raises(RuntimeError), use_threads(before + 1):
        raise RuntimeError
    assert torch.get_num_threads() == before
