"""Evaluation: what is measured, what is saved, and what is refused."""

from __future__ import annotations

import io
import json
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch
import typer
from evaluation_tables import HEADS, make_table
from PIL import Image
from rich.console import Console
from sklearn.metrics import balanced_accuracy_score, log_loss, precision_recall_fscore_support
from training_store import CLASSES, make_training_store, small_recipe

from cache.store import Store
from videofer.checkpoint import CheckpointError, load_checkpoint
from videofer.cli.errors import DONE
from videofer.cli.evaluate import evaluate as evaluate_command
from videofer.datasets.manifest import ManifestError
from videofer.emotions import BASIC
from videofer.evaluation.calibration import IDENTITY
from videofer.evaluation.charts import print_metrics
from videofer.evaluation.predict import WindowOutputs
from videofer.evaluation.report import evaluate, write_report
from videofer.evaluation.table import EvaluationError, check_table
from videofer.training.progress import silent
from videofer.training.run import train

pytestmark = pytest.mark.usefixtures("one_thread")

FILES = {
    "report.html", "metrics.json", "predictions.parquet", "per_class.csv", "reliability.png",
    "disagreements.csv",
    *(f"confusion_{head}.{kind}" for head in HEADS for kind in ("png", "csv")),
}  # fmt: skip


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """A store and a run on it."""
    path = tmp_path_factory.mktemp("evaluation")
    make_training_store(path / "store")
    torch.set_num_threads(1)
    train(small_recipe(epochs=8), path / "store", path / "run", progress=silent)
    return path / "store", path / "run"


def test_figures_belong_to_the_predictions(trained: tuple[Path, Path], tmp_path: Path) -> None:
    store, run = trained
    report = evaluate(run, store, tmp_path / "out")
    assert {path.name for path in report.path.iterdir()} == FILES
    saved = pd.read_parquet(tmp_path / "out" / "predictions.parquet")
    pd.testing.assert_frame_equal(saved, report.predictions)
    check_table(saved, CLASSES, HEADS, "saved")
    assert set(saved["subject"]) == {"s4"} and len(saved) == 6
    for head in HEADS:
        probs = saved[[f"{head}_p_{name}" for name in CLASSES]].to_numpy()
        np.testing.assert_allclose(probs.sum(axis=1), 1)
        assert (saved[f"{head}_label"] == np.array(CLASSES)[probs.argmax(axis=1)]).all()
        uar = balanced_accuracy_score(saved["label"], saved[f"{head}_label"])
        assert report.metrics[head].uar == pytest.approx(uar)
        with Image.open(tmp_path / "out" / f"confusion_{head}.png") as picture:
            assert min(picture.size) > 300
        table = pd.read_csv(tmp_path / "out" / f"confusion_{head}.csv", index_col="labelled")
        np.testing.assert_array_equal(table.to_numpy(), report.metrics[head].confusion)
    values = json.loads((tmp_path / "out" / "metrics.json").read_text())
    assert values["source"]["split"] == "test" and values["source"]["model"] == str(run)
    assert values["heads"]["fused"]["war"] == report.metrics["fused"].war
    assert any("at least 10 subjects" in line for line in values["not_known"])


def test_predictions_are_those_of_the_model_one_by_one(trained: tuple[Path, Path], tmp_path: Path) -> None:
    store, run = trained
    report = evaluate(run, store, tmp_path / "out")
    again = evaluate(load_checkpoint(run), store, tmp_path / "again")
    pd.testing.assert_frame_equal(report.predictions, again.predictions)


def test_probabilities_before_calibration_and_the_published_mixture_are_kept(
    trained: tuple[Path, Path], tmp_path: Path
) -> None:
    store, run = trained
    loaded = load_checkpoint(run)
    report = evaluate(loaded, store, tmp_path)
    table, heads = report.predictions, json.loads((tmp_path / "metrics.json").read_text())["heads"]
    raw = table[[f"face_raw_p_{name}" for name in CLASSES]].to_numpy()
    calibrated = table[[f"face_p_{name}" for name in CLASSES]].to_numpy()
    np.testing.assert_allclose(raw.sum(axis=1), 1)
    assert loaded.calibration.temperatures["face"] != 1 and not np.allclose(raw, calibrated)
    truth = [CLASSES.index(name) for name in table["label"]]
    assert heads["face"]["nll"] == pytest.approx(log_loss(truth, calibrated, labels=range(3)))
    assert heads["face"]["before_calibration"]["nll"] == pytest.approx(log_loss(truth, raw, labels=range(3)))
    published = json.loads((tmp_path / "metrics.json").read_text())["face_published"]
    assert published["name"] == "published mixture, for comparison"
    assert published["war"] == pytest.approx((table["face_published_label"] == table["label"]).mean())
    assert published["intervals"] is None  # one subject


