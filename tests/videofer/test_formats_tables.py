from __future__ import annotations

import csv
import io
import json
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.videofer.timeline_examples import CLASSES, example_timeline
from videofer.formats.tables import write_csv, write_jsonl, write_rows_csv, write_segments_csv
from videofer.formats.text import defused, person_names
from videofer.timeline.segments import find_segments
from videofer.timeline.timeline import Timeline


def read_csv(timeline: Timeline) -> pd.DataFrame:
    file = io.BytesIO()
    write_rows_csv(timeline, file)
    file.seek(0)
    return pd.read_csv(file, dtype={"person": "Int64"})


def expected_names(timeline: Timeline) -> list[str | None]:
    return [None if person is pd.NA else timeline.name_of(person) for person in timeline.rows["person"]]


@pytest.mark.parametrize("num_persons", [0, 1, 2, 6])
def test_csv_and_json_lines_hold_the_rows(num_persons: int) -> None:
    timeline = example_timeline(num_persons=num_persons, names=('Zoë, "Z"', "李小龍 👩‍🔬"))
    table = read_csv(timeline)
    assert list(table.columns) == ["person", "person_name", *timeline.rows.columns[1:], "model"]
    assert set(table["model"]) == {"example (perceived expression)"}
    assert [None if pd.isna(name) else name for name in table["person_name"]] == expected_names(timeline)
    rows = table.drop(columns=["person_name", "model"])
    pd.testing.assert_frame_equal(rows, timeline.rows, rtol=0, atol=1e-6, check_dtype=False)

    file = io.BytesIO()
    write_jsonl(timeline, file)
    records = [json.loads(line) for line in file.getvalue().decode().splitlines()]
    assert all(list(record) == list(table.columns) for record in records)
    assert [record["person_name"] for record in records] == expected_names(timeline)
    again = pd.DataFrame(records).drop(columns=["person_name", "model"]).astype(timeline.rows.dtypes)
    pd.testing.assert_frame_equal(again, timeline.rows, rtol=0, atol=1e-6, check_dtype=False)
    assert records[-1]["person"] is None
    assert records[-1]["p_anger"] is None


def test_csv_has_fixed_decimals() -> None:
    table = pd.DataFrame(
        {"person": pd.array([0, pd.NA], "Int64"), "t_start": [0.0, 1 / 3], "label": ["fear", None]}
    ).assign(confidence=[0.75, np.nan])
    file = io.BytesIO()
    write_csv(table, file)
    assert file.getvalue() == b"person,t_start,label,confidence\n0,0.000000,fear,0.750000\n,0.333333,,\n"


def test_segments_have_names() -> None:
    timeline = example_timeline(names=("Anna",))
    segments = find_segments(timeline)
    file = io.BytesIO()
    write_segments_csv(timeline, segments, file)
    table = pd.read_csv(io.BytesIO(file.getvalue()))
    assert list(table.columns[:3]) == ["person", "person_name", "label"]
    assert table["person_name"].tolist() == [timeline.name_of(person) for person in segments["person"]]
    numbers = table.drop(columns=["person_name", "model"])
    pd.testing.assert_frame_equal(numbers, segments, rtol=0, atol=1e-6, check_dtype=False)


def test_formulas_in_text_are_defused_but_numbers_are_not_touched() -> None:
    timeline = example_timeline(names=("=HYPERLINK(1)", "@x"), classes=("-1+1", *CLASSES[1:]))
    timeline = replace(timeline, rows=timeline.rows.assign(valence=-0.5))
    file = io.BytesIO()
    write_rows_csv(timeline, file)
    rows = list(csv.DictReader(io.StringIO(file.getvalue().decode())))
    assert {row["person_name"] for row in rows} == {"'=HYPERLINK(1)", "'@x", ""}
    assert {row["label"] for row in rows} >= {"'-1+1"}
    assert {row["valence"] for row in rows} == {"-0.500000"}
    assert "p_-1+1" in rows[0]
    cells = {cell for row in rows for name, cell in row.items() if name in ("person_name", "label", "state")}
    assert not any(cell.startswith(("=", "+", "-", "@")) for cell in cells)


@pytest.mark.parametrize("name", ["a\r\nb", 'x","=1', "\ud800", "\x00", "\u2028,"])
def test_hostile_names_stay_in_their_cell(name: str) -> None:
    label = name.replace("\ud800", "?")  # pandas holds no such text
    timeline = example_timeline(num_persons=1, names=(name,), classes=(label, *CLASSES[1:]))
    table = read_csv(timeline)
    assert len(table) == len(timeline.rows)
    assert table["person_name"].dropna().nunique() == 1
    file = io.BytesIO()
    write_jsonl(timeline, file)
    lines = file.getvalue().decode("utf-8").split("\n")
    assert len([json.loads(line) for line in lines if line]) == len(timeline.rows)


@settings(max_examples=100)
@given(st.text(st.characters(exclude_categories=()), max_size=40) | st.text(";=\"',+-@ a\t|\n", max_size=12))
def test_any_name_comes_back_and_no_spreadsheet_runs_it(name: str) -> None:
    timeline = example_timeline(num_persons=1, names=(name,), duration_seconds=4.0)
    file = io.BytesIO()
    write_segments_csv(timeline, find_segments(timeline), file)
    text = file.getvalue().decode("utf-8")
    shown = person_names(timeline)[0]
    rows = list(csv.DictReader(io.StringIO(text, newline="")))
    assert {row["person_name"] for row in rows} == {defused(shown)}
    assert defused(shown).replace("'", "") == shown.replace("'", "")
    for separator in ",;\t":  # spreadsheets of other countries, and those that guess
        for cells in csv.reader(io.StringIO(text, newline=""), delimiter=separator):
            assert not any(cell.startswith(("=", "+", "@", "-")) for cell in cells)
