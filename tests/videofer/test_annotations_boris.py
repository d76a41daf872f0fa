"""BORIS projects and their exports, in the forms that its versions have written."""

from __future__ import annotations

import gzip
import json
from pathlib import Path
from typing import Any

import pytest

from videofer.annotations.intervals import AnnotationError, name_emotions
from videofer.annotations.read import read_annotations

MEDIA = {"one.mp4": 10.0, "C:\\study\\two.mp4": 20.0}


def observation(files: list[str], events: list[list[Any]], **more: Any) -> dict[str, Any]:
    return {
        "file": {"1": files, "2": ["side.mp4"]},
        "type": "MEDIA",
        "date": "2026-03-01T10:00:00",
        "description": "",
        "time offset": 0.0,
        "events": events,
        "independent_variables": {},
        "close_behaviors_between_videos": False,
        "media_info": {
            "length": {**MEDIA, "side.mp4": 30.0},
            "fps": {},
            "hasVideo": {},
            "hasAudio": {},
            "offset": {"1": 0.0, "2": 3.0},
        },
        **more,
    }


def project(**observations: dict[str, Any]) -> dict[str, Any]:
    def behavior(code: str, kind: str) -> dict[str, Any]:
        return {
            "type": kind,
            "key": code[0],
            "code": code,
            "description": "",
            "category": "",
            "modifiers": {},
            "excluded": "",
            "coding map": "",
        }

    return {
        "time_format": "hh:mm:ss",
        "project_date": "2026-03-01T09:00:00",
        "project_name": "p",
        "project_description": "",
        "project_format_version": "7.0",
        "subjects_conf": {"0": {"key": "1", "name": "Anna", "description": ""}},
        "behaviors_conf": {
            "0": behavior("happy", "State event"),
            "1": behavior("sad", "State event with coding map"),
            "2": behavior("blink", "Point event"),
        },
        "behavioral_categories": [],
        "independent_variables": {},
        "coding_map": {},
        "converters": {},
        "observations": observations,
    }


def write(path: Path, content: dict[str, Any]) -> Path:
    text = json.dumps(content, indent=1).encode()
    path.write_bytes(gzip.compress(text) if path.suffix == ".gz" else text)
    return path


def rows(path: Path) -> list[tuple[object, ...]]:
    table = read_annotations(path).table
    columns = [table[name] for name in ("label", "t_start", "t_end", "person", "tier", "media")]
    return [(a, round(b, 6), round(c, 6), *rest) for a, b, c, *rest in zip(*columns, strict=True)]


EVENTS = [
    [1.0, "Anna", "happy", "", "", 25],
    [2.0, "", "happy", "", "another subject", 50],
    [2.5, "Anna", "blink", "", ""],  # older events have no frame index
    [3.0, "Anna", "sad", "weak", "", 75],
    [3.5, "Anna", "sad", "strong", "", 80],
    [4.0, "Anna", "happy", "", "", 100],
    [5.0, "Anna", "sad", "weak", "", 125],
    [6.0, "Anna", "sad", "strong", "", 150],
    [7.5, "", "happy", "", "", 180],
]


@pytest.mark.parametrize("name", ["p.boris", "p.boris.gz"])
def test_states_are_paired_by_subject_and_modifiers(tmp_path: Path, name: str) -> None:
    path = write(tmp_path / name, project(first=observation(["one.mp4"], EVENTS)))
    assert rows(path) == [
        ("happy", 1.0, 4.0, "Anna", "first", "one.mp4"),
        ("happy", 2.0, 7.5, None, "first", "one.mp4"),
        ("blink", 2.5, 2.5, "Anna", "first", "one.mp4"),
        ("sad", 3.0, 5.0, "Anna", "first", "one.mp4"),
        ("sad", 3.5, 6.0, "Anna", "first", "one.mp4"),
    ]
    assert read_annotations(path).notes == ()


