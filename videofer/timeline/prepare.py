"""How videos must be preprocessed for a model."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from preprocessing.spec import PreprocessSpec
    from videofer.checkpoint import TrainedModel


def spec_for(model: TrainedModel, faces: str = "auto", pose: str | None = None) -> PreprocessSpec:
    """The spec that gives what the model's input contract asks for.

    faces: "auto", "yunet" or "mtcnn"; a model of cropped pictures takes those as they are. pose: "none",
    "sidecar" or "onnx:POSE[,PERSON]"; None: what the model needs. Raises ConfigError for another value.
    """
    from preprocessing.config_file import validate
    from preprocessing.spec import PreprocessSpec

    contract = model.contract
    if pose is None:
        pose = "none" if contract["skeleton"] == "none" else "sidecar"
    values = {
        "faces": "precropped" if contract["alignment"] == "precropped" else faces,
        "pose": pose,
        "crop_size": contract["crop_size"],
        "max_fps": contract["max_fps"],
    }
    if contract["skeleton"] != "none":
        values["skeleton"] = contract["skeleton"]
    return validate(values, PreprocessSpec, source="the command line")
