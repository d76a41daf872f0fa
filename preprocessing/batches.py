"""Pictures through a network in batches of one size, which becomes smaller where a GPU's memory is short.

A GPU's libraries choose by a batch's size how to add up: in batches of any size a result would depend, in
its last digits, on the neighbours. So networks fill a batch up where pictures lack, and it stays as large,
unless the memory does not suffice: then it becomes half as large, for good, for pictures of that size.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from typing import TypeVar

import numpy as np

Answer = TypeVar("Answer")
Compute = Callable[[Sequence[np.ndarray], int], list[Answer] | None]
"""Pictures of one size, and of how many the batch must be -> the answer to each, or None: this network takes
one picture at a time."""

NO_MEMORY = ("out of memory", "failed to allocate memory", "alloc_failed", "allocation_failed")
"""Of torch and CUDA, of ONNX Runtime, of cuDNN 8 and cuBLAS, of cuDNN 9."""

logger = logging.getLogger(__name__)


class Batches:
    """How many pictures a network takes at once."""

    def __init__(self, size: int, *, can_shrink: bool = True, filled: bool = True) -> None:
        """can_shrink: False where the network takes batches of no other size. filled: False where a batch
        has as many pictures as there are, up to `size`."""
        self._size, self._can_shrink, self._filled = size, can_shrink, filled
        self._smaller: dict[tuple[int, ...], int] = {}  # for pictures of these shapes

    def run(self, images_rgb: Sequence[np.ndarray], compute: Compute[Answer]) -> list[Answer]:
        """The answers for pictures (H, W, 3) of one size. Raises what `compute` does, but a lack of memory
        only where a single picture is too much."""
        answers: list[Answer] = []
        while len(answers) < len(images_rgb):
            shape = images_rgb[0].shape
            size = min(self._size, self._smaller.get(shape, self._size))
            some = images_rgb[len(answers) : len(answers) + size]
            size = size if self._filled else len(some)
            try:
                found = compute(some, size)
            except Exception as error:
                if size == 1 or not self._can_shrink or not is_memory(error):
                    raise
                self._smaller[shape] = size // 2
                logger.warning(
                    "memory is short: pictures of %dx%d in batches of %d", *shape[1::-1], size // 2
                )
                continue  # here nothing holds the error any more, and with it the tensors of its batch
            if found is None:
                self._size = 1
            else:
                answers += found
        return answers


def is_memory(error: Exception) -> bool:
    """Whether the device's memory did not suffice: a smaller batch may."""
    return any(words in str(error).lower() for words in NO_MEMORY)
