"""Rows in the shape of OpenFace's CSV, for scripts that read it.

OpenFace writes a row for each frame and face: `frame` (from 1), `face_id`, `timestamp` (seconds),
`confidence` (of the tracking), `success` (0 or 1), then its measures. Ours are rows of a timeline:

    frame       number of the distinct `t_start`, from 1: rows of several persons share it
    face_id     number of the person, -1 where nobody is
    timestamp   `t_start`
    confidence  of the tracking (`Person.certainty`) where the face is seen, else 0; not that of the emotion
    success     1 where the face is seen well (`face_state` ok or interpolated), else 0
    face_...    state and box of the face
    emotion_... state, label, confidence, p_<class>, valence and arousal of the row, and the model
"""

from __future__ import annotations

from typing import TYPE_CHECKING, BinaryIO

import pandas as pd

from cache.schema import SEEN_STATES, STATE_NAMES, State
from videofer.formats.tables import write_csv
from videofer.timeline.timeline import BOX_COLUMNS, affect_columns, probability_columns

if TYPE_CHECKING:
    from videofer.timeline.timeline import Timeline

_SEEN = [STATE_NAMES[state] for state in SEEN_STATES]
_SEEN_WELL = [STATE_NAMES[State.OK], STATE_NAMES[State.INTERPOLATED]]


def write_openface(timeline: Timeline, file: BinaryIO) -> None:
    """See the module's docstring; empty where there is no value."""
    write_csv(openface_table(timeline), file)


def openface_table(timeline: Timeline) -> pd.DataFrame:
    """The rows with OpenFace's columns first."""
    rows = timeline.rows
    certainty = {one.id: one.certainty for one in timeline.persons}
    seen = rows["face_state"].isin(_SEEN) & rows["person"].notna()
    table = pd.DataFrame(
        {
            "frame": rows["t_start"].rank(method="dense").astype("int64"),
            "face_id": rows["person"].fillna(-1).astype("int64"),
            "timestamp": rows["t_start"],
            "confidence": rows["person"].map(certainty).where(seen, 0.0).astype("float64"),
            "success": (seen & rows["face_state"].isin(_SEEN_WELL)).astype("int64"),
            "face_state": rows["face_state"],
        }
    )
    emotions = (
        "state",
        "label",
        "confidence",
        *probability_columns(timeline.classes),
        *affect_columns(timeline.model.dimensions),
    )
    ours = rows[[*BOX_COLUMNS, *emotions]].rename(columns={name: f"emotion_{name}" for name in emotions})
    ours["emotion_model"] = pd.Series(timeline.model.credit, rows.index, object)
    return pd.concat([table, ours], axis=1).sort_values(["frame", "face_id"], kind="stable")
