"""A model on FER2013's lists: both sets of labels, copies, and what is refused."""

from __future__ import annotations

import json
import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch
from fer2013_set import make_set, small_recipe, write_csv
from typer.testing import CliRunner

from preprocessing.stills import pixel_key
from videofer.checkpoint import load_checkpoint
from videofer.cli import app
from videofer.datasets.fer2013 import LABELS, USAGES, Fer2013, read_fer2013
from videofer.datasets.fer2013_lists import make_lists
from videofer.datasets.fer2013_store import AS_IT_IS, import_fer2013
from videofer.datasets.ferplus import EMOTIONS
from videofer.emotions import BASIC
from videofer.evaluation.fer2013 import evaluate_fer2013, without_class
from videofer.evaluation.table import EvaluationError
from videofer.export import load_model
from videofer.training.progress import silent
from videofer.training.run import train

pytestmark = pytest.mark.usefixtures("one_thread")


def with_copies() -> Fer2013:
    """Two pictures of Training are in PublicTest as well, and one in PrivateTest."""
    data = make_set(210, 28, 14)
    images = data.images.copy()
    images[210], images[211], images[238] = images[0], images[1], images[2]
    return replace(data, images=images)


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """data/ as a CSV file with votes, run7/ and run8/ of models of seven and eight classes."""
    path = tmp_path_factory.mktemp("fer2013")
    torch.set_num_threads(1)
    data = with_copies()
    write_csv(data, path / "data")
    for name, labels, classes in (("run7", "fer2013", BASIC), ("run8", "ferplus", EMOTIONS)):
        lists = make_lists(data, labels=labels)  # type: ignore[arg-type]
        import_fer2013(data, lists, path / "store", AS_IT_IS, num_workers=1)
        train(small_recipe(classes), path / "store", path / name, progress=silent)
    return path


def test_seven_classes(root: Path, tmp_path: Path) -> None:
    report = evaluate_fer2013(root / "run7", root / "data", tmp_path)
    assert list(report.evaluations) == ["fer2013", "fer2013_without_copies"] and not report.notes
    whole, without = report.evaluations.values()
    assert whole.metrics["face"].num_samples == 28 and without.metrics["face"].num_samples == 26
    assert whole.metrics["face"].war > 0.8  # the stripes are learned
    saved = pd.read_parquet(tmp_path / "fer2013" / "predictions.parquet")
    data = with_copies()
    expected = [LABELS[label] for label in data.of("publictest").label]
    assert saved.sort_values("name")["label"].tolist() == expected
    assert whole.metrics["face"].war == pytest.approx((saved["label"] == saved["face_label"]).mean())
    assert not pd.read_parquet(tmp_path / "fer2013_without_copies" / "predictions.parquet")["copy"].any()
    figures = json.loads((tmp_path / "figures.json").read_text())
    assert figures["evaluations"]["fer2013"]["face"]["war"] == whole.metrics["face"].war


def test_eight_classes_are_measured_by_both_labels(root: Path, tmp_path: Path) -> None:
    report = evaluate_fer2013(root / "run8", root / "data", tmp_path, tta="mirror")
    names = ["ferplus", "fer2013", "ferplus_without_copies", "fer2013_without_copies"]
    assert list(report.evaluations) == names
    assert report.evaluations["ferplus"].labels == EMOTIONS
    own = report.evaluations["fer2013"]
    assert "contempt" not in own.labels and own.metrics["face"].num_samples == 28
    assert own.tta is not None and own.tta["face"].num_samples == 28
    assert any("contempt is left out" in note for note in report.notes)
    majority = make_lists(with_copies(), labels="ferplus").table
    expected = majority.loc[majority["split"] == "test", "ferplus"].notna().sum()
    assert report.evaluations["ferplus"].metrics["face"].num_samples == expected


def test_the_store_is_kept_for_the_next_list(root: Path, tmp_path: Path) -> None:
    evaluate_fer2013(root / "run7", root / "data", tmp_path, split="privatetest")
    before = {path.name for path in (tmp_path / "store" / "shards").iterdir()}
    report = evaluate_fer2013(root / "run7", root / "data", tmp_path, split="privatetest")
    assert {path.name for path in (tmp_path / "store" / "shards").iterdir()} == before
    assert report.evaluations["fer2013"].metrics["face"].num_samples == 14
    report = evaluate_fer2013(root / "run7", root / "data", tmp_path, split="val")
    assert any("best epoch" in note for note in report.notes)


def test_what_cannot_be_measured_is_told(root: Path, tmp_path: Path) -> None:
    loaded = load_checkpoint(root / "run7")
    no_copies = with_copies().of("publictest")
    write_csv(no_copies, tmp_path / "public")
    report = evaluate_fer2013(loaded, tmp_path / "public", tmp_path / "out")
    assert any("Copies of training pictures are not known" in note for note in report.notes)
    with pytest.raises(EvaluationError, match="holds no picture of the list 'val'"):
        evaluate_fer2013(loaded, tmp_path / "public", tmp_path / "out", split="val")
    strange = replace(loaded, contract={**loaded.contract, "alignment": "own/1"})
    with pytest.raises(EvaluationError, match="takes faces aligned as 'own/1'"):
        evaluate_fer2013(strange, root / "data", tmp_path / "strange")
    with pytest.raises(EvaluationError, match="has the classes fear; FER2013 measures"):
        evaluate_fer2013(replace(loaded, labels=("fear",)), root / "data", tmp_path / "few")
    training = with_copies().of("training")
    leaked = replace(training, usage=np.ones_like(training.usage))
    write_csv(leaked, tmp_path / "leaked")
    with pytest.raises(EvaluationError, match="with 208 pictures of 'publictest'"):
        evaluate_fer2013(loaded, tmp_path / "leaked", tmp_path / "leak")


