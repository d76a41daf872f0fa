"""Smooth the rows of one person over time: by a hidden Markov model or by a kernel.

    smoothed = smooth(probabilities, t_start, t_end, Smoothing(), window_seconds=1.2)

A row says what the windows around it say. Rows are noisy; expressions last. `Smoothing.method`:

none     rows as they are.
hmm      posterior of each row given all rows (forward-backward), `videofer.timeline.hmm`.
viterbi  the same probabilities; `path` is the likeliest sequence of classes.
kernel   mean of the rows around, weighted by a Gaussian over time and by their lengths.

**Rows are not independent.** Neighbouring rows come from windows that share frames, and what misleads a
model in one frame is still there in the next, so multiplying their probabilities would count the same
evidence many times and end over-confident. Rows that last `evidence_seconds` together, and at least
WINDOW_SHARE of a window, count as one observation: a row's probabilities are raised to the share of it that
the row lasts. However finely rows are cut, a second of them counts the same. In its own posterior a row
counts more where there is less than one observation around it: a row that stands alone keeps its
probabilities.

**Time is real time.** Rows may have any length; rows without a prediction and gaps are time that passes
without an observation. Rows without a prediction stay without one.

**Look-ahead.** With `lag_seconds` a row depends only on rows that begin before its end + lag.
`OnlineSmoother` takes rows as they come, with bounded memory; `smooth` pushes all rows through one, so both
are equal to the bit.

The model takes all classes as equally frequent beforehand, as balanced training does.

Letters in shapes: R rows, n classes.
"""

from __future__ import annotations

import math
from copy import copy
from dataclasses import dataclass

import numpy as np

from videofer.timeline.hmm import Chain, Floats, Indices, backward, best_scores, filtered
from videofer.timeline.settings import Smoothing

SAME_SECONDS = 1e-9  # times closer than this are the same time
KERNEL_REACH = 4.0  # standard deviations beyond which the kernel is zero
WINDOW_SHARE = 1 / 3
"""Rows that last this share of a model's window are at most one observation."""


@dataclass(frozen=True)
class Smoothed:
    """The rows of one person, smoothed."""

    probabilities: Floats  # (R, n), NaN rows where there was no prediction
    path: Indices  # (R,) the class of each row, -1 where there was no prediction


@dataclass(frozen=True)
class SmoothedRow:
    """One row that will not change any more."""

    probabilities: Floats  # (n,), NaN without a prediction
    path: int  # class, -1 without a prediction
    t_start: float
    t_end: float


def smooth(
    probabilities: Floats,
    t_start: Floats,
    t_end: Floats,
    settings: Smoothing,
    *,
    window_seconds: float,
) -> Smoothed:
    """Smooth probabilities (R, n) of rows [t_start, t_end) (R,) media seconds, rising and not overlapping.

    Rows with NaN have no prediction. window_seconds: of the model that made them.
    Raises ValueError for arrays that do not fit, rows out of order or without length.
    """
    if probabilities.ndim != 2 or t_start.shape != t_end.shape or t_start.shape != probabilities.shape[:1]:
        raise ValueError(
            f"probabilities {probabilities.shape} need t_start and t_end of shape "
            f"{probabilities.shape[:1]}, not {t_start.shape} and {t_end.shape}"
        )
    smoother = OnlineSmoother(settings, probabilities.shape[1], window_seconds=window_seconds)
    rows = [
        done
        for row, start, end in zip(probabilities, t_start.tolist(), t_end.tolist(), strict=True)
        for done in smoother.push(row, start, end)
    ]
    rows += smoother.finish()
    assert len(rows) == len(probabilities)
    return Smoothed(
        probabilities=np.array([row.probabilities for row in rows]).reshape(probabilities.shape),
        path=np.array([row.path for row in rows], dtype=np.int64),
    )


