"""The engine of a stream: frames in, events out, with bounded memory.

    engine = LiveEngine(model, settings, spec, engines, source, facts)
    yield engine.start()
    for source_index, frame in frames: yield from engine.push(source_index, frame)
    yield from engine.finish()

Events are JSON documents, see `docs/streaming.md`. Rows come cell by cell of their grid, each once, at the
fixed lag of `videofer.live.lookahead`. What turns out later of cells that were emitted (who is who, above
all) comes as events of its own: `merge`, `split`, and `revise` with the rows that take the place of others.
`videofer.live.replay` applies them; the result is the timeline that an offline run makes.
"""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Collection, Sequence
from typing import TYPE_CHECKING, Any, Literal

from cache.schema import BodyBlock, FaceBlock
from preprocessing.live_pass import Found, LivePass, first_pts_of
from preprocessing.pipeline import WHOLE
from preprocessing.tracking.evidence import SegmentEvidence
from preprocessing.tracking.persons import join_persons
from preprocessing.types import Span
from videofer.emotions import PERCEIVED
from videofer.live.clock import FrameClock
from videofer.live.documents import Document, RowWriter, nobody_between
from videofer.live.fragments import Fragment, Key
from videofer.live.identities import Change, Identities, Identity, Merge
from videofer.live.latency import Latency
from videofer.live.line import MEMORY_SECONDS, PersonLine
from videofer.live.lookahead import look_ahead
from videofer.timeline.facts import SAME_END_SECONDS
from videofer.timeline.settings import TimelineSettings
from videofer.timeline.timeline import TimelineError

if TYPE_CHECKING:
    from preprocessing.engines import Engines
    from preprocessing.spec import PreprocessSpec
    from preprocessing.types import Frame, Probe, Source
    from videofer.checkpoint import TrainedModel

FORMAT = 1  # of the events
IDENTITY_SECONDS = 600.0  # who was away for longer is somebody new
MAX_FRAGMENTS = 128  # of people who are gone: the longest gone are forgotten beyond it
STRAY_SECONDS = 10.0  # what ended so long ago and belongs to nobody never will


