"""IEMOCAP, BoLD, BRED, GEMEP, Emilya on miniatures: intervals, soft labels, skeletons, own classes."""

from __future__ import annotations

import shutil
from pathlib import Path

import numpy as np
import pytest

from preprocessing.discover import discover
from preprocessing.skeletons.sidecar import load_sidecar
from tests.videofer.miniatures import bold, bred, emilya, gemep, iemocap
from tests.videofer.miniatures.media import Media, text
from videofer.datasets.adapter import DatasetError, Reading, with_labels
from videofer.datasets.adapters import read, recognise
from videofer.datasets.adapters.bred import Bred
from videofer.datasets.adapters.emilya import Emilya
from videofer.datasets.adapters.gemep import COUNTS, Gemep
from videofer.datasets.workbook import WorkbookError, read_sheet
from videofer.emotions.label_sets import LabelError, label_set


def odd(reading: Reading) -> dict[str, str]:
    return {each.path: each.why for each in reading.coverage.odd}


def test_iemocap(tmp_path: Path, media: Media) -> None:
    root = iemocap.build(tmp_path / "IEMOCAP_full_release", media)
    assert recognise(root)[0][0].name == "iemocap"
    reading = read(root)
    assert len(reading.table) == 5 * 2 * 5 and not reading.coverage.missing
    rows = reading.table.set_index("turn")
    third = rows.loc["Ses03F_impro01_M001"]
    assert (third["label"], third["subject"], third["fold"]) == ("excitement", "Ses03M", 3)
    assert (third["start"], third["end"], third["valence"]) == (14.8872, 18.0175, 4.0)
    assert third["dimension_scale"] == "1 to 5"
    assert third["name"] == "Session3/dialog/avi/DivX/Ses03F_impro01.avi"
    assert rows.loc["Ses01M_script01_1_MXX0"]["subject"] == "Ses01M"
    assert reading.table["subject"].nunique() == 10
    assert reading.quirks[0].startswith("20 of 70 turns have no label")
    four, dropped = with_labels(reading, label_set("iemocap4"))
    assert dropped == {"frustration": 10} and four.counts() == {"anger": 10, "happiness": 20, "neutral": 10}
    assert set(four.table["label_set"]) == {"iemocap4"}


def test_iemocap_says_what_is_wrong(tmp_path: Path, media: Media) -> None:
    root = iemocap.build(tmp_path, media, sessions=(1, 2))
    (root / "Session2/dialog/avi/DivX/Ses02F_impro01.avi").unlink()
    reading = read(root)
    assert reading.coverage.missing == (
        "Session2/dialog/avi/DivX/Ses02F_impro01.avi", "Session3", "Session4", "Session5",
    )  # fmt: skip
    table = root / "Session1/dialog/EmoEvaluation/Ses01F_impro01.txt"
    good = table.read_text()
    text(table, good.replace("\tneu\t", "\tbor\t"))
    with pytest.raises(
        DatasetError, match=r"Ses01F_impro01\.txt: Ses01F_impro01_F000: 'bor' is no class of iemo"
    ):
        read(root)
    text(table, good.replace(" - ", " to "))
    with pytest.raises(
        DatasetError, match=r"\.txt, line 3: expected \[start - end\], turn, code, \[V, A, D\]"
    ):
        read(root)


def test_bold(tmp_path: Path, media: Media) -> None:
    root = bold.build(tmp_path, media)
    assert recognise(root)[0][0].name == "bold"
    reading = read(root)
    assert len(reading.table) == 4 and reading.table["label"].isna().all()
    assert reading.coverage.missing == ("BOLD_public/videos/010/xyz.mp4/0009.mp4",)
    first = reading.table.iloc[0]
    assert (first["p_happiness"], first["p_pleasure"], first["valence"]) == (0.75, 0.25, 5.5)
    assert (first["set_person"], first["min_frame"], first["split"]) == ("0.0", "120", "train")
    assert first["dimension_scale"] == "1 to 10"
    assert reading.table["person"].isna().all() and reading.table["start"].isna().all()
    assert [c for c in reading.table if c.startswith("p_")] == [f"p_{c}" for c in reading.labels.classes]
    with pytest.raises(DatasetError, match="bold has soft labels of bold26: they are not mapped"):
        with_labels(reading, label_set("basic7"))


def test_bold_of_another_form(tmp_path: Path, media: Media) -> None:
    root = bold.build(tmp_path, media)
    table = root / "BOLD_public/annotations/train.csv"
    good = table.read_text()
    shutil.rmtree(root / "BOLD_public/joints/005")
    assert odd(read(root)) == {
        "BOLD_public/joints/005/abc.mp4/0002.npy": "joints are not there; expected beside videos, as .npy"
    }
    text(table, good.replace(",5.5,", ",55,", 1))
    with pytest.raises(DatasetError, match=r"train\.csv, line 1: expected a number from 1 to 10, not '55'"):
        read(root)
    text(table, "video,person\n" + good)
    with pytest.raises(DatasetError, match=r"train\.csv, line 1: expected 37 cells, not 2"):
        read(root)


