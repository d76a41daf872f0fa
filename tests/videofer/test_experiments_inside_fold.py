"""What is fitted before the first step belongs to its fold: nothing of the tested people enters it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import training_store
from safetensors.numpy import load_file
from training_store import make_training_store, small_recipe

from cache.schema import BodyBlock
from preprocessing.config_file import validate
from videofer.checkpoint import WEIGHTS
from videofer.experiments.crossval import crossval
from videofer.recipe import Recipe

pytestmark = pytest.mark.usefixtures("one_thread")

MOVED = "s1"


def recipe() -> Recipe:
    """Bodies by their postures, whose joints are scaled by what training people do."""
    values = small_recipe(epochs=1, val_subjects=None).model_dump()
    body = {"network": "posture", "layout": "coco17", "num_joints": 17, "normalization": "none", "width": 8}
    values["model"] = {"face": None, "body": body, "fusion": None}
    return validate(values, Recipe, source="recipe")


def make_store(path: Path, monkeypatch: pytest.MonkeyPatch, *, moved: bool) -> Path:
    """moved: the bodies of one subject are three times as large and jump about."""
    add_video = training_store._add_video
    rng = np.random.default_rng(9)

    def add(writer: Any, name: str, *others: Any) -> Any:
        def block(**fields: Any) -> BodyBlock:
            if moved and name.startswith(f"{MOVED}/"):
                keypoints = fields["keypoints"].copy()
                keypoints[..., :2] = 3 * keypoints[..., :2] + rng.normal(0, 80, keypoints[..., :2].shape)
                fields["keypoints"] = keypoints
            return BodyBlock(**fields)

        with monkeypatch.context() as patch:
            patch.setattr(training_store, "BodyBlock", block)
            return add_video(writer, name, *others)

    with monkeypatch.context() as patch:
        patch.setattr(training_store, "_add_video", add)
        make_training_store(path, num_subjects=3, num_test=0, takes=1)
    return path


def weights_of(out: Path, fold: int) -> dict[str, np.ndarray]:
    return load_file(out / "seed_0" / f"fold_{fold}" / "run" / WEIGHTS)


def test_a_fold_is_not_changed_by_whom_it_tests(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    outs = {}
    for name, moved in (("as_they_are", False), ("moved", True)):
        store = make_store(tmp_path / f"store_{name}", monkeypatch, moved=moved)
        outs[name] = tmp_path / name
        report = crossval(recipe(), store, outs[name], protocol="loso", progress=lambda _event: None)
        assert not report.failed
    changed = {}
    for fold in report.plan.folds:
        one, other = (weights_of(out, fold.number) for out in outs.values())
        assert sum(name.endswith((".low", ".scale")) for name in one) == 2  # the scaler is among them
        changed[fold.groups[0]] = {name for name in one if not np.array_equal(one[name], other[name])}
    assert not changed.pop(MOVED)  # where that person is tested, nothing that was learned is another
    scalers = [any(name.endswith(".low") for name in names) for names in changed.values()]
    assert any(scalers)  # where that person trains, the scaler is: the test can fail
