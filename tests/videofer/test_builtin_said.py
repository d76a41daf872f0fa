"""Everything that is made of a timeline says which model it is from, and that it is perceived expression."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pandas as pd
import pytest

from tests.videofer.timeline_examples import example_timeline
from videofer.formats.write import EXPORTS, file_names, write_exports
from videofer.report.write import write_report
from videofer.timeline.timeline import Timeline

SAID = ("builtin 1.0", "perceived expression")
SILENT = {".srt": "has no place for notes", "_events.tsv": "is said in its sidecar"}


@pytest.fixture(scope="module")
def timeline() -> Timeline:
    example = example_timeline(num_persons=2)
    return replace(example, model=replace(example.model, name="builtin", version="1.0"))


@pytest.mark.parametrize("export", [name for name in EXPORTS if name not in ("parquet", "png")])
def test_every_export_says_it(export: str, timeline: Timeline, tmp_path: Path) -> None:
    write_exports(timeline, tmp_path, "a", [export])
    for name in file_names("a", export):
        text = (tmp_path / name).read_text(encoding="utf-8").lower()
        if name.removeprefix("a") in SILENT:
            assert SAID[0] not in text, "then it need not be silent"
        elif export == "summary":
            model = json.loads(text)["model"]
            assert (model["name"], model["version"], model["reports"]) == ("builtin", "1.0", SAID[1])
        else:
            assert all(words in text for words in SAID), name


def test_tables_say_it_in_every_row(timeline: Timeline, tmp_path: Path) -> None:
    write_exports(timeline, tmp_path, "a", ["csv", "segments", "openface", "jsonl"])
    for name, column in (
        ("a.csv", "model"),
        ("a_segments.csv", "model"),
        ("a_openface.csv", "emotion_model"),
    ):
        assert set(pd.read_csv(tmp_path / name)[column]) == {"builtin 1.0 (perceived expression)"}
    lines = (tmp_path / "a.jsonl").read_text(encoding="utf-8").splitlines()
    assert {json.loads(line)["model"] for line in lines} == {"builtin 1.0 (perceived expression)"}


def test_a_saved_timeline_keeps_it(timeline: Timeline, tmp_path: Path) -> None:
    timeline.save(tmp_path / "a.parquet")
    again = Timeline.load(tmp_path / "a.parquet")
    assert again.model == timeline.model and again.model.title == "builtin 1.0"
    assert again.model.reports == "perceived expression"


def test_the_report_says_it_at_its_head_its_foot_and_among_the_facts(
    timeline: Timeline, tmp_path: Path
) -> None:
    write_report(timeline, tmp_path / "a.html", video="none")
    page = (tmp_path / "a.html").read_text(encoding="utf-8")
    head, foot = page.partition("<main>")[0], page.partition("</main>")[2]
    assert "perceived expression" in head and "the model <strong>builtin 1.0</strong>" in head
    assert "Perceived expression by the model builtin 1.0." in foot
    assert "<dt>Model</dt><dd>builtin 1.0</dd>" in page


def test_a_run_of_ones_own_has_no_version() -> None:
    model = example_timeline().model
    assert (model.title, model.credit) == ("example", "example (perceived expression)")
