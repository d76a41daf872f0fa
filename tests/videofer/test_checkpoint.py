"""A run folder comes back as it was, and whatever is not one is refused in one line, unopened."""

from __future__ import annotations

import ast
import hashlib
import json
import pickle
import shutil
from pathlib import Path

import pytest
import torch
from training_store import CLASSES, CONTRACT, small_recipe

import videofer
from videofer.checkpoint import CheckpointError, contract_differences, load_checkpoint, save_checkpoint
from videofer.evaluation.calibration import IDENTITY
from videofer.models.model import EmotionModel

pytestmark = pytest.mark.usefixtures("one_thread")

USED = {"keys": {"train": ["a"], "val": []}, "subjects": {"train": ["s0"], "val": []}}


@pytest.fixture
def run(tmp_path: Path) -> Path:
    torch.manual_seed(0)
    recipe = small_recipe()
    save_checkpoint(
        tmp_path / "run",
        weights=EmotionModel(recipe.emotion_model_config()).state_dict(),
        recipe=recipe,
        contract=CONTRACT,
        calibration=IDENTITY.to_json(),
        metrics={"used": USED},
        card="# card\n",
    )
    return tmp_path / "run"


def batch(num: int) -> dict[str, torch.Tensor]:
    generator = torch.Generator().manual_seed(1)
    return {
        "frames": torch.randint(0, 256, (num, 2, 2, 33, 33, 3), dtype=torch.uint8, generator=generator),
        "clip_mask": torch.ones(num, 2, dtype=torch.bool),
        "keypoints": torch.rand(num, 16, 17, 3, generator=generator) * 100,
        "body_mask": torch.ones(num, dtype=torch.bool),
        "label": torch.zeros(num, dtype=torch.int64),  # as a data set gives it; not the model's business
    }


def test_round_trip(run: Path) -> None:
    loaded = load_checkpoint(run)
    assert loaded.labels == tuple(CLASSES) and loaded.contract == CONTRACT and loaded.used == USED
    assert loaded.recipe == small_recipe() and loaded.spec.num_clips == 2
    assert loaded.card == "# card\n"
    assert loaded.weights_sha256 == hashlib.sha256((run / "model.safetensors").read_bytes()).hexdigest()
    assert not loaded.model.training
    torch.manual_seed(0)
    original = EmotionModel(small_recipe().emotion_model_config()).state_dict()
    assert all(torch.equal(tensor, original[name]) for name, tensor in loaded.model.state_dict().items())


def test_predict_gives_probabilities_that_do_not_depend_on_the_batch(run: Path) -> None:
    loaded = load_checkpoint(run)
    whole = loaded.predict(batch(4))
    assert set(whole) == {"face", "body", "fused"}
    for head, probs in whole.items():
        torch.testing.assert_close(probs.sum(1), torch.ones(4))
        one_by_one = [loaded.predict({k: v[i : i + 1] for k, v in batch(4).items()})[head] for i in range(4)]
        torch.testing.assert_close(torch.cat(one_by_one), probs)


def test_contract() -> None:
    recipe = small_recipe()
    assert contract_differences(CONTRACT, CONTRACT, recipe) == []
    differences = contract_differences(CONTRACT, {**CONTRACT, "crop_size": 112, "max_fps": 25.0}, recipe)
    assert differences == [
        "crop_size is 112, the model was trained with 48",
        "max_fps is 25.0, the model was trained with 30.0",
    ]
    assert contract_differences(CONTRACT, {**CONTRACT, "skeleton": "body25"}, recipe)
    # No skeletons at all: the body is masked.
    assert contract_differences(CONTRACT, {**CONTRACT, "skeleton": "none"}, recipe) == []


def test_contract_of_bodies_in_another_layout() -> None:
    recipe = small_recipe()
    recipe = recipe.model_copy(update={"data": recipe.data.model_copy(update={"skeleton": "openpose18"})})
    model = {**CONTRACT, "skeleton": "openpose18"}
    for given in ("openpose18", "coco17", "wholebody133"):  # all can be brought to what the model takes
        assert contract_differences(model, {**CONTRACT, "skeleton": given}, recipe) == []
    assert contract_differences(model, {**CONTRACT, "skeleton": "kinect25"}, recipe) == [
        "skeleton is 'kinect25', the model was trained with 'openpose18'"
    ]


def test_contract_of_one_modality() -> None:
    recipe = small_recipe()
    model = recipe.model.model_copy(update={"face": None, "fusion": None})
    body_only = recipe.model_copy(update={"model": model})
    assert contract_differences(CONTRACT, {**CONTRACT, "crop_size": 112}, body_only) == []
    assert contract_differences(CONTRACT, {**CONTRACT, "skeleton": "body25"}, body_only)


def test_check_contract_names_both(run: Path) -> None:
    with pytest.raises(CheckpointError, match=r"does not fit store S: crop_size is 1, .* with 48"):
        load_checkpoint(run).check_contract({**CONTRACT, "crop_size": 1}, "store S")


