"""Several raters of one person become one soft label over time: at each instant the share of raters for each
emotion.

Time is cut wherever a rater's label changes. A rater who says nothing at a time has no vote then; one who
says two things gives each half of it.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from videofer.emotions import in_order


@dataclass(frozen=True)
class Votes:
    """Pieces of time (P) between which the votes change, rising; time without any vote is left out."""

    t_start: NDArray[np.float64]  # (P,)
    t_end: NDArray[np.float64]
    emotions: tuple[str, ...]  # (n)
    shares: NDArray[np.float64]  # (P, n), each row sums to 1
    raters: tuple[tuple[str, ...], ...]  # (P) who votes

    def winner(self, piece: int) -> str | None:
        """The emotion with most votes; None for a tie."""
        shares = self.shares[piece]
        best = np.flatnonzero(shares >= shares.max() - 1e-9)
        return self.emotions[int(best[0])] if len(best) == 1 else None


def count_votes(table: pd.DataFrame) -> Votes:
    """The votes of all raters in a table of label, t_start, t_end, rater that is about one person."""
    emotions = tuple(in_order(table["label"]))
    raters = tuple(sorted(set(table["rater"])))
    edges = np.unique(np.concatenate([table["t_start"], table["t_end"]]))
    said = np.zeros((len(edges) - 1, len(raters), len(emotions)), dtype=bool)
    for label, start, end, rater in zip(
        table["label"], table["t_start"], table["t_end"], table["rater"], strict=True
    ):
        pieces = slice(*np.searchsorted(edges, (start, end)))
        said[pieces, raters.index(rater), emotions.index(label)] = True
    labels_each = said.sum(axis=2, keepdims=True)  # (P, R, 1)
    shares = (said / np.maximum(labels_each, 1)).sum(axis=1)  # (P, n)
    voted = labels_each[:, :, 0] > 0  # (P, R)
    new = np.ones(len(shares), dtype=bool)
    if len(shares) > 1:
        new[1:] = (said[1:] != said[:-1]).any(axis=(1, 2))
    last = np.append(new[1:], True)
    kept = voted.any(axis=1)
    first, last = np.flatnonzero(new & kept), np.flatnonzero(last & kept)
    return Votes(
        t_start=edges[first],
        t_end=edges[last + 1],
        emotions=emotions,
        shares=shares[first] / np.maximum(voted[first].sum(axis=1, keepdims=True), 1),
        raters=tuple(tuple(np.array(raters, dtype=object)[row]) for row in voted[first]),
    )


def one_voice(table: pd.DataFrame) -> bool:
    """Whether no two intervals of the table overlap and one rater speaks."""
    ordered = table.sort_values(["t_start", "t_end"], kind="stable")
    starts, ends = ordered["t_start"].to_numpy(dtype=float), ordered["t_end"].to_numpy(dtype=float)
    return table["rater"].nunique() <= 1 and not bool((starts[1:] < ends[:-1] - 1e-6).any())
