"""Data of one's own: folders, tables, lists; FER2013 as an adapter; and which adapter takes what."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from cache.errors import UserError
from tests.videofer.fer2013_set import make_set, write_csv
from tests.videofer.miniatures import own
from tests.videofer.miniatures.every import build_all
from tests.videofer.miniatures.media import Media, text
from videofer.datasets.adapter import DatasetError
from videofer.datasets.adapters import ADAPTERS, adapter_of, read, recognise
from videofer.datasets.adapters.generic import Folders, ListFile
from videofer.emotions.label_sets import label_set


def test_folders(tmp_path: Path, media: Media) -> None:
    root = own.build_folders(tmp_path / "mine", media)
    assert [a.name for a, _ in recognise(root)] == ["folders"]
    reading = read(root)
    assert reading.table[["label", "subject", "split"]].to_numpy().tolist() == [
        ["anger", "subject_2", "test"], ["happiness", "subject_2", "test"],
        ["anger", "subject_1", "train"], ["happiness", "subject_1", "train"],
    ]  # fmt: skip
    assert [each.path for each in reading.coverage.odd] == ["train/subject_1/bloopers/b.mp4"]
    assert reading.official.kind == "split" and set(reading.table["label_set"]) == {reading.labels.name}


def test_folders_by_a_label_set(tmp_path: Path, media: Media) -> None:
    media.video(tmp_path / "joy" / "a.mp4")
    media.video(tmp_path / "relief" / "b.mp4")
    assert set(Folders().read(tmp_path).table["label"]) == {"happiness", "calm"}
    reading = replace(Folders(), by=label_set("gemep12")).read(tmp_path)
    assert set(reading.table["label"]) == {"joy", "relief"}
    with pytest.raises(UserError, match="no folder is called like an emotion"):
        Folders().read(tmp_path / "joy")


@pytest.mark.parametrize("suffix", [".csv", ".jsonl"])
def test_table(tmp_path: Path, media: Media, suffix: str) -> None:
    path = own.build_table(tmp_path, media, suffix)
    assert recognise(path)[0][0].name == "table"
    reading = read(path)
    assert reading.table["label"].tolist() == ["anger", "happiness"] and reading.root == tmp_path
    assert reading.coverage.missing == ("v/3.mp4",) and reading.official.kind == "split"
    assert reading.table["end"].iloc[0] == 0.2
    text(tmp_path / "v/2.mp4", "")
    assert read(path).coverage.odd[0].why == "an empty file: the download broke off"
    (tmp_path / "v/1.mp4").unlink()
    with pytest.raises(DatasetError, match="no video of it is there; expected "):
        read(path)


@pytest.mark.parametrize("frames", [False, True])
def test_lists(tmp_path: Path, media: Media, frames: bool) -> None:
    path = own.build_list(tmp_path, media, frames)
    (adapter, why), *_ = recognise(path)
    assert adapter.name == "list" and ("number of frames" in why) == frames
    with pytest.raises(
        DatasetError, match=r"list\.txt, line 1: the label is a number: what do they mean\? --codes"
    ):
        read(path)
    reading = ListFile(codes=("happiness", "sadness")).read(path)
    assert reading.table["label"].tolist() == ["happiness", "sadness"] * 2
    with pytest.raises(DatasetError, match=r"line 2: the label must be a code from 0 to 0, not '1'"):
        ListFile(codes=("happiness",)).read(path)


def test_a_list_of_words(tmp_path: Path, media: Media) -> None:
    path = own.build_list(tmp_path, media, frames=False, words=True)
    assert read(path).counts() == {"anger": 2, "fear": 2}
    text(path, path.read_text() + "clips/9.mp4 fear\nclips/8.mp4 feer\n")
    with pytest.raises(DatasetError, match=r"line 6: unknown emotion 'feer'; did you mean"):
        read(path)


def test_fer2013(tmp_path: Path) -> None:
    write_csv(make_set(), tmp_path)
    assert recognise(tmp_path)[0][0].name == "fer2013" == recognise(tmp_path / "fer2013.csv")[0][0].name
    reading = read(tmp_path)
    assert set(reading.table["split"]) == {"train", "val", "test"} and reading.coverage.expected == 35_887
    assert "key" not in reading.table and any("videofer datasets fer2013" in line for line in reading.quirks)


def test_each_miniature_is_taken_by_its_adapter_first(tmp_path: Path, media: Media) -> None:
    general = {"folders", "table", "list"}
    made = build_all(tmp_path / "sets", media)
    del made["table"], made["list"], made["fer2013"]  # files, or one in the folder itself
    for name, root in made.items():
        inside = tmp_path / "parent" / name
        inside.mkdir(parents=True)
        (inside / "copy").symlink_to(root, target_is_directory=True)
        for place in (root, inside):
            found = [adapter.name for adapter, _ in recognise(place)]
            assert found[:1] == [name] and set(found[1:]) <= general, (name, found)
        assert adapter_of(root).name == name


def test_every_adapter_says_who_it_is() -> None:
    assert all(
        name == adapter.name and adapter.title and adapter.access for name, adapter in ADAPTERS.items()
    )
    empty = Path("/nonexistent/folder")
    assert all(adapter.recognise(empty) is None for adapter in ADAPTERS.values())
    with pytest.raises(DatasetError, match="/nonexistent/folder: no such file or folder"):
        read(empty)
