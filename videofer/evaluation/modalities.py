"""Face, body and both together on the same labelled intervals: what fusion gains, and where they differ."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import product
from typing import Any

import pandas as pd

from videofer.evaluation.calibration import HEADS
from videofer.evaluation.metrics import Metrics
from videofer.evaluation.paired import Paired, paired
from videofer.evaluation.table import INTERVAL, one_row_each, rows_of, seen_by

_BOTH = (True, False)


@dataclass(frozen=True, kw_only=True)
class SideBySide:
    """The heads of a fused model on the labelled intervals that show both face and body."""

    num_samples: int
    num_left_out: int  # labelled intervals with one modality or none
    metrics: dict[str, Metrics]
    gains: dict[str, Paired]
    """"face", "body": the fused head (B) against this one (A)."""
    outcomes: dict[tuple[bool, bool, bool], int]
    """Labelled intervals by whether face, body and fused are right."""
    disagreements: pd.DataFrame
    """Labelled intervals on which the heads do not all say the same: those that fused has wrong first, the
    surest above. `<head>_p` is the probability of what the head says."""

    def to_json(self) -> dict[str, Any]:
        """A dict without NaN."""
        return {
            "num_samples": self.num_samples,
            "num_left_out": self.num_left_out,
            "heads": {head: metrics.to_json() for head, metrics in self.metrics.items()},
            "fused_minus": {
                head: {
                    name: values
                    for name, values in gain.to_json().items()
                    if name not in ("a", "b", "recall_difference", "recall_intervals")
                }
                for head, gain in self.gains.items()
            },
            "outcomes": [
                {**dict(zip(HEADS, right, strict=True)), "num_samples": count}
                for right, count in self.outcomes.items()
            ],
            "num_disagreements": len(self.disagreements),
        }


def side_by_side(table: pd.DataFrame, labels: Sequence[str], heads: Sequence[str]) -> SideBySide | None:
    """None for a model of one modality, and where no labelled interval shows both."""
    if tuple(heads) != HEADS:
        return None
    both = seen_by(table, "face", "body")
    if not len(both):
        return None
    each = one_row_each(both, labels, heads)
    right = [(each[f"{head}_label"] == each["label"]).tolist() for head in heads]
    counted = list(zip(*right, strict=True))
    num_all = len(table[list(INTERVAL)].drop_duplicates())
    return SideBySide(
        num_samples=len(each),
        num_left_out=num_all - len(each),
        metrics={head: rows_of(both, labels, head).measure(labels) for head in heads},
        gains={head: paired(both, head, both, "fused", labels) for head in ("face", "body")},
        outcomes={key: counted.count(key) for key in product(_BOTH, _BOTH, _BOTH)},
        disagreements=_disagreements(each, labels, heads),
    )


def _disagreements(each: pd.DataFrame, labels: Sequence[str], heads: Sequence[str]) -> pd.DataFrame:
    said = [f"{head}_label" for head in heads]
    rows = each[each[said].nunique(axis=1) > 1]
    columns = {name: rows[name] for name in ("name", "subject", "person", "t_start", "t_end", "label")}
    for head in heads:
        columns[f"{head}_label"] = rows[f"{head}_label"]
        columns[f"{head}_p"] = rows[[f"{head}_p_{name}" for name in labels]].max(axis=1)
    columns["fused_right"] = rows["fused_label"] == rows["label"]
    found = pd.DataFrame(columns)
    return found.sort_values(["fused_right", "fused_p"], ascending=[True, False], kind="stable").reset_index(
        drop=True
    )
