"""What the index page knows of one video: its summary, and each person's probabilities over time in few bins.

A digest is JSON. Bins divide the whole video, so that videos of any length can be laid over each
other; a bin's value is the exact mean over the time in it, however the rows lie.
"""

from __future__ import annotations

import base64
import io
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from videofer.timeline.summary import summarise
from videofer.timeline.timeline import UNCERTAIN, probability_columns

if TYPE_CHECKING:
    from videofer.timeline.faces import FaceStrips
    from videofer.timeline.timeline import Timeline

BINS = 120
MAX_PERSONS = 24  # with paths in the digest; of a crowd, those who are there longest
FACE_PIXELS = 56
FULL = 255  # of a byte: probability 1, or all of a bin


def digest_of(timeline: Timeline, faces: FaceStrips | None = None) -> dict[str, Any]:
    """A JSON-able summary with a `curve` for each person, and a `face` of the person who is there longest.

    curve: base64 of (BINS, n + 1) uint8: mean probability of each class over the predicted time of the bin,
    and the share of the bin that is predicted, both in units of 1 / FULL. None for persons beyond
    MAX_PERSONS. face: base64 of a JPEG, or None. several: whether classes may hold at once.
    """
    digest = summarise(timeline).to_json()
    persons: list[dict[str, Any]] = digest["persons"]
    persons.sort(key=lambda one: (-one["seconds"], one["person"]))
    for place, person in enumerate(persons):
        person["curve"] = _curve(timeline, person["person"]) if place < MAX_PERSONS else None
    shown = (faces or {}).get(persons[0]["person"], ()) if persons else ()
    digest["face"] = _jpeg(shown[len(shown) // 2].crop) if shown else None
    digest["classes"] = list(timeline.classes)
    digest["several"] = timeline.thresholds is not None
    return digest


def bin_means(
    values: np.ndarray, t_start: np.ndarray, t_end: np.ndarray, edges: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Means over time between edges (B + 1,), and how many seconds of each bin have a value.

    values (R, n) hold over the rows' half-open times (R,), which rise and do not overlap; rows with NaN are
    missing. Returns (B, n), NaN where nothing is known, and (B,).
    """
    known = np.isfinite(values).all(axis=1)
    seconds = (t_end - t_start) * known
    weighted = np.nan_to_num(values) * seconds[:, None]
    # The integral from the beginning up to any time is piecewise linear, and flat between rows.
    times = np.stack([t_start, t_end], axis=1).reshape(-1)

    def integral(amounts: np.ndarray) -> np.ndarray:
        if not len(amounts):
            return np.zeros(len(edges))
        after = np.cumsum(amounts)
        sums = np.stack([after - amounts, after], axis=1).reshape(-1)
        return np.asarray(np.interp(edges, times, sums))

    covered = np.diff(integral(seconds))
    sums = np.stack([np.diff(integral(column)) for column in weighted.T], axis=1)
    covered = np.where(covered > 1e-9, covered, 0.0)
    with np.errstate(invalid="ignore", divide="ignore"):
        means = np.where(covered[:, None] > 0, sums / covered[:, None], np.nan)
    return means, covered


def curve_from(text: str, num_classes: int) -> tuple[np.ndarray, np.ndarray]:
    """The inverse of what a digest holds: probabilities (BINS, n) float64, and known shares (BINS,)."""
    raw = np.frombuffer(base64.b64decode(text), np.uint8).reshape(BINS, num_classes + 1) / FULL
    return raw[:, :-1], raw[:, -1]


def _curve(timeline: Timeline, person: int) -> str:
    rows = timeline.rows_of(person)
    edges = np.linspace(0.0, timeline.duration_seconds, BINS + 1)
    means, covered = bin_means(
        rows[probability_columns(timeline.classes)].to_numpy(np.float64),
        rows["t_start"].to_numpy(np.float64),
        rows["t_end"].to_numpy(np.float64),
        edges,
    )
    shares = covered / max(timeline.duration_seconds / BINS, 1e-12)
    raw = np.column_stack([np.nan_to_num(means), shares])
    return base64.b64encode(np.rint(FULL * raw.clip(0, 1)).astype(np.uint8).tobytes()).decode()


def _jpeg(crop: np.ndarray) -> str:
    from PIL import Image

    file = io.BytesIO()
    Image.fromarray(crop).resize((FACE_PIXELS, FACE_PIXELS), Image.Resampling.LANCZOS).save(
        file, "JPEG", quality=82
    )
    return base64.b64encode(file.getvalue()).decode()


def labels_of(digests: Sequence[Mapping[str, Any]]) -> list[str]:
    """Labels of rows that are no class (`uncertain`, states), over all videos, in order of appearance."""
    found: dict[str, None] = {}
    for digest in digests:
        for person in digest["persons"]:
            found.update(dict.fromkeys(person["share_by_label"]))
    classes = set(digests[0]["classes"]) if digests else set()
    return [label for label in found if label not in classes]


def shares_of(person: Mapping[str, Any]) -> dict[str, float]:
    """label -> share of a person's time in which it holds; those of classes that may hold at once overlap."""
    shares = {**person["share_by_label"], **person.get("share_holding", {})}
    if UNCERTAIN in shares and "share_none_holds" in person:
        shares[UNCERTAIN] = person["share_none_holds"]
    return shares
