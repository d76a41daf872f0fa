from __future__ import annotations

import base64
import html
import io
import re
from datetime import timedelta
from pathlib import Path

import av
import pytest
import srt
import webvtt
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.browser import Browse
from tests.videofer.timeline_examples import example_timeline
from videofer.formats.cues import cues_of, together
from videofer.formats.marks import Mark, marks_of
from videofer.formats.subtitles import write_srt, write_vtt
from videofer.formats.text import one_line, person_names
from videofer.timeline.segments import find_segments
from videofer.timeline.timeline import Timeline

HOSTILE = ['<b>&"--> {\\an8}', "a-->b\n\n1\n00:00:00.000 --> 00:00:01.000\nx", "WEBVTT", "NOTE", "&lt;v x>"]


def write(timeline: Timeline) -> tuple[list[Mark], bytes, bytes]:
    """Marks, WebVTT, SRT."""
    marks, names = marks_of(find_segments(timeline)), person_names(timeline)
    vtt, plain = io.BytesIO(), io.BytesIO()
    write_vtt(cues_of(marks), names, timeline.video.name, vtt, annotator="videofer, model a --> b")
    write_srt(cues_of(marks), names, plain)
    return marks, vtt.getvalue(), plain.getvalue()


def milliseconds(clock: str) -> int:
    hours, minutes, seconds = clock.split(":")
    return round((int(hours) * 3600 + int(minutes) * 60 + float(seconds)) * 1000)


@pytest.mark.parametrize("num_persons", [0, 1, 2, 6])
def test_webvtt_reads_every_segment_with_its_voice(num_persons: int) -> None:
    timeline = example_timeline(num_persons=num_persons, names=("Anna & Co <x>", "李"))
    marks, vtt, _ = write(timeline)
    captions = webvtt.from_string(vtt.decode())
    assert len(captions) == len(marks)
    for caption, mark in zip(captions, marks, strict=True):
        name = timeline.name_of(mark.person)
        assert (milliseconds(caption.start), milliseconds(caption.end)) == (mark.start_ms, mark.end_ms)
        assert html.unescape(caption.text) == f"{name}: {mark.label} {100 * mark.probability:.0f} %"
        assert html.unescape(str(caption.voice)) == name
    assert b"study/interview.mp4" in vtt.partition(b"-->")[0]


@pytest.mark.parametrize("num_persons", [0, 1, 2, 6])
def test_srt_shows_all_persons_of_a_moment_in_one_cue(num_persons: int) -> None:
    timeline = example_timeline(num_persons=num_persons)
    marks, _, plain = write(timeline)
    cues = list(srt.parse(plain.decode()))
    assert [cue.index for cue in cues] == list(range(1, len(cues) + 1))
    until = timedelta(0)
    for cue in cues:
        assert until <= cue.start < cue.end
        until = cue.end
    for ms in range(0, 12_000, 50):
        now = timedelta(milliseconds=ms)
        shown = [line for cue in cues if cue.start <= now < cue.end for line in cue.content.splitlines()]
        expected = [
            f"person {mark.person}: {mark.label} {100 * mark.probability:.0f} %"
            for mark in sorted(marks, key=lambda mark: mark.person)
            if mark.start_ms <= ms < mark.end_ms
        ]
        assert shown == expected, ms


READ_TRACK = """
address => new Promise((done, failed) => {
  const video = document.querySelector("video"), track = document.createElement("track");
  track.addEventListener("error", () => failed(new Error("the track cannot be read")));
  track.addEventListener("load", () => done(Array.from(track.track.cues, cue => {
    const shown = cue.getCueAsHTML(), voice = shown.querySelector("span");
    return [cue.id, cue.startTime, cue.endTime, shown.textContent, voice.title, shown.childElementCount];
  })));
  track.src = address;
  video.append(track);
  track.track.mode = "hidden";
})
"""


