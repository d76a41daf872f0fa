"""What BORIS records: events on a clock that runs through one or more video files. Makes intervals of them.

An observation's clock is the time of its first player, plus a time offset; with several files in that player
it runs on from one to the next. A state begins and ends with an event each; a point event has no length.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Literal, NamedTuple

from videofer.annotations.intervals import Interval

NO_SUBJECT = "No focal subject"
TOUCH_SECONDS = 1e-3  # BORIS counts in milliseconds


class Event(NamedTuple):
    """One line of an observation."""

    t: float  # seconds on the observation's clock
    subject: str
    behavior: str
    modifiers: str
    status: Literal["START", "STOP", "POINT"]


@dataclass(frozen=True)
class Observation:
    """Whose clock it is."""

    name: str
    files: tuple[str, ...] = ()  # of the first player, with `/`; none: a live observation
    lengths: tuple[float, ...] | None = None  # seconds of each file, if known
    offset: float = 0.0  # seconds that BORIS added to the media's time


def pair_states(events: Iterable[Event], observation: Observation) -> tuple[list[Interval], list[str]]:
    """Intervals of an observation, and a line for each state that is not closed.

    A state belongs to its subject, behaviour and modifiers. The person of "No focal subject" is None; the
    observation's name is tier and rater.
    """
    intervals: list[Interval] = []
    notes: list[str] = []
    begun: dict[tuple[str, str, str], Event] = {}
    for event in sorted(events, key=lambda one: one.t):
        what = (event.subject, event.behavior, event.modifiers)
        if event.status == "POINT":
            intervals += placed(event, event.t, observation)
        elif event.status == "START" and what not in begun:
            begun[what] = event
        elif event.status == "STOP" and what in begun:
            intervals += placed(begun.pop(what), event.t, observation)
        else:
            notes.append(_unpaired(what, event.t, observation, event.status))
    notes += [_unpaired(what, event.t, observation, "START") for what, event in begun.items()]
    return intervals, notes


def placed(begin: Event, t_end: float, observation: Observation) -> list[Interval]:
    """What begins with an event, in media time of its file; where it runs on into the next one it is cut.

    ValueError where the files' lengths would have to be known and are not.
    """
    t_start, t_end = begin.t - observation.offset, t_end - observation.offset
    files = observation.files
    whole = Interval(
        begin.behavior,
        t_start,
        t_end,
        person=None if begin.subject in ("", NO_SUBJECT) else begin.subject,
        rater=observation.name,
        tier=observation.name,
        media=files[0] if files else None,
        modifiers="|".join(one for one in begin.modifiers.split("|") if one not in ("", "None")),
    )
    if len(files) <= 1:
        return [whole]
    if observation.lengths is None or len(observation.lengths) != len(files):
        raise ValueError(
            f"observation {observation.name!r} runs through {len(files)} videos of unknown length:"
            " give the .boris project, which has them"
        )
    parts = []
    begins = 0.0
    for place, (file, length) in enumerate(zip(files, observation.lengths, strict=True)):
        last = place == len(files) - 1
        start, end = max(t_start, begins), t_end if last else min(t_end, begins + length)
        here = begins <= t_start and (last or t_start < begins + length)
        if here or end - start > TOUCH_SECONDS:
            parts.append(whole._replace(t_start=start - begins, t_end=end - begins, media=file))
        begins += length
    return parts


def _unpaired(what: Sequence[str], t: float, observation: Observation, status: str) -> str:
    subject, behavior, _ = what
    lacks = "no end" if status == "START" else "no start"
    of = f" of {subject!r}" if subject not in ("", NO_SUBJECT) else ""
    return f"observation {observation.name!r}: {behavior!r}{of} at {t:g} s has {lacks} and is left out"
