"""Compare a timeline with the truth, by time and not by rows."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pandas as pd


@dataclass(frozen=True)
class Comparison:
    """How much of the time a timeline says what the truth says."""

    share_right: float  # of the seconds that count
    uar: float  # mean of recall over the labels of the truth
    recall: dict[str, float]  # label -> share of its seconds that are right
    seconds: float  # that count
    confusion: pd.DataFrame  # seconds: rows truth, columns predicted


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
    if not {"t_start", "t_end", "label"} <= set(truth.columns):
        raise ValueError(f"the truth needs the columns t_start, t_end, label, it has {list(truth.columns)}")
    merged = merge_labels(truth.sort_values("t_start", kind="stable"))
    if merged.empty:
        raise ValueError("the truth has no rows")
    if (merged["t_start"].to_numpy()[1:] < merged["t_end"].to_numpy()[:-1] - 1e-9).any():
        raise ValueError("the truth says two things about the same time")
    rows = timeline[timeline["person"].notna()]
    if person is None:
        person = next(iter(persons_by_presence(timeline)), None)
    rows = rows[rows["person"] == person].sort_values("t_start") if person is not None else rows

    changes = merged["t_start"].to_numpy()[1:]
    edges = np.unique(
        np.concatenate(
            [merged["t_start"], merged["t_end"], rows["t_start"], rows["t_end"],
             changes - ignore_seconds, changes + ignore_seconds]
        )
    )  # fmt: skip
    centres, lengths = (edges[:-1] + edges[1:]) / 2, np.diff(edges)
    true = _label_at(merged, centres)
    said = _label_at(rows, centres)
    near = np.array([np.abs(changes - centre).min(initial=np.inf) < ignore_seconds for centre in centres])
    counts = (true != "") & ~near
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


def persons_by_presence(timeline: pd.DataFrame) -> list[int]:
    """Persons of the timeline, those who are seen longest first."""
    rows = timeline[timeline["person"].notna()]
    seconds = (rows["t_end"] - rows["t_start"]).groupby(rows["person"].astype("int64")).sum()
    return [int(person) for person in seconds.sort_values(ascending=False, kind="stable").index.to_numpy()]


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


def _label_at(rows: pd.DataFrame, times: np.ndarray) -> np.ndarray:
    """The label of the row that holds each time, "" where none does."""
    if rows.empty:
        return np.full(len(times), "", dtype=object)
    at = np.searchsorted(rows["t_start"].to_numpy(dtype=float), times, side="right") - 1
    inside = (at >= 0) & (times < rows["t_end"].to_numpy(dtype=float)[np.maximum(at, 0)])
    labels: np.ndarray = np.where(inside, rows["label"].to_numpy(dtype=object)[np.maximum(at, 0)], "")
    return labels
