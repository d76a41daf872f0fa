"""What a run would do: every system has its data set and recipe, each miniature a plan, mistakes one line."""

from __future__ import annotations

import shutil
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from cache.errors import UserError
from tests.videofer.fer2013_set import make_set, write_csv
from tests.videofer.miniatures import class_folders, emilya, enterface, gemep, own
from tests.videofer.miniatures.media import Media
from tests.videofer.reproduce_sets import TINY, TRIALS, Trial
from videofer.datasets.adapters import ADAPTERS
from videofer.emotions.label_sets import LABEL_SETS
from videofer.ensembles.recipe import Ensemble, is_ensemble
from videofer.experiments.folds import PROTOCOLS
from videofer.reproduce.plan import make_plan, shares, some_of
from videofer.reproduce.published import PUBLISHED
from videofer.reproduce.systems import SYSTEMS, ReproduceError, system_of
from videofer.resources import config_path

OWN_DATA = {"folders", "table", "list"}


def test_every_data_set_has_a_system_and_every_system_what_it_names() -> None:
    assert {system.dataset for system in SYSTEMS.values()} == set(ADAPTERS) - OWN_DATA
    reported = {(one.dataset, one.labels, one.system) for one in PUBLISHED}
    for system in SYSTEMS.values():
        assert config_path(system.recipe).is_file() and system.protocol in PROTOCOLS
        assert not system.labels or system.labels in LABEL_SETS
        known = {system.reproduces} == {""} or (system.dataset, system.labels, system.reproduces) in reported
        assert known or system.reproduces in MISSING_NUMBERS, system


MISSING_NUMBERS = {"FER_BGER", "HMT", "SCN"}
"""Systems whose publication has no number on some of the sets that they were built for here."""


@pytest.mark.parametrize("trial", TRIALS, ids=lambda trial: trial.system)
def test_every_miniature_has_a_plan(trial: Trial, tmp_path: Path, media: Media) -> None:
    system = system_of(trial.system)
    root = trial.build(tmp_path / "data", media)
    before = sorted(tmp_path.rglob("*"))
    plan = make_plan(system, root, changes=trial.changes, max_videos=trial.max_videos)
    assert sorted(tmp_path.rglob("*")) == before  # nothing is written
    assert plan.reading.dataset == system.dataset and plan.folds.folds
    assert len(plan.table) == min(len(plan.reading.table), trial.max_videos or len(plan.reading.table))
    assert set(plan.first.data.classes) <= set(plan.reading.labels.classes)
    assert plan.first.training.epochs == 1 and plan.why_a_trial
    assert isinstance(plan.recipe, Ensemble) == is_ensemble(config_path(system.recipe))


def test_some_rows_are_spread(tmp_path: Path, media: Media) -> None:
    plan = make_plan(system_of("ours-enterface"), enterface.build(tmp_path, media), changes=TINY)
    table = some_of(plan.table, 60)
    assert table.groupby(["fold", "label"]).size().eq(2).all() and len(table) == 60
    assert table["name"].tolist() == [name for name in plan.table["name"] if name in set(table["name"])]
    by_subject = some_of(plan.table.assign(fold=pd.NA, split=None), 36)
    assert by_subject.groupby(["subject", "label"]).size().eq(1).all() and len(by_subject) == 36
    soft = pd.DataFrame({"p_fear": [0.9, 0.8, 0.1, 0.2], "p_joy": [0.1, 0.2, 0.9, 0.8]})
    soft = soft.assign(label=None, split="test", fold=pd.NA, subject=None)
    assert some_of(soft, 2)["p_fear"].tolist() == [0.9, 0.1]


def test_shares() -> None:
    table = pd.DataFrame({"label": ["fear", None, "anger"], "p_fear": [np.nan, 0.25, np.nan]})
    assert shares(table, ["anger", "fear"]).tolist() == [[0, 1], [0, 0.25], [1, 0]]


def test_classes_keep_the_recipes_order_and_absent_ones_are_said(tmp_path: Path, media: Media) -> None:
    plan = make_plan(system_of("ours-enterface"), enterface.build(tmp_path, media))
    assert plan.first.data.classes == list(LABEL_SETS["basic6"].classes)
    assert plan.why_a_trial == ("the copy is not whole: 177 of 1,287 videos",)
    for place in tmp_path.glob("subject*/fear"):
        place.rename(place.with_name("gone"))
        place.with_name("gone").rename(tmp_path / f"fear of {place.parent.name}")
    plan = make_plan(system_of("ours-enterface"), tmp_path)
    assert "fear" not in plan.first.data.classes and "no fear: left out of the classes" in plan.notes[0]


