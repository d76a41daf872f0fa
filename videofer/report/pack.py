"""The rows of a timeline as bytes that a page reads into typed arrays without parsing: little-endian, base64.

Probabilities are kept as 1/255ths that add up to 255 exactly: what an eye can tell, in an eighth of the room.
Those of a model that says several classes at once have no such sum, but stay on their side of the threshold.
A row without a prediction has 0 everywhere. Valence and arousal are 1/127ths, -128 where there is none; boxes
are whole pixels, -32768 where there is none. Times stay exact.
"""

from __future__ import annotations

import base64
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from videofer.timeline.rows import STATES
from videofer.timeline.several import holding
from videofer.timeline.timeline import (
    AFFECT_COLUMNS,
    BOX_COLUMNS,
    UNCERTAIN,
    Timeline,
    probability_columns,
)

ALIGNMENT = 8
NO_AFFECT, NO_BOX = -128, -32768
MAX_PIXEL = 32767
TRACK_STATES = ("ok", "interpolated", "low_quality", "absent", "not_decoded")
"""Of faces and bodies, see `cache.schema.State`; numbered in this order."""


@dataclass(frozen=True)
class Packed:
    """Arrays in one piece of text. `layout`: name -> kind, offset in bytes, count of numbers."""

    layout: dict[str, tuple[str, int, int]]
    base64: str


def pack(arrays: Mapping[str, np.ndarray]) -> Packed:
    """Arrays of f8, u1, i1 or i2 one behind the other, each at a multiple of 8 bytes."""
    layout: dict[str, tuple[str, int, int]] = {}
    parts: list[bytes] = []
    offset = 0
    for name, array in arrays.items():
        kind = f"{array.dtype.kind}{array.dtype.itemsize}"
        assert kind in ("f8", "u1", "i1", "i2"), (name, kind)
        layout[name] = (kind, offset, array.size)
        content = np.ascontiguousarray(array, dtype=array.dtype.newbyteorder("<")).tobytes()
        parts.append(content + bytes(-len(content) % ALIGNMENT))
        offset += len(parts[-1])
    return Packed(layout, base64.b64encode(b"".join(parts)).decode("ascii"))


def labels_of(timeline: Timeline) -> tuple[str, ...]:
    """Every label that a row may have, in the order of their numbers in `pack_rows`."""
    return (*timeline.classes, UNCERTAIN, *STATES)


def pack_rows(timeline: Timeline, person: int) -> Packed:
    """One person's rows: t_start, t_end, label, state, face, body (numbers of names), valence, arousal, box
    (R, 4), and p_answer, p_face, p_body, p_fused (R, n), of these only what the model has.
    """
    rows = timeline.rows_of(person)
    thresholds = timeline.thresholds

    def packed(columns: list[str]) -> np.ndarray:
        values = rows[columns].to_numpy(np.float64)
        return quantised(values) if thresholds is None else quantised_questions(values, thresholds)

    arrays = {
        "t_start": rows["t_start"].to_numpy(np.float64),
        "t_end": rows["t_end"].to_numpy(np.float64),
        "label": _numbers(rows["label"], labels_of(timeline)),
        "state": _numbers(rows["state"], tuple(STATES)),
        "face": _numbers(rows["face_state"], TRACK_STATES),
        "body": _numbers(rows["body_state"], TRACK_STATES),
        "box": _pixels(rows[list(BOX_COLUMNS)].to_numpy(np.float64)),
        "p_answer": packed(probability_columns(timeline.classes)),
    }
    for name in AFFECT_COLUMNS:
        values = rows[name].to_numpy(np.float64)
        arrays[name] = np.where(np.isfinite(values), np.rint(np.nan_to_num(values) * 127), NO_AFFECT).astype(
            np.int8
        )
    for modality in timeline.model.modalities:
        arrays[f"p_{modality}"] = packed(probability_columns(timeline.classes, modality))
    return pack(arrays)


