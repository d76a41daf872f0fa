"""Label sets, the maps between them, and the manifest column that names one."""

from __future__ import annotations

from pathlib import Path

import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from videofer.datasets.manifest import ManifestError, normalise, read_manifest
from videofer.emotions import BASIC, canonical
from videofer.emotions.label_sets import (
    _MAPS,
    LABEL_SETS,
    LabelError,
    label_map,
    label_set,
    own_map,
    set_of,
    shared_classes,
)
from videofer.emotions.words import EMOTIONS, FINER
from videofer.recipe import DataRecipe

SIZES = {
    "basic6": 6, "basic7": 7, "basic8": 8, "ckplus7": 7, "crema6": 6, "ravdess8": 8, "mafw11": 11,
    "gemep7": 7, "gemep12": 12, "gemep17": 17, "gemep18": 18, "emilya8": 8, "iemocap9": 9, "iemocap4": 4,
    "bold26": 26,
}  # fmt: skip


@pytest.mark.parametrize("name", LABEL_SETS)
def test_every_set_has_its_classes(name: str) -> None:
    classes = LABEL_SETS[name].classes
    assert len(set(classes)) == len(classes) == SIZES[name]
    assert set(classes) <= {*EMOTIONS, *FINER}
    assert all(LABEL_SETS[name].canonical(each.upper()) == each for each in classes)


@given(st.sampled_from(sorted(LABEL_SETS)), st.sampled_from([*EMOTIONS, *FINER]))
def test_a_set_knows_its_own_classes_and_no_others(name: str, word: str) -> None:
    one = LABEL_SETS[name]
    try:
        assert one.canonical(word) in one.classes
    except LabelError:
        assert word not in one.classes and (word in FINER or canonical(word) not in one.classes)


def test_one_word_means_what_the_set_means() -> None:
    assert label_set("gemep12").canonical("Joie") == "joy"
    assert label_set("emilya8").canonical("Joy") == "happiness"
    assert label_set("emilya8").canonical("Panic Fear") == "fear"
    assert label_set("bold26").canonical("Doubt/Confusion") == "confusion"
    with pytest.raises(LabelError, match=r"'neutral' is no class of gemep12 \(classes: amusement, pride"):
        label_set("gemep12").canonical("neutral")
    with pytest.raises(LabelError, match="'angr' is no class of basic7; did you mean 'anger'"):
        label_set("basic7").canonical("angr")
    with pytest.raises(LabelError, match="no label set is called 'gemep-12'; did you mean 'gemep12'"):
        label_set("gemep-12")


@pytest.mark.parametrize("pair", _MAPS, ids=" to ".join)
def test_every_map_decides_about_every_class(pair: tuple[str, str]) -> None:
    source, target = label_set(pair[0]), label_set(pair[1])
    mapped = label_map(source, target)
    assert tuple(mapped) == source.classes
    assert {name for name in mapped.values() if name is not None} <= set(target.classes)
    left_out, becomes = _MAPS[pair]
    assert {*left_out.split(), *becomes} <= set(source.classes), "an entry for a class that is not there"


def test_maps_drop_and_merge_only_what_they_name() -> None:
    to_7 = label_map(label_set("gemep17"), label_set("gemep7"))
    assert [name for name, becomes in to_7.items() if becomes] == [
        "fear", "sadness", "anger", "pleasure", "surprise", "disgust", "contempt",
    ]  # fmt: skip
    assert label_map(label_set("iemocap9"), label_set("iemocap4"))["excitement"] == "happiness"
    assert label_map(label_set("crema6"), label_set("basic7")) == {name: name for name in BASIC[:-1]}
    with pytest.raises(
        LabelError, match="no map from bold26 to basic7 says what becomes of peace, affection"
    ):
        label_map(label_set("bold26"), label_set("basic7"))
    with pytest.raises(
        LabelError, match=r"becomes of calm, fear, disgust, surprise \(maps of ravdess8 lead to basic7"
    ):
        label_map(label_set("ravdess8"), label_set("iemocap4"))


def test_a_map_of_one_s_own_is_checked() -> None:
    source, target = label_set("ravdess8"), label_set("basic7")
    words = {"Calm": "Neutral", **{name: name for name in source.classes if name != "calm"}}
    assert own_map(source, words, target)["calm"] == "neutral"
    del words["surprise"]
    with pytest.raises(LabelError, match="does not say what becomes of surprise of ravdess8"):
        own_map(source, words, target)


def test_shared_classes_keep_the_order_of_the_first() -> None:
    assert shared_classes(label_set("ckplus7").classes, label_set("crema6").classes) == (
        "anger", "disgust", "fear", "happiness", "sadness",
    )  # fmt: skip


def test_a_manifest_s_column_says_how_its_words_are_meant(tmp_path: Path) -> None:
    path = tmp_path / "labels.csv"
    path.write_text(
        "path,emotion,label_set,p_joy\na.mp4,joy,gemep12,1\nb.mp4,joy,,\nc.mp4,Soulagement,gemep12,0.5\n"
    )
    table = read_manifest(path)
    assert table["label"].tolist() == ["joy", "happiness", "relief"]
    assert "p_joy" in table.columns
    again = normalise(table, source="again", classes=BASIC)
    assert again["label"].tolist() == table["label"].tolist()
    path.write_text("path,emotion,label_set\na.mp4,joy,gemep13\n")
    with pytest.raises(ManifestError, match=r"labels\.csv, row 2: no label set is called 'gemep13'; did"):
        read_manifest(path)


def test_soft_columns_without_a_set_stay_broad() -> None:
    table = normalise(pd.DataFrame({"name": ["a"], "p_joy": [0.5]}), source="memory")
    assert "p_happiness" in table.columns


def test_a_recipe_takes_the_classes_of_a_set() -> None:
    common = {"num_clips": 2, "num_frames": 2, "clip_seconds": 0.5, "window_seconds": 1.0}
    twelve = list(LABEL_SETS["gemep12"].classes)
    assert DataRecipe(classes=twelve, **common).classes == twelve
    assert DataRecipe(classes=list(LABEL_SETS["bold26"].classes), **common)
    assert set_of(["joy", "pride"]) == LABEL_SETS["gemep12"] and set_of(["joy", "neutral"]) is None
    with pytest.raises(ValueError, match="the class 'joy' is called 'happiness' here"):
        DataRecipe(classes=["neutral", "joy"], **common)
