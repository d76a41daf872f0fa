"""The weights that are shipped: small, as they were released, and worth what their card says."""

from __future__ import annotations

import json
import subprocess
import sys
import tomllib
from functools import partial
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch
from safetensors import safe_open
from scipy.stats import binomtest

from cache.errors import UserError
from preprocessing.spec import PreprocessSpec
from tools.builtin.card import docs_page
from tools.builtin.faces import LOOKS, SUBJECTS, faces_of
from tools.builtin.measure import against_fer2013, against_ferplus, probabilities, public_test
from tools.builtin.pack import MAX_BYTES
from tools.release_builtin import EXPECTED, PAGE, card_of, store_public_test
from videofer import builtin
from videofer.builtin import FOLDER, model_path
from videofer.checkpoint import CheckpointError, LoadedModel
from videofer.emotions import EMOTIONS
from videofer.evaluation.report import evaluate
from videofer.export import ExportError, export_model, load_model

pytestmark = pytest.mark.usefixtures("one_thread")

ROOT = Path(__file__).parents[2]
RARE = 1e-3
"""A figure of the mini set so improbable under the card's, for any of its classes, is no chance."""


@pytest.fixture(scope="module")
def model() -> LoadedModel:
    loaded = load_model("builtin", device="cpu")
    assert isinstance(loaded, LoadedModel)
    return loaded


@pytest.fixture(scope="module")
def figures() -> dict[str, dict]:  # type: ignore[type-arg]
    return json.loads((FOLDER / "figures.json").read_text(encoding="utf-8"))


def test_it_is_small_and_its_weights_are_halved(model: LoadedModel) -> None:
    assert sum(path.stat().st_size for path in FOLDER.iterdir()) <= MAX_BYTES
    with safe_open(FOLDER / "model.safetensors", framework="pt") as file:
        halved = {name for name in file.keys() if file.get_tensor(name).dtype == torch.float16}  # noqa: SIM118
    layers = {name for name, parameter in model.model.named_parameters() if parameter.ndim > 1}
    assert halved == layers
    assert {parameter.dtype for parameter in model.model.parameters()} == {torch.float32}
    assert 2.5e6 < sum(parameter.numel() for parameter in model.model.parameters()) < 3.0e6


def test_it_is_part_of_the_package() -> None:
    settings = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
    assert settings["tool"]["setuptools"]["package-data"]["videofer.builtin"] == ["model/*"]
    assert not [path for path in FOLDER.iterdir() if path.is_dir()]


def test_it_takes_what_videofer_preprocess_makes(model: LoadedModel) -> None:
    model.check_contract(PreprocessSpec().contract(), "a store of the defaults")
    with pytest.raises(CheckpointError, match="crop_size is 48, the model was trained with 112"):
        model.check_contract({**PreprocessSpec().contract(), "crop_size": 48}, "another store")


def test_it_says_its_name_and_eight_expressions(model: LoadedModel) -> None:
    assert model.name == "builtin" and model.version and model.title == f"builtin {model.version}"
    assert set(model.labels) == set(EMOTIONS[:8])
    assert model.heads == ("face",)


def test_it_says_of_synthetic_faces_what_it_said_when_it_was_released(model: LoadedModel) -> None:
    expected = json.loads((ROOT / EXPECTED).read_text(encoding="utf-8"))
    assert expected["classes"] == list(model.labels)
    said = probabilities(model, faces_of())
    # Sums of another processor's instructions come out a little otherwise.
    np.testing.assert_allclose(said, expected["probabilities"], rtol=0, atol=2e-3)
    np.testing.assert_allclose(said.sum(axis=1), 1, atol=1e-5)
    alone = np.concatenate([probabilities(model, face[None]) for face in faces_of()])
    np.testing.assert_allclose(alone, said, rtol=0, atol=1e-5)


def test_a_drawn_smile_is_happiness(model: LoadedModel) -> None:
    names = [model.labels[place] for place in probabilities(model, faces_of()).argmax(axis=1)]
    smile = list(LOOKS).index("smile")
    assert [names[row * len(LOOKS) + smile] for row in range(len(SUBJECTS))] == ["happiness"] * len(SUBJECTS)


def test_colour_is_nothing_to_it(model: LoadedModel) -> None:
    faces = faces_of()
    grey = np.rint(faces @ np.array([0.299, 0.587, 0.114]))[..., None].repeat(3, axis=-1).astype(np.uint8)
    np.testing.assert_allclose(probabilities(model, grey), probabilities(model, faces), rtol=0, atol=0.03)


def test_card_and_page_of_the_docs_are_made_from_its_figures(model: LoadedModel) -> None:
    assert card_of(model, FOLDER) == model.card
    assert (ROOT / PAGE).read_text(encoding="utf-8") == docs_page(model.card)
    assert max(map(len, model.card.splitlines())) <= 120
    for words in ("***perceived expression***", "No picture is in videofer", "## Limits", f"`{model.title}`"):
        assert words in model.card


def test_the_card_states_what_the_project_asks_of_it(figures: dict[str, dict]) -> None:  # type: ignore[type-arg]
    assert figures["num_pictures"] == 3589 and figures["num_copies"] > 0
    assert figures["ferplus"]["accuracy"] >= 0.80
    assert figures["ferplus"]["ece"] <= 0.05
    assert min(figures["conditions"].values()) > figures["conditions"]["as it is"] - 0.12
    for labels in ("ferplus", "fer2013"):
        one = figures[labels]
        confusion = np.array(one["confusion"])
        assert confusion.sum() == one["num_pictures"]
        assert np.trace(confusion) / confusion.sum() == pytest.approx(one["accuracy"])
        for row, (place, stated) in zip(confusion, enumerate(one["classes"].values()), strict=True):
            assert (
                row[place] / row.sum() == pytest.approx(stated["recall"])
                and row.sum() == stated["num_pictures"]
            )


