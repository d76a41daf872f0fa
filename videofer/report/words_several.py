"""The words of a report where the model says several classes at once: in how much of the time each holds."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from videofer.report import words
from videofer.report.words import LEAST_NAMED, PersonWords, Share, css_of, length, percent, shown
from videofer.timeline.several import NONE_HOLDS
from videofer.timeline.summary import PersonSummary, Summary
from videofer.timeline.timeline import UNCERTAIN, Timeline

MAX_NAMED = 4  # classes in the sentence at the top
MAX_PAIRS = 12


def lead(timeline: Timeline, summary: Summary) -> str:
    """The first sentences."""
    start, seconds = words.opening(timeline, summary)
    if not seconds:
        return start
    named = words.most_of_the_time(timeline, summary, seconds, MAX_NAMED)
    if not named:
        return f"{start} Nearly all of the time no class holds."
    said = [f"{shown(name)} in {percent(share)}" for name, share in named]
    none = sum(one.share_none_holds * one.seconds for one in summary.persons) / seconds
    if none >= LEAST_NAMED:
        said.append(f"no class in {percent(none)}")
    return f"{start} {words.sentence(said, len(summary.persons))}; several may hold at once."


def person_words(timeline: Timeline, one: PersonSummary, thresholds: np.ndarray) -> PersonWords:
    """What the summary says of one person. thresholds: (n,)."""
    shares = _shares(timeline, one, thresholds)
    pairs = sorted(
        ((a, b, seconds) for a, row in one.seconds_together.items() for b, seconds in row.items()),
        key=lambda pair: -pair[2],
    )
    together = [
        (css_of(timeline, a), shown(a), css_of(timeline, b), shown(b), length(seconds))
        for a, b, seconds in pairs[:MAX_PAIRS]
    ]
    text = "Share of time in which each holds: " + ", ".join(f"{s.label} {s.percent}" for s in shares)
    return replace(
        words.person_words(timeline, one), shares=shares, shares_text=text, together=together, transitions=[]
    )


def _shares(timeline: Timeline, one: PersonSummary, thresholds: np.ndarray) -> list[Share]:
    """A line for each class that ever holds, most of the time first; then for none, and for states."""
    ranked = sorted(one.share_holding.items(), key=lambda item: -item[1])
    lines = [
        replace(
            words.share_words(timeline, one, name, share),
            threshold=percent(float(thresholds[timeline.classes.index(name)])),
        )
        for name, share in ranked
        if share > 0
    ]
    others = {UNCERTAIN: one.share_none_holds} | {
        state: share
        for state, share in one.share_by_label.items()
        if state not in timeline.classes and state != UNCERTAIN
    }
    for label, share in others.items():
        if share > 0:
            line = words.share_words(timeline, one, label, share)
            lines.append(replace(line, label=NONE_HOLDS) if label == UNCERTAIN else line)
    return lines
