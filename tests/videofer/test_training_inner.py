"""Inner folds: everybody of the run is predicted once, by a model that has not seen them."""

from __future__ import annotations

import json
import multiprocessing
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from training_store import CLASSES, make_training_store, small_recipe

from videofer.data.examples import Example
from videofer.evaluation.calibration import Calibration, LinearLayer
from videofer.recipe import Recipe
from videofer.training.inner import InnerFold, check_inner_folds, inner_folds, out_of_fold
from videofer.training.job import Job
from videofer.training.place import Place
from videofer.training.progress import Event, silent
from videofer.training.run import train
from videofer.training.split import Split, TrainingError, prepare

pytestmark = pytest.mark.usefixtures("one_thread")

PLACE = Place(device=torch.device("cpu"))


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Subjects s0 to s4, s4 in the test split."""
    path = tmp_path_factory.mktemp("inner") / "store"
    make_training_store(path)
    return path


def inner_recipe(num_folds: int) -> Recipe:
    return small_recipe(epochs=1, inner_folds=num_folds, val_subjects=["s3"])


def job_of(store: Path, out: Path, num_folds: int = 3) -> Job:
    recipe = inner_recipe(num_folds)
    return Job(recipe=recipe, store=store, out=out, prepared=prepare(recipe, store, None), resume=False)


def example(row: int, subject: str, label: int, key: str) -> Example:
    target = np.eye(3, dtype=np.float32)[label]
    return Example(
        key=key, person_id=0, t_start=0.0, t_end=1.0, target=target, label=label, subject=subject, row=row
    )


def sides(fold: InnerFold, name: str) -> tuple[set[str], set[str], set[str]]:
    train, val, held = (
        {getattr(e, name) for e in part} for part in (fold.split.train, fold.split.val, fold.held)
    )
    return train, val, held


@given(
    rows=st.lists(
        st.tuples(st.integers(0, 9), st.integers(0, 300), st.integers(0, 2)), min_size=2, max_size=50
    ),
    num_val=st.integers(0, 5),
    num_folds=st.integers(2, 5),
)
def test_everybody_is_held_out_once_and_never_trained_or_validated_with(
    rows: list[tuple[int, int, int]], num_val: int, num_folds: int
) -> None:
    examples = [example(i, f"s{s}", label, f"v{v}") for i, (s, v, label) in enumerate(rows)]
    split = Split(train=examples[num_val:], val=examples[:num_val])
    try:
        folds = inner_folds(split, inner_recipe(num_folds))
    except TrainingError as error:
        assert "inner folds need as many" in str(error) or (num_folds == 2 and "take 3" in str(error))
        return
    assert [fold.number for fold in folds] == list(range(1, num_folds + 1))
    assert sorted(e.row for fold in folds for e in fold.held) == list(range(len(rows)))
    for fold in folds:
        assert len(fold.held) + len(fold.split.train) + len(fold.split.val) == len(rows)
        for name in ("subject", "key"):
            train, val, held = sides(fold, name)
            assert train and val and held and not (train & val or train & held or val & held)
    again = inner_folds(Split(train=examples, val=[]), inner_recipe(num_folds))
    assert [[e.row for e in fold.held] for fold in again] == [[e.row for e in fold.held] for fold in folds]


@pytest.mark.parametrize(("num_folds", "num_subjects"), [(5, 4), (2, 2)])
def test_too_few_subjects_are_refused_before_anything_is_trained(
    tmp_path: Path, num_folds: int, num_subjects: int
) -> None:
    make_training_store(tmp_path / "s", num_subjects=num_subjects + 1)
    with pytest.raises(
        TrainingError, match=rf"inner_folds is {num_folds}, but there are only {num_subjects} "
    ):
        recipe = small_recipe(epochs=1, inner_folds=num_folds, val_subjects=["s1"])
        train(recipe, tmp_path / "s", tmp_path / "run", progress=silent)
    assert not (tmp_path / "run" / "state" / "last.pt").exists()
    split = prepare(small_recipe(val_subjects=["s1"]), tmp_path / "s", None).split
    check_inner_folds(split, small_recipe())  # none wanted


def test_predictions_cover_the_run_and_a_finished_fold_is_not_trained_again(
    store: Path, tmp_path: Path
) -> None:
    events: list[Event] = []
    job = job_of(store, tmp_path)
    made = out_of_fold(job, PLACE, events.append)
    assert [event.part for event in events if event.ends_epoch] == [
        f"inner fold {number} of 3" for number in (1, 2, 3)
    ]
    assert [e.subject for e in made.examples] == [e.subject for e in sorted(
        [*job.split.train, *job.split.val], key=lambda e: e.row)]  # fmt: skip
    assert {e.subject for e in made.examples} == {"s0", "s1", "s2", "s3"} and made.num_subjects == 4
    assert np.bincount(made.windows.example).tolist() == [2] * 24  # eval_windows each
    for number in (1, 2, 3):
        subjects = {made.examples[place].subject for place in made.windows.example[made.fold == number]}
        (fold,) = (fold for fold in inner_folds(job.split, job.recipe) if fold.number == number)
        assert subjects == {e.subject for e in fold.held}

    (tmp_path / "state" / "inner_2" / "out_of_fold.safetensors").unlink()
    events.clear()
    again = out_of_fold(job, PLACE, events.append)
    assert {event.part for event in events} == {"inner fold 2 of 3"}
    for name, values in made.windows.outputs.items():
        assert torch.equal(values, again.windows.outputs[name]), name
    np.testing.assert_array_equal(made.windows.example, again.windows.example)

    other = replace(job, recipe=small_recipe(epochs=2, inner_folds=3, val_subjects=["s3"]))
    with pytest.raises(TrainingError, match="made with another recipe or other labels"):
        out_of_fold(other, PLACE, silent)
    (tmp_path / "state" / "inner_1" / "out_of_fold.safetensors").write_bytes(b"half")
    with pytest.raises(TrainingError, match="cannot be read"):
        out_of_fold(job, PLACE, silent)


def test_the_held_out_subject_s_labels_reach_no_prediction_of_them(store: Path, tmp_path: Path) -> None:
    """The model that predicts a subject comes out the same whatever that subject's labels are."""
    job = job_of(store, tmp_path / "a")
    made = out_of_fold(job, PLACE, silent)
    (fold,) = (f for f in inner_folds(job.split, job.recipe) if {e.subject for e in f.held} >= {"s0"})

    def lie(examples: list[Example]) -> list[Example]:
        held = {e.row for e in fold.held}
        return [
            replace(e, label=(e.label + 1) % 3, target=np.roll(e.target, 1)) if e.row in held else e
            for e in examples
        ]

    split = Split(train=lie(job.split.train), val=lie(job.split.val))
    lying = replace(job, out=tmp_path / "b", prepared=replace(job.prepared, split=split))
    assert inner_folds(split, job.recipe)[fold.number - 1].split.fingerprint() == fold.split.fingerprint()
    again = out_of_fold(lying, PLACE, silent)
    own = torch.from_numpy(made.fold == fold.number)
    assert torch.equal(made.windows.outputs["fused"][own], again.windows.outputs["fused"][own])
    assert not torch.equal(made.windows.outputs["fused"][~own], again.windows.outputs["fused"][~own])


