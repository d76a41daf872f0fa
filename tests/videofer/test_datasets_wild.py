"""DFEW, FERV39k, MAFW, AFEW, CAER, MELD on miniatures: counts, labels, folds and splits, quirks, messages."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from tests.videofer.miniatures import class_folders, dfew, ferv39k, mafw, meld
from tests.videofer.miniatures.media import Media, text
from videofer.datasets.adapter import DatasetError, Reading
from videofer.datasets.adapters import read, recognise
from videofer.datasets.adapters.afew import COUNTS
from videofer.datasets.adapters.dfew import CODES
from videofer.datasets.adapters.mafw import Mafw


def labels(reading: Reading) -> dict[str, str]:
    return dict(zip(reading.table["name"], reading.table["label"], strict=True))


def odd(reading: Reading) -> dict[str, str]:
    return {each.path: each.why for each in reading.coverage.odd}


@pytest.mark.parametrize("clips", ["Clip/original", "Clip/clip_224x224"])
def test_dfew(tmp_path: Path, media: Media, clips: str) -> None:
    root = dfew.build(tmp_path / "DFEW", media, clips)
    assert recognise(root)[0][0].name == "dfew"
    reading = read(root)
    assert len(reading.table) == 20 and reading.coverage.expected == 11_697 and not reading.coverage.missing
    name = f"{clips}/7.mp4" if clips == "Clip/original" else f"{clips}/00007"
    assert labels(reading)[name] == CODES[dfew.LABELS[7] - 1] == "happiness"
    fold = dict(zip(reading.table["name"], reading.table["fold"], strict=True))
    assert fold[name] == 2 and reading.table["fold"].value_counts().to_dict() == dict.fromkeys(range(1, 6), 4)
    assert reading.official.kind == "folds" and reading.table["subject"].isna().all()


def test_dfew_half_downloaded_or_of_another_release(tmp_path: Path, media: Media) -> None:
    root = dfew.build(tmp_path, media, folds=2)
    (root / "Clip/original/3.mp4").unlink()
    text(root / "Clip/original/4.mp4", "")
    reading = read(root)
    assert reading.coverage.missing == (
        "train and test set_3.csv", "train and test set_4.csv", "train and test set_5.csv",
        "Clip/original/00003",
    )  # fmt: skip
    assert odd(reading) == {"Clip/original/4.mp4": "an empty file: the download broke off"}
    assert reading.official.kind == "split" and dict(reading.table["split"].value_counts()) == {
        "train": 16,
        "test": 2,
    }
    table = root / "EmoLabel_DataSplit/test(single-labeled)/set_1.csv"
    good = table.read_text()
    text(table, good.replace("1,2", "1,0", 1))
    with pytest.raises(
        DatasetError, match=r"set_1\.csv, line 2: the label must be a code from 1 to 7, not '0'"
    ):
        read(root)
    text(table, good.replace("1,2", "1,3", 1))
    with pytest.raises(
        DatasetError, match=r"00001 is neutral, but sadness in .*: these are lists of different"
    ):
        read(root)
    text(table, good.replace("video_name,label", "clip;emotion"))
    with pytest.raises(DatasetError, match=r"line 1: expected video_name,label, not 'clip;emotion'"):
        read(root)
    text(table, good + "5,6\n")
    with pytest.raises(DatasetError, match=r"set_1\.csv: 00005 is in set_1\.csv of the same fold too"):
        read(root)
    text(table, good)
    shutil.rmtree(root / "Clip")
    with pytest.raises(
        DatasetError, match=r"DFEW without its clips: expected one of Clip/original, Clip/clip_"
    ):
        read(root)


def test_dfew_whose_folds_overlap(tmp_path: Path, media: Media) -> None:
    root = dfew.build(tmp_path, media)
    folder = root / "EmoLabel_DataSplit"
    test, train = (folder / f"{side}(single-labeled)/set_2.csv" for side in ("test", "train"))
    text(test, test.read_text() + "1,2\n")
    text(train, train.read_text().replace("1,2\n", "", 1))
    with pytest.raises(DatasetError, match=r"00001 is tested by fold 1 too: expected one fold"):
        read(root)


@pytest.mark.parametrize("numbers", [False, True])
def test_ferv39k_takes_labels_by_name(tmp_path: Path, media: Media, numbers: bool) -> None:
    root = ferv39k.build(tmp_path / "FERV39k", media, numbers)
    assert recognise(root)[0][0].name == "ferv39k"
    reading = read(root)
    assert dict(reading.table["split"].value_counts()) == {"train": 28, "test": 14}
    assert labels(reading)["2_ClipsforFaceCrop/School/Happy/0002"] == "happiness"
    assert set(reading.counts().values()) == {6} and reading.preprocess == "--faces precropped"
    assert any("numbers: taken by the folder's name" in line for line in reading.quirks) == numbers


def test_ferv39k_says_what_is_wrong(tmp_path: Path, media: Media) -> None:
    root = ferv39k.build(tmp_path, media)
    shutil.rmtree(root / "2_ClipsforFaceCrop/School/Sad/0001")
    train = root / "4_setups/All_scenes/train_All.csv"
    good = train.read_text()
    text(train, good.replace("School/Fear/0001 Fear", "School/Fear/0001 Angry"))
    reading = read(root)
    assert reading.coverage.missing == ("2_ClipsforFaceCrop/School/Sad/0001",)
    assert odd(reading) == {
        "2_ClipsforFaceCrop/School/Fear/0001": "the list says anger, which is taken, the folder Fear"
    }
    text(train, good.replace("School/Fear/0001 Fear", "School,Fear,0001,Fear"))
    with pytest.raises(
        DatasetError, match=r"train_All\.csv, line \d+: expected `Scene/Emotion/Number Emotion`"
    ):
        read(root)
    text(train, good + "School/Fear/0003 Fear\n")
    with pytest.raises(
        DatasetError, match=r"test_All\.csv, line \d+: School/Fear/0003 is in the list of train too"
    ):
        read(root)
    text(train, good.replace("0001 Fear", "0001 Feer"))
    with pytest.raises(DatasetError, match=r"'Feer' is no class of basic7; did you mean 'fear'"):
        read(root)
    train.unlink()
    with pytest.raises(DatasetError, match=r"train_All\.csv: no such list"):
        read(root)


@pytest.mark.parametrize("folder", ["Train & Test Set", "split"])
def test_mafw(tmp_path: Path, media: Media, folder: str) -> None:
    root = mafw.build(tmp_path / "MAFW", media, folder)
    assert recognise(root)[0][0].name == "mafw"
    reading = read(root)
    assert len(reading.table) == 22 and set(reading.counts()) == set(mafw.WORDS)
    assert labels(reading)["data/clips/00009.mp4"] == "helplessness"
    assert dict(zip(reading.table["name"], reading.table["fold"], strict=True))["data/clips/00009.mp4"] == 5
    compound = Mafw(kind="compound").read(root)
    row = compound.table.set_index("name").loc["data/clips/00024.mp4"]
    assert row["label"] is None and row["compound"] == "anger_disgust_contempt"
    assert row["p_contempt"] == pytest.approx(1 / 3) and row["p_fear"] == 0
    assert len(compound.table) == 25


def test_mafw_with_captions_that_are_no_utf_8(tmp_path: Path, media: Media) -> None:
    root = mafw.with_captions(mafw.build(tmp_path, media))
    assert len(read(root).table) == 22
    file = root / "Train & Test Set/single/with_caption/set_3/test.txt"
    file.write_bytes(
        file.read_bytes().replace(b"\tneutral", b"\tneutrall", 1).replace(b"\tfear", b"\tfeer", 1)
    )
    with pytest.raises(
        DatasetError, match=r"set_3/test\.txt, line \d: '(neutrall|feer)' is no class of mafw11"
    ):
        read(root)


def test_afew(tmp_path: Path, media: Media) -> None:
    root = class_folders.build_afew(tmp_path / "AFEW", media)
    assert recognise(root)[0][0].name == "afew"
    reading = read(root)
    assert dict(reading.table["split"].value_counts()) == {"train": 14, "test": 14}
    assert labels(reading)["Train/Happy/000003000.avi"] == "happiness"
    assert reading.coverage.missing == ("Train: 759 of 773 videos", "Val: 369 of 383 videos")
    assert sum(COUNTS["train"].values()) == 773 and sum(COUNTS["test"].values()) == 383
    assert reading.coverage.expected == 1156 and reading.coverage.expected_by_label["happiness"] == 213
    shutil.rmtree(root / "Val")
    (root / "Train/Sad/000005000.avi").rename(root / "Train/Sad/sad.avi")
    reading = read(root, "afew")
    assert "Val/" in reading.coverage.missing
    assert odd(reading) == {"Train/Sad/sad.avi": "kept, but its name is not of nine digits"}


@pytest.mark.parametrize("validation", ["validation", "val"])
def test_caer(tmp_path: Path, media: Media, validation: str) -> None:
    root = class_folders.build_caer(tmp_path / "CAER", media, validation=validation)
    assert recognise(root)[0][0].name == "caer"
    reading = read(root)
    assert dict(reading.table["split"].value_counts()) == {"train": 7, "val": 7, "test": 7}
    assert reading.coverage.is_whole is None and reading.coverage.expected is None
    shutil.rmtree(root / "test" / "Fear")
    assert read(root, "caer").coverage.missing == ("test/Fear",)
    (root / "train" / "Anger").rename(root / "train" / "Wrath")
    with pytest.raises(DatasetError, match=r"train/Wrath: 'Wrath' is no class of basic7"):
        read(root, "caer")


def test_caer_s(tmp_path: Path, media: Media) -> None:
    root = class_folders.build_caer_s(tmp_path, media)
    assert recognise(root)[0][0].name == "caer"
    reading = read(root)
    assert len(reading.table) == 28 and not reading.coverage.missing
    assert any("stills of CAER-S" in line for line in reading.quirks)


def test_meld(tmp_path: Path, media: Media) -> None:
    root = meld.build(tmp_path / "MELD.Raw", media)
    assert recognise(root)[0][0].name == "meld"
    reading = read(root)
    assert dict(reading.table["split"].value_counts()) == {"train": 4, "test": 2, "val": 1}
    assert labels(reading)["train/train_splits/dia0_utt1.mp4"] == "happiness"
    assert reading.coverage.missing == ("dev/dev_splits_complete/dia110_utt7.mp4",)
    assert odd(reading) == {"train/train_splits/dia125_utt3.mp4": "kept, but users report that it is broken"}
    assert reading.table["start"].isna().all() and reading.table["subject"].isna().all()
    assert any("dia99_utt1" in line for line in reading.quirks)


def test_meld_of_another_release(tmp_path: Path, media: Media) -> None:
    root = meld.build(tmp_path, media)
    table = root / "dev_sent_emo.csv"
    good = table.read_text()
    text(table, good.replace("Dialogue_ID", "DialogueID"))
    with pytest.raises(DatasetError, match=r"dev_sent_emo\.csv: no column 'Dialogue_ID' \(columns: Sr No\."):
        read(root)
    text(table, good.replace(",sadness,", ",powerful,"))
    with pytest.raises(DatasetError, match=r"dev_sent_emo\.csv, line 2: 'powerful' is no class of basic7"):
        read(root)
    table.unlink()
    assert "dev_sent_emo.csv" in read(root).coverage.missing
