"""Compare intervals with intervals: a timeline with the truth, with an annotation, two annotators.

Tables of intervals have the columns t_start, t_end (media seconds, half-open), label and, where several
persons are meant, person. All is counted by time and not by rows.
"""

from __future__ import annotations

from collections.abc import Hashable
from dataclasses import dataclass

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from videofer.emotions import in_order

INTERVAL_COLUMNS = ("t_start", "t_end", "label")
SAME_SECONDS = 1e-9  # intervals that overlap by less than this touch


@dataclass(frozen=True)
class Comparison:
    """How much of the time a timeline says what the truth says."""

    share_right: float  # of the seconds that count
    uar: float  # mean of recall over the labels of the truth
    recall: dict[str, float]  # label -> share of its seconds that are right
    seconds: float  # that count
    confusion: pd.DataFrame  # seconds: rows truth, columns predicted


@dataclass(frozen=True)
class SegmentScore:
    """How many segments were found again. Without segments on one side, what divides by them is NaN."""

    precision: float  # share of what was said that is in the truth
    recall: float  # share of the truth that was said
    f1: float  # NaN where neither has segments
    num_matched: int
    num_truth: int
    num_said: int


def compare_with_truth(
    timeline: pd.DataFrame,
    truth: pd.DataFrame,
    *,
    ignore_seconds: float = 0.2,
    person: int | None = None,
) -> Comparison:
    """Compare the labels of one person with a truth of t_start, t_end, label (media seconds, half-open).

    Time within `ignore_seconds` of a change in the truth does not count. Time for which the timeline has
    no emotion counts as wrong. Without `person` the one who is seen longest is meant.
    Raises ValueError where the truth is empty or overlaps itself.
    """
    merged = merge_labels(_checked(truth, "the truth").sort_values("t_start", kind="stable"))
    if merged.empty:
        raise ValueError("the truth has no rows")
    rows = timeline[timeline["person"].notna()]
    if person is None:
        person = main_person(timeline)
    rows = rows[rows["person"] == person].sort_values("t_start") if person is not None else rows

    changes = merged["t_start"].to_numpy()[1:]
    true, said, lengths = _labels_side_by_side(merged, rows, changes, ignore_seconds)
    counts = true != ""
    if not counts.any():
        raise ValueError(f"no time of the truth is further than {ignore_seconds} s from a change")
    true, said, lengths = true[counts], said[counts], lengths[counts]

    confusion = (
        pd.DataFrame({"true": true, "predicted": said, "seconds": lengths})
        .pivot_table(index="true", columns="predicted", values="seconds", aggfunc="sum", fill_value=0.0)
        .rename_axis(index="truth")
    )
    right = true == said
    recall = {
        str(label): float(lengths[right & (true == label)].sum() / lengths[true == label].sum())
        for label in sorted(set(true))
    }
    return Comparison(
        share_right=float(lengths[right].sum() / lengths.sum()),
        uar=float(np.mean(list(recall.values()))),
        recall=recall,
        seconds=float(lengths.sum()),
        confusion=confusion,
    )


def confusion_seconds(
    first: pd.DataFrame, second: pd.DataFrame, *, ignore_seconds: float = 0.0
) -> pd.DataFrame:
    """Seconds for each pair of labels, over the time for which both tables have one: rows first, columns
    second, the same labels in the same order on both sides.

    Each table is of one person. Time within `ignore_seconds` of a change in `first` does not count.
    Raises ValueError where a table overlaps itself.
    """
    one = merge_labels(_checked(first, "the first table").sort_values("t_start", kind="stable"))
    two = merge_labels(_checked(second, "the second table").sort_values("t_start", kind="stable"))
    changes = np.unique(np.concatenate([one["t_start"], one["t_end"]])) if ignore_seconds else np.empty(0)
    a, b, lengths = _labels_side_by_side(one, two, changes, ignore_seconds)
    both = (a != "") & (b != "")
    labels = in_order({*one["label"], *two["label"]})
    place = {label: index for index, label in enumerate(labels)}
    seconds = np.zeros((len(labels), len(labels)))
    for label_a, label_b, length in zip(a[both], b[both], lengths[both], strict=True):
        seconds[place[label_a], place[label_b]] += length
    return pd.DataFrame(
        seconds, index=pd.Index(labels, name="first"), columns=pd.Index(labels, name="second")
    )


