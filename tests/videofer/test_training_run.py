"""Training as a user meets it: it learns what is there and only that, and says what is wrong."""

from __future__ import annotations

import json
import logging
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, save_file
from torchvision.models import resnet18
from training_store import CLASSES, make_training_store, small_recipe

from videofer.checkpoint import load_checkpoint
from videofer.evaluation.report import evaluate
from videofer.training.progress import Event, silent
from videofer.training.run import train
from videofer.training.split import TrainingError

pytestmark = pytest.mark.usefixtures("one_thread")


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("training") / "store"
    make_training_store(path)
    return path


def test_a_handful_is_learned_and_the_run_folder_is_whole(store: Path, tmp_path: Path) -> None:
    events: list[Event] = []
    report = train(small_recipe(epochs=10), store, tmp_path / "run", progress=events.append)
    assert report.val_metrics["fused"]["war"] == 1.0
    assert report.num_epochs == 10 and report.num_train == 18 and report.num_val == 6
    ends = [event for event in events if event.ends_epoch]
    assert [event.epoch for event in ends] == list(range(10))
    assert ends[-1].train_loss < 0.7 * ends[0].train_loss
    names = {path.name for path in (tmp_path / "run").iterdir()}
    files = (
        "model.safetensors recipe.yaml contract.json labels.json calibration.json metrics.json README.md "
        "environment.json history.csv curves.png reliability.png train.log trained_on.json"
    )
    assert names == {*files.split(), "state", "tensorboard"}
    assert "perceived" in (tmp_path / "run" / "README.md").read_text()

    found = evaluate(tmp_path / "run", store, tmp_path / "eval")
    assert found.split == "test" and found.metrics["fused"].war == 1.0
    assert list(found.metrics) == ["face", "body", "fused"]


@pytest.mark.parametrize("part", ["face", "body"])
def test_a_model_of_one_modality(store: Path, tmp_path: Path, part: str) -> None:
    recipe = small_recipe(epochs=8)
    sections = {"face": None, "body": None, "fusion": None, part: getattr(recipe.model, part)}
    recipe = recipe.model_copy(update={"model": recipe.model.model_copy(update=sections)})
    report = train(recipe, store, tmp_path / "run", progress=silent)
    assert set(report.val_metrics) == {part}
    loaded = load_checkpoint(tmp_path / "run")
    batch = {
        "frames": torch.zeros(2, 2, 2, 33, 33, 3, dtype=torch.uint8),
        "clip_mask": torch.tensor([[True, True], [False, False]]),
        "keypoints": torch.rand(2, 16, 17, 3) * 100,
        "body_mask": torch.tensor([True, False]),
    }
    probs = loaded.predict(batch)
    torch.testing.assert_close(probs["fused"][0], probs[part][0])
    torch.testing.assert_close(probs["fused"][1], torch.full((3,), 1 / 3))


def test_mixed_and_degraded_faces_teach_as_well(store: Path, tmp_path: Path) -> None:
    """The classes are colours here, so they are not lost."""
    changes = {"mix": 0.5, "mixup": 0.4, "cutmix": 1.0, "degrade": {"share": 0.5, "tint": 0.05, "grey": 0.0}}
    recipe = small_recipe(epochs=12, augment=changes)
    face = recipe.model.model_copy(update={"body": None, "fusion": None})
    report = train(recipe.model_copy(update={"model": face}), store, tmp_path / "run", progress=silent)
    assert report.val_metrics["face"]["war"] > 0.8


def test_faces_that_are_not_there_are_masked(tmp_path: Path) -> None:
    store = make_training_store(tmp_path / "store", faceless=(0,))
    table = store.manifest()
    assert table is not None
    no_face = table["subject"].eq("s3") & table["name"].str.endswith("_1.mp4")
    store.write_manifest(table[~no_face])  # the validation subject shows no face at all
    report = train(small_recipe(epochs=6), tmp_path / "store", tmp_path / "run", progress=silent)
    assert report.val_metrics["face"]["num_samples"] == 0
    assert report.calibration["fusion"] is None
    assert report.val_metrics["fused"]["num_samples"] == 3


def test_shuffled_labels_end_at_chance(tmp_path: Path) -> None:
    figures = {}
    for shuffled in (False, True):
        path = tmp_path / str(shuffled)
        make_training_store(path / "store", num_subjects=9, num_test=4, takes=4, shuffled=shuffled)
        train(small_recipe(epochs=6), path / "store", path / "run", progress=silent)
        figures[shuffled] = evaluate(path / "run", path / "store", path / "eval").metrics["fused"].uar
    assert figures[False] > 0.9
    assert figures[True] < 1 / len(CLASSES) + 0.2  # 48 samples: three standard errors


def test_a_folder_with_other_things_is_left_alone(store: Path, tmp_path: Path) -> None:
    (tmp_path / "thesis.txt").write_text("mine")
    with pytest.raises(TrainingError, match=r"holds 'thesis\.txt'"):
        train(small_recipe(), store, tmp_path, progress=silent)
    with pytest.raises(TrainingError, match="is a file"):
        train(small_recipe(), store, tmp_path / "thesis.txt", progress=silent)


