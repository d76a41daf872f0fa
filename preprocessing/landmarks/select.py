"""Which dense landmarks a run finds, and by what: resolved once by the driver, built in every worker."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from preprocessing.landmarks.layouts import IBUG68, MESH468
from preprocessing.landmarks.mesh import ROLE, FaceMesh
from preprocessing.network import HERE, Place
from preprocessing.types import LandmarkEngine
from preprocessing.weights import EngineChoice, WeightFile, WeightsError, find

MESH_FILE = "facemesh_468.onnx"

LANDMARK_ENGINES: dict[str, Callable[[EngineChoice, Place], LandmarkEngine]] = {
    "mesh": lambda choice, place: FaceMesh(choice, IBUG68.name, place),
    "mesh468": lambda choice, place: FaceMesh(choice, MESH468.name, place),
}


def resolve(name: str = "none", weights_dir: Path | None = None) -> EngineChoice:
    """The engine and its files on this machine. WeightsError (one line) if `name` cannot be had.

    mesh: the 68 points that systems are trained with, by the face mesh; mesh468: all that it finds.
    """
    if name == "none":
        return EngineChoice(name, reason="asked for")
    if name not in LANDMARK_ENGINES:
        raise WeightsError(f"unknown landmarks {name!r}; known: none, {', '.join(LANDMARK_ENGINES)}")
    path = find(MESH_FILE, weights_dir)
    if path is None:
        raise WeightsError(
            f"no weights for landmarks '{name}': put {MESH_FILE} into --weights-dir or $VIDEOFER_WEIGHTS"
        )
    return EngineChoice(name, {ROLE: WeightFile.of(path)}, "face mesh through ONNX Runtime")


def build(choice: EngineChoice, place: Place = HERE) -> LandmarkEngine | None:
    """Exactly the chosen engine with exactly the chosen files, or WeightsError; None for `none`.

    place: where its network runs.
    """
    if choice.name == "none":
        return None
    if choice.name not in LANDMARK_ENGINES:
        raise WeightsError(f"unknown landmarks {choice.name!r}; known: none, {', '.join(LANDMARK_ENGINES)}")
    return LANDMARK_ENGINES[choice.name](choice, place)
