"""What a model says of each film, row by row and not smoothed, and the same rows smoothed again and again.

An answer is one modality of one model. The model runs once for all of them; what is tried afterwards is
cheap.
"""

from __future__ import annotations

import dataclasses
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd

from cache.reader import StoreReader
from tools.timeline_bench.material import Film
from videofer.checkpoint import load_checkpoint
from videofer.synthetic.truth import Truth
from videofer.timeline.compare import main_person
from videofer.timeline.make import make_timeline
from videofer.timeline.rows import label_rows
from videofer.timeline.settings import Modality, Smoothing, TimelineSettings
from videofer.timeline.smoothing import smooth
from videofer.timeline.timeline import Timeline, probability_columns


@dataclass(frozen=True)
class Watched:
    """A film as one modality of one model sees it, not smoothed, and its truth."""

    film: str
    timeline: Timeline
    truth: pd.DataFrame  # t_start, t_end, label, intensity


@dataclass(frozen=True)
class Answer:
    """All films as one modality of one model sees them."""

    name: str  # "demo, fused"
    watched: tuple[Watched, ...]
    seconds_watched: float  # of video
    seconds_taken: float  # from the store to rows, all modalities of the model together


def answers_of(model_folder: Path, store: Path, films: Sequence[Film]) -> list[Answer]:
    """The answers of a model, one for each of its modalities.

    Only the person who is seen longest counts: the films show one person each.
    """
    model, reader = load_checkpoint(model_folder), StoreReader(store)
    keys = {Path(video.names[0]).stem: video.key for video in reader.videos()}
    plain = TimelineSettings(smoothing=Smoothing(method="none"))
    began = time.perf_counter()
    timelines = [_main_person(make_timeline(model, reader, keys[film.name], plain)) for film in films]
    seconds_taken = time.perf_counter() - began
    seconds = sum(timeline.duration_seconds for timeline in timelines)
    truths = [Truth.load(film.truth).table for film in films]
    return [
        Answer(
            f"{model_folder.name}, {modality}",
            tuple(
                Watched(film.name, _of_modality(timeline, modality), truth)
                for film, timeline, truth in zip(films, timelines, truths, strict=True)
            ),
            seconds,
            seconds_taken,
        )
        for modality in timelines[0].model.modalities
    ]


def _of_modality(timeline: Timeline, modality: Modality) -> Timeline:
    """The timeline with another modality's probabilities as the answer."""
    columns = probability_columns(timeline.classes, modality)
    p = timeline.rows[columns].to_numpy(dtype=np.float64)
    rows = timeline.rows.assign(
        **dict(zip(probability_columns(timeline.classes), (p / p.sum(axis=1, keepdims=True)).T, strict=True))
    )
    settings = timeline.settings.model_copy(update={"modality": modality})
    return settled(dataclasses.replace(timeline, rows=rows, settings=settings), settings)


def _main_person(timeline: Timeline) -> Timeline:
    """The timeline of the person who is seen longest alone."""
    main = main_person(timeline.rows)
    rows = timeline.rows[(timeline.rows["person"] == main).fillna(False).to_numpy(bool)]
    return dataclasses.replace(
        timeline,
        rows=rows.reset_index(drop=True),
        persons=tuple(person for person in timeline.persons if person.id == main),
    )


def settled(timeline: Timeline, settings: TimelineSettings) -> Timeline:
    """An unsmoothed timeline of one person with other settings of smoothing, abstention and segments; the
    modality stays.
    """
    settings = settings.model_copy(update={"modality": timeline.settings.modality})
    rows, columns = timeline.rows, probability_columns(timeline.classes)
    if rows.empty:
        return dataclasses.replace(timeline, settings=settings)
    said = smooth(
        rows[columns].to_numpy(dtype=np.float64),
        rows["t_start"].to_numpy(dtype=np.float64),
        rows["t_end"].to_numpy(dtype=np.float64),
        settings.smoothing,
        window_seconds=timeline.model.window_seconds,
    )
    labelled = label_rows(
        rows, said.probabilities, said.path, timeline.classes, timeline.modality, settings.min_confidence
    )
    return dataclasses.replace(timeline, rows=rows.assign(**_columns(labelled)), settings=settings)


def _columns(rows: pd.DataFrame) -> Mapping[str, pd.Series]:
    return {str(name): rows[name] for name in rows.columns}
