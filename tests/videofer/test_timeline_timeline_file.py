from __future__ import annotations

import dataclasses
import json
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.videofer.timeline_examples import example_timeline
from videofer.timeline.settings import Smoothing, TimelineSettings
from videofer.timeline.timeline import Person, Timeline, TimelineError


def assert_same(one: Timeline, other: Timeline) -> None:
    pd.testing.assert_frame_equal(one.rows, other.rows, check_exact=True)
    for field in dataclasses.fields(Timeline):
        if field.name != "rows":
            assert getattr(one, field.name) == getattr(other, field.name), field.name


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "new" / "a.parquet"


def test_what_is_saved_is_loaded(path: Path) -> None:
    timeline = dataclasses.replace(
        example_timeline(names=("Anna", "=1+1")),
        settings=TimelineSettings(min_confidence=0.4, smoothing=Smoothing(method="viterbi")),
        provenance={"decoder": "pyav", "warnings": ["a", "b"], "nested": {"deep": [1, None, 0.5]}},
        step_seconds=0.2,
    )
    timeline.save(path)
    assert_same(Timeline.load(path), timeline)
    assert_same(Timeline.load(str(path)), timeline)
    assert [one.name for one in path.parent.iterdir()] == ["a.parquet"]


@pytest.mark.parametrize("num_persons", [0, 1])
def test_timelines_of_nobody_and_without_rows(path: Path, num_persons: int) -> None:
    timeline = example_timeline(num_persons=num_persons)
    timeline.save(path)
    loaded = Timeline.load(path)  # with the types that the columns of an example without persons lack
    pd.testing.assert_frame_equal(loaded.rows, timeline.rows, check_dtype=False)
    loaded.save(path)
    assert_same(Timeline.load(path), loaded)
    empty = dataclasses.replace(loaded, rows=loaded.rows.iloc[:0])
    empty.save(path)
    assert_same(Timeline.load(path), empty)


def test_any_reader_of_parquet_sees_the_rows(path: Path) -> None:
    timeline = example_timeline()
    timeline.save(path)
    rows = pd.read_parquet(path)
    pd.testing.assert_frame_equal(rows.astype({"person": "Int64"}), timeline.rows)
    metadata = json.loads(pq.read_schema(path).metadata[b"videofer"])
    assert metadata["format"] == "videofer timeline" and metadata["version"] == 1
    assert metadata["video"]["name"] == "study/interview.mp4"


@settings(max_examples=60)
@given(name=st.text(max_size=40), video=st.text(st.characters(), min_size=1), other=st.text(max_size=9))
def test_names_of_any_letters_survive(
    tmp_path_factory: pytest.TempPathFactory, name: str, video: str, other: str
) -> None:
    """Also lone surrogates: so Python reads names of files that are no UTF-8."""
    example = example_timeline(num_persons=1, duration_seconds=2.0, video_name=video)
    timeline = dataclasses.replace(
        example, persons=(Person(id=0, name=name),), provenance={other: "caf\udce9"}
    )
    path = tmp_path_factory.mktemp("names") / "a.parquet"
    timeline.save(path)
    assert_same(Timeline.load(path), timeline)


def test_an_interrupted_save_leaves_the_old_file(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    example_timeline().save(path)
    before = path.read_bytes()

    def broken(table: pa.Table, file: Any, **options: Any) -> None:
        file.write(b"half")
        raise OSError("disk full")

    monkeypatch.setattr(pq, "write_table", broken)
    with pytest.raises(OSError, match="disk full"):
        example_timeline(seed=1).save(path)
    assert path.read_bytes() == before
    assert list(path.parent.iterdir()) == [path]


def test_files_that_are_no_timelines(tmp_path: Path) -> None:
    with pytest.raises(TimelineError, match=r"no timeline at .*none\.parquet"):
        Timeline.load(tmp_path / "none.parquet")
    with pytest.raises(TimelineError, match="no timeline at"):
        Timeline.load(tmp_path)
    text = tmp_path / "text.parquet"
    text.write_text("person,t_start\n")
    with pytest.raises(TimelineError, match=r"text\.parquet is no timeline, or damaged"):
        Timeline.load(text)
    foreign = tmp_path / "foreign.parquet"
    example_timeline().rows.to_parquet(foreign)
    with pytest.raises(TimelineError, match=r"foreign\.parquet is no timeline: a Parquet file that videofer"):
        Timeline.load(foreign)


def rewritten(path: Path, **changes: Any) -> None:
    """The file with other metadata. A change to None takes the key away."""
    table = pq.read_table(path)
    document = json.loads(table.schema.metadata[b"videofer"]) | changes
    document = {key: value for key, value in document.items() if key not in changes or value is not None}
    pq.write_table(table.replace_schema_metadata({b"videofer": json.dumps(document)}), path)


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"version": 2}, "is a timeline of version 2, this videofer reads version 1"),
        ({"format": "videofer quality"}, "is no timeline, but something else of videofer's"),
        ({"classes": ["neutral", "anger"]}, "its columns are not those of its classes"),
        ({"persons": None}, "persons: Field required"),
        ({"persons": [{"id": 0, "name": "a"}]}, "its rows speak of person 1, its list of persons does not"),
        ({"video": {"name": "a"}}, r"video\.key: Field required"),
        ({"settings": {"steps_per_hop": 0}}, r"settings\.steps_per_hop: .* greater than or equal to 1"),
        ({"classes": "neutral"}, "classes: "),
        ({"surplus": 1}, "surplus: Extra inputs"),
    ],
)
def test_metadata_that_does_not_fit(path: Path, changes: dict[str, Any], reason: str) -> None:
    example_timeline().save(path)
    rewritten(path, **changes)
    with pytest.raises(TimelineError, match=reason) as caught:
        Timeline.load(path)
    assert "\n" not in str(caught.value) and str(path) in str(caught.value)


@pytest.mark.parametrize(
    ("column", "value", "reason"),
    [
        ("t_end", 0.0, "a row does not end after it starts"),
        ("t_start", float("nan"), "a row does not end after it starts"),
        ("t_start", 0.0, "not in order of time"),
        ("state", None, "a row has no state or no label"),
    ],
)
def test_rows_that_contradict_themselves(path: Path, column: str, value: Any, reason: str) -> None:
    timeline = example_timeline()
    rows = timeline.rows.copy()
    rows.loc[20, column] = value
    dataclasses.replace(timeline, rows=rows).save(path)
    with pytest.raises(TimelineError, match=reason):
        Timeline.load(path)


def test_a_damaged_file_is_one_line_or_harmless(path: Path) -> None:
    """Cut off anywhere, or with one bit turned anywhere. What Parquet has no checksum for may stay unseen."""
    timeline = example_timeline(num_persons=1, duration_seconds=3.0)
    timeline.save(path)
    whole = path.read_bytes()
    rng = np.random.default_rng(0)
    for place in rng.integers(0, len(whole), 60):
        path.write_bytes(whole[:place])
        with pytest.raises(TimelineError) as caught:
            Timeline.load(path)
        assert "\n" not in str(caught.value)
    num_found = 0
    for place in rng.integers(0, len(whole), 300):
        path.write_bytes(
            whole[:place] + bytes([whole[place] ^ (1 << int(rng.integers(8)))]) + whole[place + 1 :]
        )
        try:
            Timeline.load(path)
        except TimelineError as error:
            num_found += 1
            assert "\n" not in str(error)
    assert num_found > 60