def cohen_kappa(confusion: pd.DataFrame | NDArray[np.floating]) -> float:
    """Cohen's kappa of a square confusion, here in seconds: agreement beyond chance, 1 at most, 0 at chance.

    NaN where there is no time, or where both say one and the same label all the time: then chance explains
    everything. Cohen, "A coefficient of agreement for nominal scales", Educational and Psychological
    Measurement 20(1), 1960.
    """
    seconds = np.asarray(confusion, dtype=np.float64)
    if seconds.ndim != 2 or seconds.shape[0] != seconds.shape[1]:
        raise ValueError(f"a confusion is square, not {seconds.shape}")
    total = seconds.sum()
    if not total > 0:
        return float("nan")
    observed = float(np.trace(seconds) / total)
    chance = float(seconds.sum(axis=1) @ seconds.sum(axis=0) / total**2)
    return (observed - chance) / (1 - chance) if chance < 1 - 1e-12 else float("nan")


def segment_f1(truth: pd.DataFrame, said: pd.DataFrame, iou: float = 0.5) -> SegmentScore:
    """How many segments of the truth were said, and the other way round.

    Two segments match where person (if both tables have the column) and label are the same and their
    intersection over union is at least `iou`; each matches at most one, and as many match as can.
    """
    matched = len(match_segments(truth, said, iou))
    num_truth, num_said = len(truth), len(said)
    return SegmentScore(
        precision=matched / num_said if num_said else float("nan"),
        recall=matched / num_truth if num_truth else float("nan"),
        f1=2 * matched / (num_truth + num_said) if num_truth + num_said else float("nan"),
        num_matched=matched,
        num_truth=num_truth,
        num_said=num_said,
    )


def onset_errors(truth: pd.DataFrame, said: pd.DataFrame) -> pd.DataFrame:
    """label, onset_truth, onset_said, error_seconds (said - truth) for each segment of the truth that
    overlaps one of the same label (and person) that was said, in order of time.

    One segment belongs to at most one; the pairs are those that overlap best. What was missed or made up
    has no onset error: give the number of pairs beside their median, and `segment_f1`.
    """
    pairs = match_segments(truth, said, 0.0)
    a, b = [i for i, _ in pairs], [j for _, j in pairs]
    onset_truth = truth["t_start"].to_numpy(dtype=np.float64)[a]
    onset_said = said["t_start"].to_numpy(dtype=np.float64)[b]
    table = pd.DataFrame(
        {
            "label": truth["label"].to_numpy(dtype=object)[a],
            "onset_truth": onset_truth,
            "onset_said": onset_said,
            "error_seconds": onset_said - onset_truth,
        }
    )
    return table.sort_values("onset_truth", kind="stable", ignore_index=True)


def match_segments(truth: pd.DataFrame, said: pd.DataFrame, iou: float) -> list[tuple[int, int]]:
    """Pairs of positions (in truth, in said): as many as can be, and of those the ones that overlap best.

    A pair has one label (and one person, if both tables say whom), overlaps, and has at least `iou`.
    """
    from scipy.optimize import linear_sum_assignment

    if not 0 <= iou <= 1:
        raise ValueError(f"iou is {iou}, must be between 0 and 1")
    by_person = "person" in truth.columns and "person" in said.columns
    groups, said_groups = _groups(truth, by_person), _groups(said, by_person)
    pairs: list[tuple[int, int]] = []
    for name, rows in groups.items():
        columns = said_groups.get(name, [])
        overlap = _overlaps(truth.iloc[rows], said.iloc[columns])  # (A, B)
        allowed = (overlap > 0) & (overlap >= iou - SAME_SECONDS)
        worth = np.where(allowed, 1.0 + min(overlap.shape) + overlap, 0.0)  # one more pair outweighs all else
        chosen = linear_sum_assignment(worth, maximize=True)
        pairs += [(rows[i], columns[j]) for i, j in zip(*chosen, strict=True) if allowed[i, j]]
    return sorted(pairs)


def persons_by_presence(timeline: pd.DataFrame) -> list[int]:
    """Persons of the timeline, those who are seen longest first."""
    rows = timeline[timeline["person"].notna()]
    seconds = (rows["t_end"] - rows["t_start"]).groupby(rows["person"].astype("int64")).sum()
    return [int(person) for person in seconds.sort_values(ascending=False, kind="stable").index.to_numpy()]


