"""How videos must be preprocessed for a model, and opening the model meanwhile."""

from __future__ import annotations

import json
from collections.abc import Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

from videofer.builtin import model_path

if TYPE_CHECKING:
    from preprocessing.spec import PreprocessSpec
    from videofer.checkpoint import TrainedModel


_ASKED = {"alignment", "crop_size", "max_fps", "skeleton"}  # of a contract, by `spec_for`


class HasContract(Protocol):
    """A model, as far as preprocessing is concerned."""

    @property
    def contract(self) -> Mapping[str, Any]: ...


class LoadingModel:
    """A model that a thread opens while its input is preprocessed.

    Importing torch takes as long as preprocessing a short video, and that is done by other processes.
    """

    def __init__(self, model: str | Path) -> None:
        """model: as for `load_model`."""
        self.path = model_path(model)
        pool = ThreadPoolExecutor(1, thread_name_prefix="model")
        self._model: Future[TrainedModel] = pool.submit(_load, self.path)
        pool.shutdown(wait=False)  # the thread ends with its only task

    @property
    def contract(self) -> Mapping[str, Any]:
        """What its input must be, without waiting. Raises what `result` raises where it cannot be read."""
        try:
            contract = json.loads((self.path / "contract.json").read_bytes())
        except (OSError, ValueError, RecursionError):
            contract = None
        is_read = isinstance(contract, dict) and contract.keys() >= _ASKED
        return contract if is_read else self.result().contract

    def result(self) -> TrainedModel:
        """The model, when it is there. Raises CheckpointError in one line where there is none."""
        return self._model.result()


def _load(path: Path) -> TrainedModel:
    import videofer.timeline.make  # noqa: F401 (imports that the next step would wait for)
    from videofer.export import load_model

    return load_model(path)


def spec_for(
    model: HasContract, faces: str = "auto", pose: str | None = None, frames_fps: float | None = None
) -> PreprocessSpec:
    """The spec that gives what the model's input contract asks for.

    faces: a detector, as of `preprocess`; a model of cropped pictures takes those as they are. pose: "none",
    "sidecar" or "onnx:POSE[,PERSON]"; None: what the model needs. frames_fps: rate of folders of
    frames that do not say their own. Raises ConfigError for another value.
    """
    from preprocessing.config_file import validate
    from preprocessing.spec import PreprocessSpec, aligned_by

    contract = model.contract
    if pose is None:
        pose = "none" if contract["skeleton"] == "none" else "sidecar"
    values = {
        "faces": "precropped" if contract["alignment"] == "precropped" else faces,
        "pose": pose,
        "crop_size": contract["crop_size"],
        "max_fps": contract["max_fps"],
        "frames_fps": frames_fps,
        **aligned_by(str(contract["alignment"])),
    }
    if contract["skeleton"] != "none":
        values["skeleton"] = contract["skeleton"]
    return validate(values, PreprocessSpec, source="the command line")
