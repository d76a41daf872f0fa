"""What int8 would bring: each ONNX model as it is and quantised, side by side on one thread.

    .venv/bin/python tools/bench_int8.py VIDEO --weights-dir DIR [--looks 40] [--rounds 15]

The models are quantised statically (QDQ, weights per channel, calibrated by min and max) by ONNX Runtime's
own tool on looks at the first half of VIDEO, compared on looks at the second half: time of a run, and how far
the results are apart, found by the same code that workers run. Quantised models live in a temporary folder.
"""

from __future__ import annotations

import argparse
import statistics
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from itertools import islice
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import onnx
import onnx.version_converter
import onnxruntime
from onnxruntime.quantization import CalibrationDataReader, QuantFormat, QuantType, quantize_static
from onnxruntime.quantization.shape_inference import quant_pre_process

from preprocessing.decode import decoder_for
from preprocessing.faces.yunet import DYNAMIC_FILE, YuNetOnnx
from preprocessing.probe import probe
from preprocessing.skeletons.topdown import TopDown
from preprocessing.types import Frame, Source
from preprocessing.weights import EngineChoice, WeightFile

POSE, PERSON = "tinypose_256x192.onnx", "rtmdet_nano_person_end2end.onnx"
SEARCHED_WH = (320, 192)
PER_CHANNEL_OPSET = 13  # the first in which scales may differ from channel to channel


class Spy:
    """Stands before a session, keeps what it is fed and how long it takes."""

    def __init__(self, session: Any) -> None:
        self._session = session
        self.feeds: list[dict[str, np.ndarray]] = []

    def __getattr__(self, name: str) -> Any:
        return getattr(self._session, name)

    def run(self, outputs: list[str] | None, feed: dict[str, np.ndarray]) -> Any:
        self.feeds.append({name: value.copy() for name, value in feed.items()})
        return self._session.run(outputs, feed)


class Looks(CalibrationDataReader):
    """Recorded inputs, one after the other, as the quantiser asks for them."""

    def __init__(self, feeds: list[dict[str, np.ndarray]]) -> None:
        self._feeds = iter(feeds)

    def get_next(self) -> dict[str, np.ndarray] | None:
        return next(self._feeds, None)


def looks_at(path: Path, num_looks: int) -> Iterator[Frame]:
    """Every fifth frame of a video."""
    source = Source(path, path.name, "video")
    frames = decoder_for("video").frames(source, probe(source))
    return islice(frames, 0, 5 * num_looks, 5)


def quantise(model: Path, out: Path, feeds: list[dict[str, np.ndarray]]) -> None:
    """Static QDQ quantisation of the convolutions and matrix products, as for a CPU with VNNI."""
    prepared = out.with_suffix(".prepared.onnx")
    network = onnx.load(model)
    if network.opset_import[0].version < PER_CHANNEL_OPSET:
        network = onnx.version_converter.convert_version(network, PER_CHANNEL_OPSET)
    onnx.save(network, prepared)
    quant_pre_process(str(prepared), str(prepared), skip_symbolic_shape=True)
    quantize_static(
        str(prepared),
        str(out),
        Looks(feeds),
        quant_format=QuantFormat.QDQ,
        op_types_to_quantize=["Conv", "MatMul", "Gemm"],
        per_channel=True,
        activation_type=QuantType.QUInt8,
        weight_type=QuantType.QInt8,
    )


def milliseconds(sessions: list[Any], feeds: list[dict[str, np.ndarray]], rounds: int) -> list[float]:
    """Median time of a run of each session; they take turns."""
    times: list[list[float]] = [[] for _ in sessions]
    for _ in range(rounds):
        for session, own in zip(sessions, times, strict=True):
            began = time.perf_counter()
            for feed in feeds[:5]:
                session.run(None, feed)
            own.append((time.perf_counter() - began) / min(5, len(feeds)) * 1e3)
    return [statistics.median(own) for own in times]


def session_of(path: Path) -> Any:
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    options.log_severity_level = 3
    return onnxruntime.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])


def choice(name: str, **files: Path) -> EngineChoice:
    return EngineChoice(name, {role: WeightFile.of(path) for role, path in files.items()})


