"""RAVDESS, CREMA-D, eNTERFACE'05, CK+ on miniatures: counts, labels, subjects, folds, quirks, messages."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from preprocessing.discover import discover
from tests.videofer.miniatures import ck_plus, crema_d, enterface, ravdess
from tests.videofer.miniatures.media import Media, text
from videofer.datasets.adapter import DatasetError, Reading
from videofer.datasets.adapters import read, recognise
from videofer.datasets.adapters.ck_plus import COUNTS, FOLD_OF, SUBJECTS
from videofer.datasets.adapters.enterface import Enterface, _whole
from videofer.datasets.adapters.ravdess import Ravdess


def row(reading: Reading, name: str) -> dict[str, object]:
    found = reading.table[reading.table["name"] == name]
    assert len(found) == 1, name
    return dict(found.iloc[0])


def odd(reading: Reading) -> dict[str, str]:
    return {each.path: each.why for each in reading.coverage.odd}


def test_ravdess(tmp_path: Path, media: Media) -> None:
    root = ravdess.build(tmp_path / "RAVDESS", media, actors=(1, 4, 5, 24), every=3)
    assert recognise(root)[0][0].name == "ravdess"
    reading = read(root)
    assert len(reading.table) == reading.coverage.found == 80 and reading.coverage.expected == 1440
    assert len(reading.coverage.missing) == 1440 - 80 and reading.coverage.is_whole is False
    assert dict(reading.table.groupby("subject")["fold"].first()) == {"01": 1, "04": 1, "05": 2, "24": 6}
    assert row(reading, "Actor_24/01-01-01-01-01-01-24.mp4")["label"] == "neutral"
    assert set(reading.table["label"]) <= set(reading.labels.classes)
    third = row(reading, "Actor_05/01-01-06-02-02-01-05.mp4")
    assert (third["label"], third["intensity"], third["sex"]) == ("fear", "strong", "male")


def test_ravdess_takes_each_take_once_and_knows_its_own_files(tmp_path: Path, media: Media) -> None:
    root = ravdess.build(tmp_path, media, actors=(2,), every=10)
    shutil.copy(root / "Actor_02/01-01-01-01-01-01-02.mp4", root / "Actor_02/02-01-01-01-01-01-02.mp4")
    media.video(root / "Actor_02/01-02-02-01-01-01-02.mp4")  # song
    media.video(root / "Actor_02/01-01-03-01-01-01-07.mp4")  # in the wrong folder
    media.video(root / "Actor_02/01-01-01-02-01-01-02.mp4")  # neutral, strong
    media.video(root / "Actor_02/01-01-09-01-01-01-02.mp4")
    media.video(root / "Actor_02/holiday.mp4")
    text(root / "Actor_02/01-01-02-01-01-01-02.mp4", "")
    reading = read(root)
    assert len(reading.table) == 6 + 2
    assert odd(reading) == {
        "Actor_02/01-01-03-01-01-01-07.mp4": "the name says actor 07, who is taken, the folder 02",
        "Actor_02/01-01-01-02-01-01-02.mp4": "neutral of strong intensity, which the set has not got",
        "Actor_02/01-01-09-01-01-01-02.mp4": "no actor 01 to 24, or no emotion 01 to 08",
        "Actor_02/holiday.mp4": "the name is not of seven numbers",
        "Actor_02/01-01-02-01-01-01-02.mp4": "an empty file: the download broke off",
    }
    assert any("1 takes are there with sound and without" in line for line in reading.quirks)
    assert len(Ravdess(channel="both").read(root).table) == 9


def test_ravdess_says_what_else_it_is(tmp_path: Path, media: Media) -> None:
    text(tmp_path / "a" / "Actor_01" / "03-01-01-01-01-01-01.wav", "RIFF")
    with pytest.raises(DatasetError, match=r"the sound of RAVDESS only: expected folders Actor_01 to"):
        read(tmp_path / "a", "ravdess")
    ravdess.build(tmp_path / "c", media, actors=(1,), every=30)
    for song in (tmp_path / "c").rglob("0?-02-*"):
        song.unlink()
    with pytest.raises(
        DatasetError, match=r"without song: all \d+ videos are speech, as --set channel=speech"
    ):
        Ravdess(channel="song").read(tmp_path / "c")
    text(tmp_path / "b" / "notes.txt", "")
    with pytest.raises(DatasetError, match=r"b: not RAVDESS: expected .*; there is notes\.txt"):
        read(tmp_path / "b", "ravdess")
    with pytest.raises(DatasetError, match="no data set is called 'ravdes'; did you mean 'ravdess'"):
        read(tmp_path, "ravdes")
    with pytest.raises(
        DatasetError, match=r"recognised; there is notes\.txt; is \S+notes\.txt a table or .*; else name it"
    ):
        read(tmp_path / "b")


def test_crema_d(tmp_path: Path, media: Media) -> None:
    root = crema_d.build(tmp_path / "CREMA-D", media)
    assert recognise(root)[0][0].name == "crema-d"
    reading = read(root)
    assert len(reading.table) == 48 and set(reading.counts().values()) == {8}
    assert dict(reading.table.groupby("subject")["fold"].first()) == {
        "1001": 1, "1019": 2, "1037": 3, "1091": 5,
    }  # fmt: skip
    first = row(reading, "VideoFlash/1001_DFA_ANG_XX.flv")
    assert (first["label"], first["age"], first["race"], first["level"]) == ("anger", "51", "Caucasian", "XX")
    assert row(reading, "VideoFlash/1001_IEO_NEU_X.flv")["level"] == "XX"
    assert len(read(root / "VideoFlash").table) == 48


def test_crema_d_without_git_lfs_or_with_other_tables(tmp_path: Path, media: Media) -> None:
    root = crema_d.build(tmp_path / "a", media, pointers=True)
    with pytest.raises(DatasetError, match=r"VideoFlash: 48 videos are a Git LFS pointer, .* `git lfs pull`"):
        read(root)
    media.video(root / "VideoFlash" / "1001_DFA_ANG_XX.flv")
    assert len(read(root).coverage.odd) == 47
    text(root / "VideoDemographics.csv", "Actor,Age\n1001,51\n")
    with pytest.raises(
        DatasetError, match=r"VideoDemographics\.csv: no column 'ActorID' \(columns: Actor, Age"
    ):
        read(root)


@pytest.mark.parametrize("underscores", [False, True])
def test_enterface(tmp_path: Path, media: Media, underscores: bool) -> None:
    root = enterface.build(tmp_path / "set", media, subjects=(3, 11, 23), underscores=underscores)
    assert recognise(root)[0][0].name == "enterface"
    reading = read(root)
    assert len(reading.table) == 30 + 30 + 27 and not reading.coverage.odd
    assert dict(reading.table["subject"].value_counts()) == {"3": 30, "11": 30, "23": 27}
    assert dict(reading.table.groupby("subject")["fold"].first()) == {"3": 1, "11": 2, "23": 3}
    assert reading.counts()["happiness"] == 12 and len(reading.coverage.missing) == 1287 - 87
    assert not any(name.startswith("subject 23/") for name in reading.coverage.missing)


def test_enterface_expects_what_its_lists_have() -> None:
    whole = _whole()
    assert len(whole) == len(set(whole)) == 1287 and len({subject for subject, _, _ in whole}) == 43
    of_fold = [sum(low < s <= high for s, _, _ in whole) for low, high in ((0, 10), (10, 19), (19, 28))]
    assert of_fold == [270, 270, 267]


def test_enterface_says_what_is_odd(tmp_path: Path, media: Media) -> None:
    root = enterface.build(tmp_path, media, subjects=(1,))
    media.video(root / "subject 6" / "anger" / "s6_an.avi")
    media.video(root / "subject 1" / "fear" / "sentence 1" / "s1_sa_1.avi")
    media.video(root / "subject 1" / "fear" / "stray.avi")
    assert odd(Enterface().read(root)) == {
        "subject 6": "left out: subject 6 is in none of the published lists",
        "subject 1/fear/stray.avi": "not in a folder 'sentence 1' to 'sentence 5'",
        "subject 1/fear/sentence 1/s1_fe_1.avi": "kept, but its folder has several videos, where one was "
        "expected",
        "subject 1/fear/sentence 1/s1_sa_1.avi": "the name says sa, the folder fear, which is taken",
    }
    (root / "subject 1" / "anger").rename(root / "subject 1" / "angst und wut")
    with pytest.raises(DatasetError, match=r"subject 1/angst und wut: 'angst und wut' is no class of basic6"):
        Enterface().read(root)


def test_ck_plus(tmp_path: Path, media: Media) -> None:
    root = ck_plus.build(tmp_path / "CK+", media)
    assert recognise(root)[0][0].name == "ck+"
    reading = read(root)
    assert len(reading.table) == 10 and reading.coverage.expected == 327 and not reading.coverage.missing
    assert reading.counts() == {
        "anger": 3, "contempt": 1, "disgust": 1, "fear": 1, "happiness": 1, "sadness": 1, "surprise": 2,
    }  # fmt: skip
    assert "neutral" not in set(reading.table["label"])
    folds = dict(reading.table.groupby("subject")["fold"].first())
    # As Emotion-FAN's list has them.
    assert folds == {
        "S005": 1, "S010": 2, "S011": 3, "S034": 10, "S138": 9, "S501": 1, "S895": 7, "S999": 8,
    }  # fmt: skip
    assert any(line.startswith("2 of 12 sequences have no label file") for line in reading.quirks)
    names = {source.name for source in discover([root], frames_fps=15)[0]}
    assert set(reading.table["name"]) <= names


def test_ck_plus_folds_are_the_published_ones() -> None:
    assert len(SUBJECTS) == len(set(SUBJECTS)) == 118 and list(SUBJECTS) == sorted(SUBJECTS)
    assert sum(COUNTS.values()) == 327
    sizes = [list(FOLD_OF.values()).count(fold) for fold in range(1, 11)]
    assert sizes == [12] * 8 + [11] * 2
    # The subjects of the second and the tenth fold of the list.
    numbers = (10, 37, 55, 65, 75, 85, 95, 107, 117, 131, 148, 502)
    assert [FOLD_OF[f"S{number:03}"] for number in numbers] == [2] * 12
    numbers = (34, 53, 63, 73, 83, 93, 105, 115, 129, 139, 160)
    assert [FOLD_OF[f"S{number:03}"] for number in numbers] == [10] * 11


def test_ck_plus_names_the_file_that_is_not_right(tmp_path: Path, media: Media) -> None:
    root = ck_plus.build(tmp_path, media)
    shutil.rmtree(root / "cohn-kanade-images" / "S010" / "004")
    (root / "cohn-kanade-images" / "S034" / "003" / "S034_003_00000004.png").unlink()
    reading = read(root)
    assert reading.coverage.missing == ("cohn-kanade-images/S010/004",)
    assert odd(reading) == {
        "cohn-kanade-images/S034/003": "kept, but its last picture is S034_003_00000003.png, "
        "its label of 00000004"
    }
    file = root / "Emotion" / "S005" / "001" / "S005_001_00000011_emotion.txt"
    text(file, "   9.0000000e+00\n")
    with pytest.raises(
        DatasetError, match=r"00000011_emotion\.txt: the label must be a code from 0 to 7, not '9'"
    ):
        read(root)
    text(file, "happy")
    with pytest.raises(
        DatasetError, match=r"_emotion\.txt: expected one number like 3\.0000000e\+00, not 'happy'"
    ):
        read(root)
    shutil.rmtree(root / "Emotion")
    with pytest.raises(DatasetError, match=r"CK\+ without its labels: expected a folder Emotion beside cohn"):
        read(root)
