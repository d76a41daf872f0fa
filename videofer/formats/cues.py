"""What subtitles say of whom and when: of marks, each or, where several may hold at once, all of a moment."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Protocol, TypeVar

import pandas as pd

from videofer.formats.marks import Mark
from videofer.formats.text import one_line
from videofer.timeline.several import NONE_HOLDS

AND = " + "


class _Timed(Protocol):
    @property
    def person(self) -> int: ...
    @property
    def start_ms(self) -> int: ...
    @property
    def end_ms(self) -> int: ...


Timed = TypeVar("Timed", bound=_Timed)


@dataclass(frozen=True)
class Cue:
    """Words about somebody for a while."""

    person: int
    words: str  # one line
    start_ms: int  # media time, half-open
    end_ms: int


def cues_of(marks: Sequence[Mark]) -> list[Cue]:
    """A cue for each mark: `happiness 87 %`."""
    return [Cue(mark.person, _words(mark), mark.start_ms, mark.end_ms) for mark in marks]


def joined_cues(marks: Sequence[Mark], quiet: pd.DataFrame, classes: Sequence[str]) -> list[Cue]:
    """Cues of a person without overlap: `happiness 87 % + esteem 61 %` for all that hold, in order of the
    classes, and NONE_HOLDS for `quiet_spans`. marks: in order of time, of each class for itself.
    """
    order = {label: place for place, label in enumerate(classes)}
    cues: list[Cue] = []
    for person in sorted({mark.person for mark in marks}):
        for start, end, held in together([mark for mark in marks if mark.person == person]):
            words = AND.join(_words(mark) for mark in sorted(held, key=lambda mark: order[mark.label]))
            cues.append(Cue(person, words, start, end))
    for person, onset, offset in zip(*(quiet[name].tolist() for name in quiet.columns), strict=True):
        start, end = round(1000 * onset), round(1000 * offset)
        if end > start:
            cues.append(Cue(person, NONE_HOLDS, start, end))
    return sorted(cues, key=lambda cue: (cue.start_ms, cue.person))


def together(marks: Sequence[Timed]) -> list[tuple[int, int, list[Timed]]]:
    """Stretches (start_ms, end_ms, marks) without overlap: time cut wherever a mark, or cue, begins or ends.

    marks in order of time. Time without one is left out; persons come in order of their numbers.
    """
    edges = sorted({edge for mark in marks for edge in (mark.start_ms, mark.end_ms)})
    stretches = []
    shown: list[Timed] = []
    waiting = list(reversed(marks))
    for start, end in pairwise(edges):
        shown = [mark for mark in shown if mark.end_ms > start]
        while waiting and waiting[-1].start_ms <= start:
            shown.append(waiting.pop())
        if shown:
            stretches.append((start, end, sorted(shown, key=lambda mark: mark.person)))
    return stretches


def _words(mark: Mark) -> str:
    return f"{one_line(mark.label)} {100 * mark.probability:.0f} %"