class LiveEngine:
    """Turns the frames of one stream into events. Not for several threads."""

    def __init__(
        self,
        model: TrainedModel,
        settings: TimelineSettings,
        spec: PreprocessSpec,
        engines: Engines,
        source: Source,
        facts: Probe,
        spans: Sequence[Span] = (WHOLE,),
    ) -> None:
        """spans: the parts into which a store would cut the file. Raises InputError where keypoints beside
        the video do not fit, TimelineError for a model that says several classes at once.
        """
        if model.thresholds is not None:
            raise TimelineError(
                f"the model {model.path} says several classes at once, which a stream does not show: make a "
                "timeline of the finished video"
            )
        assert spec.people == "all", "who is a main person is known at the end only"
        self._spans, self._engines = deque(spans), engines
        self._passes = [LivePass(source, facts, spec, engines, self._spans.popleft())]
        self._over: list[LivePass] = []  # passes that are finished, as long as their people are remembered
        self.look_ahead = look_ahead(spec, self._passes[0].look_ahead_seconds, facts, model.spec, settings)
        lag = self.look_ahead.smoothing
        smoothing = settings.smoothing.model_copy(update={"lag_seconds": lag})
        self.settings = settings.model_copy(update={"smoothing": smoothing})
        self._model, self._spec, self._source, self._facts = model, spec, source, facts
        self._clock = FrameClock(facts.time_base, facts.presentation_start)
        self._hop_seconds = model.spec.hop_seconds / settings.steps_per_hop
        self._writer = RowWriter(model, self.settings)
        self._fragments: dict[Key, Fragment] = {}
        self._identities = Identities()
        self._lines: dict[int, PersonLine] = {}
        self._known: dict[int, tuple[int, float]] = {}  # first frame and certainty of everybody so far
        self._cell = 0  # the next one to be emitted
        self._said_of_nobody: dict[int, list[Document]] = {}
        self._ended: tuple[float, float] | None = None  # where decoding ended, and the video
        self._newest: Frame | None = None  # frames that are left out after it make it longer
        self.latency = Latency()

    # --- frames in, events out -----------------------------------------------------------------------

    def start(self) -> Document:
        """The first event."""
        facts, ahead = self._facts, self.look_ahead
        return {
            "event": "start",
            "format": FORMAT,
            "video": self._source.name,
            "width": facts.width,
            "height": facts.height,
            "model": self._model.name,
            "model_version": self._model.version,
            "reports": PERCEIVED,
            "weights_sha256": self._model.weights_sha256,
            "classes": list(self._model.labels),
            "modalities": list(self._writer.modalities),
            "modality": self._writer.modality,
            "hop_seconds": self._hop_seconds,
            "window_seconds": self._model.spec.window_seconds,
            "lag_seconds": round(ahead.lag_seconds, 6),
            "look_ahead_seconds": {
                "faces": round(ahead.faces, 6),
                "windows": round(ahead.windows, 6),
                "smoothing": round(ahead.smoothing, 6),
            },
            "settings": self.settings.model_dump(mode="json"),
        }

    def push(
        self, source_index: int, frame: Frame, holes: Collection[tuple[int, int]] = ()
    ) -> list[Document]:
        """The next sampled frame. source_index counts decoded ones; holes: spans of pts lost before it."""
        index = self._clock.append(frame.pts, holes)
        seconds = self._clock.t_start(index)
        self.latency.arrived(seconds)
        self._newest = frame
        self._follow(index, source_index, seconds, frame)
        events: list[Document] = []
        while self._line(self._cell + 1) + self.look_ahead.lag_seconds <= seconds:
            events += self._emit()
        self.latency.emitted(events, seconds)
        return events

    def finish(self, damage: str | None = None, **more: Any) -> list[Document]:
        """The stream has ended, or was broken off (`damage`): all rows that are left, and the last event."""
        if self._newest is None:
            return [{"event": "end", "persons": [], "damage": damage, **more}]
        for one in self._passes:
            self._see(one, one.finish(self._clock.num_frames))
        t_end = self._clock.close(self._newest.duration_pts)
        duration = t_end
        if damage is not None and self._facts.duration is not None:
            stream_start = float(self._facts.stream_start - self._facts.presentation_start)
            duration = max(t_end, stream_start + self._facts.duration)
        self._ended = t_end, duration if duration > t_end + SAME_END_SECONDS else t_end
        events: list[Document] = []
        while self._line(self._cell) < self._ended[1]:
            events += self._emit()
        events += self._settle()
        self.latency.emitted(events, t_end)
        end: Document = {
            "event": "end",
            "duration_seconds": round(self._ended[1], 6),
            "persons": self._persons(),
            "damage": damage,
            "num_frames": self._clock.num_frames,
            **self.latency.figures(),
            **more,
        }
        return [*events, end]

    def _persons(self) -> list[dict[str, Any]]:
        """Everybody, numbered as an offline run does: by the first frame, then from left to right."""
        found, _ = self._identify()
        order = [one.number for one in found]
        if len(order) < len(self._known):  # some were forgotten: from left to right got lost with them
            order = sorted(self._known, key=lambda number: (self._known[number][0], number))
        return [
            {"person": place, "number": number, "certainty": self._known[number][1]}
            for place, number in enumerate(order)
        ]

    def num_held(self) -> dict[str, int]:
        """How many things are remembered, for whoever watches that it does not grow."""
        return {
            "frames": len(self._clock),
            "fragments": len(self._fragments),
            "sights": sum(len(one.sights) for one in self._fragments.values()),
            "persons": len(self._lines),
            "cells": sum(line.num_held() for line in self._lines.values()) + len(self._said_of_nobody),
        }

    # --- what is seen --------------------------------------------------------------------------------

    def _follow(self, index: int, source_index: int, seconds: float, frame: Frame) -> None:
        """Show a frame to the spans that see it: one, around a cut the one before and the one behind."""
        for one in [one for one in self._passes if one.is_over(frame.pts)]:
            self._see(one, one.finish(index))
            self._passes.remove(one)
            self._over.append(one)
        while self._spans and frame.pts >= first_pts_of(self._spans[0], self._facts):
            span = self._spans.popleft()
            self._passes.append(LivePass(self._source, self._facts, self._spec, self._engines, span))
        for one in self._passes:
            if one.follows(frame.pts):
                self._see(one, one.push(index, source_index, seconds, frame))

    def _see(self, one: LivePass, found: list[Found]) -> None:
        for rows in found:
            self._grow((one.index, rows.kind, rows.local_id), rows.first_frame, rows.block)

    def _grow(self, key: Key, first: int, block: FaceBlock | BodyBlock) -> None:
        """The next rows of a fragment, from frame `first` on."""
        fragment = self._fragments.setdefault(key, Fragment(key, first, first))
        assert first == fragment.stop, "rows of a track follow each other"
        line = self._line_of(fragment)
        end_before = line.t_end if line else 0.0
        fragment.see(block, self._spec)
        if line:
            line.grew(fragment, first, end_before)

    def _line_of(self, fragment: Fragment) -> PersonLine | None:
        """The person that a fragment is a part of, None if of nobody so far."""
        number = self._identities.number_of(fragment.key)
        return None if number is None else self._lines.get(number)

    def _evidence(self) -> list[SegmentEvidence]:
        """Of every span that has begun."""
        found = []
        for one in [*self._over, *self._passes]:
            if one.own_first is not None:
                stop = self._clock.num_frames if one.own_stop is None else one.own_stop
                starts = _Remembered(self._clock, "start", one.own_first, stop)
                ends = _Remembered(self._clock, "end", one.own_first, stop)
                found.append(one.seen.evidence(one.index, starts, ends))
        return found

    # --- cells ---------------------------------------------------------------------------------------

    def _line(self, cell: int) -> float:
        """Media time at which a cell begins, to the bit as `videofer.timeline.rows.cut` has it."""
        return cell * self._hop_seconds

    def _emit(self) -> list[Document]:
        """The next cell, and what has turned out of earlier ones."""
        events = self._settle()
        rows: list[Document] = []
        for line in list(self._lines.values()):
            if line.t_start < self._line(self._cell + 1) and line.t_end > self._line(self._cell):
                said = self._writer.person(line.number, line.rows(self._cell))
                line.say(self._cell, said)
                rows += said
        nobody = self._nobody(self._cell)
        self._said_of_nobody[self._cell] = nobody
        rows = sorted(rows, key=lambda row: (row["t_start"], row["person"])) + nobody
        rows.sort(key=lambda row: row["t_start"])
        self._cell += 1
        self._forget()
        return events + rows

    def _settle(self) -> list[Document]:
        """Who is who by now, and what that changes of the cells that were emitted."""
        events: list[Document] = []
        found, changes = self._identify()
        for change in changes:
            if isinstance(change, Merge):
                self._known.pop(change.gone, None)
                events.append({"event": "merge", "person": change.gone, "into": change.person})
            else:
                since = round(change.seconds, 6)
                events.append({"event": "split", "person": change.person, "new": change.new, "since": since})
        for one in found:
            line = self._lines.get(one.number)
            if line is None:
                line = self._lines[one.number] = self._new_line(one)
            for change in changes:
                if isinstance(change, Merge) and change.person == one.number and change.gone in self._lines:
                    line, filled = self._absorb(line, self._lines.pop(change.gone))
                    events += filled
            line.take(one.fragments)
            first = min(fragment.first for fragment in one.fragments)
            first = min(first, self._known.get(one.number, (first, 0.0))[0])
            self._known[one.number] = first, one.certainty
        first = self._cell
        for line in self._lines.values():
            begin, revised = self._revise(line)
            first = min(first, begin)
            events += revised
        return events + self._revise_nobody(first)

    def _identify(self) -> tuple[list[Identity], list[Change]]:
        """As known now. Somebody new gets a number when the first row is due."""
        until = math.inf if self._ended else self._line(self._cell + 1)
        records = join_persons(self._evidence(), self._spec)
        return self._identities.update(records, self._fragments, lambda record: record.t_start < until)

    def _new_line(self, one: Identity) -> PersonLine:
        line = PersonLine(one.number, self._model, self.settings, self._clock, self._spec.crop_size)
        line.take(one.fragments)
        memory = round(MEMORY_SECONDS / self._hop_seconds)
        line.next_cell = max(line.cell_at(line.t_start), self._cell - memory, 0)
        return line

    def _absorb(self, line: PersonLine, other: PersonLine) -> tuple[PersonLine, list[Document]]:
        """Two lines are one person's: the one that goes on, and rows for the time between the two.

        The later one is made again as if it had been known, unless it is too long for that.
        """
        if other.remembers_all:
            line.inherited = other.said_cells
            return line, []
        line.stay(other.t_start)
        _, filled = self._revise(line)
        for event in filled:  # not the rows of the other one
            event["t_end"] = round(other.t_start, 6)
        other.number = line.number
        self._lines[line.number] = other
        return other, filled

    def _revise(self, line: PersonLine) -> tuple[int, list[Document]]:
        """Make emitted cells of a person again where needed: the first one of them, and what changed."""
        begin = line.remake()
        begin = line.next_cell if begin is None else min(begin, line.next_cell)
        stop = self._cell if line.t_end == math.inf else line.cell_at(line.t_end) + 1
        stop = min(max(stop, line.next_cell), self._cell)
        changed = set(line.inherited)
        line.inherited = range(0)
        for cell in range(begin, stop):
            said = self._writer.person(line.number, line.rows(cell))
            if (line.said(cell) or []) != said:
                changed.add(cell)
            line.say(cell, said)
        if not changed:
            return begin if begin < stop else self._cell, []
        cells = range(min(changed), max(changed) + 1)
        rows = [row for cell in cells for row in line.said(cell) or []]
        return min(begin, cells.start), [self._revision(line.number, cells, rows)]

    def _revise_nobody(self, first: int) -> list[Document]:
        changed = []
        for cell in range(first, self._cell):
            nobody = self._nobody(cell)
            if self._said_of_nobody.get(cell) != nobody:
                changed.append(cell)
                if cell in self._said_of_nobody:
                    self._said_of_nobody[cell] = nobody
        if not changed:
            return []
        # Cells between two that changed are as they were, or long forgotten and free of nobody now.
        cells = range(changed[0], changed[-1] + 1)
        return [self._revision(None, cells, [row for cell in cells for row in self._nobody(cell)])]

    def _revision(self, person: int | None, cells: range, rows: list[Document]) -> Document:
        plain = [{name: value for name, value in row.items() if name != "event"} for row in rows]
        return {
            "event": "revise",
            "person": person,
            "t_start": round(self._line(cells.start), 6),
            "t_end": round(self._line(cells.stop), 6),
            "rows": plain,
        }

    def _nobody(self, cell: int) -> list[Document]:
        low, high = self._line(cell - 2), self._line(cell + 3)
        decoded_until = math.inf
        if self._ended:
            decoded_until, duration = self._ended
            high = min(high, duration)
        spans = [span for line in self._lines.values() for span in line.spans()]
        low = max(low, 0.0)
        if low >= high:
            return []
        rows = nobody_between(low, high, spans, decoded_until, self._hop_seconds, self._clock.holes)
        if rows is None:
            return []
        centre = (rows["t_start"] + rows["t_end"]) / 2
        return self._writer.nobody(
            rows[(centre >= self._line(cell)) & (centre < self._line(cell + 1))].reset_index(drop=True)
        )

    # --- forgetting ----------------------------------------------------------------------------------

    def _forget(self) -> None:
        now = self._line(self._cell)
        for cell in [c for c in self._said_of_nobody if self._line(c) < now - MEMORY_SECONDS]:
            del self._said_of_nobody[cell]
        for line in self._lines.values():
            line.forget()
        stray, old = now - STRAY_SECONDS, now - IDENTITY_SECONDS
        gone = [one for one in self._fragments.values() if self._clock.t_end(one.stop - 1) < stray]
        gone.sort(key=lambda one: one.stop)
        for n, fragment in enumerate(gone):
            if (
                self._identities.number_of(fragment.key) is None
                or self._clock.t_end(fragment.stop - 1) < old
                or n < len(gone) - MAX_FRAGMENTS
            ):
                self._drop(fragment)
        frame, _ = self._clock.shown(now - MEMORY_SECONDS, now)
        for fragment in self._fragments.values():
            if self._identities.number_of(fragment.key) is None:
                fragment.forget(frame)
        ends = {end for one in self._fragments.values() for end in (one.first, one.stop - 1)}
        known = {key[0] for key in self._fragments}
        self._over = [one for one in self._over if one.index in known]
        for one in [*self._over, *self._passes]:
            ends |= {one.own_first or 0, (one.own_stop or 1) - 1}
        self._clock.forget(old - MEMORY_SECONDS, ends)

    def _drop(self, fragment: Fragment) -> None:
        line = self._line_of(fragment)
        if line is not None:
            line.drop(fragment)
            if not line.fragments:
                del self._lines[line.number]
        span, kind, local_id = fragment.key
        for one in [*self._over, *self._passes]:
            if one.index == span:
                one.seen.forget(kind, local_id)
        self._identities.forget(fragment.key)
        del self._fragments[fragment.key]


class _Remembered:
    """Times of frames as evidence asks for them; see `preprocessing.tracking.collector.Times`."""

    def __init__(self, clock: FrameClock, side: Literal["start", "end"], first: int, stop: int) -> None:
        """first, stop: the frames of a span."""
        self._clock, self._is_start, self._first, self._stop = clock, side == "start", first, stop

    def __len__(self) -> int:
        return self._stop - self._first

    def __getitem__(self, index: int, /) -> float:
        frame = self._first + index % len(self)
        if self._is_start or self._clock.t_end(frame) == math.inf:
            return self._clock.t_start(frame)
        return self._clock.t_end(frame)