@pytest.mark.browser
def test_a_browser_shows_every_segment_as_text(browse: Browse, tmp_path: Path) -> None:
    timeline = example_timeline(num_persons=len(HOSTILE), names=tuple(HOSTILE))
    marks, vtt, _ = write(timeline)
    page_path = tmp_path / "page.html"
    page_path.write_text("<!doctype html><html lang='en'><title>subtitles</title><video></video></html>")
    page = browse.open(page_path)
    address = "data:text/vtt;base64," + base64.b64encode(vtt).decode()
    cues = page.evaluate(READ_TRACK, address)
    names = person_names(timeline)
    assert sorted((int(cue[0]), *cue[1:]) for cue in cues) == [  # browsers put the longer of two first
        (
            number, mark.start_ms / 1000, mark.end_ms / 1000,
            f"{names[mark.person]}: {mark.label} {100 * mark.probability:.0f} %", names[mark.person], 1,
        )
        for number, mark in enumerate(marks, 1)
    ]  # fmt: skip


def test_ffmpeg_reads_both(tmp_path: Path) -> None:
    timeline = example_timeline(num_persons=3, names=("Anna",))
    marks, vtt, plain = write(timeline)
    for name, content, expected in [
        ("a.vtt", vtt, [(mark.start_ms, mark.end_ms) for mark in marks]),
        ("a.srt", plain, [(start, end) for start, end, _ in together(marks)]),
    ]:
        path = tmp_path / name
        path.write_bytes(content)
        with av.open(str(path)) as container:
            (stream,) = container.streams
            times = [
                (
                    round(1000 * packet.pts * stream.time_base),
                    round(1000 * packet.duration * stream.time_base),
                )
                for packet in container.demux(stream)
                if packet.pts is not None and packet.duration is not None
            ]
        assert [(start, start + length) for start, length in times] == expected, name


def test_hours_are_counted(tmp_path: Path) -> None:
    late = [Mark(0, "fear", 7_199_999, 360_000_001, 0.5)]
    vtt, plain = io.BytesIO(), io.BytesIO()
    write_vtt(cues_of(late), {0: "Anna"}, "a.mp4", vtt, annotator="videofer")
    write_srt(cues_of(late), {0: "Anna"}, plain)
    assert b"01:59:59.999 --> 100:00:00.001" in vtt.getvalue()
    assert b"01:59:59,999 --> 100:00:00,001" in plain.getvalue()
    (cue,) = srt.parse(plain.getvalue().decode())
    assert (cue.start, cue.end) == (timedelta(milliseconds=7_199_999), timedelta(milliseconds=360_000_001))


@pytest.mark.parametrize("name", HOSTILE)
def test_hostile_names_stay_text(name: str) -> None:
    timeline = example_timeline(num_persons=2, names=(name,), video_name=name)
    marks, vtt, plain = write(timeline)
    captions = webvtt.from_string(vtt.decode())
    assert len(captions) == len(marks)
    first = next(caption for caption, mark in zip(captions, marks, strict=True) if mark.person == 0)
    assert html.unescape(str(first.voice)) == one_line(name)
    cues = list(srt.parse(plain.decode()))
    assert len(cues) == len(together(marks))
    assert not re.search("[<>{}]", "".join(cue.content for cue in cues))


@settings(max_examples=100)
@given(name=st.text(st.characters(exclude_categories=()), max_size=40))
def test_any_name_can_be_read_back(name: str) -> None:
    timeline = example_timeline(num_persons=1, names=(name,), duration_seconds=5.0)
    marks, vtt, plain = write(timeline)
    shown = person_names(timeline)[0]
    captions = webvtt.from_string(vtt.decode())
    assert [html.unescape(caption.text) for caption in captions] == [
        f"{shown}: {mark.label} {100 * mark.probability:.0f} %" for mark in marks
    ]
    assert len(list(srt.parse(plain.decode()))) == len(marks)


@given(st.lists(st.tuples(st.integers(0, 4), st.integers(0, 500), st.integers(1, 200)), max_size=12))
def test_stretches_say_of_every_millisecond_who_shows_what(spans: list[tuple[int, int, int]]) -> None:
    marks = sorted(
        (Mark(person, "fear", start, start + length, 0.5) for person, start, length in spans),
        key=lambda mark: mark.start_ms,
    )
    stretches = together(marks)
    assert all(start < end and shown for start, end, shown in stretches)
    for ms in range(0, 701, 7):
        found = [shown for start, end, shown in stretches if start <= ms < end]
        expected = [mark for mark in marks if mark.start_ms <= ms < mark.end_ms]
        assert len(found) <= 1
        assert sorted(found[0] if found else [], key=repr) == sorted(expected, key=repr)
