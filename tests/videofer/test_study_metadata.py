"""Metadata of videos: any table, matched by names, refused where it says two things of one video."""

from __future__ import annotations

from pathlib import Path

import pandas as pd
import pytest

from cache.errors import UserError
from videofer.study.metadata import Metadata, describe, read_metadata

NAMES = ["monday/a.mp4", "monday/b.mp4", "tuesday/a.mp4"]


def table(tmp_path: Path, text: str) -> Path:
    path = tmp_path / "about.csv"
    path.write_text(text, encoding="utf-8")
    return path


def test_values_go_to_their_videos_by_the_longest_common_end(tmp_path: Path) -> None:
    path = table(
        tmp_path,
        "video,participant,score\n/data/monday/a.mp4,007,1.5\ntuesday/a.mp4,008,\nb.mp4,009,-2\nx.mp4,1,1\n",
    )
    described = describe(read_metadata(path, "participant"), NAMES)
    assert described.columns == ("participant", "score", "folder")
    assert described.rows == (("007", 1.5, "monday"), ("009", -2.0, "monday"), ("008", None, "tuesday"))
    assert described.unknown == ("x.mp4",) and described.without == ()


def test_without_a_table_there_are_the_folders() -> None:
    described = describe(read_metadata(None, "folder"), NAMES)
    assert (described.columns, described.rows) == (("folder",), (("monday",), ("monday",), ("tuesday",)))
    assert described.without == ()
    plain = describe(Metadata(), ["a.mp4", "b.mp4"])
    assert plain.columns == () and plain.rows == ((), ())


def test_a_manifest_will_do_without_what_differs_within_a_video(tmp_path: Path) -> None:
    path = table(
        tmp_path,
        "path,label,subject,start,end\nmonday/a.mp4,happy,s1,0,1\nmonday/a.mp4,sad,s1,1,2\nb.mp4,sad,s2,,\n",
    )
    metadata = read_metadata(path)
    assert metadata.columns == ("subject",) and metadata.left_out == ("label", "start", "end")
    assert describe(metadata, NAMES).rows == (("s1", "monday"), ("s2", "monday"), (None, "tuesday"))
    assert describe(metadata, NAMES).without == ("tuesday/a.mp4",)


def test_parquet_tables_are_read_too(tmp_path: Path) -> None:
    path = tmp_path / "about.parquet"
    pd.DataFrame({"file": NAMES, "wave": [1, 2, 2], "arm": ["x", None, "y"]}).to_parquet(path)
    described = describe(read_metadata(path, "wave"), NAMES)
    assert described.rows == ((1.0, "x", "monday"), (2.0, None, "monday"), (2.0, "y", "tuesday"))


@pytest.mark.parametrize(
    ("text", "group_by", "words"),
    [
        ("participant,score\n1,2\n", None, "no column path, name, video, file or clip"),
        ("video,arm\na.mp4,1\n", "wave", "--group-by wave: .* has no such column, but arm, folder"),
        ("video,arm\nmonday/a.mp4,1\nmonday/a.mp4,2\n", "arm", "several values of it for one video"),
        ("video,arm\n,1\n", None, "a row without a video: row 2"),
        ("video,arm\na.mp4,1\n", None, "fits 2 videos"),
        ("video,arm\nmonday/a.mp4,1\nx/monday/a.mp4,2\n", None, "several rows for monday/a.mp4"),
    ],
)
def test_what_cannot_be_meant_is_one_line(
    tmp_path: Path, text: str, group_by: str | None, words: str
) -> None:
    with pytest.raises(UserError, match=words):
        describe(read_metadata(table(tmp_path, text), group_by), NAMES)


def test_grouping_needs_a_column() -> None:
    with pytest.raises(UserError, match="there is no --metadata with such a column"):
        read_metadata(None, "condition")
    with pytest.raises(UserError, match="the study has no such column"):
        describe(read_metadata(None, "folder"), ["a.mp4"])


def test_numbers_are_numbers_only_if_all_are_written_so(tmp_path: Path) -> None:
    path = table(tmp_path, "video,a,b,c,d\nmonday/a.mp4,1,01,1e3,0.5\nb.mp4,-2,2,3,.5\n")
    rows = describe(read_metadata(path), NAMES).rows
    assert rows[0][:4] == (1.0, "01", "1e3", "0.5") and rows[1][:4] == (-2.0, "2", "3", ".5")
