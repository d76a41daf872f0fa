"""Which skeleton engine a run uses: resolved once by the driver, built from that choice in every worker.

none | sidecar                 no skeletons; keypoint files beside the videos
onnx:POSE[,PERSON]             any top-down model, or one-stage model, as an ONNX file
rtmlib:NAME                    published models by their names, see `rtmlib_models`
mmpose:CONFIG[,CHECKPOINT[,PERSON]]   any top-down config of mmpose, see `mmpose_engine`
"""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from preprocessing.network import HERE, Place
from preprocessing.skeletons.in_layout import in_layout, why_not
from preprocessing.skeletons.onestage import OneStage, is_one_stage
from preprocessing.skeletons.onnx_pose import OnnxPose
from preprocessing.skeletons.persons import PersonDetector
from preprocessing.skeletons.rtmlib_models import PREFIX as RTMLIB
from preprocessing.skeletons.rtmlib_models import resolve_rtmlib
from preprocessing.skeletons.topdown import TopDown
from preprocessing.weights import EngineChoice, WeightFile, WeightsError, named

ALLOWED = "none, sidecar, onnx:POSE[,PERSON], rtmlib:NAME, mmpose:CONFIG[,CHECKPOINT]"
MMPOSE = "mmpose:"


def resolve_skeletons(
    spec: str = "sidecar", weights_dir: Path | None = None, *, layout: str | None = None
) -> EngineChoice:
    """The engine and its files. A model is a path, or a name in the folders where weights lie.

    layout: what its joints must be, or can be brought to. The models are opened once to see that they are
    what they are said to be. WeightsError in one line.
    """
    if spec == "none":
        return EngineChoice("none", reason="asked for")
    if spec == "sidecar":
        return EngineChoice("sidecar", reason="keypoint files beside the videos")
    choice = _resolve_model(spec, weights_dir)
    engine = build_skeletons(choice)
    assert engine is not None
    if layout is None or layout == engine.layout:
        return choice
    if in_layout(engine, layout) is None:
        raise WeightsError(f"pose {spec} cannot make skeleton {layout}: {why_not(engine.layout, layout)}")
    return replace(
        choice, reason=f"{choice.reason}; of its {engine.layout} joints those of {layout} are kept"
    )


def build_skeletons(choice: EngineChoice, place: Place = HERE) -> TopDown | OneStage | None:
    """The engine that serves every video; None for `none`, and for `sidecar`: each video has its own."""
    if choice.name in ("none", "sidecar"):
        return None
    person = choice.weights.get("person")
    if choice.name.startswith(MMPOSE):
        from preprocessing.skeletons.mmpose_engine import MmposePose

        persons = PersonDetector(person.checked(), place) if person is not None else None
        return TopDown(choice, MmposePose(choice, place), persons)
    if choice.name != "onnx" and not choice.name.startswith(RTMLIB):
        raise WeightsError(f"unknown skeleton engine {choice.name!r}; known: {ALLOWED}")
    path = choice.weights["pose"].checked()
    network = place.network(path)
    if is_one_stage(network):
        if person is not None:
            raise WeightsError(f"{path} finds people itself: leave the person detector {person.path} out")
        return OneStage(path, network, choice)
    pose = OnnxPose(path, network)
    return TopDown(choice, pose, PersonDetector(person.checked(), place) if person is not None else None)


def _resolve_model(spec: str, weights_dir: Path | None) -> EngineChoice:
    kind, _, rest = spec.partition(":")
    if spec.startswith(RTMLIB):
        return resolve_rtmlib(rest, weights_dir)
    if spec.startswith(MMPOSE) and rest:
        from preprocessing.skeletons.mmpose_engine import resolve_mmpose

        return resolve_mmpose(rest, weights_dir)
    if kind != "onnx" or not rest:
        raise WeightsError(f"unknown skeleton engine {spec!r}; allowed: {ALLOWED}")
    names = [name.strip() for name in rest.split(",")]
    if len(names) > 2 or not all(names):
        raise WeightsError(f"skeleton engine {spec!r} names {len(names)} files; allowed: {ALLOWED}")
    weights = {
        role: WeightFile.of(named(name, "pose or person model", weights_dir))
        for role, name in zip(("pose", "person"), names, strict=False)
    }
    return EngineChoice("onnx", weights, " with ".join(Path(name).name for name in names))
