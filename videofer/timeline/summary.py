"""What a timeline says in a few figures, for each person and for the video."""

from __future__ import annotations

import math
from dataclasses import asdict, dataclass
from itertools import pairwise
from typing import Any

import numpy as np
import pandas as pd

from videofer.timeline.segments import find_segments
from videofer.timeline.several import classes_held, time_shares
from videofer.timeline.timeline import Timeline, probability_columns

TRANSITION_SECONDS = 2.0
"""Segments further apart than this are no transition."""


@dataclass(frozen=True, kw_only=True)
class LongestSegment:
    """The longest segment of a person."""

    label: str
    onset: float  # media seconds
    offset: float
    duration: float  # seconds


@dataclass(frozen=True, kw_only=True)
class PersonSummary:
    """Of one person. Shares are of the time from the first to the last evidence of the person, less what
    could not be decoded.
    """

    person: int
    name: str
    seconds: float  # that the rows of the person last
    seconds_predicted: float  # of them with a prediction
    share_by_label: dict[
        str, float
    ]  # label -> share of `seconds`: classes, `uncertain`, states; adds up to 1
    share_holding: dict[str, float]
    """class -> share of `seconds` in which it holds: is the label or, of a model that says several classes at
    once, at its threshold. Those of several add up to more or less than 1."""
    share_none_holds: float  # of `seconds`: with a prediction in which no class holds
    share_by_state: dict[str, float]  # state -> share of `seconds`; adds up to 1
    mean_probability: dict[str, float | None]  # class -> mean over the time with a prediction
    mean_valence: float | None  # derived, see `videofer.timeline.circumplex`
    mean_arousal: float | None
    num_segments: int
    num_segments_by_label: dict[str, int]  # class -> segments
    segments_per_minute: float | None  # of `seconds_predicted`
    first_onset: dict[str, float | None]  # class -> media seconds at which its first segment begins
    longest_segment: LongestSegment | None
    transitions: dict[str, dict[str, int]]
    """from -> to -> how often a segment of one class is followed by one of another, at most
    TRANSITION_SECONDS later. Empty where segments overlap: of a model that says several classes at once."""
    seconds_together: dict[str, dict[str, float]]
    """class -> a class after it -> seconds in which both hold, where they ever do; else empty."""


@dataclass(frozen=True, kw_only=True)
class Summary:
    """Of a video."""

    video: str
    duration_seconds: float
    num_persons: int
    seconds_no_person: float  # in which nobody is seen
    seconds_not_decoded: float  # that could not be read
    persons: tuple[PersonSummary, ...]

    def to_json(self) -> dict[str, Any]:
        """As JSON takes it: numbers, strings, lists, and None for what is not known."""
        values = asdict(self)
        return values | {"persons": list(values["persons"])}


def summarise(timeline: Timeline, segments: pd.DataFrame | None = None) -> Summary:
    """Figures of a timeline. segments: what `find_segments` found, if it has been asked before."""
    if segments is None:
        segments = find_segments(timeline)
    rows = timeline.rows
    nobody = rows[rows["person"].isna()]
    seconds = nobody["t_end"] - nobody["t_start"]
    return Summary(
        video=timeline.video.name,
        duration_seconds=timeline.duration_seconds,
        num_persons=len(timeline.persons),
        seconds_no_person=float(seconds[nobody["state"] == "no_person"].sum()),
        seconds_not_decoded=float(seconds[nobody["state"] == "not_decoded"].sum()),
        persons=tuple(
            _person_summary(timeline, person.id, person.name, segments[segments["person"] == person.id])
            for person in timeline.persons
        ),
    )


def _person_summary(timeline: Timeline, person: int, name: str, segments: pd.DataFrame) -> PersonSummary:
    rows = timeline.rows_of(person)
    seconds = (rows["t_end"] - rows["t_start"]).to_numpy(dtype=np.float64)
    p = rows[probability_columns(timeline.classes)].to_numpy(dtype=np.float64)
    predicted = np.isfinite(p).all(axis=1)
    seconds_predicted = float(seconds[predicted].sum())

    def mean(values: np.ndarray) -> float | None:
        """Over the time with a prediction."""
        value = (
            float(values[predicted] @ seconds[predicted] / seconds_predicted)
            if seconds_predicted
            else math.nan
        )
        return value if math.isfinite(value) else None

    holds = classes_held(rows["label"].tolist(), p, timeline.classes, timeline.thresholds)  # (R, n)
    first = segments.groupby("label")["onset"].min()
    counts = segments["label"].value_counts()
    return PersonSummary(
        person=person,
        name=name,
        seconds=float(seconds.sum()),
        seconds_predicted=seconds_predicted,
        share_by_label=_shares(rows["label"], seconds, timeline.classes),
        share_holding={
            c: float(share)
            for c, share in zip(timeline.classes, time_shares(seconds, holds).tolist(), strict=True)
        },
        share_none_holds=float(time_shares(seconds, (predicted & ~holds.any(axis=1))[:, None])[0]),
        share_by_state=_shares(rows["state"], seconds),
        mean_probability={c: mean(p[:, i]) for i, c in enumerate(timeline.classes)},
        mean_valence=mean(rows["valence"].to_numpy(dtype=np.float64)),
        mean_arousal=mean(rows["arousal"].to_numpy(dtype=np.float64)),
        num_segments=len(segments),
        num_segments_by_label={c: int(counts.get(c, 0)) for c in timeline.classes},
        segments_per_minute=60 * len(segments) / seconds_predicted if seconds_predicted else None,
        first_onset={c: float(first[c]) if c in first else None for c in timeline.classes},
        longest_segment=_longest(segments),
        transitions=_transitions(segments) if timeline.thresholds is None else {},
        seconds_together=_together(timeline.classes, seconds, holds),
    )


def _together(
    classes: tuple[str, ...], seconds: np.ndarray, holds: np.ndarray
) -> dict[str, dict[str, float]]:
    """holds (R, n) -> class -> a class after it -> seconds in which both hold."""
    common = (holds * seconds[:, None]).T @ holds.astype(np.float64)  # (n, n)
    pairs: dict[str, dict[str, float]] = {}
    for i, j in np.argwhere(np.triu(common, 1) > 0).tolist():
        pairs.setdefault(classes[i], {})[classes[j]] = float(common[i, j])
    return pairs


def _shares(names: pd.Series, seconds: np.ndarray, always: tuple[str, ...] = ()) -> dict[str, float]:
    """name -> its share of the seconds; those of `always` first, even where they are 0."""
    total = seconds.sum()
    sums = pd.Series(seconds).groupby(names.to_numpy(dtype=object)).sum()
    order = [*always, *sorted(name for name in sums.index if name not in always)]
    return {name: float(sums.get(name, 0.0) / total) if total else 0.0 for name in order}


def _longest(segments: pd.DataFrame) -> LongestSegment | None:
    if segments.empty:
        return None
    row = segments.iloc[int(segments["duration"].to_numpy().argmax())]
    return LongestSegment(
        label=str(row["label"]),
        onset=float(row["onset"]),
        offset=float(row["offset"]),
        duration=float(row["duration"]),
    )


def _transitions(segments: pd.DataFrame) -> dict[str, dict[str, int]]:
    ordered = segments.sort_values("onset", kind="stable")
    steps = zip(ordered["label"], ordered["onset"], ordered["offset"], strict=True)
    counts: dict[str, dict[str, int]] = {}
    for (label, _, offset), (following, onset, _) in pairwise(steps):
        if following != label and onset - offset <= TRANSITION_SECONDS:
            row = counts.setdefault(label, {})
            row[following] = row.get(following, 0) + 1
    return counts