def test_columns_of_the_manifest_are_kept_and_make_groups(trained: tuple[Path, Path], tmp_path: Path) -> None:
    store, run = trained
    table = Store.open(store).manifest()
    assert table is not None
    table["Gender"] = ["f", "m"] * (len(table) // 2)
    table["face_width"] = range(len(table))  # would look like a column of ours
    table["seed"], table["p_anger"] = 7, None
    table.to_csv(tmp_path / "labels.csv", index=False)
    report = evaluate(run, store, tmp_path / "out", manifest=tmp_path / "labels.csv", by=["manifest_seed"])
    rows = report.predictions
    assert rows["Gender"].tolist() == ["f", "m"] * 3 and set(rows["manifest_seed"]) == {"7"}
    assert rows["manifest_face_width"].tolist() == [str(i) for i in range(24, 30)]
    assert "seed" not in rows and "p_anger" not in rows and "split" not in rows
    groups = json.loads((tmp_path / "out" / "metrics.json").read_text())["heads"]["fused"]["groups"]
    assert [one["column"] for one in groups] == ["Gender", "manifest_seed"]
    with pytest.raises(EvaluationError, match="no column 'age' to take groups from; it has Gender"):
        evaluate(run, store, tmp_path / "no", manifest=tmp_path / "labels.csv", by=["age"])
    assert not (tmp_path / "no").exists()


def test_train_and_val_are_measured_only_when_asked_for(trained: tuple[Path, Path], tmp_path: Path) -> None:
    store, run = trained
    assert set(evaluate(run, store, tmp_path / "a", split="val").predictions["subject"]) == {"s3"}
    assert set(evaluate(run, store, tmp_path / "b", split="train").predictions["subject"]) == {
        "s0",
        "s1",
        "s2",
    }
    assert "was trained on these videos" in json.loads((tmp_path / "b/metrics.json").read_text())["notes"][0]
    with pytest.raises(EvaluationError, match="which the model was trained or validated with"):
        evaluate(run, store, tmp_path / "c", split="all")
    with pytest.raises(EvaluationError, match="must be train, val, test or all"):
        evaluate(run, store, tmp_path / "c", split="tset")


def test_a_manifest_cannot_turn_training_subjects_into_test_subjects(
    trained: tuple[Path, Path], tmp_path: Path
) -> None:
    store, run = trained
    table = Store.open(store).manifest()
    assert table is not None
    table["split"] = "test"
    table.to_csv(tmp_path / "cheat.csv", index=False)
    with pytest.raises(EvaluationError, match="holds video"):
        evaluate(run, store, tmp_path / "out", manifest=tmp_path / "cheat.csv")


def test_another_store_is_measured_whole_and_another_contract_refused(
    trained: tuple[Path, Path], tmp_path: Path
) -> None:
    _, run = trained
    other = make_training_store(tmp_path / "other", num_subjects=1, num_test=0)
    with pytest.raises(EvaluationError, match="holds video"):  # the same content
        evaluate(run, other.path, tmp_path / "out")
    header = json.loads((tmp_path / "other" / "store.json").read_text())
    strange = Store.create(
        tmp_path / "strange", spec={}, contract={**header["contract"], "crop_size": 96}, codec="plain"
    )
    with pytest.raises(CheckpointError, match="crop_size is 96, the model was trained with 48"):
        evaluate(run, strange.path, tmp_path / "out")
    unlabelled = Store.create(tmp_path / "unlabelled", spec={}, contract=header["contract"], codec="plain")
    with pytest.raises(ManifestError, match="has no labels"):
        evaluate(run, unlabelled.path, tmp_path / "out")


def test_the_command_prints_the_figures(
    trained: tuple[Path, Path], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    store, run = trained
    assert evaluate_command(model=str(run), store=store, out=tmp_path, split="val", device="cpu") == DONE
    printed = capsys.readouterr().out
    with pytest.raises(typer.BadParameter, match=r"report\.html is a file, not a folder"):
        evaluate_command(model="nowhere", store=store, out=tmp_path / "report.html")
    assert "'val'" in printed and "fused" in printed and str(tmp_path / "report.html") in printed


def test_windows_without_the_modality_are_left_out_of_the_mean() -> None:
    logp = torch.log(torch.tensor([[0.9, 0.1], [0.1, 0.9], [0.5, 0.5]]))
    has_face, has_body = torch.tensor([True, False, False]), torch.zeros(3, dtype=torch.bool)
    outputs = {"face": logp, "body": logp, "fused": logp, "has_face": has_face, "has_body": has_body}
    windows = WindowOutputs(outputs, np.array([0, 0, 1]))
    intervals = windows.intervals(IDENTITY, 2)
    np.testing.assert_allclose(intervals.probs["face"], [[0.9, 0.1], [0.5, 0.5]], rtol=1e-6)
    np.testing.assert_array_equal(intervals.seen["fused"], [True, False])
    assert not intervals.seen["body"].any()
    np.testing.assert_allclose(windows.mean_score("face", "has_face", 2), [logp[0].numpy(), [0, 0]])


def test_a_pooled_table_is_written_with_folds_and_seeds(tmp_path: Path) -> None:
    table = make_table(num_subjects=20, num_folds=5, num_seeds=2, missing_body=0.2)
    source = {"recipe": "fused", "folds": 5}
    metrics = write_report(table, BASIC, HEADS, tmp_path, title="5 folds", source=source, notes=["a note"])
    assert {path.name for path in tmp_path.iterdir()} == FILES
    values = json.loads((tmp_path / "metrics.json").read_text())
    assert values["num_folds"] == 5 and values["num_seeds"] == 2 and values["source"] == source
    assert values["num_samples"] * 2 == len(table) and values["notes"] == ["a note"]
    folds = values["heads"]["body"]["folds"]
    assert [part["value"] for part in folds["parts"]] == ["0", "1", "2", "3", "4"]
    assert sum(part["num_samples"] for part in folds["parts"]) == metrics["body"].num_samples
    assert values["heads"]["fused"]["seed_sd"]["war"] == pytest.approx(
        values["heads"]["fused"]["seeds"]["sd"]["war"]
    )
    assert values["side_by_side"]["num_samples"] == metrics["body"].num_samples
    per_class = pd.read_csv(tmp_path / "per_class.csv").set_index(["head", "class"])
    one = table[(table["seed"] == 0) & table["body_seen"]]
    assert per_class.loc[("body", "fear"), "support"] == (one["label"] == "fear").sum()
    recalls = [
        precision_recall_fscore_support(
            part["label"], part["body_label"], labels=["fear"], average=None, zero_division=0
        )[1][0]
        for _, part in table[table["body_seen"]].groupby("seed")
    ]
    assert per_class.loc[("body", "fear"), "recall"] == pytest.approx(np.mean(recalls))
    assert (per_class["recall_low"] <= per_class["recall"]).all()
    assert len(pd.read_csv(tmp_path / "disagreements.csv")) == values["side_by_side"]["num_disagreements"]


def test_a_table_without_raw_probabilities_of_one_modality_is_enough(tmp_path: Path) -> None:
    table = make_table(num_subjects=12, heads=("body",))
    table = table.drop(columns=[name for name in table if "_raw_" in name])
    metrics = write_report(table, BASIC, ["body"], tmp_path, title="t", source={})
    values = json.loads((tmp_path / "metrics.json").read_text())
    assert values["heads"]["body"]["before_calibration"] is None and values["side_by_side"] is None
    assert values["face_published"] is None
    for width in (80, 140):
        console = Console(record=True, width=width, file=io.StringIO())
        print_metrics(metrics, "test", console)
        text = console.export_text()
        assert f"{metrics['body'].war:.3f}" in text and "chance 0.143" in text
        assert metrics["body"].intervals is not None
        low, high = (f"{end:.3f}".removeprefix("0") for end in metrics["body"].intervals["ece"])
        assert f"[{low}, {high}]" in text and max(map(len, text.splitlines())) <= width


def test_a_wrong_table_is_refused_before_anything_is_written(tmp_path: Path) -> None:
    table = make_table(num_subjects=2)
    with pytest.raises(EvaluationError, match="t: the prediction table lacks the column 'fused_p_neutral'"):
        write_report(
            table.drop(columns="fused_p_neutral"), BASIC, HEADS, tmp_path / "out", title="t", source={}
        )
    assert not (tmp_path / "out").exists()