def test_a_clock_that_runs_through_two_files_with_an_offset(tmp_path: Path) -> None:
    """one.mp4 lasts 10 s; the clock begins at 100 s; a state across the border is cut there."""
    said = {"blink": (101.0, 110.0), "happy": (108.0, 112.0), "sad": (120.0, 131.0)}
    events = [[time, "", behavior, "", ""] for behavior, times in said.items() for time in times]
    content = project(long=observation(list(MEDIA), events, **{"time offset": 100.0}))
    assert rows(write(tmp_path / "p.boris", content)) == [
        ("blink", 0.0, 0.0, None, "long", "C:/study/two.mp4"),
        ("happy", 0.0, 2.0, None, "long", "C:/study/two.mp4"),
        ("blink", 1.0, 1.0, None, "long", "one.mp4"),
        ("happy", 8.0, 10.0, None, "long", "one.mp4"),
        ("sad", 10.0, 21.0, None, "long", "C:/study/two.mp4"),
    ]


def test_a_clock_that_counts_from_the_creation_of_the_file(tmp_path: Path) -> None:
    one = observation(["one.mp4"], [[1000003.0, "", "happy", "", ""], [1000005.0, "", "happy", "", ""]])
    one["media_creation_date_as_offset"] = True
    one["media_info"]["media_creation_time"] = {"one.mp4": 1000000.0}
    assert [row[1:3] for row in rows(write(tmp_path / "p.boris", project(a=one)))] == [(3.0, 5.0)]
    one["file"]["1"] = list(MEDIA)
    with pytest.raises(AnnotationError, match="counts from the creation date of its media"):
        read_annotations(write(tmp_path / "p.boris", project(a=one)))


def test_modifiers_may_say_the_emotion(tmp_path: Path) -> None:
    """A behaviour "sad" with modifiers: they can be told apart, or left out, in projects and in exports."""
    path = write(tmp_path / "p.boris", project(first=observation(["one.mp4"], EVENTS)))
    (tmp_path / "a.csv").write_text(TABULAR_9)
    for one in (read_annotations(path), read_annotations(tmp_path / "a.csv")):
        named = name_emotions(one, renamed={"sad|Strong": "fear"}, ignored=["blink", "happy", "sad|weak"])
        assert named.table["label"].tolist() == ["fear"]
        with pytest.raises(AnnotationError, match=r"unknown label 'blink' \(tier 'first'\): say"):
            name_emotions(one)


def test_a_small_file_that_unpacks_to_much(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = write(tmp_path / "p.boris.gz", project(first=observation(["one.mp4"], EVENTS)))
    monkeypatch.setattr("videofer.annotations.boris_project.MAX_BYTES", 100)
    with pytest.raises(AnnotationError, match="holds more than 100 bytes"):
        read_annotations(path)


def test_live_observations_and_what_is_left_out(tmp_path: Path) -> None:
    live = observation([], [[0.5, "", "happy", "", ""], [1.0, "", "happy", "", ""]], type="LIVE", file=[])
    images = {"type": "IMAGES", "events": [["NA", "", "happy", "", "", 3, "3.jpg"]], "file": {}}
    open_end = observation(["one.mp4"], [[9.0, "Anna", "sad", "", ""]])
    path = write(tmp_path / "p.boris", project(live=live, pictures=images, open=open_end))
    assert rows(path) == [("happy", 0.5, 1.0, None, "live", None)]
    assert read_annotations(path).notes == (
        "observation 'pictures' is of pictures: its events have no time; left out",
        "observation 'open': 'sad' of 'Anna' at 9 s has no end and is left out",
    )


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (b"{", "p.boris: "),
        (b"[]", "not a BORIS project: no observations"),
        (b"\x1f\x8b\x08", "not a whole gzip file"),
        (json.dumps({"observations": {"a": {}}, "behaviors_conf": {}}).encode(), "KeyError 'type'"),
        (json.dumps(project(a=observation(["x.mp4", "y.mp4"], [[1, "", "blink", "", ""]]))).encode(),
         "runs through 2 videos of unknown length"),
        (json.dumps(project(a=observation(["one.mp4"], [["NA", "", "blink", "", ""]]))).encode(), "NA"),
        (json.dumps(project(a=observation(["one.mp4"], [[-5, "", "blink", "", ""]]))).encode(),
         "starts before the video"),
    ],
)  # fmt: skip
def test_broken_projects(tmp_path: Path, content: bytes, words: str) -> None:
    path = tmp_path / "p.boris"
    path.write_bytes(content)
    with pytest.raises(AnnotationError) as caught:
        read_annotations(path)
    assert words in str(caught.value) and "\n" not in str(caught.value)


