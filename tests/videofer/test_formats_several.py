"""Subtitles, ELAN and Praat files of a model that says several classes at once, as others read them."""

from __future__ import annotations

import dataclasses
import html
from datetime import timedelta
from pathlib import Path

import numpy as np
import pytest
import srt
import webvtt

from tests.videofer.several_examples import CLASSES, several_timeline
from tests.videofer.test_formats_subtitles import milliseconds
from tests.videofer.timeline_examples import example_timeline
from videofer.annotations.read import read_annotations
from videofer.formats.tiers import Tier, tiers_of
from videofer.formats.write import write_exports
from videofer.timeline.quiet import quiet_spans
from videofer.timeline.segments import find_segments
from videofer.timeline.timeline import Timeline

FEW = np.full((55, len(CLASSES)), 0.02)
FEW[10:30, 0] = 0.9  # happiness from 2 to 6 s
FEW[20:25, 4] = 0.8  # and sadness from 4 to 5 s


def few() -> Timeline:
    """A person who is hidden in [5, 5.6) and of whom nothing is known in [7, 7.4), there until 11 s."""
    return several_timeline(names=("Anna <x>",), p=FEW)


def said_at(timeline: Timeline, folder: Path, seconds: float) -> dict[str, list[str]]:
    """Words of every cue at a time, by format."""
    vtt, plain = write_exports(timeline, folder, "one", ["vtt", "srt"])
    now = timedelta(seconds=seconds)
    return {
        "vtt": [
            html.unescape(c.text)
            for c in webvtt.read(str(vtt))
            if milliseconds(c.start) <= 1000 * seconds < milliseconds(c.end)
        ],
        "srt": [c.content for c in srt.parse(plain.read_text("utf-8")) if c.start <= now < c.end],
    }


@pytest.mark.parametrize(
    ("seconds", "words"),
    [
        (1.0, "none holds"),
        (3.0, "happiness 90 %"),
        (4.5, "happiness 90 % + sadness 80 %"),
        (8.0, "none holds"),
    ],
)
def test_all_that_hold_stand_in_one_cue(tmp_path: Path, seconds: float, words: str) -> None:
    said = said_at(few(), tmp_path, seconds)
    assert said["vtt"] == [f"Anna <x>: {words}"] and said["srt"] == [f"Anna \u2039x\u203a: {words}"]


@pytest.mark.parametrize("seconds", [5.3, 7.2, 11.5])
def test_where_nothing_is_seen_nothing_is_said(tmp_path: Path, seconds: float) -> None:
    assert said_at(few(), tmp_path, seconds) == {"vtt": [], "srt": []}


def test_quiet_time_and_segments_tile_the_time_in_which_somebody_is_seen() -> None:
    timeline = few()
    segments = find_segments(timeline)
    quiet = quiet_spans(timeline, segments)
    assert quiet["onset"].tolist() == pytest.approx([0.0, 6.0, 7.4])
    assert quiet["offset"].tolist() == pytest.approx([2.0, 7.0, 11.0])
    for start, end in zip(segments["onset"], segments["offset"], strict=True):
        assert not ((quiet["onset"] < end - 1e-9) & (start < quiet["offset"] - 1e-9)).any()
    settings = timeline.settings
    long = settings.segmentation.model_copy(update={"min_seconds": 1.8})
    patient = dataclasses.replace(timeline, settings=settings.model_copy(update={"segmentation": long}))
    assert len(quiet_spans(patient, find_segments(patient))) == 2  # short ones are not worth a word


def test_of_one_class_at_a_time_nothing_is_said_of_none(tmp_path: Path) -> None:
    (path,) = write_exports(example_timeline(), tmp_path, "one", ["vtt"])
    assert "none holds" not in path.read_text() and " + " not in path.read_text()


@pytest.mark.parametrize("name", ["eaf", "textgrid"])
def test_a_tier_for_each_class_that_a_person_shows_comes_back(tmp_path: Path, name: str) -> None:
    timeline = several_timeline(num_persons=2, names=("Anna", "Bela"))
    (path,) = write_exports(timeline, tmp_path, "one", [name])
    back = read_annotations(path)
    segments = find_segments(timeline)
    assert len(back.table) == len(segments)
    wanted = {
        (timeline.name_of(s["person"]), s["label"], round(s["onset"], 2), round(s["offset"], 2))
        for s in segments.to_dict("records")
    }
    rows = back.table.to_dict("records")
    assert {(r["person"], r["label"], round(r["t_start"], 2), round(r["t_end"], 2)) for r in rows} == wanted


def test_tiers_are_unlike_and_of_what_is_shown() -> None:
    names = {0: "b@c", 1: "c", 2: "nobody"}
    found = tiers_of(names, ["a", "a@b"], {(0, "a"), (1, "a@b")})
    assert found == [Tier("a@b@c", 0, "a"), Tier("a@b@c (2)", 1, "a@b"), Tier("nobody", 2, None)]
    assert [tier.name for tier in tiers_of(names, [], set())] == ["b@c", "c", "nobody"]