def main_person(timeline: pd.DataFrame) -> int | None:
    """Who is seen longest, of equals the first; None where nobody is seen."""
    return next(iter(persons_by_presence(timeline)), None)


def merge_labels(rows: pd.DataFrame) -> pd.DataFrame:
    """Rows in order of time -> t_start, t_end, label, where rows that touch and say the same are one."""
    if rows.empty:
        return pd.DataFrame(
            {"t_start": np.empty(0), "t_end": np.empty(0), "label": np.empty(0, dtype=object)}
        )
    start, end = rows["t_start"].to_numpy(dtype=float), rows["t_end"].to_numpy(dtype=float)
    label = rows["label"].to_numpy(dtype=object)
    new = np.concatenate([[True], (label[1:] != label[:-1]) | (start[1:] > end[:-1] + 1e-6)])
    last = np.concatenate([new[1:], [True]])
    return pd.DataFrame({"t_start": start[new], "t_end": end[last], "label": label[new]})


def _checked(table: pd.DataFrame, what: str) -> pd.DataFrame:
    """A table of one person's intervals; ValueError where columns are missing or it overlaps itself."""
    if not set(INTERVAL_COLUMNS) <= set(table.columns):
        raise ValueError(f"{what} needs the columns t_start, t_end, label, it has {list(table.columns)}")
    ordered = table.sort_values("t_start", kind="stable")
    if (ordered["t_start"].to_numpy()[1:] < ordered["t_end"].to_numpy()[:-1] - SAME_SECONDS).any():
        raise ValueError(f"{what} says two things about the same time")
    return table


def _labels_side_by_side(
    first: pd.DataFrame, second: pd.DataFrame, changes: NDArray[np.float64], ignore_seconds: float
) -> tuple[NDArray[np.object_], NDArray[np.object_], NDArray[np.float64]]:
    """Labels (P,) of both tables, "" where one has none, and lengths (P,) of the pieces in which neither
    changes. Pieces nearer than `ignore_seconds` to a change are left out.
    """
    edges = np.unique(
        np.concatenate(
            [first["t_start"], first["t_end"], second["t_start"], second["t_end"],
             changes - ignore_seconds, changes + ignore_seconds]
        )
    )  # fmt: skip
    centres, lengths = (edges[:-1] + edges[1:]) / 2, np.diff(edges)
    marks = np.concatenate([[-np.inf], changes, [np.inf]])
    after = np.searchsorted(marks, centres)
    counts = np.minimum(marks[after] - centres, centres - marks[after - 1]) >= ignore_seconds
    centres, lengths = centres[counts], lengths[counts]
    return _label_at(first, centres), _label_at(second, centres), lengths


def _groups(table: pd.DataFrame, by_person: bool) -> dict[tuple[Hashable, ...], list[int]]:
    """(person, label) -> positions of rows."""
    persons = table["person"].tolist() if by_person else [None] * len(table)
    groups: dict[tuple[Hashable, ...], list[int]] = {}
    for position, name in enumerate(zip(persons, table["label"], strict=True)):
        groups.setdefault(name, []).append(position)
    return groups


def _overlaps(first: pd.DataFrame, second: pd.DataFrame) -> NDArray[np.float64]:
    """(A, B) intersection over union of intervals."""
    start_a, end_a = (first[name].to_numpy(dtype=np.float64)[:, None] for name in ("t_start", "t_end"))
    start_b, end_b = (second[name].to_numpy(dtype=np.float64)[None] for name in ("t_start", "t_end"))
    common = np.maximum(0.0, np.minimum(end_a, end_b) - np.maximum(start_a, start_b))
    union = (end_a - start_a) + (end_b - start_b) - common
    shares: NDArray[np.float64] = np.divide(common, union, out=np.zeros_like(common), where=union > 0)
    return shares


def _label_at(rows: pd.DataFrame, times: np.ndarray) -> NDArray[np.object_]:
    """The label of the row that holds each time, "" where none does."""
    if rows.empty:
        return np.full(len(times), "", dtype=object)
    at = np.searchsorted(rows["t_start"].to_numpy(dtype=float), times, side="right") - 1
    inside = (at >= 0) & (times < rows["t_end"].to_numpy(dtype=float)[np.maximum(at, 0)])
    labels: NDArray[np.object_] = np.where(
        inside, rows["label"].to_numpy(dtype=object)[np.maximum(at, 0)], ""
    )
    return labels
