"""Several classes at once, with dimensions, from training to timeline; and what such models refuse."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from typer.testing import CliRunner

from cache.reader import StoreReader
from preprocessing.config_file import ConfigError, validate
from tests.videofer.rated_store import DIMENSIONS, make_rated_store, rated_recipe
from tests.videofer.training_store import CLASSES
from videofer.checkpoint import CheckpointError, LoadedModel, load_checkpoint
from videofer.cli import app
from videofer.ensembles.recipe import mismatch
from videofer.evaluation.compare import compare
from videofer.evaluation.report import EvalReport, evaluate
from videofer.evaluation.table import EvaluationError
from videofer.experiments.crossval import crossval
from videofer.export.run import ExportError, export_model
from videofer.formats.write import EXPORTS, write_exports
from videofer.recipe import Recipe
from videofer.report.write import write_report
from videofer.timeline.make import make_timeline
from videofer.timeline.settings import Smoothing, TimelineSettings
from videofer.timeline.timeline import Timeline, TimelineError
from videofer.training.progress import silent
from videofer.training.run import train
from videofer.training.split import TrainingError


@dataclass(frozen=True)
class Made:
    """A store, a model that was trained on it, and what was found of it."""

    store: Path
    run: Path
    model: LoadedModel
    report: EvalReport


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Made:
    folder = tmp_path_factory.mktemp("several")
    make_rated_store(folder / "store", num_subjects=14, num_test=10, takes=1)
    recipe = rated_recipe(epochs=12, monitor="val_loss", batch_size=9)
    train(recipe, folder / "store", folder / "run", threads=1, progress=silent)
    report = evaluate(folder / "run", folder / "store", folder / "evaluation")
    return Made(folder / "store", folder / "run", load_checkpoint(folder / "run"), report)


@pytest.fixture(scope="module")
def timeline(made: Made) -> Timeline:
    reader = StoreReader(made.store)
    return make_timeline(made.model, reader, reader.videos()[-1].key)


def test_it_learns(made: Made) -> None:
    answer = made.report.metrics["fused"]
    assert answer.to_json()["targets"] == "multi" and answer.to_json()["mra"] > 0.6
    assert made.report.dimensions["fused"].mean("ccc") > 0.3
    score = made.report.scores["fused"]
    assert score.interval is not None and score.interval[0] <= score.value <= score.interval[1]


def test_the_run_says_what_it_is(made: Made) -> None:
    calibration = json.loads((made.run / "calibration.json").read_text())
    assert calibration["targets"] == "multi" and calibration["fusion"] is None
    assert made.model.thresholds == tuple(calibration["thresholds"]) and len(calibration["thresholds"]) == 3
    metrics = json.loads((made.run / "metrics.json").read_text())
    assert set(metrics["validation"]["fused"]["dimensions"]["ccc"]) == set(DIMENSIONS)
    assert {"val/ccc", "train/fused_dimensions"} <= set(metrics["history"][0])
    card = (made.run / "README.md").read_text()
    assert "mAP" in card and "Several classes may hold at once" in card and "| dominance |" in card


def test_predictions_hold_truth_answers_and_dimensions(made: Made) -> None:
    table = made.report.predictions
    thresholds = np.array(made.model.thresholds)
    probs = table[[f"fused_p_{name}" for name in CLASSES]].to_numpy()
    says = table[[f"fused_is_{name}" for name in CLASSES]].to_numpy()
    assert (says == (probs >= thresholds)).all() and not np.allclose(probs.sum(axis=1), 1)
    first = table.iloc[0]
    expected = " + ".join(name for name, one in zip(CLASSES, says[0], strict=True) if one)
    assert first["fused_label"] == expected
    happy = table[table["name"].str.contains("happiness")].iloc[0]
    assert happy["label"] == "neutral + happiness" and happy["label_p_happiness"] == pytest.approx(0.8)
    np.testing.assert_allclose(table["label_valence"], (table["valence"].astype(float) - 5) / 4, atol=1e-6)
    assert table["fused_valence"].between(-1, 1).all() and table["body_dominance"].notna().all()


def test_the_command_prints_mean_precision_and_the_score(made: Made, tmp_path: Path) -> None:
    arguments = [
        "evaluate",
        "--model",
        str(made.run),
        "--store",
        str(made.store),
        "--out",
        str(tmp_path / "e"),
    ]
    result = CliRunner().invoke(app, arguments, env={"COLUMNS": "160"})
    assert result.exit_code == 0, result.output
    for word in ("mAP", "mRA", "CCC", "ERS, the score of BoLD, fused: "):
        assert word in result.output


def test_all_folds_together(made: Made, tmp_path: Path) -> None:
    recipe = rated_recipe(epochs=1, monitor="val_loss", val_subjects=None)
    report = crossval(recipe, made.store, tmp_path / "folds", num_folds=2, progress=lambda event: None)
    assert not report.failed and "mAP" in report.spread() and "CCC" in report.spread()
    assert {"fused_map", "fused_mra", "fused_ccc"} <= set(pd.read_csv(tmp_path / "folds/folds.csv"))
    metrics = json.loads((tmp_path / "folds" / "metrics.json").read_text())
    assert metrics["targets"] == "multi" and metrics["num_folds"] == 2


def test_a_timeline_says_several_classes_and_dimensions(timeline: Timeline, tmp_path: Path) -> None:
    rows = timeline.rows
    assert list(rows.columns[-3:]) == ["valence", "arousal", "dominance"]
    assert rows[["valence", "arousal", "dominance"]].abs().max().max() <= 1
    p = rows[[f"p_{name}" for name in CLASSES]].to_numpy()
    assert not np.allclose(p.sum(axis=1), 1)
    thresholds = np.array(timeline.model.calibration["thresholds"])
    for row, values in zip(rows.to_dict("records"), p, strict=True):
        reached = [name for name, v, t in zip(CLASSES, values, thresholds, strict=True) if v >= t]
        assert row["label"] in reached if reached else row["label"] == "uncertain"
    timeline.save(tmp_path / "one.parquet")
    pd.testing.assert_frame_equal(Timeline.load(tmp_path / "one.parquet").rows, rows)


def test_segments_are_where_a_class_is_above_its_threshold(timeline: Timeline) -> None:
    thresholds = np.array(timeline.model.calibration["thresholds"])
    rows = timeline.rows_of(0)
    segments = timeline.segments()
    for place, name in enumerate(CLASSES):
        above = bool((rows[f"p_{name}"] >= thresholds[place]).all())
        own = segments[segments["label"] == name]
        if above:  # for all of its second
            assert own[["onset", "offset"]].to_numpy().tolist() == [[0.0, pytest.approx(1.0)]]
        if bool((rows[f"p_{name}"] < thresholds[place]).all()):
            assert own.empty


def test_other_rows_keep_what_the_model_told(timeline: Timeline) -> None:
    finer = timeline.resample(0.05)
    assert finer.rows["dominance"].notna().all()
    assert finer.rows["dominance"].iloc[0] == pytest.approx(timeline.rows["dominance"].iloc[0])
    assert set(finer.segments()["label"]) == set(timeline.segments()["label"])
    assert timeline.slice(0.0, 0.5).rows["dominance"].notna().all()


@pytest.mark.parametrize("name", EXPORTS)
def test_every_format_is_written(timeline: Timeline, name: str, tmp_path: Path) -> None:
    assert all(path.stat().st_size for path in write_exports(timeline, tmp_path, "one", [name]))


def test_the_report_is_written(timeline: Timeline, tmp_path: Path) -> None:
    (page,) = write_report(timeline, tmp_path / "one.html")
    assert "several may hold at once" in page.read_text() and "Stacked" not in page.read_text()


def test_what_knows_one_class_only_refuses_the_model(made: Made, tmp_path: Path) -> None:
    with pytest.raises(ExportError, match=r"has data\.targets multi, which the exported graphs do not give"):
        export_model(made.run, tmp_path / "onnx", format="onnx")
    with pytest.raises(
        EvaluationError, match=r"is of data\.targets multi: only evaluations of targets single"
    ):
        compare(made.report.path, made.report.path)
    assert "an ensemble answers with one class" in mismatch([("one", rated_recipe())], "mean")
    with pytest.raises(EvaluationError, match=r"test-time augmentation is measured for data\.targets single"):
        evaluate(made.model, made.store, tmp_path / "e", tta="mirror")
    with pytest.raises(EvaluationError, match=r"figures by groups are of data\.targets single"):
        evaluate(made.model, made.store, tmp_path / "e", by=["subject"])


def test_viterbi_is_refused(made: Made) -> None:
    reader = StoreReader(made.store)
    settings = TimelineSettings(smoothing=Smoothing(method="viterbi"))
    with pytest.raises(TimelineError, match="viterbi follows one class at a time"):
        make_timeline(made.model, reader, reader.videos()[0].key, settings)


@pytest.mark.parametrize("method", ["none", "kernel", "hmm"])
def test_each_class_is_smoothed_by_itself(made: Made, method: Any) -> None:
    reader = StoreReader(made.store)
    settings = TimelineSettings(smoothing=Smoothing(method=method))
    rows = make_timeline(made.model, reader, reader.videos()[0].key, settings).rows
    p = rows[[f"p_{name}" for name in CLASSES]].to_numpy()
    assert ((p >= 0) & (p <= 1)).all()
    if method == "none":
        np.testing.assert_allclose(p, rows[[f"fused_p_{name}" for name in CLASSES]].to_numpy(), atol=1e-6)


@pytest.mark.parametrize(
    ("training", "message"),
    [
        ({"class_weights": "balanced"}, "training.class_weights is for data.targets single"),
        ({"balanced_sampling": True}, "training.balanced_sampling is for data.targets single"),
        ({"augment": {"mix": 0.5, "mixup": 0.4}}, "set model.body|augment.mix blends faces"),
    ],
)
def test_what_needs_one_class_is_refused(
    made: Made, training: dict[str, Any], message: str, tmp_path: Path
) -> None:
    with pytest.raises(TrainingError, match=message):
        train(rated_recipe(**training), made.store, tmp_path / "run", progress=silent)


def test_a_dimension_without_ratings_is_named(made: Made, tmp_path: Path) -> None:
    table = pd.DataFrame(StoreReader(made.store).store.manifest())
    table.assign(arousal=None).to_csv(tmp_path / "labels.csv", index=False)
    with pytest.raises(
        TrainingError, match=r"data\.dimensions has 'arousal', but no training interval has one"
    ):
        train(rated_recipe(), made.store, tmp_path / "run", manifest=tmp_path / "labels.csv", progress=silent)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"targets": "several"}, "data.targets"),
        ({"dimensions": ["valence", "valence"]}, "a dimension stands twice"),
        ({"dimensions": ["pleasure"]}, "data.dimensions"),
    ],
)
def test_a_wrong_recipe_is_named(change: dict[str, Any], message: str) -> None:
    values = rated_recipe().model_dump()
    with pytest.raises(ConfigError, match=message):
        validate({**values, "data": {**values["data"], **change}}, Recipe, source="recipe")


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (
            {"targets": "single", "thresholds": None},
            "calibration.json is of targets single, recipe.yaml of multi",
        ),
        ({"thresholds": [0.5]}, "calibration.json has 1 thresholds for 3 classes"),
        ({"thresholds": [0.5, 0.0, 0.5]}, "thresholds must be in"),
    ],
)
def test_a_calibration_of_another_model_is_refused(
    made: Made, change: dict[str, Any], message: str, tmp_path: Path
) -> None:
    for file in made.run.iterdir():
        if file.is_file():
            (tmp_path / file.name).write_bytes(file.read_bytes())
    path = tmp_path / "calibration.json"
    path.write_text(json.dumps({**json.loads(path.read_text()), **change}))
    with pytest.raises(CheckpointError, match=message):
        load_checkpoint(tmp_path)
