from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from cache.errors import StoreError
from cache.reader import StoreReader
from cache.schema import State
from tests.videofer.test_timeline_rows import uncovered_or_torn
from tests.videofer.timeline_helpers import CLASSES, add_video, make_model, make_store, reader_of
from videofer.checkpoint import CheckpointError, LoadedModel
from videofer.timeline.faces import face_strips
from videofer.timeline.make import make_timeline
from videofer.timeline.settings import Smoothing, TimelineSettings
from videofer.timeline.timeline import Person, TimelineError, VideoFacts, probability_columns, row_columns

OK, ABSENT = State.OK, State.ABSENT
UNSMOOTHED = Smoothing(method="none")
FPS_25 = np.arange(0, 6001, 40)


@pytest.fixture(scope="module")
def model() -> LoadedModel:
    return make_model()


@pytest.fixture(scope="module")
def reader(tmp_path_factory: pytest.TempPathFactory) -> StoreReader:
    store = make_store(tmp_path_factory.mktemp("make") / "store")
    add_video(
        store, "two", FPS_25,
        [
            {"face": (25, [OK] * 50), "body": (20, [OK] * 80)},
            {"face": (60, [OK] * 30 + [ABSENT] * 20 + [OK] * 10), "body": None},
        ],
        duration=7.3,
    )  # fmt: skip
    add_video(store, "nobody", FPS_25, [])
    add_video(store, "still", np.array([0, 1000]), [{"face": (0, [OK]), "body": None}], kind="image")
    add_video(store, "late", FPS_25 + 10_000, [{"face": (0, [OK] * 150), "body": None}], duration=16.0)
    hole = np.concatenate([np.arange(0, 2000, 40), np.arange(5000, 7040, 40)])
    add_video(store, "hole", hole, [{"face": (0, [OK] * 80), "body": None}], not_decoded=[(2000, 5000)])
    rng = np.random.default_rng(0)
    add_video(
        store, "vfr", np.concatenate([[0], np.cumsum(rng.choice([20, 33, 100, 700], 60))]),
        [{"face": (3, [OK] * 30), "body": None}],
    )  # fmt: skip
    return reader_of(store)


@pytest.mark.parametrize("key", ["two", "nobody", "still", "late", "vfr", "hole"])
@pytest.mark.parametrize("steps_per_hop", [1, 2])
def test_rows_tile_the_whole_video(
    model: LoadedModel, reader: StoreReader, key: str, steps_per_hop: int
) -> None:
    timeline = make_timeline(model, reader, key, TimelineSettings(steps_per_hop=steps_per_hop)).rows
    video = reader.video(key)
    assert uncovered_or_torn(timeline, video.duration) == ""
    for person in video.persons:
        rows = timeline[timeline["person"] == person.id]
        assert rows["t_start"].min() == person.t_start
        assert rows["t_end"].max() == person.t_end
    predicted = timeline["confidence"].notna()
    p = timeline[[f"p_{name}" for name in CLASSES]]
    np.testing.assert_allclose(p[predicted].sum(axis=1), 1)
    assert p[~predicted].isna().all(axis=None)
    assert set(timeline.loc[predicted, "label"]) <= set(CLASSES)
    assert (timeline.loc[predicted, "confidence"] == p[predicted].max(axis=1)).all()


def test_states_of_two_people(model: LoadedModel, reader: StoreReader) -> None:
    timeline = make_timeline(model, reader, "two").rows
    nobody = timeline[timeline["person"].isna()]
    assert nobody["label"].tolist() == nobody["state"].tolist() == nobody["face_state"].tolist()
    assert set(nobody[nobody["t_end"] <= 6]["state"]) == {"no_person"}
    assert nobody[nobody["state"] == "not_decoded"][["t_start", "t_end"]].to_numpy().tolist()[0][0] == 6.0
    first, second = (timeline[timeline["person"] == person] for person in (0, 1))
    assert first.set_index("t_start")["state"].to_dict()[3.2] == "no_face"
    assert set(first["state"]) == {"ok", "no_face"}
    hidden = second[(second["t_start"] >= 3.6) & (second["t_end"] <= 4.4)]
    assert set(hidden["state"]) == {"absent"}
    assert hidden["confidence"].notna().all()


def test_nothing_is_said_of_anybody_where_nothing_was_decoded(
    model: LoadedModel, reader: StoreReader
) -> None:
    timeline = make_timeline(model, reader, "hole").rows
    inside = timeline[(timeline["t_start"] < 5) & (timeline["t_end"] > 2)]
    assert (inside["t_start"].min(), inside["t_end"].max()) == (2.0, 5.0)
    assert set(inside["state"]) == set(inside["label"]) == {"not_decoded"}
    assert inside["person"].isna().all() and inside["confidence"].isna().all()
    around = timeline[timeline["person"] == 0]
    assert {2.0, around["t_end"].max()} <= set(around["t_end"]) and 5.0 in set(around["t_start"])
    assert set(around["state"]) == {"ok"}


def test_nobody_has_a_row_for_every_hop(model: LoadedModel, reader: StoreReader) -> None:
    timeline = make_timeline(model, reader, "nobody").rows
    assert len(timeline) == 15
    assert set(timeline["state"]) == set(timeline["label"]) == {"no_person"}
    assert timeline["person"].isna().all()
    assert timeline["person"].dtype == pd.Int64Dtype()