def test_a_run_is_calibrated_on_them_and_says_so(store: Path, tmp_path: Path) -> None:
    recipe = small_recipe(epochs=2, inner_folds=2)
    fusion = replace(recipe.model.fusion, kind="linear")  # type: ignore[type-var]
    recipe = recipe.model_copy(update={"model": recipe.model.model_copy(update={"fusion": fusion})})
    train(recipe, store, tmp_path / "run", progress=silent)
    calibration = json.loads((tmp_path / "run" / "calibration.json").read_text())
    metrics = json.loads((tmp_path / "run" / "metrics.json").read_text())
    assert calibration["fitted_on"] | {"note": ""} == {
        "source": "out_of_fold", "inner_folds": 2, "num_intervals": 24, "num_subjects": 4, "note": ""
    }  # fmt: skip
    assert calibration["cross_fitted"] is True
    layer = Calibration.from_json(calibration).fusion
    assert isinstance(layer, LinearLayer) and len(layer.bias) == len(CLASSES)
    assert metrics["out_of_fold"]["fused"]["num_samples"] == 24
    assert metrics["validation"]["fused"]["num_samples"] == 6
    assert metrics["validation_note"] == "the best epoch was chosen on these subjects"
    card = (tmp_path / "run" / "README.md").read_text()
    assert "out-of-fold predictions for 24 training and validation intervals of 4 subjects" in card
    assert "of 2 further models" in card and "perceived expression" in card
    assert (tmp_path / "run" / "reliability.png").stat().st_size > 1000
    assert not list((tmp_path / "run" / "state").glob("inner_*/state"))


def test_without_inner_folds_the_run_says_that_it_is_calibrated_on_validation(
    store: Path, tmp_path: Path
) -> None:
    train(small_recipe(epochs=1), store, tmp_path / "run", progress=silent)
    calibration = json.loads((tmp_path / "run" / "calibration.json").read_text())
    metrics = json.loads((tmp_path / "run" / "metrics.json").read_text())
    assert calibration["fitted_on"]["source"] == "validation" and calibration["cross_fitted"] is False
    assert "out_of_fold" not in metrics
    assert metrics["validation_note"] == "the best epoch and the calibration were chosen on these subjects"
    card = (tmp_path / "run" / "README.md").read_text()
    assert "6 validation intervals of 1 subject," in card and "optimistic" in card
    assert "further models" not in card


def _predict_together(rank: int, job: Job, box: Path) -> None:
    """One of two processes; each keeps what it got."""
    torch.set_num_threads(1)
    torch.distributed.init_process_group(
        "gloo", init_method=f"file://{box / 'meet'}", rank=rank, world_size=2
    )
    place = Place(rank=rank, num_processes=2, device=torch.device("cpu"))
    for turn in ("first", "kept"):
        made = out_of_fold(job, place, silent)
        np.savez(box / f"{turn}_{rank}.npz", logp=made.windows.outputs["fused"], example=made.windows.example)
    torch.distributed.destroy_process_group()


def test_two_processes_train_the_inner_folds_together(store: Path, tmp_path: Path) -> None:
    alone = out_of_fold(replace(job_of(store, tmp_path / "alone"), threads=1), PLACE, silent)
    job = replace(job_of(store, tmp_path / "together"), threads=1)
    context = multiprocessing.get_context("spawn")
    processes = [context.Process(target=_predict_together, args=(rank, job, tmp_path)) for rank in (0, 1)]
    for process in processes:
        process.start()
    for process in processes:
        process.join()
    assert [process.exitcode for process in processes] == [0, 0]
    for name in ("first_0", "first_1", "kept_0", "kept_1"):
        saved = np.load(tmp_path / f"{name}.npz")
        np.testing.assert_allclose(saved["logp"], alone.windows.outputs["fused"], rtol=2e-3, atol=1e-3)
        np.testing.assert_array_equal(saved["example"], alone.windows.example)
