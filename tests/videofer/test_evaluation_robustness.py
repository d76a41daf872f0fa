"""A small real model that loses a modality at random: it falls gently to what the other one knows."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import pytest
import torch
from training_store import CLASSES, CONTRACT, make_training_store, small_recipe

from cache.reader import StoreReader
from videofer.checkpoint import LoadedModel
from videofer.data.dataset import SampleDataset, collate
from videofer.data.examples import Example, make_examples
from videofer.datasets.manifest import join_store, normalise
from videofer.evaluation.calibration import Calibration, LogProbWeights
from videofer.evaluation.predict import WindowOutputs, predict_examples
from videofer.evaluation.robustness import hide, with_failures
from videofer.models.model import EmotionModel

Trained = tuple[LoadedModel, StoreReader, list[Example]]


@pytest.fixture(scope="module", autouse=True)
def one_thread() -> Iterator[None]:
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory, one_thread: None) -> Trained:
    """Trained for a few steps on three subjects; the examples of four others.

    Then made so that the face cannot tell the first two classes apart, nor the body the last two.
    """
    path = tmp_path_factory.mktemp("robustness")
    store = make_training_store(path / "store", num_subjects=7, num_test=4)
    reader = StoreReader(store.path)
    stored = store.manifest()
    assert stored is not None
    table, _ = join_store(normalise(stored, source="test"), reader.videos())
    examples, _ = make_examples(table, reader.videos(), CLASSES)
    is_test = [table["split"][example.row] == "test" for example in examples]
    recipe = small_recipe()
    torch.manual_seed(0)
    model = EmotionModel(recipe.emotion_model_config())
    known = [example for example, test in zip(examples, is_test, strict=True) if not test]
    dataset = SampleDataset(reader, known, recipe.sample_spec(), training=False, windows=2)
    batch = collate([dataset[place] for place in range(len(dataset))])
    optimizer = torch.optim.Adam(model.parameters(), lr=0.01)
    for _ in range(25):
        loss = model.loss(model(batch), batch["target"])["total"]
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    assert model.face is not None and model.body is not None
    _make_alike(model.face, 0, 1)
    _make_alike(model.body, 1, 2)
    loaded = LoadedModel(
        path=path, model=model.eval(), recipe=recipe, labels=tuple(CLASSES), contract=CONTRACT,
        calibration=Calibration(
            temperatures={"face": 1.0, "body": 1.0, "fused": 1.0}, fusion=LogProbWeights(face=1.0, body=1.0)
        ),
        used={}, device=torch.device("cpu"),
    )  # fmt: skip
    return loaded, reader, [example for example, test in zip(examples, is_test, strict=True) if test]


def _make_alike(part: torch.nn.Module, first: int, second: int) -> None:
    """Gives two classes the same logits in every layer that ends in classes."""
    for layer in part.modules():
        if isinstance(layer, torch.nn.Linear) and layer.out_features == len(CLASSES):
            with torch.no_grad():
                for values in (layer.weight, layer.bias):
                    values[[first, second]] = values[[first, second]].mean(dim=0)


def accuracies(trained: Trained) -> dict[str, float]:
    loaded, reader, examples = trained
    table = predict_examples(loaded, reader, examples)
    return {head: float((table[f"{head}_label"] == table["label"]).mean()) for head in loaded.heads}


@pytest.mark.parametrize(("modality", "other"), [("face", "body"), ("body", "face")])
def test_it_falls_gently_to_what_the_other_modality_knows(
    trained: Trained, modality: str, other: str
) -> None:
    loaded, reader, examples = trained
    whole = accuracies(trained)
    result = with_failures(loaded, reader, examples, modality)  # type: ignore[arg-type]
    assert np.isfinite(result.to_numpy(dtype=float)).all()
    assert result["war"].iloc[0] == whole["fused"] > 0.9
    assert result["war"].iloc[-1] == whole[other] < 0.75
    assert 0.5 < whole[other] < result["war"].iloc[2] < whole["fused"]
    assert result["num_hidden"].tolist()[0] == 0 and result["num_hidden"].iloc[-1] == len(examples)
    assert result["num_hidden"].is_monotonic_increasing
    noise = 2 / np.sqrt(len(examples))  # half an interval of a share
    low, high = sorted((whole[other], whole["fused"]))
    assert (result["war"].diff().dropna() <= noise).all()
    assert result["war"].between(low - noise, high + noise).all()


@pytest.mark.parametrize("modality", ["face", "body"])
def test_of_many_synthetic_predictions_the_accuracy_falls_evenly(modality: str) -> None:
    rng = np.random.default_rng(0)
    target = rng.integers(3, size=2000)
    logits = {head: rng.normal(0, 1, (2000, 3)) + 1.5 * np.eye(3)[target] for head in ("face", "body")}
    logits = {head: torch.from_numpy(values).float().log_softmax(dim=1) for head, values in logits.items()}
    drawn = torch.from_numpy(rng.random(2000))
    everywhere = torch.ones(2000, dtype=torch.bool)
    calibration = Calibration(
        temperatures={"face": 1.0, "body": 1.0, "fused": 1.0}, fusion=LogProbWeights(face=1.0, body=1.0)
    )
    accuracy = {}
    for probability in (0.0, 0.25, 0.5, 0.75, 1.0):
        outputs = {**logits, "fused": logits["face"], "has_face": everywhere, "has_body": everywhere}
        outputs[f"has_{modality}"] = drawn >= probability
        intervals = WindowOutputs(outputs, np.arange(2000)).intervals(calibration, 2000)
        assert np.isfinite(intervals.probs["fused"]).all() and intervals.seen["fused"].all()
        accuracy[probability] = (intervals.probs["fused"].argmax(axis=1) == target).mean()
    other = "body" if modality == "face" else "face"
    assert accuracy[1.0] == (logits[other].numpy().argmax(axis=1) == target).mean()
    falls = np.diff(list(accuracy.values()))
    assert (falls < 0).all() and np.ptp(falls) < 0.03 and accuracy[0.0] - accuracy[1.0] > 0.05


def test_with_neither_nothing_is_left(trained: Trained) -> None:
    batch = batch_of(trained)
    blind = hide(hide(batch, modality="face", probability=1.0), modality="body", probability=1.0)
    probs = trained[0].predict(blind)
    assert torch.allclose(probs["fused"], torch.full((len(batch["example"]), 3), 1 / 3))


def test_hidden_are_whole_intervals_and_more_with_a_larger_share(trained: Trained) -> None:
    batch = batch_of(trained)
    before = set()
    for probability in (0.0, 0.3, 0.6, 1.0):
        hidden = hide(batch, modality="face", probability=probability)
        gone = ~hidden["clip_mask"].any(dim=1)
        assert torch.equal(hidden["body_mask"], batch["body_mask"])
        assert torch.equal(hidden["clip_mask"][~gone], batch["clip_mask"][~gone])
        names, kept = set(batch["example"][gone].tolist()), set(batch["example"][~gone].tolist())
        assert before <= names and not names & kept  # all windows of an interval alike
        before = names
    assert len(before) == len(trained[2])
    other = hide(batch, modality="face", probability=0.5, seed=1)["clip_mask"]
    assert not torch.equal(other, hide(batch, modality="face", probability=0.5)["clip_mask"])


def batch_of(trained: Trained) -> dict[str, torch.Tensor]:
    loaded, reader, examples = trained
    dataset = SampleDataset(reader, examples, loaded.spec, training=False, windows=2)
    return collate([dataset[place] for place in range(len(dataset))])