@pytest.mark.parametrize("labels", ["fer2013", "ferplus"])
def test_recall_on_the_mini_set_is_that_of_the_card(
    labels: str,
    model: LoadedModel,
    figures: dict[str, dict],
    mini: Path,  # type: ignore[type-arg]
) -> None:
    faces = public_test(mini)
    probs = probabilities(model, faces.crops)
    against = against_fer2013 if labels == "fer2013" else against_ferplus
    metrics = against(probs, model.labels, faces)
    checked = 0
    for name, support, recall in zip(metrics.labels, metrics.support, metrics.recall, strict=True):
        if support == 0:
            continue
        stated = figures[labels]["classes"][name]["recall"]
        right = round(recall * support)
        chance = binomtest(right, support, min(max(stated, 1e-6), 1 - 1e-6)).pvalue
        assert chance >= RARE, f"{name}: {right} of {support} right, the card says {stated:.1%}"
        checked += support
    assert checked == (350 if labels == "fer2013" else metrics.num_samples)


@pytest.fixture(scope="module")
def mini(shared_fer2013: Path, shared_weights: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The mini test set, aligned."""
    store = tmp_path_factory.mktemp("mini") / "store"
    store_public_test(shared_fer2013 / "fer2013_mini_test.npz", store, shared_weights)
    return store


def test_what_it_was_trained_on_is_no_test(
    model: LoadedModel, shared_fer2013: Path, shared_weights: Path, tmp_path: Path
) -> None:
    from videofer.datasets.fer2013 import read_fer2013
    from videofer.datasets.fer2013_lists import make_lists
    from videofer.datasets.fer2013_store import aligned_spec, import_fer2013

    data = read_fer2013(shared_fer2013 / "fer2013_mini_train.npz")
    lists = make_lists(data, labels="ferplus")
    used = {*model.used["keys"]["train"], *model.used["keys"]["val"]}
    assert set(lists.table["key"]) & used, "keys of pictures are those of the import"
    lists = type(lists)(lists.table.iloc[:8].reset_index(drop=True), lists.place[:8], 0)
    import_fer2013(data, lists, tmp_path / "store", aligned_spec(), weights_dir=shared_weights)
    with pytest.raises(UserError, match="which the model was trained or validated with"):
        evaluate("builtin", tmp_path / "store", tmp_path / "out", split="all")


@pytest.fixture(scope="module")
def rows_of(
    model: LoadedModel, shared_data: Path, shared_weights: Path, tmp_path_factory: pytest.TempPathFactory
) -> partial[pd.DataFrame]:
    return partial(_rows_of, shared_data, shared_weights, tmp_path_factory.mktemp("timelines"))


def _rows_of(data: Path, weights: Path, out: Path, name: str) -> pd.DataFrame:
    """The rows that the command writes by default, without saying which model."""
    command = [sys.executable, "-c", "from videofer.cli import main; main()", "timeline"]
    command += [str(data / "videos" / f"{name}.mp4"), "--out", str(out / name), "--formats", "csv"]
    command += ["--weights-dir", str(weights)]
    result = subprocess.run(command, capture_output=True, text=True, cwd=ROOT)
    assert result.returncode == 0, result.stderr
    assert "model: builtin " in result.stderr and "perceived expression" in result.stderr
    rows = pd.read_csv(out / name / f"{name}.csv")
    assert rows["model"].str.fullmatch(r"builtin \S+ \(perceived expression\)").all()
    return rows[rows["person"] == 0]


def share(rows: pd.DataFrame, names: set[str], t_start: float = 0.0, t_end: float = np.inf) -> float:
    """Of the time of these rows that has one of the labels."""
    inside = rows[(rows["t_start"] >= t_start) & (rows["t_end"] <= t_end)]
    seconds = inside["t_end"] - inside["t_start"]
    return float(seconds[inside["label"].isin(names)].sum() / seconds.sum())


def test_worry_turns_into_a_laugh(rows_of: partial[pd.DataFrame]) -> None:
    rows = rows_of("interview_one_face")
    assert share(rows, {"sadness", "fear"}, 0, 5) > 0.6
    assert share(rows, {"happiness"}, 0, 7) < 0.2
    assert share(rows, {"happiness"}, 11, 19) > 0.8
    assert 1 <= (rows["label"] != rows["label"].shift()).sum() - 1 <= 8  # smoothed: no flicker


def test_a_neutral_face_smiles(rows_of: partial[pd.DataFrame]) -> None:
    rows = rows_of("neutral_to_smile")
    assert share(rows, {"neutral"}, 0, 0.4) > 0.9
    assert share(rows, {"happiness"}, 0.9, 2.2) > 0.9


def test_a_neutral_face_stays_neutral(rows_of: partial[pd.DataFrame]) -> None:
    assert share(rows_of("neutral_1080p"), {"neutral"}) > 0.9


def test_a_folder_of_that_name_is_a_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    assert model_path("builtin") == FOLDER
    assert model_path("./builtin") == model_path(Path("builtin")) == Path("builtin")
    with pytest.raises(CheckpointError, match="no model at builtin"):
        load_model("./builtin")


def test_a_copy_that_has_lost_its_model_says_so(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(builtin, "FOLDER", tmp_path / "model")
    with pytest.raises(UserError, match=r"has no built-in model at .*model: say --model RUN"):
        load_model("builtin")


def test_nothing_is_exported_into_the_package() -> None:
    with pytest.raises(ExportError, match="to a folder of your own: say --out"):
        export_model("builtin", format="onnx")
