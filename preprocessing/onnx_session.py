"""ONNX Runtime: on one thread of the CPU, where results do not depend on the machine's load; or on a GPU."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from cache.errors import UserError
from preprocessing.device import CPU as CPU_DEVICE
from preprocessing.device import Device
from preprocessing.weights import WeightsError

CPU = "CPUExecutionProvider"
GPU = "CUDAExecutionProvider"
GPU_OPTIONS = {
    "cudnn_conv_algo_search": "HEURISTIC",  # the default tries all at each new size of picture and batch
    "use_tf32": "0",  # ten bits of mantissa would move boxes
}


def open_session(path: Path, device: Device = CPU_DEVICE) -> Any:
    """An InferenceSession on a device, with one thread of the CPU. WeightsError if the file is not one.

    UserError where ONNX Runtime cannot use the device: it would take the CPU without a word.
    """
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    options.inter_op_num_threads = 1
    options.log_severity_level = 3  # errors only: warnings about graph clean-up tell a user nothing
    provider = require_provider(device)
    if provider == GPU:
        onnxruntime.preload_dlls()  # CUDA and cuDNN as they came with torch
        settings = {"device_id": device.partition(":")[2], **GPU_OPTIONS}
    else:
        settings = {}
    try:
        session = onnxruntime.InferenceSession(str(path), options, providers=[(provider, settings)])
    except Exception as error:  # onnxruntime raises classes of its own that share no base but Exception
        reason = str(error).splitlines()[0]
        raise WeightsError(f"{path} is not a usable ONNX model: {reason}") from error
    if session.get_providers()[0] != provider:
        raise UserError(
            f"ONNX Runtime could not start its {provider}: it was built for another CUDA or cuDNN "
            "(see `videofer doctor`)"
        )
    return session


def require_provider(device: Device) -> str:
    """The provider for a device. UserError where ONNX Runtime is built without it."""
    import onnxruntime

    provider = CPU if device == CPU_DEVICE else GPU
    known = onnxruntime.get_available_providers()
    if provider not in known:
        raise UserError(
            f"ONNX Runtime here has no {provider} (it has {', '.join(known)}): "
            "put onnxruntime-gpu in the place of onnxruntime"
        )
    return provider