def faces_apart(full: YuNetOnnx, small: YuNetOnnx, pictures: list[np.ndarray]) -> str:
    """Faces found by both, and the mean distance of their landmarks."""
    pairs = list(zip(full.detect(pictures), small.detect(pictures), strict=True))
    both = [
        np.linalg.norm(a.landmarks_xy[0] - b.landmarks_xy[0], axis=1).mean()
        for a, b in pairs
        if len(a) and len(b)
    ]
    found = (
        f"{sum(len(a) > 0 for a, _ in pairs)} pictures with a face, int8 {sum(len(b) > 0 for _, b in pairs)}"
    )
    return f"{found}; landmarks apart {np.mean(both):.2f} px of {pictures[0].shape[1]}" if both else found


def bodies_apart(full: TopDown, small: TopDown, frames: list[Frame]) -> str:
    """Joints seen by the full model within the same boxes, and how far int8 puts them."""
    distances, lost, seen = [], 0, 0
    for frame in frames:
        boxes = full.detect(frame, 0, 0.0, None).boxes_xyxy
        if not len(boxes):
            continue
        a, b = (engine.detect(frame, 0, 0.0, boxes).keypoints for engine in (full, small))
        sure = a[..., 2] >= 0.3
        seen += int(sure.sum())
        lost += int((sure & (b[..., 2] < 0.3)).sum())
        distances.append(np.linalg.norm(a[sure][:, :2] - b[sure][:, :2], axis=1))
    apart = np.concatenate(distances) if distances else np.zeros(1)
    median, most = np.median(apart), np.quantile(apart, 0.95)
    return f"{seen} joints, {lost} lost; apart by {median:.1f} px in the median, 95 % by less than {most:.1f}"


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("video", type=Path)
    parser.add_argument("--weights-dir", type=Path, required=True)
    parser.add_argument("--looks", type=int, default=40)
    parser.add_argument("--rounds", type=int, default=15)
    arguments = parser.parse_args()
    cv2.setNumThreads(1)
    weights = arguments.weights_dir
    frames = list(looks_at(arguments.video, arguments.looks))
    half = len(frames) // 2
    pictures = [frame.reduced_rgb(SEARCHED_WH) for frame in frames]

    faces = YuNetOnnx(choice("yunet", **{DYNAMIC_FILE: weights / DYNAMIC_FILE}))
    bodies = TopDown(choice("onnx", pose=weights / POSE, person=weights / PERSON))
    faces._session = face_spy = Spy(faces._session)
    bodies._pose._network._session = pose_spy = Spy(bodies._pose._network._session)
    assert bodies._persons is not None
    bodies._persons._network._session = person_spy = Spy(bodies._persons._network._session)
    faces.detect(pictures)
    for frame in frames:
        bodies.detect(frame, 0, 0.0, None)

    with tempfile.TemporaryDirectory() as folder:
        small = {}
        for name, spy in ((DYNAMIC_FILE, face_spy), (POSE, pose_spy), (PERSON, person_spy)):
            small[name] = Path(folder) / name
            feeds = spy.feeds[: max(1, len(spy.feeds) // 2)]
            quantise(weights / name, small[name], feeds)
            full_ms, int8_ms = milliseconds(
                [session_of(weights / name), session_of(small[name])], spy.feeds[-5:], arguments.rounds
            )
            shape = "x".join(map(str, next(iter(spy.feeds[-1].values())).shape))
            print(
                f"{name:34} {shape:14} float32 {full_ms:6.2f} ms, int8 {int8_ms:6.2f} ms: "
                f"{full_ms / int8_ms:.2f} times as fast"
            )
        apart: list[tuple[str, Callable[[], str]]] = [
            (
                "faces",
                lambda: faces_apart(
                    faces, YuNetOnnx(choice("yunet", **{DYNAMIC_FILE: small[DYNAMIC_FILE]})), pictures[half:]
                ),
            ),
            (
                "joints",
                lambda: bodies_apart(
                    bodies, TopDown(choice("onnx", pose=small[POSE], person=weights / PERSON)), frames[half:]
                ),
            ),
        ]
        for name, compare in apart:
            print(f"{name}: {compare()}")


if __name__ == "__main__":
    sys.exit(main())