def test_bred(tmp_path: Path) -> None:
    root = bred.build(tmp_path)
    assert recognise(root)[0][0].name == "bred"
    reading = read(root)
    rows = reading.table.set_index("name")
    assert len(rows) == 4 and not reading.coverage.missing
    happy = rows.loc["BRED_dataset/game/07/happiness_1/openpose_output/json"]
    assert (happy["label"], happy["label_face"], happy["label_body"]) == ("happiness", "happiness", "neutral")
    fear = rows.loc["BRED_dataset/pre-game/07/fear_1/openpose_output/json"]
    assert (fear["subject"], fear["label_face"], fear["label_body"]) == ("07", "neutral", "fear")
    nobody = rows.loc["BRED_dataset/pre-game/12/surprise_1/openpose_output/json"]
    assert (nobody["label"], nobody["label_face"], nobody["label_body"]) == ("surprise", "neutral", "neutral")
    sources, failures = discover([root], frames_fps=25)
    assert set(rows.index) <= {s.name for s in sources if s.kind == "keypoints"} and not failures
    assert len(read(root / "BRED_dataset").table) == 4


def test_bred_says_what_is_wrong(tmp_path: Path) -> None:
    root = bred.build(tmp_path)
    shutil.rmtree(root / "BRED_dataset/game")
    assert read(root).coverage.missing == ("BRED_dataset/game/07/happiness_1/openpose_output/json",)
    table = root / "BRED_dataset/annotations.csv"
    text(table, table.read_text().replace("Fear,yes", "Fear,maybe"))
    with pytest.raises(DatasetError, match=r"annotations\.csv, line 3: expected yes or no, not 'maybe'"):
        read(root)
    text(table, "path,emotion\na/b/c,Fear\n")
    with pytest.raises(DatasetError, match=r"line 2: expected 8 cells"):
        read(root, "bred")


@pytest.mark.parametrize("frames", [False, True])
def test_gemep(tmp_path: Path, media: Media, frames: bool) -> None:
    root = gemep.build(tmp_path, media, frames, performers=range(1, 11) if not frames else range(1, 3))
    assert recognise(root)[0][0].name == "gemep"
    reading = read(root)
    assert not reading.coverage.odd and not reading.coverage.missing
    if frames:
        assert {s.name for s in discover([root], frames_fps=25)[0]} == set(reading.table["name"])
        return
    assert len(reading.table) == reading.coverage.expected == 145 == sum(COUNTS.values())
    assert reading.counts() == COUNTS and reading.coverage.is_whole
    assert reading.table["performer"].nunique() == 10 and reading.official.crossval == "--protocol lopo"
    twelve, dropped = with_labels(reading, label_set("gemep12"))
    assert len(twelve.table) == 120 and set(twelve.counts().values()) == {10} and sum(dropped.values()) == 25
    seven, _ = with_labels(reading, label_set("gemep7"))
    assert seven.counts() == {
        "surprise": 5, "fear": 10, "disgust": 5, "pleasure": 10, "sadness": 10, "anger": 10, "contempt": 5,
    }  # fmt: skip
    with pytest.raises(LabelError, match="no map from gemep17 to basic7 says what becomes of amusement"):
        with_labels(reading, label_set("basic7"))


def test_gemep_of_other_names(tmp_path: Path, media: Media) -> None:
    media.video(tmp_path / "portrayal_joie_P03.avi")
    media.video(tmp_path / "portrayal_panic fear_P11.avi")
    media.video(tmp_path / "shame.avi")
    assert recognise(tmp_path) == []
    with pytest.raises(DatasetError, match=r"GEMEP without a single video; .*: the name tells no performer"):
        read(tmp_path, "gemep")
    reading = Gemep(pattern=r"portrayal_(?P<emotion>.+)_P(?P<performer>\d+)").read(tmp_path)
    assert reading.table["label"].tolist() == ["joy", "fear"]
    assert odd(reading) == {
        "portrayal_panic fear_P11.avi": "kept, but performer 11 is none of 01 to 10",
        "shame.avi": "the name tells no performer and emotion",
    }
    with pytest.raises(DatasetError, match=r"has no group \(\?P<emotion>"):
        Gemep(pattern=r"(?P<performer>\d+)").read(tmp_path)
    with pytest.raises(DatasetError, match="is no regular expression"):
        Gemep(pattern="(").read(tmp_path)


def test_gemep_whose_table_says_another_thing(tmp_path: Path, media: Media) -> None:
    root = gemep.build(tmp_path, media, performers=range(1, 2))
    table = root / "GEMEP/all_face_label.csv"
    good = table.read_text()
    text(table, good + "GEMEP/video/09joy_GEMEP.mp4,joy\n")
    assert read(root).coverage.missing == ("09joy_gemep",)
    text(table, good.replace("01joy_GEMEP.mp4,joy", "01joy_GEMEP.mp4,pride"))
    with pytest.raises(
        DatasetError, match=r"label\.csv, line \d+: 01joy_GEMEP is pride, but its name says joy"
    ):
        read(root)


