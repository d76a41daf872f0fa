"""Which dense landmarks a run finds, and by what: resolved once by the driver, built in every worker."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from preprocessing.landmarks import fan, mesh
from preprocessing.landmarks.fan import FanLandmarks
from preprocessing.landmarks.layouts import IBUG68, MESH468
from preprocessing.landmarks.mesh import FaceMesh
from preprocessing.network import HERE, Place
from preprocessing.torch_network import missing_package
from preprocessing.types import LandmarkEngine
from preprocessing.weights import EngineChoice, WeightFile, WeightsError, find, missing


@dataclass(frozen=True)
class Engine:
    """A choice of dense landmarks."""

    build: Callable[[EngineChoice, Place], LandmarkEngine]
    role: str  # of its weight file in the choice
    file: str  # short name in the registry of weights
    by: str  # for people
    needs_package: bool = False  # its network is a class of face-alignment


def _mesh(layout: str) -> Engine:
    def build(choice: EngineChoice, place: Place) -> LandmarkEngine:
        return FaceMesh(choice, layout, place)

    return Engine(build, mesh.ROLE, "facemesh", "face mesh through ONNX Runtime")


LANDMARK_ENGINES = {
    "mesh": _mesh(IBUG68.name),
    "mesh468": _mesh(MESH468.name),
    "fan": Engine(FanLandmarks, fan.ROLE, "fan", "FAN of face-alignment", needs_package=True),
    "fan3d": Engine(FanLandmarks, fan.ROLE, "fan3d", "3D FAN of face-alignment", needs_package=True),
}


def resolve(name: str = "none", weights_dir: Path | None = None) -> EngineChoice:
    """The engine and its files on this machine. WeightsError (one line) if `name` cannot be had.

    mesh: the 68 points that systems are trained with, by the face mesh; mesh468: all that it finds; fan,
    fan3d: the 68 points as FAN sees them, or those of the face's solid shape.
    """
    if name == "none":
        return EngineChoice(name, reason="asked for")
    engine = _known(name)
    if engine.needs_package and (reason := missing_package()) is not None:
        raise WeightsError(f"landmarks '{name}' are not usable: {reason}")
    path = find(engine.file, weights_dir)
    if path is None:
        raise missing(engine.file, engine=name)
    return EngineChoice(name, {engine.role: WeightFile.of(path)}, engine.by)


def build(choice: EngineChoice, place: Place = HERE) -> LandmarkEngine | None:
    """Exactly the chosen engine with exactly the chosen files, or WeightsError; None for `none`.

    place: where its network runs.
    """
    return None if choice.name == "none" else _known(choice.name).build(choice, place)


def _known(name: str) -> Engine:
    if name not in LANDMARK_ENGINES:
        raise WeightsError(f"unknown landmarks {name!r}; known: none, {', '.join(LANDMARK_ENGINES)}")
    return LANDMARK_ENGINES[name]
