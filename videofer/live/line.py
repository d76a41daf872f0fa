"""One person of a stream: from fragments through windows to smoothed rows, cell by cell of their grid.

Cell c of the grid is [c * hop, (c + 1) * hop). Every row lies in one cell, so that a cell's rows are made
when the stream has come far enough beyond its end. What was known when a cell was made is remembered for a
while: where something turns up later that belongs there (a stranger turns out to be one who was seen before),
the cells are made again from that point on, and come out as if it had been known in time.

Letters in shapes: n classes.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field
from itertools import pairwise
from typing import TYPE_CHECKING, Any

import numpy as np

from cache.schema import State
from videofer.live.clock import FrameClock
from videofer.live.fragments import Fragment, LiveTrack, lay_out
from videofer.live.windows import LiveWindows
from videofer.timeline.rows import cut, dominant_states, nearest_boxes, parted
from videofer.timeline.settings import TimelineSettings
from videofer.timeline.smoothing import OnlineSmoother, SmoothedRow

if TYPE_CHECKING:
    from videofer.checkpoint import TrainedModel

MEMORY_SECONDS = 8.0  # so long before its newest cell a person's cells can be made again


@dataclass(frozen=True, eq=False)
class Draft:
    """A row before it is smoothed."""

    cell: int
    t_start: float
    t_end: float
    face_state: int
    body_state: int
    fused: dict[str, np.ndarray]  # head -> (n,) float64, NaN without a prediction
    box_xyxy: np.ndarray  # (4,) float32, NaN without a face


@dataclass(frozen=True, eq=False)
class Row:
    """A row that is done."""

    draft: Draft
    probabilities: np.ndarray  # (n,) float64
    path: int  # class, -1 without a prediction


@dataclass(eq=False)
class _Cell:
    """A cell that was made."""

    smoother: OnlineSmoother  # as it was before
    waiting: list[Draft]  # rows of earlier cells that it had not given back then
    rows: list[Row] = field(default_factory=list)


class PersonLine:
    """Makes the rows of one person."""

    def __init__(
        self,
        number: int,
        model: TrainedModel,
        settings: TimelineSettings,
        clock: FrameClock,
        crop_size: int,
    ) -> None:
        self.number = number
        self.fragments: list[Fragment] = []
        self.until: float | None = None
        """The person is there until then, whatever the fragments say."""
        self._model, self._settings, self._clock = model, settings, clock
        self.hop_seconds = model.spec.hop_seconds / settings.steps_per_hop
        self._modality = settings.modality or model.heads[-1]
        smoothing = settings.smoothing
        assert smoothing.lag_seconds is not None
        lag = 0.0 if smoothing.method == "none" else smoothing.lag_seconds
        self.cells_ahead = math.ceil(lag / self.hop_seconds - 1e-6)
        self._windows = LiveWindows(model, settings, crop_size)
        self._smoother = self._new_smoother()
        self._waiting: list[Draft] = []
        self._cells: dict[int, _Cell] = {}
        self._first_cell: int | None = None
        self._dirty: int | None = None
        self._said: dict[int, list[dict[str, Any]]] = {}
        self.next_cell = 0
        """The first cell of which nothing was said yet."""
        self.inherited = range(0)
        """Cells of which rows were said that are this person's since a merge."""

    # --- what is known of the person -----------------------------------------------------------------

    @property
    def t_start(self) -> float:
        """Media time of the first evidence."""
        return self._clock.t_start(min(one.first for one in self.fragments))

    @property
    def t_end(self) -> float:
        """Media time of the end of the last evidence so far."""
        if self.until is not None:
            return self.until
        return self._clock.t_end(max(one.stop for one in self.fragments) - 1)

    def spans(self) -> list[tuple[float, float]]:
        """Where the person is, without what could not be decoded."""
        whole = parted(self.t_start, self.t_end, self._clock.holes)
        return [(start, end) for start, end, known in whole if known]

    def cell_at(self, seconds: float) -> int:
        return math.floor(seconds / self.hop_seconds)

    def line(self, cell: int) -> float:
        """Media time at which a cell begins, as `videofer.timeline.rows.cut` has it."""
        return float(np.float64(cell) * self.hop_seconds)

    def take(self, fragments: Sequence[Fragment]) -> None:
        """The person is made of these fragments from now on."""
        before = self.fragments
        new = [one for one in fragments if one not in before]
        gone = [one for one in before if one not in fragments]
        ends = [self.t_end] if before else []
        self.fragments = list(fragments)
        if before and (new or gone):
            self._changed_from(
                min([*ends, self.t_end, *(self._clock.t_start(one.first) for one in new + gone)])
            )
        for one in new + gone:
            self._reconsider(self._clock.t_start(one.first))

    def drop(self, fragment: Fragment) -> None:
        """Forget a fragment of long ago."""
        self.fragments.remove(fragment)

    def stay(self, until: float) -> None:
        """The person was there, unseen, until this time."""
        self._changed_from(self.t_end)
        self.until = until

    @property
    def remembers_all(self) -> bool:
        """Whether all cells so far can be made again."""
        return self._first_cell is None or self._first_cell in self._cells

    def grew(self, fragment: Fragment, first: int, end_before: float) -> None:
        """New rows have come of a fragment of this person: from this frame on. end_before: of the person."""
        self._changed_from(end_before)
        seen = next((one.index for one in fragment.sights if one.index >= first), None)
        if seen is not None:
            self._reconsider(self._clock.t_start(seen))

    def _reconsider(self, seconds: float) -> None:
        """There is something new to see from this time on: windows that reach there were wrong."""
        if seconds < self._windows.used_until:
            self._windows.forget(covering=seconds)
            self._changed_from(seconds - self._model.spec.window_seconds)

    def _changed_from(self, seconds: float) -> None:
        if seconds == math.inf:  # the end of a frame that is still shown
            return
        cell = self.cell_at(seconds)
        if self._cells and cell <= max(self._cells):
            self._dirty = cell if self._dirty is None else min(cell, self._dirty)

    # --- making rows ---------------------------------------------------------------------------------

    def rows(self, cell: int) -> list[Row]:
        """The rows of a cell, in order. All earlier cells of the person must have been asked for."""
        if self._first_cell is None:
            self._first_cell = cell
        for ahead in range(max(self._cells, default=cell - 1) + 1, cell + self.cells_ahead + 1):
            self._make(ahead)
        self._give_back(self._smoother.advance(self.line(cell + self.cells_ahead + 1)))
        return self._cells[cell].rows

    def say(self, cell: int, rows: list[dict[str, Any]]) -> None:
        """The rows of a cell were emitted like this."""
        self._said[cell] = rows
        self.next_cell = max(self.next_cell, cell + 1)

    def said(self, cell: int) -> list[dict[str, Any]] | None:
        """What was emitted of a cell; None if nothing was, or long ago."""
        return self._said.get(cell)

    @property
    def said_cells(self) -> range:
        """Of which something was said, as far as that is remembered."""
        return range(min(self._said, default=0), self.next_cell if self._said else 0)

    def remake(self) -> int | None:
        """Undo what is wrong after something new turned up; the first cell whose rows may have changed."""
        if self._dirty is None:
            return None
        dirty, self._dirty = self._dirty, None
        assert self._first_cell is not None
        if dirty < self._first_cell and self._first_cell in self._cells:
            self._first_cell = dirty
            self._smoother, self._waiting, self._cells = self._new_smoother(), [], {}
            return dirty
        dirty = max(dirty, min(self._cells))
        kept = self._cells[dirty]
        self._smoother, self._waiting = kept.smoother.copy(), list(kept.waiting)
        for cell in [cell for cell in self._cells if cell >= dirty]:
            del self._cells[cell]
        for draft in self._waiting:
            if draft.cell in self._cells:
                made = self._cells[draft.cell]
                made.rows = [row for row in made.rows if row.draft is not draft]
        return min([dirty, *(draft.cell for draft in self._waiting)])

    def forget(self) -> None:
        """Drop what is older than MEMORY_SECONDS before the newest cell."""
        if not self._cells:
            return
        oldest = max(self._cells) - math.ceil(MEMORY_SECONDS / self.hop_seconds)
        for cells in (self._cells, self._said):
            for cell in [cell for cell in cells if cell < oldest]:
                del cells[cell]
        begin, window = self.line(oldest), self._model.spec.window_seconds
        self._windows.forget(before=self._windows.covering(begin - window, begin).start)
        frame, _ = self._clock.shown(begin - 2 * window, begin)
        self._windows.forget_clips(frame)
        for fragment in self.fragments:
            fragment.forget(frame)

    def num_held(self) -> int:
        """How many things are remembered."""
        return len(self._cells) + len(self._windows) + len(self._waiting)

    # --- one cell ------------------------------------------------------------------------------------

    def _make(self, cell: int) -> None:
        self._cells[cell] = _Cell(self._smoother.copy(), list(self._waiting))
        for draft in self._drafts(cell):
            self._waiting.append(draft)
            self._give_back(self._smoother.push(draft.fused[self._modality], draft.t_start, draft.t_end))

    def _give_back(self, done: Sequence[SmoothedRow]) -> None:
        for row in done:
            draft = self._waiting.pop(0)
            assert (draft.t_start, draft.t_end) == (row.t_start, row.t_end)
            if draft.cell in self._cells:
                self._cells[draft.cell].rows.append(Row(draft, row.probabilities, row.path))

    def _drafts(self, cell: int) -> list[Draft]:
        edges = self._edges(cell)
        if not edges:
            return []
        window = self._model.spec.window_seconds
        around = self._clock.shown(edges[0][0] - window, edges[-1][1] + window)
        if not any(fragment.is_seen(*around) for fragment in self.fragments):
            return [self._blank(cell, start, end) for start, end in edges]
        numbers = self._windows.covering(edges[0][0], edges[-1][1])
        missing = self._windows.missing(numbers)
        since = min([edges[0][0], *(self._windows.start(number) for number in missing[:1])])
        until = self._windows.start(missing[-1]) + window if missing else edges[-1][1]
        first, stop = self._clock.shown(since, max(until, edges[-1][1]))
        track = lay_out(self.number, self.fragments, self._clock, first, stop)
        if missing:
            self._windows.look(missing, track)
        fused = self._windows.fused(numbers, np.array([(start + end) / 2 for start, end in edges]))
        return [
            self._draft(cell, start, end, track, {head: values[n] for head, values in fused.items()})
            for n, (start, end) in enumerate(edges)
        ]

    def _draft(
        self, cell: int, t_start: float, t_end: float, track: LiveTrack, fused: dict[str, np.ndarray]
    ) -> Draft:
        import pandas as pd

        ends = np.array([t_start, t_end])
        row = pd.DataFrame({"t_start": ends[:1], "t_end": ends[1:]})
        face, body = (
            dominant_states(ends, track.t_start, track.t_end, states)[0]
            for states in (track.face_state, track.body_state)
        )
        box = nearest_boxes(row, track.t_start, track.t_end, track.face_boxes_xyxy)[0]
        return Draft(cell, t_start, t_end, int(face), int(body), fused, box)

    def _blank(self, cell: int, t_start: float, t_end: float) -> Draft:
        """Where no window sees the person."""
        nothing = np.full(len(self._model.labels), np.nan)
        no_box = np.full(4, np.nan, np.float32)
        fused = dict.fromkeys(self._model.heads, nothing)
        return Draft(cell, t_start, t_end, State.ABSENT, State.ABSENT, fused, no_box)

    def _edges(self, cell: int) -> list[tuple[float, float]]:
        """Start and end of the rows of a cell, as an offline timeline cuts them."""
        low, high = self.line(cell - 2), self.line(cell + 3)  # further away nothing matters
        found = []
        for start, end in self.spans():
            start, end = max(start, low), min(end, high)
            if start < end:
                for a, b in pairwise(cut(start, end, self.hop_seconds).tolist()):
                    if self.line(cell) <= (a + b) / 2 < self.line(cell + 1):
                        found.append((a, b))
        return found

    def _new_smoother(self) -> OnlineSmoother:
        smoothing, spec = self._settings.smoothing, self._model.spec
        return OnlineSmoother(smoothing, len(self._model.labels), window_seconds=spec.window_seconds)
