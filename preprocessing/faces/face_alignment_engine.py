"""The detectors of face-alignment 1.5 as engines: `face-alignment:sfd`, `:blazeface`, `:yunet` and so on.

The networks and their weights are those of face-alignment, the weights from our own folders; reading what the
networks say is done here, for whole batches and with the five landmarks, which face-alignment drops. `yunet`
and `scrfd` are ONNX files and need the package for nothing.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from preprocessing.faces import blazeface, retinaface, scrfd, sfd, yunet
from preprocessing.faces.blazeface import BlazeFace
from preprocessing.faces.retinaface import RetinaFace
from preprocessing.faces.scrfd import SCRFD
from preprocessing.faces.sfd import SFD
from preprocessing.faces.yunet import PUBLISHED_FILE, YuNetOpenCV
from preprocessing.network import Place
from preprocessing.torch_network import missing_package
from preprocessing.types import FaceDetector
from preprocessing.weights import EngineChoice, WeightFile, WeightsError, find, missing

PREFIX = "face-alignment:"


@dataclass(frozen=True)
class Detector:
    """One of face-alignment's detectors."""

    build: Callable[[EngineChoice, Place, float], FaceDetector]
    min_score: float
    files: dict[str, str]  # role -> short name or file name in the registry of weights
    needs_package: bool  # its network is a class of face-alignment


def _yunet(choice: EngineChoice, _place: Place, min_score: float) -> FaceDetector:
    detector = YuNetOpenCV(choice, min_score)
    detector.name = choice.name
    return detector


DETECTORS = {
    "sfd": Detector(SFD, sfd.MIN_SCORE, {"detector": "sfd", "landmarks": "fan"}, needs_package=True),
    "blazeface": Detector(
        BlazeFace,
        blazeface.MIN_SCORE,
        {"detector": "blazeface", "anchors": "blazeface-anchors"},
        needs_package=True,
    ),
    "yunet": Detector(_yunet, yunet.MIN_SCORE, {PUBLISHED_FILE: PUBLISHED_FILE}, needs_package=False),
    "retinaface": Detector(RetinaFace, retinaface.MIN_SCORE, {"detector": "retinaface"}, needs_package=True),
    "scrfd": Detector(SCRFD, scrfd.MIN_SCORE, {"detector": "scrfd"}, needs_package=False),
}


def resolve(name: str, weights_dir: Path | None = None) -> EngineChoice:
    """The detector with its files on this machine. WeightsError (one line) says what is missing and mends it.

    name: with PREFIX.
    """
    detector = DETECTORS[name.removeprefix(PREFIX)]
    if detector.needs_package and (reason := missing_package()) is not None:
        raise WeightsError(f"face detector '{name}' is not usable: {reason}")
    paths = {role: find(file, weights_dir) for role, file in detector.files.items()}
    absent = [file for role, file in detector.files.items() if paths[role] is None]
    if absent:
        raise missing(*absent, engine=name)
    weights = {role: WeightFile.of(path) for role, path in paths.items() if path is not None}
    return EngineChoice(name, weights, "asked for")


def build(choice: EngineChoice, place: Place, min_score: float | None) -> FaceDetector:
    """See `preprocessing.faces.build`."""
    detector = DETECTORS[choice.name.removeprefix(PREFIX)]
    return detector.build(choice, place, detector.min_score if min_score is None else min_score)
