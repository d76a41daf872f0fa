from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import BinaryIO

import numpy as np
import pandas as pd
import parselmouth
import pympi
import pytest
import srt
import webvtt

from cache.errors import UserError
from tests.videofer.timeline_examples import example_timeline
from videofer.annotations.read import read_annotations
from videofer.formats.write import EXPORTS, FORMATS, check_formats, file_names, write_exports
from videofer.timeline.segments import find_segments
from videofer.timeline.summary import summarise
from videofer.timeline.timeline import Timeline, row_columns

TABLES = tuple(name for name in EXPORTS if name != "png")  # drawing takes seconds and has its own tests


def one_row(state: str = "ok", t_end: float = 0.2) -> Timeline:
    """A timeline of a single row, as of a still; with t_end 0 it has no duration."""
    timeline = example_timeline(num_persons=1)
    video = replace(timeline.video, duration_seconds=t_end, kind="image")
    return replace(timeline, rows=timeline.rows.iloc[:1].assign(state=state, t_end=t_end), video=video)


def no_rows() -> Timeline:
    timeline = example_timeline(num_persons=0)
    rows = timeline.rows.iloc[:0].reindex(columns=row_columns(timeline.classes, ("face",)))
    return replace(timeline, rows=rows, video=replace(timeline.video, duration_seconds=0.0))


def test_every_format_is_written_and_nothing_else(tmp_path: Path) -> None:
    timeline = example_timeline(names=("Anna",))
    paths = write_exports(timeline, tmp_path / "new", "talk", EXPORTS, media=tmp_path / "talk.mp4")
    assert [path.name for path in paths] == [
        "talk.csv", "talk.parquet", "talk.jsonl", "talk_segments.csv", "talk_summary.json", "talk.eaf",
        "talk.TextGrid", "talk.vtt", "talk.srt", "talk_events.tsv", "talk_events.json", "talk_openface.csv",
        "talk.png",
    ]  # fmt: skip
    assert [path.name for path in paths] == [name for each in EXPORTS for name in file_names("talk", each)]
    assert sorted((tmp_path / "new").iterdir()) == sorted(paths)
    assert all(path.stat().st_size > 0 for path in paths)

    again = Timeline.load(paths[1])
    pd.testing.assert_frame_equal(again.rows, timeline.rows)
    assert again.persons == timeline.persons
    eaf = pympi.Eaf(str(paths[5]))
    assert eaf.media_descriptors[0]["RELATIVE_MEDIA_URL"] == "../talk.mp4"
    assert paths[-1].read_bytes().startswith(b"\x89PNG")


def test_all_formats_tell_the_same_segments(tmp_path: Path) -> None:
    timeline = example_timeline(num_persons=3, duration_seconds=60.0)
    write_exports(timeline, tmp_path, "a", TABLES)
    expected = sorted(
        (row.person, row.label, round(1000 * row.onset), round(1000 * row.offset))
        for row in find_segments(timeline).itertuples()
    )
    assert len(expected) > 20
    table = pd.read_csv(tmp_path / "a_segments.csv")
    assert sorted(
        zip(
            table["person"], table["label"], (1000 * table["onset"]).round().astype(int),
            (1000 * table["offset"]).round().astype(int), strict=True,
        )
    ) == expected  # fmt: skip

    eaf = pympi.Eaf(str(tmp_path / "a.eaf"))
    assert (
        sorted(
            (person.id, label, start, end)
            for person in timeline.persons
            for start, end, label in eaf.get_annotation_data_for_tier(person.name)
        )
        == expected
    )

    grid = pympi.Praat.TextGrid(str(tmp_path / "a.TextGrid"))  # a second reader besides Praat itself
    assert (
        sorted(
            (person.id, label, round(1000 * start), round(1000 * end))
            for person in timeline.persons
            for start, end, label in grid.get_tier(person.name).get_intervals()
            if label
        )
        == expected
    )
    assert parselmouth.read(str(tmp_path / "a.TextGrid")).xmax == 60.0

    captions = webvtt.read(tmp_path / "a.vtt")
    assert (
        sorted(
            (
                int(str(each.voice).removeprefix("person ")),
                each.text.split()[2],
                _ms(each.start),
                _ms(each.end),
            )
            for each in captions
        )
        == expected
    )

    events = pd.read_csv(tmp_path / "a_events.tsv", sep="\t")
    assert (
        sorted(
            (row.person, row.trial_type, round(1000 * row.onset), round(1000 * (row.onset + row.duration)))
            for row in events.itertuples()
        )
        == expected
    )


def _ms(clock: str) -> int:
    """Of HH:MM:SS.mmm."""
    return round(pd.Timedelta(clock).total_seconds() * 1000)


