"""Cross-corpus: trained on one store, tested on others, by the classes that all have; nothing leaks."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
import torch
from training_store import CLASSES, make_training_store, small_recipe

from cache.store import Store
from preprocessing.config_file import dump_yaml
from videofer.cli.crosscorpus import crosscorpus as command
from videofer.cli.errors import DONE
from videofer.experiments.claim import CrossvalError
from videofer.experiments.corpora import common_classes, corpus_names, open_corpora
from videofer.experiments.crosscorpus import CrossReport, crosscorpus
from videofer.recipe import Recipe

pytestmark = pytest.mark.usefixtures("one_thread")


def recipe_of(**training: Any) -> Recipe:
    return small_recipe(**{"epochs": 16, "val_subjects": None, **training})


def add_corpus(path: Path, own: str, *, labels: dict[str, str] | None = None, **settings: Any) -> Path:
    """A store whose videos are not those of another: keys differ. labels: what becomes of which label."""
    store = _with_keys(path, own, settings)
    table = store.manifest()
    assert table is not None
    if labels is not None:
        table = table.assign(label=table["label"].replace(labels))
        table = table[table["label"] != ""]
        store.write_manifest(table)
    return path


def _with_keys(path: Path, own: str, settings: dict[str, Any]) -> Store:
    import training_store

    real = training_store._add_video

    def renamed(writer: Any, name: str, key: str, *others: Any) -> Any:
        return real(writer, name, own + key[1:], *others)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(training_store, "_add_video", renamed)
        return make_training_store(path, num_subjects=4, num_test=1, takes=1, **settings)


@pytest.fixture(scope="module")
def stores(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    folder = tmp_path_factory.mktemp("corpora")
    return {
        "a": add_corpus(folder / "a", "0"),
        "b": add_corpus(folder / "b", "b", labels={"anger": ""}),
        "c": add_corpus(folder / "c", "c"),
    }


@pytest.fixture(scope="module")
def done(stores: dict[str, Path], tmp_path_factory: pytest.TempPathFactory) -> CrossReport:
    torch.set_num_threads(1)
    out = tmp_path_factory.mktemp("cross") / "out"
    return crosscorpus(recipe_of(), stores["a"], [stores["b"], stores["c"]], out, seeds=[0, 1])


def test_trained_on_one_tested_on_the_others_by_common_classes(done: CrossReport) -> None:
    assert done.classes == ("neutral", "happiness")  # b has no anger
    assert done.train == "a" and done.tests == ("b", "c") and not done.failed
    pooled = pd.read_parquet(done.path / "predictions.parquet")
    assert pooled.groupby(["corpus", "seed"]).size().to_dict() == {
        (name, seed): 8 for name in "bc" for seed in (0, 1)
    }
    assert set(pooled["label"]) == {"neutral", "happiness"}
    assert set(pooled["subject"]) == {f"{name}:s{number}" for name in "bc" for number in range(4)}
    used = json.loads((done.path / "seed_0" / "run" / "metrics.json").read_text())["used"]["subjects"]
    assert sorted([*used["train"], *used["val"]]) == [f"a:s{n}" for n in range(4)]  # also its own test part
    assert done.metrics["fused"].num_samples == 16
    assert done.metrics["fused"].war > 0.7  # what a shows is to be seen in b and c
    values = json.loads((done.path / "metrics.json").read_text())
    assert "trained on a, tested on b, c" in values["notes"][0]
    assert any(note.startswith("a: anger left out, 4 of 12") for note in values["notes"])
    assert any("no copies found" in note for note in values["notes"])
    table = pd.read_csv(done.path / "corpora.csv")
    assert table[["seed", "corpus"]].values.tolist() == [[0, "b"], [0, "c"], [1, "b"], [1, "c"]]
    assert (done.path / "report.html").is_file()


def test_resume_keeps_finished_seeds_and_refuses_another_question(
    done: CrossReport, stores: dict[str, Path], tmp_path: Path
) -> None:
    again = tmp_path / "again"
    shutil.copytree(done.path, again)
    said: list[str] = []
    tests = [stores["b"], stores["c"]]
    report = crosscorpus(
        recipe_of(), stores["a"], tests, again, seeds=[0, 1], resume=True, progress=said.append
    )
    assert report.metrics["fused"].uar == done.metrics["fused"].uar
    assert not any("training" in line for line in said)
    with pytest.raises(CrossvalError, match="holds a cross-corpus run already: go on with it by --resume"):
        crosscorpus(recipe_of(), stores["a"], tests, again, seeds=[0, 1])
    with pytest.raises(CrossvalError, match=r"cannot resume .* another corpora"):
        crosscorpus(recipe_of(), stores["a"], tests[:1], again, resume=True)


def test_the_same_file_in_both_is_refused(stores: dict[str, Path], tmp_path: Path) -> None:
    shutil.copytree(stores["a"], tmp_path / "other")
    with pytest.raises(
        CrossvalError, match=r"'s0/neutral_0.mp4' of a and '.*' of other are the same file \(and 11 more"
    ):
        crosscorpus(recipe_of(), stores["a"], [tmp_path / "other"], tmp_path / "out")


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"tests": []}, "give a store to test on"),
        ({"seeds": [1, 1]}, "seeds must be different"),
        ({"tests": ["a"]}, "is given twice"),
        ({"test_manifests": [Path("x"), Path("y")]}, "2 manifests for 1 test stores"),
        ({"workers": 0}, "workers must be at least 1"),
    ],
)
def test_what_cannot_be_asked(
    stores: dict[str, Path], tmp_path: Path, change: dict[str, Any], message: str
) -> None:
    asked: dict[str, Any] = {"tests": ["b"], **change}
    tests = [stores[name] for name in asked.pop("tests")]
    with pytest.raises(CrossvalError, match=message):
        crosscorpus(recipe_of(), stores["a"], tests, tmp_path / "out", **asked)
    assert not (tmp_path / "out").exists()


def test_too_few_common_classes_and_other_inputs(stores: dict[str, Path], tmp_path: Path) -> None:
    only = add_corpus(tmp_path / "only", "d", labels={"anger": "", "happiness": ""})
    corpora = open_corpora(recipe_of(), {"a": (stores["a"], None), "only": (only, None)})
    with pytest.raises(CrossvalError, match=r"share 1 of the recipe's classes.*only: neutral\)"):
        common_classes(recipe_of(), corpora)
    bodyless = add_corpus(tmp_path / "bodyless", "e", bodyless=True)
    recipe = recipe_of()
    narrow = recipe.model_copy(
        update={"data": recipe.data.model_copy(update={"classes": [*CLASSES, "fear"]})}
    )
    corpora = open_corpora(narrow, {"a": (stores["a"], None), "x": (bodyless, None)})
    assert common_classes(narrow, corpora)[1][-1] == "of the recipe's classes no corpus has fear"


def test_names_of_corpora_are_distinct() -> None:
    assert corpus_names([Path("/x/ravdess"), Path("/x/crema")]) == ["ravdess", "crema"]
    assert corpus_names([Path("/x/a/store"), Path("/x/b/store")]) == ["a/store", "b/store"]


def test_command(stores: dict[str, Path], tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    recipe = tmp_path / "recipe.yaml"
    recipe.write_text(dump_yaml(recipe_of(epochs=1)))
    assert command(recipe, stores["a"], [stores["c"]], tmp_path / "out") == DONE
    said = capsys.readouterr().out
    assert "trained on a, tested on c" in said and "report.html" in said