def test_a_loss_that_is_no_number_stops_the_run(store: Path, tmp_path: Path) -> None:
    recipe = small_recipe(epochs=5, lr=1e18, grad_clip=None, optimizer="sgd")
    what = r"the loss is (nan|inf) in epoch 1, batch \d \(rate \S+; videos s\d/\w+\.mp4, .* and \d more\)"
    with pytest.raises(TrainingError, match=what + r": lower training\.lr.*, or set training\.grad_clip"):
        train(recipe, store, tmp_path / "run", progress=silent)
    log = (tmp_path / "run" / "train.log").read_text()
    assert "ended by TrainingError: the loss is" in log
    assert not (tmp_path / "run" / "state" / "last.pt").exists()


def test_a_gradient_that_is_no_number_stops_the_run(
    store: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def overflow(gradients: list[torch.Tensor]) -> torch.Tensor:
        return torch.tensor(torch.inf)

    monkeypatch.setattr(torch.nn.utils, "get_total_norm", overflow)
    with pytest.raises(
        TrainingError, match=r"the gradient's norm is inf \(the loss \d.* in epoch 1, batch 1"
    ):
        train(small_recipe(), store, tmp_path / "run", progress=silent)


def test_early_stopping(store: Path, tmp_path: Path) -> None:
    recipe = small_recipe(epochs=30, patience=2, lr=1e-12, augment={"flip": 0.0})
    report = train(recipe, store, tmp_path / "run", progress=silent)
    assert report.num_epochs < 30
    assert report.num_epochs - report.kept_epoch == 2


def test_the_last_epoch_is_kept_where_the_recipe_wants_it(store: Path, tmp_path: Path) -> None:
    recipe = small_recipe(epochs=4, keep="last", lr=1e-12, augment={"flip": 0.0})
    events: list[Event] = []
    report = train(recipe, store, tmp_path / "run", progress=events.append)
    assert report.num_epochs == report.kept_epoch == 4
    assert not any(event.is_best for event in events)  # none was chosen: no star
    assert "the calibration was chosen" in (tmp_path / "run" / "metrics.json").read_text()
    last = load_file(tmp_path / "run" / "model.safetensors")
    state = torch.load(tmp_path / "run" / "state" / "last.pt", weights_only=True)
    for name, value in last.items():
        assert torch.equal(value, state["best"][name])
    with pytest.raises(ValueError, match="patience must be null"):
        small_recipe(keep="last", patience=2)


def test_more_samples_than_intervals_are_other_windows(
    store: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    events: list[Event] = []
    recipe = small_recipe(epochs=1, samples_per_epoch=40, class_weights="balanced", balanced_sampling=True)
    with caplog.at_level(logging.INFO):
        train(recipe, store, tmp_path / "run", progress=events.append)
    assert events[-1].samples_in_epoch == 40
    shown = "an epoch shows each interval of a class so often: neutral 2.2, anger 2.2, happiness 2.2"
    assert shown in caplog.text
    train(small_recipe(epochs=1), store, tmp_path / "each_once", progress=events.append)
    assert events[-1].samples_in_epoch == 18


def test_the_last_figure_of_an_epoch_is_of_all_its_batches(store: Path, tmp_path: Path) -> None:
    train(small_recipe(epochs=2, ema_decay=0.5), store, tmp_path / "run", progress=silent)
    history = json.loads((tmp_path / "run" / "metrics.json").read_text())["history"]
    for figures in history:
        terms = [v for k, v in figures.items() if k.startswith(("train/face_", "train/body", "train/fused"))]
        assert figures["train/total"] == pytest.approx(sum(terms), rel=1e-6)
        assert 0 <= figures["train/waiting_share"] < 1 and figures["train/gradient_norm"] > 0
    assert len(terms) == 6


def test_a_trunk_of_pretrained_weights(store: Path, tmp_path: Path) -> None:
    torch.manual_seed(7)
    weights = {k: v for k, v in resnet18().state_dict().items() if not k.startswith("fc.")}
    save_file(weights, tmp_path / "resnet18.safetensors")
    recipe = small_recipe(epochs=1, lr=1e-9, pretrained_trunk=str(tmp_path / "resnet18.safetensors"))
    assert recipe.model.face is not None
    face = replace(recipe.model.face, width=64, trunk="resnet18")
    recipe = recipe.model_copy(update={"model": recipe.model.model_copy(update={"face": face})})
    train(recipe, store, tmp_path / "run", progress=silent)
    trunk = load_checkpoint(tmp_path / "run").model.face.trunk  # type: ignore[union-attr]
    torch.testing.assert_close(trunk.state_dict()["layer4.1.conv2.weight"], weights["layer4.1.conv2.weight"])
    assert recipe.training.pretrained_trunk is not None
    (tmp_path / "resnet18.safetensors").unlink()
    with pytest.raises(Exception, match="there is no file"):
        train(recipe, store, tmp_path / "other", progress=silent)