@pytest.mark.parametrize("name", ["a.eaf", "a.TextGrid", "a_segments.csv", "a_events.tsv"])
def test_segments_that_people_correct_come_back_in(name: str, tmp_path: Path) -> None:
    timeline = example_timeline(num_persons=3, duration_seconds=30.0)
    write_exports(timeline, tmp_path, "a", TABLES)
    table = read_annotations(tmp_path / name).table.sort_values(["t_start", "person"], kind="stable")
    segments = find_segments(timeline)
    assert table["label"].tolist() == segments["label"].tolist()
    persons = table["person"].str.removeprefix("person ").astype(int)
    assert persons.tolist() == segments["person"].tolist()
    np.testing.assert_allclose(table["t_start"], segments["onset"], rtol=0, atol=5.1e-4)
    np.testing.assert_allclose(table["t_end"], segments["offset"], rtol=0, atol=5.1e-4)


@pytest.mark.parametrize(
    "timeline",
    [
        no_rows(),
        example_timeline(num_persons=0),
        one_row(),
        one_row(t_end=0.0),
        example_timeline(num_persons=6),
    ],
    ids=["no rows", "nobody", "one row", "no duration", "six persons"],
)
def test_edges(timeline: Timeline, tmp_path: Path) -> None:
    write_exports(timeline, tmp_path, "a", TABLES, media=tmp_path / "a.png")
    num_segments = len(find_segments(timeline))
    assert len(pd.read_csv(tmp_path / "a.csv")) == len(timeline.rows)
    assert len(pd.read_csv(tmp_path / "a_openface.csv")) == len(timeline.rows)
    assert len((tmp_path / "a.jsonl").read_text().splitlines()) == len(timeline.rows)
    assert len(pd.read_csv(tmp_path / "a_segments.csv")) == num_segments
    assert len(pd.read_csv(tmp_path / "a_events.tsv", sep="\t")) == num_segments
    eaf = pympi.Eaf(str(tmp_path / "a.eaf"))
    assert len(list(eaf.get_tier_names())) == len(timeline.persons)
    assert len(eaf.media_descriptors) == (timeline.video.kind == "video")
    assert len(webvtt.read(tmp_path / "a.vtt")) == num_segments
    assert list(srt.parse((tmp_path / "a.srt").read_text())) != [] or num_segments == 0
    assert parselmouth.read(str(tmp_path / "a.TextGrid")) is not None
    summary = json.loads((tmp_path / "a_summary.json").read_text())
    assert summary["summary"]["num_persons"] == len(timeline.persons)


def test_the_summary_says_what_was_watched_and_by_what(tmp_path: Path) -> None:
    timeline = example_timeline(names=("Anna",))
    timeline = replace(timeline, provenance={"warnings": ["a"], "nan": float("nan"), "list": (np.inf, 1.5)})
    (path,) = write_exports(timeline, tmp_path, "a", ["summary"])
    content = json.loads(path.read_text(), parse_constant=lambda name: pytest.fail(f"{name} is no JSON"))
    assert content["video"]["key"] == timeline.video.key
    assert content["model"]["weights_sha256"] == timeline.model.weights_sha256
    assert content["settings"] == timeline.settings.model_dump(mode="json")
    assert content["persons"][0] == {"id": 0, "name": "Anna", "certainty": 1.0}
    assert content["provenance"] == {"warnings": ["a"], "nan": None, "list": [None, 1.5]}
    assert content["summary"] == json.loads(json.dumps(summarise(timeline).to_json()))


def test_an_interrupted_write_leaves_the_old_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    timeline = example_timeline()
    (path,) = write_exports(timeline, tmp_path, "a", ["csv"])
    before = path.read_bytes()

    def broken(timeline: Timeline, file: BinaryIO) -> None:
        file.write(b"half")
        raise OSError("disk full")

    monkeypatch.setattr("videofer.formats.write.write_rows_csv", broken)
    with pytest.raises(OSError, match="disk full"):
        write_exports(timeline, tmp_path, "a", ["csv"])
    assert path.read_bytes() == before
    assert list(tmp_path.iterdir()) == [path]


def test_formats_in_their_order_and_unknown_ones_fail() -> None:
    assert check_formats(["png", "json", " CSV", "TextGrid"]) == ("csv", "jsonl", "textgrid", "png")
    assert check_formats(["all"]) == check_formats(["csv", "all"]) == FORMATS
    assert set(FORMATS) == {*EXPORTS, "html", "mp4"}
    allowed = (
        "csv, parquet, jsonl, segments, summary, eaf, textgrid, vtt, srt, bids, openface, png, html, mp4"
    )
    with pytest.raises(UserError, match=f"format 'xls' is unknown, must be of {allowed} or all"):
        check_formats(["csv", "xls"])
    with pytest.raises(UserError, match="no format given"):
        check_formats([])
    with pytest.raises(UserError, match="format '' is unknown"):
        check_formats(["csv", ""])


def test_unsafe_stems_and_products_of_others_are_refused(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="not safe"):
        write_exports(example_timeline(), tmp_path, "../a", ["csv"])
    with pytest.raises(ValueError, match="'html' is none of the exports"):
        write_exports(example_timeline(), tmp_path, "a", ["csv", "html"])
    assert list(tmp_path.iterdir()) == []
