"""Which face detector a run uses: resolved once by the driver, built from that choice in every worker."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from preprocessing.faces import face_alignment_engine, mtcnn, yunet
from preprocessing.faces.mtcnn import MTCNN, bundled_weights
from preprocessing.faces.precropped import Precropped
from preprocessing.faces.yunet import DYNAMIC_FILE, PUBLISHED_FILE, YuNetOnnx, YuNetOpenCV
from preprocessing.network import HERE, Place
from preprocessing.types import FaceDetector
from preprocessing.weights import EngineChoice, WeightFile, WeightsError, find, missing


def _yunet(choice: EngineChoice, place: Place, min_score: float | None) -> FaceDetector:
    least = yunet.MIN_SCORE if min_score is None else min_score
    if DYNAMIC_FILE in choice.weights:
        return YuNetOnnx(choice, place, least)
    return YuNetOpenCV(choice, least)


def _mtcnn(choice: EngineChoice, place: Place, min_score: float | None) -> FaceDetector:
    return MTCNN(choice, mtcnn.MIN_SCORE if min_score is None else min_score, place)


FACE_DETECTORS: dict[str, Callable[[EngineChoice, Place, float | None], FaceDetector]] = {
    "yunet": _yunet,
    "mtcnn": _mtcnn,
    "precropped": lambda choice, _place, _min_score: Precropped(choice),
    **{
        face_alignment_engine.PREFIX + name: face_alignment_engine.build
        for name in face_alignment_engine.DETECTORS
    },
}


def resolve(name: str = "auto", weights_dir: Path | None = None) -> EngineChoice:
    """The detector and its files on this machine. WeightsError (one line) if `name` cannot be had.

    `auto`: YuNet where its weights are or can be fetched, else MTCNN; the reason says which and why.
    """
    if name == "auto":
        found = _find_yunet(weights_dir)
        if found is not None:
            return found
        return _choose_mtcnn("YuNet's weights are neither on this machine nor downloadable")
    if name == "yunet":
        found = _find_yunet(weights_dir)
        if found is None:
            raise missing(PUBLISHED_FILE)
        return found
    if name == "mtcnn":
        return _choose_mtcnn("asked for")
    if name == "precropped":
        return EngineChoice(name, reason="asked for")
    if name in FACE_DETECTORS:
        return face_alignment_engine.resolve(name, weights_dir)
    raise WeightsError(f"unknown face detector {name!r}; known: auto, {', '.join(FACE_DETECTORS)}")


def build(choice: EngineChoice, place: Place = HERE, min_score: float | None = None) -> FaceDetector:
    """Exactly the chosen detector with exactly the chosen files, or WeightsError.

    place: where the detector's networks run. min_score: faces of less are left out; None: the
    detector's own threshold, for footage.
    """
    if choice.name not in FACE_DETECTORS:
        raise WeightsError(f"unknown face detector {choice.name!r}; known: {', '.join(FACE_DETECTORS)}")
    return FACE_DETECTORS[choice.name](choice, place, min_score)


def _find_yunet(weights_dir: Path | None) -> EngineChoice | None:
    path = find(DYNAMIC_FILE, weights_dir)
    if path is not None:
        return EngineChoice("yunet", {DYNAMIC_FILE: WeightFile.of(path)}, "YuNet through ONNX Runtime")
    path = find(PUBLISHED_FILE, weights_dir)
    if path is not None:
        return EngineChoice("yunet", {PUBLISHED_FILE: WeightFile.of(path)}, "YuNet through OpenCV")
    return None


def _choose_mtcnn(why: str) -> EngineChoice:
    try:
        weights = {path.name: WeightFile.of(path) for path in bundled_weights()}
    except ImportError as error:
        raise WeightsError(f"face detector 'mtcnn' is not usable: {error}") from error
    return EngineChoice("mtcnn", weights, f"MTCNN, bundled with facenet-pytorch: {why}")
