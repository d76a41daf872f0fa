from __future__ import annotations

import csv
import dataclasses
import io
import json
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.videofer.timeline_examples import example_timeline
from videofer.timeline.export import FORMATS, check_formats, safe_stem, safe_stems, write_csv, write_timeline
from videofer.timeline.timeline import Timeline


@pytest.fixture
def timeline() -> pd.DataFrame:
    frame = pd.DataFrame(
        {
            "person": pd.array([0, 0, pd.NA], dtype="Int64"),
            "t_start": [0.0, 1 / 3, 2 / 3],
            "t_end": [1 / 3, 2 / 3, 1.0],
            "face_state": ["ok", "absent", "no_person"],
            "body_state": ["ok", "absent", "no_person"],
            "p_neutral": [0.75, 0.25, np.nan],
            "p_anger": [0.25, 0.75, np.nan],
            "label": ["neutral", "anger", "no_person"],
            "confidence": [0.75, 0.75, np.nan],
            "state": ["ok", "absent", "no_person"],
        }
    )
    return frame


def timeline_of(rows: pd.DataFrame) -> Timeline:
    video = dataclasses.replace(example_timeline().video, duration_seconds=1.0)
    return dataclasses.replace(example_timeline(), rows=rows, classes=("neutral", "anger"), video=video)


def test_all_formats_are_written_and_read_back(timeline: pd.DataFrame, tmp_path: Path) -> None:
    paths = write_timeline(timeline_of(timeline), tmp_path / "new", "a", ["all"])
    assert [path.name for path in paths] == ["a.csv", "a.jsonl", "a.parquet", "a.png"]
    assert sorted(path.name for path in (tmp_path / "new").iterdir()) == sorted(path.name for path in paths)

    parquet = pd.read_parquet(paths[2])
    pd.testing.assert_frame_equal(parquet, timeline)

    table = pd.read_csv(paths[0], dtype={"person": "Int64"})
    pd.testing.assert_frame_equal(table, timeline, rtol=0, atol=1e-6, check_dtype=False)

    records = [json.loads(line) for line in paths[1].read_text().splitlines()]
    assert [list(record) for record in records] == [list(timeline.columns)] * 3
    assert records[2]["person"] is None
    assert records[2]["p_anger"] is None
    assert records[0]["person"] == 0
    again = pd.DataFrame(records).astype({"person": "Int64"})
    pd.testing.assert_frame_equal(again, timeline, rtol=0, atol=1e-6, check_dtype=False)


def test_csv_has_fixed_decimals(timeline: pd.DataFrame) -> None:
    file = io.BytesIO()
    write_csv(timeline, file)
    lines = file.getvalue().decode().splitlines()
    assert lines[1] == "0,0.000000,0.333333,ok,ok,0.750000,0.250000,neutral,0.750000,ok"
    assert lines[3] == ",0.666667,1.000000,no_person,no_person,,,no_person,,no_person"


def test_csv_defuses_formulas_in_text_but_not_numbers(timeline: pd.DataFrame) -> None:
    labels = ["=HYPERLINK(1)", "@x", "-1+1"]
    file = io.BytesIO()
    write_csv(timeline.assign(label=labels, confidence=[-0.5, 0.1, 0.2]), file)
    rows = list(csv.DictReader(io.StringIO(file.getvalue().decode())))
    assert [row["label"] for row in rows] == ["'" + label for label in labels]
    assert rows[0]["confidence"] == "-0.500000"


def test_an_interrupted_write_leaves_the_old_file(
    timeline: pd.DataFrame, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (path,) = write_timeline(timeline_of(timeline), tmp_path, "a", ["csv"])
    before = path.read_bytes()

    def broken(frame: pd.DataFrame, file: io.BytesIO) -> None:
        file.write(b"half")
        raise OSError("disk full")

    monkeypatch.setattr("videofer.timeline.export.write_csv", broken)
    with pytest.raises(OSError, match="disk full"):
        write_timeline(timeline_of(timeline.iloc[:1]), tmp_path, "a", ["csv"])
    assert path.read_bytes() == before
    assert list(tmp_path.iterdir()) == [path]


def test_formats_in_their_order_and_unknown_ones_fail() -> None:
    assert check_formats(["png", "json", "csv"]) == ("csv", "jsonl", "png")
    assert check_formats(["all"]) == FORMATS
    with pytest.raises(
        ValueError, match="format 'xls' is unknown, must be of csv, jsonl, parquet, png or all"
    ):
        check_formats(["csv", "xls"])
    with pytest.raises(ValueError, match="no format"):
        check_formats([])


def test_stems_are_short_unless_taken_twice() -> None:
    names = ["a/x.mp4", "b/x.mp4", "b/y.mp4", "b/Y.avi", "z.mp4"]
    assert safe_stems(names) == ["a__x.mp4", "b__x.mp4", "b__y.mp4", "b__Y.avi", "z"]


@settings(max_examples=300, deadline=None)
@given(st.lists(st.text(min_size=1, max_size=200), min_size=1, max_size=6, unique=True))
def test_stems_are_distinct_safe_names_that_stay_in_the_folder(names: list[str]) -> None:
    stems = safe_stems(names)
    assert len({stem.casefold() for stem in stems}) == len(names)
    for stem in stems:
        assert safe_stem(stem) == stem
        assert len(stem.encode()) <= 120
        assert not set(stem) & set('/\\:*?"<>|\n\0')
        assert stem not in ("", ".", "..")
        assert stem[0] not in ".-"


def test_an_unsafe_stem_is_refused(timeline: pd.DataFrame, tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="not safe"):
        write_timeline(timeline_of(timeline), tmp_path, "../a", ["csv"])
