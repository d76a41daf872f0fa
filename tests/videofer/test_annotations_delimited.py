"""Tables of intervals under all the names that their columns have; and the way back from our own exports."""

from __future__ import annotations

from pathlib import Path

import pandas as pd
import pytest

from tests.videofer.timeline_examples import example_timeline
from videofer.annotations.intervals import AnnotationError
from videofer.annotations.read import read_annotations
from videofer.formats.write import write_exports
from videofer.timeline.segments import find_segments

ROWS = [["happy", 0.5, 2.0, "Anna"], ["sad", 62.5, 64.0, None]]


def read(
    path: Path, text: str | bytes, columns: tuple[str, ...] = ("label", "t_start", "t_end", "person")
) -> list:  # type: ignore[type-arg]
    path.write_bytes(text.encode() if isinstance(text, str) else text)
    table = read_annotations(path).table
    return [list(row) for row in table[list(columns)].itertuples(index=False)]


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("a.csv", "t_start,t_end,label,person\n0.5,2,happy,Anna\n62.5,64,sad,\n"),
        ("a.csv", "Start;End;Emotion;Speaker\r\n0,5;2,0;happy;Anna\r\n62,5;64;sad;n/a\r\n"),
        ("a.csv", "sep=;\nStart;End;Emotion;Speaker\n0,5;2,0;happy;Anna\n62,5;64;sad;\n"),
        ("a.tsv", "onset\tduration\ttrial_type\tparticipant\n0.5\t1.5\thappy\tAnna\n62.5\t1.5\tsad\tn/a\n"),
        ("a.txt", "tmin\ttier\ttext\ttmax\tperson\n0.5\temo\thappy\t2\tAnna\n62.5\temo\tsad\t64\t\n"),
        ("a.csv", "begin time,end time,label,subject\n0:00.5,00:00:02.000,happy,Anna\n0:01:02.5,1:04,sad,\n"),
        ("a.csv", "onset,offset,duration,label,person\n0.5,2,99,happy,Anna\n62.5,,1.5,sad,\n"),
        ("a.csv", "\n\nt_start,t_end,label,person\n\n62.5,64,sad,\n,,,\n0.5,2,happy,Anna\n7,8,,Anna\n"),
        ("a.csv", '\ufeff"t_start","t_end","label","person"\n"0.5","2","happy","Anna"\n62.5,64,sad,NA\n'),
    ],
)
def test_columns_by_many_names(tmp_path: Path, name: str, text: str) -> None:
    assert read(tmp_path / name, text) == ROWS


def test_utf_16_as_spreadsheets_save_it(tmp_path: Path) -> None:
    text = "start\tend\tlabel\tperson\n0.5\t2\thappy\tÄnne\n".encode("utf-16")
    assert read(tmp_path / "a.txt", text) == [["happy", 0.5, 2.0, "Änne"]]


def test_raters_tiers_and_videos_are_kept(tmp_path: Path) -> None:
    text = "video,rater,tier,start,end,emotion\nsub\\a.mp4,KL,face,0,1,anger\na.mp4,MN,face,0,1,none\n"
    columns = ("label", "rater", "tier", "media")
    assert read(tmp_path / "a.csv", text, columns) == [
        ["anger", "KL", "face", "sub/a.mp4"],
        ["none", "MN", "face", "a.mp4"],
    ]


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("start,end\n1,2\n", "no column for label: label, emotion"),
        ("label,end\na,2\n", "no column for t_start"),
        ("label,start\na,2\n", "no column for t_end or duration (there: label, start)"),
        ("start,end,label\n1,2,anger\n1,two,anger\n", "row 3: end must be seconds or a clock"),
        ("start,end,label\n1,2,anger,\n", "row 2: 4 cells, but 3 columns"),
        ("start,end,label\n1,,anger\n", "row 2: 'anger' has no end"),
        ("start,end,label\n3,2,anger\n", "'anger' from 3 to 2 s ends before it starts"),
        ("start,end,label\n1,inf,anger\n", "must be finite"),
        ("start,end,label\n-1,2,anger\n", "starts before the video"),
        ("", "no column for t_start"),
        (b"start,end,label\n1,2,\xe4rger\n", "not UTF-8"),
    ],
)
def test_what_is_wrong_is_said_in_one_line(tmp_path: Path, text: str | bytes, words: str) -> None:
    with pytest.raises(AnnotationError) as caught:
        read(tmp_path / "a.csv", text)
    assert words in str(caught.value) and "a.csv" in str(caught.value) and "\n" not in str(caught.value)


def test_other_files_are_refused(tmp_path: Path) -> None:
    with pytest.raises(AnnotationError, match=r"a\.docx: an annotation file ends in \.eaf, \.textgrid"):
        read_annotations(tmp_path / "a.docx")
    with pytest.raises(AnnotationError, match=r"a\.eaf: cannot be read: No such file"):
        read_annotations(tmp_path / "a.eaf")


@pytest.mark.parametrize(
    ("format", "name"),
    [("eaf", "x.eaf"), ("textgrid", "x.TextGrid"), ("segments", "x_segments.csv"), ("bids", "x_events.tsv")],
)
def test_what_we_export_comes_back(tmp_path: Path, format: str, name: str) -> None:
    """The segments of a timeline, to the millisecond, whichever file they went through."""
    timeline = example_timeline(names=("Anna", "=Ben"))
    write_exports(timeline, tmp_path, "x", [format])
    table = read_annotations(tmp_path / name).table
    who = table["tier"] if format == "textgrid" else table["person"]
    found = pd.DataFrame({"who": who, **table[["label", "t_start", "t_end"]]})
    found = found[found["label"].isin(timeline.classes)].sort_values(["t_start", "who"], ignore_index=True)
    said = find_segments(timeline)
    names = {0: "0", 1: "1"} if format == "bids" else {0: "Anna", 1: "=Ben"}
    said = said.assign(who=said["person"].map(names)).sort_values(["onset", "who"])
    assert len(said) > 3
    assert found["who"].tolist() == said["who"].tolist() and found["label"].tolist() == said["label"].tolist()
    assert found["t_start"].to_numpy() == pytest.approx(said["onset"].to_numpy(), abs=1e-3)
    assert found["t_end"].to_numpy() == pytest.approx(said["offset"].to_numpy(), abs=1e-3)
