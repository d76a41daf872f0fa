from __future__ import annotations

import io
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest

from tests.videofer.timeline_examples import CLASSES, example_timeline
from videofer.formats.openface import write_openface
from videofer.timeline.timeline import Timeline

HEAD = ["frame", "face_id", "timestamp", "confidence", "success"]


def read(timeline: Timeline) -> pd.DataFrame:
    file = io.BytesIO()
    write_openface(timeline, file)
    file.seek(0)
    return pd.read_csv(file)


@pytest.mark.parametrize("num_persons", [0, 1, 2, 6])
def test_columns_are_those_of_openface_and_every_row_is_there(num_persons: int) -> None:
    timeline = example_timeline(num_persons=num_persons)
    table, rows = read(timeline), timeline.rows
    assert list(table.columns[:5]) == HEAD
    assert len(table) == len(rows)
    assert all(name.startswith(("face_", "emotion_")) for name in table.columns[5:])
    assert table["timestamp"].is_monotonic_increasing
    # A frame is an instant: the same number means the same time, and numbers follow each other from 1.
    assert table.groupby("frame")["timestamp"].nunique().eq(1).all()
    assert sorted(set(table["frame"])) == list(range(1, rows["t_start"].nunique() + 1))
    assert not table.duplicated(["frame", "face_id"]).any()
    assert set(table["success"]) <= {0, 1}
    assert table["confidence"].between(0, 1).all()

    ours = rows.assign(face_id=rows["person"].fillna(-1).astype(int))
    ours = ours.sort_values(["t_start", "face_id"], kind="stable", ignore_index=True)
    assert table["face_id"].tolist() == ours["face_id"].tolist()
    assert table["emotion_label"].tolist() == ours["label"].tolist()
    assert table["emotion_state"].tolist() == ours["state"].tolist()
    pairs = {f"emotion_p_{name}": f"p_{name}" for name in CLASSES} | {
        "timestamp": "t_start", "emotion_confidence": "confidence", "emotion_valence": "valence",
        "emotion_arousal": "arousal", "face_x0": "face_x0", "face_y1": "face_y1",
    }  # fmt: skip
    for theirs, own in pairs.items():
        np.testing.assert_allclose(
            table[theirs].to_numpy(float), ours[own].to_numpy(float), rtol=0, atol=1e-6, err_msg=own
        )


def test_success_and_confidence_speak_of_the_face() -> None:
    timeline = example_timeline(num_persons=1)
    rows = timeline.rows.copy()
    states = ["ok", "interpolated", "low_quality", "absent"]
    rows.loc[:3, "face_state"] = states
    (person,) = timeline.persons
    timeline = replace(timeline, rows=rows, persons=(replace(person, certainty=0.8),))
    table = read(timeline)
    assert table["success"].head(4).tolist() == [1, 1, 0, 0]
    assert table["confidence"].head(4).tolist() == [0.8, 0.8, 0.8, 0.0]
    nobody = table[table["face_id"] == -1]
    assert len(nobody) == rows["person"].isna().sum() > 0
    assert not nobody["success"].any()
    assert not nobody["confidence"].any()
    assert nobody["emotion_p_neutral"].isna().all()