def quantised(probabilities: np.ndarray) -> np.ndarray:
    """(R, n) uint8 of probabilities (R, n): each within 1/255, a row's sum 255; rows with a NaN are 0."""
    known = np.isfinite(probabilities).all(axis=1)
    values = np.clip(np.where(known[:, None], probabilities, 0.0), 0.0, 1.0)
    total = values.sum(axis=1, keepdims=True)
    values = np.divide(values, total, out=np.zeros_like(values), where=total > 0)
    edges = np.rint(values.cumsum(axis=1) * 255)
    edges[(total > 0).ravel(), -1:] = 255  # whatever the sums of floats come to
    packed: np.ndarray = np.diff(edges, axis=1, prepend=0).astype(np.uint8)
    return packed


def threshold_steps(thresholds: np.ndarray) -> np.ndarray:
    """(n,) in (0, 1] -> (n,) uint8, in 1/255ths: the least that counts as at the threshold."""
    steps: np.ndarray = np.clip(np.ceil(thresholds * 255), 2, 255).astype(np.uint8)
    return steps


def quantised_questions(probabilities: np.ndarray, thresholds: np.ndarray) -> np.ndarray:
    """(R, n) uint8 of probabilities (R, n) of classes by themselves: each within 1/255 or so, and on the same
    side of its threshold (n,). No known row is all 0; rows with a NaN are.
    """
    known = np.isfinite(probabilities).all(axis=1)[:, None]
    values = np.rint(np.clip(np.nan_to_num(probabilities), 0.0, 1.0) * 255)
    steps = threshold_steps(thresholds).astype(np.float64)
    holds = holding(probabilities, thresholds)
    values = np.where(holds, np.maximum(values, steps), np.minimum(values, steps - 1))
    values[:, :1] = np.maximum(values[:, :1], np.where(values.any(axis=1, keepdims=True), 0, 1))
    packed: np.ndarray = np.where(known, values, 0).astype(np.uint8)
    return packed


def spans_without_person(timeline: Timeline) -> list[tuple[float, float, str]]:
    """Stretches (t_start, t_end, state) in which nobody is seen or nothing was decoded."""
    rows = timeline.rows[timeline.rows["person"].isna()]
    spans: list[tuple[float, float, str]] = []
    for start, end, state in zip(rows["t_start"], rows["t_end"], rows["state"], strict=True):
        if spans and spans[-1][2] == state and start - spans[-1][1] < 1e-6:
            spans[-1] = (spans[-1][0], float(end), state)
        else:
            spans.append((float(start), float(end), str(state)))
    return spans


def pack_segments(timeline: Timeline, segments: pd.DataFrame) -> Packed:
    """Columns of `find_segments`: person and label as places in `Timeline.persons` and classes."""
    person_of = {person.id: place for place, person in enumerate(timeline.persons)}
    arrays: dict[str, Any] = {
        "person": segments["person"].map(person_of).to_numpy(np.int16),
        "label": segments["label"].map({c: i for i, c in enumerate(timeline.classes)}).to_numpy(np.int16),
    }
    for name in ("onset", "apex", "offset", "mean_probability", "apex_probability"):
        arrays[name] = segments[name].to_numpy(np.float64)
    return pack(arrays)


def _numbers(names: pd.Series, known: tuple[str, ...]) -> np.ndarray:
    """Places of names among the known ones, (R,) uint8; 255 for any other."""
    place = {name: index for index, name in enumerate(known)}
    assert len(known) < 255, len(known)
    return np.array([place.get(name, 255) for name in names.to_numpy(object)], dtype=np.uint8)


def _pixels(boxes_xyxy: np.ndarray) -> np.ndarray:
    known = np.isfinite(boxes_xyxy).all(axis=1, keepdims=True)
    rounded = np.clip(np.rint(np.nan_to_num(boxes_xyxy)), -MAX_PIXEL, MAX_PIXEL)
    pixels: np.ndarray = np.where(known, rounded, NO_BOX).astype(np.int16)
    return pixels
