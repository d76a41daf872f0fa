"""A hidden Markov model in continuous time: an expression lasts a while, then another follows.

The state is the class shown. It is left at the rate 1 / dwell_seconds, and every other class is as likely to
follow. Over any time that passes, the chain stays in its state or forgets it: with the probability
`forgetting` the state is drawn anew from all n classes. That is exp(Q t) in closed form, so rows of any
length and gaps of any length are exact, and a step takes n operations instead of n * n.

Rabiner, "A tutorial on hidden Markov models and selected applications in speech recognition", Proceedings
of the IEEE 77(2), 1989: the recursions. Here they are steps for one row each, for videos and streams alike.

Letters in shapes: n states.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
Indices = NDArray[np.int64]


@dataclass(frozen=True)
class Chain:
    """A Markov chain over num_states classes, each of which lasts dwell_seconds on average."""

    num_states: int
    dwell_seconds: float

    def __post_init__(self) -> None:
        if self.num_states < 1:
            raise ValueError(f"num_states is {self.num_states}, must be at least 1")
        if not self.dwell_seconds > 0:
            raise ValueError(f"dwell_seconds is {self.dwell_seconds}, must be above 0")

    def forgetting(self, seconds: float) -> float:
        """Probability that the state is drawn anew within `seconds`."""
        n = self.num_states
        if n == 1:
            return 0.0
        return -math.expm1(-seconds * n / ((n - 1) * self.dwell_seconds))

    def transition(self, seconds: float) -> Floats:
        """(n, n) probabilities to be in each state (columns) so much later than in another (rows)."""
        forgetting, n = self.forgetting(seconds), self.num_states
        return (1 - forgetting) * np.eye(n) + forgetting / n


def filtered(before: Floats, forgetting: float, likelihood: Floats | None) -> Floats:
    """(n,) belief given all up to this row, from that of the row before. likelihood None: nothing seen."""
    belief = (1 - forgetting) * before + forgetting / len(before)
    if likelihood is not None:
        belief *= likelihood
    belief /= belief.sum()
    return belief


def backward(after: Floats, forgetting: float, likelihood: Floats | None) -> Floats:
    """(n,) likelihood of this and all later rows, given the state of the row before; scaled to sum 1.

    after: the same of the next row, ones behind the last. forgetting: from the row before to this one.
    """
    seen = after if likelihood is None else after * likelihood
    seen = seen / seen.sum()
    scaled: Floats = (1 - forgetting) * seen + forgetting / len(seen)
    return scaled


def best_scores(before: Floats, forgetting: float, log_likelihood: Floats | None) -> tuple[Floats, Indices]:
    """Viterbi's step: (n,) log-probability of the best path to each state of this row, up to a constant,
    and (n,) the state that this path has in the row before. A path that stays wins a tie.
    """
    n = len(before)
    best = int(before.argmax())
    change = math.log(forgetting / n) if forgetting > 0 else -math.inf
    staying = before + math.log1p(-forgetting * (n - 1) / n)
    changing = before[best] + change
    stays = staying >= changing
    scores = np.where(stays, staying, changing)
    if log_likelihood is not None:
        scores = scores + log_likelihood
    return scores - scores.max(), np.where(stays, np.arange(n), best)
