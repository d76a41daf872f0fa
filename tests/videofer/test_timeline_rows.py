from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cache.schema import State
from videofer.timeline.rows import (
    cut,
    dominant_states,
    empty_rows,
    label_rows,
    nearest_boxes,
    parted,
    paths_of,
    person_rows,
)

CLASSES = ("neutral", "anger", "happiness")


def rows_of(spans: list[tuple[float, float]], decoded: float, duration: float, hop: float) -> pd.DataFrame:
    parts = [empty_rows(spans, decoded, duration, hop)]
    for person, (start, end) in enumerate(spans):
        state = np.array([State.OK], dtype=np.uint8)
        parts.append(person_rows(person, np.array([start]), np.array([end]), state, state, hop))
    return pd.concat([part for part in parts if len(part)], ignore_index=True)


def uncovered_or_torn(rows: pd.DataFrame, duration: float) -> str:
    """What is wrong with the tiling of [0, duration), if anything. Edges must be equal to the last bit."""
    for _, part in rows.groupby(rows["person"].fillna(-1)):
        part = part.sort_values("t_start")
        if not (part["t_end"].to_numpy() > part["t_start"].to_numpy()).all():
            return "a row without length"
        if (part["t_start"].to_numpy()[1:] < part["t_end"].to_numpy()[:-1]).any():
            return "rows of one person overlap"
    at = 0.0
    for row in rows.sort_values(["t_start", "t_end"]).itertuples():
        if row.t_start > at:
            return f"nothing in [{at}, {row.t_start})"
        at = max(at, row.t_end)
    if at != duration:
        return f"ends at {at}, not {duration}"
    seen, nobody = rows[rows["person"].notna()], rows[rows["person"].isna()]
    for row in nobody.itertuples():
        if ((seen["t_start"] < row.t_end) & (seen["t_end"] > row.t_start)).any():
            return f"nobody is said at {row.t_start}, where somebody is"
    return ""


@st.composite
def videos(draw: st.DrawFn) -> tuple[list[tuple[float, float]], float, float, float]:
    duration = draw(st.floats(0.01, 60))
    decoded = draw(st.one_of(st.just(1.0), st.floats(0, 1))) * duration
    spans = []
    for _ in range(draw(st.integers(0, 4))):
        a, b = sorted((draw(st.floats(0, 1)) * decoded, draw(st.floats(0, 1)) * decoded))
        if b - a > 1e-4:
            spans.append((a, b))
    return spans, decoded, duration, draw(st.sampled_from([0.04, 1 / 3, 0.4, 1.0, 7.0]))


@settings(max_examples=200)
@given(videos())
def test_rows_tile_the_whole_duration(video: tuple[list[tuple[float, float]], float, float, float]) -> None:
    spans, decoded, duration, hop = video
    rows = rows_of(spans, decoded, duration, hop)
    assert uncovered_or_torn(rows, duration) == ""
    assert (rows["t_end"] - rows["t_start"]).max() <= hop + 2e-6
    late = rows[(rows["person"].isna()) & (rows["t_start"] >= decoded)]
    assert (late["face_state"] == "not_decoded").all()
    early = rows[(rows["person"].isna()) & (rows["t_end"] <= decoded)]
    assert (early["face_state"] == "no_person").all()


@settings(max_examples=200)
@given(videos(), st.lists(st.integers(0, 1000), max_size=6, unique=True))
def test_rows_tile_a_video_with_holes(
    video: tuple[list[tuple[float, float]], float, float, float], places: list[int]
) -> None:
    """Nothing is said of anybody where nothing was decoded."""
    spans, decoded, duration, hop = video
    edges = sorted(place / 1000 * decoded for place in places)
    holes = [(a, b) for a, b in zip(edges[::2], edges[1::2], strict=False) if b - a > 1e-4]
    spans = [(a, b) for a, b in spans if any(known for *_, known in parted(a, b, holes))]
    parts = [
        empty_rows(
            [(a, b) for span in spans for a, b, known in parted(*span, holes) if known],
            decoded,
            duration,
            hop,
            holes,
        )
    ]
    for person, (start, end) in enumerate(spans):
        state = np.array([State.OK], dtype=np.uint8)
        rows = person_rows(person, np.array([start]), np.array([end]), state, state, hop, holes)
        assert (rows["face_state"] == "ok").all()
        parts.append(rows)
    rows = pd.concat([part for part in parts if len(part)], ignore_index=True)
    assert uncovered_or_torn(rows, duration) == ""
    unknown = [*holes, (decoded, duration)]
    inside = np.array([any(a <= t < b for a, b in unknown) for t in rows["t_start"]])  # cut where it changes
    assert ((rows["face_state"] == "not_decoded") == inside).all()
    assert rows["person"][inside].isna().all()


def test_rows_lie_on_the_grid_and_are_cut_at_the_ends() -> None:
    np.testing.assert_allclose(cut(0.3, 1.25, 0.4), [0.3, 0.4, 0.8, 1.2, 1.25])
    assert cut(0.0, 0.4 + 1e-9, 0.4).tolist() == [0.0, 0.4 + 1e-9]
    with pytest.raises(ValueError, match="hop_seconds is 0"):
        cut(0, 1, 0)


def test_nobody_at_all() -> None:
    rows = empty_rows([], 4.0, 4.0, 1.5)
    assert rows["t_end"].tolist() == [1.5, 3.0, 4.0]
    assert rows["person"].isna().all()
    assert set(rows["face_state"]) == {"no_person"}


