"""Test-time augmentation: views are what they say, answers are averaged, the report keeps them apart."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch
from ensemble_helpers import IDENTITY, face_recipe, make_ensemble, some_batch
from training_store import CONTRACT, make_training_store, small_recipe

from cache.reader import StoreReader
from preprocessing.skeletons.layouts import mirror_order
from videofer.checkpoint import LoadedModel
from videofer.cli import app
from videofer.cli.errors import DONE, USAGE, one_line_errors
from videofer.data.augmentation import DeviceAugment
from videofer.ensembles.combine import Mean
from videofer.evaluation.report import evaluate
from videofer.evaluation.table import EvaluationError, further_columns, tta_columns
from videofer.evaluation.tta import averaged, changed, make_views, predict_views
from videofer.export import load_model
from videofer.models.model import EmotionModel
from videofer.recipe import AugmentRecipe

pytestmark = pytest.mark.usefixtures("one_thread")

UNUSED: dict[str, dict[str, list[str]]] = {
    "keys": {"train": [], "val": []},
    "subjects": {"train": [], "val": []},
}


@pytest.fixture(scope="module")
def model() -> LoadedModel:
    recipe = small_recipe()
    torch.manual_seed(0)
    return LoadedModel(
        path=Path("small"),
        recipe=recipe,
        labels=tuple(recipe.data.classes),
        contract=CONTRACT,
        calibration=replace(IDENTITY, temperatures={"face": 3.0, "body": 2.0, "fused": 3.0}),
        used=UNUSED,
        device=torch.device("cpu"),
        model=EmotionModel(recipe.emotion_model_config()).eval(),
    )


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("tta") / "store"
    make_training_store(path, num_subjects=3, num_test=3)
    return path


def test_mirroring_is_that_of_training() -> None:
    batch = some_batch(body=True)
    batch["keypoints"][0, 3, 5] = 0.0  # a joint that is not seen
    order = mirror_order("coco17")
    assert order is not None
    still = dict.fromkeys(AugmentRecipe.model_fields, 0.0) | {"flip": 1.0, "degrade": None}
    trained = DeviceAugment(AugmentRecipe.model_validate(still), mirror=order)(
        {**batch, "seed": torch.arange(5)}
    )
    found = changed(batch, down=0, right=0, mirrored=True, mirror=torch.tensor(order))
    shown = found["clip_mask"]
    torch.testing.assert_close(found["frames"][shown] / 255, trained["frames"][shown], atol=2e-3, rtol=0)
    torch.testing.assert_close(found["keypoints"], trained["keypoints"], atol=1e-3, rtol=1e-5)


def test_the_first_view_is_the_batch_and_twice_mirrored_is_once() -> None:
    batch, mirror = some_batch(body=True), torch.tensor(mirror_order("coco17"))
    same = changed(batch, down=0, right=0, mirrored=False, mirror=mirror)
    twice = changed(
        changed(batch, down=0, right=0, mirrored=True, mirror=mirror),
        down=0, right=0, mirrored=True, mirror=mirror,
    )  # fmt: skip
    for name, tensor in batch.items():
        assert torch.equal(same[name], tensor), name
        torch.testing.assert_close(twice[name], tensor)


def test_a_shift_moves_the_face_and_repeats_its_edge() -> None:
    frames = torch.zeros(1, 1, 1, 48, 48, 3, dtype=torch.uint8)
    frames[..., 10, 30, :] = 200
    frames[..., 0, :, 1] = 90  # the upper edge
    moved = changed({"frames": frames}, down=1, right=-1, mirrored=False, mirror=None)["frames"][0, 0, 0]
    assert moved[12, 28].tolist() == [200, 200, 200] and (moved[..., 0] > 0).sum() == 1
    assert (moved[:3, :, 1] == 90).all() and moved[3].sum() == 0
    moved = changed({"frames": frames}, down=1, right=-1, mirrored=True, mirror=None)["frames"][0, 0, 0]
    assert moved[12, 47 - 28].tolist() == [200, 200, 200]


def test_probabilities_are_averaged_over_the_views(model: LoadedModel) -> None:
    batch = some_batch(body=True)
    for views, num in (("mirror", 2), ("shifts", 10)):
        changes = make_views(model, views)  # type: ignore[arg-type]
        assert len(changes) == num
        probs = [model.predict(change(batch)) for change in changes]
        found = averaged(model, changes, batch)
        for head in ("face", "body", "fused"):
            expected = torch.stack([one[head] for one in probs]).mean(dim=0)
            torch.testing.assert_close(found[head].exp(), expected)
        assert not torch.allclose(found["face"].exp(), probs[0]["face"], rtol=1e-3)
        assert found["has_face"].tolist() == batch["clip_mask"].any(dim=1).tolist()


def test_columns_stand_beside_the_others(model: LoadedModel, store: Path, tmp_path: Path) -> None:
    plain = evaluate(model, store, tmp_path / "plain")
    report = evaluate(model, store, tmp_path / "out", tta="shifts")
    assert plain.tta is None and report.tta is not None and list(report.tta) == ["face", "body", "fused"]
    pd.testing.assert_frame_equal(report.predictions[plain.predictions.columns], plain.predictions)
    assert {head: one.war for head, one in report.metrics.items()} == {
        head: one.war for head, one in plain.metrics.items()
    }
    for head, one in report.tta.items():
        probs = report.predictions[tta_columns(head, model.labels)].to_numpy()
        np.testing.assert_allclose(probs.sum(axis=1), 1, atol=1e-9)
        right = np.array(model.labels)[probs.argmax(axis=1)] == report.predictions["label"]
        assert one.war == pytest.approx(right.mean())
    assert further_columns(report.predictions, model.heads) == []

    values = json.loads((tmp_path / "out" / "metrics.json").read_text())
    assert values["source"]["test-time augmentation"].startswith("10 views")
    assert values["test_time_augmentation"]["fused"]["war"] == report.tta["fused"].war
    assert json.loads((tmp_path / "plain" / "metrics.json").read_text())["test_time_augmentation"] is None
    page, without = ((tmp_path / name / "report.html").read_text() for name in ("out", "plain"))
    assert "With test-time augmentation" in page and "10 views: as it is" in page
    assert "test-time augmentation" not in without.lower()


def test_the_columns_are_in_the_order_of_the_intervals(
    model: LoadedModel, store: Path, tmp_path: Path
) -> None:
    from videofer.data.examples import make_examples
    from videofer.evaluation.labels import load_labels

    reader = StoreReader(store)
    table, _ = load_labels(reader.store, None, model.labels)
    examples, _ = make_examples(table, reader.videos(), model.labels)
    whole = predict_views(model, reader, examples, "mirror")
    part = predict_views(model, reader, examples[3:5], "mirror")
    for name, values in part.items():
        np.testing.assert_allclose(values, whole[name][3:5], atol=1e-6)


def test_an_ensemble_is_shown_the_views_too(store: Path, tmp_path: Path) -> None:
    recipes = {"narrow": face_recipe(4), "wide": face_recipe(6)}
    ensemble = load_model(make_ensemble(tmp_path / "few", recipes, Mean()), "cpu")
    report = evaluate(replace(ensemble, used=UNUSED), store, tmp_path / "out", tta="mirror")
    assert report.tta is not None and list(report.tta) == ["face"]


def test_what_cannot_be_is_refused(
    model: LoadedModel, store: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(EvaluationError, match="views must be mirror or shifts, not 'flip'"):
        make_views(model, "flip")  # type: ignore[arg-type]
    strange = replace(model, contract={**CONTRACT, "skeleton": "mine"})
    with pytest.raises(EvaluationError, match=r"mirroring the skeletons of small \(mine\) is not known"):
        make_views(strange, "mirror")
    recipes = {"narrow": face_recipe(4), "wide": face_recipe(6)}
    folder = make_ensemble(tmp_path / "few", recipes, Mean())
    arguments = ["evaluate", "--model", str(folder), "--store", str(store), "--out", str(tmp_path / "out")]
    assert one_line_errors(app, [*arguments, "--tta", "mirror"]) == DONE
    assert "face with test-time augmentation: WAR" in capsys.readouterr().out
    assert one_line_errors(app, [*arguments, "--tta", "flip"]) == USAGE
