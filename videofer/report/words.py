"""The report in words: lengths, shares, the sentence at the top, the figures of each person, the facts."""

from __future__ import annotations

import unicodedata
from collections.abc import Sequence
from dataclasses import dataclass

from videofer.timeline.summary import PersonSummary, Summary
from videofer.timeline.timeline import UNCERTAIN, Timeline

MAX_TRANSITIONS = 12
MAX_NAMED = 3  # emotions in the sentence at the top
LEAST_NAMED = 0.05  # share of the time of an emotion that is named there
SURE = 0.995  # from here on nobody needs to be told how sure it is that a track is one person
SPACE = "\u00a0"
NONE, TIMES = "\u2013", "\u00d7"

STATE_WORDS = {
    "no_face": ("no face", "predicted from the body alone: no face is seen"),
    "absent": ("hidden", "the person is hidden; the answer comes from the moments around"),
    "no_prediction": ("no answer", "somebody is there, but too little of them is seen"),
    "no_person": ("nobody", "nobody is seen"),
    "not_decoded": ("not decoded", "the video could not be read here"),
}
"""State of a row -> name and explanation in a legend; `ok` needs none."""

_UNSEEN = ("Cc", "Cs", "Zl", "Zp")
_TURNING = frozenset("\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069")

MODALITY_WORDS = {"face": "Face", "body": "Body", "fused": "Fused"}


@dataclass(frozen=True)
class Share:
    """One line of a person's table."""

    label: str
    css: str  # class of its colour
    permille: int
    percent: str
    seconds: str
    segments: str
    first: float | None
    first_text: str
    threshold: str = ""  # of a class that holds or not by itself


@dataclass(frozen=True)
class PersonWords:
    """A person's part of the summary."""

    name: str
    presence: str
    shares: list[Share]
    shares_text: str
    figures: list[tuple[str, str]]
    transitions: list[tuple[str, str, str, str, int]]  # css and label, twice; times
    together: list[tuple[str, str, str, str, str]]  # css and label, twice; how long both hold
    has_affect: bool
    affect_text: str
    affect_origin: str
    """How valence and arousal came about: "derived", or "told by the model"."""


def shown(text: str) -> str:
    """A name as it may stand in a page: without control characters, without what is no character at all, and
    without marks that would turn the text around it.
    """
    kept = (c for c in text if unicodedata.category(c) not in _UNSEEN and c not in _TURNING)
    return "".join(kept) or "?"


def length(seconds: float) -> str:
    """ "19.7 s", "12 min 4 s", "2 h 3 min"."""
    if seconds < 59.95:
        return f"{seconds:.1f}{SPACE}s"
    whole = round(seconds)
    hours, minutes, rest = whole // 3600, whole // 60 % 60, whole % 60
    if hours:
        return f"{hours}{SPACE}h {minutes}{SPACE}min"
    return f"{minutes}{SPACE}min {rest}{SPACE}s"


def clock(seconds: float, *, hours: bool = False) -> str:
    """Media time: "1:02.3"; with hours "1:01:02.3"."""
    tenths = round(seconds * 10)
    minutes, rest = tenths // 600, tenths % 600 / 10
    if hours or minutes >= 60:
        return f"{minutes // 60}:{minutes % 60:02d}:{rest:04.1f}"
    return f"{minutes}:{rest:04.1f}"


def percent(share: float) -> str:
    """ "54 %"; what is there but is little is "< 1 %"."""
    if 0 < share < 0.01:
        return f"<{SPACE}1{SPACE}%"
    return f"{100 * share:.0f}{SPACE}%"


def opening(timeline: Timeline, summary: Summary) -> tuple[str, float]:
    """Who was seen over which time, and for how many seconds of all there is an answer."""
    over = length(timeline.duration_seconds)
    if not summary.persons:
        return f"Nobody was seen in these {over}.", 0.0
    people = summary.persons
    if len(people) == 1:
        given = people[0].name != f"person {people[0].person}"
        start = f"{shown(people[0].name) if given else 'One person'} over {over}."
    else:
        start = f"{_counted(len(people))} people over {over}."
    seconds = sum(one.seconds_predicted for one in people)
    return (start if seconds else f"{start} Of nobody was enough seen for an answer."), seconds


def lead(timeline: Timeline, summary: Summary) -> str:
    """The first sentences."""
    start, seconds = opening(timeline, summary)
    if not seconds:
        return start
    named = most_of_the_time(timeline, summary, seconds, MAX_NAMED)
    if not named:
        return f"{start} Nearly all of it is uncertain."
    said = [f"{shown(name)} {percent(share)}" for name, share in named]
    return f"{start} {sentence(said, len(summary.persons))}."


