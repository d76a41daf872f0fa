"""Part of a timeline, and the same timeline in steps of another length. Both are timelines again."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import pairwise

import numpy as np
import pandas as pd

from videofer.timeline.circumplex import derived_affect
from videofer.timeline.rows import STATE_ORDER, cut, label_rows, nearest_boxes, paths_of
from videofer.timeline.several import paths_at
from videofer.timeline.timeline import (
    BOX_COLUMNS,
    Timeline,
    TimelineError,
    affect_columns,
    probability_columns,
)

MIN_STEP_SECONDS = 0.001
TOUCHING_SECONDS = 1e-6  # rows closer than this follow each other


def slice_timeline(
    timeline: Timeline, t_start: float, t_end: float, persons: Sequence[int] | None = None
) -> Timeline:
    """What the timeline says of [t_start, t_end), rows cut there, on the same media time.

    persons: whose rows are kept, by number; those of nobody are kept in any case. Persons who are not in the
    stretch are not in the slice. TimelineError where the stretch holds nothing of the video, or for a person
    that is not in the timeline.
    """
    if not t_start < t_end or t_end <= 0 or t_start >= timeline.duration_seconds:
        raise TimelineError(
            f"[{t_start:g}, {t_end:g}) s is no stretch of {timeline.video.name}, "
            f"which lasts from 0 to {timeline.duration_seconds:g} s"
        )
    known = [person.id for person in timeline.persons]
    wanted = known if persons is None else list(persons)
    if strangers := sorted(set(wanted) - set(known)):
        text = ", ".join(map(str, known)) or "nobody"
        raise TimelineError(f"{timeline.video.name} has no person {strangers[0]}: it has {text}")
    rows = timeline.rows
    inside = (rows["t_start"] < t_end) & (rows["t_end"] > t_start)
    inside &= rows["person"].isna() | rows["person"].isin(wanted)
    rows = rows[inside.to_numpy(bool)].reset_index(drop=True)
    rows["t_start"], rows["t_end"] = rows["t_start"].clip(lower=t_start), rows["t_end"].clip(upper=t_end)
    rows = rows.sort_values(["t_start", "person"], kind="stable", ignore_index=True)
    left = set(rows["person"].dropna().tolist())
    return replace(
        timeline, rows=rows, persons=tuple(person for person in timeline.persons if person.id in left)
    )


def resample_timeline(timeline: Timeline, step_seconds: float) -> Timeline:
    """The timeline in rows on the grid i * step_seconds, cut where somebody's evidence begins and ends.

    Probabilities are means over time. A row has a prediction where at least half of it has one; its state is
    the one that lasts longest, and its label follows anew from the probabilities (with Viterbi smoothing from
    the class that the path stays in longest). The box is that of the old row nearest to the middle.
    TimelineError for a step below a millisecond.
    """
    if not MIN_STEP_SECONDS <= step_seconds < np.inf:
        raise TimelineError(f"step_seconds is {step_seconds:g}, must be at least {MIN_STEP_SECONDS:g}")
    parts = [
        _resampled_run(timeline, run, step_seconds)
        for person in timeline.persons
        for run in _runs(timeline.rows_of(person.id))
    ]
    nobody = timeline.rows[timeline.rows["person"].isna()]
    parts += [_resampled_run(timeline, run, step_seconds) for run in _runs(nobody, by="state")]
    rows = pd.concat(parts, ignore_index=True) if parts else timeline.rows
    rows = rows.sort_values(["t_start", "person"], kind="stable", ignore_index=True)
    return replace(timeline, rows=rows, step_seconds=step_seconds)


def _runs(rows: pd.DataFrame, by: str | None = None) -> Iterator[pd.DataFrame]:
    """Rows that follow each other without a gap, and have the same value in the column `by`."""
    if rows.empty:
        return
    breaks = rows["t_start"].to_numpy()[1:] > rows["t_end"].to_numpy()[:-1] + TOUCHING_SECONDS
    if by is not None:
        breaks |= rows[by].to_numpy()[1:] != rows[by].to_numpy()[:-1]
    edges = [0, *(np.flatnonzero(breaks) + 1), len(rows)]
    for first, end in pairwise(edges):
        yield rows.iloc[first:end]


def _resampled_run(timeline: Timeline, old: pd.DataFrame, step_seconds: float) -> pd.DataFrame:
    """All columns of the new rows over a run of old ones."""
    t_start, t_end = old["t_start"].to_numpy(), old["t_end"].to_numpy()
    edges = cut(float(t_start[0]), float(t_end[-1]), step_seconds)
    overlaps = _Overlaps.of(edges, t_start, t_end)
    rows = pd.DataFrame(
        {
            "person": pd.array([old["person"].iloc[0]] * (len(edges) - 1), dtype="Int64"),
            "t_start": edges[:-1],
            "t_end": edges[1:],
            "face_state": overlaps.longest(old["face_state"].to_numpy(object)),
            "body_state": overlaps.longest(old["body_state"].to_numpy(object)),
        }
    )
    classes = timeline.classes
    path_old = paths_of(old, classes)
    seconds_of_class = overlaps.total(np.eye(len(classes) + 1)[path_old][:, :-1])  # (R, n)
    has_prediction = seconds_of_class.sum(axis=1) >= 0.5 * np.diff(edges) - TOUCHING_SECONDS
    probabilities = overlaps.mean(old[probability_columns(classes)].to_numpy(np.float64))
    probabilities[~has_prediction] = np.nan
    thresholds, reaches = timeline.thresholds, None
    if thresholds is not None:
        path, reaches = paths_at(probabilities, thresholds)
    else:
        is_path = timeline.settings.smoothing.method == "viterbi"
        by = seconds_of_class if is_path else np.nan_to_num(probabilities)
        path = np.where(has_prediction, by.argmax(axis=1), -1)
    least = timeline.settings.min_confidence
    rows = label_rows(rows, probabilities, path, classes, timeline.modality, least, reaches)
    columns = [
        column for modality in timeline.model.modalities for column in probability_columns(classes, modality)
    ]
    modalities = overlaps.mean(old[columns].to_numpy(np.float64)).astype(np.float32)
    boxes = nearest_boxes(rows, t_start, t_end, old[list(BOX_COLUMNS)].to_numpy(np.float32))
    tables = [
        pd.DataFrame(modalities, columns=columns),
        pd.DataFrame(boxes, columns=list(BOX_COLUMNS)),
        _affect(timeline, old, overlaps, probabilities),
    ]
    return pd.concat([rows, *tables], axis=1)


def _affect(
    timeline: Timeline, old: pd.DataFrame, overlaps: _Overlaps, probabilities: np.ndarray
) -> pd.DataFrame:
    """Valence, arousal and more of the new rows: means of what the model told, the others derived anew."""
    told = timeline.model.dimensions
    is_multi = timeline.thresholds is not None
    columns = derived_affect(probabilities, timeline.classes, is_multi)
    means = overlaps.mean(old[list(told)].to_numpy(np.float64))
    means[np.isnan(probabilities).any(axis=1)] = np.nan
    columns |= dict(zip(told, means.T, strict=True))
    return pd.DataFrame({name: columns[name] for name in affect_columns(told)})


@dataclass(frozen=True)
class _Overlaps:
    """How long which old row lies in which new one. Letters: O old rows, R new rows, P pieces of both."""

    new: np.ndarray  # (P,) int64
    old: np.ndarray  # (P,) int64
    seconds: np.ndarray  # (P,) float64
    num_new: int

    @staticmethod
    def of(edges: np.ndarray, t_start: np.ndarray, t_end: np.ndarray) -> _Overlaps:
        """edges (R + 1,) of the new rows; old rows [t_start, t_end) (O,) touch each other."""
        cuts = np.unique(np.concatenate([edges, t_start, t_end]))
        centres = (cuts[:-1] + cuts[1:]) / 2
        return _Overlaps(
            new=(np.searchsorted(edges, centres) - 1).clip(0, len(edges) - 2),
            old=(np.searchsorted(t_start, centres) - 1).clip(0),
            seconds=np.diff(cuts),
            num_new=len(edges) - 1,
        )

    def total(self, values: np.ndarray) -> np.ndarray:
        """values (O, m) per second -> (R, m) their integral over each new row."""
        totals = np.zeros((self.num_new, values.shape[1]))
        np.add.at(totals, self.new, values[self.old] * self.seconds[:, None])
        return totals

    def mean(self, values: np.ndarray) -> np.ndarray:
        """values (O, m) -> (R, m) their mean over the time in which they are known, NaN where never."""
        known = np.isfinite(values)
        totals, seconds = self.total(np.where(known, values, 0.0)), self.total(known.astype(np.float64))
        means: np.ndarray = np.full_like(totals, np.nan)
        np.divide(totals, seconds, out=means, where=seconds > 0)
        return means

    def longest(self, names: np.ndarray) -> np.ndarray:
        """names (O,) of states -> (R,) the one that lasts longest; of several the one that knows more."""
        seconds = self.total((names[:, None] == np.array(STATE_ORDER)).astype(np.float64))
        found: np.ndarray = np.array(STATE_ORDER, dtype=object)[seconds.argmax(axis=1)]
        return found
