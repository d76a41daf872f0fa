"""ONNX Runtime on one thread: a worker fills one core, and results do not depend on the machine's load."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from preprocessing.weights import WeightsError

CPU = "CPUExecutionProvider"


def open_session(path: Path, provider: str = CPU) -> Any:
    """An InferenceSession with one thread of the CPU. WeightsError if the file is not a usable model."""
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    options.inter_op_num_threads = 1
    options.log_severity_level = 3  # errors only: warnings about graph clean-up tell a user nothing
    try:
        return onnxruntime.InferenceSession(str(path), options, providers=[provider])
    except Exception as error:  # onnxruntime raises classes of its own that share no base but Exception
        reason = str(error).splitlines()[0]
        raise WeightsError(f"{path} is not a usable ONNX model: {reason}") from error
