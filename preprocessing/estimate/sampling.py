"""Which inputs to look at: some of every kind, ending and size, and longer videos more often for timing."""

from __future__ import annotations

import random
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from preprocessing.types import Source

SIZE_CLASSES = 4  # of equal numbers, within a kind and an ending


@dataclass(frozen=True)
class Stratum:
    """Inputs of one kind, ending and class of size: indices into the list of inputs, in random order."""

    kind: str
    ending: str
    members: list[int]


def stratify(sources: Sequence[Source], num_bytes: np.ndarray, seed: int = 0) -> list[Stratum]:
    """Strata of all inputs; num_bytes (N,)."""
    groups: dict[tuple[str, str], list[int]] = defaultdict(list)
    for index, source in enumerate(sources):
        ending = source.path.suffix.lower() if source.kind != "frames" else ""
        groups[source.kind, ending].append(index)
    shuffle = random.Random(seed).shuffle  # noqa: S311  (a sample)
    strata = []
    for (kind, ending), members in sorted(groups.items()):
        members.sort(key=lambda index: num_bytes[index])
        for part in np.array_split(np.array(members), min(SIZE_CLASSES, len(members))):
            chosen = [int(index) for index in part]
            shuffle(chosen)
            strata.append(Stratum(kind, ending, chosen))
    return strata


def spread_out(strata: Sequence[Stratum], num_wanted: int) -> list[int]:
    """Inputs to look at, about as large a share of every stratum at any point of the list.

    So a look that ends early has still seen a stratified sample; each stratum has its first at the front.
    """
    total = sum(len(stratum.members) for stratum in strata)
    places = [
        (0.0 if rank == 0 else (rank + 0.5) / len(stratum.members), number, index)
        for number, stratum in enumerate(strata)
        for rank, index in enumerate(stratum.members)
    ]
    places.sort()
    return [index for *_, index in places[: min(num_wanted, total)]]


def draw_by_size(sizes: np.ndarray, number: int, seed: int = 0) -> list[int]:
    """`number` indices, each drawn with a chance in proportion to its size, in random order.

    Systematic along the running sum, so that a size of 1/number of the total is hit for sure. The mean of
    anything per unit of size over these is its mean over the whole.
    """
    total = float(sizes.sum())
    if total <= 0 or number < 1:
        return []
    rng = np.random.default_rng(seed)
    marks = (np.arange(number) + rng.uniform()) * (total / number)
    hits = np.searchsorted(np.cumsum(sizes), marks, side="right").clip(0, len(sizes) - 1)
    return [int(index) for index in rng.permutation(hits)]