@pytest.mark.parametrize("has_training", [True, False])
def test_copies_in_the_list_that_training_did_not_know(
    root: Path, tmp_path: Path, *, has_training: bool
) -> None:
    """Training leaves out the copies of one test list; those of the other are measured apart."""
    data = with_copies() if has_training else with_copies().of("privatetest")
    write_csv(data, tmp_path / "data")
    report = evaluate_fer2013(root / "run7", tmp_path / "data", tmp_path / "out", split="privatetest")
    whole, without = report.evaluations.values()
    assert (whole.metrics["face"].num_samples, without.metrics["face"].num_samples) == (14, 13)
    assert any("validated with 1 of these pictures" in note for note in report.notes)
    assert any("are not known" in note for note in report.notes) == (not has_training)


def test_a_model_of_the_official_lists_has_seen_the_copies(root: Path, tmp_path: Path) -> None:
    """There a picture and its copy in Training are two videos: the model knows the other one's key."""
    loaded = load_checkpoint(root / "run7")
    lists = make_lists(with_copies(), official_lists=True).table
    keys = {side: lists.loc[lists["split"] == side, "key"].tolist() for side in ("train", "val")}
    official = replace(loaded, used={**loaded.used, "keys": keys})
    report = evaluate_fer2013(official, root / "data", tmp_path)
    whole, without = report.evaluations.values()
    assert (whole.metrics["face"].num_samples, without.metrics["face"].num_samples) == (28, 26)
    assert any("with 2 of these pictures" in note for note in report.notes)


def test_a_test_list_that_was_trained_on_is_refused(root: Path, tmp_path: Path) -> None:
    """Where the Training list tells that they are no copies, one such picture is enough."""
    loaded = load_checkpoint(root / "run7")
    lists = make_lists(with_copies(), test="privatetest").table
    key = lists.loc[(lists["split"] == "test") & ~lists["copy"], "key"].iloc[0]
    keys = {**loaded.used["keys"], "train": [*loaded.used["keys"]["train"], key]}
    leaked = replace(loaded, used={**loaded.used, "keys": keys})
    with pytest.raises(EvaluationError, match="with 2 pictures of 'privatetest'"):
        evaluate_fer2013(leaked, root / "data", tmp_path, split="privatetest")


def test_the_built_in_model_on_a_list_with_copies_of_what_it_learned(
    shared_fer2013: Path, shared_weights: Path, tmp_path: Path
) -> None:
    """As PrivateTest has them, of which nothing was left out of Training."""
    new, learned = (read_fer2013(shared_fer2013 / f"fer2013_mini_{name}.npz") for name in ("test", "train"))
    known = {*load_model("builtin", device="cpu").used["keys"]["train"]}
    copies = [place for place, image in enumerate(learned.images) if pixel_key(image) in known][:3]
    images = np.concatenate([learned.images[copies], new.images[:9]])
    labels = np.concatenate([learned.label[copies], new.label[:9]])
    usage = np.full(12, USAGES.index("privatetest"))
    write_csv(replace(new, images=images, label=labels, usage=usage, votes=None), tmp_path / "data")
    report = evaluate_fer2013(
        "builtin", tmp_path / "data", tmp_path / "out", split="privatetest", weights_dir=shared_weights
    )
    whole, without = report.evaluations.values()
    assert (whole.metrics["face"].num_samples, without.metrics["face"].num_samples) == (12, 9)
    assert any("with 3 of these pictures" in note for note in report.notes)
    assert any("aligned by YuNet" in note and "in 0 of 12 pictures" in note for note in report.notes)


def test_a_class_is_left_out() -> None:
    table = pd.DataFrame(
        {
            "face_p_neutral": [0.2, 0.0], "face_p_fear": [0.2, 0.0], "face_p_contempt": [0.6, 1.0],
            "face_label": ["contempt", "contempt"], "name": ["a", "b"],
        }
    )  # fmt: skip
    changed, kept = without_class(table, ("neutral", "fear", "contempt"), ("face",), "contempt")
    assert kept == ["neutral", "fear"] and "face_p_contempt" not in changed
    assert changed["face_p_fear"].tolist() == [0.5, 0.5] and changed["face_label"].tolist() == ["neutral"] * 2


def test_the_command(root: Path, tmp_path: Path) -> None:
    arguments = ["evaluate", "--model", str(root / "run8"), "--out", str(tmp_path)]
    (tmp_path / "set").mkdir()
    shutil.copy(root / "data" / "fer2013.csv", tmp_path / "set")
    votes = shutil.copy(root / "data" / "fer2013new.csv", tmp_path / "votes.csv")
    elsewhere = ["--fer2013", str(tmp_path / "set"), "--votes", str(votes)]
    result = CliRunner().invoke(app, [*arguments, *elsewhere, "--split", "publictest"])
    assert result.exit_code == 0, result.output
    assert "majority of FER+ votes" in result.output and "FER2013's labels" in result.output
    assert f"report: {tmp_path / 'ferplus' / 'report.html'}" in result.output
    for wrong in ([], ["--fer2013", "x", "--store", "y"], ["--fer2013", "x", "--by", "age"],
                  ["--store", "y", "--votes", "z"]):  # fmt: skip
        assert CliRunner().invoke(app, [*arguments, *wrong]).exit_code == 2
    result = CliRunner().invoke(app, [*arguments, "--fer2013", str(root / "data"), "--split", "test"])
    assert result.exit_code == 2
