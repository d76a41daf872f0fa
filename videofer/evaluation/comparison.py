"""What a comparison of two evaluations holds; `videofer.evaluation.compare` makes one."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pandas as pd

from videofer.evaluation.paired import Paired


@dataclass(frozen=True)
class Evaluation:
    """What `report.write_report` left in a folder."""

    path: Path
    title: str
    labels: tuple[str, ...]
    heads: tuple[str, ...]  # the model's answer last
    table: pd.DataFrame


@dataclass(frozen=True, kw_only=True)
class Comparison:
    """B against A."""

    a: Evaluation
    b: Evaluation
    num_common: int  # labelled intervals that both hold
    warnings: tuple[str, ...]
    pairs: dict[str, Paired]
    """The answers first, as "fused" or "face / fused", then the other heads that both have."""
    differing: pd.DataFrame
    """Common labelled intervals on which the answers differ: where only A is right first, then only B."""

    @property
    def answer(self) -> Paired:
        return next(iter(self.pairs.values()))

    def to_json(self) -> dict[str, Any]:
        """The content of compare.json."""
        return {
            "a": {"path": str(self.a.path), "title": self.a.title},
            "b": {"path": str(self.b.path), "title": self.b.title},
            "labels": list(self.a.labels),
            "num_common": self.num_common,
            "warnings": list(self.warnings),
            "pairs": {name: one.to_json() for name, one in self.pairs.items()},
            "num_differing": len(self.differing),
        }
