"""The engines of a run: chosen once by the driver, built in every worker exactly as chosen."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import TYPE_CHECKING, Any

from preprocessing import faces, landmarks, skeletons
from preprocessing.device import CPU, Device
from preprocessing.network import HERE, Place
from preprocessing.tracking.describe import FaceEmbedder
from preprocessing.types import FaceDetector, LandmarkEngine, SkeletonEngine, Source
from preprocessing.weights import EngineChoice, WeightFile, WeightsError, named

if TYPE_CHECKING:
    from preprocessing.decode import AnyDecoder
    from preprocessing.decode.limits import Limits
    from preprocessing.spec import PreprocessSpec

PACKAGES = (
    "av",
    "decord2",
    "torchcodec",
    "opencv-python-headless",
    "onnxruntime",
    "facenet-pytorch",
    "face-alignment",
    "mmpose",
    "mmcv",
    "torch",
    "numpy",
    "h5py",
)
"""Whose versions are stored with every video: they may change pixels, boxes or joints."""


PLAIN = EngineChoice("plain")
"""People are told apart by what needs no weights."""
NO_LANDMARKS = EngineChoice("none", reason="not asked for")


@dataclass(frozen=True)
class EngineChoices:
    """What decodes, finds faces, skeletons and landmarks. Plain data: it passes between processes."""

    decoder: str
    faces: EngineChoice
    skeletons: EngineChoice
    appearance: EngineChoice = PLAIN  # how people are told apart
    landmarks: EngineChoice = NO_LANDMARKS  # dense ones of faces

    def to_json(self) -> dict[str, Any]:
        return {
            "decoder": self.decoder,
            "faces": self.faces.to_json(),
            "skeletons": self.skeletons.to_json(),
            "appearance": self.appearance.to_json(),
            "landmarks": self.landmarks.to_json(),
        }

    @classmethod
    def from_json(cls, data: dict[str, Any]) -> EngineChoices:
        return cls(
            data["decoder"],
            EngineChoice.from_json(data["faces"]),
            EngineChoice.from_json(data["skeletons"]),
            EngineChoice.from_json(data["appearance"]),
            EngineChoice.from_json(data["landmarks"]),
        )


@dataclass(frozen=True)
class Engines:
    """The built engines of one worker, and which of them serve a given video."""

    choices: EngineChoices
    faces: FaceDetector
    skeletons: SkeletonEngine | None  # the one that serves every video; sidecars are each video's own
    embedder: FaceEmbedder | None = None  # of faces, where people are told apart by a network
    landmarks: LandmarkEngine | None = None  # dense ones of faces, where they are asked for
    device: Device = CPU  # that the networks run on

    def decoder_for(self, source: Source, limits: Limits | None = None) -> AnyDecoder:
        """The decoder of an input: the chosen one for video files, that of its kind for others."""
        from preprocessing.decode import decoder_for

        return decoder_for(source.kind, self.choices.decoder, limits)

    def faces_for(self, source: Source) -> FaceDetector | None:
        """The face detector, or None for an input without pictures."""
        return None if source.kind == "keypoints" else self.faces

    def skeletons_for(self, source: Source) -> SkeletonEngine | None:
        """The skeleton engine of an input, or None where it has none.

        Keypoints without a video are read whatever was chosen: they are the input. Raises
        InputError("skeletons", ...) if they or a sidecar cannot be read.
        """
        if source.kind == "keypoints":
            return skeletons.Sidecar(skeletons.load_sidecar(source.path, gaps=False))
        if self.choices.skeletons.name == "sidecar" and source.sidecar is not None:
            return skeletons.Sidecar(skeletons.load_sidecar(source.sidecar))
        return self.skeletons

    def provenance(self, source: Source) -> dict[str, Any]:
        """What is stored with an input that these engines processed."""
        skeletons_of_source = self.choices.skeletons
        if source.kind == "keypoints":
            skeletons_of_source = EngineChoice("sidecar", reason="the input is a keypoint file")
        elif skeletons_of_source.name == "sidecar" and source.sidecar is None:
            skeletons_of_source = EngineChoice("none", reason="no keypoint file beside it")
        detector, dense = self.choices.faces, self.landmarks
        if source.kind == "keypoints":
            detector, dense = EngineChoice("none", reason="the input has no pictures"), None
        return {
            "decoder": self.choices.decoder,
            "detector": detector.provenance(),
            "skeletons": skeletons_of_source.provenance(),
            "appearance": self.choices.appearance.provenance(),
            "landmarks": dense.provenance if dense else NO_LANDMARKS.provenance(),
            "device": self.device,
            "versions": package_versions(),
        }


def engines_of(spec: PreprocessSpec, weights_dir: Path | None = None, *, gpu: bool = False) -> EngineChoices:
    """The engines that a spec asks for. Raises as `resolve_engines`."""
    return resolve_engines(
        decoder=spec.decoder,
        faces_name=spec.faces,
        pose=spec.pose,
        skeleton=spec.skeleton,
        appearance=spec.appearance,
        landmarks_name=spec.landmarks,
        weights_dir=weights_dir,
        gpu=gpu,
    )


def resolve_engines(
    *,
    decoder: str = "pyav",
    faces_name: str = "auto",
    pose: str = "sidecar",
    skeleton: str | None = None,
    appearance: str = "plain",
    landmarks_name: str = "none",
    weights_dir: Path | None = None,
    gpu: bool = False,
) -> EngineChoices:
    """Chooses all engines on the driver. WeightsError (one line) if one cannot be had as asked.

    gpu: torchcodec decodes on the GPUs of the workers.
    """
    return EngineChoices(
        decoder=_resolve_decoder(decoder, gpu=gpu),
        faces=faces.resolve(faces_name, weights_dir),
        skeletons=skeletons.resolve_skeletons(pose, weights_dir, layout=skeleton),
        appearance=_resolve_appearance(appearance, weights_dir),
        landmarks=landmarks.resolve(landmarks_name, weights_dir),
    )


def _resolve_decoder(name: str, *, gpu: bool) -> str:
    """A name of `preprocessing.decode.DECODERS`. The workers see for themselves whether they have a GPU."""
    from preprocessing.decode import DECODERS, FASTEST, NAMES

    if name not in NAMES:
        raise WeightsError(f"unknown decoder {name!r}; known: {', '.join(NAMES)}")
    if name == "auto":
        return FASTEST
    if (why := DECODERS[name].usable()) is not None:
        raise WeightsError(f"decoder '{name}' is not usable: {why}")
    return "torchcodec:cuda" if name == "torchcodec" and gpu else name


def _resolve_appearance(text: str, weights_dir: Path | None) -> EngineChoice:
    """`plain`, `none`, or `onnx:FILE`: a path, or a name in the folders of weights."""
    if not text.startswith("onnx:"):
        return EngineChoice(text, reason="as asked")
    path = named(text.removeprefix("onnx:"), "face embedding", weights_dir)
    choice = EngineChoice("onnx", {"embedding": WeightFile.of(path)}, "as asked")
    FaceEmbedder(path)  # a file of another kind is refused now, not by every worker
    return choice


def build_engines(choices: EngineChoices, place: Place = HERE) -> Engines:
    """Builds in a worker exactly what the driver chose, or raises WeightsError.

    place: where ONNX networks run, in this process or in one that holds a GPU.
    """
    return Engines(
        choices=choices,
        faces=faces.build(choices.faces, place),
        skeletons=skeletons.build_skeletons(choices.skeletons, place),
        embedder=FaceEmbedder(choices.appearance.weights["embedding"].checked(), place)
        if choices.appearance.name == "onnx"
        else None,
        landmarks=landmarks.build(choices.landmarks, place),
        device=place.device,
    )


def require_decoder(choices: EngineChoices) -> None:
    """WeightsError (one line) where this worker cannot decode as the driver chose: no GPU, no FFmpeg."""
    from preprocessing.decode import DECODERS

    if (why := DECODERS[choices.decoder].usable()) is not None:
        raise WeightsError(f"decoder '{choices.decoder}' is not usable by this worker: {why}")


@cache
def package_versions() -> dict[str, str]:
    """Installed versions of the libraries that make pixels and numbers; a missing one is left out."""
    versions = {}
    for name in PACKAGES:
        try:
            versions[name] = version(name)
        except PackageNotFoundError:
            continue
    return versions
