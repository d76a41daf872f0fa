"""Evaluation: what is measured, what is saved, and what is refused."""

from __future__ import annotations

import io
import json
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch
from PIL import Image
from rich.console import Console
from sklearn.metrics import balanced_accuracy_score
from training_store import CLASSES, make_training_store, small_recipe

from cache.store import Store
from videofer.checkpoint import CheckpointError, load_checkpoint
from videofer.datasets.manifest import ManifestError
from videofer.evaluation.calibration import IDENTITY
from videofer.evaluation.charts import print_metrics
from videofer.evaluation.predict import WindowOutputs
from videofer.evaluation.report import EvaluationError, evaluate
from videofer.training.progress import silent
from videofer.training.run import train


@pytest.fixture(autouse=True)
def one_thread() -> Iterator[None]:
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


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
    saved = pd.read_parquet(tmp_path / "out" / "predictions.parquet")
    pd.testing.assert_frame_equal(saved, report.predictions)
    assert set(saved["subject"]) == {"s4"} and len(saved) == 6
    for head in ("face", "body", "fused"):
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
    assert values["split"] == "test" and values["heads"]["fused"]["war"] == report.metrics["fused"].war
    console = Console(record=True, width=120, file=io.StringIO())
    print_metrics(report.metrics, "test", console)
    assert "fused" in console.export_text()


def test_predictions_are_those_of_the_model_one_by_one(trained: tuple[Path, Path], tmp_path: Path) -> None:
    store, run = trained
    report = evaluate(run, store, tmp_path / "out")
    again = evaluate(load_checkpoint(run), store, tmp_path / "again")
    pd.testing.assert_frame_equal(report.predictions, again.predictions)


def test_train_and_val_are_measured_only_when_asked_for(trained: tuple[Path, Path], tmp_path: Path) -> None:
    store, run = trained
    assert set(evaluate(run, store, tmp_path / "a", split="val").predictions["subject"]) == {"s3"}
    assert set(evaluate(run, store, tmp_path / "b", split="train").predictions["subject"]) == {
        "s0",
        "s1",
        "s2",
    }
    with pytest.raises(EvaluationError, match="which the model was trained or validated with"):
        evaluate(run, store, tmp_path / "c", split="all")
    with pytest.raises(EvaluationError, match="must be train, val, test or all"):
        evaluate(run, store, tmp_path / "c", split="tset")  # type: ignore[arg-type]


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


def test_windows_without_the_modality_are_left_out_of_the_mean() -> None:
    logp = torch.log(torch.tensor([[0.9, 0.1], [0.1, 0.9], [0.5, 0.5]]))
    has_face, has_body = torch.tensor([True, False, False]), torch.zeros(3, dtype=torch.bool)
    outputs = {"face": logp, "body": logp, "fused": logp, "has_face": has_face, "has_body": has_body}
    intervals = WindowOutputs(outputs, np.array([0, 0, 1])).intervals(IDENTITY, 2)
    np.testing.assert_allclose(intervals.probs["face"], [[0.9, 0.1], [0.5, 0.5]], rtol=1e-6)
    np.testing.assert_array_equal(intervals.seen["fused"], [True, False])
    assert not intervals.seen["body"].any()
