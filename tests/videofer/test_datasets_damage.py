"""Label files that are damaged in any way: a reading, or one line for the user; never a traceback."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cache.errors import UserError
from tests.videofer.miniatures import (
    bold,
    bred,
    ck_plus,
    crema_d,
    dfew,
    emilya,
    ferv39k,
    gemep,
    iemocap,
    mafw,
    meld,
    own,
)
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
    "list": "list.txt",
    "table": "labels.csv",
}


@pytest.fixture(scope="module")
def sets(tmp_path_factory: pytest.TempPathFactory, media: Media) -> Iterator[dict[str, Path]]:
    root = tmp_path_factory.mktemp("sets")
    yield {
        "ck+": ck_plus.build(root / "ck", media),
        "crema-d": crema_d.build(root / "crema", media),
        "dfew": dfew.build(root / "dfew", media),
        "ferv39k": ferv39k.build(root / "ferv39k", media),
        "mafw": mafw.build(root / "mafw", media),
        "meld": meld.build(root / "meld", media),
        "iemocap": iemocap.build(root / "iemocap", media, sessions=(1,)),
        "bold": bold.build(root / "bold", media),
        "bred": bred.build(root / "bred"),
        "gemep": gemep.build(root / "gemep", media, performers=range(1, 2)),
        "emilya": emilya.build(root / "emilya", actions=("BS",)),
        "list": own.build_list(root / "list", media, frames=False, words=True).parent,
        "table": own.build_table(root / "table", media).parent,
    }


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
            read(file if name in ("list", "table") else sets[name], name)
    except UserError as error:
        assert "\n" not in str(error) and str(error)
    finally:
        file.write_bytes(good)
