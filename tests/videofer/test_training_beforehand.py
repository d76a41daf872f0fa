"""The vocabulary of descriptors: found in training pictures alone, once, and the same in all processes."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from blobs import pictures_of
from fer2013_set import make_set
from processes import run_together

from cache.errors import UserError
from videofer.checkpoint import load_checkpoint
from videofer.datasets.fer2013_lists import make_lists
from videofer.datasets.fer2013_store import AS_IT_IS, import_fer2013
from videofer.export.check import ExportError
from videofer.export.run import export_model
from videofer.models.face import FaceModel
from videofer.recipe import Recipe, load_recipe
from videofer.training import beforehand
from videofer.training.job import Job
from videofer.training.learner import make_model
from videofer.training.place import Place
from videofer.training.progress import silent
from videofer.training.run import train
from videofer.training.samples import make_samples
from videofer.training.split import TrainingError, prepare

pytestmark = pytest.mark.usefixtures("one_thread")

CONFIGS = Path(__file__).resolve().parents[2] / "configs" / "train"
HERE = Place(device=torch.device("cpu"))


def recipe_of(descriptor: Any = "sift", **training: Any) -> Recipe:
    """The published CNN with few channels, for one epoch."""
    recipe = load_recipe(CONFIGS / "fer2013_cnn_sift.yaml")
    assert recipe.model.face is not None
    face = replace(recipe.model.face, descriptor=descriptor, width=2)
    changes = {"epochs": 1, "batch_size": 16, "loader_workers": 0, **training}
    return recipe.model_copy(
        update={
            "model": recipe.model.model_copy(update={"face": face}),
            "training": recipe.training.model_copy(update=changes),
        }
    )


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_store(tmp_path_factory.mktemp("vocabulary") / "store", 70)


def make_store(path: Path, num_training: int, seed: int = 0) -> Path:
    data = make_set(num_training, 14, 0)
    data = replace(data, images=pictures_of(len(data), seed))
    import_fer2013(data, make_lists(data), path, AS_IT_IS, num_workers=1)
    return path


def job_of(recipe: Recipe, store: Path) -> Job:
    prepared = prepare(recipe, store, None)
    return Job(recipe=recipe, store=store, out=store.parent, prepared=prepared, resume=False)


def words_of(place: Place, job: Job) -> np.ndarray | str:
    """The vocabulary as training sets it, or why not."""
    torch.manual_seed(place.rank)  # random words that differ between processes
    model, samples = make_model(job.recipe), make_samples(job, place)
    try:
        beforehand.fit_beforehand(model, samples.train, place, job.recipe)
    except UserError as error:
        return str(error)
    assert model.face is not None and model.face.vocabulary is not None
    return model.face.vocabulary.numpy()


def test_words_are_of_the_training_pictures_and_the_same_in_all_processes(
    store: Path, tmp_path: Path
) -> None:
    job = job_of(recipe_of(), store)
    words = words_of(HERE, job)
    assert isinstance(words, np.ndarray)

    assert job.recipe.model.face is not None
    torch.manual_seed(1)
    face, train_set = FaceModel(job.recipe.model.face, 7), make_samples(job, HERE).train
    assert len(train_set.examples) == 63 == 70 - len(job.split.val)
    frames = torch.from_numpy(np.concatenate([train_set[place]["frames"] for place in range(63)]))
    order = np.random.default_rng([0, 0x51F7]).permutation(63)
    face.fit_on(frames[torch.from_numpy(order)], seed=0)
    assert face.vocabulary is not None
    np.testing.assert_array_equal(words, face.vocabulary.numpy())

    for others in run_together(2, tmp_path, words_of, job):
        np.testing.assert_array_equal(others, words)


def test_all_processes_refuse_where_there_is_too_little(tmp_path: Path) -> None:
    few = make_store(tmp_path / "store", 14)
    job = job_of(recipe_of(), few)
    first, second = run_together(2, tmp_path, words_of, job)
    assert "the words of SIFT cannot be found: 2048 centres need at least as many points" in first
    assert "the words of SIFT cannot be found" in second
    with pytest.raises(TrainingError, match="2048 centres need at least as many"):
        train(job.recipe, few, tmp_path / "run", progress=silent)


def test_a_run_keeps_its_words_and_cannot_be_exported(
    store: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    recipe = recipe_of(ema_decay=0.9)
    words = words_of(HERE, job_of(recipe, store))
    train(recipe, store, tmp_path / "run", progress=silent)
    loaded = load_checkpoint(tmp_path / "run")
    assert loaded.model.face is not None and loaded.model.face.vocabulary is not None
    np.testing.assert_array_equal(loaded.model.face.vocabulary.numpy(), words)
    with pytest.raises(ExportError, match="descriptor sift, which OpenCV computes"):
        export_model(tmp_path / "run", tmp_path / "onnx", format="onnx")

    def not_again(*arguments: Any) -> None:
        raise AssertionError("words are found once")

    monkeypatch.setattr(FaceModel, "fit_on", not_again)
    train(recipe, store, tmp_path / "run", resume=True, progress=silent)
    begun = recipe_of(init_from=str(tmp_path / "run"))
    others = make_store(tmp_path / "store", 70, seed=1)
    train(begun, others, tmp_path / "second", progress=silent)  # the words come with the trunk
    second = load_checkpoint(tmp_path / "second").model.face
    assert second is not None and second.vocabulary is not None
    np.testing.assert_array_equal(second.vocabulary.numpy(), words)


def test_a_dry_run_finds_words_too(store: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level("INFO", logger="videofer.training"):
        train(recipe_of(), store, tmp_path / "run", dry_run=True, progress=silent)
    assert "2048 words of SIFT found in training pictures" in caplog.text


@pytest.mark.parametrize("descriptor", ["none", "dense_sift"])
def test_other_models_have_no_words(descriptor: Any, store: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    job = job_of(recipe_of(descriptor), store)
    model = make_model(job.recipe)
    before = {name: value.clone() for name, value in model.state_dict().items()}
    beforehand.fit_beforehand(model, make_samples(job, HERE).train, HERE, job.recipe)
    assert all(torch.equal(value, before[name]) for name, value in model.state_dict().items())


def test_at_most_so_many_pictures_are_looked_at(store: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    job = job_of(recipe_of(), store)
    seen: list[int] = []
    monkeypatch.setattr(beforehand, "MAX_PICTURES", 5)
    monkeypatch.setattr(FaceModel, "fit_on", lambda self, frames, seed: seen.append(len(frames)))
    beforehand.fit_beforehand(make_model(job.recipe), make_samples(job, HERE).train, HERE, job.recipe)
    assert seen == [5]