def test_emilya_without_subjects_has_the_published_holdout(tmp_path: Path, media: Media) -> None:
    root = emilya.build(tmp_path / "many", actions=("BS", "KD"), takes=10)
    plan = make_plan(system_of("accm-emilya"), root, changes=["dataset.fps=25"])
    tested = plan.table[plan.table["split"] == "test"]
    assert plan.protocol == "official" and len(tested) == 16  # of each action and class the tenth
    assert tested.groupby(["action", "label"]).size().eq(1).all()
    assert any("whoever acts" in note for note in plan.notes) and not plan.why_a_trial
    pattern = r"dataset.pattern=(?P<action>\w+)/(?P<emotion>[^/]+)/(?P<subject>\w+)\.xlsx"
    plan = make_plan(system_of("accm-emilya"), root, changes=["dataset.fps=25", pattern])
    assert plan.protocol == "kfold" and len(plan.folds.folds) == 5
    few = emilya.build(tmp_path / "few", takes=2)
    with pytest.raises(ReproduceError, match=r"no class has 10 takes, .* --set dataset.pattern=\.\.\."):
        make_plan(system_of("accm-emilya"), few, changes=["dataset.fps=25"])


@pytest.mark.parametrize(
    ("name", "changes", "words"),
    [
        ("accm-emilya", (), "Emilya does not say the joints' rate (fps): give --set dataset.fps=..."),
        ("ours-enterface", ("training.epoch=1",), "did you mean 'epochs'"),
        ("ours-enterface", ("preprocess.face=x",), "did you mean 'faces'"),
        ("ours-enterface", ("dataset.fps=1",), "of enterface nothing can be set"),
        ("ours-ravdess", (), "not RAVDESS"),
        ("hybrid-gemep99", (), "no system is called 'hybrid-gemep99'; did you mean 'hybrid-gemep"),
    ],
)
def test_mistakes_are_one_line(
    tmp_path: Path, media: Media, name: str, changes: tuple[str, ...], words: str
) -> None:
    root = enterface.build(tmp_path, media, subjects=(1, 11, 20, 29, 44))
    with pytest.raises(UserError) as caught:
        make_plan(system_of(name), root, changes=changes)
    assert words in str(caught.value) and "\n" not in str(caught.value)


def test_a_copy_with_one_class_and_no_joints_is_refused(tmp_path: Path, media: Media) -> None:
    with pytest.raises(UserError, match="not eNTERFACE'05: expected folders like"):
        make_plan(system_of("ours-enterface"), own.build_table(tmp_path / "own", media).parent)
    for subject in (1, 11):
        media.video(tmp_path / f"one/subject {subject}/anger/sentence 1/s{subject}_an_1.avi")
    with pytest.raises(ReproduceError, match="labels of 1 of the 6 classes: `videofer datasets inspect"):
        make_plan(system_of("ours-enterface"), tmp_path / "one")


def test_a_copy_without_its_test_list_says_what_is_missing(tmp_path: Path, media: Media) -> None:
    afew = class_folders.build_afew(tmp_path / "AFEW", media)
    shutil.rmtree(afew / "Val")
    with pytest.raises(ReproduceError, match=r"AFEW has nothing of the test list; missing: Train: 7.. of"):
        make_plan(system_of("sistcm-afew"), afew)
    write_csv(make_set(20, 4, 0), tmp_path / "faces")
    words = r"test list \(test=privatetest; --set dataset.KEY=VALUE chooses .*; missing: the list privatetest"
    with pytest.raises(ReproduceError, match=words):
        make_plan(system_of("fer2013-cnn"), tmp_path / "faces")
    plan = make_plan(system_of("fer2013-cnn"), tmp_path / "faces", changes=["dataset.test=publictest"])
    told = " ".join((*plan.notes, *plan.reading.quirks))
    assert "PublicTest is the test split" in told and "PrivateTest is in no split" in told


def test_bodies_are_read_from_files_beside_the_videos(tmp_path: Path, media: Media) -> None:
    from videofer.datasets.adapters import read
    from videofer.recipe import load_recipe
    from videofer.reproduce.bodies import body_keys, layout_of

    recipe = load_recipe(config_path("train/fused.yaml"))
    assert layout_of(recipe) == "coco17"
    reading = read(gemep.build(tmp_path, media, performers=range(1, 3)))
    assert body_keys(recipe, reading, set()) == ["skeleton=coco17", "pose=rtmlib:body-balanced"]
    for name in reading.table["name"]:
        (tmp_path / name).with_suffix(".keypoints.csv").write_text("frame\n")
    assert body_keys(recipe, reading, {"skeleton"}) == ["pose=sidecar"]
    strange = recipe.model_copy(update={"data": recipe.data.model_copy(update={"skeleton": "emilya28"})})
    for path in tmp_path.rglob("*.keypoints.csv"):
        path.unlink()
    with pytest.raises(ReproduceError, match="joints of the layout emilya28 come from keypoint files"):
        body_keys(strange, reading, set())