def test_bred_s_joints_as_inputs(tmp_path: Path) -> None:
    root, out = bred.build(tmp_path / "set"), tmp_path / "joints"
    with pytest.raises(DatasetError, match=r"were not found: give fps=N and size=WIDTHxHEIGHT"):
        Bred(joints_to=str(out)).read(root)
    reading = Bred(joints_to=str(out), fps=25.0, size="1920x1080").read(root)
    assert reading.root == out and "game/07/happiness_1.keypoints.npz" in set(reading.table["name"])
    sidecar = load_sidecar(out / "game/07/happiness_1.keypoints.npz")
    assert sidecar.keypoints.shape == (3, 1, 67, 3) and sidecar.layout.name == "openpose67"
    assert sidecar.keypoints[1, 0, 4].tolist() == pytest.approx([960, 540, 0.9])
    assert not sidecar.keypoints[0].any() and sidecar.fps == 25 and sidecar.size_wh == (1920, 1080)
    sources, failures = discover([out])
    assert {source.name for source in sources} == set(reading.table["name"]) and not failures


def test_emilya(tmp_path: Path) -> None:
    root, out = emilya.build(tmp_path / "set"), tmp_path / "joints"
    assert recognise(root)[0][0].name == "emilya"
    reading = read(root)
    assert len(reading.table) == 16 and set(reading.counts().values()) == {2}
    rows = reading.table.set_index("name")
    assert rows.loc["KD/Panic Fear/take1.xlsx"]["label"] == "fear"
    assert rows.loc["BS/Joy/take1.xlsx"][["label", "action"]].tolist() == ["happiness", "BS"]
    assert any("workbooks are no inputs" in line for line in reading.quirks)
    with pytest.raises(DatasetError, match="rate was not found: give fps with joints_to"):
        Emilya(joints_to=str(out)).read(root)
    made = Emilya(joints_to=str(out), fps=120.0).read(root)
    sidecar = load_sidecar(out / "BS/Anxiety/take1.keypoints.npz")  # the second take
    truth = emilya.truth(2).reshape(4, 28, 3)[..., :2]
    np.testing.assert_allclose(sidecar.keypoints[:, 0, :, :2], truth, rtol=1e-6)
    assert sidecar.layout.name == "emilya28" and sidecar.fps == 120
    assert {source.name for source in discover([out])[0]} == set(made.table["name"])


def test_emilya_of_another_form(tmp_path: Path) -> None:
    root = emilya.build(tmp_path / "a", actions=("BS",))
    one = root / "BS" / "Pride" / "take1.xlsx"
    emilya.write_workbook(one, emilya.truth(1)[:, :81])
    with pytest.raises(
        DatasetError, match=r"take1\.xlsx, row 2: expected x, y, z of 28 joints, not 81 cells"
    ):
        Emilya(joints_to=str(tmp_path / "out"), fps=25.0).read(root)
    emilya.write_workbook(one, emilya.truth(1), num_sheets=2)
    with pytest.raises(WorkbookError, match=r"expected at least 3 sheets; there are Sheet1, Sheet2"):
        Emilya(joints_to=str(tmp_path / "out"), fps=25.0).read(root)
    old = one.with_suffix(".xls")
    old.write_bytes(bytes.fromhex("d0cf11e0a1b11ae1") + bytes(600))
    with pytest.raises(
        WorkbookError, match=r"take1\.xls: not an \.xlsx workbook: .*; save an old \.xls workbook"
    ):
        read_sheet(old, 2)
    (root / "BS" / "Pride").rename(root / "BS" / "P")
    with pytest.raises(
        DatasetError, match=r"BS/P/take1\.xls: expected a folder or word .* called like Anger"
    ):
        read(root)
    pattern = r"(?P<action>\w\w)/(?P<emotion>[^/]+)/take(?P<subject>\d)"
    with pytest.raises(DatasetError, match=r"'P' is no class of emilya8"):
        Emilya(pattern=pattern).read(root)
    for file in (root / "BS" / "P").iterdir():
        file.unlink()
    assert Emilya(pattern=pattern).read(root).table["subject"].tolist() == ["1"] * 7


def test_a_sheet_with_gaps_and_words(tmp_path: Path) -> None:
    rows = np.array([[1.5, np.nan, -3.0], [np.nan, 2e-3, 4.0]])
    emilya.write_workbook(tmp_path / "x.xlsx", rows, num_sheets=1)
    header, *read_rows = read_sheet(tmp_path / "x.xlsx", 0)
    assert header == [] or np.isnan(header).all()
    np.testing.assert_array_equal(read_rows, rows)
