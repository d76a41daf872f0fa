"""RTMPose, RTMW and RTMO by the names of the package rtmlib: `rtmlib:body-balanced`.

The package itself is not needed: the models are ONNX files, and ours is the code that runs them.

    body-KIND       17 joints    YOLOX finds people, RTMPose reads them
    body26-KIND     26 joints    the same, with feet
    wholebody-KIND  133 points   YOLOX and RTMW: body, feet, face, hands
    rtmo-KIND       17 joints    RTMO, everybody in one pass

KIND is lightweight, balanced or performance.
"""

from __future__ import annotations

from pathlib import Path

from preprocessing.weights import REGISTRY, EngineChoice, WeightFile, WeightsError, find, missing
from preprocessing.weights.known_skeletons import PERSONS

PREFIX = "rtmlib:"
NAMES = tuple(
    dict.fromkeys(
        engine.removeprefix(PREFIX)
        for weight in REGISTRY
        for engine in weight.engines
        if engine.startswith(PREFIX)
    )
)
"""All that may follow `rtmlib:`."""
_PERSONS = {weight.name for weight in PERSONS}


def resolve_rtmlib(name: str, weights_dir: Path | None = None) -> EngineChoice:
    """The choice of the models of that name. WeightsError (one line) where one is not on this machine."""
    if name not in NAMES:
        raise WeightsError(f"unknown rtmlib model {name!r}; known: {', '.join(sorted(NAMES))}")
    wanted = REGISTRY.of_engine(PREFIX + name)
    found = {weight: find(weight.name, weights_dir) for weight in wanted}
    absent = [weight.name for weight, path in found.items() if path is None]
    if absent:
        raise missing(*absent, engine=PREFIX + name)
    weights = {
        "person" if weight.name in _PERSONS else "pose": WeightFile.of(path)
        for weight, path in found.items()
        if path is not None
    }
    names = sorted((weight.name for weight in wanted), key=lambda name: name in _PERSONS)
    return EngineChoice(PREFIX + name, weights, " with ".join(names))
