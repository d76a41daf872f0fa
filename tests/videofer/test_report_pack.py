"""The bytes of a report: what is packed is what a browser's typed arrays would read."""

from __future__ import annotations

import base64
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.videofer.timeline_examples import CLASSES, example_timeline
from videofer.report.faces import FACE_PIXELS, MAX_FACES, num_faces, sprite
from videofer.report.pack import (
    NO_AFFECT,
    NO_BOX,
    Packed,
    labels_of,
    pack,
    pack_rows,
    pack_segments,
    quantised,
    spans_without_person,
)
from videofer.timeline.faces import FaceSample
from videofer.timeline.segments import find_segments
from videofer.timeline.summary import summarise


def unpack(packed: Packed) -> dict[str, np.ndarray]:
    """As data.js does: a kind, an offset and a count for each array."""
    content = base64.b64decode(packed.base64)
    kinds = {"f8": "<f8", "u1": "u1", "i1": "i1", "i2": "<i2"}
    return {
        name: np.frombuffer(content, kinds[kind], count, offset)
        for name, (kind, offset, count) in packed.layout.items()
    }


def test_arrays_come_back_aligned() -> None:
    arrays = {
        "a": np.array([1, 2, 255], np.uint8),
        "b": np.array([0.1, 1e300]),
        "c": np.array([-32768, 7], np.int16),
        "none": np.array([], np.float64),
        "d": np.array([-128], np.int8),
    }
    packed = pack(arrays)
    assert all(offset % 8 == 0 for _, offset, _ in packed.layout.values())
    for name, array in unpack(packed).items():
        np.testing.assert_array_equal(array, arrays[name])


@settings(max_examples=60)
@given(st.integers(1, 12), st.integers(0, 2**32 - 1))
def test_probabilities_are_near_and_add_up(num_classes: int, seed: int) -> None:
    rng = np.random.default_rng(seed)
    p = rng.dirichlet(np.full(num_classes, rng.uniform(0.05, 3)), size=17)
    p[3] = np.nan
    packed = quantised(p).astype(int)
    known = np.arange(17) != 3
    assert (packed[known].sum(axis=1) == 255).all()
    assert (packed[3] == 0).all()
    assert np.abs(packed[known] / 255 - p[known]).max() <= 1 / 255 + 1e-9


def test_no_rows_are_packed_as_no_rows() -> None:
    assert quantised(np.zeros((0, 4))).shape == (0, 4)


def test_rows_come_back() -> None:
    timeline = example_timeline()
    rows = timeline.rows_of(0)
    arrays = unpack(pack_rows(timeline, 0))
    np.testing.assert_array_equal(arrays["t_start"], rows["t_start"])  # exact, not rounded
    np.testing.assert_array_equal(arrays["t_end"], rows["t_end"])
    labels = np.array(labels_of(timeline), dtype=object)
    assert (labels[arrays["label"]] == rows["label"].to_numpy(object)).all()
    p = rows[[f"p_{name}" for name in CLASSES]].to_numpy()
    known = np.isfinite(p).all(axis=1)
    assert 0 < (~known).sum() < len(known)
    packed = arrays["p_answer"].reshape(p.shape)
    assert (packed[~known] == 0).all()
    assert (packed[known].argmax(axis=1) == p[known].argmax(axis=1)).all()
    assert set(arrays) >= {"p_face"} and "p_body" not in arrays  # what the model has, no more
    boxes = arrays["box"].reshape(-1, 4)
    without = rows["face_x0"].isna().to_numpy()
    assert (boxes[without] == NO_BOX).all() and without.any()
    assert (
        np.abs(boxes[~without] - rows.loc[~without, ["face_x0", "face_y0", "face_x1", "face_y1"]])
        .to_numpy()
        .max()
        <= 0.5
    )
    assert (arrays["valence"][~known] == NO_AFFECT).all()
    assert (
        np.abs(arrays["valence"][known] / 127 - rows["valence"].to_numpy()[known]).max() <= 0.5 / 127 + 1e-9
    )


def test_time_without_anybody_is_told_in_one_piece() -> None:
    timeline = example_timeline(duration_seconds=12.0)
    assert spans_without_person(timeline) == [(pytest.approx(11.0), 12.0, "no_person")]
    nobody = example_timeline(num_persons=0, duration_seconds=3.0)
    assert spans_without_person(nobody) == [(0.0, 3.0, "no_person")]


def test_segments_name_persons_and_classes_by_place() -> None:
    timeline = example_timeline(num_persons=3)
    timeline = replace(timeline, persons=tuple(reversed(timeline.persons)))
    segments = find_segments(timeline)
    arrays = unpack(pack_segments(timeline, segments))
    assert len(segments) > 3
    np.testing.assert_array_equal(arrays["onset"], segments["onset"])
    assert [timeline.persons[i].id for i in arrays["person"]] == segments["person"].tolist()
    assert [timeline.classes[i] for i in arrays["label"]] == segments["label"].tolist()


def test_no_segments_are_no_segments() -> None:
    timeline = example_timeline(num_persons=0)
    assert unpack(pack_segments(timeline, find_segments(timeline)))["onset"].size == 0
    assert summarise(timeline).persons == ()


def test_faces_lie_side_by_side() -> None:
    import cv2

    faces = [FaceSample(float(i), np.full((112, 112, 3), (10 * i, 120, 90), np.uint8)) for i in range(7)]
    sheet = sprite(faces)
    picture = cv2.imdecode(np.frombuffer(base64.b64decode(sheet.jpeg_base64), np.uint8), cv2.IMREAD_COLOR)
    assert picture is not None and picture.shape == (3 * FACE_PIXELS, 3 * FACE_PIXELS, 3)
    assert sheet.times == tuple(range(7)) and sheet.columns == 3
    middle = FACE_PIXELS // 2
    for i in range(7):
        y, x = (i // 3) * FACE_PIXELS + middle, (i % 3) * FACE_PIXELS + middle
        assert abs(int(picture[y, x, 2]) - 10 * i) <= 6  # OpenCV's red is last


def test_as_many_faces_as_are_of_use() -> None:
    assert num_faces(1.0) == 24 and num_faces(100.0) == 100 and num_faces(7200.0) == MAX_FACES
    many = [FaceSample(float(i), np.zeros((8, 8, 3), np.uint8)) for i in range(MAX_FACES * 3)]
    kept = sprite(many).times
    assert len(kept) == MAX_FACES and pd.Series(kept).diff().dropna().eq(3.0).all()
