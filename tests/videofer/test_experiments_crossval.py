"""Cross-validation: everybody is tested once by a model that has not seen them, and a failure stays alone."""

from __future__ import annotations

import json
import os
import shutil
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import torch
import typer
from sklearn.metrics import accuracy_score, balanced_accuracy_score
from training_store import CLASSES, make_training_store, small_recipe

from cache.store import Store
from preprocessing.config_file import dump_yaml
from videofer.cli.crossval import crossval as crossval_command
from videofer.cli.errors import DONE, SOME_FAILED, USAGE, one_line_errors
from videofer.experiments.claim import CrossvalError
from videofer.experiments.crossval import CrossvalReport, crossval
from videofer.experiments.fold_task import FoldResult, FoldTask
from videofer.experiments.folds import FoldError
from videofer.experiments.parallel import run_tasks
from videofer.experiments.progress import FoldEvent, fold_line, watching
from videofer.recipe import Recipe

pytestmark = pytest.mark.usefixtures("one_thread")


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("crossval") / "store"
    make_training_store(path, num_subjects=6, num_test=0)
    return path


@pytest.fixture(scope="module")
def ray_of_two() -> Iterator[None]:
    import ray

    ray.init(num_cpus=2, include_dashboard=False, log_to_driver=False, logging_level="ERROR")
    yield
    ray.shutdown()


def recipe_of(**training: Any) -> Recipe:
    return small_recipe(**{"epochs": 1, "val_subjects": None, **training})


@pytest.fixture(scope="module")
def done(
    store: Path, tmp_path_factory: pytest.TempPathFactory
) -> tuple[Path, CrossvalReport, list[FoldEvent]]:
    """A cross-validation of three folds and two seeds, in this process. Not to be changed."""
    torch.set_num_threads(1)
    out, events = tmp_path_factory.mktemp("done") / "out", []
    report = crossval(recipe_of(epochs=6), store, out, num_folds=3, seeds=[0, 7], progress=events.append)
    return out, report, events


def test_each_interval_is_tested_once_a_seed_by_a_model_without_its_subject(
    done: tuple[Path, CrossvalReport, list[FoldEvent]], store: Path
) -> None:
    out, report, _ = done
    pooled = pd.read_parquet(out / "predictions.parquet")
    assert pooled.groupby(["seed", "name"]).size().eq(1).all() and len(pooled) == 2 * 36
    table = Store.open(store).manifest()
    assert table is not None and set(pooled["name"]) == set(table["name"])
    for seed in (0, 7):
        for fold in (1, 2, 3):
            path = out / f"seed_{seed}" / f"fold_{fold}"
            used = json.loads((path / "run" / "metrics.json").read_text())["used"]
            tested = pooled[(pooled["seed"] == seed) & (pooled["fold"] == fold)]
            seen = {name: {*used[name]["train"], *used[name]["val"]} for name in ("subjects", "keys")}
            assert used["subjects"]["train"] and used["subjects"]["val"]
            assert not seen["subjects"] & set(tested["subject"]) and not seen["keys"] & set(tested["key"])
            assert seen["subjects"] | set(tested["subject"]) == {f"s{i}" for i in range(6)}
            manifest = pd.read_csv(path / "manifest.csv")
            assert set(manifest.loc[manifest["split"] == "test", "name"]) == set(tested["name"])
    same = pooled.groupby("fold")["subject"].agg(set)
    assert [fold.groups for fold in report.plan.folds] == [tuple(sorted(same[n])) for n in (1, 2, 3)]


