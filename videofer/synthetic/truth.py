"""What is known of a synthetic data set: its truth over time, the best any observer can do, and a control."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from videofer.synthetic.script import (
    BODY_LOOKS,
    FACE_LOOKS,
    LABELS,
    ORDER_PAIR,
    Script,
    hidden_shares,
)
from videofer.synthetic.takes import Take

TRUTH_COLUMNS = ("t_start", "t_end", "label", "intensity")
Modality = Literal["face", "body", "fused", "single_frame_face"]


@dataclass(frozen=True)
class Truth:
    """Labels over time: `table` has TRUTH_COLUMNS, half-open rows that tile [0, duration)."""

    table: pd.DataFrame

    @classmethod
    def load(cls, path: Path) -> Truth:
        """Read what `Truth.save` wrote. Raises ValueError if columns are missing."""
        table = pd.read_csv(path)
        missing = [name for name in TRUTH_COLUMNS if name not in table.columns]
        if missing:
            raise ValueError(
                f"{path}: no column {missing[0]!r}; a truth table has {', '.join(TRUTH_COLUMNS)}"
            )
        return cls(table)

    @classmethod
    def of_script(cls, script: Script) -> Truth:
        """The label where its intensity is at least 0.3, neutral elsewhere. intensity: mean over the row."""
        rows = []
        for start, end, label in script.intervals():
            instants = np.linspace(start, end, 200)
            rows.append((start, end, label, float(script.intensity(instants).mean())))
        return cls(pd.DataFrame(rows, columns=list(TRUTH_COLUMNS)))

    def save(self, path: Path) -> None:
        """Write as CSV with times to the microsecond."""
        self.table.to_csv(path, index=False, float_format="%.6f", lineterminator="\n")

    @property
    def duration(self) -> float:
        """Seconds."""
        return float(self.table["t_end"].iloc[-1])

    def label_at(self, t_seconds: NDArray[np.floating]) -> NDArray[np.str_]:
        """Labels at instants (N,). Raises ValueError for instants outside [0, duration)."""
        t = np.asarray(t_seconds, dtype=np.float64)
        if t.size and (t.min() < 0 or t.max() >= self.duration):
            raise ValueError(
                f"instants {t.min():.3f} to {t.max():.3f} s are not all in [0, {self.duration:.3f})"
            )
        rows = np.searchsorted(self.table["t_start"].to_numpy(), t, side="right") - 1
        return self.table["label"].to_numpy(dtype=str)[rows]

    def changes(self) -> NDArray[np.float64]:
        """Instants (M,) at which the label changes."""
        return self.table["t_start"].to_numpy(dtype=np.float64)[1:]


def shuffle_labels(manifest: pd.DataFrame, seed: int) -> pd.DataFrame:
    """A copy with the labels permuted within each split: a model trained on it must end at chance.

    Intervals stay with their videos; class counts per split stay the same.
    """
    rng = np.random.default_rng([seed, 31])
    labels = manifest["label"].to_numpy(dtype=object, copy=True)
    splits = (
        manifest["split"].to_numpy(dtype=str) if "split" in manifest.columns else np.full(len(labels), "")
    )
    for split in np.unique(splits):
        rows = np.flatnonzero(splits == split)
        labels[rows] = labels[rng.permutation(rows)]
    return manifest.assign(label=labels)


def seen(label: str, face_shown: bool, body_shown: bool, modality: Modality) -> str:
    """What a perfect observer of one modality sees of a take."""
    face = FACE_LOOKS[label] if face_shown else "rest"
    body = BODY_LOOKS[label] if body_shown else "rest"
    if modality == "face":
        return face
    if modality == "single_frame_face":  # both directions of the loop are the same frames
        return "loop" if face.startswith("loop") else face
    return body if modality == "body" else f"{face}+{body}"


def ideal_credit(label: str, face_shown: bool, body_shown: bool, modality: Modality) -> float:
    """Chance that the Bayes-optimal observer, who knows the design's shares, names this take's label."""
    look = seen(label, face_shown, body_shown, modality)
    likelihood = {other: _likelihood(other, look, modality) for other in LABELS}
    best = max(likelihood.values())
    candidates = [other for other, value in likelihood.items() if value == best]
    return 1 / len(candidates) if label in candidates else 0.0


def _likelihood(label: str, look: str, modality: Modality) -> float:
    """Share of a label's takes that look so; rounded, so that equal shares compare equal."""
    masked, still = hidden_shares(label)
    cases = ((True, True, 1 - masked - still), (False, True, masked), (True, False, still))
    return round(sum(share for f, b, share in cases if seen(label, f, b, modality) == look), 9)


def ceilings(takes: Iterable[Take], labels: tuple[str, ...] = LABELS) -> dict[str, float]:
    """Accuracy of the ideal observer on these takes, by modality, and of single frames on the order pair."""
    shown = []
    for take in takes:
        episode = take.script.episodes[0] if take.script.episodes else None
        if take.label in labels:
            shown.append(
                (take.label, episode is None or episode.face_shown, episode is None or episode.body_shown)
            )
    if not shown:
        raise ValueError(f"no take has a label in {', '.join(labels)}")
    modalities: tuple[Modality, ...] = ("face", "body", "fused", "single_frame_face")
    return {m: float(np.mean([ideal_credit(*case, m) for case in shown])) for m in modalities}


def order_pair_ceilings(takes: Iterable[Take]) -> dict[str, float]:
    """`ceilings` restricted to fear and surprise."""
    return ceilings(takes, ORDER_PAIR)
