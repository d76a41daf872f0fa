from __future__ import annotations

import dataclasses
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from preprocessing.spec import PreprocessSpec
from tests.videofer.timeline_helpers import CLASSES, make_model
from videofer.checkpoint import CheckpointError, save_checkpoint
from videofer.timeline.prepare import LoadingModel, spec_for

CONTRACT = {"crop_size": 96, "alignment": "eyes/1", "skeleton": "coco17", "max_fps": 12.5, "colour": "rgb"}


@pytest.fixture
def run(tmp_path: Path) -> Path:
    model = make_model()
    save_checkpoint(
        tmp_path / "run", weights=model.model.state_dict(), recipe=model.recipe, contract=CONTRACT,
        calibration=model.calibration.to_json(), metrics={"used": {}}, card="# A tiny model",
    )  # fmt: skip
    return tmp_path / "run"


@pytest.mark.parametrize("skeleton", ["coco17", "bandai22", "none"])
def test_videos_are_prepared_by_the_contract(skeleton: str) -> None:
    contract = {**CONTRACT, "skeleton": skeleton}
    model = make_model()
    spec = spec_for(dataclasses.replace(model, contract=contract))
    assert (spec.crop_size, spec.max_fps) == (96, 12.5)
    assert spec.pose == ("none" if skeleton == "none" else "sidecar")
    assert spec.contract()["skeleton"] == skeleton
    precropped = dataclasses.replace(model, contract={**contract, "alignment": "precropped"})
    assert spec_for(precropped).faces == "precropped"


@pytest.mark.parametrize("landmarks", ["mesh", "mesh468", "fan", "fan3d"])
def test_videos_are_aligned_as_the_model_was_taught(landmarks: str) -> None:
    """A model of faces that dense landmarks placed gets such faces."""
    taught = PreprocessSpec(landmarks=landmarks, align_by="dense")  # type: ignore[arg-type]
    model = dataclasses.replace(make_model(), contract=taught.contract())
    assert spec_for(model).contract() == taught.contract()
    assert spec_for(model).align_by == "dense"


def test_a_model_arrives_and_its_contract_is_known_before(run: Path) -> None:
    loading = LoadingModel(run)
    assert loading.contract == CONTRACT
    assert spec_for(loading) == spec_for(loading.result())
    model = loading.result()
    assert (model.labels, model.contract, model.card) == (CLASSES, CONTRACT, "# A tiny model")
    assert len(model.weights_sha256) == 64
    assert model is loading.result()


@pytest.mark.parametrize("text", [None, "{", "[]", '{"crop_size": 96}'])
def test_without_a_contract_the_error_is_that_of_the_model(run: Path, text: str | None) -> None:
    path = run / "contract.json"
    if text is None:
        path.unlink()
    else:
        path.write_text(text)
    (run / "model.safetensors").write_bytes(b"torn")
    with pytest.raises(CheckpointError, match="cannot be used as a model"):
        _ = LoadingModel(run).contract


def test_what_is_no_model_is_said_by_whoever_asks(tmp_path: Path, run: Path) -> None:
    with pytest.raises(CheckpointError, match="no model at"):
        _ = LoadingModel(tmp_path / "none").contract
    (run / "model.safetensors").write_bytes(b"torn")
    loading = LoadingModel(run)
    assert loading.contract == CONTRACT
    for _ in range(2):
        with pytest.raises(CheckpointError, match=r"run cannot be used as a model: \S"):
            loading.result()


def test_asking_for_the_contract_does_not_wait_for_torch(run: Path) -> None:
    code = """
import sys
from pathlib import Path
import videofer.timeline.prepare as prepare
prepare._load = lambda path: None
assert prepare.LoadingModel(Path(sys.argv[1])).contract["crop_size"] == 96
prepare.spec_for(prepare.LoadingModel(Path(sys.argv[1])))
print([name for name in ("torch", "pandas") if name in sys.modules])
"""
    result: Any = subprocess.run(
        [sys.executable, "-c", code, str(run)], capture_output=True, text=True, check=True
    )
    assert result.stdout.strip() == "[]"