@dataclass(eq=False)
class _Row:
    """A row that is held, and what the model of time knows of it."""

    t_start: float
    t_end: float
    probabilities: Floats | None  # None without a prediction
    weight: float = 0.0  # of an observation, at most 1
    forgetting: float = 0.0  # since the row before
    likelihood: Floats | None = None
    belief: Floats | None = None  # given this and all earlier rows
    scores: Floats | None = None  # Viterbi's
    came_from: Indices | None = None

    @property
    def centre(self) -> float:
        return (self.t_start + self.t_end) / 2

    @property
    def seconds(self) -> float:
        return self.t_end - self.t_start


class OnlineSmoother:
    """Takes the rows of one person in order of time and gives each back once nothing can change it.

        for row in stream:
            for done in smoother.push(row.probabilities, row.t_start, row.t_end): ...
        for done in smoother.finish(): ...

    Every row that is pushed comes back exactly once, in order. `advance` tells how far time has come where
    no rows come (the person is gone).
    """

    def __init__(self, settings: Smoothing, num_classes: int, *, window_seconds: float) -> None:
        if not window_seconds > 0:
            raise ValueError(f"window_seconds is {window_seconds}, must be above 0")
        self._settings = settings
        self._evidence_seconds = max(settings.evidence_seconds, WINDOW_SHARE * window_seconds)
        self._lag = 0.0 if settings.method == "none" else settings.lag_seconds
        self._chain = Chain(num_classes, settings.dwell_seconds)
        self._rows: list[_Row] = []  # released ones that open ones still need, then open ones
        self._num_released = 0  # of self._rows

    def push(self, probabilities: Floats, t_start: float, t_end: float) -> list[SmoothedRow]:
        """Take the next row, probabilities (n,), NaN without a prediction; returns the rows now final.

        Raises ValueError for a row that has no length, does not come after the last one, or is of another
        number of classes.
        """
        if probabilities.shape != (self._chain.num_states,):
            raise ValueError(f"a row has {probabilities.shape}, must have ({self._chain.num_states},)")
        if not t_end > t_start:
            raise ValueError(f"a row ends at {t_end} s, not after it starts, at {t_start} s")
        if self._rows and t_start < self._rows[-1].t_end - 1e-6:
            raise ValueError(
                f"a row starts at {t_start} s, before the last one ends, {self._rows[-1].t_end} s"
            )
        done = self.advance(t_start)
        known = bool(np.isfinite(probabilities).all())
        row = _Row(t_start, t_end, probabilities.astype(np.float64) if known else None)
        if self._settings.method in ("hmm", "viterbi"):
            self._observe(row)
        self._rows.append(row)
        return done

    def advance(self, t: float) -> list[SmoothedRow]:
        """No later row will begin before t: returns the rows now final."""
        if self._lag is None:
            return []
        final = self._num_released
        while final < len(self._rows) and self._rows[final].t_end + self._lag <= t + SAME_SECONDS:
            final += 1
        return self._release(final)

    def finish(self) -> list[SmoothedRow]:
        """No rows will come any more: returns all that are left."""
        return self._release(len(self._rows))

    def copy(self) -> OnlineSmoother:
        """A twin that goes its own way from here: where a stream must take rows back."""
        twin = copy(self)
        twin._rows = list(self._rows)  # what is in a row never changes
        return twin

    def _release(self, end: int) -> list[SmoothedRow]:
        """Rows up to self._rows[end], as seen from all that are held."""
        first = self._num_released
        if end <= first:
            return []
        match self._settings.method:
            case "none":
                values = [row.probabilities for row in self._rows[first:end]]
            case "kernel":
                values = [self._kernel_mean(index) for index in range(first, end)]
            case "hmm" | "viterbi":
                values = self._posteriors(first, end)
        if self._settings.method == "viterbi":
            path = self._best_path(first, end)
        else:
            path = [-1 if value is None else int(value.argmax()) for value in values]
        nothing = np.full(self._chain.num_states, np.nan)
        done = [
            SmoothedRow(nothing if value is None else value, state, row.t_start, row.t_end)
            for value, state, row in zip(values, path, self._rows[first:end], strict=True)
        ]
        self._num_released = end
        self._forget()
        return done

    def _forget(self) -> None:
        """Drop released rows that no later row needs."""
        reach = max(KERNEL_REACH * self._settings.kernel_seconds, self._evidence_seconds / 2)
        needed_from = self._rows[self._num_released - 1].t_end - reach
        keep = self._num_released - 1  # the last one is what the next one follows
        while keep > 0 and self._rows[keep - 1].t_end > needed_from:
            keep -= 1
        del self._rows[:keep]
        self._num_released -= keep

    # --- kernel

    def _kernel_mean(self, index: int) -> Floats | None:
        """Mean of the predictions around row `index`, by time."""
        row, deviation = self._rows[index], self._settings.kernel_seconds
        if row.probabilities is None:
            return None
        total, weights = np.zeros(self._chain.num_states), 0.0
        for other in self._around(index, KERNEL_REACH * deviation):
            if other.probabilities is not None:
                distance = (other.centre - row.centre) / deviation
                weight = math.exp(-0.5 * distance * distance) * other.seconds
                total += weight * other.probabilities
                weights += weight
        return total / weights

    def _around(self, index: int, seconds: float) -> list[_Row]:
        """Held rows that reach nearer than `seconds` to the middle of row `index`, which is one of them."""
        centre = self._rows[index].centre
        first = last = index
        while first > 0 and self._rows[first - 1].t_end > centre - seconds:
            first -= 1
        while last + 1 < len(self._rows) and self._rows[last + 1].t_start < centre + seconds:
            last += 1
        return self._rows[first : last + 1]

    # --- hidden Markov model

    def _observe(self, row: _Row) -> None:
        """Take a row into the model: how much it counts, and the belief up to it."""
        before = self._rows[-1] if self._rows else None
        n = self._chain.num_states
        if row.probabilities is not None:
            row.weight = min(1.0, row.seconds / self._evidence_seconds)
            row.likelihood = row.probabilities**row.weight
        if before is not None:
            row.forgetting = self._chain.forgetting(row.centre - before.centre)
        uniform = np.full(n, 1 / n)
        row.belief = filtered(
            uniform if before is None or before.belief is None else before.belief,
            row.forgetting,
            row.likelihood,
        )
        if self._settings.method == "viterbi":
            with np.errstate(divide="ignore"):
                log_likelihood = None if row.likelihood is None else np.log(row.likelihood)
            start = np.zeros(n) if before is None or before.scores is None else before.scores
            row.scores, row.came_from = best_scores(start, row.forgetting, log_likelihood)

    def _posteriors(self, first: int, end: int) -> list[Floats | None]:
        """Of the rows [first, end), given all that are held."""
        values: list[Floats | None] = []
        after = np.ones(self._chain.num_states)
        for index in range(len(self._rows) - 1, first - 1, -1):
            row = self._rows[index]
            if index < end:
                values.append(self._posterior(index, after))
            after = backward(after, row.forgetting, row.likelihood)
        return values[::-1]

    def _posterior(self, index: int, after: Floats) -> Floats | None:
        """Of one row, whose later rows have the likelihood `after`."""
        row = self._rows[index]
        if row.probabilities is None:
            return None
        assert row.belief is not None
        half = self._evidence_seconds / 2
        around = 0.0
        for other in self._around(index, half):
            inside = min(other.t_end, row.centre + half) - max(other.t_start, row.centre - half)
            around += other.weight * max(0.0, inside) / other.seconds
        missing = min(1.0 - row.weight, max(0.0, 1.0 - around))
        value = row.belief * after * row.probabilities**missing
        return value / value.sum()  # type: ignore[no-any-return]

    def _best_path(self, first: int, end: int) -> list[int]:
        """States of the rows [first, end) on the likeliest path through all that are held."""
        last = self._rows[-1]
        assert last.scores is not None
        state = int(last.scores.argmax())
        path = []
        for index in range(len(self._rows) - 1, first - 1, -1):
            row = self._rows[index]
            if index < end:
                path.append(state if row.probabilities is not None else -1)
            assert row.came_from is not None
            state = int(row.came_from[state])
        return path[::-1]