def test_pooled_figures_are_those_of_all_predictions(
    done: tuple[Path, CrossvalReport, list[FoldEvent]],
) -> None:
    out, report, events = done
    pooled = pd.read_parquet(out / "predictions.parquet")
    fused = report.metrics["fused"]
    uar = [balanced_accuracy_score(rows["label"], rows["fused_label"]) for _, rows in pooled.groupby("seed")]
    assert fused.uar == pytest.approx(np.mean(uar))
    assert list(report.metrics) == ["face", "body", "fused"] and not report.failed
    assert (out / "report.html").stat().st_size > 10_000
    folds = pd.read_csv(out / "folds.csv")
    assert len(folds) == 6 and folds["num_test"].eq(12).all() and folds["reason"].isna().all()
    row = pooled[(pooled["seed"] == 7) & (pooled["fold"] == 2)]
    saved = folds[(folds["seed"] == 7) & (folds["fold"] == 2)].iloc[0]
    assert saved["fused_war"] == pytest.approx(accuracy_score(row["label"], row["fused_label"]))
    assert fused.war > 0.6  # it has learned what a new subject shows
    assert "over 3 folds: WAR" in report.spread()
    assert [event.num_done for event in events] == [1, 2, 3, 4, 5, 6] and events[-1].eta_seconds == 0


def test_resume_keeps_what_is_finished_and_retries_what_failed(
    done: tuple[Path, CrossvalReport, list[FoldEvent]], store: Path, tmp_path: Path
) -> None:
    out, whole, _ = done
    again = tmp_path / "again"
    shutil.copytree(out, again)
    recipe = recipe_of(epochs=6)
    lost = again / "seed_7" / "fold_2"
    shutil.rmtree(lost / "run")
    (lost / "result.json").unlink()
    (lost / "run").write_text("in the way")
    events: list[FoldEvent] = []

    def go_on() -> CrossvalReport:
        events.clear()
        return crossval(recipe, store, again, num_folds=3, seeds=[0, 7], resume=True, progress=events.append)

    report = go_on()
    (event,) = events
    assert (event.result.seed, event.result.fold) == (7, 2) and "FAILED" in fold_line(event)
    assert "run is a file" in str(event.result.reason) and len(report.failed) == 1
    assert any("the folds 2 are missing" in note for note in report.notes)
    pooled = pd.read_parquet(again / "predictions.parquet")
    assert set(pooled["fold"]) == {1, 3}  # of both seeds: otherwise they would not hold the same intervals

    (lost / "run").unlink()
    begun = again / "seed_0" / "fold_3"  # killed before its end
    (begun / "result.json").unlink()
    (begun / "run" / "model.safetensors").unlink()
    report = go_on()
    assert [(event.result.seed, event.result.fold) for event in events] == [(0, 3), (7, 2)]
    assert all(event.result.reason is None for event in events) and events[-1].num_done == 6
    assert not report.failed
    pd.testing.assert_frame_equal(
        pd.read_parquet(again / "predictions.parquet"), pd.read_parquet(out / "predictions.parquet")
    )
    assert report.metrics["fused"].uar == whole.metrics["fused"].uar
    assert go_on().metrics["fused"].uar == whole.metrics["fused"].uar and not events


@pytest.mark.parametrize(
    ("change", "match"),
    [
        ({"resume": False}, "holds a cross-validation already: go on with it by --resume"),
        ({"recipe": {"epochs": 2}}, r"another recipe \('epochs: 6', now 'epochs: 2'\)"),
        ({"protocol": "loso"}, r"another protocol \('kfold', now 'loso'\)"),
        ({"num_folds": 2}, r"another num_folds \('3', now '2'\)"),
        ({"manifest": True}, "the labels in store or manifest have changed"),
    ],
)
def test_resume_refuses_anything_else(
    done: tuple[Path, CrossvalReport, list[FoldEvent]],
    store: Path,
    tmp_path: Path,
    change: dict[str, Any],
    match: str,
) -> None:
    if "manifest" in change:
        table = Store.open(store).manifest()
        assert table is not None
        table.iloc[1:].to_csv(tmp_path / "other.csv", index=False)
        change["manifest"] = tmp_path / "other.csv"
    recipe = recipe_of(**{"epochs": 6, **change.pop("recipe", {})})
    with pytest.raises(CrossvalError, match=match):
        crossval(recipe, store, done[0], **{"num_folds": 3, "resume": True, **change})