AGGREGATED_9 = (
    "Observation id,Observation date,Description,Observation type,Source,Time offset (s),Coding duration,"
    "Media duration (s),FPS (frame/s),age,Subject,Observation duration by subject by observation,Behavior,"
    "Behavioral category,Modifier #1,Behavior type,Start (s),Stop (s),Duration (s),Media file name,"
    "Image index start,Image index stop,Image file path start,Image file path stop,Comment start,"
    "Comment stop\n"
    'first,2026-03-01 10:00:00,"a, b",Media file,player #1:one.mp4;C:\\study\\two.mp4|player #2:side.mp4,'
    "100.0,11.000,10.000;20.000|30.000,25.000;25.000|25.000,31,Anna,3.0,happy,Not defined,weak,STATE,108.000,"
    "112.000,4.000,one.mp4,NA,NA,NA,NA,,\n"
    "first,2026-03-01 10:00:00,,Media file,player #1:one.mp4;C:\\study\\two.mp4|player #2:side.mp4,"
    "100.0,11.000,10.000;20.000|30.000,25.000;25.000|25.000,31,No focal subject,3.0,blink,Not defined,,POINT,"
    "101.000,101.000,NA,one.mp4,NA,NA,NA,NA,,\n"
)
AGGREGATED_7 = (
    "Observation id\tObservation date\tDescription\tMedia file\tTotal length\tFPS\ta\tSubject\tBehavior\t"
    "Behavioral category\tModifiers\tBehavior type\tStart (s)\tStop (s)\tDuration (s)\tComment start\t"
    "Comment stop\n"
    "first\t2016-12-01 23:01:31\t\tone.mp4\t539.920\t25.0\t123\tNo focal subject\thappy\t\t\tSTATE\t1.800\t"
    "8.125\t6.325\t\t\n"
    "first\t2016-12-01 23:01:31\t\tone.mp4\t539.920\t25.0\t123\tAnna\tblink\t\t\tPOINT\t"
    "2.000\t2.000\tNA\t\t\n"
)


def test_aggregated_events_of_today(tmp_path: Path) -> None:
    path = tmp_path / "a.csv"
    path.write_text(AGGREGATED_9)
    assert rows(path) == [
        ("happy", 0.0, 2.0, "Anna", "first", "C:/study/two.mp4"),
        ("blink", 1.0, 1.0, None, "first", "one.mp4"),
        ("happy", 8.0, 10.0, "Anna", "first", "one.mp4"),
    ]


def test_aggregated_events_of_old(tmp_path: Path) -> None:
    path = tmp_path / "a.tsv"
    path.write_text(AGGREGATED_7)
    assert rows(path) == [
        ("happy", 1.8, 8.125, None, "first", "one.mp4"),
        ("blink", 2.0, 2.0, "Anna", "first", "one.mp4"),
    ]
    path.write_text(AGGREGATED_7.replace("one.mp4", "two.mp4", 1))
    with pytest.raises(AnnotationError, match=r"row 3: observation 'first' runs through several videos"):
        read_annotations(path)