class Bomb:
    def __reduce__(self) -> tuple[object, tuple[str]]:
        return Path.touch, (Path("bomb_went_off"),)


@pytest.mark.parametrize("name", ["model.pt", "model.pkl", "pytorch_model.bin", "model"])
def test_pickles_are_refused_unopened(tmp_path: Path, name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    folder = tmp_path / "downloaded"
    folder.mkdir()
    (folder / name).write_bytes(pickle.dumps(Bomb()))
    with pytest.raises(CheckpointError, match="is a pickle"):
        load_checkpoint(folder / name)
    with pytest.raises(CheckpointError, match=r"has no model\.safetensors"):
        load_checkpoint(folder)
    assert not (tmp_path / "bomb_went_off").exists()


def test_what_is_no_run_is_refused(tmp_path: Path, run: Path) -> None:
    with pytest.raises(CheckpointError, match="no model at"):
        load_checkpoint(tmp_path / "nowhere")
    with pytest.raises(CheckpointError, match="is a file"):
        load_checkpoint(run / "recipe.yaml")
    with pytest.raises(CheckpointError, match="has no model"):
        load_checkpoint(tmp_path)


@pytest.mark.parametrize(
    ("name", "content", "match"),
    [
        ("model.safetensors", b"\x00" * 100, "cannot be used as a model"),
        ("model.safetensors", None, r"has no model\.safetensors"),
        ("recipe.yaml", b"name: x\n", "recipe.yaml"),
        ("recipe.yaml", None, "recipe.yaml"),
        ("labels.json", b'["anger"]', "labels.json has"),
        ("labels.json", b"[", "labels.json is not JSON"),
        ("contract.json", None, "contract.json"),
        ("calibration.json", b"{}", "not a calibration"),
        ("metrics.json", b"{}", "used"),
    ],
)
def test_a_damaged_run_is_refused_in_one_line(
    run: Path, name: str, content: bytes | None, match: str
) -> None:
    if content is None:
        (run / name).unlink()
    else:
        (run / name).write_bytes(content)
    with pytest.raises(CheckpointError, match=match) as error:
        load_checkpoint(run)
    assert "\n" not in str(error.value)


@pytest.mark.parametrize(
    ("name", "old", "new", "match"),
    [
        ("recipe.yaml", "view_merge: sum", "views: faithful", "views"),
        ("recipe.yaml", "maps: timeline", "timeline: true", "timeline"),
        ("calibration.json", '"fusion": null', '"fusion_weights": null', "not a calibration"),
    ],
)
def test_a_run_of_an_earlier_version_is_refused_in_one_line(
    run: Path, name: str, old: str, new: str, match: str
) -> None:
    text = (run / name).read_text()
    assert old in text
    (run / name).write_text(text.replace(old, new))
    with pytest.raises(CheckpointError, match=match) as error:
        load_checkpoint(run)
    assert "\n" not in str(error.value)


def test_weights_of_another_model_are_refused(run: Path, tmp_path: Path) -> None:
    text = (run / "recipe.yaml").read_text()
    (run / "recipe.yaml").write_text(text.replace("feature_hidden: 8", "feature_hidden: 16"))
    with pytest.raises(CheckpointError, match=r"does not fit recipe\.yaml: \d+ tensors differ"):
        load_checkpoint(run)


def test_a_killed_writer_leaves_no_model(run: Path, tmp_path: Path) -> None:
    """The weights are written last, so every folder that has them has the rest."""
    order = sorted(run.iterdir(), key=lambda path: path.stat().st_mtime_ns)
    assert order[-1].name == "model.safetensors"
    shutil.copytree(run, tmp_path / "copy")
    assert load_checkpoint(tmp_path / "copy").path == tmp_path / "copy"
    json.loads((run / "contract.json").read_text())


def test_nothing_is_ever_unpickled_unsafely() -> None:
    """Every torch.load in the packages is called with weights_only=True, and nothing else unpickles."""
    root = Path(videofer.__file__).parents[1]
    for package in ("videofer", "preprocessing", "cache"):
        for path in (root / package).rglob("*.py"):
            for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
                if not (isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute)):
                    continue
                called = ast.unparse(node.func)
                if called == "torch.load":
                    arguments = {keyword.arg: ast.unparse(keyword.value) for keyword in node.keywords}
                    assert arguments.get("weights_only") == "True", f"{path}:{node.lineno}"
                if called in ("np.load", "numpy.load"):
                    arguments = {keyword.arg: ast.unparse(keyword.value) for keyword in node.keywords}
                    assert arguments.get("allow_pickle", "False") == "False", f"{path}:{node.lineno}"
                # Not safe by itself; there it is given what has been checked.
                assert called != "torch.export.load" or path.name == "torch_format.py", (
                    f"{path}:{node.lineno}"
                )
                assert called not in ("pickle.load", "pickle.loads", "joblib.load"), f"{path}:{node.lineno}"
