"""Tries skeleton engines. A network that the probe makes itself stands for those that users bring."""

from __future__ import annotations

import tempfile
from collections.abc import Callable
from dataclasses import replace
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np

from cache.errors import UserError
from videofer.doctor.findings import Finding, speed

RECOMMENDED = "body-balanced"
PERSON_BOX = (58.0, 18.0, 440.0, 360.0)  # x0, y0, x1, y1: the person in the photograph
INPUT_WH = (192, 256)
JOINT_XY = (24, 40)  # in a heatmap of a quarter of the input: where the network that we make sees every joint


Rate = Callable[[Callable[[], object]], float]
"""Calls a second of what it is given."""


def try_skeletons(name: str, rate: Rate, *, quick: bool) -> Finding:
    """Raises what a run would say where the engine is not usable."""
    if name == "mmpose":
        return _try_mmpose()
    if name == "rtmlib":
        return _try_rtmlib(rate, quick=quick)
    with tempfile.TemporaryDirectory() as folder:
        path = _write_network(Path(folder) / "pose.onnx")
        per_second = _people_per_second(f"onnx:{path}", rate, quick=quick)
    finding = speed(name, per_second, "people/s with a tiny network")
    return finding if finding.seen else replace(finding, seen="takes your files")


def _try_mmpose() -> Finding:
    """Whether it is installed. It has no weights of its own, so there is nothing to time."""
    from preprocessing.skeletons import mmpose_engine

    reason = mmpose_engine.usable()
    if reason is not None:
        raise UserError(reason)
    return Finding("mmpose", "ok", f"{version('mmpose')}; takes your configs and checkpoints")


def _try_rtmlib(rate: Rate, *, quick: bool) -> Finding:
    """Which of the published models have their weights here; the first one is timed."""
    from preprocessing.skeletons import resolve_skeletons
    from preprocessing.skeletons.rtmlib_models import NAMES
    from preprocessing.weights import WeightsError

    usable, why = [], ""
    for model in NAMES:
        try:
            resolve_skeletons(f"rtmlib:{model}")
            usable.append(model)
        except WeightsError as error:
            why = str(error) if model == RECOMMENDED else why
    if not usable:
        raise UserError(why)
    first = usable[0]
    finding = speed(
        "rtmlib", _people_per_second(f"rtmlib:{first}", rate, quick=quick), f"people/s by {first}"
    )
    here = f"{len(usable)} of {len(NAMES)} models are here: {', '.join(usable)}"
    return replace(finding, seen=f"{finding.seen}; {here}".removeprefix("; "))


def _people_per_second(engine_name: str, rate: Rate, *, quick: bool) -> float | None:
    """None if quick."""
    from preprocessing.decode.frames import PixelFrame
    from preprocessing.skeletons import build_skeletons, resolve_skeletons
    from videofer.doctor.samples import photograph

    engine = build_skeletons(resolve_skeletons(engine_name))
    assert engine is not None
    if quick:
        return None
    frame, boxes = PixelFrame(photograph(), 0, 1), np.array([PERSON_BOX], np.float32)

    def detect() -> object:
        return engine.detect(frame, 0, 0.0, boxes)

    return rate(detect)


def _write_network(path: Path) -> Path:
    """A pose model of 17 heatmaps: a few convolutions, and a peak at JOINT_XY whatever the picture."""
    import onnx
    from onnx import TensorProto, helper, numpy_helper

    width, height = INPUT_WH[0] // 4, INPUT_WH[1] // 4
    peak = np.zeros((1, 17, height, width), np.float32)
    peak[:, :, JOINT_XY[1], JOINT_XY[0]] = 1.0
    generator = np.random.default_rng(0)
    weights = {
        "first": generator.normal(0, 1e-3, (32, 3, 3, 3)).astype(np.float32),
        "second": generator.normal(0, 1e-3, (17, 32, 3, 3)).astype(np.float32),
        "peak": peak,
    }
    convolution: dict[str, Any] = {"kernel_shape": [3, 3], "pads": [1, 1, 1, 1], "strides": [2, 2]}
    nodes = [
        helper.make_node("Conv", ["image", "first"], ["features"], **convolution),
        helper.make_node("Conv", ["features", "second"], ["noise"], **convolution),
        helper.make_node("Add", ["noise", "peak"], ["heatmaps"]),
    ]
    graph = helper.make_graph(
        nodes,
        "pose",
        [helper.make_tensor_value_info("image", TensorProto.FLOAT, [1, 3, INPUT_WH[1], INPUT_WH[0]])],
        [helper.make_tensor_value_info("heatmaps", TensorProto.FLOAT, [1, 17, height, width])],
        [numpy_helper.from_array(array, key) for key, array in weights.items()],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 13)], ir_version=8)
    onnx.save(model, str(path))
    return path
