"""How far two sides agree about one person: by time, by segments, and in when an expression begins.

All by time: kappa and shares weigh a second as a second, however it is cut into rows. The reference is the
second side, as a rule the human; a lag above 0 means that the other one is later.
"""

from __future__ import annotations

import math
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
import pandas as pd

from cache.errors import UserError
from videofer.annotations.sides import Side
from videofer.emotions import in_order
from videofer.timeline.compare import (
    SegmentScore,
    cohen_kappa,
    confusion_seconds,
    onset_errors,
    segment_f1,
)
from videofer.timeline.plain import without_nan

NO_ANSWER = "no answer"
BACKGROUND = "neutral"  # no segment of an expression
IOU = 0.5


@dataclass(frozen=True, kw_only=True)
class LabelAgreement:
    """One emotion; seconds of the time for which both sides say something."""

    label: str
    seconds_reference: float
    seconds_said: float
    seconds_both: float

    @property
    def recall(self) -> float:
        return self.seconds_both / self.seconds_reference if self.seconds_reference else math.nan

    @property
    def precision(self) -> float:
        return self.seconds_both / self.seconds_said if self.seconds_said else math.nan

    @property
    def f1(self) -> float:
        total = self.seconds_reference + self.seconds_said
        return 2 * self.seconds_both / total if total else math.nan


@dataclass(frozen=True, kw_only=True)
class Agreement:
    """What two sides have in common."""

    said: str  # titles
    reference: str
    tolerance_seconds: float
    seconds_reference: float  # for which the reference says something, less what is near its changes
    seconds_compared: float  # of these: for which the other side does, too
    share_same: float  # of the seconds compared
    kappa: float  # Cohen's, over the seconds compared; NaN where chance explains everything
    labels: tuple[LabelAgreement, ...]
    confusion: pd.DataFrame  # seconds: rows reference, columns said, with NO_ANSWER as the last column
    segments: SegmentScore  # of expressions (not neutral) at an IoU of 0.5
    onsets: pd.DataFrame  # see `videofer.timeline.compare.onset_errors`, of expressions

    @property
    def onset_lag_seconds(self) -> float:
        """Median of said - reference; NaN where no segment is in both."""
        return float(self.onsets["error_seconds"].median()) if len(self.onsets) else math.nan

    def to_json(self) -> dict[str, Any]:
        """As JSON takes it: None for NaN."""
        values = {
            "said": self.said,
            "reference": self.reference,
            "tolerance_seconds": self.tolerance_seconds,
            "seconds_reference": self.seconds_reference,
            "seconds_compared": self.seconds_compared,
            "share_same": self.share_same,
            "cohen_kappa": self.kappa,
            "labels": [
                {**asdict(one), "recall": one.recall, "precision": one.precision, "f1": one.f1}
                for one in self.labels
            ],
            "confusion_seconds": {
                "reference": list(self.confusion.index),
                "said": list(self.confusion.columns),
                "seconds": self.confusion.to_numpy().tolist(),
            },
            "segments": {"iou": IOU, **asdict(self.segments)},
            "onset_lag": {
                "median_seconds": self.onset_lag_seconds,
                "median_absolute_seconds": float(self.onsets["error_seconds"].abs().median()),
                "count": len(self.onsets),
                "each": self.onsets.to_dict("records"),
            },
        }
        plain: dict[str, Any] = without_nan(values)
        return plain


def agreement(said: Side, reference: Side, *, tolerance_seconds: float = 0.0) -> Agreement:
    """Compare what was said with the reference.

    Time within `tolerance_seconds` of a change in the reference does not count for the figures by time.
    Segments of `said` of which most lies where the reference says nothing do not count.
    UserError where the two have no time in common.
    """
    answered = _filled(said.labels, reference.labels)
    seconds = confusion_seconds(reference.labels, answered, ignore_seconds=tolerance_seconds)
    both = seconds.drop(index=NO_ANSWER, columns=NO_ANSWER, errors="ignore")
    total = float(both.to_numpy().sum())
    if not total > 0:
        raise UserError(
            f"{said.title} and {reference.title} have no time in common that counts (tolerance"
            f" {tolerance_seconds:g} s, the reference speaks of {reference.labels['t_start'].min():g} to"
            f" {reference.labels['t_end'].max():g} s)"
        )
    segments = _expressions(said.segments)
    segments = segments[_mostly_within(segments, reference.labels)].reset_index(drop=True)
    expected = _expressions(reference.segments)
    labels = in_order(both.index)
    no_answer = seconds.get(NO_ANSWER, pd.Series(0.0, index=seconds.index)).reindex(labels)
    by_label = both.loc[labels, labels].to_numpy(dtype=float)  # (n, n)
    shown = both.loc[labels, labels].assign(**{NO_ANSWER: no_answer})
    return Agreement(
        said=said.title,
        reference=reference.title,
        tolerance_seconds=tolerance_seconds,
        seconds_reference=float(shown.to_numpy().sum()),
        seconds_compared=total,
        share_same=float(np.trace(both.to_numpy()) / total),
        kappa=cohen_kappa(both),
        labels=tuple(
            LabelAgreement(
                label=label,
                seconds_reference=float(by_label[place].sum()),
                seconds_said=float(by_label[:, place].sum()),
                seconds_both=float(by_label[place, place]),
            )
            for place, label in enumerate(labels)
        ),
        confusion=shown.rename_axis(index="reference", columns="said"),
        segments=segment_f1(expected, segments, IOU),
        onsets=onset_errors(expected, segments),
    )


def _filled(labels: pd.DataFrame, reference: pd.DataFrame) -> pd.DataFrame:
    """The labels, and NO_ANSWER wherever there is none within the time of the reference."""
    starts, ends = labels["t_start"].to_numpy(dtype=float), labels["t_end"].to_numpy(dtype=float)
    first = min(float(reference["t_start"].min()), *starts[:1])
    last = max(float(reference["t_end"].max()), *ends[-1:])
    gaps = pd.DataFrame(
        {"t_start": np.append(first, ends), "t_end": np.append(starts, last), "label": NO_ANSWER}
    )
    gaps = gaps[gaps["t_end"] > gaps["t_start"]]
    return pd.concat([labels, gaps], ignore_index=True).sort_values("t_start", ignore_index=True)


def _expressions(segments: pd.DataFrame) -> pd.DataFrame:
    return segments[segments["label"] != BACKGROUND].reset_index(drop=True)


def _mostly_within(segments: pd.DataFrame, labels: pd.DataFrame) -> np.ndarray:
    """Which segments (S,) have at least half of their time in intervals of `labels`."""
    start, end = (segments[name].to_numpy(dtype=float)[:, None] for name in ("t_start", "t_end"))
    from_, to = (labels[name].to_numpy(dtype=float)[None] for name in ("t_start", "t_end"))
    shared = np.maximum(0.0, np.minimum(end, to) - np.maximum(start, from_)).sum(axis=1)
    within: np.ndarray = shared >= 0.5 * (end - start)[:, 0]
    return within
