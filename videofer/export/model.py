"""Opening exported folders: the same model as in its run folder, computed by the exported networks.

EXPORT/clip, window, body, answer    .onnx or .pt2, see `videofer.export.graphs`; those that the model has
       export.json                   format, version, inputs and outputs of each graph, checks and figures
       recipe.yaml, contract.json, labels.json, calibration.json, metrics.json    as in the run
       README.md                     model card, and how to use the graphs
       release.json                  as in the folder of the model, where it has one
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, Protocol

import torch
from einops import rearrange
from torch import Tensor

from preprocessing.device import as_device, require_device
from videofer.builtin import model_path
from videofer.checkpoint import (
    CheckpointError,
    TrainedModel,
    errors_in_one_line,
    load_checkpoint,
    read_facts,
    read_json,
    sha256_of,
)
from videofer.ensembles.model import DESCRIPTION as ENSEMBLE
from videofer.ensembles.model import load_ensemble
from videofer.evaluation.calibration import complete

Format = Literal["onnx", "torch-export"]
SUFFIXES: dict[Format, str] = {"onnx": ".onnx", "torch-export": ".pt2"}
FORMAT_VERSION = 1
DESCRIPTION = "export.json"


class Network(Protocol):
    """One exported graph."""

    def __call__(self, inputs: Mapping[str, Tensor]) -> dict[str, Tensor]: ...


@dataclass(frozen=True, kw_only=True)
class ExportedModel(TrainedModel):
    """The model of an exported folder."""

    networks: Mapping[str, Network]
    shapes: Mapping[str, Mapping[str, list[int | str]]]
    """Per graph and input, its axes: a size, or a name where any size will do."""
    clip_width: int
    """F, 0 without a face."""

    @property
    def num_features(self) -> int:
        return self.clip_width

    def clip_features(self, frames: Tensor) -> Tensor:
        return self.run("clip", frames=frames.cpu())["features"]

    def outputs(self, batch: Mapping[str, Tensor]) -> dict[str, Tensor]:
        found = self.answers(batch)
        outputs = {name: value for name, value in found.items() if name.startswith("has_")}
        log_probs: dict[str, Tensor] = {head: found[f"log_{head}"] for head in self.heads}
        return complete({**outputs, **log_probs, "face_terms": found})

    def answers(self, batch: Mapping[str, Tensor]) -> dict[str, Tensor]:
        """All that goes into `answer` and comes out, calibrated probabilities too, and the face's terms."""
        batch = {name: value.cpu() for name, value in batch.items()}
        inputs: dict[str, Tensor] = {}
        window: dict[str, Tensor] = {}
        if self.spec.use_face:
            clip_mask, features = batch["clip_mask"], batch.get("clip_features")
            if features is None:
                features = self._features(batch["frames"], clip_mask)
            window = self.run("window", features=features, clip_mask=clip_mask)
            inputs |= {"face": window["face"], "has_face": clip_mask.any(dim=1)}
        if self.spec.use_body:
            body = self.run("body", keypoints=batch["keypoints"])
            inputs |= {"body": body["body"], "has_body": body["seen"] & batch["body_mask"]}
            if "face_features" in window:
                inputs["face_features"] = window["face_features"]
                inputs["body_features"] = body["body_features"]
        return {**window, **inputs, **self.run("answer", **inputs)}

    def run(self, graph: str, **inputs: Tensor) -> dict[str, Tensor]:
        """Runs one graph on tensors on the CPU. ValueError where a shape is not what it takes."""
        for name, tensor in inputs.items():
            shape = self.shapes[graph][name]
            fits = tensor.ndim == len(shape) and all(
                isinstance(axis, str) or axis == size for axis, size in zip(shape, tensor.shape, strict=True)
            )
            if not fits:
                raise ValueError(f"{name} must be {tuple(shape)}, not {tuple(tensor.shape)}")
        return self.networks[graph](inputs)

    def _features(self, frames: Tensor, clip_mask: Tensor) -> Tensor:
        """frames (B, C, K, S, S, 3), clip_mask (B, C) -> (B, C, F), zero where masked."""
        features = torch.zeros(clip_mask.numel(), self.num_features)
        index = rearrange(clip_mask, "b c -> (b c)").nonzero()[:, 0]
        if len(index):
            clips = rearrange(frames, "b c ... -> (b c) ...")[index]
            features[index] = self.clip_features(clips)
        return rearrange(features, "(b c) f -> b c f", b=len(clip_mask))


def load_model(model: str | Path, device: str | None = None) -> TrainedModel:
    """Opens a run folder, an ensemble's or an exported folder. CheckpointError in one line where it is none.

    model: the folder, or the word "builtin" for the model that comes with videofer.

    device: "cpu" or "cuda"; None: for a run a GPU where torch has one. An export runs on the CPU only.
    UserError in one line for another word, or where torch has no GPU.
    No code of a folder's is run: torch.export's pickles are not opened, see `videofer.export.archive`.
    """
    path = model_path(model)
    if not (path / DESCRIPTION).is_file():
        load = load_ensemble if (path / ENSEMBLE).is_file() else load_checkpoint
        if device is None:
            device = "cuda" if torch.cuda.is_available() else "cpu"
        return load(path, device=require_device(device))
    with errors_in_one_line(path):
        return _load_export(path, device)


def _load_export(path: Path, device: str | None) -> ExportedModel:
    description = read_json(path / DESCRIPTION)
    if not isinstance(description, dict):
        raise CheckpointError(f"{DESCRIPTION} is no table")
    version, format_ = description.get("format_version"), description.get("format")
    if version != FORMAT_VERSION or format_ not in SUFFIXES:
        raise CheckpointError(
            f"it was exported as {format_!r}, format version {version!r}; this videofer reads version "
            f"{FORMAT_VERSION} of {' and '.join(SUFFIXES)}: export the run again"
        )
    facts = read_facts(path)
    if device is not None and as_device(device) != "cpu":
        raise CheckpointError(f"an export runs on the CPU here, not on {device!r}")
    face, body = facts["recipe"].model.face, facts["recipe"].model.body
    names = (*(("clip", "window") if face else ()), *(("body",) if body else ()), "answer")
    return ExportedModel(
        path=path,
        networks={name: open_network(path, name, format_) for name in names},
        shapes={name: description["graphs"][name]["inputs"] for name in names},
        clip_width=int(description["num_features"]),
        device=torch.device("cpu"),
        weights_sha256=sha256_of(path / f"{name}{SUFFIXES[format_]}" for name in names),
        **facts,
    )


def open_network(path: Path, name: str, format_: Format) -> Network:
    """One graph of an exported folder."""
    from videofer.export.onnx_format import OnnxNetwork
    from videofer.export.torch_format import TorchNetwork

    file = path / f"{name}{SUFFIXES[format_]}"
    return OnnxNetwork(file) if format_ == "onnx" else TorchNetwork(file)