def test_dominant_state_weighs_frames_by_the_time_they_are_shown() -> None:
    # Variable rate: one long frame with a face outweighs three short ones without.
    t_start = np.array([0.0, 0.6, 0.7, 0.8])
    t_end = np.array([0.6, 0.7, 0.8, 0.9])
    states = np.array([State.OK, State.ABSENT, State.ABSENT, State.ABSENT], dtype=np.uint8)
    assert dominant_states(np.array([0.0, 0.9]), t_start, t_end, states).tolist() == [State.OK]
    assert dominant_states(np.array([0.5, 0.9]), t_start, t_end, states).tolist() == [State.ABSENT]


def test_time_between_frames_counts_as_absent() -> None:
    t_start, t_end = np.array([0.0, 2.0]), np.array([0.1, 2.1])
    states = np.array([State.OK, State.OK], dtype=np.uint8)
    found = dominant_states(np.array([0.0, 0.15, 2.0, 2.1]), t_start, t_end, states)
    assert found.tolist() == [State.OK, State.ABSENT, State.OK]


def test_labels_and_states_of_rows() -> None:
    rows = pd.DataFrame(
        {
            "person": pd.array([0, 0, 0, 0, pd.NA], dtype="Int64"),
            "t_start": np.arange(5.0),
            "t_end": np.arange(1.0, 6.0),
            "face_state": ["ok", "absent", "absent", "ok", "no_person"],
            "body_state": ["absent", "ok", "absent", "ok", "no_person"],
        }
    )
    p = np.array([[0.2, 0.7, 0.1]] * 3 + [[np.nan] * 3] * 2)
    path = np.array([1, 1, 1, -1, -1])
    out = label_rows(rows, p, path, CLASSES, "fused")
    assert out["state"].tolist() == ["ok", "no_face", "absent", "no_prediction", "no_person"]
    assert out["label"].tolist() == ["anger", "anger", "anger", "no_prediction", "no_person"]
    assert out["confidence"].tolist()[:3] == [0.7] * 3
    assert out["confidence"].isna().tolist() == [False] * 3 + [True] * 2
    assert list(out.columns) == [
        "person", "t_start", "t_end", "state", "face_state", "body_state", "label", "confidence",
        "p_neutral", "p_anger", "p_happiness",
    ]  # fmt: skip
    assert label_rows(rows, p, path, CLASSES, "face")["state"].tolist()[1] == "absent"
    assert label_rows(rows, p, path, CLASSES, "body")["state"].tolist()[:3] == ["absent", "ok", "absent"]


def test_labels_follow_the_path_and_the_unsure_are_uncertain() -> None:
    rows = empty_rows([], 3.0, 3.0, 1.0).assign(
        person=pd.array([0, 0, 0], dtype="Int64"), face_state="ok", body_state="absent"
    )
    p = np.array([[0.2, 0.7, 0.1], [0.5, 0.4, 0.1], [0.35, 0.33, 0.32]])
    out = label_rows(rows, p, np.array([1, 1, 0]), CLASSES, "face", min_confidence=0.38)
    assert out["label"].tolist() == ["anger", "anger", "uncertain"]
    assert out["confidence"].tolist() == [0.7, 0.4, 0.35]
    assert paths_of(out, CLASSES).tolist() == [1, 1, 0]
    assert set(out["state"]) == {"ok"}


def test_the_box_of_a_row_is_of_its_frame_nearest_to_the_middle() -> None:
    t_start = np.array([0.0, 0.1, 0.5, 0.9, 2.0])
    t_end = np.array([0.1, 0.5, 0.9, 1.0, 2.1])
    boxes = np.arange(5, dtype=np.float32)[:, None] + np.array([0, 0, 10, 10], np.float32)
    rows = pd.DataFrame({"t_start": [0.0, 0.6, 1.0, 2.0], "t_end": [0.6, 1.0, 2.0, 3.0]})
    # 0.3 is in frame 1, 0.8 in frame 2, no frame is in [1, 2), and frame 4 is the only one from 2 on.
    assert nearest_boxes(rows, t_start, t_end, boxes)[:, 0].tolist() == pytest.approx(
        [1, 2, np.nan, 4], nan_ok=True
    )
    boxes[[1, 4]] = np.nan
    found = nearest_boxes(rows, t_start, t_end, boxes)
    assert found[:, 0].tolist() == pytest.approx([0, 2, np.nan, np.nan], nan_ok=True)  # 0 ends nearer than 2
    assert np.isnan(nearest_boxes(rows, t_start, t_end, np.full_like(boxes, np.nan))).all()


@settings(max_examples=150)
@given(st.integers(0, 100_000))
def test_no_frame_with_a_box_is_nearer_to_the_middle(seed: int) -> None:
    rng = np.random.default_rng(seed)
    edges = np.cumsum(rng.choice([0.02, 0.04, 0.3, 1.1], 31))
    t_start, t_end = edges[:-1], edges[1:] - rng.choice([0.0, 0.01], 30)  # some have a gap behind them
    boxes = np.repeat(np.arange(30, dtype=np.float32)[:, None], 4, axis=1)
    boxes[rng.random(30) < 0.4] = np.nan
    grid = cut(0.0, float(edges[-1]) + 1, 0.2)
    rows = pd.DataFrame({"t_start": grid[:-1], "t_end": grid[1:]})
    for (start, end), box in zip(rows.to_numpy(), nearest_boxes(rows, t_start, t_end, boxes), strict=True):
        middle = (start + end) / 2
        distance = {
            i: max(t_start[i] - middle, middle - t_end[i], 0.0)
            for i in range(30)
            if np.isfinite(boxes[i, 0]) and t_start[i] < end and t_end[i] > start
        }
        if distance:
            assert distance[int(box[0])] == min(distance.values())
        else:
            assert np.isnan(box).all()
