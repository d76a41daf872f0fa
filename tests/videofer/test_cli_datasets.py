"""`videofer datasets list | inspect | manifest` on miniatures, and what they make given to what reads it."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from tests.videofer.miniatures import bred, class_folders, crema_d, gemep, own, ravdess
from tests.videofer.miniatures.media import Media, text
from videofer.cli import app
from videofer.cli.errors import one_line_errors
from videofer.datasets.adapters import ADAPTERS, read
from videofer.datasets.manifest import ManifestError, read_manifest, write_manifest
from videofer.experiments.folds import plan_folds


def run(*arguments: object) -> int:
    return one_line_errors(app, ["datasets", *map(str, arguments)])


@pytest.fixture(autouse=True)
def eighty_columns(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "80")


def test_list_names_them_all(capsys: pytest.CaptureFixture[str]) -> None:
    assert run("list") == 0
    lines = capsys.readouterr().out.splitlines()
    assert all(any(line.split()[:1] == [name] for line in lines) for name in ADAPTERS)
    assert max(len(line.rstrip()) for line in lines[:-1]) <= 80


def test_inspect_says_what_it_is_and_what_is_missing(
    tmp_path: Path, media: Media, capsys: pytest.CaptureFixture[str]
) -> None:
    root = class_folders.build_afew(tmp_path / "AFEW", media)
    text(root / "Train" / "Angry" / "000000000.avi", "")
    assert run("inspect", root) == 0
    shown = capsys.readouterr().out
    page, _, commands = shown.partition("Next")
    assert max(len(line.rstrip()) for line in page.splitlines()) <= 80
    for words in (
        "AFEW      folders Train, Val of seven classes",
        "27 of 1,156 videos, subjects not known; 1,128 missing, 1 odd",
        "Train/Angry/000000000.avi: an empty file",
        "happiness      4 of 213",
        "13 train, 14 test",
        "Val is the test split",
    ):
        assert words in page
    assert f"videofer preprocess {root} --manifest labels.csv --only-manifest --out store" in commands


def test_half_a_copy_is_one_though_no_list_names_the_rest(
    tmp_path: Path, media: Media, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run("inspect", gemep.build(tmp_path, media, performers=range(1, 3))) == 0
    page = capsys.readouterr().out
    assert "29 of 145 videos, 2 subjects; 116 missing, 0 odd" in page
    assert "missing  which ones is in no list of this copy" in page


def test_sets_of_joints_say_how_they_become_inputs(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    root = bred.build(tmp_path)
    assert run("inspect", root) == 0
    _, _, commands = capsys.readouterr().out.partition("Next")
    made = f"manifest {root} --set joints_to=joints --set fps=... --set size=... --out labels.csv"
    assert made in commands and "videofer preprocess joints --manifest labels.csv" in commands


def test_inspect_for_programs(tmp_path: Path, media: Media, capsys: pytest.CaptureFixture[str]) -> None:
    root = ravdess.build(tmp_path, media, actors=(1, 5), every=4)
    assert run("inspect", root, "--json") == 0
    said = json.loads(capsys.readouterr().out)
    assert (said["dataset"], said["found"], said["expected"], said["is_whole"]) == (
        "ravdess",
        30,
        1440,
        False,
    )
    assert said["folds"] == {"1": 15, "2": 15} and said["num_subjects"] == 2
    assert len(said["missing"]) == 1410 and said["protocol"]["crossval"] == "--protocol official"


@pytest.mark.parametrize("suffix", [".csv", ".tsv", ".parquet", ".jsonl"])
def test_a_manifest_reads_as_it_was(
    tmp_path: Path, media: Media, suffix: str, capsys: pytest.CaptureFixture[str]
) -> None:
    root = crema_d.build(tmp_path / "CREMA-D", media)
    out = tmp_path / f"labels{suffix}"
    assert run("manifest", root, "--out", out) == 0
    assert "48 rows; 48 of 7,442 videos are there" in capsys.readouterr().out
    table, given = read_manifest(out), read(root).table
    pd.testing.assert_frame_equal(table, given[list(table.columns)], check_dtype=False)
    assert set(given.columns) - set(table.columns) <= {"start", "end", "split", "person"}


def test_a_manifest_by_another_label_set(
    tmp_path: Path, media: Media, capsys: pytest.CaptureFixture[str]
) -> None:
    root = gemep.build(tmp_path / "GEMEP", media, performers=range(1, 3))
    out = tmp_path / "seven.csv"
    assert run("manifest", root, "--out", out, "--labels", "gemep7") == 0
    assert "left out, as gemep7 has no such class: 2 amusement" in capsys.readouterr().out
    assert set(read_manifest(out)["label"]) == set(read(root).labels.classes) & {
        "surprise", "fear", "disgust", "pleasure", "sadness", "anger", "contempt",
    }  # fmt: skip
    assert run("manifest", root, "--out", out, "--labels", "basic7") == 2
    assert "error: no map from gemep17 to basic7 says what becomes of amusement" in capsys.readouterr().err


def test_options_of_a_set(tmp_path: Path, media: Media, capsys: pytest.CaptureFixture[str]) -> None:
    path = own.build_list(tmp_path, media, frames=False)
    out = tmp_path / "labels.csv"
    assert run("manifest", path, "--out", out, "--codes", "happiness, sadness") == 0
    assert read_manifest(out)["label"].tolist() == ["happiness", "sadness"] * 2
    media.video(tmp_path / "set" / "x_joie_03.avi")
    pattern = "pattern=x_(?P<emotion>.+)_(?P<performer>[0-9]+)"
    assert run("manifest", tmp_path / "set", "--out", out, "--name", "gemep", "--set", pattern) == 0
    assert read_manifest(out)["label"].tolist() == ["joy"]
    capsys.readouterr()
    assert run("inspect", tmp_path / "set", "--name", "gemep", "--set", "kind=x") == 2
    assert "--set kind=x: of gemep pattern can be set, as KEY=VALUE" in capsys.readouterr().err
    assert run("inspect", tmp_path / "set", "--name", "ravdess", "--set", "channel=words") == 2
    assert "--set channel=words: channel is one of speech, song, both" in capsys.readouterr().err
    assert run("inspect", tmp_path / "set", "--name", "bred", "--set", "fps=fast") == 2
    assert "--set fps=fast: fps is a number" in capsys.readouterr().err
    assert run("inspect", tmp_path / "set", "--name", "gemep", "--codes", "a") == 2
    assert "--codes is for lists, and this is gemep" in capsys.readouterr().err


def test_mistakes_are_one_line(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    text(tmp_path / "notes.txt", "nothing")
    assert run("inspect", tmp_path) == 2
    error = capsys.readouterr().err
    assert error.count("\n") == 1 and "no known data set is recognised; there is notes.txt" in error
    assert run("inspect", tmp_path / "nowhere") == 2
    assert "no such file or folder" in capsys.readouterr().err
    with pytest.raises(ManifestError, match=r"labels\.xlsx: a manifest is a file in"):
        write_manifest(pd.DataFrame({"name": ["a"]}), tmp_path / "labels.xlsx")


def test_folds_are_those_that_cross_validation_takes(tmp_path: Path, media: Media) -> None:
    reading = read(ravdess.build(tmp_path, media, actors=(1, 2, 5, 9), every=2))
    table = reading.table.assign(key=[str(place) for place in range(len(reading.table))])
    classes = reading.labels.classes
    target = (table["label"].to_numpy()[:, None] == np.array(classes)[None]).astype(float)
    plan = plan_folds(table, target, classes, protocol="official")
    assert [(fold.number, fold.groups) for fold in plan.folds] == [
        (1, ("01", "02")), (2, ("05",)), (3, ("09",)),
    ]  # fmt: skip
