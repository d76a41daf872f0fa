from __future__ import annotations

import io
import json
import re

import numpy as np
import pandas as pd
import pytest

from tests.videofer.timeline_examples import CLASSES, example_timeline
from videofer.formats.bids import write_events, write_sidecar
from videofer.timeline.segments import find_segments
from videofer.timeline.timeline import Timeline


def write(timeline: Timeline) -> tuple[str, dict[str, dict[str, object]]]:
    events, sidecar = io.BytesIO(), io.BytesIO()
    write_events(find_segments(timeline), events)
    write_sidecar(timeline, sidecar)
    return events.getvalue().decode("utf-8"), json.loads(sidecar.getvalue())


def check_rules(events: str, sidecar: dict[str, dict[str, object]]) -> pd.DataFrame:
    """Fail where the files are not as BIDS demands: tabular files, task events, sidecars of columns."""
    lines = events.split("\n")
    assert lines.pop() == ""  # each line ends, and with a line feed alone
    assert "\r" not in events
    header, *rows = [line.split("\t") for line in lines]
    assert header[:2] == ["onset", "duration"]
    assert len(set(header)) == len(header)
    assert all(re.fullmatch(r"[a-z][a-z0-9_]*", name) for name in header)  # snake case is recommended
    assert all(len(row) == len(header) and all(cell.strip() for cell in row) for row in rows)
    onsets = [float(row[0]) for row in rows]
    assert onsets == sorted(onsets)
    assert all(float(row[1]) >= 0 for row in rows)

    assert set(sidecar) == set(header)
    for name, about in sidecar.items():
        assert set(about) <= {"LongName", "Description", "Levels", "Units", "TermURL", "HED"}
        assert about["Description"]
        levels = about.get("Levels")
        if isinstance(levels, dict):
            assert {row[header.index(name)] for row in rows} <= set(levels)
    assert sidecar["onset"]["Units"] == sidecar["duration"]["Units"] == "s"
    return pd.read_csv(io.StringIO(events), sep="\t", na_values="n/a", keep_default_na=False)


@pytest.mark.parametrize("num_persons", [0, 1, 2, 6])
def test_every_segment_is_an_event(num_persons: int) -> None:
    timeline = example_timeline(num_persons=num_persons, names=("Anna", "n/a"))
    events, sidecar = write(timeline)
    table = check_rules(events, sidecar)
    segments = find_segments(timeline)
    assert len(table) == len(segments)
    assert table["trial_type"].tolist() == segments["label"].tolist()
    assert table["person"].tolist() == segments["person"].tolist()
    for name in ("onset", "duration", "apex", "mean_probability", "apex_probability"):
        np.testing.assert_allclose(table[name].astype(float), segments[name], rtol=0, atol=5.01e-7)
    assert sidecar["trial_type"]["Levels"] == {name: f"Perceived expression: {name}" for name in CLASSES}
    assert sidecar["person"]["Levels"] == {str(person.id): person.name for person in timeline.persons}


def test_missing_values_are_not_available() -> None:
    timeline = example_timeline()
    segments = find_segments(timeline).assign(apex_probability=np.nan)
    file = io.BytesIO()
    write_events(segments, file)
    lines = file.getvalue().decode().splitlines()
    assert all(line.endswith("\tn/a") for line in lines[1:])


@pytest.mark.parametrize("label", ["=1+1", "a\tb", "a\nb", '"q"', "x\x00"])
def test_hostile_labels_stay_in_their_cell(label: str) -> None:
    timeline = example_timeline(classes=(label, *CLASSES[1:]), names=(label, label))
    table = check_rules(*_unquoted(*write(timeline)))
    assert set(table["person"]) == {0, 1}
    assert not table["trial_type"].str.startswith("=").any()


def _unquoted(events: str, sidecar: dict[str, dict[str, object]]) -> tuple[str, dict[str, dict[str, object]]]:
    """As a reader of quoted cells sees it."""
    return re.sub(r'"((?:[^"]|"")*)"', lambda cell: cell[1].replace('""', '"'), events), sidecar