TABULAR_9 = (
    "Observation id,Observation date,Description,Observation duration,Observation type,Source,Time offset "
    "(s),Media duration (s),FPS,age,Subject,Behavior,Behavioral category,Modifier #1,Modifier #2,Behavior "
    "type,Time,Media file name,Image index,Image file path,Comment\n"
    + "".join(
        "first,2026-03-01 10:00:00,,9.0,Media file(s),player #1:one.mp4,0.0,10.000,25.000,31,"
        f"{subject},{behavior},,{modifier},,{status},{time},one.mp4,25,NA,\n"
        for subject, behavior, modifier, status, time in [
            ("Anna", "happy", "", "START", "1.000"), ("", "happy", "", "START", "2.000"),
            ("Anna", "blink", "", "POINT", "2.500"), ("Anna", "sad", "weak", "START", "3.000"),
            ("Anna", "sad", "strong", "START", "3.500"), ("Anna", "happy", "", "STOP", "4.000"),
            ("Anna", "sad", "weak", "STOP", "5.000"), ("Anna", "sad", "strong", "STOP", "6.000"),
            ("", "happy", "", "STOP", "7.500"),
        ]
    )
)  # fmt: skip
TABULAR_7 = """Observation id\tfirst\t\t\t\t\t\t\t
\t\t\t\t\t\t\t\t
Media file(s)\t\t\t\t\t\t\t\t
\t\t\t\t\t\t\t\t
Player #1\tone.mp4\t\t\t\t\t\t\t
\t\t\t\t\t\t\t\t
Observation date\t2016-11-27 01:57:26\t\t\t\t\t\t\t
Description\t\t\t\t\t\t\t\t
Time offset (s)\t2.0\t\t\t\t\t\t\t
independent variables\t\t\t\t\t\t\t\t
variable\tvalue\t\t\t\t\t\t\t
a\t12\t\t\t\t\t\t\t
\t\t\t\t\t\t\t\t
Time\tMedia file path\tTotal length\tFPS\tSubject\tBehavior\tBehavioral category\tComment\tStatus
3.300\tone.mp4\t359.960\t25.0\tAnna\thappy\t\t\tSTART
7.750\tone.mp4\t359.960\t25.0\tAnna\thappy\t\t\tSTOP
9.900\tone.mp4\t359.960\t25.0\tAnna\thappy\t\t\tSTART
"""


def test_tabular_events_say_what_the_project_says(tmp_path: Path) -> None:
    table = tmp_path / "a.csv"
    table.write_text(TABULAR_9)
    assert rows(table) == rows(write(tmp_path / "p.boris", project(first=observation(["one.mp4"], EVENTS))))


def test_tabular_events_with_lines_before_the_header(tmp_path: Path) -> None:
    path = tmp_path / "a.tsv"
    path.write_text(TABULAR_7)
    assert rows(path) == [("happy", 1.3, 5.75, "Anna", "first", "one.mp4")]
    assert read_annotations(path).notes == (
        "observation 'first': 'happy' of 'Anna' at 9.9 s has no end and is left out",
    )


@pytest.mark.parametrize(
    ("text", "words"),
    [
        (TABULAR_9.replace("STOP,4.000", "STOP,four"), "row 7: Time must be seconds"),
        (TABULAR_9.replace("STOP,4.000", "STOP,NA"), "row 7: Time is empty"),
        (TABULAR_9.replace("STOP,4.000", "END,4.000"), "row 7: the status must be START, STOP or POINT"),
        (AGGREGATED_9.replace("112.000", "NA"), "row 2: the state 'happy' has no Stop"),
        (AGGREGATED_9.replace("108.000", "NA"), "row 2: Start (s) is empty"),
        (AGGREGATED_9.replace("10.000;20.000|30.000", "NA"), "unknown length"),
    ],
)
def test_broken_tables(tmp_path: Path, text: str, words: str) -> None:
    path = tmp_path / "a.csv"
    path.write_text(text)
    with pytest.raises(AnnotationError) as caught:
        read_annotations(path)
    assert words in str(caught.value) and "\n" not in str(caught.value)
