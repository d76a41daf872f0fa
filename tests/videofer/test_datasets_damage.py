"""Label files that are damaged in any way: a reading, or one line for the user; never a traceback."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cache.errors import UserError
from tests.videofer.miniatures.every import build_all
from tests.videofer.miniatures.media import Media
from videofer.datasets.adapters import read
from videofer.datasets.adapters.emilya import Emilya

FILES = {
    "ck+": "Emotion/S005/001/S005_001_00000011_emotion.txt",
    "crema-d": "VideoDemographics.csv",
    "dfew": "EmoLabel_DataSplit/test(single-labeled)/set_2.csv",
    "ferv39k": "4_setups/All_scenes/test_All.csv",
    "mafw": "Train & Test Set/single/no_caption/set_1/train.txt",
    "meld": "train_sent_emo.csv",
    "iemocap": "Session1/dialog/EmoEvaluation/Ses01F_impro01.txt",
    "bold": "BOLD_public/annotations/train.csv",
    "bred": "BRED_dataset/annotations.csv",
    "gemep": "GEMEP/all_face_label.csv",
    "emilya": "BS/Joy/take1.xlsx",
    "fer2013": "fer2013.csv",
    "list": "",
    "table": "",
}


@pytest.fixture(scope="module")
def sets(tmp_path_factory: pytest.TempPathFactory, media: Media) -> dict[str, Path]:
    return build_all(tmp_path_factory.mktemp("sets"), media)


@st.composite
def damages(draw: st.DrawFn) -> tuple[float, float, bytes]:
    """Where a piece begins and ends, as shares of the file, and what takes its place."""
    begin = draw(st.floats(0, 1))
    end = draw(st.sampled_from([begin, 1.0])) if draw(st.booleans()) else min(begin + 0.1, 1.0)
    words = [
        b"",
        b"\0",
        b'"',
        b"\xff\xfe",
        b",,,",
        b"\n\n",
        b"-1",
        b"nan",
        b"1e999",
        b"angst,",
        "é漢".encode(),
    ]
    return begin, end, draw(st.sampled_from(words))


@pytest.mark.parametrize("name", FILES)
@settings(max_examples=12)
@given(damage=damages())
def test_damaged_label_files(sets: dict[str, Path], name: str, damage: tuple[float, float, bytes]) -> None:
    file = sets[name] / FILES[name]
    good = file.read_bytes()
    begin, end, instead = damage
    cut = slice(round(begin * len(good)), round(end * len(good)))
    file.write_bytes(good[: cut.start] + instead + good[cut.stop :])
    try:
        if name == "emilya":
            Emilya(joints_to=str(sets[name].parent / "joints"), fps=25.0).read(sets[name])
        else:
            read(sets[name], name)
    except UserError as error:
        assert "\n" not in str(error) and str(error)
    finally:
        file.write_bytes(good)
