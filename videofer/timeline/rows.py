"""The rows of a timeline: one for each person and hop, and rows for the time in which nobody is seen.

Rows lie on a grid of `hop_seconds` from media time 0 and are cut where a person's evidence begins and
ends, so that times are exact. Together they tile [0, duration): every instant has at least one row.
What a row says of itself stands in its `state`, see `STATES`.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pandas as pd

from cache.schema import SEEN_STATES, STATE_NAMES, State
from videofer.timeline.settings import Modality
from videofer.timeline.timeline import UNCERTAIN, probability_columns

STATES = {
    "ok": "a face (or, for a model of bodies, a body) is seen in this row",
    "no_face": "predicted from the body alone: no face is seen in this row",
    "absent": "the person is hidden in this row; the prediction comes from the windows around it",
    "no_prediction": "a person is there, but no window around it shows enough",
    "no_person": "nobody is seen",
    "not_decoded": "the video could not be read here",
}

STATE_ORDER = ("ok", "interpolated", "low_quality", "absent", "not_decoded", "no_person")
"""`face_state` and `body_state`: of two that last equally long the first counts, as it knows more."""

Spans = Sequence[tuple[float, float]]
"""Half-open stretches of media seconds."""

ROW_COLUMNS = ("person", "t_start", "t_end", "face_state", "body_state")


def cut(t_start: float, t_end: float, hop_seconds: float) -> np.ndarray:
    """Edges (R+1,) of the rows in [t_start, t_end): both ends and every grid line i * hop between them.

    A grid line closer than a microsecond to an end is that end: times are stored with rounding, and a row
    of a nanosecond is of use to nobody.
    """
    if hop_seconds <= 0:
        raise ValueError(f"hop_seconds is {hop_seconds}, must be above 0")
    if t_end <= t_start:
        return np.array([t_start])
    tolerance = min(1e-6, (t_end - t_start) / 4)
    first = int(np.floor(t_start / hop_seconds))
    last = int(np.ceil(t_end / hop_seconds))
    inner = np.arange(first, last + 1) * hop_seconds
    inner = inner[(inner > t_start + tolerance) & (inner < t_end - tolerance)]
    return np.concatenate([[t_start], inner, [t_end]])


def person_rows(
    person: int,
    t_start: np.ndarray,
    t_end: np.ndarray,
    face_state: np.ndarray,
    body_state: np.ndarray,
    hop_seconds: float,
    not_decoded: Spans = (),
) -> pd.DataFrame:
    """ROW_COLUMNS for one person, from the first to the last evidence; states as names.

    The arrays (n,) say for each frame from when to when it is shown (media seconds, rising) and what is
    seen in it (`State`). Nothing is said of the person in the spans `not_decoded`.
    """
    pieces = [
        cut(start, end, hop_seconds)
        for start, end, known in parted(float(t_start[0]), float(t_end[-1]), not_decoded)
        if known
    ]
    face = [dominant_states(edges, t_start, t_end, face_state) for edges in pieces]
    body = [dominant_states(edges, t_start, t_end, body_state) for edges in pieces]
    return pd.DataFrame(
        {
            "person": pd.array([person] * sum(map(len, face)), dtype="Int64"),
            "t_start": np.concatenate([edges[:-1] for edges in pieces]),
            "t_end": np.concatenate([edges[1:] for edges in pieces]),
            "face_state": [STATE_NAMES[State(state)] for states in face for state in states],
            "body_state": [STATE_NAMES[State(state)] for states in body for state in states],
        }
    )


def empty_rows(
    spans: Spans, decoded_until: float, duration: float, hop_seconds: float, not_decoded: Spans = ()
) -> pd.DataFrame:
    """ROW_COLUMNS for the time in [0, duration) that no span of a person covers.

    Nobody is seen there, but in the spans `not_decoded` and from `decoded_until` on nothing is known.
    """
    unknown = [*not_decoded, (max(0.0, decoded_until), float("inf"))]
    parts: list[tuple[np.ndarray, str]] = []
    at = 0.0
    for start, end in [*sorted(spans), (duration, duration)]:
        for a, b, known in parted(at, min(start, duration), unknown):
            parts.append((cut(a, b, hop_seconds), "no_person" if known else "not_decoded"))
        at = max(at, end)
    t_start = np.concatenate([edges[:-1] for edges, _ in parts] or [np.empty(0)])
    t_end = np.concatenate([edges[1:] for edges, _ in parts] or [np.empty(0)])
    states = [state for edges, state in parts for _ in edges[1:]]
    return pd.DataFrame(
        {
            "person": pd.array([pd.NA] * len(states), dtype="Int64"),
            "t_start": t_start,
            "t_end": t_end,
            "face_state": states,
            "body_state": states,
        }
    )


def parted(start: float, end: float, unknown: Spans) -> list[tuple[float, float, bool]]:
    """[start, end) in parts (start, end, known): those that lie in one of the spans `unknown` and the others.

    `unknown` is rising.
    """
    parts: list[tuple[float, float, bool]] = []
    at = start
    for a, b in unknown:
        a, b = max(a, at), min(b, end)
        if a < b:
            parts += [(at, a, True), (a, b, False)]
            at = b
    parts.append((at, end, True))
    return [part for part in parts if part[0] < part[1]]


def dominant_states(
    edges: np.ndarray, t_start: np.ndarray, t_end: np.ndarray, states: np.ndarray
) -> np.ndarray:
    """The state (R,) uint8 that fills most of the time of each row [edges[i], edges[i+1]).

    Frames are [t_start, t_end) with their `states`; time that no frame covers counts as absent.
    Frames weigh by the time they are shown, so a variable frame rate is no matter.
    """
    num_rows = len(edges) - 1
    seconds = np.zeros((num_rows, len(State)))
    # Cut the frames at the row edges: every piece then belongs to one row and has one state.
    cuts = np.unique(np.concatenate([edges, t_start, t_end]))
    cuts = cuts[(cuts >= edges[0]) & (cuts <= edges[-1])]
    centres, lengths = (cuts[:-1] + cuts[1:]) / 2, np.diff(cuts)
    row = np.clip(np.searchsorted(edges, centres, side="right") - 1, 0, num_rows - 1)
    frame = np.searchsorted(t_start, centres, side="right") - 1
    shown = (frame >= 0) & (centres < t_end[np.maximum(frame, 0)])
    state = np.where(shown, states[np.maximum(frame, 0)], State.ABSENT)
    np.add.at(seconds, (row, state.astype(np.int64)), lengths)
    order = [State[name.upper()] for name in STATE_ORDER if name != "no_person"]
    dominant: np.ndarray = np.array(order, dtype=np.uint8)[seconds[:, order].argmax(axis=1)]
    return dominant


def label_rows(
    rows: pd.DataFrame,
    probabilities: np.ndarray,
    path: np.ndarray,
    classes: Sequence[str],
    modality: Modality,
    min_confidence: float = 0.0,
    reaches: np.ndarray | None = None,
) -> pd.DataFrame:
    """ROW_COLUMNS -> these with state, label, confidence and p_<class>.

    probabilities (R, n) with NaN rows where there is no prediction; path (R,) int, the class of each row, -1
    without a prediction. `confidence` is the probability of that class; below `min_confidence` the label is
    `uncertain`. Without a prediction the label is the state. `modality` is what the model looked at.
    reaches (R,) bool: of a model that says several classes at once, whether one is at its threshold; where
    none is, the label is `uncertain`.
    """
    assert probabilities.shape == (len(rows), len(classes)), probabilities.shape
    predicted = np.isfinite(probabilities).all(axis=1)
    assert ((path >= 0) == predicted).all()
    confidence = np.full(len(rows), np.nan)
    confidence[predicted] = probabilities[predicted, path[predicted]]
    state = _states_of_rows(rows, predicted, modality)
    label = np.array([*classes, ""], dtype=object)[path]
    label[confidence < min_confidence] = UNCERTAIN
    if reaches is not None:
        label[~reaches] = UNCERTAIN
    label[~predicted] = state[~predicted]
    answer = pd.DataFrame(probabilities, columns=probability_columns(classes), index=rows.index)
    ends = rows[["person", "t_start", "t_end"]].assign(state=state)
    states = rows[["face_state", "body_state"]].assign(label=label, confidence=confidence)
    return pd.concat([ends, states, answer], axis=1)


def _states_of_rows(rows: pd.DataFrame, predicted: np.ndarray, modality: Modality) -> np.ndarray:
    """The `state` (R,) of rows, names of STATES."""
    seen_names = {STATE_NAMES[state] for state in SEEN_STATES}
    face_seen = rows["face_state"].isin(seen_names).to_numpy()
    body_seen = rows["body_state"].isin(seen_names).to_numpy()
    by_face = np.where(face_seen, "ok", np.where(body_seen & (modality == "fused"), "no_face", "absent"))
    state = np.where(body_seen, "ok", "absent") if modality == "body" else by_face
    state = np.where(predicted, state, "no_prediction").astype(object)
    nobody = rows["person"].isna().to_numpy(dtype=bool)
    state[nobody] = rows["face_state"].to_numpy()[nobody]
    return np.asarray(state)


def paths_of(rows: pd.DataFrame, classes: Sequence[str]) -> np.ndarray:
    """The path (R,) that `label_rows` was given for these rows."""
    p = rows[probability_columns(classes)].to_numpy(np.float64)
    confidence = rows["confidence"].to_numpy(np.float64)
    predicted = np.isfinite(confidence)
    # The class of a row that is `uncertain` is known by its probability.
    path = np.where(predicted, np.abs(np.nan_to_num(p - confidence[:, None])).argmin(axis=1), -1)
    label = rows["label"].to_numpy(object)
    for number, name in enumerate(classes):
        path[predicted & (label == name)] = number
    return path


def nearest_boxes(
    rows: pd.DataFrame, t_start: np.ndarray, t_end: np.ndarray, boxes_xyxy: np.ndarray
) -> np.ndarray:
    """The box (R, 4) float32 of each row: of the frames in it with a box that nearest to its middle.

    The frames (n,) are as for `person_rows`, boxes (n, 4) NaN where they have none; so are those of the rows.
    """
    seen = np.flatnonzero(np.isfinite(boxes_xyxy).all(axis=1))
    found = np.full((len(rows), 4), np.nan, np.float32)
    if not len(seen):
        return found
    t_start, t_end, boxes_xyxy = t_start[seen], t_end[seen], boxes_xyxy[seen]
    starts, ends = rows["t_start"].to_numpy(), rows["t_end"].to_numpy()
    middle = (starts + ends) / 2
    before = np.searchsorted(t_start, middle, side="right") - 1  # the last that begins before the middle
    around = np.stack([before, before + 1]).clip(0, len(seen) - 1)  # (2, R)
    distance = np.maximum(t_start[around] - middle, middle - t_end[around])
    nearest = np.take_along_axis(around, distance.argmin(axis=0)[None], axis=0)[0]
    inside = (t_start[nearest] < ends) & (t_end[nearest] > starts)
    found[inside] = boxes_xyxy[nearest[inside]]
    return found