def test_a_still_is_a_video_of_one_frame(model: LoadedModel, reader: StoreReader) -> None:
    timeline = make_timeline(model, reader, "still").rows
    assert set(timeline["state"]) == {"ok"}
    p = timeline[[f"p_{name}" for name in CLASSES]].to_numpy()
    assert np.ptp(p, axis=0).max() < 1e-6


def test_a_video_that_starts_late_has_nobody_before(model: LoadedModel, reader: StoreReader) -> None:
    timeline = make_timeline(model, reader, "late").rows
    assert set(timeline[timeline["t_end"] <= 10]["state"]) == {"no_person"}
    assert set(timeline[timeline["t_start"] >= 10]["state"]) == {"ok"}


def test_every_modality_is_told_and_one_is_the_answer(model: LoadedModel, reader: StoreReader) -> None:
    fused, face, body = (
        make_timeline(model, reader, "two", TimelineSettings(modality=modality, smoothing=UNSMOOTHED))
        for modality in ("fused", "face", "body")
    )
    assert (fused.modality, face.modality, body.modality) == ("fused", "face", "body")
    assert list(fused.rows.columns) == row_columns(CLASSES)
    for timeline in (fused, face, body):
        for modality, other in (("fused", fused), ("face", face), ("body", body)):
            own = timeline.rows[probability_columns(CLASSES, modality)]  # type: ignore[arg-type]
            answer = other.rows[probability_columns(CLASSES)]
            np.testing.assert_allclose(own, answer, rtol=1e-6)
    one = body.rows_of(1)
    assert set(one["state"]) == {"no_prediction"}
    assert face.rows_of(1)["confidence"].notna().all()
    default = make_timeline(model, reader, "two", TimelineSettings(smoothing=UNSMOOTHED))
    pd.testing.assert_frame_equal(fused.rows, default.rows)


def test_a_model_of_faces_has_no_columns_of_bodies(reader: StoreReader) -> None:
    timeline = make_timeline(make_model("face"), reader, "two")
    assert timeline.model.modalities == ("face",)
    assert list(timeline.rows.columns) == row_columns(CLASSES, ("face",))


def test_what_a_timeline_says_of_its_video_model_and_persons(model: LoadedModel, reader: StoreReader) -> None:
    timeline = make_timeline(model, reader, "two", names={1: "Anna"})
    assert timeline.video == VideoFacts(
        name="two.mp4", key="two", kind="video", width=640, height=480, duration_seconds=7.3,
        time_base=(1, 1000), presentation_start=(0, 1),
    )  # fmt: skip
    assert timeline.persons == (Person(id=0, name="person 0"), Person(id=1, name="Anna"))
    assert timeline.hop_seconds == pytest.approx(0.4)
    assert timeline.model.modalities == ("face", "body", "fused")
    assert timeline.model.calibration["temperatures"] == {"face": 1.3, "body": 0.8, "fused": 1.1}
    assert timeline.provenance["videofer"]
    with pytest.raises(TimelineError, match=r"two\.mp4 has no person 7 to be called 'Otto': it has 0, 1"):
        make_timeline(model, reader, "two", names={7: "Otto"})


def test_rows_less_sure_than_asked_for_are_uncertain(model: LoadedModel, reader: StoreReader) -> None:
    timeline = make_timeline(model, reader, "two")
    floor = float(timeline.rows["confidence"].median())
    careful = make_timeline(model, reader, "two", TimelineSettings(min_confidence=floor))
    unsure = (timeline.rows["confidence"] < floor).to_numpy()
    assert 0 < unsure.sum() < len(unsure)
    assert set(careful.rows["label"][unsure]) == {"uncertain"}
    pd.testing.assert_series_equal(careful.rows["label"][~unsure], timeline.rows["label"][~unsure])
    pd.testing.assert_series_equal(careful.rows["confidence"], timeline.rows["confidence"])


def test_wrong_arguments_fail(model: LoadedModel, reader: StoreReader) -> None:
    with pytest.raises(StoreError, match="elsewhere"):
        make_timeline(model, reader, "elsewhere")
    with pytest.raises(TimelineError, match=r"modality is 'body', but the model tiny has face$"):
        make_timeline(make_model("face"), reader, "two", TimelineSettings(modality="body"))


def test_a_store_of_another_contract_is_refused(model: LoadedModel, tmp_path: Path) -> None:
    other = make_store(tmp_path / "s", contract={"crop_size": 96, "skeleton": "coco17"})
    add_video(other, "nobody", FPS_25, [])
    with pytest.raises(CheckpointError, match="crop_size"):
        make_timeline(model, reader_of(other), "nobody")


def test_faces_along_the_axis(reader: StoreReader) -> None:
    strips = face_strips(reader, "two", 7.3, num_faces=10)
    assert set(strips) == {0, 1}
    for person, (start, end) in {0: (1.0, 3.0), 1: (2.4, 4.8)}.items():
        for face in strips[person]:
            assert start - 0.365 <= face.t <= end + 0.365
            assert face.crop.shape == (48, 48, 3)
    track = reader.track("two", 0)
    face = strips[0][1]
    row = int(np.abs((track.t_start + track.t_end) / 2 - face.t)[track.has_crop].argmin())
    wanted = np.flatnonzero(track.has_crop)[row]
    np.testing.assert_array_equal(face.crop, reader.read_crops(track, np.array([wanted]))[0])
    assert face_strips(reader, "nobody", 6.0) == {}
