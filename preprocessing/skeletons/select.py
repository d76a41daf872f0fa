"""Which skeleton engine a run uses: `none`, `sidecar`, or `onnx:POSE[,PERSON]`."""

from __future__ import annotations

from pathlib import Path

from preprocessing.network import HERE, Place
from preprocessing.skeletons.topdown import TopDown
from preprocessing.types import SkeletonEngine
from preprocessing.weights import EngineChoice, WeightFile, WeightsError, find

ALLOWED = "none, sidecar, onnx:POSE.onnx[,PERSON.onnx]"


def resolve_skeletons(spec: str = "sidecar", weights_dir: Path | None = None) -> EngineChoice:
    """The engine and its files. A model is a path, or a name in the folders where weights lie.

    The models are opened once to see that they are what they are said to be. WeightsError in one line.
    """
    if spec == "none":
        return EngineChoice("none", reason="asked for")
    if spec == "sidecar":
        return EngineChoice("sidecar", reason="keypoint files beside the videos")
    kind, _, files = spec.partition(":")
    if kind != "onnx" or not files:
        raise WeightsError(f"unknown skeleton engine {spec!r}; allowed: {ALLOWED}")
    names = [name.strip() for name in files.split(",")]
    if len(names) > 2 or not all(names):
        raise WeightsError(f"skeleton engine {spec!r} names {len(names)} files; allowed: {ALLOWED}")
    weights = {
        role: WeightFile.of(_locate(name, weights_dir))
        for role, name in zip(("pose", "person"), names, strict=False)
    }
    choice = EngineChoice("onnx", weights, "top-down ONNX model")
    TopDown(choice)
    return choice


def build_skeletons(choice: EngineChoice, place: Place = HERE) -> SkeletonEngine | None:
    """The engine that serves every video; None for `none`, and for `sidecar`: each video has its own."""
    if choice.name in ("none", "sidecar"):
        return None
    if choice.name != "onnx":
        raise WeightsError(f"unknown skeleton engine {choice.name!r}; known: none, sidecar, onnx")
    return TopDown(choice, place)


def _locate(name: str, weights_dir: Path | None) -> Path:
    path = Path(name).expanduser()
    if path.is_file():
        return path
    found = find(name, weights_dir, download=False) if path.name == name else None
    if found is None:
        raise WeightsError(f"no such pose or person model: {name}")
    return found
