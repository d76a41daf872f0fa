"""Rows of a stream as JSON documents: the columns of a timeline, without those that have no value."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from cache.schema import STATE_NAMES, State
from videofer.live.line import Row
from videofer.timeline.circumplex import valence_arousal
from videofer.timeline.rows import empty_rows, label_rows
from videofer.timeline.settings import MODALITIES, Modality, TimelineSettings
from videofer.timeline.timeline import AFFECT_COLUMNS, BOX_COLUMNS, probability_columns

if TYPE_CHECKING:
    import pandas as pd

    from videofer.checkpoint import TrainedModel

Document = dict[str, Any]
DECIMALS = 6  # microseconds, and probabilities far below their own uncertainty


class RowWriter:
    """Makes documents for one model and its settings."""

    def __init__(self, model: TrainedModel, settings: TimelineSettings) -> None:
        self.classes = model.labels
        self.modalities: tuple[Modality, ...] = tuple(one for one in MODALITIES if one in model.heads)
        self.modality: Modality = settings.modality or self.modalities[-1]
        self._min_confidence = settings.min_confidence

    def person(self, number: int, rows: Sequence[Row]) -> list[Document]:
        """Rows of one person."""
        if not rows:
            return []
        import pandas as pd

        drafts = [row.draft for row in rows]
        places = pd.DataFrame(
            {
                "person": pd.array([number] * len(rows), dtype="Int64"),
                "t_start": [draft.t_start for draft in drafts],
                "t_end": [draft.t_end for draft in drafts],
                "face_state": [STATE_NAMES[State(draft.face_state)] for draft in drafts],
                "body_state": [STATE_NAMES[State(draft.body_state)] for draft in drafts],
            }
        )
        probabilities = np.array([row.probabilities for row in rows])
        path = np.array([row.path for row in rows])
        table = label_rows(places, probabilities, path, self.classes, self.modality, self._min_confidence)
        affect = valence_arousal(probabilities, self.classes)
        documents = []
        for n, (draft, document) in enumerate(zip(drafts, _documents(table), strict=True)):
            for modality in self.modalities:
                names = probability_columns(self.classes, modality)
                _fill(document, names, draft.fused[modality].astype(np.float32))
            _fill(document, BOX_COLUMNS, draft.box_xyxy)
            _fill(document, AFFECT_COLUMNS, affect[n])
            documents.append(document)
        return documents

    def nobody(self, rows: pd.DataFrame) -> list[Document]:
        """Rows of `videofer.timeline.rows.empty_rows`."""
        nothing = np.full((len(rows), len(self.classes)), np.nan)
        return _documents(label_rows(rows, nothing, np.full(len(rows), -1), self.classes, self.modality))


def nobody_between(
    low: float,
    high: float,
    spans: Sequence[tuple[float, float]],
    decoded_until: float,
    hop_seconds: float,
    not_decoded: Sequence[tuple[float, float]],
) -> pd.DataFrame | None:
    """Rows of nobody in [low, high), media seconds, given where everybody is; None where there are none."""
    near = sorted((max(a, low), min(b, high)) for a, b in spans if a < high and b > low)
    at = low
    for start, end in near:
        if start > at:
            break
        at = max(at, end)
    if at >= high:
        return None
    return empty_rows([(min(low, 0.0) - 1.0, low), *near], decoded_until, high, hop_seconds, not_decoded)


def _documents(table: pd.DataFrame) -> list[Document]:
    documents = []
    for record in table.to_dict(orient="records"):
        document: Document = {"event": "row"}
        for name, value in record.items():
            if isinstance(value, float):
                if math.isfinite(value):
                    document[str(name)] = round(value, DECIMALS)
            elif isinstance(value, str):
                document[str(name)] = value
            elif name == "person":
                document["person"] = int(value) if isinstance(value, int) else None
        documents.append(document)
    return documents


def _fill(document: Document, names: Sequence[str], values: np.ndarray) -> None:
    for name, value in zip(names, values.tolist(), strict=True):
        if math.isfinite(value):
            document[name] = round(value, DECIMALS)
