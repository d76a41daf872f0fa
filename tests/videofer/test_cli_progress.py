"""The bar: how much is done, and what it says where there is no terminal."""

from __future__ import annotations

import pytest

from preprocessing.stage.totals import Totals
from videofer.cli import progress
from videofer.cli.progress import StageProgress, share_done


def test_large_files_come_first_so_bytes_tell_more_than_counts() -> None:
    totals = Totals(10, num_done=1, num_bytes=1000, num_bytes_done=600, num_segments=10, num_segments_done=1)
    assert share_done(totals) == 0.6


def test_segments_of_one_long_video_count() -> None:
    totals = Totals(1, num_bytes=1000, num_segments=24, num_segments_done=6)
    assert share_done(totals) == 0.25


def test_without_sizes_videos_count() -> None:
    assert share_done(Totals(4, num_done=1, num_failed=1)) == 0.5
    assert share_done(Totals(0)) == 0.0


def test_a_line_now_and_then_without_a_terminal(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(progress, "PLAIN_EVERY_SECONDS", 0.0)
    totals = Totals(4, num_done=1, num_bytes=100, num_bytes_done=50, media_seconds=10.0)
    with StageProgress() as shown:
        shown.hashing(4, 4)
        shown.working(Totals(4, num_bytes=100))
        shown.working(totals)
    lines = capsys.readouterr().err.splitlines()
    assert "0/4 videos" in lines[0] and "nothing done yet" in lines[0]
    assert "1/4 videos" in lines[1] and lines[1].endswith("left")
