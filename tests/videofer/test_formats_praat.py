from __future__ import annotations

from itertools import pairwise
from pathlib import Path

import pandas as pd
import parselmouth
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from parselmouth.praat import call

from tests.videofer.timeline_examples import example_timeline
from videofer.formats.praat import tiled, write_textgrid
from videofer.formats.text import one_line, person_names
from videofer.timeline.segments import find_segments
from videofer.timeline.timeline import Timeline

ANNOTATOR = 'videofer, model "a\n! 2" <b>'
Intervals = list[tuple[float, float, str]]


def write(timeline: Timeline, path: Path) -> pd.DataFrame:
    segments = find_segments(timeline)
    with path.open("wb") as file:
        write_textgrid(segments, person_names(timeline), timeline.duration_seconds, file, annotator=ANNOTATOR)
    return segments


def read_by_praat(path: Path) -> dict[str, Intervals]:
    grid = parselmouth.read(str(path))
    tiers = {}
    for tier in range(1, call(grid, "Get number of tiers") + 1):
        assert call(grid, "Is interval tier", tier)
        tiers[call(grid, "Get tier name", tier)] = [
            (
                call(grid, "Get start time of interval", tier, number),
                call(grid, "Get end time of interval", tier, number),
                call(grid, "Get label of interval", tier, number),
            )
            for number in range(1, call(grid, "Get number of intervals", tier) + 1)
        ]
    return tiers


@pytest.mark.parametrize("num_persons", [1, 2, 6])
def test_praat_reads_every_segment_and_tiers_tile_the_video(num_persons: int, tmp_path: Path) -> None:
    timeline = example_timeline(num_persons=num_persons, names=('Zoë "Z" O\'Neill', "李"))
    path = tmp_path / "a.TextGrid"
    segments = write(timeline, path)
    tiers = read_by_praat(path)
    assert list(tiers) == [person.name for person in timeline.persons]
    for person in timeline.persons:
        intervals = tiers[person.name]
        assert intervals[0][0] == 0.0
        assert intervals[-1][1] == timeline.duration_seconds
        assert all(before[1] == after[0] for before, after in pairwise(intervals))
        assert all(start < end for start, end, _ in intervals)
        own = segments[segments["person"] == person.id]
        said = [(start, end, label) for start, end, label in intervals if label]
        assert [label for _, _, label in said] == own["label"].tolist()
        assert [start for start, _, _ in said] == pytest.approx(own["onset"].tolist(), abs=1e-9)
        assert [end for _, end, _ in said] == pytest.approx(own["offset"].tolist(), abs=1e-9)


def test_praat_reads_a_video_without_persons(tmp_path: Path) -> None:
    write(example_timeline(num_persons=0), tmp_path / "a.TextGrid")
    assert read_by_praat(tmp_path / "a.TextGrid") == {"nobody": [(0.0, 12.0, "")]}


@settings(max_examples=60)
@given(name=st.text(st.characters(exclude_categories=()), max_size=40))
def test_praat_reads_any_name(name: str, tmp_path_factory: pytest.TempPathFactory) -> None:
    path = tmp_path_factory.getbasetemp() / "named.TextGrid"
    timeline = example_timeline(num_persons=1, names=(name,), duration_seconds=5.0)
    write(timeline, path)
    assert list(read_by_praat(path)) == [one_line(name) or "person 0"]


@given(
    edges=st.lists(st.integers(0, 10_000), min_size=2, max_size=12, unique=True),
    spare=st.integers(0, 100),
)
def test_gaps_are_filled_and_nothing_else_is_added(edges: list[int], spare: int) -> None:
    times = [edge / 1000 for edge in sorted(edges)]
    pairs = list(zip(times[::2], times[1::2], strict=False))
    segments = pd.DataFrame(pairs, columns=["onset", "offset"]).assign(label="fear")
    duration = times[-1] + spare / 1000
    intervals = tiled(segments, duration)
    assert intervals[0][0] == 0.0
    assert intervals[-1][1] == duration
    assert all(before[1] == after[0] for before, after in pairwise(intervals))
    assert all(start < end for start, end, _ in intervals)
    assert [(start, end) for start, end, label in intervals if label] == pairs