@pytest.mark.parametrize(
    ("training", "arguments", "match"),
    [
        ({"val_subjects": ["s1"]}, {}, "training.val_subjects names subjects of one split"),
        ({}, {"seeds": [0, 0]}, "seeds must be different whole numbers"),
        ({}, {"seeds": []}, "seeds must be"),
        ({}, {"workers": 0}, "workers must be at least 1"),
        ({}, {"by": ["labl"]}, "no column 'labl' to report by; did you mean 'label'"),
        ({}, {"by": ["x"]}, r"no column 'x' to report by \(columns: name, "),
        ({"inner_folds": 5}, {"num_folds": 2}, r"fold 1 cannot be trained: training.inner_folds is 5"),
    ],
)
def test_what_every_fold_would_fail_by_is_refused_at_once(
    store: Path, tmp_path: Path, training: dict[str, Any], arguments: dict[str, Any], match: str
) -> None:
    with pytest.raises(CrossvalError, match=match):
        crossval(recipe_of(**training), store, tmp_path / "out", **arguments)
    assert not (tmp_path / "out").exists()


def test_two_subjects_cannot_be_validated_and_other_folders_are_left_alone(
    store: Path, tmp_path: Path
) -> None:
    make_training_store(tmp_path / "two", num_subjects=2, num_test=0)
    with pytest.raises(CrossvalError, match=r"fold 1 cannot be trained: .*another subject is needed"):
        crossval(recipe_of(), tmp_path / "two", tmp_path / "out", protocol="loso")
    with pytest.raises(CrossvalError, match=r"not empty: it holds 'two'; choose another folder"):
        crossval(recipe_of(), store, tmp_path)
    with pytest.raises(FoldError, match="7 folds are more than the 6 values of 'subject'"):
        crossval(recipe_of(), store, tmp_path / "out", num_folds=7)


def test_a_manifest_of_nobody_in_the_store_says_so(store: Path, tmp_path: Path) -> None:
    (tmp_path / "labels.csv").write_text("name,label\nelsewhere.mp4,anger\n")
    with pytest.raises(CrossvalError, match=r"a sample of .* \(elsewhere\.mp4: not in the store\)"):
        crossval(recipe_of(), store, tmp_path / "out", manifest=tmp_path / "labels.csv")
    assert not (tmp_path / "out").exists()


def test_grouping_by_another_column_through_the_command_line(store: Path, tmp_path: Path) -> None:
    """The official split by content, and a class that no training side has; then all folds that fail."""
    table = Store.open(store).manifest()
    assert table is not None
    table["content"] = [int(name[-5]) for name in table["name"]]  # the take
    table["content"] += 2 * (table["subject"] > "s2")
    table.to_csv(tmp_path / "labels.csv", index=False)
    (tmp_path / "recipe.yaml").write_text(dump_yaml(recipe_of()))
    app = typer.Typer()
    app.command()(crossval_command)

    def run(out: str, *options: str) -> int:
        common = [str(tmp_path / "recipe.yaml"), "--store", str(store), "--out", str(tmp_path / out)]
        return one_line_errors(app, [*common, "--manifest", str(tmp_path / "labels.csv"), *options])

    assert run("a", "--folds", "2", "--group-by", "content") == DONE
    pooled = pd.read_parquet(tmp_path / "a" / "predictions.parquet")
    for fold in (1, 2):
        path = tmp_path / "a" / "seed_0" / f"fold_{fold}"
        used = json.loads((path / "run" / "metrics.json").read_text())["used"]["subjects"]
        tested = set(pooled.loc[pooled["fold"] == fold, "subject"])
        assert tested and not tested & {*used["train"], *used["val"]} and tested < {"0", "1", "2", "3"}
    assert "given_subject" in pooled and set(pooled["given_subject"]) == {f"s{i}" for i in range(6)}

    assert run("b", "--folds", "2", "--group-by", "contents") == USAGE
    assert run("b", "--folds", "2", "--seeds", "0,x") == USAGE
    assert run("b", "--folds", "2", "--protocol", "loso") == USAGE
    hopeless = ["--set", "training.lr=1e18", "--set", "training.optimizer=sgd"]
    assert run("c", "--folds", "2", *hopeless, "--set", "training.grad_clip=null") == USAGE
    assert (tmp_path / "c" / "folds.csv").read_text().count("the loss is") == 2


