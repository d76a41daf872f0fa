"""`videofer annotations` and `videofer agree` as a user runs them."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pandas as pd
import pytest

from tests.videofer.test_cli import complaint, videofer
from tests.videofer.timeline_examples import example_timeline
from videofer.datasets.manifest import read_manifest


@pytest.fixture
def study(tmp_path: Path) -> Path:
    """Three videos (their content does not matter here) and annotations by two raters."""
    for name in ("videos/one/talk.mp4", "videos/two/walk.mp4", "videos/sit.mov"):
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(b"\0")
    (tmp_path / "talk.csv").write_text("start,end,label\n0,2,glad\n2,4,um\n4,6,sad\n")
    (tmp_path / "walk.csv").write_text(
        "start,end,label,rater\n0,2,anger,KL\n0,1,fear,MN\n1,2,anger,MN\n3,3,calm,MN\n"
    )
    (tmp_path / "sit.tsv").write_text("start\tend\tlabel\tvideo\n0\t2\tanger\tsit.mov\n")
    (tmp_path / "lost.csv").write_text("start,end,label\n0,2,anger\n")
    return tmp_path


def test_annotations_become_a_manifest(study: Path) -> None:
    arguments = ["--videos", "videos", "--out", "out/manifest.csv", "--map", "glad=happiness"]
    result = videofer("annotations", "talk.csv", "walk.csv", *arguments, "--ignore-label", "UM", cwd=study)
    assert result.returncode == 0, result.stderr
    assert "2 files, 2 videos, 4 rows: " in result.stdout and "happiness 2.0 s" in result.stdout
    assert "note: walk.csv: point events are left out: 1" in result.stderr
    table = read_manifest(study / "out/manifest.csv")
    assert table["name"].tolist() == ["one/talk.mp4"] * 2 + ["two/walk.mp4"] * 2
    assert table["label"].tolist()[:2] == ["happiness", "sadness"] and table["label"].isna().tolist()[2]
    assert table["p_anger"].tolist()[2:] == [0.5, 1.0] and table["p_fear"].tolist()[2:] == [0.5, 0.0]
    assert table["rater"].tolist() == ["talk", "talk", "KL; MN", "KL; MN"]


def test_what_fails_is_named_and_the_rest_is_done(study: Path) -> None:
    arguments = ["--videos", "videos", "--out", "m.csv", "--point-seconds", "0.4"]
    result = videofer("annotations", "talk.csv", "walk.csv", "lost.csv", *arguments, cwd=study)
    assert result.returncode == 3
    assert "failed talk.csv: unknown labels 'glad', 'um': say --map THEIRS=OURS" in result.stderr
    assert "failed lost.csv: a video called 'lost' is not among the 3 videos there" in result.stderr
    assert pd.read_csv(study / "m.csv")["path"].unique().tolist() == ["two/walk.mp4"]


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["lost.csv"], "none of the 1 files gave a row; nothing is written to m.csv"),
        (["talk.csv", "--map", "glad"], "must be THEIRS=OURS"),
        (["talk.csv", "--map", "glad=joy", "--map", "glad=calm"], "two meanings"),
        (["talk.csv", "--name", "Anna"], "NUMBER=NAME"),
        (["talk.csv", "--name", "0=Anna", "--name", "1=Anna"], "two persons the name 'Anna'"),
        (["talk.csv", "--raters", "all"], "must be soft or each"),
        (["talk.csv", "--tiers-are", "words"], "must be person or rater"),
        (["talk.csv", "--videos", "nowhere"], "nowhere, which is no folder"),
        (["talk.csv", "--out", "m.parquet"], "must end in .csv"),
    ],
)
def test_mistakes_are_one_line(study: Path, arguments: list[str], words: str) -> None:
    given = ["--videos", "videos", "--out", "m.csv", *arguments[1:]]
    assert words in complaint(videofer("annotations", arguments[0], *given, cwd=study))
    assert not (study / "m.csv").exists()


def test_agree_prints_writes_and_draws(study: Path) -> None:
    example_timeline(names=("Anna",)).save(study / "talk.parquet")
    arguments = ["--person", "Anna", "--tolerance", "0.1", "--map", "glad=joy", "--ignore-label", "um"]
    result = videofer("agree", "talk.parquet", "talk.csv", *arguments, "--out", "out", cwd=study)
    assert result.returncode == 0, result.stderr
    for words in ("Cohen's kappa", "segment F1, IoU 0.5", "onset lag", "happiness"):
        assert words in result.stdout
    assert "8.0 of 12.0 s have no label and do not count" in result.stderr
    figures = json.loads((study / "out/agreement.json").read_text())
    assert figures["reference"] == "talk.csv" and figures["tolerance_seconds"] == 0.1
    assert figures["seconds_reference"] == pytest.approx(3.6)  # 4 s less 0.1 s inside of each of four edges
    assert 0 <= figures["share_same"] <= 1 and figures["segments"]["num_truth"] == 2
    assert (study / "out/agreement.png").read_bytes().startswith(b"\x89PNG")


def test_two_raters_of_one_file(study: Path) -> None:
    result = videofer("agree", "walk.csv", "walk.csv", "--rater", "KL", "--rater", "MN", cwd=study)
    assert result.returncode == 0, result.stderr
    assert "same label           50.0 % of the time" in result.stdout


def test_of_several_persons_it_is_said_who_is_taken(study: Path) -> None:
    example_timeline().save(study / "talk.parquet")
    arguments = ["agree", "talk.parquet", "talk.csv", "--map", "glad=joy", "--ignore-label", "um"]
    result = videofer(*arguments, cwd=study)
    assert result.returncode == 0, result.stderr
    notes = [line for line in result.stderr.splitlines() if "seen longest" in line]
    assert len(notes) == 1 and "note: talk.parquet: " in notes[0] and "say --person" in notes[0]
    named = videofer(*arguments, "--person", "0", cwd=study)
    assert named.returncode == 0 and "seen longest" not in named.stderr


def test_timelines_of_different_videos_are_compared_but_that_is_said(tmp_path: Path) -> None:
    one = example_timeline()
    one.save(tmp_path / "one.parquet")
    replace(one, video=replace(one.video, key="f" * 32)).save(tmp_path / "other.parquet")
    result = videofer("agree", "one.parquet", "other.parquet", cwd=tmp_path)
    assert result.returncode == 0 and "videos of different content" in result.stderr
    result = videofer("agree", "one.parquet", "one.parquet", cwd=tmp_path)
    assert result.returncode == 0 and "different content" not in result.stderr


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["walk.csv", "walk.csv"], "choose with --tier, --rater or --person"),
        (["none.parquet", "walk.csv"], "none.parquet: there is no such file"),
        (["walk.csv", "nowhere"], "nowhere: there is no such file"),
        (["walk.csv", "talk.csv"], "unknown labels 'glad', 'um'"),
        (["walk.csv", "sit.tsv", "--video", "x"], "walk.csv: it names no video: leave out --video"),
        (["sit.tsv", "walk.csv", "--video", "run"], "is not among the 1 videos there (sit.mov); say"),
        (["walk.csv", "walk.csv", "--gaps", "all"], "must be ignore or neutral"),
        (["walk.csv", "walk.csv", "--rater", "a", "--rater", "b", "--rater", "c"], "there are two files"),
        (["walk.csv", "videos/sit.mov"], "an annotation file ends in"),
    ],
)
def test_mistakes_of_agree_are_one_line(study: Path, arguments: list[str], words: str) -> None:
    assert words in complaint(videofer("agree", *arguments, cwd=study))
