"""Intervals as rows of a manifest: which video, which person, one rater or several."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from videofer.annotations.intervals import AnnotationError, Annotations, Interval, make_table
from videofer.annotations.to_manifest import manifest_rows
from videofer.annotations.videos import find_video
from videofer.annotations.votes import count_votes, one_voice
from videofer.datasets.manifest import normalise

NAMES = ["a/talk.mp4", "b/talk.mp4", "b/walk.mov", "notes.2026-03-01.mp4"]


@pytest.mark.parametrize(
    ("media", "stem", "name"),
    [
        ("D:/study/b/Talk.MP4", "x", "b/talk.mp4"),
        ("walk.mov", "x", "b/walk.mov"),
        ("/elsewhere/walk.wav", "x", "b/walk.mov"),
        ("", "walk", "b/walk.mov"),
        ("gone.mp4", "walk", "b/walk.mov"),
        ("", "notes.2026-03-01", "notes.2026-03-01.mp4"),
    ],
)
def test_the_video_is_found_on_another_machine(media: str, stem: str, name: str) -> None:
    assert find_video(media, stem, NAMES) == name


@pytest.mark.parametrize(
    ("media", "stem", "words"),
    [
        ("talk.mp4", "x", "'talk.mp4' may be 'a/talk.mp4', 'b/talk.mp4'"),
        ("c/talk.mp4", "x", "may be"),
        ("none.mp4", "x", "the video 'none.mp4' is not among the 4 videos"),
        ("", "x", "a video called 'x' is not among"),
    ],
)
def test_a_video_that_is_open_or_missing(media: str, stem: str, words: str) -> None:
    with pytest.raises(AnnotationError, match=words):
        find_video(media, stem, NAMES)


def annotations(name: str, *intervals: Interval) -> Annotations:
    return Annotations(Path(name), make_table(intervals))


ONE = annotations(
    "walk.eaf",
    Interval("anger", 0, 2, "Anna", "KL", "Anna"),
    Interval("fear", 2.5, 4, "Anna", "KL", "Anna"),
)
OTHER = annotations(
    "walk_mn.eaf",
    Interval("anger", 0, 2.1, "face", None, "face", "c:/walk.wav"),
    Interval("sadness", 2.5, 3.5, "face", None, "face", "c:/walk.wav"),
)


def test_one_rater_gives_a_row_for_each_interval() -> None:
    result = manifest_rows([ONE], NAMES)
    assert not result.notes and not result.failures
    table = result.table
    assert table[["path", "start", "end", "label", "rater"]].to_numpy().tolist() == [
        ["b/walk.mov", 0.0, 2.0, "anger", "KL"],
        ["b/walk.mov", 2.5, 4.0, "fear", "KL"],
    ]
    assert table["person"].isna().all()  # one person: whoever is seen longest
    assert not [column for column in table.columns if column.startswith("p_")]
    checked = normalise(table, source="test")
    assert checked["name"].tolist() == ["b/walk.mov"] * 2 and checked["end"].tolist() == [2.0, 4.0]


def test_several_raters_give_soft_labels() -> None:
    result = manifest_rows([ONE, OTHER], NAMES, persons={"Anna": 1, "FACE": 1}, min_seconds=0.2)
    table = normalise(result.table, source="test")
    columns = ["start", "end", "p_anger", "p_fear", "p_sadness", "num_raters"]
    assert table[columns].to_numpy().tolist() == [
        [0.0, 2.0, 1.0, 0.0, 0.0, 2],
        [2.5, 3.5, 0.0, 0.5, 0.5, 2],
        [3.5, 4.0, 0.0, 1.0, 0.0, 1],
    ]
    assert table["label"].tolist()[0] == "anger" and table["label"].isna().tolist() == [False, True, False]
    assert table["person"].tolist() == [1, 1, 1] and table["rater"].iloc[0] == "KL; walk_mn"
    assert result.notes == ("0.1 s between changes closer than 0.2 s are left out",)


def test_each_rater_can_keep_their_rows() -> None:
    table = manifest_rows([ONE, OTHER], NAMES, persons={"Anna": 1, "face": 1}, raters="each").table
    assert table["rater"].tolist() == ["KL", "walk_mn", "walk_mn", "KL"]


def test_tiers_may_be_raters() -> None:
    grid = annotations(
        "walk.TextGrid", Interval("anger", 0, 2, "KL", tier="KL"), Interval("fear", 0, 2, "MN", tier="MN")
    )
    table = manifest_rows([grid], NAMES, tiers_are="rater").table
    assert table[["p_anger", "p_fear", "rater"]].to_numpy().tolist() == [[0.5, 0.5, "KL; MN"]]
    assert manifest_rows([grid], NAMES).failures == (
        "b/walk.mov: it speaks of 2 persons; say who 'KL', 'MN' is in the timeline: --name 0=KL ... (or"
        " --tiers-are rater)",
    )


def test_persons_by_number_and_videos_that_fail_alone() -> None:
    mixed = annotations(
        "all.csv",
        Interval("anger", 0, 1, "person 3", None, None, "a/talk.mp4"),
        Interval("fear", 0, 1, "2", None, None, "a/talk.mp4"),
        Interval("calm", 0, 1, None, None, None, "b/walk.mov"),
    )
    lost = annotations("lost.csv", Interval("anger", 0, 1))
    result = manifest_rows([mixed, lost], NAMES)
    assert result.table[["path", "person", "label"]].astype(object).to_numpy().tolist()[:2] == [
        ["a/talk.mp4", 2, "fear"],
        ["a/talk.mp4", 3, "anger"],
    ]
    assert len(result.table) == 3
    assert result.failures == ("lost.csv: a video called 'lost' is not among the 4 videos there",)


INTERVALS = st.lists(
    st.tuples(
        st.sampled_from(["anger", "fear", "neutral"]),
        st.integers(0, 30),
        st.integers(1, 12),
        st.sampled_from(["a", "b", "c"]),
    ),
    min_size=1,
    max_size=14,
)


@settings(max_examples=120)
@given(INTERVALS)
def test_votes_are_those_of_every_instant(intervals: list[tuple[str, int, int, str]]) -> None:
    """Against counting at every tenth of a second, with times on whole tenths."""
    table = pd.DataFrame(
        [(label, start / 10, (start + length) / 10, rater) for label, start, length, rater in intervals],
        columns=["label", "t_start", "t_end", "rater"],
    )
    votes = count_votes(table)
    assert (votes.t_start[1:] >= votes.t_end[:-1] - 1e-9).all() and (votes.t_end > votes.t_start).all()
    np.testing.assert_allclose(votes.shares.sum(axis=1), 1)
    for tenth in range(42):
        at = tenth / 10 + 0.05
        here = table[(table["t_start"] <= at) & (at < table["t_end"])]
        piece = np.flatnonzero((votes.t_start <= at) & (at < votes.t_end))
        assert len(piece) == (1 if len(here) else 0)
        if len(here):
            said = {rater: set(group["label"]) for rater, group in here.groupby("rater")}
            assert votes.raters[piece[0]] == tuple(sorted(said))
            expected = [
                sum((name in one) / len(one) for one in said.values()) / len(said) for name in votes.emotions
            ]
            np.testing.assert_allclose(votes.shares[piece[0]], expected, atol=1e-9)
    alone = table["rater"].nunique() == 1 and all(
        not (a.t_start < b.t_end - 1e-6 and b.t_start < a.t_end - 1e-6)
        for i, a in enumerate(table.itertuples())
        for j, b in enumerate(table.itertuples())
        if i < j
    )
    assert one_voice(table) == alone


def test_a_tie_has_no_winner() -> None:
    table = pd.DataFrame(
        [("anger", 0, 1, "a"), ("fear", 0, 1, "b"), ("fear", 1, 2, "b")],
        columns=["label", "t_start", "t_end", "rater"],
    )
    votes = count_votes(table)
    assert [votes.winner(piece) for piece in (0, 1)] == [None, "fear"]
