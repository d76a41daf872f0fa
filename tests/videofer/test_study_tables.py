"""The tables of a study: all rows in one file, a line for each video and person."""

from __future__ import annotations

import io
from pathlib import Path

import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from cache.errors import UserError
from tests.videofer.study_examples import done_video, study_timelines
from tests.videofer.timeline_examples import CLASSES, example_timeline
from videofer.study.metadata import Described
from videofer.study.products import ProductOptions
from videofer.study.run import Done
from videofer.study.spec import StudySpec
from videofer.study.tables import videos_table, write_rows, write_videos
from videofer.timeline.settings import TimelineSettings
from videofer.timeline.timeline import Timeline


def saved(out: Path, timelines: list[Timeline]) -> tuple[list[Done], StudySpec]:
    """As workers leave them."""
    spec = StudySpec(
        model=out, out=out, settings=TimelineSettings(), formats=("csv",), options=ProductOptions()
    )
    spec.folder.mkdir(parents=True)
    done = [done_video(timeline, f"v{place}", {}) for place, timeline in enumerate(timelines)]
    for one, timeline in zip(done, timelines, strict=True):
        timeline.save(spec.folder / f"{one.task.key}.parquet")
    return done, spec


CREDIT = "example 2.1 (perceived expression)"


def described(columns: tuple[str, ...], rows: list[tuple[str | float | None, ...]]) -> Described:
    return Described(columns=columns, rows=tuple(rows), unknown=(), without=())


def test_rows_are_the_same_in_one_group_and_in_many(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    found = study_timelines(5)
    done, spec = saved(tmp_path, [timeline for timeline, _ in found])
    about = described(("participant", "condition", "wave"), [row for _, row in found])
    write_rows(tmp_path / "one.parquet", done, spec, about, CREDIT)
    monkeypatch.setattr("videofer.study.tables.GROUP_ROWS", 100)
    write_rows(tmp_path / "many.parquet", done, spec, about, CREDIT)
    one, many = (pq.ParquetFile(tmp_path / name) for name in ("one.parquet", "many.parquet"))
    assert one.num_row_groups == 1 and many.num_row_groups > 5
    assert one.read().equals(many.read())

    rows = pd.read_parquet(tmp_path / "many.parquet")
    timeline, (participant, condition, wave) = found[3]  # two persons
    own = rows[rows["video"] == timeline.video.name].reset_index(drop=True)
    assert (own["participant"] == participant).all() and (own["condition"] == condition).all()
    assert own["wave"].dtype == "int64" and (own["wave"] == wave).all()
    expected = timeline.rows.reset_index(drop=True)
    assert own["person"].fillna(-1).tolist() == expected["person"].fillna(-1).tolist()
    assert own.loc[own["person"] == 1, "person_name"].unique().tolist() == ["person 1"]
    assert own.loc[own["person"].isna(), "person_name"].isna().all()
    assert set(rows["model"]) == {CREDIT}
    for column in ("t_start", "t_end", "p_fear", "state", "label"):
        pd.testing.assert_series_equal(own[column], expected[column], check_dtype=False)


def test_columns_of_metadata_give_way_to_those_of_rows(tmp_path: Path) -> None:
    done, spec = saved(tmp_path, [example_timeline(num_persons=1), example_timeline(num_persons=2)])
    about = described(("label", "score", "empty"), [("happy", 1.5, None), (None, 2.0, None)])
    write_rows(tmp_path / "rows.parquet", done, spec, about, CREDIT)
    schema = pq.read_schema(tmp_path / "rows.parquet")
    assert schema.names[:5] == ["video", "meta_label", "score", "empty", "person"]
    assert schema.field("score").type == pa.float64() and schema.field("empty").type == pa.string()


def test_one_line_for_each_person_and_one_for_nobody() -> None:
    timelines = [example_timeline(num_persons=2, names=("Anna",)), example_timeline(num_persons=0)]
    done = [done_video(timeline, f"v{place}", {}) for place, timeline in enumerate(timelines)]
    table = videos_table(done, described(("person", "wave"), [("x", 1.0), ("y", 2.0)]), CREDIT)
    assert table["person_name"].fillna("-").tolist() == ["Anna", "person 1", "-"]
    assert table["meta_person"].tolist() == ["x", "x", "y"] and table["wave"].tolist() == [1, 1, 2]
    shares = table[[column for column in table.columns if column.startswith("share_")]].sum(axis=1)
    assert shares[:2].tolist() == pytest.approx([1.0, 1.0])
    rows = timelines[0].rows_of(0)
    seconds = rows["t_end"] - rows["t_start"]
    assert table["share_anger"][0] == pytest.approx(seconds[rows["label"] == "anger"].sum() / seconds.sum())
    segments = timelines[0].segments()
    for name in CLASSES:
        own = segments[(segments["person"] == 0) & (segments["label"] == name)]
        assert table[f"segments_{name}"][0] == len(own)
        if len(own):
            assert table[f"first_onset_{name}"][0] == own["onset"].min()


def test_cells_run_no_formula(tmp_path: Path) -> None:
    timeline = example_timeline(num_persons=1, names=("=1+1",), video_name="@SUM(A1).mp4")
    about = described(("-arm",), [("+cmd",)])
    path = write_videos(tmp_path / "videos.csv", [done_video(timeline, "v", {})], about, "=model")
    text = path.read_text(encoding="utf-8")
    assert text.splitlines()[0].startswith("video,'-arm,key,")
    line = pd.read_csv(io.StringIO(text)).iloc[0]
    assert (line["video"], line["'-arm"], line["person_name"]) == ("'@SUM(A1).mp4", "'+cmd", "'=1+1")
    assert line["model"] == "'=model"


def test_a_study_that_cannot_be_written_leaves_the_last_one(tmp_path: Path) -> None:
    done, spec = saved(tmp_path, [example_timeline(num_persons=1)])
    path = write_rows(tmp_path / "rows.parquet", done, spec, described((), [()]), CREDIT)
    before = path.read_bytes()
    (spec.folder / f"{done[0].task.key}.parquet").write_bytes(b"damaged")
    with pytest.raises(UserError, match=r"\.parquet is damaged, remove it and run again"):
        write_rows(path, done, spec, described((), [()]), CREDIT)
    assert path.read_bytes() == before and not list(tmp_path.glob(".*.tmp"))