@pytest.mark.ray
@pytest.mark.filterwarnings("ignore::DeprecationWarning:ray")  # Ray warns about its own context
@pytest.mark.filterwarnings("ignore::FutureWarning:ray")
@pytest.mark.usefixtures("ray_of_two")
def test_folds_side_by_side_are_those_one_after_the_other(
    done: tuple[Path, CrossvalReport, list[FoldEvent]], store: Path, tmp_path: Path
) -> None:
    events: list[FoldEvent] = []
    report = crossval(
        recipe_of(epochs=6), store, tmp_path / "out", num_folds=3, workers=2, progress=events.append
    )
    assert len(events) == 3 and {event.result.fold for event in events} == {1, 2, 3}
    assert [result.fold for result in report.results] == [1, 2, 3]
    pooled = pd.read_parquet(tmp_path / "out" / "predictions.parquet")
    expected = pd.read_parquet(done[0] / "predictions.parquet")
    expected = expected[expected["seed"] == 0].reset_index(drop=True)
    pd.testing.assert_frame_equal(pooled, expected, atol=1e-3)


@pytest.mark.ray
@pytest.mark.filterwarnings("ignore::DeprecationWarning:ray")
@pytest.mark.filterwarnings("ignore::FutureWarning:ray")
@pytest.mark.usefixtures("ray_of_two")
def test_a_task_whose_process_dies_takes_no_other_with_it() -> None:
    def work(task: int, threads: int | None) -> int:
        if task == 1:
            os._exit(1)
        return 10 * task + (threads or 0)

    results = dict(run_tasks(work, [0, 1, 2], workers=2, address=None))
    assert results[0] == 1 and results[2] == 21
    assert str(results[1]).startswith("its process died: ")


def test_lines_for_people() -> None:
    figures = {"face": {"war": None, "uar": None}, "fused": {"war": 0.5, "uar": 0.25}}
    result = FoldResult(seed=1, fold=2, figures=figures, num_epochs=9, seconds=62.0)
    event = FoldEvent(result=result, num_done=3, num_folds=12, folds_per_hour=30.0, eta_seconds=3725)
    shown = " 3/12  seed 1 fold 2  acc 0.500  uar 0.250  9 epochs  1:02  30 folds/h  1:02:05 left"
    assert fold_line(event) == shown
    assert set(CLASSES) == {"neutral", "anger", "happiness"} and SOME_FAILED == 3


def test_the_course_of_folds_that_train_elsewhere_is_told(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    tasks = [
        FoldTask(
            recipe=recipe_of(epochs=4, inner_folds=2),
            store=tmp_path,
            path=tmp_path / f"fold_{number}",
            seed=0,
            fold=number,
        )
        for number in (1, 2)
    ]
    run = tasks[0].path / "run"
    (run / "state" / "inner_1").mkdir(parents=True)
    with watching(tasks, every_seconds=0.05):
        time.sleep(0.2)
        (run / "history.csv").write_text("epoch,loss\n1,0.5\n2,0.4\n")
        (run / "state" / "inner_1" / "history.csv").write_text("epoch,loss\n1,0.5\n")
        time.sleep(0.2)
    lines = capsys.readouterr().err.splitlines()
    assert lines[0].startswith("epoch 0 of 24 in all folds") and lines[0].endswith("no epoch ended yet")
    assert lines[-1].startswith("epoch 3 of 24 in all folds") and " left" in lines[-1]