def most_of_the_time(
    timeline: Timeline, summary: Summary, seconds: float, most: int
) -> list[tuple[str, float]]:
    """The classes that hold longest, at most so many, and in what share of the seconds of all persons."""
    shares = {
        name: sum(one.share_holding[name] * one.seconds for one in summary.persons) / seconds
        for name in timeline.classes
    }
    ranked = sorted(shares.items(), key=lambda item: -item[1])
    return [(name, share) for name, share in ranked if share >= LEAST_NAMED][:most]


def sentence(said: Sequence[str], num_persons: int) -> str:
    """Shares of time as one sentence, without its end: `Happiness 60 % of the time, sadness 20 %`."""
    first, *others = said
    listed = ", ".join([f"{first} of {'the' if num_persons == 1 else 'their'} time", *others])
    return listed[:1].upper() + listed[1:]


def _counted(number: int) -> str:
    words = ("No", "One", "Two", "Three", "Four", "Five", "Six", "Seven", "Eight", "Nine", "Ten")
    return words[number] if number < len(words) else str(number)


def person_words(timeline: Timeline, one: PersonSummary) -> PersonWords:
    """What the summary says of one person."""
    hours = timeline.duration_seconds >= 3600
    certainty = next(p.certainty for p in timeline.persons if p.id == one.person)
    rows = timeline.rows_of(one.person)
    begin, end = (float(rows["t_start"].min()), float(rows["t_end"].max())) if len(rows) else (0.0, 0.0)
    shares = [
        share_words(timeline, one, label, share)
        for label, share in sorted(one.share_by_label.items(), key=lambda item: -item[1])
        if share > 0
    ]
    figures: list[tuple[str, str]] = []
    if one.segments_per_minute is not None:
        figures.append(("Segments", f"{one.num_segments}, that is {one.segments_per_minute:.1f} a minute"))
    if one.longest_segment is not None:
        longest = one.longest_segment
        at = clock(longest.onset, hours=hours)
        figures.append(("Longest", f"{shown(longest.label)}, {length(longest.duration)} from {at}"))
    has_affect = one.mean_valence is not None and one.mean_arousal is not None
    origin = "told by the model" if {"valence", "arousal"} <= set(timeline.model.dimensions) else "derived"
    affect_text = f"Valence and arousal over time, {origin}."
    if has_affect:
        values = f"{_signed(one.mean_valence)}, {_signed(one.mean_arousal)}"
        figures.append(("Mean valence, arousal", f"{values} ({origin})"))
        affect_text = f"Valence and arousal over time, {origin}; means {values}."
    if "dominance" in timeline.model.dimensions:
        figures.append(("Mean dominance", f"{_mean_dominance(timeline, one.person)} (told by the model)"))
    if certainty < SURE:
        figures.append(("One person throughout", f"{percent(certainty)} sure"))
    counts = [
        (css_of(timeline, a), shown(a), css_of(timeline, b), shown(b), count)
        for a, row in one.transitions.items()
        for b, count in row.items()
    ]
    return PersonWords(
        name=shown(one.name),
        presence=f"{clock(begin, hours=hours)} to {clock(end, hours=hours)}; "
        f"an answer for {length(one.seconds_predicted)} of {length(one.seconds)}",
        shares=shares,
        shares_text="Share of time: " + ", ".join(f"{s.label} {s.percent}" for s in shares),
        figures=figures,
        transitions=sorted(counts, key=lambda row: (-row[4], row[1], row[3]))[:MAX_TRANSITIONS],
        together=[],
        has_affect=has_affect,
        affect_text=affect_text,
        affect_origin=origin,
    )


def _mean_dominance(timeline: Timeline, person: int) -> str:
    """Over the time with a prediction."""
    rows = timeline.rows_of(person)
    rows = rows[rows["dominance"].notna()]
    seconds = (rows["t_end"] - rows["t_start"]).to_numpy(float)
    return _signed(float(rows["dominance"] @ seconds / seconds.sum())) if len(rows) else "-"


def share_words(timeline: Timeline, one: PersonSummary, label: str, share: float) -> Share:
    """The line of a label that a person shows for this share of the time."""
    first = one.first_onset.get(label)
    is_class = label in timeline.classes
    return Share(
        label=shown(label) if is_class or label == UNCERTAIN else STATE_WORDS[label][0],
        css=css_of(timeline, label),
        permille=round(1000 * share),
        percent=percent(share),
        seconds=length(share * one.seconds),
        segments=str(one.num_segments_by_label[label]) if is_class else NONE,
        first=first,
        first_text="" if first is None else clock(first, hours=timeline.duration_seconds >= 3600),
    )


def css_of(timeline: Timeline, label: str) -> str:
    """The class of a label's colour."""
    return f"e{timeline.classes.index(label)}" if label in timeline.classes else "none"


def _signed(value: float | None) -> str:
    assert value is not None
    return f"{value:+.2f}".replace("-", "\u2212")
